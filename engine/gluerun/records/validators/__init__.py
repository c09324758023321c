"""Judges of shape, one module for each schema: generated, and imported on first use only."""

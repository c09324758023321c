"""Doing: the only code that carries out what the core decided. Knows ports, not adapters."""

"""Opt-in modules for gluerun; nothing here is imported unless a repository lists it under `modules`."""

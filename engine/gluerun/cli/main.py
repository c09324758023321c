"""The table of verbs, and the one place where an error becomes an exit code."""

from __future__ import annotations


def run(argv: list[str]) -> int:
    """Run the command line and return its exit code."""
    from gluerun import assets

    print(f"gluerun {assets.engine_version()} (schema {assets.schema_version()})")
    return 0 if argv in ([], ["version"]) else 2

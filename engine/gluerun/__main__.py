"""The door of the program: the quiet answer first, everything else behind it."""

from __future__ import annotations

import sys


def main() -> None:
    """Run one command and leave with its exit code."""
    from gluerun.cli.main import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()

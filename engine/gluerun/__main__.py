"""The door of the program: detached runs go straight in, everybody else through the command line."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run one command and leave with its exit code."""
    argv = sys.argv[1:]
    if argv[:1] == ["run"] and len(argv) == 2:
        sys.exit(_run(argv[1]))
    from gluerun.cli.main import run

    sys.exit(run(argv))


def _run(run_id: str) -> int:
    """Be the wrapper of one detached run, started in the repository's root; its log is our stderr."""
    from gluerun.errors import GluerunError
    from gluerun.loop.run import perform
    from gluerun.wiring import open_house

    try:
        perform(open_house(os.getcwd()), run_id)  # noqa: PTH109 pathlib is a dear import
    except GluerunError as error:
        sys.stderr.write(f"gluerun run {run_id}: {error.message}\n")
        return error.code
    return 0


if __name__ == "__main__":
    main()

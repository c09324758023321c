"""The door of the program: a quiet answer first, detached runs straight in, the rest through the command line."""

from __future__ import annotations

import os
import sys
import time


def main() -> None:
    """Run one command and leave with its exit code."""
    argv = sys.argv[1:]
    if argv[:1] == ["run"] and len(argv) == 2:
        sys.exit(_run(argv[1]))
    if argv[:1] == ["run"] and argv[2:] == ["--on-standby"]:
        sys.exit(_stand_by(argv[1]))
    if argv[:1] == ["reconcile"] and (said := _quiet(argv)) is not None:
        sys.exit(_say(said))
    from gluerun.cli.main import run

    sys.exit(run(argv))


def _quiet(argv: list[str]) -> str | None:
    """Return the answer of a cycle that need not be run; None if it must be."""
    from gluerun import quiet

    mode = quiet.plain_mode(argv)
    if not mode:
        return None
    now = time.time()
    run_id = time.strftime(f"ORIGIN-%Y%m%dT%H%M%SZ-{os.getpid()}", time.gmtime(now))
    return quiet.answer(os.curdir, mode, run_id, now, as_json="--json" in argv)


def _say(text: str) -> int:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone; the exit must not say so either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _stand_by(run_id: str) -> int:
    """Be the wrapper of one detached run as soon as whoever keeps this process says so, and end with them."""
    from gluerun.standby import is_told

    return _run(run_id) if is_told(os.getcwd(), run_id) else 0  # noqa: PTH109 pathlib is a dear import


def _run(run_id: str) -> int:
    """Be the wrapper of one detached run, started in the repository's root; its log is our stderr."""
    from gluerun.errors import GluerunError
    from gluerun.loop.run import perform
    from gluerun.wiring import open_run

    try:
        perform(open_run(os.getcwd(), run_id), run_id)  # noqa: PTH109 pathlib is a dear import
    except GluerunError as error:
        sys.stderr.write(f"gluerun run {run_id}: {error.message}\n")
        return error.code
    return 0


if __name__ == "__main__":
    main()

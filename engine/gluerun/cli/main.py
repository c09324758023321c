"""The command line: the one place where an error becomes an exit code."""

from __future__ import annotations

import os
import sys

from gluerun.errors import INTERRUPTED, OK, OUR_BUG, GluerunError
from gluerun.quiet import plain_mode


def run(argv: list[str]) -> int:
    """Run the command line and return its exit code."""
    as_json = "--json" in argv
    try:
        code = _invoke(argv)
        sys.stdout.flush()
    except GluerunError as error:
        return _tell(error, as_json=as_json)
    except KeyboardInterrupt:
        sys.stderr.write("gluerun: interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; nothing more can be said, and the exit must not say it either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:  # noqa: BLE001 the last resort: a report instead of a traceback
        return _our_bug(argv, error, as_json=as_json)
    return code


def _invoke(argv: list[str]) -> int:
    """Run the verb; what a timer types goes past the frame, which costs more than the cycle."""
    if mode := plain_mode(argv):
        from gluerun.cli import plain

        if plain.cycle(mode, as_json="--json" in argv):
            return OK
    from gluerun.cli.program import invoke

    return invoke(argv)


def _tell(error: GluerunError, *, as_json: bool) -> int:
    from gluerun.cli.show import complain

    complain(error, as_json=as_json)
    return error.code


def _our_bug(argv: list[str], error: Exception, *, as_json: bool) -> int:
    from gluerun.cli.report import write_report

    try:
        path = write_report(argv, error)
    except Exception:  # noqa: BLE001 a full disk must not hide the first trouble
        path = ""
    words = f"this is a defect of gluerun ({type(error).__name__})"
    told = GluerunError(words, f"the report is in {path}" if path else "no report could be written", file=path)
    told.kind = "bug"
    _tell(told, as_json=as_json)
    return OUR_BUG

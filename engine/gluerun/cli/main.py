"""The command line: which verb is meant, and the one place where an error becomes an exit code."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from gluerun.errors import INTERRUPTED, OK, OUR_BUG, GluerunError, UsageError

if TYPE_CHECKING:
    import typer

    from gluerun.cli.verbs import Verb

_WITH_VALUE = ("--repo", "--set")
_COMPLETE = "_GLUERUN_COMPLETE"


def run(argv: list[str]) -> int:
    """Run the command line and return its exit code."""
    as_json = "--json" in argv
    try:
        code = _invoke(argv or ["--help"])
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


def _invoke(argv: list[str]) -> int:
    import typer

    verb = "*" if os.environ.get(_COMPLETE) else _verb_of(argv)
    program = build(verb)
    # typer may bring its own copy of click; its errors are found by name.
    trouble = next(
        one for one in typer.BadParameter.__mro__ if issubclass(one, Exception) and one.__name__ == "ClickException"
    )
    try:
        code = typer.main.get_command(program)(argv, prog_name="gluerun", standalone_mode=False)
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort:
        raise KeyboardInterrupt from None
    except trouble as error:
        raise _usage(error, verb) from None
    return code if isinstance(code, int) else OK


def _usage(error: BaseException, verb: str) -> UsageError:
    message = str(getattr(error, "message", error)).rstrip(".")
    near = list(getattr(error, "possibilities", None) or ())
    words = f"gluerun {verb}".strip()
    hint = f"did you mean `{near[0]}`?" if near else f"type `{words} --help`"
    return UsageError(message[:1].lower() + message[1:] or "wrong usage", hint)


def _verb_of(argv: list[str]) -> str:
    """Return the verb that the words mean, empty if there is none; UsageError for an unknown one."""
    from gluerun.cli.verbs import VERBS

    words = _bare_words(argv)
    groups = {verb.group for verb in VERBS if verb.group}
    if not words:
        return ""
    if words[0] in groups:
        name = " ".join(words[:2])
        return name if name == words[0] else _known(name)
    return _known(words[0])


def _bare_words(argv: list[str]) -> list[str]:
    found: list[str] = []
    rest = iter(argv)
    for word in rest:
        if word in _WITH_VALUE and not found:
            next(rest, None)
        elif not word.startswith("-"):
            found.append(word)
        elif found:
            break
    return found


def _known(name: str) -> str:
    from gluerun.cli.verbs import LATER, VERBS
    from gluerun.settings_file import nearest

    found = next((verb for verb in VERBS if verb.name == name), None)
    if name in LATER or (found and not found.module):
        raise UsageError(f"`gluerun {name}` is not built yet", "type `gluerun --help` to see what is")
    if found is None:
        raise UsageError(f"there is no verb {name!r}", nearest(name, [verb.name for verb in VERBS]))
    return name


def build(wanted: str) -> typer.Typer:
    """Return the program with the *wanted* verb loaded, `*` for all; the others are only named."""
    import typer

    from gluerun.cli.place import take_place
    from gluerun.cli.verbs import VERBS

    program = typer.Typer(
        name="gluerun",
        help="Turn a backlog into merged, verified commits with AI coding agents.",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    program.callback()(take_place)
    groups: dict[str, typer.Typer] = {}
    for verb in VERBS:
        if not verb.group:
            _add(program, verb, verb.name, wanted)
            continue
        if verb.group not in groups:
            groups[verb.group] = typer.Typer(help=f"Verbs about a {verb.group}.", no_args_is_help=True)
            program.add_typer(groups[verb.group], name=verb.group)
        _add(groups[verb.group], verb, verb.name.split(" ")[1], wanted)
    return program


def _add(program: typer.Typer, verb: Verb, name: str, wanted: str) -> None:
    import importlib

    def stub() -> None:
        """Stand in the list of verbs."""

    function = stub
    if wanted in (verb.name, "*") and verb.module:
        function = getattr(importlib.import_module(f"gluerun.cli.{verb.module}"), verb.function)
    program.command(name, help=verb.doc)(function)

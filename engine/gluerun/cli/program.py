"""The program as typer has it: only the verb that is meant is loaded, so that each starts quickly."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

import typer
import typer.core

from gluerun.cli.place import take_place
from gluerun.cli.verbs import LATER, SECTIONS, VERBS, Verb
from gluerun.errors import OK, UsageError
from gluerun.settings_walk import nearest

if TYPE_CHECKING:
    from typing import Any

_WITH_VALUE = ("--repo", "--set")
_COMPLETE = "_GLUERUN_COMPLETE"
GROUPS = {verb.group for verb in VERBS if verb.group}


def invoke(argv: list[str]) -> int:
    """Run the verb that the words name and return its exit code."""
    argv = _global_first({(): ["--help"], ("--version",): ["version"]}.get(tuple(argv), argv))
    if argv[-1] in GROUPS and _bare_words(argv) == argv[-1:]:
        argv = [*argv, "--help"]
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
    say = getattr(error, "format_message", None)
    message = str(say() if say else error).rstrip(".")
    message = message.partition(" (Possible options:")[0]  # the nearest one is the hint
    near = list(getattr(error, "possibilities", None) or ())
    words = f"gluerun {verb}".strip()
    hint = f"did you mean `{near[0]}`?" if near else f"type `{words} --help`"
    return UsageError(message[:1].lower() + message[1:] or "wrong usage", hint)


def _verb_of(argv: list[str]) -> str:
    """Return the verb that the words mean, empty if there is none; UsageError for an unknown one."""
    words = _bare_words(argv)
    if not words:
        return ""
    if words[0] in GROUPS:
        name = " ".join(words[:2])
        return name if name == words[0] else _known(name)
    return _known(words[0])


def _global_first(argv: list[str]) -> list[str]:
    """Return the words with the options of every command in front, wherever they were typed."""
    front: list[str] = []
    others: list[str] = []
    rest = iter(argv)
    for word in rest:
        if word == "--":
            return [*front, *others, word, *rest]
        if word in _WITH_VALUE:
            front += [word, *([value] if (value := next(rest, None)) is not None else [])]
        elif word.startswith(tuple(f"{option}=" for option in _WITH_VALUE)):
            front.append(word)
        elif word.startswith("--wait="):
            # An option that may have a value is none for the frame: it stands for two.
            others += ["--wait", "--timeout", word.removeprefix("--wait=")]
        else:
            others.append(word)
    return [*front, *others]


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
    found = next((verb for verb in VERBS if verb.name == name), None)
    if name in LATER or (found and not found.module):
        raise UsageError(f"`gluerun {name}` is not built yet", "type `gluerun --help` to see what is")
    if found is None:
        raise UsageError(f"there is no verb {name!r}", nearest(name, [*GROUPS, *(verb.name for verb in VERBS)]))
    return name


class _Sections(typer.core.TyperGroup):
    """The whole program, which lists its verbs by what somebody wants to do, those of two words as they are typed."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        docs = {verb.name: verb.doc for verb in VERBS}
        listed = {name for _, names in SECTIONS for name in names}
        rest = tuple(name for name in docs if name not in listed)
        for title, names in (*SECTIONS, ("More", rest)):
            if names:
                with formatter.section(title):
                    formatter.write_dl([(name, docs[name]) for name in names])


def build(wanted: str) -> typer.Typer:
    """Return the program with the *wanted* verb loaded, `*` for all; the others are only named."""
    program = typer.Typer(
        name="gluerun",
        cls=_Sections,
        help="Turn a backlog into merged, verified commits with AI coding agents.",
        epilog="`gluerun VERB --help` says more about one verb.",
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
            groups[verb.group] = typer.Typer(help=f"Verbs about a {verb.group}.")
            program.add_typer(groups[verb.group], name=verb.group)
        _add(groups[verb.group], verb, verb.name.split(" ")[1], wanted)
    return program


def _add(program: typer.Typer, verb: Verb, name: str, wanted: str) -> None:
    def stub() -> None:
        """Stand in the list of verbs."""

    function = stub
    if wanted in (verb.name, "*") and verb.module:
        function = getattr(importlib.import_module(f"gluerun.cli.{verb.module}"), verb.function)
    program.command(name, help=verb.doc)(function)

"""The reference pages, printed from the tables: `python -m gluerun.cli.reference [FOLDER]` writes them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gluerun.cli.program import build
from gluerun.cli.verbs import VERBS, Verb
from gluerun.edge.starter import default_words
from gluerun.errors import EXIT_CODES
from gluerun.settings_table import KNOBS, SHAPES

if TYPE_CHECKING:
    from typing import Any

_MADE = "<!-- Printed from the tables of the source; see `gluerun.cli.reference`. -->\n"


def configuration_page() -> str:
    """Return the page about every setting."""
    knobs = [
        f"| `{knob.key}` | `{knob.env}` | {default_words(knob)} | {_kind(knob.type, knob.choices)} | {knob.doc} |"
        for knob in KNOBS
    ]
    shapes = [f"| `{shape.key}` | {_code(shape.form)} | {shape.doc} |" for shape in SHAPES]
    return "\n".join(
        [
            "# Configuration",
            "",
            _MADE,
            "Settings are taken from, later ones winning: the default, `gluerun.config.json` and `gluerun.config.sh`,",
            "`.gluerun-state/config.local.sh`, the environment, a flag. Any setting can be given for one command as",
            "`--set NAME=VALUE`. An empty variable sets nothing. Unknown keys are errors.",
            "",
            "The two shell files are run by `bash -e` with only `PATH` and `HOME` set, for at most ten seconds;",
            "only names that begin with `GLUERUN_` are taken from them.",
            "",
            "## Plain settings",
            "",
            "| key | variable | default | value | meaning |",
            "|---|---|---|---|---|",
            *knobs,
            "",
            "## Structured keys",
            "",
            "| key | written as | meaning |",
            "|---|---|---|",
            *shapes,
            "",
        ]
    )


def commands_page() -> str:
    """Return the page about every verb and exit code."""
    program: Any = typer.main.get_command(build("*"))
    sections = [line for verb in VERBS for line in _section(program, verb)]
    codes = [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES]
    return "\n".join(
        [
            "# Commands",
            "",
            _MADE,
            "Options of every command:",
            "",
            *_options(program),
            "",
            *sections,
            "## Exit codes",
            "",
            "| code | means |",
            "|---|---|",
            *codes,
            "",
            "With `--json` an error is one document on stdout: `{error: {code, message, hint, file}}`.",
            "",
        ]
    )


def _section(program: Any, verb: Verb) -> list[str]:
    command = program
    for word in verb.name.split(" "):
        command = command.commands[word]
    arguments = [param.metavar or param.name for param in command.params if param.param_type_name == "argument"]
    head = [f"## `{' '.join(['gluerun', verb.name, *arguments])}`", "", verb.doc, ""]
    if not verb.module:
        return [*head[:2], f"{verb.doc} Not built yet.", ""]
    options = _options(command)
    return [*head, *options, ""] if options else head


def _options(command: Any) -> list[str]:
    return [
        f"- `{', '.join(param.opts)}{_value(param)}`: {param.help}"
        for param in command.params
        if param.param_type_name == "option" and param.help and "completion" not in param.name
    ]


def _value(param: Any) -> str:
    if getattr(param, "is_flag", False):
        return ""
    return f" {param.metavar or param.name.upper()}"


def _kind(kind: type[Any], choices: tuple[str, ...]) -> str:
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    return {str: "text", bool: "true or false", int: "whole number", float: "number"}[kind]


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def write(folder: Path) -> None:
    """Write both pages into *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "configuration.md").write_text(configuration_page(), encoding="utf-8")
    (folder / "commands.md").write_text(commands_page(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/reference"))

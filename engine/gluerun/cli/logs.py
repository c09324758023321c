"""logs: what the programs of a task print, or have printed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from gluerun.cli.options import JSON
from gluerun.cli.reading import TASK, open_place
from gluerun.cli.show import say, show, warn
from gluerun.core.pipeline import OWN
from gluerun.edge.logs import ROLES, LogFile, Wanted, follow, page
from gluerun.errors import UsageError
from gluerun.settings_walk import nearest

if TYPE_CHECKING:
    from gluerun.edge.logs import LogPage
    from gluerun.loop.house import House


def logs(
    context: typer.Context,
    task: str = TASK,
    following: bool = typer.Option(False, "-f", "--follow", help="Go on, over its tries, until the task has settled."),
    role: str = typer.Option("", "--role", metavar="ROLE", help=f"Only of one role: {', '.join(ROLES)}."),
    gate: str = typer.Option("", "--gate", metavar="NAME", help="Only of one gate of the pipeline."),
    attempt: int = typer.Option(0, "--try", metavar="N", min=0, show_default=False, help="Of this try; else the last."),
    count: int = typer.Option(40, "--lines", metavar="N", min=0, help="So many lines at most; 0 for all of them."),
    as_json: bool = JSON,
) -> None:
    """Print what the program said that was started last for a task, or follow it as it comes."""
    if role and role not in ROLES:
        raise UsageError(f"there is no role {role!r}", nearest(role, ROLES))
    if following and (as_json or attempt):
        raise UsageError("--follow is about what is still to come", "leave out --json and --try")
    house = open_place(context)
    names = [one.name for one in house.config.gates]
    if gate and gate not in (*names, OWN):
        raise UsageError(f"there is no gate {gate!r}", nearest(gate, names) if names else "only `gateCommand` is set")
    wanted = Wanted(role=role, attempt=attempt, gate=gate)
    if following:
        _follow(house, task, wanted, count)
        return
    found = page(house, task, wanted, count)
    show(found, as_json=as_json, words=lambda: _say(found))


def _say(found: LogPage) -> None:
    if not found.role:
        warn(f"{found.task} has printed nothing yet")
        return
    warn(f"{_who(found)} of try {found.attempt}, {found.path}{'; earlier lines left out' if found.is_cut else ''}")
    for line in found.lines:
        say(line)


def _follow(house: House, task: str, wanted: Wanted, count: int) -> None:
    for piece in follow(house, task, wanted, count):
        if piece.log is not None:
            _head(piece.log)
        elif piece.line is not None:
            say(piece.line)
        else:
            warn(f"{task} is {piece.over}")
        sys.stdout.flush()


def _head(log: LogFile) -> None:
    sys.stdout.flush()
    warn(f"{_who(log)} of try {log.attempt}, {log.path}")


def _who(log: LogFile | LogPage) -> str:
    return f"{log.role} {log.gate}".rstrip()

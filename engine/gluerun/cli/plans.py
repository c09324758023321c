"""plan: one node planned now, in the foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gluerun.cli.cycle import progress
from gluerun.cli.options import JSON
from gluerun.cli.place import here
from gluerun.cli.show import say, show
from gluerun.errors import OK, PARKED, REFUSED, SAYS_NO

if TYPE_CHECKING:
    from gluerun.loop.plotting import Plotted

_CODES = {"imported": OK, "empty": OK, "dry-run": OK, "refused": SAYS_NO, "parked": PARKED}


def plan(
    context: typer.Context,
    node: str = typer.Argument(metavar="NODE", help="The id of a node in the planning graph."),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Start no agent: show whether it may be planned, by whom, the limits and the prompt."
    ),
    as_json: bool = JSON,
) -> None:
    """Plan a node now, in the foreground: exit 0 taken in or nothing to do, 1 refused, 3 parked, 2 not to be had.

    It is planned even if it rests or was parked; the rest of the backlog is left alone. A dry run starts no agent, and
    so it cannot say what would be proposed.
    """
    from gluerun.loop.plotting import foresee, plot
    from gluerun.settings import require_actable
    from gluerun.wiring import open_house

    place = here(context)
    house = open_house(place.root(), flags=place.flags())
    if not dry_run:
        require_actable(house.config)
    found = foresee(house, node) if dry_run else plot(house, node, tell=progress)
    show(found, as_json=as_json, words=lambda: _words(found))
    raise typer.Exit(_CODES.get(found.outcome, REFUSED))


def _words(found: Plotted) -> None:
    if found.outcome == "dry-run":
        say(f"{found.node} {'may be planned' if not found.reason else f'may not be planned: {found.reason}'}")
        limits = ", ".join(f"{name} {value:g}" for name, value in found.limits.items()) or "none"
        say(f"  runner {found.runner or 'none'}, critic {found.critic or 'none'}, limits {limits}")
        say()
        say(found.prompt)
        return
    for task in found.tasks:
        say(f"{task.task_id or task.proposed}: {task.title}")
        say("\n".join(f"    {line}".rstrip() for line in task.markdown.splitlines()[1:]))
    if found.critique:
        say(f"critic: {found.critique}")
    say(f"{found.node}: {found.outcome}{f': {found.reason}' if found.reason else ''}")

"""costs: what the agents used and cost."""

from __future__ import annotations

import re

import typer

from gluerun.cli.options import JSON
from gluerun.cli.place import here
from gluerun.cli.show import say, show, table
from gluerun.core.costs import BY, CostLine, Costs
from gluerun.core.costs import costs as add_up
from gluerun.edge.views import spendings
from gluerun.errors import UsageError
from gluerun.settings_walk import nearest

_BY: str = typer.Option("task", "--by", metavar="WHAT", help=f"Add up by {', '.join(BY)}.")
_SINCE: str = typer.Option("", "--since", metavar="DAY", help="Count from this day on, as 2026-01-31 (UTC).")
_HEAD = ("programs", "turns", "fresh", "cached", "output", "USD")


def costs(context: typer.Context, by: str = _BY, since: str = _SINCE, as_json: bool = JSON) -> None:
    """Show what the agents used and cost, from the bookings of every run."""
    if by not in BY:
        raise UsageError(f"costs are not added up by {by!r}", nearest(by, BY))
    if since and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", since):
        raise UsageError(f"{since!r} is no day", "write it as 2026-01-31")
    from gluerun.wiring import open_house

    place = here(context)
    found = add_up(spendings(open_house(place.root(), flags=place.flags())), by, since)
    show(found, as_json=as_json, words=lambda: _words(found))


def _words(found: Costs) -> None:
    if not found.lines:
        say("nothing has been booked yet")
        return
    table((found.by, *_HEAD), [_cells(line) for line in (*found.lines, found.total)])
    if found.total.estimated:
        say("~ estimated from a price table, not told by the program")
    if found.total.unknown:
        say(f"{found.total.unknown} of {found.total.programs} programs did not tell what they cost")


def _cells(line: CostLine) -> tuple[str, ...]:
    figures = (line.turns, line.fresh_tokens, line.cached_tokens, line.output_tokens)
    money = "unknown" if line.cost_usd is None else f"{'~' if line.estimated else ''}{line.cost_usd:.4f}"
    if line.cost_usd is not None and line.unknown:
        money += f" + {line.unknown} unknown"
    return (line.name, str(line.programs), *("unknown" if one is None else str(one) for one in figures), money)

"""approvals and approval show: what waits for a person, and what it is about; these only look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gluerun.cli.options import JSON
from gluerun.cli.orders import REQUEST, open_house
from gluerun.cli.show import say, show, table

if TYPE_CHECKING:
    from gluerun.edge.approvals import Approvals


def approvals(
    context: typer.Context,
    settled: bool = typer.Option(False, "--all", help="Also those that are decided or out of date."),
    as_json: bool = JSON,
) -> None:
    """List what waits for a person's approval."""
    from gluerun.edge.approvals import approvals as list_of

    found = list_of(open_house(context), settled=settled)
    show(found, as_json=as_json, words=lambda: _say_list(found))


def _say_list(found: Approvals) -> None:
    if not found.approvals:
        say("Nothing waits for approval.")
        return
    rows = [
        (one.id, one.state, one.point, one.task, one.title, "; ".join([*one.risks, *([one.why] if one.why else [])]))
        for one in found.approvals
    ]
    table(("request", "state", "before", "task", "title", "risks"), rows)


def approval_show(context: typer.Context, request: str = REQUEST, as_json: bool = JSON) -> None:
    """Show what a request is about."""
    from gluerun.edge.approvals import named

    found = named(open_house(context).store, request)
    show(found, as_json=as_json, words=lambda: say(found.id))

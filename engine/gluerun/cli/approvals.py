"""approvals and approval show: what waits for a person, and what it is about; these only look."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gluerun.adapters.files import DiskFiles
from gluerun.cli.options import JSON
from gluerun.cli.orders import REQUEST, open_house
from gluerun.cli.show import say, show, table
from gluerun.errors import UsageError

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


def approval_show(
    context: typer.Context,
    request: str = REQUEST,
    html: str = typer.Option("", "--html", metavar="FILE", help="Write the page as one HTML file instead."),
    as_json: bool = JSON,
) -> None:
    """Show what a request is about: text, difference, evidence, cost, risks, and what approving does."""
    from gluerun.edge.approval_page import approval_page, as_html, as_markdown
    from gluerun.edge.approvals import named

    house = open_house(context)
    page = approval_page(house, named(house.store, request))
    if html:
        path = Path(html).absolute()
        if not path.parent.is_dir() or path.is_dir():
            raise UsageError(f"{html} cannot be written: it is no file in a folder that is there", "name another file")
        DiskFiles(str(path.parent)).write(path.name, as_html(page).encode())
    words = f"the page is in {html}" if html else as_markdown(page).rstrip("\n")
    show(page, as_json=as_json, words=lambda: say(words))

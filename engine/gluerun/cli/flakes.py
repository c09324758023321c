"""flakes, flake quarantine, flake release: which tests flake, and what a person orders of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gluerun.cli.options import JSON
from gluerun.cli.orders import DRY, REASON, only_people, open_house, order
from gluerun.cli.reading import open_place
from gluerun.cli.show import say, show, table
from gluerun.records.order import OrderVerb

if TYPE_CHECKING:
    from gluerun.edge.flakes import FlakeLine, FlakesPage

GATE = typer.Argument(metavar="GATE", help="The name of the gate.")
TEST = typer.Argument(metavar="TEST", help="The name of the test, as `gluerun flakes` shows it.")


def flakes(context: typer.Context, as_json: bool = JSON) -> None:
    """Show which tests were red and then green on the same commit, how often, and which are in quarantine."""
    from gluerun.edge.flakes import page

    found = page(open_place(context))
    show(found, as_json=as_json, words=lambda: _say(found))


def flake_quarantine(
    context: typer.Context,
    gate: str = GATE,
    test: str = TEST,
    owner: str = typer.Option("", "--owner", metavar="NAME", help="Who sees to it."),
    days: int = typer.Option(0, "--days", metavar="N", help="After so many days it counts again, 1 to 90."),
    reason: str = REASON,
    dry_run: bool = DRY,
    as_json: bool = JSON,
) -> int:
    """Let a test's failure alone make no work red, until a day; what it lets pass is said in receipt and journal."""
    only_people()
    words: dict[str, object] = {"test": test, "owner": owner, "days": days}
    return order(
        open_house(context), OrderVerb.FLAKE_QUARANTINE, gate, words, reason=reason, dry_run=dry_run, as_json=as_json
    )


def flake_release(
    context: typer.Context,
    gate: str = GATE,
    test: str = TEST,
    reason: str = REASON,
    dry_run: bool = DRY,
    as_json: bool = JSON,
) -> int:
    """Let a test's failure count again."""
    only_people()
    words: dict[str, object] = {"test": test}
    return order(
        open_house(context), OrderVerb.FLAKE_RELEASE, gate, words, reason=reason, dry_run=dry_run, as_json=as_json
    )


def _say(page: FlakesPage) -> None:
    if not page.flakes:
        say("nothing has flaked")
        return
    rows = [
        (one.gate, one.test or "(no names)", f"{one.rate:.1%}", f"{one.seen} of {one.runs}",
         f"{one.last_seen:%Y-%m-%d %H:%MZ}", one.run, _quarantine(one)) for one in page.flakes
    ]  # fmt: skip
    table(("gate", "test", "rate", "seen", "last seen", "run", "quarantine"), rows)


def _quarantine(one: FlakeLine) -> str:
    if one.quarantined_until is None:
        return ""
    word = "until" if one.is_quarantined else "over since"
    return f"{word} {one.quarantined_until:%Y-%m-%d %H:%MZ}, {one.owner}"

"""queue, receipts: who waits to land, and what gates have said. They take no lock and write nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gluerun.cli.options import JSON
from gluerun.cli.reading import open_place
from gluerun.cli.show import say, show, table
from gluerun.errors import OK, SAYS_NO

if TYPE_CHECKING:
    from gluerun.core.outline import QueueLine, QueuePage
    from gluerun.edge.receipts import ReceiptLine, ReceiptsPage

_STYLES = {
    "green": "green",
    "proving": "cyan",
    "asked again": "yellow",
    "red": "red",
    "proved": "green",
    "waiting": "yellow",
}


def queue(context: typer.Context, as_json: bool = JSON) -> None:
    """Show who waits to land, in which order, what is being proved, and when that may be over."""
    from gluerun.edge.queues import queue as queue_now

    found = queue_now(open_place(context))
    show(found, as_json=as_json, words=lambda: _say(found))


def receipts(
    context: typer.Context,
    tree: str = typer.Argument("", metavar="[TREE]", help="A task, a commit or a code tree; else the target."),
    as_json: bool = JSON,
) -> int:
    """Show what gates have said of just this code; exit code 1 if nothing."""
    from gluerun.edge.receipts import page

    found = page(open_place(context), tree)
    show(found, as_json=as_json, words=lambda: _say_receipts(found))
    return OK if found.receipts else SAYS_NO


def _say_receipts(page: ReceiptsPage) -> None:
    of = f" of commit {page.commit[:12]}" if page.commit else ""
    say(f"code tree {page.code_tree[:12]}{of}")
    if not page.receipts:
        say("no gate has said anything about it")
        return
    say()
    rows = [
        (_said(one), one.cmd.splitlines()[0] if one.cmd else "", "this one" if one.is_here else "another",
         f"{one.at:%Y-%m-%d %H:%M:%SZ}", f"{one.duration_ms / 1000:.1f} s", one.commit[:12], one.run)
        for one in page.receipts
    ]  # fmt: skip
    table(("result", "gate", "environment", "when", "took", "commit", "run"), rows, styles=_STYLES)


def _said(one: ReceiptLine) -> str:
    return f"{one.result}, but for {len(one.quarantined)} in quarantine" if one.quarantined else one.result


def _say(page: QueuePage) -> None:
    slots = f"{page.proving} of {page.slots} gate slots taken"
    takes = f"a gate takes {page.gate_seconds:.0f} s" if page.gate_seconds is not None else "no gate has run yet"
    say(f"{page.target_branch} at {page.head[:12] or 'nothing'}: {slots}, {takes}")
    seen = "were bad lately" if page.gate_seconds is not None else "are bad, it is assumed until gates have run"
    flaky = f", {page.flake_rate:.0%} of the gates red for nothing" if page.gate_seconds is not None else ""
    say(f"up to {page.batch} changes are proved together: {page.bad_rate:.0%} {seen}{flaky}", wrapped=True)
    if page.red_main:
        say(page.red_main, wrapped=True)
    if page.push:
        say(page.push, wrapped=True)
    say()
    if not page.lines:
        say("nobody waits to land")
        return
    rows = [
        (str(line.place), line.task, line.state, "" if line.slot is None else str(line.slot), _expected(line),
         line.words or (f"with {line.proved_with}" if line.proved_with else line.title)) for line in page.lines
    ]  # fmt: skip
    table(("place", "task", "state", "slot", "expected", ""), rows, styles=_STYLES)


def _expected(line: QueueLine) -> str:
    return f"{line.expected_at:%H:%M:%SZ}" if line.expected_at is not None else ""

"""queue: who waits to land, and what is being proved. It takes no lock and writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gluerun.cli.options import JSON
from gluerun.cli.reading import open_place
from gluerun.cli.show import say, show, table

if TYPE_CHECKING:
    from gluerun.core.outline import QueueLine, QueuePage

_STYLES = {"proving": "cyan", "asked again": "yellow", "red": "red", "proved": "green", "waiting": "yellow"}


def queue(context: typer.Context, as_json: bool = JSON) -> None:
    """Show who waits to land, in which order, what is being proved, and when that may be over."""
    from gluerun.edge.queues import queue as queue_now

    found = queue_now(open_place(context))
    show(found, as_json=as_json, words=lambda: _say(found))


def _say(page: QueuePage) -> None:
    slots = f"{page.proving} of {page.slots} gate slots taken"
    takes = f"a gate takes {page.gate_seconds:.0f} s" if page.gate_seconds is not None else "no gate has run yet"
    say(f"{page.target_branch} at {page.head[:12] or 'nothing'}: {slots}, {takes}")
    say(f"up to {page.batch} changes are proved together: {page.bad_rate:.0%} were bad lately, "
        f"{page.flake_rate:.0%} of the gates red for nothing", wrapped=True)  # fmt: skip
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

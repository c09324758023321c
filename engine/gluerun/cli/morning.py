"""report: the morning's page, as text, as one HTML file, as a document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gluerun.cli.options import JSON
from gluerun.cli.reading import open_look
from gluerun.cli.show import put_file, say, show, table
from gluerun.edge import morning
from gluerun.edge.page import duration, html
from gluerun.errors import UsageError

if TYPE_CHECKING:
    from gluerun.edge.morning import Report


def report(
    context: typer.Context,
    since: str = typer.Option("24h", "--since", metavar="WHEN", help="From when on: 24h, 7d, 2026-01-31 (UTC)."),
    page: str = typer.Option("", "--html", metavar="FILE", help="Write it as one HTML file; - for stdout."),
    as_json: bool = JSON,
) -> None:
    """Say what has happened: what landed, what is parked, what it cost, and what needs you."""
    if page and as_json:
        raise UsageError("one form at a time", "--html FILE or --json")
    house, trouble = open_look(context)
    found = morning.report(house, morning.moment_of(since, house.now()), trouble)
    if page:
        put_file(page, html(found))
    else:
        show(found, as_json=as_json, words=lambda: _say(found))


def _say(found: Report) -> None:
    say(f"{found.target_branch} at {found.head[:12] or 'nothing'}, {found.since:%Y-%m-%d %H:%M} to "
        f"{found.until:%Y-%m-%d %H:%M} UTC")  # fmt: skip
    money = found.costs.total
    cost = "cost unknown" if money.cost_usd is None else f"{'~' if money.estimated else ''}${money.cost_usd:.2f}"
    say(f"{len(found.integrated)} integrated, {len(found.parked)} parked, {found.running} running, {found.ready} ready")
    say(f"{money.programs} programs of agents: {cost}, {duration(found.agent_seconds)}; "
        f"gates: {duration(found.gate_seconds)}; {len(found.retries)} tries failed")  # fmt: skip
    _matters(found)
    _rows("integrated", ("task", "title", "merge", "tries", "agents", "at"), [
        (one.task, one.title, one.commit[:12], str(one.tries), duration(one.seconds), f"{one.at:%m-%d %H:%M}")
        for one in found.integrated])  # fmt: skip
    _rows("failed tries", ("task", "try", "failure", "why", "answer"), [
        (one.task, str(one.attempt), one.failure, one.reason, one.answer) for one in found.retries])  # fmt: skip
    _rows("changed tests", ("task", "what became of them"), [(one.task, one.words) for one in found.tampering])
    _rows("flakes", ("gate", "test", "rate", "seen", "quarantine", "at"), [
        (one.gate, one.test or "(no names)", f"{one.rate:.1%}", f"{one.seen} of {one.runs}",
         one.owner if one.is_quarantined else "", f"{one.last_seen:%m-%d %H:%M}") for one in found.flakes])  # fmt: skip
    _rows("slowest gates", ("gate", "of", "role", "result", "took", "at"), [
        (one.gate, one.about, one.role, one.result, f"{one.duration_ms / 1000:.1f} s", f"{one.at:%m-%d %H:%M}")
        for one in found.slowest_gates])  # fmt: skip
    _rows("nodes", ("node", "state", "why"), [(one.id, one.state, one.words) for one in found.nodes])
    _timeline(found)


def _matters(found: Report) -> None:
    parked = {one.task: one for one in found.parked}
    if found.matters:
        _head("needs attention")
    for matter in found.matters:
        park = parked.get(matter.about) if matter.kind == "parked" else None
        say(f"  {'needs you' if matter.needs_you else 'look at':<9}  {matter.words}")
        if park:
            say(f"             {park.title}: {park.help}")
        if matter.command:
            say(f"             → {matter.command}")


def _head(title: str) -> None:
    say()
    say(title)


def _rows(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    if rows:
        _head(title)
        table(columns, rows)


_WIDE = 60
_SIGNS = {"accepted": "=", "running": "=", "proved": "#", "planned": "+", "held": ".", "failed": "x"}


def _timeline(found: Report) -> None:
    if not found.timeline:
        return
    begin = min(one.begin for one in found.timeline)
    span = max(1.0, (max(one.end for one in found.timeline) - begin).total_seconds())
    bars: dict[str, list[str]] = {}
    for one in found.timeline:
        left, right = (int((moment - begin).total_seconds() / span * _WIDE) for moment in (one.begin, one.end))
        bar = bars.setdefault(one.row, [" "] * (_WIDE + 1))
        bar[left : right + 1] = _SIGNS[one.how] * (right + 1 - left)
    _head(f"timeline, {begin:%m-%d %H:%M} and {duration(int(span))} on")
    for row, bar in bars.items():
        say(f"  {row:<14} {''.join(bar).rstrip()}")
    say("  = worked on   # proved   + planned   x failed   . held back")

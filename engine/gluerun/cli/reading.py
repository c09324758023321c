"""explain, health, gates: verbs that answer a question. They take no lock and write nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gluerun.cli.options import JSON
from gluerun.cli.place import here
from gluerun.cli.show import say, show, table, warn
from gluerun.errors import OK, SAYS_NO
from gluerun.records.gate import GateVerdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gluerun.core.explain import Because, Explanation
    from gluerun.edge.gates import GateLine, GateRun, GatesPage
    from gluerun.edge.views import HealthPage
    from gluerun.loop.house import House

TASK: str = typer.Argument(metavar="TASK", help="The id of a task.")
_NAMED = 3
_STYLES = {"passed": "green", "green": "green", "blocked": "bold red", "red": "red", "inconclusive": "yellow"}


def explain(context: typer.Context, task: str = TASK, as_json: bool = JSON) -> None:
    """Say where a task is, why, since when, and what would change it."""
    from gluerun.edge import views

    found = views.explain(open_place(context), task)
    show(found, as_json=as_json, words=lambda: _say_explanation(found))


def _say_explanation(found: Explanation) -> None:
    say(f"{found.task} {found.where}: {found.title}" if found.title else f"{found.task} {found.where}")
    since = f", since {found.since:%Y-%m-%d %H:%M:%SZ}" if found.since else ""
    say(f"  {found.words}{since}")
    for one in found.reasons:
        say()
        _say_reason(one)
    if found.next:
        say()
        say(f"  next: {found.next}")
    if found.node:
        say(f"  node {found.node.id} is {found.node.state}: {found.node.words}")


def _say_reason(one: Because) -> None:
    since = f" (since {one.since:%Y-%m-%d %H:%M:%SZ})" if one.since else ""
    say(f"  - {one.words}{since}", wrapped=True)
    if one.change:
        say(f"    {one.change}", wrapped=True)
    if one.command:
        say(f"    type: {one.command}")


def health(context: typer.Context, as_json: bool = JSON) -> int:
    """Say what needs attention, one line each; exit code 1 if anything does."""
    from gluerun.edge import views

    found = views.health(*open_look(context))
    show(found, as_json=as_json, words=lambda: _say_health(found))
    return OK if found.is_well else SAYS_NO


def _say_health(found: HealthPage) -> None:
    if found.is_well:
        say(f"well; {found.loop or 'no loop'} is at work, and nothing needs attention")
    for one in found.matters:
        hint = f"  → {one.command}" if one.command else ""
        say(f"{'needs you' if one.needs_you else 'look at':<9}  {one.words}{hint}", wrapped=True)


def gates(
    context: typer.Context,
    count: int = typer.Option(20, "--lines", min=0, help="Show so many of the latest gate runs."),
    as_json: bool = JSON,
) -> None:
    """Show the pipeline, the gate result of every node, and the latest gate runs."""
    from gluerun.edge.gates import gates as gates_of

    found = gates_of(open_place(context), count)
    show(found, as_json=as_json, words=lambda: _say_gates(found))


def _say_gates(found: GatesPage) -> None:
    if found.trouble:
        say(found.trouble)
    if found.pipeline:
        _say_pipeline(found.pipeline)
        say()
    if found.nodes:
        rows = [(one.node, one.state, one.decided_by or "", one.reason) for one in found.nodes]
        table(("node", "state", "decided by", "why"), rows, styles=_STYLES)
    else:
        say("there are no nodes")
    say()
    if found.runs:
        cells = [
            (f"{one.at:%Y-%m-%d %H:%M:%SZ}", one.about, one.role, *gate_cells(one)[:-1], one.commit[:12], one.log)
            for one in found.runs
        ]
        heads = ("gate run", "of", "role", "gate", "result", "took", "tests", "why", "commit", "log")
        table(heads, cells, styles=_STYLES)
    else:
        say("no gate has run yet")


def _say_pipeline(lines: Sequence[GateLine]) -> None:
    cells = []
    for one in lines:
        last = one.last
        ended = f"{last.result}, {last.duration_ms / 1000:.1f} s" if last else "never ran"
        only = ", ".join(one.paths) or "any change"
        name = one.name if one.required else f"{one.name} (not required)"
        cells.append(
            (str(one.stage), name, ", ".join(one.when), only, ended, _tests(last) if last else "", one.command)
        )
    table(("stage", "gate", "when", "for", "last time", "tests", "command"), cells)


def gate_cells(one: GateRun) -> tuple[str, ...]:
    """Return what is told of a gate run: name, result, time, tests, why, log."""
    took = f"{one.duration_ms / 1000:.1f} s" if one.result != GateVerdict.SKIPPED else "-"
    more = f" and {len(one.failures) - _NAMED} more" if len(one.failures) > _NAMED else ""
    failed = f"failed: {', '.join(one.failures[:_NAMED])}{more}" if one.failures else ""
    why = "; ".join(word for word in (one.reason, failed, "" if one.required else "not required") if word)
    return (one.gate, one.result, took, _tests(one), why, one.log)


def _tests(one: GateRun) -> str:
    if one.tests is None:
        return ""
    return f"{one.tests.total}" + (f" ({one.tests.failed} failed)" if one.tests.failed else "")


def open_place(context: typer.Context) -> House:
    """Open the repository of a command that only reads; what is wrong with its newest settings is told on stderr."""
    house, trouble = open_look(context)
    if trouble:
        warn(f"the configuration is not used, the last good one is: {trouble}")
    return house


def open_look(context: typer.Context) -> tuple[House, str]:
    """Open the repository of a command that only reads; return also why its newest settings cannot be used."""
    from gluerun.wiring import open_to_read

    place = here(context)
    return open_to_read(place.root(), flags=place.flags())

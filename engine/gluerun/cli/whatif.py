"""whatif: what the last landings would have cost with other gate slots, or another gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gluerun.cli.options import JSON
from gluerun.cli.place import here
from gluerun.cli.show import say, show, table, took

if TYPE_CHECKING:
    from gluerun.edge.whatif import Whatif

_SLOTS: list[int] = typer.Option([], "--slots", metavar="K", help="Reckon with so many slots; may be said again.")
_SECONDS: float | None = typer.Option(None, "--gate-seconds", metavar="S", help="How long a gate takes.")
_LANDINGS: int = typer.Option(200, "--landings", metavar="N", help="Look at the last so many changes.")
_HEAD = ("slots", "landed", "sent back", "latency p50", "p95", "gate runs", "per landed")


def whatif(
    context: typer.Context,
    slots: list[int] = _SLOTS,
    gate_seconds: float | None = _SECONDS,
    landings: int = _LANDINGS,
    as_json: bool = JSON,
) -> None:
    """Put the changes that came to the merge queue into one with other slots, and show how soon they would have landed.

    Gates only pass time; who was red before is red again.
    """
    from gluerun.edge.whatif import whatif as reckon
    from gluerun.wiring import open_house

    place = here(context)
    found = reckon(open_house(place.root(), flags=place.flags()), slots, gate_seconds, landings)
    show(found, as_json=as_json, words=lambda: _words(found))


def _words(found: Whatif) -> None:
    if not found.lines:
        say("nothing has landed here yet: `gluerun backtest --queue` reckons with a history of git")
        return
    say(f"{found.landed} landed and {found.sent_back} were red, {found.since:%Y-%m-%d} to {found.until:%Y-%m-%d}")
    if found.withdrawn:
        say(f"{found.withdrawn} went back with no gate red: they are left out")
    say(f"a gate takes {took(found.gate_seconds)} ({found.gate_seconds_from})")
    say()
    was = ("as it was", str(found.landed), str(found.sent_back), took(found.latency_p50), took(found.latency_p95),
           str(found.gate_runs), f"{found.gate_runs / max(found.landed, 1):.2f}")  # fmt: skip
    rows = [
        (
            f"{one.slots}, as now" if one.is_now else str(one.slots),
            str(one.landed),
            str(one.sent_back),
            took(one.latency_p50),
            took(one.latency_p95),
            str(one.gate_runs),
            f"{one.runs_per_landed:.2f}",
        )
        for one in found.lines
    ]
    table(_HEAD, [was, *rows])

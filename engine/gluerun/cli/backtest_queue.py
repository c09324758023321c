"""`backtest --queue`: the branches of a history in the merge queue, and the table that comes out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gluerun.cli.show import say, show, table, took, warn
from gluerun.errors import GluerunError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from gluerun.cli.place import Place
    from gluerun.edge.queue_past import QueueReport
    from gluerun.loop.house import House

_HEAD = ("policy", "landed", "sent back", "per gate time", "latency p50", "p95", "gate runs", "per landed")


def replay_queue(
    place: Place,
    merges: str,
    span: str | None,
    asked: Mapping[str, Any],
    unused: Mapping[str, object],
    *,
    as_json: bool,
) -> None:
    """Answer the verb. *asked* are the options about the queue, *unused* those that say nothing about it."""
    from gluerun.edge.queue_past import QueueOptions, backtest_queue

    if word := next((name for name, value in unused.items() if value is not None), ""):
        raise UsageError(f"--queue takes no {word}", f"leave {word} out: no task is run and no gate")
    root = place.root()
    options = QueueOptions(
        repo=root,
        merges=merges,
        span=span,
        slots=asked["--slots"],
        gate_seconds=asked["--gate-seconds"],
        failure_rate=asked["--failure-rate"],
    )
    report = backtest_queue(options, _house(place, root))
    show(report, as_json=as_json, words=lambda: _words(report))


def _house(place: Place, root: str) -> House | None:
    """Return the repository's house to learn from; None where there is none, or none that can be opened."""
    from gluerun.wiring import STATE, open_to_read

    if not Path(root, STATE, "runs").is_dir():
        return None
    try:
        house, trouble = open_to_read(root, flags=place.flags())
    except GluerunError as error:
        warn(f"nothing is learned from its gate runs: {error.message}")
        return None
    if trouble:
        warn(trouble)
    return house


def _words(report: QueueReport) -> None:
    say(f"{report.merges} merges, {report.first[:12]} to {report.last[:12]}")
    say(f"their branches were finished from {report.since:%Y-%m-%d} to {report.until:%Y-%m-%d}")
    say(
        f"{report.slots} slots, a gate takes {took(report.gate_seconds)} ({report.gate_seconds_from}), "
        f"{100 * report.failure_rate:g} % of the changes are bad ({report.failure_rate_from})"
    )
    say()
    rows = [
        (
            one.policy,
            str(one.landed),
            str(one.sent_back),
            f"{one.landed_per_gate_time:.2f}",
            took(one.latency_p50),
            took(one.latency_p95),
            str(one.gate_runs),
            f"{one.runs_per_landed:.2f}",
        )
        for one in report.policies
    ]
    table(_HEAD, rows)

"""backtest: the engine on a repository's own history, before a token is spent."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import typer

from gluerun.cli.options import JSON
from gluerun.cli.place import Place, here
from gluerun.cli.show import say, show, table
from gluerun.errors import SAYS_NO, UsageError

if TYPE_CHECKING:
    from gluerun.records.backtest import BacktestReport

_STYLES = {"integrated": "green", "conflicted": "red", "parked": "red", "unsupported": "yellow"}
_SHOWN = 20


def backtest(
    context: typer.Context,
    repo: str = typer.Option("", "--repo", metavar="PATH", help="The repository; else the one we stand in."),
    last: int | None = typer.Option(None, "--last", metavar="N", help="The newest N commits; 30 if nothing is said."),
    span: str | None = typer.Option(None, "--range", metavar="A..B", help="The commits behind B, not behind A."),
    workers: int | None = typer.Option(None, "--workers", metavar="K", help="Workers at once; else one per CPU."),
    gate: str = typer.Option("", "--gate", metavar="CMD", help="A gate for every commit; without it none runs."),
    merges: str = typer.Option("", "--merges", metavar="N", help="Make the newest N merges again, or `all`."),
    queue: bool = typer.Option(False, "--queue", help="Put the branches of --merges N into the queue, gates virtual."),
    slots: int | None = typer.Option(None, "--slots", metavar="K", help="With --queue: gates at once; else gateSlots."),
    gate_seconds: float | None = typer.Option(None, "--gate-seconds", metavar="S", help="With --queue; else learned."),
    failure_rate: float | None = typer.Option(None, "--failure-rate", metavar="P", help="With --queue; else learned."),
    keep: bool = typer.Option(False, "--keep", help="Keep the scratch repository."),
    as_json: bool = JSON,
) -> None:
    """Replay a repository's own history through the engine, in a scratch clone, without any model.

    Each first-parent commit is a task. Exit 0 if all were integrated and the tree is the same, else 1.
    """
    from gluerun.backtest import Options
    from gluerun.backtest import backtest as replay

    place = Place(repo=repo) if repo else here(context)
    for_queue = {"--slots": slots, "--gate-seconds": gate_seconds, "--failure-rate": failure_rate}
    if queue:
        from gluerun.cli.backtest_queue import replay_queue

        others = {"--last": last, "--workers": workers, "--gate": gate or None, "--keep": keep or None}
        replay_queue(place, merges, span, for_queue, others, as_json=as_json)
        return
    if word := next((name for name, value in for_queue.items() if value is not None), ""):
        raise UsageError(f"{word} is about the queue", f"write --queue {word} …")
    if merges:
        from gluerun.cli.backtest_merges import replay_merges

        unused = {"--last": last, "--workers": workers, "--gate": gate}
        replay_merges(place.root(), merges, span, keep=keep, as_json=as_json, unused=unused)
    options = Options(repo=place.root(), last=last, span=span, workers=workers, gate=gate, keep=keep)
    # Whoever ends us politely gets the same tidying up as Ctrl-C: no run and no scratch repository stays.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    report = replay(options, _progress if sys.stderr.isatty() or keep else None)
    show(report, as_json=as_json, words=lambda: _words(report))
    raise typer.Exit(0 if report.is_exact else SAYS_NO)


def _progress(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _words(report: BacktestReport) -> None:
    odd = [task for task in report.tasks if task.fate not in ("integrated", "empty")]
    if odd:
        lines = [(task.task_id, task.commit[:12], str(task.fate), task.reason, task.subject) for task in odd[:_SHOWN]]
        table(("task", "commit", "fate", "why", "subject"), lines, styles=_STYLES)
        _more(len(odd), "commits")
    counts = ("integrated", "conflicted", "parked", "empty", "unsupported")
    rows = [(name, str(getattr(report, name))) for name in counts]
    rows += [
        ("wall time", f"{report.wall_seconds:.1f} s"),
        ("parallelism", f"{report.parallelism} of {report.workers} workers"),
        ("gate runs", str(report.gate_runs)),
        ("overhead per task", f"{report.overhead_ms_per_task:.0f} ms"),
    ]
    table((f"{report.base[:12]}..{report.tip[:12]}", ""), rows, styles=_STYLES)
    say()
    table(("workers", *report.forecast), [("forecast, s", *(f"{one:.1f}" for one in report.forecast.values()))])
    say()
    if report.identical:
        say("the tree is that of the history")
        return
    say(f"the tree differs from that of the history in {len(report.differing)} paths:")
    for path in report.differing[:_SHOWN]:
        say(f"  {path}")
    _more(len(report.differing), "paths")


def _more(count: int, what: str) -> None:
    if count > _SHOWN:
        say(f"  and {count - _SHOWN} more {what}; --json has them all")

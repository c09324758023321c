"""`backtest --merges`: the merges of a history made again, and the words for what came out."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import typer

from gluerun.cli.show import say, show, table
from gluerun.errors import SAYS_NO, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gluerun.core.merge_replay import MergesReport, ReplayedMerge

_STYLES = {"identical": "green", "different": "bold red", "unreadable": "red", "evil": "yellow"}
# The worst first: what nobody can explain, then what somebody did.
_TOLD = ("different", "unreadable", "evil", "strategy", "octopus")
_SHOWN, _PATHS = 20, 3


def replay_merges(
    root: str, count: str, span: str | None, *, keep: bool, as_json: bool, unused: Mapping[str, object]
) -> None:
    """Answer the verb and end with its code. *unused* are options that say nothing about merges."""
    from gluerun.backtest_merges import MergeOptions, backtest_merges

    for option, value in unused.items():
        if value:
            raise UsageError(f"--merges takes no {option}", f"leave {option} out: no task is run and no gate")
    # Whoever ends us politely gets the same tidying up as Ctrl-C: no scratch repository stays.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    report = backtest_merges(MergeOptions(repo=root, count=count, span=span, keep=keep), _progress if keep else None)
    show(report, as_json=as_json, words=lambda: _words(report))
    raise typer.Exit(0 if report.is_exact else SAYS_NO)


def _progress(line: str) -> None:
    typer.echo(line, err=True)


def _words(report: MergesReport) -> None:
    odd = sorted((one for one in report.merges if one.fate in _TOLD), key=lambda one: _TOLD.index(one.fate))
    if odd:
        rows = [(one.commit[:12], str(one.fate), one.reason, _paths(one), one.subject) for one in odd[:_SHOWN]]
        table(("merge", "fate", "why", "paths", "subject"), rows, styles=_STYLES)
        if len(odd) > _SHOWN:
            say(f"  and {len(odd) - _SHOWN} more merges; --json has them all")
    counts = ("identical", "resolved", "strategy", "evil", "different", "octopus", "unreadable")
    rows_of_counts = [(name, str(getattr(report, name))) for name in counts]
    table(
        (f"{len(report.merges)} merges", ""),
        [*rows_of_counts, ("wall time", f"{report.wall_seconds:.1f} s")],
        styles=_STYLES,
    )
    say()
    say(
        "every merge came out as it is, or for a reason that is known"
        if report.is_exact
        else "not every merge came out"
    )


def _paths(one: ReplayedMerge) -> str:
    rest = len(one.paths) - _PATHS
    return ", ".join(one.paths[:_PATHS]) + (f" and {rest} more" if rest > 0 else "")

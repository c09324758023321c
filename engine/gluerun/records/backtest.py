"""What a backtest answers: how the engine fared on a repository's own history."""

from __future__ import annotations

from enum import StrEnum

from gluerun.records.record import record


class Fate(StrEnum):
    """What became of one commit of the history."""

    INTEGRATED = "integrated"
    CONFLICTED = "conflicted"
    PARKED = "parked"
    EMPTY = "empty"
    UNSUPPORTED = "unsupported"


@record
class BacktestTask:
    """One commit of the history as a task; `seconds` from its start to its place in the target branch."""

    task_id: str
    commit: str
    subject: str
    fate: Fate
    reason: str = ""
    depends_on: tuple[str, ...] = ()
    seconds: float = 0.0


@record
class BacktestReport:
    """What `gluerun backtest --json` prints. Keys are only ever added."""

    SCHEMA = "backtest.v0"

    integrated: int
    conflicted: int
    parked: int
    empty: int
    unsupported: int
    identical: bool
    differing: tuple[str, ...]
    wall_seconds: float
    parallelism: int
    gate_runs: int
    forecast: dict[str, float]
    overhead_ms_per_task: float
    workers: int
    base: str
    tip: str
    tasks: tuple[BacktestTask, ...]

    @property
    def is_exact(self) -> bool:
        """Tell whether every commit that changes anything was integrated and the trees are the same."""
        return self.identical and not (self.conflicted or self.parked or self.unsupported)

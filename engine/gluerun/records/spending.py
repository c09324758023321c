"""What agents cost: one expense for each program that was started, kept for good after its run."""

from __future__ import annotations

from datetime import datetime

from gluerun.records.dispatch import Role, Usage
from gluerun.records.fault import Fault, Limit
from gluerun.records.record import record


@record
class Expense:
    """What one program used: `runs/<run>/usage/<step>-<role>.json`, written as it starts and again as it ends.

    `log` is what it printed, from which the figures of a run that was cut off are read.
    """

    SCHEMA = "expense.v0"

    role: Role
    runner: str
    attempt: int
    started_at: datetime
    log: str
    ended_at: datetime | None = None
    provider: str = "unknown"
    model: str = "unknown"
    usage: Usage = Usage()
    fault: Fault | None = None
    limit: Limit | None = None


@record
class Spending:
    """What one run cost: `costs/<day>/<run>.json`, written when the run is taken in."""

    SCHEMA = "spending.v0"

    run_id: str
    booked_at: datetime
    expenses: tuple[Expense, ...]
    task_id: str | None = None
    node: str | None = None

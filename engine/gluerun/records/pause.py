"""A run that broke off at a limit, because a person is asked whether it may go on."""

from __future__ import annotations

from enum import StrEnum

from gluerun.records.fault import Limit
from gluerun.records.record import record

# Under what name what such a run had done is kept, beside its id.
PAUSED = "paused"


class OnLimit(StrEnum):
    """What a limit does to the try that meets it: ends it as failed, or lets a person say whether it may go on."""

    STOP = "stop"
    PAUSE = "pause"


class Span(StrEnum):
    """What a limit is about: each program of a try for itself, or all tries of a task."""

    TRY = "try"
    TASK = "task"


@record
class Paused:
    """Where a run broke off: which limit it met, and what goes on from there once a person says so.

    `attempt` is the last of its tries that has a session, none if zero. `seed_sha` is what it had done.
    """

    run_id: str
    limit: Limit
    span: Span
    reason: str
    attempt: int = 0
    seed_sha: str | None = None
    is_allowed: bool = False

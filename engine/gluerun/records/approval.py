"""A question to a person that holds one task: what it is about, exactly, and what came of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from gluerun.records.fault import Limit
from gluerun.records.pause import Span
from gluerun.records.record import record
from gluerun.records.spent import Spent


class Point(StrEnum):
    """Where a task waits for a person: before it is first started, at a limit, or with a green gate before it lands."""

    PLAN = "plan"
    LIMIT = "limit"
    LANDING = "landing"


class ApprovalState(StrEnum):
    """What came of a request. Only `approved` lets a task go on; silence is `expired`, and a changed task `stale`."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    STALE = "stale"


@record
class Bound:
    """What a person sees and decides about. Another text, branch, difference, gate or verdict is another question.

    `diff_sha256` is the digest of the sorted changes from the base to the candidate: paths, kinds, modes and contents.
    A request about a limit has the run that met it, which limit of what it was, and what the task had spent by then.
    """

    source_sha256: str
    base: str | None = None
    head: str | None = None
    candidate: str | None = None
    tree: str | None = None
    diff_sha256: str | None = None
    gate_sha256: str | None = None
    receipt: str | None = None
    verdict: str | None = None
    run_id: str | None = None
    limit: Limit | None = None
    span: Span | None = None
    spent: Spent | None = None


@record
class Approval:
    """One request: `approvals/live/<id>.json` while it matters to a task, then `approvals/done/<id>.json`.

    `owners` are those of whom one has to decide, nobody for anybody; every question must be answered to approve.
    `order` is the one that decided it.
    """

    SCHEMA = "approval.v0"

    id: str
    point: Point
    task_id: str
    epoch: int
    state: ApprovalState
    bound: Bound
    asked_at: datetime
    risks: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    expires_at: datetime | None = None
    decided_by: str = ""
    decided_at: datetime | None = None
    order: str = ""
    reason: str = ""
    answers: dict[str, str] = {}  # noqa: RUF012 a default that is never changed

    @property
    def is_over(self) -> bool:
        """Tell whether nothing will come of this request any more."""
        return self.state in (ApprovalState.REJECTED, ApprovalState.STALE)

"""Orders: what a person wants done, written down first and carried out by the loop."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from gluerun.records.record import record
from gluerun.records.task import Status


class OrderVerb(StrEnum):
    """What can be ordered. An order with another word is refused by the loop, not broken: a newer engine wrote it."""

    STOP = "stop"
    RESUME = "resume"
    WAKE = "wake"
    PARK = "park"
    UNPARK = "unpark"
    RETRY = "retry"
    CANCEL = "cancel"
    SUPERSEDE = "supersede"
    REPRIORITIZE = "reprioritize"
    BREAKER_RESET = "breaker-reset"
    CLEAR_BACKOFF = "clear-backoff"
    APPROVE = "approve"
    REJECT = "reject"
    RENEW = "renew"
    GATE_REQUEST = "human-gate-request"
    GATE_APPROVE = "human-gate-approve"
    GATE_REJECT = "human-gate-reject"
    FLAKE_QUARANTINE = "flake-quarantine"
    FLAKE_RELEASE = "flake-release"


class OrderOutcome(StrEnum):
    """What the loop decided about an order."""

    APPLIED = "applied"
    REFUSED = "refused"


@record
class Order:
    """One order: `inbox/orders/<id>.json` until it is carried out, then `orders/done/<id>.json`.

    `epoch` and `status` are those of its task when it was given. `outcome` and `answer` are the loop's: they are
    written before anything is done about it, so that a crash leads to the same end.
    """

    SCHEMA = "order.v0"

    id: str
    verb: str
    by: str
    at: datetime
    subject: str = ""
    arguments: dict[str, object] = {}  # noqa: RUF012 a default that is never changed
    reason: str = ""
    epoch: int | None = None
    status: Status | None = None
    outcome: OrderOutcome | None = None
    answer: str = ""
    decided_at: datetime | None = None

"""Why nothing is started: every reason that the core knows, as one closed list."""

from __future__ import annotations

from enum import StrEnum


class Why(StrEnum):
    """Why a ready task is not dispatched. Each has its words and its way out in `explain`."""

    STOP = "stop"
    NO_TARGET = "no-target"
    BREAKER = "breaker"
    RED_MAIN = "red-main"
    LOW_DISK = "low-disk"
    PROVIDER_HELD = "provider-held"
    DAY_SPENT = "day-spent"
    ODD_MODE = "odd-mode"
    OTHER_TARGET = "other-target"
    NOT_APPROVED = "not-approved"
    NEED_UNKNOWN = "need-unknown"
    NEED_GIVEN_UP = "need-given-up"
    NEED_PARKED = "need-parked"
    NEED_ITSELF = "need-itself"
    NEED_OPEN = "need-open"
    SCOPE_HELD = "scope-held"
    NO_SEAT = "no-seat"


# What only a person can change: waiting is no use.
FOR_EVER = frozenset(
    {Why.ODD_MODE, Why.OTHER_TARGET, Why.NEED_UNKNOWN, Why.NEED_GIVEN_UP, Why.NEED_PARKED, Why.NEED_ITSELF}
)

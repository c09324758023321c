"""What went wrong with an agent program itself, told apart from what its work was worth."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """Why a program gave no usable run: found in structured envelopes, exits and our own clocks, never in prose."""

    USAGE_LIMIT = "usage-limit"
    OVERLOAD = "overload"
    ENTITLEMENT = "entitlement"
    BAD_KEY = "bad-key"
    CONTEXT_TOO_LONG = "context-too-long"
    UNKNOWN_MODEL = "unknown-model"
    TIMEOUT = "timeout"
    IDLE = "idle"
    LIMIT = "limit"
    KILLED = "killed"
    CRASHED = "crashed"
    NO_OUTPUT = "no-output"
    MISSING = "missing"
    TOO_OLD = "too-old"
    NOT_CONFINED = "not-confined"
    SESSION_REFUSED = "session-refused"
    BROKEN_STREAM = "broken-stream"


class Limit(StrEnum):
    """Which limit stopped a program."""

    MONEY = "money"
    TOKENS = "tokens"
    TURNS = "turns"
    SECONDS = "seconds"
    IDLE = "idle"
    OUTPUT = "output"
    NO_WRITE = "no-write"
    DAY = "day"
    TASK = "task"

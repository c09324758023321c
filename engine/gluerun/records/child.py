"""One program that a run's wrapper starts and waits for, and how it ended."""

from __future__ import annotations

from enum import StrEnum

from gluerun.records.record import record


@record
class Child:
    """One program that a run's wrapper starts and waits for.

    `marker` is the dispatch id in its environment: when the child has ended, or a limit is hit, every
    process that carries it is ended too. Seconds; zero means no limit.
    """

    name: str
    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str]
    stdin: str
    log: str
    marker: str
    timeout: int
    idle: int = 0
    grace: int = 10
    max_log_bytes: int = 67_108_864


class How(StrEnum):
    """How a child came to its end."""

    EXITED = "exited"
    KILLED = "killed"
    TIMED_OUT = "timed-out"
    IDLE = "idle"
    MISSING = "missing"


@record
class ChildDone:
    """How a child ended; `exit_code` is negative for a signal, as subprocess has it."""

    SCHEMA = "child-done.v0"

    name: str
    how: How
    exit_code: int
    duration_ms: int
    survivors: int = 0

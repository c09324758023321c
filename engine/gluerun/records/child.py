"""One program that a run's wrapper starts and waits for, and how it ended."""

from __future__ import annotations

from enum import StrEnum

from gluerun.records.fault import Limit
from gluerun.records.record import record
from gluerun.records.runner import Dialect, Limits, Price
from gluerun.records.sandbox import Confinement


def scratch_of(run_id: str, name: str) -> str:
    """Return the scratch folder of a child, relative to the state folder."""
    return f"runs/{run_id}/scratch/{name}"


@record
class DayMeter:
    """The counter that all programs of one day share: `file` holds what they have used, and what they may."""

    file: str
    limits: Limits


@record
class Child:
    """One program that a run's wrapper starts and waits for.

    `marker` is the dispatch id in its environment: when the child has ended, or a limit is hit, every
    process that carries it is ended too. Seconds; zero means no limit. `stop` is the first signal of the
    ladder. `dialect`, `limits`, `price` and `day` let the waiter count while the program runs; what looks
    like a secret is masked before it reaches the log, unless `mask` is off.

    `confined_argv` is started instead of `argv` where the engine's sandbox holds it. `folders` (absolute) are
    made for its eyes only, and `seeds` (absolute, new → old) copied there if the old one is there; with
    `scratch` it gets a folder of its own (`scratch_of`), removed when it has ended. One with `slots` (lock files) is
    started once one of them is free, and not at all if none is within its time.
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
    stop: str = "TERM"
    dialect: Dialect = Dialect.TEXT
    limits: Limits = Limits()
    price: Price | None = None
    day: DayMeter | None = None
    confine: Confinement | None = None
    confined_argv: tuple[str, ...] = ()
    mask: bool = True
    folders: tuple[str, ...] = ()
    seeds: dict[str, str] = {}  # noqa: RUF012 a default that is never changed
    scratch: bool = False
    slots: tuple[str, ...] = ()


class How(StrEnum):
    """How a child came to its end."""

    EXITED = "exited"
    KILLED = "killed"
    TIMED_OUT = "timed-out"
    IDLE = "idle"
    LIMIT = "limit"
    MISSING = "missing"
    REFUSED = "refused"


class Tier(StrEnum):
    """By what means a tree of processes is ended for certain; the first that the machine has is taken."""

    CGROUP = "cgroup"
    PID_NAMESPACE = "pid-namespace"
    SUBREAPER = "subreaper"
    MARKER = "marker"


@record
class ChildDone:
    """How a child ended; `exit_code` is negative for a signal, as subprocess has it.

    `survivors` outlived every means of ending them (none is the proof that the tree is gone); `ended` is how
    many processes it left behind that had to be ended; `limit` is what stopped it; `confined` is the sandbox
    that held it; `refusal` says why it was not started at all.
    """

    SCHEMA = "child-done.v0"

    name: str
    how: How
    exit_code: int
    duration_ms: int
    survivors: int = 0
    tier: Tier | None = None
    ended: int = 0
    limit: Limit | None = None
    confined: str = ""
    refusal: str = ""

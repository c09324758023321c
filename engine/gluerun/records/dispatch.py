"""One run of one role: what it was asked (Dispatch), who it is (Identity), how it ended (Ending)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from gluerun.records.failure import Answer, Authority, Failure, FailureNote
from gluerun.records.fault import Fault
from gluerun.records.flake import FlakyTest
from gluerun.records.pause import Paused
from gluerun.records.pipeline import Occasion
from gluerun.records.record import record
from gluerun.records.spent import Spent
from gluerun.records.task import TaskSpec


class Role(StrEnum):
    """What a dispatch is for. A role is a prompt, a place and the shape of an answer."""

    WORKER = "worker"
    PROVER = "prover"
    PLANNER = "planner"
    AUDITOR = "auditor"
    DECIDER = "decider"
    CRITIC = "critic"


@record
class Dispatch:
    """What L0 asks of one detached run: `runs/<run>/dispatch.json`, written before the run exists.

    `own_prompts` is what the repository itself says to a role, as it stood at the base.
    `audit_sha` is work of an earlier run whose gate was green and whose auditor could not be asked; `told` is what a
    person said when he asked for this run. `paused` is the limit at which an earlier run broke off and beyond which a
    person let this one go on; `spent` is what counts for the task's own limit.
    `engine_version` is the engine that runs it to its end, whatever is installed meanwhile.
    `slot` is the gate slot that a prover of the queue has to itself; `occasion` is whose gates one runs that proves
    neither a candidate nor a node.
    `flaky` are tests that are known to flake or are in quarantine; nobody who judges a node is told of any.
    """

    SCHEMA = "dispatch.v0"

    run_id: str
    role: Role
    batch_id: str
    target_branch: str
    base_sha: str
    started_at: datetime
    expires_at: datetime
    config_sha256: str
    epoch: int = 0
    task_id: str | None = None
    node: str | None = None
    spec: TaskSpec | None = None
    owned_files: tuple[str, ...] = ()
    tries_used: int = 0
    max_tries: int = 1
    seed_sha: str | None = None
    previous_run: str | None = None
    last_failure: FailureNote | None = None
    candidate: str | None = None
    branch_head: str | None = None
    gate_command: str = ""
    prompt: str = ""
    critic_prompt: str = ""
    own_prompts: dict[str, str] = {}  # noqa: RUF012 a default that is never changed
    audit_sha: str | None = None
    spent: Spent = Spent()
    told: str = ""
    engine_version: str = ""
    slot: int | None = None
    occasion: Occasion | None = None
    paused: Paused | None = None
    flaky: tuple[FlakyTest, ...] = ()


@record
class Identity:
    """Who a run's wrapper is, in terms no clock can move: `runs/<run>/identity.json`.

    `awake` is how many seconds its machine had been awake when it signed in first.
    """

    SCHEMA = "identity.v0"

    boot_id: str
    pid_namespace: str
    pid: int
    start_ticks: int
    awake: int | None = None


class Life(StrEnum):
    """Whether somebody of a run still lives."""

    ALIVE = "alive"
    ORPHANED = "orphaned"
    DEAD = "dead"


class Outcome(StrEnum):
    """How a run ended."""

    ACCEPTED = "accepted"
    FAILED = "failed"
    PROVED = "proved"
    PLANNED = "planned"
    HELD = "held"
    PAUSED = "paused"


@record
class Usage:
    """What a run's agents used, as far as they told; None is unknown, never zero.

    `estimated` says that the money comes from a price table and not from the program.
    """

    fresh_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    turns: int | None = None
    estimated: bool = False


@record
class Seat:
    """Who really played a role, as the program itself reported it; `unknown` where it did not."""

    runner: str
    provider: str = "unknown"
    model: str = "unknown"
    session: str = "unknown"
    version: str = "unknown"


@record
class Held:
    """Why a run was broken off without a judgement: its provider cannot be asked now."""

    provider: str
    fault: Fault
    reason: str
    role: Role
    until: datetime | None = None


@record
class Ending:
    """How a run ended: `runs/<run>/ending.json`, durable before the run's process leaves."""

    SCHEMA = "ending.v0"

    run_id: str
    role: Role
    epoch: int
    outcome: Outcome
    finished_at: datetime
    tries: int = 0
    task_id: str | None = None
    node: str | None = None
    failure: Failure | None = None
    answer: Answer | None = None
    authority: Authority | None = None
    reason: str = ""
    detail: str = ""
    paths: tuple[str, ...] = ()
    head_sha: str | None = None
    diff_sha256: str | None = None
    packet_sha256: str | None = None
    green_tree: str | None = None
    green_gate: str | None = None
    usage: Usage | None = None
    held: Held | None = None
    paused: Paused | None = None

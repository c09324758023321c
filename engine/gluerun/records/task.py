"""The task: what a person asked for, and the running truth about it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from gluerun.records.config import ApprovalRule
from gluerun.records.failure import Decision, FailureNote
from gluerun.records.pause import Paused
from gluerun.records.record import record
from gluerun.records.spent import Spent


class Status(StrEnum):
    """Where a task stands. *Waiting* and *running* are derived, never stored."""

    READY = "ready"
    ACCEPTED = "accepted"
    INTEGRATED = "integrated"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


TERMINAL = frozenset({Status.INTEGRATED, Status.CANCELLED, Status.SUPERSEDED})


class Policy(StrEnum):
    """How a task's tests come about."""

    STRICT_TEST_FIRST = "strict_test_first"
    CHARACTERIZATION_FIRST = "characterization_first"
    TEST_AFTER_WAIVER = "test_after_waiver"
    NOT_APPLICABLE = "not_applicable"


@record
class TaskSpec:
    """What a task's Markdown says, with the defaults of the configuration filled in."""

    task_id: str
    title: str
    area: str
    target_branch: str
    worker_branch: str
    objective: str
    owned_files: tuple[str, ...]
    acceptance_criteria: tuple[str, ...] = ()
    forbidden_files: tuple[str, ...] = ()
    prerequisites: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    gate_command: str = ""
    dispatch_mode: str = "canonical"
    test_policy: Policy | None = None
    dag_node: str | None = None
    supersedes: str | None = None
    notes: str = ""
    priority: int = 0
    approve_plan: ApprovalRule | None = None
    approval: ApprovalRule | None = None


class ProofState(StrEnum):
    """How far the integration of an accepted branch is: built, being proved, or with its gate's answer."""

    CHAINED = "chained"
    PROVING = "proving"
    PROVED = "proved"
    RED = "red"
    WAITING = "waiting"


class Request(StrEnum):
    """How far a pull request for proved work is: wanted, or made and a person's to merge."""

    WANTED = "wanted"
    MADE = "made"


@record
class Proof:
    """A task's link in the merge queue: its candidate, the commit it was built on, and what its gate said.

    `target_head` is the target's head or the candidate of the change before it. `alone` is one that nothing is built
    on: a person may be asked about it, a checkout is in its way, or it is asked a second time (`reruns`).
    `red_run` is the run that was red before that; `flaky` is what made it red if all of that is known to flake.
    `pull_request` is the web address of the one that was made.
    """

    state: ProofState
    branch_head: str
    target_head: str
    candidate: str
    tree: str
    since: datetime
    run_id: str | None = None
    blocked_paths: tuple[str, ...] = ()
    slot: int | None = None
    alone: bool = False
    reruns: int = 0
    red_run: str | None = None
    flaky: tuple[str, ...] = ()
    request: Request | None = None
    pull_request: str = ""

    @property
    def is_in_the_way(self) -> bool:
        """Tell whether somebody's checkout keeps it from landing."""
        return bool(self.blocked_paths)


@record
class Ordered:
    """What a person ordered last about a task: the order's id and verb, who gave it, when, and the reason."""

    order: str
    verb: str
    by: str
    at: datetime
    reason: str = ""


@record
class Task:
    """The running truth of one task: `tasks/live/<ID>.json`, under `tasks/archive/` once terminal.

    `settled_run` is the last run that was taken in: its tries and costs are counted, whatever lease is left of it.
    `priority` is what a person ordered after the task was written; without it the Markdown's counts.
    `paused` is the limit at which its last run broke off; `limit_from` is what was spent when a person last let it go
    on beyond the task's own limit, which counts from there.
    """

    SCHEMA = "task.v0"

    task_id: str
    status: Status
    spec: TaskSpec
    source_sha256: str
    source_mark: str
    created_at: datetime
    updated_at: datetime
    source_path: str = ""
    epoch: int = 0
    tries: int = 0
    infra_tries: int = 0
    run_id: str | None = None
    settled_run: str | None = None
    base_sha: str | None = None
    head_sha: str | None = None
    packet_sha256: str | None = None
    green_tree: str | None = None
    green_gate: str | None = None
    seed_sha: str | None = None
    audit_sha: str | None = None
    spent: Spent = Spent()
    amended_files: tuple[str, ...] = ()
    proof: Proof | None = None
    last_failure: FailureNote | None = None
    decision: Decision | None = None
    merge_commit: str | None = None
    priority: int | None = None
    ordered: Ordered | None = None
    superseded_by: str | None = None
    paused: Paused | None = None
    limit_from: Spent | None = None

    @property
    def rank(self) -> int:
        """How early it is started among those that may start: higher first."""
        return self.spec.priority if self.priority is None else self.priority

    @property
    def owned(self) -> tuple[str, ...]:
        """The paths this task may change: those it asked for and those it was given later."""
        return self.spec.owned_files + self.amended_files

    @property
    def parked_by(self) -> Ordered | None:
        """The order that parked it; None if it is not parked, or was by a failure since the last order."""
        is_parked = self.status is Status.BLOCKED and self.ordered is not None and self.ordered.verb == "park"
        return self.ordered if is_parked else None

    @property
    def is_terminal(self) -> bool:
        """Tell whether nothing can happen to this task any more."""
        return self.status in TERMINAL

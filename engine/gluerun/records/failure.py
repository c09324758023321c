"""Why work was not merged, what is done about it, and who decided that."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from gluerun.records.record import record


class Failure(StrEnum):
    """Why a try did not end in a merge. Words of the predecessor, kept."""

    GATE_RED = "gate-red"
    WORKER_NO_PACKET = "worker-no-packet"
    PACKET_INVALID = "packet-invalid"
    NO_CHANGES = "no-changes"
    COMMIT_FAILED = "commit-failed"
    SCOPE_VIOLATION = "scope-violation"
    WORKER_INFRA = "worker-infra"
    AUDIT_INFRA = "audit-infra"
    AUDIT_NEEDS_FIX = "audit-needs-fix"
    AUDIT_BLOCKED = "audit-blocked"
    AUDIT_NEEDS_HUMAN = "audit-needs-human"
    AUDIT_UNKNOWN = "audit-unknown"
    SECRET_DETECTED = "secret-detected"  # noqa: S105 a failure class, not a secret
    PROOF_SKIP_DETECTED = "proof-skip-detected"
    LIMIT_REACHED = "limit-reached"
    STALE_LEASE = "stale-lease"
    INTEGRATION_CONFLICT = "integration-conflict"
    INTEGRATION_GATE_RED = "integration-gate-red"


class Answer(StrEnum):
    """What is done about a failure. Words of the predecessor, and ASK_MODEL for 'the table has none'."""

    RETRY = "retry"
    RERUN_TESTS = "rerun-tests"
    REBASE = "rebase"
    FORK = "fork"
    CANCEL = "cancel"
    SUPERSEDE = "supersede"
    AMEND_SCOPE = "amend-scope"
    REBUILD_CONTEXT = "rebuild-context"
    REVALIDATE_EVIDENCE = "revalidate-evidence"
    SPLIT_TASK = "split-task"
    ACCEPT_WAIVER = "accept-waiver"
    RELEASE = "release"
    ESCALATE_PARKED = "escalate-parked"
    ESCALATE_INFRA = "escalate-infra"
    ASK_MODEL = "ask-model"


class Authority(StrEnum):
    """Who gave the answer: the table, a model, or the loop when nothing else was left."""

    POLICY = "policy"
    DECIDER = "decider"
    L1 = "l1"


@record
class Decision:
    """One answer to one failure, with its reason."""

    SCHEMA = "decision.v0"

    failure_class: Failure
    action: Answer
    rationale: str
    authority: Authority = Authority.POLICY
    paths: tuple[str, ...] = ()


@record
class FailureNote:
    """The last failure of a task, as the next try and the person who looks need it."""

    failure_class: Failure
    reason: str
    at: datetime
    run_id: str | None = None
    head_sha: str | None = None
    target_head: str | None = None
    diff_sha256: str | None = None
    places: tuple[str, ...] = ()
    detail: str = ""

"""The auditor's word, the model's answer to a failure, and the findings that live on between tries."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from gluerun.records.record import record


class Judgement(StrEnum):
    """What an auditor may say of a commit."""

    ACCEPTED = "accepted"
    NEEDS_FIX = "needs-fix"
    BLOCKED = "blocked"
    NEEDS_HUMAN = "needs-human"


@record
class Verdict:
    """An auditor's verdict, bound to one commit and to the dispatch that was asked."""

    SCHEMA = "audit-verdict.v0"

    verdict: Judgement
    rationale: str
    head_sha: str
    nonce: str
    findings: tuple[str, ...] = ()
    required_fixes: tuple[str, ...] = ()
    findings_status: dict[str, str] = {}  # noqa: RUF012 a default that is never changed
    evidence_reviewed: tuple[str, ...] = ()
    commands_run: tuple[str, ...] = ()
    run_id: str | None = None
    task_id: str | None = None
    branch: str | None = None


@record
class DecisionClaim:
    """A model's answer to a failure that the table leaves open."""

    SCHEMA = "decider-verdict.v0"

    failure_class: str
    action: str
    rationale: str
    nonce: str
    next_owner: str | None = None
    confidence: float | None = None
    run_id: str | None = None
    task_id: str | None = None
    branch: str | None = None


class FindingStatus(StrEnum):
    """Whether a finding still stands."""

    OPEN = "open"
    RESOLVED = "resolved"


@record
class Finding:
    """One thing that an auditor wants changed, with an id that survives re-wording of white space."""

    id: str
    text: str
    source: str
    status: FindingStatus
    first_seen_attempt: int
    last_seen_attempt: int
    resolved_attempt: int | None = None
    resolved_by: str | None = None


@record
class Ledger:
    """All findings about one task: `runs/<run>/findings-status.json`, handed from run to run."""

    SCHEMA = "findings-ledger.v0"

    task_id: str
    run_id: str
    findings: tuple[Finding, ...]
    updated_at: datetime

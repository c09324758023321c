"""What is kept of one try and of one audit, small and with its hash: what the next one may be told."""

from __future__ import annotations

from datetime import datetime

from gluerun.records.packet import Blocker, Command, TestNote
from gluerun.records.record import record


@record
class ImplementerCapsule:
    """What one try left: `runs/<run>/attempts/<n>/implementer-capsule.json`; the latest lies in the run's folder too.

    Paths, head and branch are what the engine found; commands, tests, blockers and the next action are claims
    of the agent. Lists hold at most twenty entries. No head: nothing was ever committed. `content_hash` is taken
    of everything but itself, the time and the packet, so that two tries that left the same have the same.
    """

    SCHEMA = "context-capsule.v0"

    role: str
    task_id: str
    run_id: str
    attempt: int
    base_ref: str
    branch: str
    owned_files: tuple[str, ...]
    forbidden_files: tuple[str, ...]
    changed_files: tuple[str, ...]
    commands: tuple[Command, ...]
    tests: tuple[TestNote, ...]
    blockers: tuple[Blocker, ...]
    next_action: str
    content_hash: str
    created_at: datetime
    head_sha: str | None = None
    packet_sha256: str | None = None


@record
class ReviewerCapsule:
    """What one audit said: `runs/<run>/attempts/<n>/reviewer-capsule.json`; the latest lies in the run's folder too.

    `audit_sha256` is the hash of the verdict that is kept beside it.
    """

    SCHEMA = "reviewer-capsule.v0"

    role: str
    task_id: str
    run_id: str
    attempt: int
    verdict: str
    audited_head_sha: str
    diff_range: str
    finding_ids: tuple[str, ...]
    evidence_reviewed: tuple[str, ...]
    commands_run: tuple[str, ...]
    rationale: str
    audit_sha256: str
    created_at: datetime

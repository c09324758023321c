"""What is kept of a try and of an audit, so that the next one need not guess it from logs."""

from __future__ import annotations

import hashlib

from gluerun.core.continuity import finding_id
from gluerun.errors import SchemaError
from gluerun.records import codec, schema
from gluerun.records.capsule import ImplementerCapsule, ReviewerCapsule
from gluerun.records.packet import PacketClaim
from gluerun.records.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from gluerun.records.dispatch import Dispatch
    from gluerun.records.task import TaskSpec
    from gluerun.records.verdict import Verdict

IMPLEMENTER = "implementer-capsule.json"
REVIEWER = "reviewer-capsule.json"
MOST = 20
RATIONALE = 1500
_NOT_HASHED = ("createdAt", "contentHash", "packetSha256")


def implementer(
    dispatch: Dispatch,
    spec: TaskSpec,
    attempt: int,
    now: datetime,
    *,
    head: str,
    changed: tuple[str, ...],
    claim: PacketClaim | None,
    next_action: str,
    packet_sha256: str | None = None,
) -> ImplementerCapsule:
    """Return what a try left; *next_action* stands where the agent named none."""
    said = claim or PacketClaim()
    capsule = ImplementerCapsule(
        role="implementer",
        task_id=spec.task_id,
        run_id=dispatch.run_id,
        attempt=attempt,
        base_ref=dispatch.base_sha,
        branch=spec.worker_branch,
        owned_files=dispatch.owned_files[:MOST],
        forbidden_files=spec.forbidden_files[:MOST],
        changed_files=changed[:MOST],
        commands=said.commands[:MOST],
        tests=said.tests[:MOST],
        blockers=said.blockers[:MOST],
        next_action=said.next_action or next_action,
        content_hash="",
        created_at=now,
        head_sha=head or None,
        packet_sha256=packet_sha256,
    )
    document = codec.to_wire(capsule)
    hashed = {key: item for key, item in document.items() if key not in _NOT_HASHED}
    return replace(capsule, content_hash=hashlib.sha256(codec.canonical(hashed)).hexdigest())


def reviewer(
    dispatch: Dispatch, spec: TaskSpec, attempt: int, now: datetime, *, verdict: Verdict, audit_sha256: str
) -> ReviewerCapsule:
    """Return what an audit said."""
    texts = (*verdict.findings, *verdict.required_fixes)
    return ReviewerCapsule(
        role="reviewer",
        task_id=spec.task_id,
        run_id=dispatch.run_id,
        attempt=attempt,
        verdict=verdict.verdict.value,
        audited_head_sha=verdict.head_sha,
        diff_range=f"{dispatch.base_sha}..{verdict.head_sha}",
        finding_ids=tuple(dict.fromkeys(map(finding_id, texts)))[:MOST],
        evidence_reviewed=verdict.evidence_reviewed[:MOST],
        commands_run=verdict.commands_run[:MOST],
        rationale=verdict.rationale[:RATIONALE],
        audit_sha256=audit_sha256,
        created_at=now,
    )


def reviewer_of(document: object, task_id: str) -> ReviewerCapsule | None:
    """Return what an earlier run kept of its last audit of this task; None if nothing that can be used."""
    try:
        capsule = None if document is None else schema.admit(ReviewerCapsule, document)
    except SchemaError:
        return None
    return capsule if capsule and capsule.task_id == task_id else None

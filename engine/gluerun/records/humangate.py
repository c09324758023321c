"""A node's approval by a person: what is asked, bound to files by their digests, and what was answered."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from gluerun.records.record import record


class GateDecision(StrEnum):
    """What a person decided about a node."""

    APPROVED = "approved"
    REJECTED = "rejected"


@record
class GateQuestion:
    """Something that a person has to answer to approve."""

    id: str
    prompt: str
    required: bool = True


@record
class Artifact:
    """A file that a person looks at, as it is."""

    ref: str
    sha256: str


@record
class GateRequest:
    """What is asked about a node: `human-gates/<id>.human-gate.json`."""

    SCHEMA = "human-gate.v0"

    gate_id: str
    node: str
    approval_type: str
    required_owner: str
    questions: tuple[GateQuestion, ...]
    artifacts: tuple[Artifact, ...]
    created_at: datetime
    expires_at: datetime
    blocked_nodes: tuple[str, ...] = ()


@record
class GateApproval:
    """What a person answered: `human-gates/<id>.human-approval.json`. It is about one version of one request."""

    SCHEMA = "human-approval.v0"

    gate_id: str
    node: str
    request_ref: str
    request_sha256: str
    approver: str
    decision: GateDecision
    rationale: str
    approved_at: datetime
    expires_at: datetime
    answers: dict[str, str] = {}  # noqa: RUF012 a default that is never changed
    artifacts: tuple[Artifact, ...] = ()
    evidence: tuple[str, ...] = ()

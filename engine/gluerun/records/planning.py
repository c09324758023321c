"""What planning leaves behind: why a node's last batch was not taken, and what a critic said of a plan."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from gluerun.records.record import record


@record
class PlanNote:
    """Why a node's last batch was not taken in: `plan-notes/<node>.json`; `times` counts such batches in a row.

    The node is not planned before `until`. One that is parked is planned again only when a person says so.
    """

    SCHEMA = "plan-note.v0"

    node: str
    run_id: str
    reason: str
    noted_at: datetime
    until: datetime
    times: int = 1
    is_parked: bool = False


class PlanVerdict(StrEnum):
    """What a critic says of a plan."""

    APPROVE = "approve"
    REVISE = "revise"
    PARK = "park"


class Severity(StrEnum):
    """How much a critic's finding weighs: only a blocking one can send a plan back."""

    BLOCKING = "blocking"
    SHOULD_FIX = "should-fix"
    NOTE = "note"


@record
class PlanFinding:
    """One thing that a critic holds against a plan."""

    id: str
    severity: Severity
    claim: str
    evidence: str = ""
    suggested_change: str | None = None


@record
class PlanCritique:
    """A critic's word about one batch: a claim in `outputs/`, kept in `runs/<run>/plan-critique.json`."""

    SCHEMA = "plan-critique.v0"

    verdict: PlanVerdict
    rationale: str
    node: str | None = None
    run_id: str | None = None
    batch_task_ids: tuple[str, ...] = ()
    findings: tuple[PlanFinding, ...] = ()
    assumptions_challenged: tuple[str, ...] = ()
    nonce: str | None = None


@record
class ImportIntent:
    """Task files that are about to be written, all or none: `imports/<number>.json`, gone when they all are there."""

    SCHEMA = "import-intent.v0"

    source: str
    created_at: datetime
    files: dict[str, str]

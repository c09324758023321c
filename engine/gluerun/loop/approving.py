"""Requests for approval as they lie there: made once, under a number that is never given twice, and put away."""

from __future__ import annotations

import hashlib

from gluerun.core.actions import AskApproval, LapseApproval
from gluerun.core.continuity import ACCEPTED
from gluerun.core.recording import is_record, without_records
from gluerun.core.risks import Facts, Work
from gluerun.core.tamper import EVIDENCE
from gluerun.errors import GluerunError
from gluerun.loop.evidence import AUDIT, CANDIDATE, PACKET, RECEIPT
from gluerun.loop.store import run_path
from gluerun.records import codec, schema
from gluerun.records.approval import ApprovalState
from gluerun.records.attempt import AttemptsIndex
from gluerun.records.failure import Failure
from gluerun.records.packet import Packet
from gluerun.records.record import replace
from gluerun.records.task import ProofState, Status
from gluerun.records.verdict import FindingStatus, Ledger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import Notes
    from gluerun.ports import Change
    from gluerun.records.task import Task

    T = TypeVar("T")

LEDGER, ATTEMPTS = "findings-status.json", "attempts/index.json"
# More of a difference is not counted.
_COUNTED = 400_000


def handle(house: House, action: AskApproval | LapseApproval, notes: Notes) -> bool:
    """Make a request, or say what became of one."""
    if isinstance(action, LapseApproval):
        request = action.approval
        house.store.put_approval(request, is_over=action.is_over)
        if request.state in (ApprovalState.STALE, ApprovalState.EXPIRED):
            house.tell(f"approval.{request.state}", f"{request.id} about {request.task_id}: {action.reason}",
                       task=request.task_id, approval=request.id)  # fmt: skip
        return True
    request = action.approval
    number = int(request.id.removeprefix("APR-"))
    # What remembers the next number is only a cache.
    while house.store.has_approval(f"APR-{number:04d}"):
        number += 1
    request = replace(request, id=f"APR-{number:04d}")
    house.store.put_approval(request)
    notes.next_approval = max(notes.next_approval, number + 1)
    house.tell("approval.asked", f"{request.id} about {request.task_id}: {action.reason}", task=request.task_id,
               approval=request.id, risks=list(request.risks) or None)  # fmt: skip
    return True


def facts(house: House, world: World) -> dict[str, Facts]:
    """Return what is known of the candidates that may land now, where a person has not approved just these."""
    known = {one.bound.candidate for one in world.approvals}
    found = {}
    for task in world.tasks:
        proof = task.proof
        if task.status is not Status.ACCEPTED or proof is None or proof.candidate in known:
            continue
        if proof.state not in (ProofState.PROVED, ProofState.WAITING):
            continue
        if (proof.branch_head, proof.target_head) == (task.head_sha, world.target_head):
            found[task.task_id] = _facts(house, task, proof.target_head, proof.candidate)
    return found


def _facts(house: House, task: Task, base: str, candidate: str) -> Facts:
    # The records that ride in the merge are the engine's, and another text each time they are built.
    changes = tuple(one for one in house.doors.git.changes(base, candidate) if not is_record(one.path))
    patch = without_records(house.doors.git.patch(base, candidate, limit=_COUNTED))
    run_id = task.run_id or ""
    return Facts(
        candidate=candidate,
        diff_sha256=diff_sha256(changes),
        receipt=_digest(house, run_id, CANDIDATE) or _digest(house, run_id, RECEIPT),
        verdict=_digest(house, run_id, AUDIT),
        work=_work(house, task, changes, patch),
    )


def diff_sha256(changes: tuple[Change, ...]) -> str:
    """Return the digest of what changes between two commits: paths, kinds, modes and contents."""
    rows = sorted([one.path, one.status, one.mode, one.sha] for one in changes)
    return hashlib.sha256(codec.canonical(rows)).hexdigest()


def _digest(house: House, run_id: str, name: str) -> str | None:
    """Return the digest of a document of a run, by which evidence names it; None if there is none."""
    data = house.store.files.read(run_path(run_id, name)) if run_id else None
    return None if data is None else hashlib.sha256(codec.canonical(codec.decode(data))).hexdigest()


def _work(house: House, task: Task, changes: tuple[Change, ...], patch: str) -> Work:
    run_id = task.run_id or ""
    packet, ledger, index = (
        record_of(house, cls, run_id, name)
        for cls, name in ((Packet, PACKET), (Ledger, LEDGER), (AttemptsIndex, ATTEMPTS))
    )
    evidence = packet.evidence if isinstance(packet, Packet) else ()
    findings = ledger.findings if isinstance(ledger, Ledger) else ()
    attempts = index.attempts if isinstance(index, AttemptsIndex) else ()
    return Work(
        changed=tuple(one.path for one in changes),
        deleted=tuple(one.path for one in changes if one.status == "D"),
        lines=sum(line[:1] in "+-" and line[:3] not in ("+++", "---") for line in patch.splitlines() if line),
        tests=next((one.ref for one in evidence if one.kind == EVIDENCE), ""),
        is_waived=any(one.kind == "waiver" for one in evidence),
        met_limit=any(one.failure_class is Failure.LIMIT_REACHED for one in attempts),
        closed_unnamed=sum(one.status is FindingStatus.RESOLVED and one.resolved_by == ACCEPTED for one in findings),
        is_unread=packet is None,
    )


def record_of(house: House, cls: type[T], run_id: str, name: str) -> T | None:
    """Return a record from a run's folder; None if it is not there or cannot be read."""
    try:
        document = house.store.document(run_id, name) if run_id else None
        return None if document is None else schema.admit(cls, document)
    except GluerunError:
        return None

"""Whether a person has approved a node: the request, the answer and the files that they are about, held together."""

from __future__ import annotations

from gluerun.errors import SchemaError
from gluerun.records.humangate import GateDecision
from gluerun.records.paths import ORCHESTRATION, covers, scope_entry
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from gluerun.records.graph import HumanGate, Node
    from gluerun.records.humangate import GateApproval, GateRequest

FOLDER = f"{ORCHESTRATION}/human-gates"


@record
class GateSeen:
    """What lies there about a node's approval; `artifacts` has the digest of each file as it is, or nothing.

    `fault` says what of it cannot be read.
    """

    request: GateRequest | None = None
    request_sha256: str = ""
    approval: GateApproval | None = None
    artifacts: dict[str, str] = {}  # noqa: RUF012 a default that is never changed
    fault: str = ""


def default_refs(node: str) -> tuple[str, str]:
    """Return where a node's request and its answer lie unless the graph says otherwise."""
    return f"{FOLDER}/{node}.human-gate.json", f"{FOLDER}/{node}.human-approval.json"


def ref_fault(gate: HumanGate) -> str:
    """Say why the places that a graph names for a request and its answer cannot be used; empty if they can."""
    for ref in (gate.request_ref, gate.approval_ref):
        if fault := path_fault(ref):
            return fault
        if not covers(FOLDER, ref):
            return f"{ref!r} does not lie in {FOLDER}"
    return "" if gate.request_ref != gate.approval_ref else "request and answer lie in one file"


def path_fault(ref: str) -> str:
    """Say why a path is none of this repository; empty if it is one."""
    try:
        return "" if scope_entry(ref) == ref else f"{ref!r} is not written plainly"
    except SchemaError as error:
        return error.message


def changed(seen: GateSeen) -> tuple[str, ...]:
    """Return the files that are not as they were when the question was asked."""
    asked = seen.request.artifacts if seen.request else ()
    return tuple(one.ref for one in asked if seen.artifacts.get(one.ref, "") != one.sha256)


def unanswerable(node: Node, seen: GateSeen, now: datetime) -> str:
    """Say why nobody can answer what is asked about a node; empty if somebody can."""
    request = seen.request
    if seen.fault:
        return seen.fault
    if request is None:
        return "nobody was asked"
    if request.node != node.id:
        return f"the request is about {request.node!r}"
    if changes := changed(seen):
        return f"{', '.join(changes)} changed since it was asked"
    return f"the request expired at {request.expires_at:%Y-%m-%d %H:%M:%SZ}" if now >= request.expires_at else ""


def why_not(node: Node, seen: GateSeen, now: datetime) -> str:
    """Say why a node does not count as approved by a person; empty if it does."""
    request, approval = seen.request, seen.approval
    if request is None or seen.fault or approval is None:
        return unanswerable(node, seen, now) or "nobody has answered yet"
    if request.node != node.id:
        return f"the request is about {request.node!r}"
    if changes := changed(seen):
        return f"{', '.join(changes)} changed since it was asked"
    if approval.request_sha256 != seen.request_sha256 or approval.artifacts != request.artifacts:
        return "the answer is to another version of the request"
    if (approval.node, approval.gate_id) != (node.id, request.gate_id):
        return f"the answer is about {approval.node!r}"
    if approval.decision is GateDecision.REJECTED:
        return f"{approval.approver} rejected it: {approval.rationale}"
    if not is_owner(approval.approver, request):
        return f"{approval.approver} has approved it, and {request.required_owner} has to"
    if missing := unanswered(request, approval.answers):
        return f"the answer leaves open: {', '.join(missing)}"
    if approval.approved_at > request.expires_at:
        return "it was approved after the request had expired"
    return f"the approval expired at {approval.expires_at:%Y-%m-%d %H:%M:%SZ}" if now >= approval.expires_at else ""


def is_owner(who: str, request: GateRequest) -> bool:
    """Tell whether somebody is who has to decide."""
    return request.required_owner in (who, who.partition("@")[0])


def unanswered(request: GateRequest, answers: dict[str, str]) -> tuple[str, ...]:
    """Return the required questions without an answer."""
    return tuple(one.id for one in request.questions if one.required and not answers.get(one.id, "").strip())

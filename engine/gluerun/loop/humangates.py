"""Approvals of nodes as they lie in the repository: looked at by every cycle, written by the verbs of a person."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from gluerun.core.humangates import (
    GateSeen,
    default_refs,
    is_owner,
    path_fault,
    ref_fault,
    unanswerable,
    unanswered,
    why_not,
)
from gluerun.core.masking import masked_text
from gluerun.errors import ConfigError, SchemaError, UsageError
from gluerun.loop.nodes import GRAPH, read_graph
from gluerun.records import schema
from gluerun.records.graph import HumanGate
from gluerun.records.humangate import Artifact, GateApproval, GateDecision, GateQuestion, GateRequest
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import TypeVar

    from gluerun.loop.nodes import Read
    from gluerun.ports import Files
    from gluerun.records.graph import Graph, Node

    T = TypeVar("T")


@record
class GatePage:
    """What `gluerun human-gate status` answers: where a node's approval stands, and why."""

    SCHEMA = "human-gate-page.v0"

    node: str
    approved: bool
    why: str
    request_ref: str
    approval_ref: str
    owner: str = ""
    questions: tuple[GateQuestion, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    expires_at: datetime | None = None
    dry_run: bool = False


def unapproved(read: Read, graph: Graph | None, now: datetime) -> dict[str, str]:
    """Return the nodes that a person has to approve and has not, and why."""
    found = {}
    for node in graph.nodes if graph else ():
        if node.human_gate is not None and (why := why_not(node, seen(read, node.human_gate), now)):
            found[node.id] = why
    return found


def seen(read: Read, gate: HumanGate) -> GateSeen:
    """Return what lies there about a node's approval; nothing that cannot be read counts as an answer."""
    if fault := ref_fault(gate):
        return GateSeen(fault=fault)
    try:
        request, digest = _read(read, GateRequest, gate.request_ref)
        approval, _ = _read(read, GateApproval, gate.approval_ref)
    except SchemaError as error:
        return GateSeen(fault=error.message)
    asked = request.artifacts if request else ()
    if fault := next((why for one in asked if (why := path_fault(one.ref))), ""):
        return GateSeen(fault=fault)
    if approval is not None and approval.request_ref != gate.request_ref:
        return GateSeen(fault=f"{gate.approval_ref} is the answer to {approval.request_ref}")
    files = {one.ref: _digest(data) for one in asked if (data := read(one.ref)) is not None}
    return GateSeen(request=request, request_sha256=digest, approval=approval, artifacts=files)


def _read(read: Read, cls: type[T], ref: str) -> tuple[T | None, str]:
    data = read(ref)
    return (None, "") if data is None else (schema.load(cls, data, file=ref), _digest(data))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def status(work: Files, name: str, now: datetime) -> GatePage:
    """Return where a node's approval stands."""
    node, gate = _gate(work, name)
    return _page(node, gate, seen(work.read, gate), now)


def _page(node: Node, gate: HumanGate, found: GateSeen, now: datetime, *, dry_run: bool = False) -> GatePage:
    why, request = why_not(node, found, now), found.request
    return GatePage(
        node=node.id,
        approved=not why,
        why=why,
        request_ref=gate.request_ref,
        approval_ref=gate.approval_ref,
        owner=request.required_owner if request else "",
        questions=request.questions if request else (),
        artifacts=request.artifacts if request else (),
        expires_at=(found.approval.expires_at if found.approval and not why else request.expires_at)
        if request
        else None,
        dry_run=dry_run,
    )


def request(
    work: Files,
    name: str,
    now: datetime,
    *,
    owner: str,
    questions: dict[str, str],
    artifacts: list[str],
    hours: float,
    kind: str = "node",
    again: bool = False,
    dry_run: bool = False,
) -> GatePage:
    """Ask a person about a node; UsageError, with nothing written, where that makes no sense."""
    node, gate = _gate(work, name)
    before = seen(work.read, gate)
    if before.request is not None and not unanswerable(node, before, now) and not again:
        raise UsageError(f"{name} is asked about already, in {gate.request_ref}", "say --again to ask anew")
    bound = tuple(_artifact(work, ref) for ref in dict.fromkeys(artifacts))
    asked = GateRequest(
        gate_id=node.id,
        node=node.id,
        approval_type=kind,
        required_owner=owner,
        questions=tuple(GateQuestion(id=key, prompt=text) for key, text in questions.items()),
        artifacts=bound,
        created_at=now,
        expires_at=now + timedelta(hours=hours),
    )
    data = schema.dump(asked)
    if not dry_run:
        work.write(gate.request_ref, data)
    after = GateSeen(request=asked, request_sha256=_digest(data), artifacts={one.ref: one.sha256 for one in bound})
    return _page(node, gate, after, now, dry_run=dry_run)


def answer(
    work: Files,
    name: str,
    now: datetime,
    *,
    decision: GateDecision,
    by: str,
    answers: dict[str, str],
    reason: str,
    evidence: tuple[str, ...] = (),
    dry_run: bool = False,
) -> GatePage:
    """Answer what is asked about a node; UsageError, with nothing written, where that cannot be answered so."""
    node, gate = _gate(work, name)
    found = seen(work.read, gate)
    if why := unanswerable(node, found, now):
        hint = f"`gluerun human-gate request {name}` asks" if found.request is None else "ask anew with --again"
        raise UsageError(f"{name} cannot be decided: {why}", hint, file=gate.request_ref)
    asked = found.request
    if asked is None:
        raise UsageError(f"{name} cannot be decided: nobody was asked", file=gate.request_ref)
    if not is_owner(by, asked):
        raise UsageError(f"{name} is for {asked.required_owner} to decide, not for {by}")
    known = [one.id for one in asked.questions]
    if unknown := next((key for key in answers if key not in known), ""):
        raise UsageError(f"{name} does not ask {unknown!r}", f"questions: {', '.join(known)}")
    if decision is GateDecision.APPROVED and (missing := unanswered(asked, answers)):
        raise UsageError(f"{name} also asks {', '.join(missing)}", f'add --answer "{missing[0]}=…" for each')
    if decision is GateDecision.REJECTED and not reason.strip():
        raise UsageError("a rejection needs a reason", "add --reason TEXT")
    said = GateApproval(
        gate_id=asked.gate_id,
        node=node.id,
        request_ref=gate.request_ref,
        request_sha256=found.request_sha256,
        approver=by,
        decision=decision,
        rationale=masked_text(reason),
        approved_at=now,
        expires_at=asked.expires_at,
        answers={key: masked_text(text) for key, text in answers.items()},
        artifacts=asked.artifacts,
        evidence=evidence,
    )
    if not dry_run:
        work.write(gate.approval_ref, schema.dump(said))
    after = GateSeen(request=asked, request_sha256=found.request_sha256, approval=said, artifacts=found.artifacts)
    return _page(node, gate, after, now, dry_run=dry_run)


def _gate(work: Files, name: str) -> tuple[Node, HumanGate]:
    try:
        graph = read_graph(work.read)
    except SchemaError as error:
        raise ConfigError(error.message, "type `gluerun validate-dag`", file=GRAPH) from None
    node = next((one for one in graph.nodes if one.id == name), None) if graph else None
    if node is None:
        raise UsageError(f"there is no node {name!r} in the planning graph", f"look into {GRAPH}", file=GRAPH)
    if node.human_gate is None:
        first, second = default_refs(node.id)
        hint = f'write "humanGate": {{"requestRef": "{first}", "approvalRef": "{second}"}} into its entry'
        raise UsageError(f"{name} needs nobody's approval: it has no `humanGate`", hint, file=GRAPH)
    if fault := ref_fault(node.human_gate):
        raise ConfigError(f"the `humanGate` of {name}: {fault}", "type `gluerun validate-dag`", file=GRAPH)
    return node, node.human_gate


def _artifact(work: Files, ref: str) -> Artifact:
    if fault := path_fault(ref):
        raise UsageError(f"artifact {fault}", "name a file of this repository")
    data = work.read(ref)
    if data is None:
        raise UsageError(f"there is no file {ref}", "name a file of this repository")
    return Artifact(ref=ref, sha256=_digest(data))

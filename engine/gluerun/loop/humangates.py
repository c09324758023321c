"""Approvals of nodes as they lie in the repository, and the words of the orders that write them."""

from __future__ import annotations

import hashlib

from gluerun.core.humangates import GateSeen, default_refs, path_fault, ref_fault, why_not
from gluerun.errors import ConfigError, SchemaError, UsageError
from gluerun.loop.nodes import GRAPH, read_graph
from gluerun.records import schema
from gluerun.records.graph import HumanGate
from gluerun.records.humangate import Artifact, GateApproval, GateQuestion, GateRequest
from gluerun.records.record import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import TypeVar

    from gluerun.core.world import World
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


def with_gates(world: World, graph: Graph, read: Read) -> World:
    """Return *world* with what lies there about the nodes that a person has to approve, and what each lacks."""
    gates = {node.id: seen(read, node.human_gate) for node in graph.nodes if node.human_gate is not None}
    lacks = {node.id: why_not(node, gates[node.id], world.now) for node in graph.nodes if node.id in gates}
    return replace(world, human_gates=gates, unapproved={name: why for name, why in lacks.items() if why})


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
    found = seen(work.read, gate)
    why, request = why_not(node, found, now), found.request
    until = found.approval if found.approval and not why else request
    return GatePage(
        node=node.id,
        approved=not why,
        why=why,
        request_ref=gate.request_ref,
        approval_ref=gate.approval_ref,
        owner=request.required_owner if request else "",
        questions=request.questions if request else (),
        artifacts=request.artifacts if request else (),
        expires_at=until.expires_at if request and until else None,
    )


def question(
    work: Files, owner: str, questions: dict[str, str], artifacts: list[str], *, hours: float, kind: str, again: bool
) -> dict[str, object]:
    """Return the words of an order that asks about a node, bound to the files as they are now."""
    return {
        "owner": owner,
        "type": kind,
        "questions": questions,
        "artifacts": {ref: "" if path_fault(ref) else _digest_of(work, ref) for ref in artifacts},
        "hours": hours,
        **({"again": True} if again else {}),
    }


def answer(work: Files, name: str, answers: dict[str, str], evidence: tuple[str, ...] = ()) -> dict[str, object]:
    """Return the words of an order that answers what is asked about a node, bound to the question as it stands."""
    _, gate = _gate(work, name)
    words: dict[str, object] = {"request": seen(work.read, gate).request_sha256}
    return words | ({"answers": answers} if answers else {}) | ({"evidence": list(evidence)} if evidence else {})


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


def _digest_of(work: Files, ref: str) -> str:
    data = work.read(ref)
    return "" if data is None else _digest(data)

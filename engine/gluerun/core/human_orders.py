"""What a person asks and answers about a node of the graph: when that is refused, and what it does."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from gluerun.core.effects import Effect, Refusal, closest
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
from gluerun.errors import SchemaError
from gluerun.records import codec, schema
from gluerun.records.humangate import GateApproval, GateDecision, GateRequest
from gluerun.records.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.records.graph import HumanGate, Node
    from gluerun.records.order import Order

_LONGEST_HOURS = 100_000


def not_askable(world: World, order: Order) -> Refusal | None:
    """Say why nobody can be asked about a node: it needs nobody, somebody is asked already, or about what is not."""
    node, gate, refused = _gate(world, order)
    if refused is not None or node is None or gate is None:
        return refused
    seen = world.human_gates[node.id]
    if seen.request is not None and not unanswerable(node, seen, world.now) and not order.arguments.get("again"):
        return Refusal(why=f"{node.id} is asked about already, in {gate.request_ref}", hint="say --again to ask anew")
    for ref, digest in _words(order, "artifacts").items():
        if fault := path_fault(ref):
            return Refusal(why=f"artifact {fault}", hint="name a file of this repository")
        if not digest:
            return Refusal(why=f"there is no file {ref}", hint="name a file of this repository")
    try:
        _request(order)
    except SchemaError as error:
        return Refusal(why=error.message, hint="`gluerun human-gate request --help`")
    return None


def ask(world: World, order: Order) -> Effect:
    """Write down what is asked about a node."""
    _, gate, _ = _gate(world, order)
    request = _request(order)
    says = f"{request.required_owner} is asked about {order.subject}"
    return (
        Effect(says=f"{says}, in {gate.request_ref}", papers={gate.request_ref: request}) if gate else Effect(says=says)
    )


def _request(order: Order) -> GateRequest:
    """Return what an order asks; SchemaError if its words make no request."""
    hours = order.arguments.get("hours")
    if not isinstance(hours, int | float) or not 0 < hours <= _LONGEST_HOURS:
        raise SchemaError(f"{hours!r} is no number of hours")
    document = {
        "schema": "gluerun.orchestration.human-gate.v0",
        "gateId": order.subject,
        "node": order.subject,
        "approvalType": order.arguments.get("type"),
        "requiredOwner": order.arguments.get("owner"),
        "questions": [
            {"id": key, "prompt": text, "required": True} for key, text in _words(order, "questions").items()
        ],
        "artifacts": [{"ref": ref, "sha256": digest} for ref, digest in _words(order, "artifacts").items()],
        "createdAt": codec.stamp(order.at),
        "expiresAt": codec.stamp(order.at + timedelta(hours=hours)),
        "blockedNodes": [],
    }
    return schema.admit(GateRequest, document)


def not_approvable(world: World, order: Order) -> Refusal | None:
    """Say why a node cannot be approved: nothing is asked, somebody else has to decide, or a question is open."""
    if (refused := _not_answerable(world, order)) is not None:
        return refused
    asked = world.human_gates[order.subject].request
    if asked is not None and (missing := unanswered(asked, _words(order, "answers"))):
        hint = f'add --answer "{missing[0]}=…" for each'
        return Refusal(why=f"{order.subject} also asks {', '.join(missing)}", hint=hint)
    return None


def not_rejectable(world: World, order: Order) -> Refusal | None:
    """Say why a node cannot be rejected: nothing is asked, somebody else has to decide, or no reason is given."""
    if (refused := _not_answerable(world, order)) is not None:
        return refused
    return None if order.reason.strip() else Refusal(why="a rejection needs a reason", hint="add --reason TEXT")


def _not_answerable(world: World, order: Order) -> Refusal | None:
    node, gate, refused = _gate(world, order)
    if refused is not None or node is None or gate is None:
        return refused
    seen = world.human_gates[node.id]
    if why := unanswerable(node, seen, world.now):
        hint = f"`gluerun human-gate request {node.id}` asks" if seen.request is None else "ask anew with --again"
        return Refusal(why=f"{node.id} cannot be decided: {why}", hint=hint)
    asked = seen.request
    if asked is None or order.arguments.get("request") != seen.request_sha256:
        hint = f"look at it with `gluerun human-gate status {node.id}`, then say it again"
        return Refusal(why=f"{node.id} was asked about anew meanwhile", hint=hint)
    if not is_owner(order.by, asked):
        return Refusal(why=f"{node.id} is for {asked.required_owner} to decide, not for {order.by}")
    known = [one.id for one in asked.questions]
    if unknown := next((key for key in _words(order, "answers") if key not in known), ""):
        return Refusal(why=f"{node.id} does not ask {unknown!r}", hint=f"questions: {', '.join(known)}")
    return None


def approve(world: World, order: Order) -> Effect:
    """Write down that a node is approved."""
    return _answer(world, order, GateDecision.APPROVED)


def reject(world: World, order: Order) -> Effect:
    """Write down that a node is not to be completed as it is."""
    return _answer(world, order, GateDecision.REJECTED)


def _answer(world: World, order: Order, decision: GateDecision) -> Effect:
    _, gate, _ = _gate(world, order)
    seen = world.human_gates.get(order.subject)
    says = f"{order.subject} is {decision}"
    if gate is None or seen is None or seen.request is None or seen.request_sha256 != order.arguments.get("request"):
        # What a crash cut off, and was asked anew before it went on: the old answer would count for nothing.
        return Effect(says=says)
    evidence = order.arguments.get("evidence")
    said = GateApproval(
        gate_id=seen.request.gate_id,
        node=order.subject,
        request_ref=gate.request_ref,
        request_sha256=seen.request_sha256,
        approver=order.by,
        decision=decision,
        rationale=order.reason,
        approved_at=order.at,
        expires_at=seen.request.expires_at,
        answers=_words(order, "answers"),
        artifacts=seen.request.artifacts,
        evidence=tuple(str(one) for one in evidence) if isinstance(evidence, list | tuple) else (),
    )
    return Effect(says=f"{says}, in {gate.approval_ref}", papers={gate.approval_ref: said})


def with_papers(world: World, name: str, papers: dict[str, GateRequest | GateApproval]) -> World:
    """Return *world* once what is asked or answered about a node lies there."""
    node = next((one for one in world.graph.nodes if one.id == name), None) if world.graph else None
    seen = world.human_gates.get(name, GateSeen())
    for paper in papers.values():
        if isinstance(paper, GateRequest):
            digest = hashlib.sha256(schema.dump(paper)).hexdigest()
            files = {one.ref: one.sha256 for one in paper.artifacts}
            seen = replace(seen, request=paper, request_sha256=digest, artifacts=files)
        else:
            seen = replace(seen, approval=paper)
    if node is None:
        return world
    lacks = {one: why for one, why in world.unapproved.items() if one != name}
    if why := why_not(node, seen, world.now):
        lacks[name] = why
    return replace(world, human_gates={**world.human_gates, name: seen}, unapproved=lacks)


def _gate(world: World, order: Order) -> tuple[Node | None, HumanGate | None, Refusal | None]:
    """Return the node of an order and where its request and answer lie, or why there is none."""
    name = order.subject
    if world.graph is None:
        hint = "type `gluerun validate-dag`"
        return None, None, Refusal(why=world.graph_error or "there is no planning graph", hint=hint)
    node = next((one for one in world.graph.nodes if one.id == name), None)
    if node is None:
        near = closest(name, [one.id for one in world.graph.nodes])
        hint = f"did you mean {near}?" if near else "`gluerun graph` shows them"
        return None, None, Refusal(why=f"there is no node {name!r} in the planning graph", hint=hint)
    gate = node.human_gate
    if gate is None:
        first, second = default_refs(node.id)
        hint = f'write "humanGate": {{"requestRef": "{first}", "approvalRef": "{second}"}} into its entry'
        return node, None, Refusal(why=f"{name} needs nobody's approval: it has no `humanGate`", hint=hint)
    if fault := ref_fault(gate):
        hint = "type `gluerun validate-dag`"
        return node, None, Refusal(why=f"the `humanGate` of {name}: {fault}", hint=hint)
    return node, gate, None


def _words(order: Order, name: str) -> dict[str, str]:
    given = order.arguments.get(name)
    return {str(key): str(text) for key, text in given.items()} if isinstance(given, dict) else {}

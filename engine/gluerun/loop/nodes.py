"""The planning graph and its gate files, as they lie in the repository."""

from __future__ import annotations

import hashlib
from enum import StrEnum

from gluerun.core.proofs import wrong_evidence
from gluerun.errors import SchemaError, StateError
from gluerun.records import schema
from gluerun.records.gate import RED_PROOF, GateCheck, GateResult, NodeStatus
from gluerun.records.graph import Graph
from gluerun.records.paths import ORCHESTRATION
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gluerun.records.config import Config
    from gluerun.records.graph import Node

    Read = Callable[[str], bytes | None]

GRAPH = f"{ORCHESTRATION}/dag.v0.json"
GATES = f"{ORCHESTRATION}/gates"
EVIDENCE = f"{GATES}/evidence"


class NodeState(StrEnum):
    """Where a node stands."""

    PASSED = "passed"
    BLOCKED = "blocked"
    OPEN = "open"


@record
class NodeView:
    """A node's state and the sentence that explains it."""

    node: str
    state: NodeState
    reason: str


def gate_path(node: str) -> str:
    """Return the path of a node's gate file, the only truth about its completion."""
    return f"{GATES}/{node}.gate-result.json"


def read_graph(read: Read) -> Graph | None:
    """Return the planning graph; None if there is none, SchemaError if it cannot be used."""
    data = read(GRAPH)
    return None if data is None else schema.load(Graph, data, file=GRAPH)


def log_path(node: str) -> str:
    """Return where the log lies on which a node's completion rests."""
    return f"{EVIDENCE}/{node}.gate.log"


def red_proof_path(node: str) -> str:
    """Return where a person or a module lays the receipt of a run in which a node's guard was red."""
    return f"{EVIDENCE}/{node}{RED_PROOF}.gate-check.json"


def red_proof(read: Read, node: str) -> GateCheck | None:
    """Return the receipt of a red run of a node's guard; None if there is none, or if it proves nothing."""
    path = red_proof_path(node)
    try:
        data = read(path)
        check = schema.load(GateCheck, data, file=path) if data is not None else None
    except (SchemaError, StateError):
        return None
    if check is None or check.exit_code == 0 or _sha256_of(read, check.log_ref) != check.log_sha256:
        return None
    return check


def _sha256_of(read: Read, path: str) -> str | None:
    """Return the digest of a log in the repository; None if it is not there, or not named by a path of it."""
    if path.startswith(("/", "~")) or ".." in path.split("/"):
        return None
    try:
        data = read(path)
    except StateError:
        return None  # a folder, or no name at all
    return None if data is None else hashlib.sha256(data).hexdigest()


def node_view(read: Read, node: Node, config: Config) -> NodeView:
    """Judge a node by its gate file: what cannot be used blocks this node, and no other, instead of completing it."""
    name = node.id
    path = gate_path(name)
    try:
        if (data := read(path)) is None:
            return NodeView(node=name, state=NodeState.OPEN, reason=f"there is no {path}")
        result = schema.load(GateResult, data, file=path)
    except (SchemaError, StateError) as error:
        return NodeView(node=name, state=NodeState.BLOCKED, reason=error.message)
    if result.node != name:
        return NodeView(node=name, state=NodeState.BLOCKED, reason=f"{path} is about {result.node!r}")
    if not result.authoritative:
        return NodeView(node=name, state=NodeState.OPEN, reason=f"{path} is not authoritative")
    if wrong := wrong_evidence(result, node.layer, config, lambda log: _sha256_of(read, log)):
        return NodeView(node=name, state=NodeState.BLOCKED, reason=f"{path} proves nothing: {wrong}")
    words = f"{path} says {result.status}, decided by {result.decided_by}"
    state = {NodeStatus.PASSED: NodeState.PASSED, NodeStatus.BLOCKED: NodeState.BLOCKED}.get(
        result.status, NodeState.OPEN
    )
    return NodeView(node=name, state=state, reason=words)

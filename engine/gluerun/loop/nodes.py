"""The planning graph and its gate files, as they lie in the repository."""

from __future__ import annotations

from enum import StrEnum

from gluerun.errors import SchemaError
from gluerun.records import schema
from gluerun.records.gate import GateResult, NodeStatus
from gluerun.records.graph import Graph
from gluerun.records.paths import ORCHESTRATION
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[[str], bytes | None]

GRAPH = f"{ORCHESTRATION}/dag.v0.json"
GATES = f"{ORCHESTRATION}/gates"


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


def node_view(read: Read, name: str) -> NodeView:
    """Judge a node by its gate file: what cannot be used blocks this node, and no other, instead of completing it."""
    path = gate_path(name)
    data = read(path)
    if data is None:
        return NodeView(node=name, state=NodeState.OPEN, reason=f"there is no {path}")
    try:
        result = schema.load(GateResult, data, file=path)
    except SchemaError as error:
        return NodeView(node=name, state=NodeState.BLOCKED, reason=error.message)
    if result.node != name:
        return NodeView(node=name, state=NodeState.BLOCKED, reason=f"{path} is about {result.node!r}")
    if not result.authoritative:
        return NodeView(node=name, state=NodeState.OPEN, reason=f"{path} is not authoritative")
    words = f"{path} says {result.status}, decided by {result.decided_by}"
    state = {NodeStatus.PASSED: NodeState.PASSED, NodeStatus.BLOCKED: NodeState.BLOCKED}.get(
        result.status, NodeState.OPEN
    )
    return NodeView(node=name, state=state, reason=words)

"""Where each node of the planning graph stands, and why, as the board and the graph show it."""

from __future__ import annotations

from gluerun.core.graph import eligible
from gluerun.core.planners import state_of
from gluerun.records.lease import NodeLeaseStatus
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.records.graph import Node


# A node is planned, or its finished work is proved.
_AT_WORK = {status: "planning" if status is NodeLeaseStatus.PLANNING else "proving" for status in NodeLeaseStatus}


@record
class NodeStand:
    """One node: its state in a word, and the sentence that explains it."""

    id: str
    state: str
    words: str


def node_line(world: World, node: Node) -> NodeStand:
    """Say where one node stands."""
    state, words = _judge(world, node)
    return NodeStand(id=node.id, state=state, words=words)


def node_lines(world: World) -> list[NodeStand]:
    """Say where every node stands, in the order of the graph."""
    return [node_line(world, node) for node in (world.graph.nodes if world.graph else ())]


def _judge(world: World, node: Node) -> tuple[str, str]:
    if node.id in world.passed:
        return "passed", "its gate result says that it is complete"
    if node.id in world.node_blocked:
        return "blocked", state_of(world, node)
    lease = next((one for one in world.node_leases if one.node == node.id), None)
    if lease is not None:
        return _AT_WORK[lease.status], f"{lease.run_id} is at work on it"
    if any(need not in world.passed for need in node.depends_on):
        return "waiting", state_of(world, node)
    if world.graph is not None and node.id in {one.id for one in eligible(world.graph, world.passed, frozenset())}:
        living = [task.task_id for task in world.tasks if task.spec.dag_node == node.id]
        if living:
            return "open", f"{len(living)} tasks of it are under way: {', '.join(living[:5])}"
    return "open", state_of(world, node) or "it may be planned"

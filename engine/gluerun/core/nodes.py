"""Where each node of the planning graph stands, and why, as the board and the graph show it."""

from __future__ import annotations

from gluerun.core.graph import eligible, finished_nodes
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.records.graph import Node


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
        return "blocked", "its gate file cannot be used, or blocks it"
    lease = next((one for one in world.node_leases if one.node == node.id), None)
    if lease is not None:
        return "planning", f"{lease.run_id} is at work on it"
    needs = [need for need in node.depends_on if need not in world.passed]
    if needs:
        return "waiting", f"it waits for {', '.join(needs)}"
    if world.graph is not None and node.id in {one.id for one in eligible(world.graph, world.passed, frozenset())}:
        living = [task.task_id for task in world.tasks if task.spec.dag_node == node.id]
        if living:
            return "open", f"{len(living)} tasks of it are under way: {', '.join(living[:5])}"
        if node.id in {one.id for one in finished_nodes(world)}:
            return "open", "all of its tasks are integrated; its gate is asked next"
        if node.id in world.exhausted:
            return "open", "its planner had nothing to propose for this state of the target"
    return "open", "it may be planned"

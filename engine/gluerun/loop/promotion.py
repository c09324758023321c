"""One node in the foreground: its gate is run on the target's head if nobody knows it green, then it is complete."""

from __future__ import annotations

from gluerun.core.graph import eligible, finished_nodes
from gluerun.errors import UsageError
from gluerun.loop.nodes import GRAPH, gate_path
from gluerun.loop.reconcile import cycle, turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import CycleReport

_PATIENCE = 2.0


def promote(house: House, node: str) -> str:
    """Complete *node* and return the path of its gate file; UsageError where it cannot be completed."""
    took: tuple[CycleReport, World] | None = cycle(house, "promote")
    while True:
        if took is not None:
            _, world = took
            if node in world.passed:
                return gate_path(node)
            if why := _obstacle(world, node):
                hint = "`gluerun status` shows what is left"
                raise UsageError(f"{node} cannot be completed: {why}", hint, file=GRAPH)
            house.doors.watch.wait([one.run_id for one in world.node_leases if one.node == node], _PATIENCE)
        took = turn(house, lambda: cycle(house, "promote"))


def _obstacle(world: World, node: str) -> str:
    """Say why a node will not be completed by waiting; empty if it may."""
    if world.graph is None:
        return world.graph_error or f"there is no {GRAPH}"
    if node not in {one.id for one in world.graph.nodes}:
        return "it is not in the graph"
    if any(lease.node == node for lease in world.node_leases):
        return ""
    if node not in {one.id for one in eligible(world.graph, world.passed, world.node_blocked)}:
        return "it is blocked, or what it depends on is not complete"
    if node not in {one.id for one in finished_nodes(world)}:
        return "not all of its tasks are integrated, or it has none"
    if why := world.unapproved.get(node):
        return f"a person has to approve it: {why}"
    if node in world.held:
        return f"a module holds it back: {world.held[node]}"
    if world.red_tree:
        return f"the gate is red on {world.config.target_branch}"
    return ""

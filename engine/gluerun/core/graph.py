"""The planning graph: whether it holds together, which nodes may be planned, which are complete."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Set

    from gluerun.core.world import World
    from gluerun.records.graph import Graph, HumanGate, Node


def faults(graph: Graph) -> list[str]:
    """Return everything that is wrong with a graph, one sentence each."""
    ids = [node.id for node in graph.nodes]
    known = set(ids)
    found = [f"node {name!r} stands twice" for name in sorted({one for one in ids if ids.count(one) > 1})]
    for node in graph.nodes:
        found += [f"node {node.id!r} depends on {need!r}, which is not there" for need in node.depends_on
                  if need not in known]  # fmt: skip
        if graph.layers is not None and node.layer not in graph.layers:
            found.append(f"node {node.id!r} has the unknown layer {node.layer!r}")
        if node.human_gate is not None and (fault := _gate_fault(node.human_gate)):
            found.append(f"node {node.id!r} has a human gate that cannot be used: {fault}")
        if graph.kinds is not None and node.kind not in graph.kinds:
            found.append(f"node {node.id!r} has the unknown kind {node.kind!r}")
    found += [f"required node {name!r} is not there" for name in graph.required_nodes or () if name not in known]
    found_circle = circle({node.id: node.depends_on for node in graph.nodes})
    if found_circle:
        found.append(f"nodes depend on each other in a circle: {' → '.join(found_circle)}")
    return found


def _gate_fault(gate: HumanGate) -> str:
    from gluerun.core.humangates import ref_fault  # few graphs have one

    return ref_fault(gate)


def circle(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """Return a way from one name over its needs back to itself; empty if there is none."""
    done: set[str] = set()
    for start in needs:
        path: list[str] = []
        stack = [(start, iter(needs.get(start, ())))]
        path.append(start)
        while stack:
            name, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                done.add(name)
                stack.pop()
                path.pop()
            elif following in path:
                return [*path[path.index(following) :], following]
            elif following not in done and following in needs:
                stack.append((following, iter(needs[following])))
                path.append(following)
    return []


def eligible(graph: Graph, passed: Set[str], blocked: Set[str]) -> list[Node]:
    """Return the nodes that may be worked on: not complete, not blocked, every need complete."""
    return [
        node
        for node in graph.nodes
        if node.id not in passed and node.id not in blocked and all(need in passed for need in node.depends_on)
    ]


def is_complete(graph: Graph, passed: Set[str]) -> bool:
    """Tell whether every node, or every required one, is complete."""
    required = graph.required_nodes if graph.required_nodes is not None else [node.id for node in graph.nodes]
    return all(name in passed for name in required)


def finished_nodes(world: World) -> list[Node]:
    """Return the eligible nodes that have tasks, all of them integrated."""
    if world.graph is None:
        return []
    found = []
    for node in eligible(world.graph, world.passed, world.node_blocked):
        living = [task for task in world.tasks if task.spec.dag_node == node.id]
        if world.node_tasks.get(node.id) and not living:
            found.append(node)
    return found

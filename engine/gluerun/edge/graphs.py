"""The planning graph with the state of each node and its tasks, for people: a page, a tree, a picture."""

from __future__ import annotations

from gluerun.core.drawing import Box
from gluerun.core.layers import depths
from gluerun.core.nodes import node_line
from gluerun.edge.nodes import open_graph
from gluerun.edge.reading import read
from gluerun.records.record import record
from gluerun.records.task import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluerun.core.world import World
    from gluerun.edge.reading import Reading
    from gluerun.loop.house import House


@record
class GraphNode:
    """One node: where it stands, why, what it needs, and how many tasks it has of each status."""

    id: str
    state: str
    words: str
    stage: str
    area: str
    layer: str
    kind: str
    depends_on: tuple[str, ...]
    tasks: dict[str, int]
    description: str | None = None


@record
class GraphPage:
    """What `gluerun graph` answers."""

    SCHEMA = "graph.v0"

    is_complete: bool
    nodes: tuple[GraphNode, ...]


def graph(house: House) -> GraphPage:
    """Return the planning graph; ConfigError if there is none or it does not hold together. (A35)"""
    view = open_graph(house.doors.work.read, house.config)
    return GraphPage(is_complete=view.is_complete(), nodes=nodes(read(house)))


def nodes(seen: Reading) -> tuple[GraphNode, ...]:
    """Return the nodes of a look; none if the graph cannot be used."""
    found = []
    for node in seen.world.graph.nodes if seen.world.graph else ():
        line = node_line(seen.world, node)
        says_more = line.state in ("blocked", "passed") and node.id in seen.world.node_words
        found.append(
            GraphNode(
                id=node.id,
                state=line.state,
                words=seen.world.node_words[node.id] if says_more else line.words,
                stage=node.stage,
                area=node.area,
                layer=node.layer,
                kind=node.kind,
                depends_on=node.depends_on,
                tasks=_tasks(seen.world, node.id),
                description=node.description,
            )
        )
    return tuple(found)


def _tasks(world: World, name: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for task in world.tasks:
        if task.spec.dag_node == name:
            word = "parked" if task.status is Status.BLOCKED else task.status.value
            word = "running" if world.lease(task.task_id) else word
            counts[word] = counts.get(word, 0) + 1
    if done := len(world.node_tasks.get(name, ())):
        counts["integrated"] = counts.get("integrated", 0) + done
    return dict(sorted(counts.items()))


def note_of(node: GraphNode) -> str:
    """Say how many tasks a node has, of each status."""
    return ", ".join(f"{count} {word}" for word, count in node.tasks.items()) or "no tasks"


def boxes(found: tuple[GraphNode, ...]) -> list[Box]:
    """Return the nodes as they are drawn."""
    return [Box(id=one.id, state=one.state, words=one.words, note=note_of(one), needs=one.depends_on) for one in found]


def tree(found: tuple[GraphNode, ...]) -> Iterator[tuple[str, GraphNode, tuple[str, ...]]]:
    """Yield every node once, under the deepest of its needs: the branches before it, and what else it needs."""
    depth = depths({one.id: one.depends_on for one in found})
    under: dict[str, list[GraphNode]] = {}
    for one in found:
        parent = max(one.depends_on, key=lambda need: depth[need], default="")
        under.setdefault(parent, []).append(one)
    stack = [(one, "", "") for one in reversed(under.get("", []))]
    while stack:
        one, head, rest = stack.pop()
        parent = max(one.depends_on, key=lambda need: depth[need], default="")
        yield head, one, tuple(need for need in one.depends_on if need != parent)
        children = under.get(one.id, [])
        for number, child in reversed(list(enumerate(children))):
            last = number == len(children) - 1
            stack.append((child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  ")))

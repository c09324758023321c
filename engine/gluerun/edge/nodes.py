"""The planning graph as a reader sees it: which nodes are complete, blocked or open, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluerun.core import graph as graphs
from gluerun.errors import ConfigError, SchemaError, UsageError
from gluerun.loop.nodes import GRAPH, NodeState, NodeView, node_view, read_graph
from gluerun.records.graph import Graph
from gluerun.records.record import record

if TYPE_CHECKING:
    from gluerun.loop.nodes import Read
    from gluerun.records.config import Config
    from gluerun.records.graph import Node


@record
class GraphView:
    """A graph that holds together, with the state of every node."""

    graph: Graph
    states: dict[str, NodeView]

    def eligible(self) -> list[Node]:
        """Return the nodes that may be planned."""
        return graphs.eligible(self.graph, self._in(NodeState.PASSED), self._in(NodeState.BLOCKED))

    def is_complete(self) -> bool:
        """Tell whether everything that is required is complete."""
        return graphs.is_complete(self.graph, self._in(NodeState.PASSED))

    def node(self, name: str) -> Node:
        """Return a node by its id; UsageError with the nearest one."""
        found = next((node for node in self.graph.nodes if node.id == name), None)
        if found is None:
            from gluerun.settings_walk import nearest

            hint = nearest(name, self.states) if self.states else f"add it to {GRAPH}"
            raise UsageError(f"there is no node {name!r} in the planning graph", hint, file=GRAPH)
        return found

    def _in(self, state: NodeState) -> frozenset[str]:
        return frozenset(name for name, view in self.states.items() if view.state is state)


def faults_of(read: Read) -> list[str]:
    """Return everything that is wrong with the planning graph; ConfigError if there is none."""
    try:
        return graphs.faults(_load(read))
    except SchemaError as error:
        return [error.message]


def open_graph(read: Read, config: Config) -> GraphView:
    """Return the planning graph and the state of its nodes; ConfigError if it does not hold together."""
    try:
        graph = _load(read)
    except SchemaError as error:
        raise ConfigError(error.message, "type `gluerun validate-dag`", file=GRAPH) from None
    faults = graphs.faults(graph)
    if faults:
        raise ConfigError(f"{GRAPH}: {faults[0]}", "type `gluerun validate-dag` to see all faults", file=GRAPH)
    return GraphView(graph=graph, states={node.id: node_view(read, node, config) for node in graph.nodes})


def _load(read: Read) -> Graph:
    graph = read_graph(read)
    if graph is None:
        raise ConfigError(f"there is no {GRAPH}", "type `gluerun init` to write a first one", file=GRAPH)
    return graph

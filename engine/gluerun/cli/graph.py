"""The planning graph: its readers, its pictures, and promote-gate, which completes a node."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from gluerun.adapters.files import DiskFiles
from gluerun.cli.options import JSON
from gluerun.cli.place import here
from gluerun.cli.show import put_file, say, show
from gluerun.edge import nodes
from gluerun.errors import OK, SAYS_NO, UsageError
from gluerun.loop.nodes import NodeState

if TYPE_CHECKING:
    from gluerun.edge.graphs import GraphPage
    from gluerun.edge.nodes import GraphView
    from gluerun.records.graph import Node

NODE: str = typer.Argument(metavar="NODE", help="The id of a node in the planning graph.")


def validate_dag(context: typer.Context, as_json: bool = JSON) -> int:
    """Tell whether the planning graph holds together; exit code 1 if not."""
    faults = nodes.faults_of(DiskFiles(here(context).root()).read)
    show({"valid": not faults, "faults": faults}, as_json=as_json, words=lambda: say("\n".join(faults) or "ok"))
    return SAYS_NO if faults else OK


def next_area(context: typer.Context, as_json: bool = JSON) -> None:
    """Show the first node that may be planned."""
    view = _open(context)
    first = next(iter(view.eligible()), None)
    document = _fields(first) if first else {"node": None, "allComplete": view.is_complete()}
    show(document, as_json=as_json, words=lambda: _say_next(view, first))


def _say_next(view: GraphView, first: Node | None) -> None:
    if first is not None:
        _say_fields(first)
    else:
        say("all-nodes-complete" if view.is_complete() else "no-node-eligible")


def next_areas(context: typer.Context, as_json: bool = JSON) -> None:
    """Show every node that may be planned, as one line of JSON."""
    view = _open(context)
    document: dict[str, object] = {"frontier": [_fields(node) for node in view.eligible()]}
    if view.is_complete():
        document["allComplete"] = True
    show(document, as_json=as_json, words=lambda: say(json.dumps(document, ensure_ascii=False)))


def node_fields(context: typer.Context, node: str = NODE, as_json: bool = JSON) -> None:
    """Show the fields of a node that may be planned; a refusal if it may not."""
    view = _open(context)
    found = view.node(node)
    if found not in view.eligible():
        state = view.states[node]
        waits = [need for need in found.depends_on if view.states[need].state is not NodeState.PASSED]
        why = f"it is {state.state}" if state.state is not NodeState.OPEN else f"it waits for {', '.join(waits)}"
        raise UsageError(f"node {node!r} may not be planned: {why}", "type `gluerun next-areas` to see which may")
    show(_fields(found), as_json=as_json, words=lambda: _say_fields(found))


def area_gate(context: typer.Context, node: str = NODE, as_json: bool = JSON) -> int:
    """Tell whether a node is complete; exit code 1 if it is not."""
    view = _open(context)
    state = view.states[view.node(node).id]
    show(state, as_json=as_json, words=lambda: say(f"{node}: {state.state} ({state.reason})"))
    return OK if state.state is NodeState.PASSED else SAYS_NO


def promote_gate(context: typer.Context, node: str = NODE, as_json: bool = JSON) -> None:
    """Complete a node whose tasks are all integrated and whose gate is green on the target branch."""
    from gluerun.loop.promotion import promote
    from gluerun.wiring import open_house

    _open(context).node(node)
    place = here(context)
    path = promote(open_house(place.root(), flags=place.flags()), node)
    show(
        {"node": node, "state": "passed", "file": path},
        as_json=as_json,
        words=lambda: say(f"{node} is complete: {path}"),
    )


def _open(context: typer.Context) -> GraphView:
    place = here(context)
    return nodes.open_graph(DiskFiles(place.root()).read, place.settings().config)


def _fields(node: Node) -> dict[str, str]:
    return {
        "node": node.id,
        "stage": node.stage,
        "area": node.area,
        "layer": node.layer,
        "kind": node.kind,
        "requiredCompletion": node.required_completion,
    }


def _say_fields(node: Node) -> None:
    for name, value in _fields(node).items():
        say(f"{name}={value}")


def graph(
    context: typer.Context,
    svg: str = typer.Option("", "--svg", metavar="FILE", help="Draw it into an SVG file; - for stdout."),
    mermaid: bool = typer.Option(False, "--mermaid", help="Print it as a mermaid flowchart."),
    as_json: bool = JSON,
) -> None:
    """Show the planning graph with the state of every node and its tasks."""
    from gluerun.cli.reading import open_place
    from gluerun.core.drawing import graph_mermaid, graph_svg
    from gluerun.edge import graphs

    if bool(svg) + mermaid + as_json > 1:
        raise UsageError("one form at a time", "--svg FILE, --mermaid or --json")
    found = graphs.graph(open_place(context))
    if svg:
        put_file(svg, graph_svg(graphs.boxes(found.nodes)) + "\n")
    elif mermaid:
        say(graph_mermaid(graphs.boxes(found.nodes)).rstrip("\n"))
    else:
        show(found, as_json=as_json, words=lambda: _say_tree(found))


def _say_tree(found: GraphPage) -> None:
    from gluerun.edge.graphs import note_of, tree

    lines = list(tree(found.nodes))
    if not lines:
        say("the planning graph has no nodes")
    wide = max((len(head) + len(one.id) for head, one, _ in lines), default=0)
    for head, one, also in lines:
        more = f"; also needs {', '.join(also)}" if also else ""
        why = f"  {one.words}" if one.state == "blocked" else ""
        say(f"{head}{one.id:<{wide - len(head)}}  {one.state:<9} {note_of(one)}{more}{why}")
    if found.is_complete and lines:
        say("everything that is required is complete")

"""The gates: what is recorded of every node, and how the latest gate runs ended."""

from __future__ import annotations

from datetime import datetime, timedelta

from gluerun.core import graph as graphs
from gluerun.errors import GluerunError, SchemaError
from gluerun.loop.nodes import GRAPH, gate_path, node_view, read_graph
from gluerun.loop.store import run_path
from gluerun.records import names, schema
from gluerun.records.gate import GateCheck, GateResult
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.loop.house import House
    from gluerun.records.graph import Graph, Node

# The receipt of a run's last gate, and that of the candidate which another run's proof left beside it.
LONGEST_RUN = timedelta(days=3)
_RECEIPTS = ("gate-check.json", "candidate-gate-check.json")


@record
class NodeGate:
    """What is recorded of a node, and what that makes of it."""

    node: str
    state: str
    reason: str
    file: str
    status: str | None = None
    evidence_class: str | None = None
    decided_by: str | None = None
    recorded_at: datetime | None = None


@record
class GateRun:
    """One gate run, as its receipt tells."""

    run: str
    about: str
    role: str
    result: str
    exit_code: int
    duration_ms: int
    commit: str
    at: datetime
    command: str
    log: str
    timed_out: bool = False


@record
class GatesPage:
    """What `gluerun gates` answers; `trouble` says why the graph cannot be used."""

    SCHEMA = "gates.v0"

    nodes: tuple[NodeGate, ...]
    runs: tuple[GateRun, ...]
    trouble: str = ""


def gates(house: House, count: int) -> GatesPage:
    """Return the gate result of every node, and the latest *count* gate runs."""
    graph, trouble = _graph(house)
    nodes = tuple(_node(house, node) for node in (graph.nodes if graph else ()))
    return GatesPage(nodes=nodes, runs=tuple(gate_runs(house, limit=count)), trouble=trouble)


def gate_runs(house: House, *, limit: int | None = None, since: datetime | None = None) -> list[GateRun]:
    """Return the gate runs whose receipts are still there, latest first."""
    found: dict[tuple[str, str, datetime], GateRun] = {}
    for run_id in reversed(runs(house, since)):
        for name in _RECEIPTS:
            one = _run(house, run_id, name)
            if one is not None and (since is None or one.at >= since):
                found.setdefault((one.run, one.commit, one.at), one)
        if limit is not None and len(found) >= 2 * limit + 10:
            break
    latest = sorted(found.values(), key=lambda one: (one.at, one.run), reverse=True)
    return latest if limit is None else latest[:limit]


def runs(house: House, since: datetime | None = None) -> list[str]:
    """Return the runs that are still there, oldest first; only those that may have been under way since then."""
    found = [name for name in house.store.files.names("runs") if names.is_run(name)]
    # An id tells when its run began, and no run takes longer than some days.
    first = f"RUN-{since - LONGEST_RUN:%Y%m%dT%H%M%SZ}" if since else ""
    return [name for name in found if name >= first]


def _graph(house: House) -> tuple[Graph | None, str]:
    try:
        graph = read_graph(house.doors.work.read)
    except SchemaError as error:
        return None, error.message
    faults = graphs.faults(graph) if graph else []
    return graph, f"{GRAPH}: {faults[0]}" if faults else ""


def _node(house: House, node: Node) -> NodeGate:
    view, path = node_view(house.doors.work.read, node, house.config), gate_path(node.id)
    try:
        data = house.doors.work.read(path)
        result = schema.load(GateResult, data, file=path) if data is not None else None
    except GluerunError:
        result = None  # the view has said so
    return NodeGate(
        node=node.id,
        state=view.state.value,
        reason=view.reason,
        file=path,
        status=result.status.value if result else None,
        evidence_class=result.evidence_class if result else None,
        decided_by=result.decided_by if result else None,
        recorded_at=result.recorded_at if result else None,
    )


def _run(house: House, run_id: str, name: str) -> GateRun | None:
    path = run_path(run_id, name)
    try:
        data = house.store.files.read(path)
        check = schema.load(GateCheck, data, file=path) if data is not None else None
    except GluerunError:
        return None
    if check is None:
        return None
    dispatch = house.store.known_dispatch(check.run_id)
    return GateRun(
        run=check.run_id,
        about=(dispatch.task_id or dispatch.node or "?") if dispatch else "?",
        role=dispatch.role.value if dispatch else "?",
        result=check.result.value,
        exit_code=check.exit_code,
        duration_ms=check.duration_ms,
        commit=check.commit,
        at=check.created_at,
        command=check.cmd,
        log=check.log_ref,
        timed_out=check.timed_out,
    )

"""The gates: the pipeline, what is recorded of every node, and how the latest gate runs ended."""

from __future__ import annotations

from datetime import datetime, timedelta

from gluerun.core import graph as graphs
from gluerun.core import pipeline
from gluerun.errors import GluerunError, SchemaError
from gluerun.loop.nodes import GRAPH, gate_path, node_view, read_graph
from gluerun.loop.store import run_path
from gluerun.records import names, schema
from gluerun.records.gate import GateCheck, GateResult, GateTests, GateVerdict
from gluerun.records.record import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluerun.loop.house import House
    from gluerun.loop.proving import Proved
    from gluerun.records.dispatch import Dispatch
    from gluerun.records.graph import Graph, Node
    from gluerun.records.pipeline import Occasion

# The receipt of a run's last gate, and that of the candidate which another run's proof left beside it.
LONGEST_RUN = timedelta(days=3)
# Of a gate that ran in none of so many gate runs before those that are shown, nothing is said.
_LOOKED_BACK = 200
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
    """One gate run, as its receipt tells; one that was skipped did not run, and says why."""

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
    gate: str = pipeline.SINGLE
    required: bool = True
    tests: GateTests | None = None
    failures: tuple[str, ...] = ()
    reason: str = ""


@record
class GateLine:
    """One gate of the configuration, and how it ended the last time it ran."""

    name: str
    command: str
    when: tuple[str, ...]
    stage: int = 1
    paths: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    required: bool = True
    timeout: int = 0
    slots: int = 0
    last: GateRun | None = None


@record
class GatesPage:
    """What `gluerun gates` answers; `trouble` says why the graph cannot be used."""

    SCHEMA = "gates.v0"

    nodes: tuple[NodeGate, ...]
    runs: tuple[GateRun, ...]
    trouble: str = ""
    pipeline: tuple[GateLine, ...] = ()


@record
class ProofPage:
    """What `gluerun prove` answers: what the gates said of one commit together, and each of them."""

    SCHEMA = "proof.v0"

    occasion: str
    run: str
    result: str
    commit: str = ""
    trouble: str = ""
    runs: tuple[GateRun, ...] = ()


def proof_page(house: House, occasion: Occasion, proved: Proved) -> ProofPage:
    """Return what a gate run in the foreground came to; what has no receipt proved nothing."""
    return ProofPage(
        occasion=occasion.value,
        run=proved.run,
        result=(proved.check.result if proved.check else GateVerdict.INCONCLUSIVE).value,
        commit=proved.check.commit if proved.check else "",
        trouble=proved.trouble,
        runs=tuple(_runs_of(house, proved.run, _RECEIPTS[0])) if proved.check else (),
    )


def gates(house: House, count: int) -> GatesPage:
    """Return the pipeline, the gate result of every node, and the latest *count* gate runs."""
    graph, trouble = _graph(house)
    nodes = tuple(_node(house, node) for node in (graph.nodes if graph else ()))
    latest = gate_runs(house, limit=count + _LOOKED_BACK)
    return GatesPage(nodes=nodes, runs=tuple(latest[:count]), trouble=trouble, pipeline=tuple(_lines(house, latest)))


def _lines(house: House, latest: list[GateRun]) -> Iterator[GateLine]:
    """Yield the gates of the configuration, stage by stage, each with the last run that was one."""
    config = house.config
    found = pipeline.known(config, config.gate_command)
    stages = pipeline.stages(found)
    for gate in sorted(found, key=lambda one: stages[one.name]):
        ran = (one for one in latest if one.gate == gate.name and one.result != GateVerdict.SKIPPED)
        yield GateLine(
            name=gate.name,
            command=gate.command,
            when=tuple(gate.when),
            stage=stages[gate.name],
            paths=gate.paths,
            needs=gate.needs,
            required=gate.required,
            timeout=pipeline.timeout_of(gate, config),
            slots=gate.slots,
            last=next(ran, None),
        )


def gate_runs(house: House, *, limit: int | None = None, since: datetime | None = None) -> list[GateRun]:
    """Return the gate runs whose receipts are still there, latest first."""
    found: dict[tuple[str, str, datetime, str], GateRun] = {}
    for run_id in reversed(runs(house, since)):
        for name in _RECEIPTS:
            for one in _runs_of(house, run_id, name):
                if since is None or one.at >= since:
                    found.setdefault((one.run, one.commit, one.at, one.gate), one)
        if limit is not None and len(found) >= 2 * limit + 10:
            break
    # Those of one receipt stay in the order in which they ran.
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


def _runs_of(house: House, run_id: str, name: str) -> list[GateRun]:
    """Return what a receipt tells: of the single gate, or of each in a pipeline."""
    path = run_path(run_id, name)
    try:
        data = house.store.files.read(path)
        check = schema.load(GateCheck, data, file=path) if data is not None else None
    except GluerunError:
        return []
    if check is None:
        return []
    dispatch = house.store.known_dispatch(check.run_id)
    whole = GateRun(
        run=check.run_id,
        about=about(dispatch),
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
    if not check.gates:
        return [whole]
    return [
        replace(
            whole,
            gate=one.name,
            result=one.result.value,
            exit_code=one.exit_code or 0,
            duration_ms=one.duration_ms,
            command=one.command,
            log=one.log_ref,
            timed_out=one.timed_out,
            required=one.required,
            tests=one.tests,
            failures=one.failures,
            reason=one.reason,
        )
        for one in check.gates
    ]


def about(dispatch: Dispatch | None) -> str:
    """Return what a run is about, as tables name it: a task, a node, or the occasion of its gates."""
    if dispatch is None:
        return "?"
    return dispatch.task_id or dispatch.node or (dispatch.occasion.value if dispatch.occasion else "?")

"""What runs, what waits, what needs you and why: one look, as a person and a program read it."""

from __future__ import annotations

from datetime import datetime

from gluerun.core.backoff import holds
from gluerun.core.frontier import frontier
from gluerun.core.graph import eligible
from gluerun.core.launch import dispatch_gate, low_disk, seats
from gluerun.records.record import record
from gluerun.records.task import ProofState, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from gluerun.core.world import World
    from gluerun.records.task import Task


@record
class TaskLine:
    """One living task."""

    id: str
    title: str
    status: str
    phase: str = ""
    reason: str = ""
    blocked_by: tuple[str, ...] = ()
    run: str | None = None
    attempt: int = 0


@record
class NodeLine:
    """One node of the graph."""

    id: str
    state: str


@record
class BackoffLine:
    """A provider that nobody asks now."""

    provider: str
    fault: str
    until: datetime
    reason: str


@record
class DiskLine:
    """Too little disk: nothing new is started until more is free; what is under way goes on."""

    free_bytes: int
    wanted_bytes: int
    remedy: str = "gluerun gc --dry-run"


@record
class EngineLine:
    """Who still works with another engine than the one that looks: the resident loop, or a run."""

    who: str
    version: str
    run: str
    task: str = ""


@record
class Board:
    """What `gluerun status` answers."""

    SCHEMA = "status.v0"

    target_branch: str
    head: str
    running: int
    ready: int
    waiting: int
    parked: int
    accepted: int
    needs_you: tuple[str, ...]
    tasks: tuple[TaskLine, ...]
    nodes: tuple[NodeLine, ...]
    stop: bool
    breaker: int
    backoff: str | None = None
    backoffs: tuple[BackoffLine, ...] = ()
    dispatch_gate: str = ""
    low_disk: DiskLine | None = None
    other_engines: tuple[EngineLine, ...] = ()


def board(world: World, phases: Mapping[str, tuple[str, int]], refusals: Mapping[str, str]) -> Board:
    """Return the board of one look; *phases* tells for each run what it does and in which try."""
    _, waits = frontier(world, seats(world))
    why = {one.task_id: one for one in waits}
    lines = []
    for task in world.tasks:
        lease = world.lease(task.task_id)
        if lease is not None:
            phase, attempt = phases.get(lease.run_id, ("starting", task.tries + 1))
            since = "its wrapper is gone" if lease.orphaned_since else ""
            lines.append(_line(task, "running", phase=phase, reason=since, run=lease.run_id, attempt=attempt))
        elif task.status is Status.READY and task.task_id in why:
            wait = why[task.task_id]
            lines.append(_line(task, "waiting", reason=wait.reason, blocked_by=wait.blocked_by))
        else:
            lines.append(_line(task, _word(task), phase=_phase(task), reason=_reason(world, task)))
    counts = {word: sum(line.status == word for line in lines) for word in ("running", "ready", "waiting", "parked")}
    return Board(
        target_branch=world.config.target_branch,
        head=world.target_head or "",
        running=counts["running"],
        ready=counts["ready"],
        waiting=counts["waiting"],
        parked=counts["parked"],
        accepted=sum(line.status == "accepted" for line in lines),
        needs_you=tuple(_needs_you(world, lines, refusals)),
        tasks=tuple(lines),
        nodes=tuple(_nodes(world)),
        stop=world.stop,
        breaker=world.circuit.consec_fails if world.circuit else 0,
        backoff=_backoff(world),
        backoffs=tuple(_backoffs(world)),
        dispatch_gate=dispatch_gate(world),
        low_disk=_disk(world),
    )


def _line(
    task: Task,
    status: str,
    *,
    phase: str = "",
    reason: str = "",
    blocked_by: tuple[str, ...] = (),
    run: str | None = None,
    attempt: int | None = None,
) -> TaskLine:
    return TaskLine(
        id=task.task_id,
        title=task.spec.title,
        status=status,
        phase=phase,
        reason=reason,
        blocked_by=blocked_by,
        run=run if run is not None else task.run_id,
        attempt=task.tries if attempt is None else attempt,
    )


def _word(task: Task) -> str:
    return "parked" if task.status is Status.BLOCKED else task.status.value


def _phase(task: Task) -> str:
    if task.status is not Status.ACCEPTED:
        return ""
    return {None: "queued", ProofState.PROVING: "proving", ProofState.PROVED: "landing",
            ProofState.WAITING: "waiting"}[task.proof.state if task.proof else None]  # fmt: skip


def _reason(world: World, task: Task) -> str:
    if task.proof is not None and task.proof.state is ProofState.WAITING:
        return f"its candidate cannot land: {', '.join(task.proof.blocked_paths[:3])} in your checkout"
    if task.status is Status.ACCEPTED and not world.config.auto_integrate:
        return "integration is switched off; type `gluerun integrate`"
    if task.status is Status.BLOCKED and task.ordered is not None:
        return f"parked by {task.ordered.by}: {task.ordered.reason}".removesuffix(": ")
    if task.last_failure is None:
        return ""
    words = f"{task.last_failure.failure_class}: {task.last_failure.reason}"
    says_more = task.decision is not None and task.decision.rationale not in words
    return (
        f"{words} ({task.decision.rationale})"
        if says_more and task.status is Status.BLOCKED and task.decision
        else words
    )


def _needs_you(world: World, lines: list[TaskLine], refusals: Mapping[str, str]) -> list[str]:
    found = [f"{line.id} is parked: {line.reason}" for line in lines if line.status == "parked"]
    found += [f"{line.id}: {line.reason}" for line in lines if line.phase == "waiting"]
    found += list(refusals.values())
    found += [f"{one.path}: {one.reason}" for one in world.broken]
    if world.graph_error:
        found.append(world.graph_error)
    found += [f"the gate file of node {name} cannot be used, or blocks it" for name in sorted(world.node_blocked)]
    for one in world.backoffs.values():
        if one.needs_you and holds(world, one):
            found.append(f"{one.provider}: {one.reason}; it is asked again at {one.until:%H:%M:%SZ}")
    if world.red_tree:
        found.append(f"the gate is red on {world.config.target_branch} itself")
    if (gate := dispatch_gate(world)) and not world.stop:
        found.append(gate)
    if (disk := low_disk(world)) and disk not in found:
        found.append(disk)
    return found


def _nodes(world: World) -> list[NodeLine]:
    if world.graph is None:
        return []
    open_now = {node.id for node in eligible(world.graph, world.passed, world.node_blocked)}
    planning = {lease.node for lease in world.node_leases}
    found = []
    for node in world.graph.nodes:
        state = "waiting"
        if node.id in world.passed:
            state = "passed"
        elif node.id in world.node_blocked:
            state = "blocked"
        elif node.id in planning:
            state = "planning"
        elif node.id in open_now:
            state = "open"
        found.append(NodeLine(id=node.id, state=state))
    return found


def _backoffs(world: World) -> list[BackoffLine]:
    return [
        BackoffLine(provider=one.provider, fault=one.fault.value, until=one.until, reason=one.reason)
        for one in world.backoffs.values()
        if holds(world, one)
    ]


def _disk(world: World) -> DiskLine | None:
    if not low_disk(world):
        return None
    return DiskLine(free_bytes=world.free_bytes, wanted_bytes=int(world.config.min_disk_gb * 1e9))


def _backoff(world: World) -> str | None:
    if world.backoff is None or world.now >= world.backoff.until:
        return None
    return f"{world.backoff.node} until {world.backoff.until:%H:%M:%SZ}"

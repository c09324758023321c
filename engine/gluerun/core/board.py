"""What runs, what waits, what needs you and why: one look, as a person and a program read it."""

from __future__ import annotations

from datetime import datetime

from gluerun.core.actions import PUSHING
from gluerun.core.backoff import holds
from gluerun.core.frontier import frontier
from gluerun.core.launch import dispatch_gate, low_disk, seats
from gluerun.core.matters import held_by_person, matters, reason_of
from gluerun.core.nodes import node_lines
from gluerun.records.record import record
from gluerun.records.task import ProofState, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.knowing import Known
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
    """One node of the graph: its state, why it is not further, and what its run does if it has one."""

    id: str
    state: str
    reason: str = ""
    run: str | None = None
    phase: str = ""


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


def board(world: World, known: Known) -> Board:
    """Return the board of one look."""
    _, waits = frontier(world, seats(world))
    why = {one.task_id: one for one in waits}
    lines = []
    for task in world.tasks:
        lease = world.lease(task.task_id)
        if lease is not None:
            phase, attempt = known.phases.get(lease.run_id, ("starting", task.tries + 1))
            since = "its wrapper is gone" if lease.orphaned_since else ""
            lines.append(_line(task, "running", phase=phase, reason=since, run=lease.run_id, attempt=attempt))
        elif task.status is Status.READY and task.task_id in why:
            wait = why[task.task_id]
            lines.append(_line(task, "waiting", reason=wait.reason, blocked_by=wait.blocked_by))
        else:
            lines.append(_line(task, _word(task), phase=_phase(world, task), reason=reason_of(world, task)))
    counts = {word: sum(line.status == word for line in lines) for word in ("running", "ready", "waiting", "parked")}
    return Board(
        target_branch=world.config.target_branch,
        head=world.target_head or "",
        running=counts["running"],
        ready=counts["ready"],
        waiting=counts["waiting"],
        parked=counts["parked"],
        accepted=sum(line.status == "accepted" for line in lines),
        needs_you=tuple(one.words for one in matters(world, known) if one.needs_you),
        tasks=tuple(lines),
        nodes=_nodes(world, known),
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


_PHASES = {
    ProofState.CHAINED: "chained",
    ProofState.PROVING: "proving",
    ProofState.PROVED: "landing",
    ProofState.RED: "searched",
    ProofState.WAITING: "waiting",
}


def _phase(world: World, task: Task) -> str:
    if task.status is not Status.ACCEPTED:
        return ""
    if held_by_person(world, task):
        return "approval"
    if task.proof is not None and task.proof.is_in_the_way:
        return "waiting"
    return _PHASES[task.proof.state] if task.proof is not None else "queued"


def _nodes(world: World, known: Known) -> tuple[NodeLine, ...]:
    found = []
    for one in node_lines(world):
        run = next((lease.run_id for lease in world.node_leases if lease.node == one.id), None)
        phase = known.phases.get(run, ("starting", 0))[0] if run is not None else ""
        reason = "" if run is not None or one.state == "passed" else one.words
        found.append(NodeLine(id=one.id, state=one.state, reason=reason, run=run, phase=phase))
    return tuple(found)


def _backoffs(world: World) -> list[BackoffLine]:
    push = world.push_backoff
    own = [BackoffLine(provider=PUSHING, fault=PUSHING, until=push.until, reason=push.reason)] if push else []
    return own + [
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

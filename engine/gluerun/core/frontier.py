"""Which ready tasks may run now, and, for each that may not, why."""

from __future__ import annotations

from gluerun.core import scope
from gluerun.core.backoff import held_back, worker_roles
from gluerun.records.record import record
from gluerun.records.task import ProofState, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.records.task import Task


@record
class Waits:
    """Why a ready task is not dispatched, in one sentence, and which tasks it waits for."""

    task_id: str
    reason: str
    blocked_by: tuple[str, ...] = ()


def frontier(world: World, seats: int) -> tuple[list[Task], list[Waits]]:
    """Return the tasks to start now, at most *seats*, by priority and id, and why every other ready one waits."""
    start: list[Task] = []
    waits: list[Waits] = []
    held = _held(world)
    nobody = held_back(world, worker_roles(world.config))
    for task in sorted(world.tasks, key=lambda task: (-task.rank, len(task.task_id), task.task_id)):
        if task.status is not Status.READY or world.lease(task.task_id):
            continue
        why = Waits(task_id=task.task_id, reason=nobody) if nobody else _obstacle(world, task, held)
        if why is None and len(start) >= seats:
            why = Waits(task_id=task.task_id, reason="no free seat")
        if why is None:
            start.append(task)
            held[task.task_id] = task.owned
        else:
            waits.append(why)
    return start, waits


def _held(world: World) -> dict[str, tuple[str, ...]]:
    """Return the scopes that are taken: leased ones, and accepted ones on their way into the target."""
    held = {lease.task_id: lease.owned_files for lease in world.leases}
    for task in world.tasks:
        if task.status is Status.ACCEPTED and world.config.auto_integrate and not _is_stuck(task):
            held[task.task_id] = task.owned
    return held


def _is_stuck(task: Task) -> bool:
    """Tell whether a proved candidate waits for somebody's checkout; it blocks nobody's dispatch."""
    return task.proof is not None and task.proof.state is ProofState.WAITING


def _obstacle(world: World, task: Task, held: dict[str, tuple[str, ...]]) -> Waits | None:
    if task.spec.dispatch_mode != "canonical":
        return Waits(task_id=task.task_id, reason=f"dispatch mode is {task.spec.dispatch_mode!r}, not 'canonical'")
    if task.spec.target_branch != world.config.target_branch:
        return Waits(task_id=task.task_id, reason=f"its target is {task.spec.target_branch!r}, not this loop's")
    for need in task.spec.depends_on:
        if (status := world.status_of(need)) is not Status.INTEGRATED:
            return _unmet(task, need, status)
    for holder, paths in held.items():
        if holder != task.task_id and scope.clashes(task.owned, paths):
            return Waits(task_id=task.task_id, reason=f"its scope is held by {holder}", blocked_by=(holder,))
    return None


def _unmet(task: Task, need: str, status: Status | None) -> Waits:
    words = "which nobody knows" if status is None else f"which is {status}"
    return Waits(task_id=task.task_id, reason=f"depends on {need}, {words}", blocked_by=(need,))

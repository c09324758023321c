"""One task in the foreground: cycles filtered to it, until it has landed, is parked or cannot go on."""

from __future__ import annotations

from gluerun.core.frontier import frontier, is_stuck
from gluerun.core.launch import dispatch_gate, seats
from gluerun.core.outlook import runs_of
from gluerun.core.queue import is_asked
from gluerun.errors import UsageError
from gluerun.loop.reconcile import cycle, turn
from gluerun.records import names
from gluerun.records.record import record
from gluerun.records.task import ProofState, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.loop.auto import Tell
    from gluerun.loop.house import House
    from gluerun.loop.report import CycleReport
    from gluerun.records.task import Task

_PATIENCE = 2.0


@record
class Driven:
    """How a drive ended: landed, parked or refused, and why."""

    how: str
    why: str


def drive(house: House, task_id: str, *, tell: Tell | None = None) -> Driven:
    """Run cycles for one task until it goes no further."""
    if not names.is_task(task_id):
        raise UsageError(f"{task_id!r} is no task id", "task ids read TASK-0001")
    took: tuple[CycleReport, World] | None = cycle(house, "actuate", only=task_id)
    while True:
        if took is not None:
            report, world = took
            if tell is not None:
                tell(report, world)
            if (ended := _judge(house, world, task_id)) is not None:
                return ended
            house.doors.watch.wait(runs_of(world, task_id), _PATIENCE)
        took = turn(house, lambda: cycle(house, "actuate", only=task_id))


def _judge(house: House, world: World, task_id: str) -> Driven | None:
    task = world.task(task_id) or house.store.settled_task(task_id)
    if task is None:
        raise UsageError(f"nobody knows {task_id}", "`gluerun status` shows the tasks and what was refused")
    match task.status:
        case Status.INTEGRATED:
            return Driven(how="landed", why=f"it is in {task.spec.target_branch}")
        case Status.BLOCKED | Status.CANCELLED | Status.SUPERSEDED:
            return Driven(how="parked", why=_last(task))
        case Status.ACCEPTED:
            return _judge_accepted(world, task)
        case Status.READY:
            return None if world.lease(task_id) else _judge_ready(world, task_id)


def _judge_accepted(world: World, task: Task) -> Driven | None:
    if not world.config.auto_integrate:
        return Driven(how="landed", why="it is accepted; integration is switched off")
    if is_asked(world, task):
        return Driven(how="landed", why="it is accepted; a person merges its pull request")
    if task.proof is not None and task.proof.state is ProofState.WAITING:
        return Driven(how="landed", why=f"it is accepted and waits for {', '.join(task.proof.blocked_paths)}")
    if is_stuck(world, task):
        from gluerun.core.approvals import landing_wait

        return Driven(how="landed", why=f"it is accepted; {landing_wait(world, task)}")
    return None


def _judge_ready(world: World, task_id: str) -> Driven | None:
    if gate := dispatch_gate(world):
        return Driven(how="refused", why=gate)
    start, waits = frontier(world, max(1, seats(world)))
    if any(task.task_id == task_id for task in start):
        return None
    why = next((one.reason for one in waits if one.task_id == task_id), "")
    return None if why == "no free seat" else Driven(how="refused", why=why)


def _last(task: Task) -> str:
    note = task.last_failure
    return f"{note.failure_class}: {note.reason}" if note else task.status.value

"""Which ready tasks may run now, and, for each that may not, why."""

from __future__ import annotations

from gluerun.core import scope
from gluerun.core.backoff import day_is_spent, held_back, worker_roles
from gluerun.core.obstacle import Why
from gluerun.records.record import record
from gluerun.records.task import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluerun.core.world import World
    from gluerun.records.task import Task


@record
class Waits:
    """Why a ready task is not dispatched, in one sentence, and which tasks it waits for."""

    task_id: str
    reason: str
    why: Why
    blocked_by: tuple[str, ...] = ()


def frontier(world: World, seats: int) -> tuple[list[Task], list[Waits]]:
    """Return the tasks to start now, at most *seats*, by priority and id, and why every other ready one waits."""
    start: list[Task] = []
    waits: list[Waits] = []
    held = held_scopes(world)
    nobody, asks = nobody_asked(world), world.asks_people
    for task in sorted(world.tasks, key=lambda task: (-task.rank, len(task.task_id), task.task_id)):
        if task.status is not Status.READY or world.lease(task.task_id):
            continue
        first = next(obstacles(world, task, held, asks=asks), None)
        why = Waits(task_id=task.task_id, reason=nobody[1], why=nobody[0]) if nobody else first
        if why is None and len(start) >= seats:
            why = Waits(task_id=task.task_id, reason="no free seat", why=Why.NO_SEAT)
        if why is None:
            start.append(task)
            held[task.task_id] = task.owned
        else:
            waits.append(why)
    return start, waits


def nobody_asked(world: World) -> tuple[Why, str] | None:
    """Say why no worker may be asked at all; None if one may."""
    words = held_back(world, worker_roles(world.config))
    if not words:
        return None
    return Why.DAY_SPENT if words == day_is_spent(world) else Why.PROVIDER_HELD, words


def held_scopes(world: World) -> dict[str, tuple[str, ...]]:
    """Return the scopes that are taken: leased ones, and accepted ones on their way into the target."""
    held = {lease.task_id: lease.owned_files for lease in world.leases}
    for task in world.tasks:
        if task.status is Status.ACCEPTED and world.config.auto_integrate and not is_stuck(world, task):
            held[task.task_id] = task.owned
    return held


def is_stuck(world: World, task: Task) -> bool:
    """Tell whether a proved candidate waits for somebody's checkout, or for a person's word; it holds nobody up."""
    if task.proof is not None and task.proof.is_in_the_way:
        return True
    if not world.approvals and not world.graph_error:
        return False
    from gluerun.core.approvals import landing_wait  # where nobody is asked, none of it is needed

    return bool(landing_wait(world, task))


def obstacles(
    world: World, task: Task, held: dict[str, tuple[str, ...]], *, asks: bool | None = None
) -> Iterator[Waits]:
    """Yield everything about a task itself that keeps it from being started, beside the scopes that are *held*.

    Whoever goes over many tasks says once whether this repository *asks* a person about any.
    """
    of, mode, target = task.task_id, task.spec.dispatch_mode, task.spec.target_branch
    if mode != "canonical":
        yield Waits(task_id=of, reason=f"dispatch mode is {mode!r}, not 'canonical'", why=Why.ODD_MODE)
    if target != world.config.target_branch:
        yield Waits(task_id=of, reason=f"its target is {target!r}, not this loop's", why=Why.OTHER_TARGET)
    if (world.asks_people if asks is None else asks) and (words := _plan_wait(world, task)):
        yield Waits(task_id=of, reason=words, why=Why.NOT_APPROVED)
    for need in task.spec.depends_on:
        if (status := world.status_of(need)) is not Status.INTEGRATED:
            words = "which nobody knows" if status is None else f"which is {status}"
            why = Why.NEED_ITSELF if need == of else _NEEDS.get(status, Why.NEED_OPEN)
            yield Waits(task_id=of, reason=f"depends on {need}, {words}", why=why, blocked_by=(need,))
    for holder, paths in held.items():
        if holder != of and scope.clashes(task.owned, paths):
            yield Waits(task_id=of, reason=f"its scope is held by {holder}", why=Why.SCOPE_HELD, blocked_by=(holder,))


def _plan_wait(world: World, task: Task) -> str:
    from gluerun.core.approvals import plan_wait  # where nobody is asked, none of it is needed

    return plan_wait(world, task)


_NEEDS: dict[Status | None, Why] = {
    None: Why.NEED_UNKNOWN,
    Status.BLOCKED: Why.NEED_PARKED,
    Status.CANCELLED: Why.NEED_GIVEN_UP,
    Status.SUPERSEDED: Why.NEED_GIVEN_UP,
}

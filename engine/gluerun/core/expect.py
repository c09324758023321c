"""The World as it will be if an action succeeds: what the dry run thinks on with."""

from __future__ import annotations

from gluerun.core import backoff, lifecycle
from gluerun.core.actions import (
    PLANNING,
    PUSHING,
    Admit,
    AskApproval,
    Close,
    Follow,
    HoldBack,
    LapseApproval,
    Notice,
    Obey,
    Pause,
    Promote,
    Readmit,
    Settle,
    Shorten,
    Start,
    Unlease,
)
from gluerun.records.origin import ProviderBackoff
from gluerun.records.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.actions import Action
    from gluerun.core.world import World
    from gluerun.records.approval import Approval
    from gluerun.records.origin import PlannerBackoff
    from gluerun.records.task import Task


def expect(world: World, action: Action) -> World:
    """Return *world* after *action*, as far as later phases of the same cycle can notice it."""
    match action:
        case Admit(path=path, mark=mark, file=file):
            return _with_task(world, lifecycle.admitted(file, path, mark, world.now))
        case Readmit(task_id=task_id, path=path, mark=mark, file=file):
            task = _known(world, task_id)
            return _with_task(world, lifecycle.edited(task, file, path, mark, world.now))
        case Close(task_id=task_id, ending=ending):
            closed = lifecycle.accepted(_known(world, task_id), ending, world.now)
            return _without_lease(_with_task(world, closed), task_id)
        case Settle(task_id=task_id, decision=decision, note=note, tries=tries):
            task = _known(world, task_id)
            seed = task.head_sha if action.seed else None
            after = lifecycle.settled(task, decision, note, tries=tries, seed=seed, now=world.now)
            return _without_lease(_with_task(world, after), task_id)
        case HoldBack():
            return _held_back(world, action)
        case Pause(task_id=task_id, ending=ending):
            after = lifecycle.paused(_known(world, task_id), ending, None, world.now)
            return _without_lease(_with_task(world, after), task_id)
        case Shorten(backoff=shorter):
            return _with_shorter(world, shorter)
        case Unlease(task_id=task_id):
            return _without_lease(world, task_id)
        case Notice(task_id=task_id, commit=commit):
            return _with_task(world, lifecycle.integrated(_known(world, task_id), commit, world.now))
        case Start(task_id=task_id, base=base):
            return _with_task(world, lifecycle.started(_known(world, task_id), "", base, world.now))
        case Promote(node=node):
            return replace(world, passed=world.passed | {node})
        case _:
            return _of_people(world, action)


def _held_back(world: World, action: HoldBack) -> World:
    world = _with_backoff(world, action)
    if action.task_id is None:
        return world
    after = lifecycle.held(_known(world, action.task_id), action.ending, world.now)
    return _without_lease(_with_task(world, after), action.task_id)


def _obeyed(world: World, action: Obey) -> World:
    world = replace(world, orders=tuple(one for one in world.orders if one.id != action.order.id))
    for task in action.tasks:
        world = _with_task(world, task)
    for request in action.approvals:
        world = _with_request(world, request, is_over=request.is_over)
    if action.papers:
        from gluerun.core.human_orders import with_papers  # few orders write any

        world = with_papers(world, action.order.subject, action.papers)
    if action.flakes is not None:
        world = replace(world, flakes=action.flakes)
    if action.ends_runs:
        world = _without_lease(world, action.order.subject)
    if action.stop is not None:
        world = replace(world, stop=action.stop)
    if action.resets_breaker:
        world = replace(world, circuit=None)
    if action.backoffs:
        left = {name: one for name, one in world.backoffs.items() if name not in action.backoffs}
        world = replace(world, backoffs=left, backoff=None if PLANNING in action.backoffs else world.backoff)
        world = replace(world, push_backoff=None if PUSHING in action.backoffs else world.push_backoff)
    return world


def _of_people(world: World, action: Action) -> World:
    """Return *world* after what a person ordered, is asked, or pushed."""
    if isinstance(action, Obey):
        return _obeyed(world, action)
    if isinstance(action, AskApproval):
        return replace(_with_request(world, action.approval), next_approval=world.next_approval + 1)
    if isinstance(action, Follow):
        return replace(world, target_head=action.commit, outside=None)
    return _with_request(world, action.approval, is_over=action.is_over) if isinstance(action, LapseApproval) else world


def _with_request(world: World, request: Approval, *, is_over: bool = False) -> World:
    others = tuple(one for one in world.approvals if one.id != request.id)
    return replace(world, approvals=others if is_over else (*others, request))


def _with_backoff(world: World, action: HoldBack) -> World:
    held = action.ending.held
    if held is None:
        return world
    noted = backoff.begun(held, world.backoffs.get(held.provider), action.run_id, world.now, world.config)
    return replace(world, backoffs={**world.backoffs, held.provider: noted})


def _with_shorter(world: World, shorter: PlannerBackoff | ProviderBackoff) -> World:
    if isinstance(shorter, ProviderBackoff):
        return replace(world, backoffs={**world.backoffs, shorter.provider: shorter})
    return replace(world, backoff=shorter)


def _known(world: World, task_id: str) -> Task:
    task = world.task(task_id)
    if task is None:
        raise LookupError(task_id)
    return task


def _with_task(world: World, task: Task) -> World:
    others = [one for one in world.tasks if one.task_id != task.task_id]
    if task.is_terminal:
        return replace(world, tasks=tuple(others), done={**world.done, task.task_id: task.status})
    tasks = sorted([*others, task], key=lambda one: (len(one.task_id), one.task_id))
    return replace(world, tasks=tuple(tasks))


def _without_lease(world: World, task_id: str) -> World:
    return replace(world, leases=tuple(lease for lease in world.leases if lease.task_id != task_id))

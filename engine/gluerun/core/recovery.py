"""What became of the workers: accepted ones are closed, failed and vanished ones settled, stragglers ended."""

from __future__ import annotations

from datetime import timedelta

from gluerun.core import backoff, decider, scope
from gluerun.core.actions import Close, HoldBack, MarkOrphan, Pause, Settle, Shorten, Stop, Unlease
from gluerun.core.ageing import is_late, is_within
from gluerun.records.dispatch import Life, Outcome
from gluerun.records.failure import Answer, Authority, Decision, Failure, FailureNote
from gluerun.records.record import replace
from gluerun.records.task import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.actions import Action
    from gluerun.core.world import Sighting, World
    from gluerun.records.dispatch import Ending
    from gluerun.records.lease import Lease
    from gluerun.records.task import Task

# A wrapper that was just forked cannot be seen for a moment; it gets this long to show itself.
START_GRACE = timedelta(seconds=5)
_SET_BACK = "it lay further ahead than it can last: the clock was set back"


def plan_recovery(world: World) -> list[Action]:
    """Say what each lease calls for."""
    found = [_judge(world, lease) for lease in world.leases]
    found += [_judge_planner_life(world, lease.run_id, lease.node) for lease in world.node_leases]
    found += [
        Shorten(provider=one.provider, backoff=one, reason=_SET_BACK)
        for one in backoff.from_the_future(world.backoffs.values(), world.now)
    ]
    found.append(_judge_planner_backoff(world))
    return [action for action in found if action is not None]


def _judge_planner_backoff(world: World) -> Action | None:
    if world.backoff is None:
        return None
    longest = timedelta(seconds=world.config.planner_backoff_seconds)
    until = backoff.cut(world.backoff.started_at, world.backoff.until, longest, world.now)
    if until is None:
        return None
    return Shorten(provider=None, backoff=replace(world.backoff, started_at=world.now, until=until), reason=_SET_BACK)


def _judge(world: World, lease: Lease) -> Action | None:
    task = world.task(lease.task_id)
    if task is None or task.run_id != lease.run_id or task.epoch != lease.epoch:
        return Unlease(task_id=lease.task_id, run_id=lease.run_id, reason="the lease is not of the task's epoch")
    if task.status is not Status.READY or task.settled_run == lease.run_id:
        return Unlease(task_id=lease.task_id, run_id=lease.run_id, reason="its run was settled already")
    sighting = world.sightings.get(lease.run_id)
    if sighting is None:
        return None
    if sighting.ending is not None and sighting.ending.epoch == lease.epoch:
        return _judge_ending(world, task, lease, sighting.ending)
    return _judge_life(world, task, lease, sighting)


def _judge_life(world: World, task: Task, lease: Lease, sighting: Sighting) -> Action | None:
    late = is_late(world, lease.run_id, lease.updated_at, lease.expires_at)
    match sighting.life:
        case Life.ALIVE:
            reason = "past its deadline"
            return Stop(run_id=lease.run_id, task_id=task.task_id, reason=reason) if late else None
        case Life.ORPHANED:
            return _judge_orphan(world, lease, late=late)
        # Only the same boot can tell: a dispatch that was written may be lost with the power.
        case Life.DEAD if not sighting.was_asked and lease.boot_id == world.boot_id:
            return Unlease(task_id=task.task_id, run_id=lease.run_id, reason="its run was never started")
        case Life.DEAD if not sighting.signed_in and is_within(world.now, lease.updated_at, START_GRACE):
            return None
        case Life.DEAD:
            return _settle_vanished(world, task, lease, sighting)


def _judge_orphan(world: World, lease: Lease, *, late: bool) -> Action | None:
    # A mark from the future is of a clock that has been set back since: its grace begins anew.
    if lease.orphaned_since is None or lease.orphaned_since > world.now:
        return MarkOrphan(
            run_id=lease.run_id, task_id=lease.task_id, node=None, reason="its wrapper is gone, its tree lives on"
        )
    grace = timedelta(seconds=world.config.orphan_grace)
    if late or world.now >= lease.orphaned_since + grace:
        return Stop(run_id=lease.run_id, task_id=lease.task_id, reason="its wrapper has been gone too long")
    return None


def _judge_planner_life(world: World, run_id: str, node: str) -> Action | None:
    lease = next(one for one in world.node_leases if one.run_id == run_id)
    sighting = world.sightings.get(run_id)
    if sighting is None or sighting.ending is not None or sighting.life is Life.DEAD:
        return None
    if is_late(world, run_id, lease.started_at, lease.expires_at):
        return Stop(run_id=run_id, task_id=None, reason="past its deadline")
    if sighting.life is Life.ORPHANED:
        return Stop(run_id=run_id, task_id=None, reason=f"the planner of {node} has lost its wrapper")
    return None


def _judge_ending(world: World, task: Task, lease: Lease, ending: Ending) -> Action:
    if ending.outcome is Outcome.ACCEPTED:
        head = world.branch_heads.get(task.spec.worker_branch)
        if head is not None and head == ending.head_sha:
            return Close(task_id=task.task_id, run_id=lease.run_id, ending=ending, reason="the run was accepted")
        reason = f"{task.spec.worker_branch} is at {head or 'nothing'}, the packet says {ending.head_sha}"
        return _settle(world, task, lease, Failure.PACKET_INVALID, reason, ending)
    if ending.held is not None:
        held = ending.held
        return HoldBack(
            task_id=task.task_id, node=None, run_id=lease.run_id, ending=ending, reason=f"{held.provider}: {held.fault}"
        )
    if ending.paused is not None:
        return Pause(task_id=task.task_id, run_id=lease.run_id, ending=ending, reason=ending.paused.reason)
    return _settle(world, task, lease, ending.failure or Failure.WORKER_INFRA, ending.reason, ending)


def _settle(world: World, task: Task, lease: Lease, failure: Failure, reason: str, ending: Ending) -> Settle:
    note = FailureNote(
        failure_class=failure,
        reason=reason,
        at=world.now,
        run_id=lease.run_id,
        head_sha=ending.head_sha,
        diff_sha256=ending.diff_sha256,
        places=ending.paths,
        detail=ending.detail,
    )
    left = tries_left(world, task, ending.tries)
    decision = _heed(world, task, ending, failure, left)
    return Settle(
        task_id=task.task_id,
        run_id=lease.run_id,
        decision=decision,
        note=note,
        tries=ending.tries,
        reason=f"{failure}: {decision.action} {' '.join(decision.paths[:3])}".rstrip(),
        seed=decision.action is Answer.AMEND_SCOPE,
    )


def _heed(world: World, task: Task, ending: Ending, failure: Failure, left: int) -> Decision:
    """Return the run's own answer, unless only the loop can give it or nobody gave one."""
    if ending.answer is Answer.AMEND_SCOPE and failure is Failure.SCOPE_VIOLATION:
        return _amend(world, task, ending.paths, left)
    if ending.answer is None or ending.answer is Answer.ASK_MODEL:
        answer = decider.decide(failure, left)
        return answer if answer.action is not Answer.ASK_MODEL else decider.park(failure, "no model was asked")
    authority = ending.authority or Authority.POLICY
    why = ending.detail.splitlines()[0] if authority is not Authority.POLICY and ending.detail else ending.reason
    return Decision(failure_class=failure, action=ending.answer, rationale=why or failure.value, authority=authority)


def _amend(world: World, task: Task, paths: tuple[str, ...], left: int) -> Decision:
    """Widen a scope once, and only over ground that nobody else stands on; else spend a try, else park."""
    held = [path for other in world.tasks if other.task_id != task.task_id and _is_active(world, other)
            for path in other.owned]  # fmt: skip
    whys = [
        scope.may_amend(
            path,
            forbidden=(*task.spec.forbidden_files, *scope.guarded(world.config.modules)),
            already=task.amended_files,
            held=held,
        )
        for path in paths
    ]
    why = next((why for why in whys if why), "")
    if not why and paths:
        return Decision(
            failure_class=Failure.SCOPE_VIOLATION,
            action=Answer.AMEND_SCOPE,
            rationale="the plan was too narrow; nobody else holds these paths",
            paths=paths,
        )
    if left > 0:
        return Decision(
            failure_class=Failure.SCOPE_VIOLATION, action=Answer.FORK, rationale=f"the scope stays as it is: {why}"
        )
    return decider.park(Failure.SCOPE_VIOLATION, f"the scope stays as it is: {why}")


def _is_active(world: World, task: Task) -> bool:
    return world.lease(task.task_id) is not None or task.status is Status.ACCEPTED


def _settle_vanished(world: World, task: Task, lease: Lease, sighting: Sighting) -> Settle:
    tries = max(1, sighting.tries)
    left = tries_left(world, task, tries)
    decision = decider.decide(Failure.STALE_LEASE, left)
    reason = "the worker vanished" if lease.boot_id == world.boot_id else "the machine was restarted under the worker"
    note = FailureNote(failure_class=Failure.STALE_LEASE, reason=reason, at=world.now, run_id=lease.run_id)
    return Settle(
        task_id=task.task_id,
        run_id=lease.run_id,
        decision=decision,
        note=note,
        tries=tries,
        reason=f"{reason}: {decision.action}",
    )


def tries_left(world: World, task: Task, spent: int) -> int:
    """Return how many tries a task has after *spent* more; the first try is not a retry."""
    return 1 + world.config.max_retries - task.tries - spent

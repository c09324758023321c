"""Finished branches → the target branch: prove a candidate, then land it. One is proved at a time."""

from __future__ import annotations

from datetime import timedelta

from gluerun.core import decider, pipeline
from gluerun.core.actions import Advance, AskApproval, Notice, ProofDone, Prove, Settle, Stop
from gluerun.core.ageing import is_late, is_within
from gluerun.core.recovery import START_GRACE, tries_left
from gluerun.records.dispatch import Life, Outcome
from gluerun.records.failure import Failure, FailureNote
from gluerun.records.pipeline import Occasion
from gluerun.records.record import replace
from gluerun.records.task import ProofState, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from gluerun.core.actions import Action
    from gluerun.core.world import World
    from gluerun.records.config import Config
    from gluerun.records.task import Proof, Task


def plan_integration(world: World) -> list[Action]:
    """Say the next step of every accepted task; at most one new proof, and none beside a running one."""
    if world.target_head is None:
        return []
    plan: list[Action] = []
    queue = sorted((task for task in world.tasks if task.status is Status.ACCEPTED), key=queue_order)
    busy, asks = any(_is_proving(task) for task in queue), world.asks_people
    for task in queue:
        action = _judge(world, task, busy=busy, asks=asks)
        # What is about to land moves the target: a proof begun now would be about yesterday's.
        lands = isinstance(action, Advance) and task.proof is not None and task.proof.state is ProofState.PROVED
        busy = busy or lands or isinstance(action, Prove)
        if action is not None:
            plan.append(action)
        if isinstance(action, AskApproval):
            world = replace(world, next_approval=world.next_approval + 1)
    return plan


def queue_order(task: Task) -> tuple[object, ...]:
    """Return the place of an accepted task in the queue: who was accepted first, then the lower id."""
    return (task.updated_at, task.task_id)


def is_current(proof: Proof, task: Task, target_head: str | None) -> bool:
    """Tell whether a proof is about the branch and the target as they are now."""
    return (proof.branch_head, proof.target_head) == (task.head_sha, target_head)


def prover_deadline(proof: Proof, config: Config, command: str = "") -> datetime:
    """Return when a prover that has not ended is certainly late."""
    return proof.since + timedelta(seconds=prover_seconds(config, command))


def prover_seconds(config: Config, command: str, occasion: Occasion = Occasion.MERGE) -> int:
    """Return after how many seconds a prover is certainly late."""
    return pipeline.seconds(config, command, occasion) * 2 + 600


def _judge(world: World, task: Task, *, busy: bool, asks: bool) -> Action | None:
    if commit := world.landed.get(task.task_id):
        return Notice(task_id=task.task_id, commit=commit, reason="the target branch holds it already")
    head = world.branch_heads.get(task.spec.worker_branch)
    if head != task.head_sha:
        return _send_back(world, task, Failure.PACKET_INVALID, f"its branch moved to {head or 'nothing'}", park=True)
    proof = task.proof
    if proof is not None and proof.state is ProofState.PROVING:
        return _judge_prover(world, task, proof)
    is_proved = proof is not None and is_current(proof, task, world.target_head)
    if asks:
        asked, held = _asked(world, task, is_proved=is_proved)
        if asked is not None or held:
            return asked
    if is_proved:
        return Advance(task_id=task.task_id, reason="its candidate is proved")
    if busy:
        return None
    return Prove(task_id=task.task_id, reason="accepted" if proof is None else "the target branch moved")


def _asked(world: World, task: Task, *, is_proved: bool) -> tuple[Action | None, bool]:
    """Return what is done about the request that a candidate calls for, and whether a person's word is waited for.

    What waits is not proved again whenever the target moves: it is once it is approved.
    """
    from gluerun.core import approvals  # where nobody is asked, none of it is needed

    if not is_proved:
        return None, bool(approvals.landing_wait(world, task))
    needs = approvals.landing_step(world, task)
    return (None, needs is not None) if needs is None or isinstance(needs, str) else (needs, False)


def _is_proving(task: Task) -> bool:
    return task.proof is not None and task.proof.state is ProofState.PROVING


def _judge_prover(world: World, task: Task, proof: Proof) -> Action | None:
    sighting = world.sightings.get(proof.run_id or "")
    if sighting is None:
        return _again(world, task, "the prover was never started")
    ending = sighting.ending
    if ending is None:
        late = is_late(
            world, sighting.run_id, proof.since, prover_deadline(proof, world.config, task.spec.gate_command)
        )
        if sighting.life is not Life.DEAD and (late or sighting.life is Life.ORPHANED):
            return Stop(run_id=sighting.run_id, task_id=task.task_id, reason="the prover is past its deadline")
        if sighting.life is Life.DEAD and (sighting.signed_in or not is_within(world.now, proof.since, START_GRACE)):
            return _again(world, task, "the prover vanished")
        return None
    if ending.outcome is Outcome.PROVED:
        return ProofDone(task_id=task.task_id, run_id=sighting.run_id, reason="the gate was green on the candidate")
    if ending.failure is Failure.INTEGRATION_GATE_RED:
        return _send_back(world, task, Failure.INTEGRATION_GATE_RED, ending.reason, detail=ending.detail)
    return _again(world, task, ending.reason)


def _again(world: World, task: Task, reason: str) -> Action:
    """Prove once more after a fault of infrastructure; park when that has used up its own tries."""
    if task.infra_tries < world.config.worker_infra_max:
        return Prove(task_id=task.task_id, reason=f"again: {reason}")
    return _send_back(world, task, Failure.WORKER_INFRA, reason, park=True)


def _send_back(
    world: World, task: Task, failure: Failure, reason: str, *, detail: str = "", park: bool = False
) -> Settle:
    left = tries_left(world, task, 0)
    decision = decider.park(failure, reason) if park else decider.decide(failure, left)
    note = FailureNote(
        failure_class=failure,
        reason=reason,
        at=world.now,
        run_id=task.run_id,
        head_sha=task.head_sha,
        target_head=world.target_head,
        detail=detail,
    )
    return Settle(
        task_id=task.task_id,
        run_id=None,
        decision=decision,
        note=note,
        tries=0,
        reason=f"{failure}: {decision.action}",
        seed=True,
    )


def conflict(world: World, task: Task, paths: tuple[str, ...]) -> Settle:
    """Return what is done about a candidate that cannot be built because both sides changed *paths*."""
    settle = _send_back(world, task, Failure.INTEGRATION_CONFLICT, f"conflicts in {', '.join(paths[:5])}")
    return replace(settle, note=replace(settle.note, places=paths))

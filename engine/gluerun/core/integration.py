"""Finished branches → the target branch: candidates are chained, prefixes proved, the longest green one lands."""

from __future__ import annotations

from gluerun.core import decider, refusals, steering
from gluerun.core.actions import (
    Advance,
    CallOff,
    Chain,
    Notice,
    ProofDone,
    ProofRed,
    Prove,
    Settle,
    Stop,
    SuspectTarget,
)
from gluerun.core.gate_runs import answer_of, deadline_of
from gluerun.core.queue import is_asked, is_held, is_second_look, is_solo, queue_of
from gluerun.core.recovery import tries_left
from gluerun.records.failure import Failure, FailureNote
from gluerun.records.gate import GateVerdict
from gluerun.records.pipeline import Occasion
from gluerun.records.record import replace
from gluerun.records.task import ProofState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluerun.core.actions import Action
    from gluerun.core.queue import Queue
    from gluerun.core.refusals import Refused
    from gluerun.core.world import World
    from gluerun.records.task import Proof, Task

_ON_THE_WAY = (ProofState.CHAINED, ProofState.PROVING)
_LANDED, _PROVED = "the target branch holds it already", "its candidate is proved"


def plan_integration(world: World) -> list[Action]:
    """Say what the queue calls for next; what has happened to a single task is taken in before the rest."""
    if world.target_head is None:
        return []
    queue = queue_of(world)
    plan = [action for task in queue.order if (action := _of_itself(world, task)) is not None]
    # Ending a run may fail, again and again; nobody waits for that.
    if any(not isinstance(action, Stop) for action in plan):
        return plan
    called_off = [
        CallOff(task_id=task.task_id, reason="what it was built on is not there any more", unchain=True)
        for task in queue.stale
        if task.proof is not None and task.proof.state is ProofState.PROVING
    ]
    if called_off:
        return [*plan, *called_off]
    slots = _Slots(world, queue)
    if world.red_main is not None or world.red_tree:
        from gluerun.core import repairing  # most targets are never red

        repair = list(repairing.plan_repair(world, slots.free))
        plan += repair
        if any(not isinstance(action, Stop) for action in repair):
            return plan
    alone = list(_of_the_lonely(world, queue, slots))
    plan += alone
    if any(isinstance(action, Advance) and not _waits(world, action) for action in alone):
        return plan  # it moves the target
    return [*plan, *_of_the_chain(world, queue, slots)]


class _Slots:
    """The gate slots that are free."""

    def __init__(self, world: World, queue: Queue) -> None:
        proofs = [task.proof for task in queue.order if task.proof is not None]
        taken = {proof.slot for proof in proofs if proof.state is ProofState.PROVING}
        taken |= {probe.slot for probe in (world.red_main.probes if world.red_main else ())}
        self.all = max(1, world.config.gate_slots)
        self.free = [number for number in range(self.all) if number not in taken]

    def take(self) -> int | None:
        """Return a slot that nobody has, and take it; None if there is none."""
        return self.free.pop(0) if self.free else None


# --- one task by itself ------------------------------------------------------------------------------------


def _of_itself(world: World, task: Task) -> Action | None:
    """Return what has happened to one accepted task, whatever the others do."""
    if commit := world.landed.get(task.task_id):
        return Notice(task_id=task.task_id, commit=commit, reason=_LANDED)
    if is_asked(world, task):
        return None  # who merges it may work on its branch, or remove it
    head = world.branch_heads.get(task.spec.worker_branch)
    if refused := refusals.moved(task.spec.worker_branch, task.head_sha or "", head):
        return refuse(world, task, refused)
    if task.proof is not None and task.proof.state is ProofState.PROVING:
        return _judge_prover(world, task, task.proof)
    return None


def _judge_prover(world: World, task: Task, proof: Proof) -> Action | None:
    run_id = proof.run_id or ""
    deadline = deadline_of(world.config, proof.since, task.spec.gate_command, Occasion.MERGE)
    answer = answer_of(world, run_id, proof.since, deadline, "the prover")
    if answer is None:
        return None
    if answer.is_late:
        return Stop(run_id=run_id, task_id=task.task_id, reason=answer.reason)
    match answer.verdict:
        case GateVerdict.GREEN:
            return ProofDone(task_id=task.task_id, run_id=run_id, reason="the gate was green on the candidate")
        case GateVerdict.RED:
            return ProofRed(task_id=task.task_id, run_id=run_id, reason=answer.reason)
        case _:
            return _again(world, task, answer.reason)


def _again(world: World, task: Task, reason: str) -> Action:
    """Prove once more after a fault of infrastructure; park when that has used up its own tries.

    What goes wrong with several changes together is searched as what is red: the last of them may be innocent.
    """
    proof = task.proof
    if task.infra_tries < world.config.worker_infra_max:
        slot = proof.slot if proof is not None else None
        return Prove(task_id=task.task_id, slot=slot or 0, reason=f"again: {reason}")
    if proof is not None and proof.run_id is not None and proof.target_head != world.target_head:
        return ProofRed(task_id=task.task_id, run_id=proof.run_id, reason=reason)
    return _send_back(world, task, Failure.WORKER_INFRA, reason, park=True)


# --- candidates that nothing is built on --------------------------------------------------------------------


def _of_the_lonely(world: World, queue: Queue, slots: _Slots) -> Iterator[Action]:
    """Yield what is done about the candidates that stand alone: those asked again, held by a person, in the way."""
    has_others = bool(queue.chain or queue.waiting)
    for task in queue.alone:
        proof = task.proof
        if proof is None or proof.state is ProofState.PROVING:
            continue
        if proof.state in (ProofState.PROVED, ProofState.WAITING):
            if is_second_look(proof) and queue.chain:
                yield CallOff(task_id=task.task_id, reason="green the second time; its turn comes again", unchain=True)
            else:
                yield from _land_alone(world, task)
        elif proof.state is ProofState.RED:
            yield from _judge_red(world, task, proof, slots)
        elif not (proof.blocked_paths and has_others) and (slot := slots.take()) is not None:
            yield Prove(task_id=task.task_id, slot=slot, reason="accepted")
    idle = all(task.proof is None or task.proof.state not in _ON_THE_WAY for task in queue.alone)
    if queue.aside and idle and not has_others:
        yield Chain(task_ids=(queue.aside[0].task_id,), onto=world.target_head or "", alone=True, reason="accepted")


def _land_alone(world: World, task: Task) -> Iterator[Action]:
    if world.asks_people:
        from gluerun.core import approvals  # where nobody is asked, none of it is needed

        needs = approvals.landing_step(world, task)
        if needs is not None:
            if not isinstance(needs, str):
                yield needs
            return
    yield Advance(task_id=task.task_id, links=(task.task_id,), reason=_PROVED)


def _waits(world: World, action: Advance) -> bool:
    """Tell whether a landing was refused by a checkout before: it may be refused again, and nobody waits for it."""
    task = world.task(action.task_id)
    return task is not None and task.proof is not None and task.proof.state is ProofState.WAITING


def _judge_red(world: World, task: Task, proof: Proof, slots: _Slots) -> Iterator[Action]:
    """Ask a red candidate once more if that is still due; what stays red goes back with its log."""
    if is_waiting_for_target(world, task):
        return
    if _is_gate_red(world, proof) and task.task_id in world.unsure and proof.target_head != world.target_head:
        reason = "what it stood on was never shown to be green, and is not the target any more"
        yield CallOff(task_id=task.task_id, reason=reason, unchain=True)
        return
    if proof.reruns < world.config.flake_reruns:
        if (slot := slots.take()) is not None:
            yield Prove(task_id=task.task_id, slot=slot, reason=f"once more: {_why_red(proof)}", rerun=True)
        return
    yield _red_back(world, task, proof)


def _why_red(proof: Proof) -> str:
    if not proof.flaky:
        return "its gate was red"
    more = f" and {len(proof.flaky) - 3} more" if len(proof.flaky) > 3 else ""
    return f"its gate was red only by what is known to flake: {', '.join(proof.flaky[:3])}{more}"


def is_waiting_for_target(world: World, task: Task) -> bool:
    """Tell whether a red candidate waits because its target is suspected, or known, to be red by itself."""
    if world.red_main is None:
        return False
    from gluerun.core import repairing  # most targets are never red

    return repairing.waits(world, task)


def _is_gate_red(world: World, proof: Proof) -> bool:
    sighting = world.sightings.get(proof.run_id or "")
    ending = sighting.ending if sighting is not None else None
    return ending is not None and ending.failure is Failure.INTEGRATION_GATE_RED


def _red_back(world: World, task: Task, proof: Proof) -> Settle | SuspectTarget:
    """Send a red change back, or have the target asked first whether it is red without it."""
    sighting = world.sightings.get(proof.run_id or "")
    ending = sighting.ending if sighting is not None else None
    if ending is None or ending.failure is not Failure.INTEGRATION_GATE_RED:
        reason = ending.reason if ending is not None else "its prover left no answer"
        return _send_back(world, task, Failure.WORKER_INFRA, reason, park=True)
    if task.task_id in world.unsure:
        from gluerun.core import repairing  # as good as every target is known to be green

        if (suspicion := repairing.suspicion(world, task, proof)) is not None:
            return suspicion
    return _send_back(world, task, Failure.INTEGRATION_GATE_RED, ending.reason, detail=ending.detail)


# --- the chain ---------------------------------------------------------------------------------------------


def _of_the_chain(world: World, queue: Queue, slots: _Slots) -> Iterator[Action]:
    """Yield what is done about the chain: land its longest green prefix, search a red one, prove, build more."""
    if any(_blocks(world, task) for task in queue.alone):
        return
    states = {cut: task.proof.state for cut, task in enumerate(queue.chain, 1) if task.proof is not None}
    done = steering.steer(
        steering.Seen(
            length=len(queue.chain),
            green=tuple(cut for cut, state in states.items() if state is ProofState.PROVED),
            red=tuple(cut for cut, state in states.items() if state is ProofState.RED),
            running=tuple(cut for cut, state in states.items() if state is ProofState.PROVING),
            waiting=len(queue.waiting),
            slots=slots.all,
            busy=sum(task.proof is not None and task.proof.state is ProofState.PROVING for task in queue.alone),
            rate=world.queue_state.rate.value,
            flake=world.queue_state.rate.flake,
        )
    )
    names = [task.task_id for task in queue.chain]
    if done.land:
        links = tuple(names[: done.land])
        yield Advance(task_id=links[-1], links=links, reason=_PROVED if len(links) == 1 else _batch(len(links)))
        return
    if done.suspect is not None:
        suspect = queue.chain[done.suspect - 1]
        if suspect.proof is not None:
            yield from _suspected(world, suspect, suspect.proof, slots, again=done.again)
        return
    for cut in done.stop:
        yield CallOff(task_id=names[cut - 1], reason="a change before it is shown to be red")
    if done.append:
        first = queue.waiting[0]
        behind = (*queue.waiting[done.append :], *queue.behind)
        yield Chain(
            task_ids=tuple(task.task_id for task in queue.waiting[: done.append]),
            behind=tuple(task.task_id for task in behind),
            onto=queue.tip or world.target_head or "",
            alone=is_solo(world, first),
            reason="accepted" if first.proof is None else "the target branch moved",
        )
        return
    for cut in done.probe:
        if cut <= len(names) and (slot := slots.take()) is not None:
            yield Prove(task_id=names[cut - 1], slot=slot, reason=f"its prefix of {cut}" if cut > 1 else "accepted")


def _batch(size: int) -> str:
    return f"the candidate of {size} changes is proved"


def _suspected(world: World, task: Task, proof: Proof, slots: _Slots, *, again: bool) -> Iterator[Action]:
    """Take the change out that makes its prefix red: asked once more if that is worth a gate run, or sent back.

    What is known to flake is always worth one.
    """
    if is_waiting_for_target(world, task):
        yield CallOff(task_id=task.task_id, reason="the target may be red without it", alone=True)
    elif not (again or proof.flaky) or proof.reruns >= world.config.flake_reruns:
        yield _red_back(world, task, proof)
    else:  # the others go on without it, whether a slot is free or not
        yield CallOff(task_id=task.task_id, reason=_why_red(proof), alone=True)


def _blocks(world: World, task: Task) -> bool:
    """Tell whether a candidate that stands alone is on its way to land: a chain built now would be about yesterday."""
    proof = task.proof
    return proof is not None and not proof.blocked_paths and not is_second_look(proof) and not is_held(world, task)


# --- sent back -----------------------------------------------------------------------------------------------


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


def refuse(world: World, task: Task, refused: Refused) -> Settle:
    """Park a task whose branch cannot become a candidate: no other try would mend that by itself."""
    return _send_back(world, task, refused.failure, refused.reason, park=True)


def conflict(world: World, task: Task, paths: tuple[str, ...]) -> Settle:
    """Return what is done about a candidate that cannot be built because both sides changed *paths*."""
    settle = _send_back(world, task, Failure.INTEGRATION_CONFLICT, f"conflicts in {', '.join(paths[:5])}")
    return replace(settle, note=replace(settle.note, places=paths))

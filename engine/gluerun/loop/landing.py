"""Prove, then advance: the merge is built without a work tree, and the target moves by one compare-and-swap."""

from __future__ import annotations

from datetime import timedelta

from gluerun.core import flakes, integration, lifecycle, pipeline
from gluerun.core.actions import Advance, CallOff, Chain, Notice, ProofDone, ProofRed, Prove
from gluerun.loop import receipts
from gluerun.loop.candidates import build
from gluerun.loop.evidence import RECEIPT, drop_other_receipt, keep_candidate_receipt
from gluerun.loop.flaking import count
from gluerun.loop.gating import gate_key
from gluerun.loop.moving import move_target
from gluerun.loop.rescue import give_up_branches, tidy_run
from gluerun.loop.settling import settle
from gluerun.ports import Landing
from gluerun.records.config import IntegrationMode
from gluerun.records.dispatch import Dispatch, Role
from gluerun.records.gate import GateCheck
from gluerun.records.paths import overlap
from gluerun.records.pipeline import Occasion
from gluerun.records.rate import Rate
from gluerun.records.record import replace
from gluerun.records.task import Proof, ProofState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.refusals import Refused
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import Notes
    from gluerun.records.task import Task

    Step = Chain | Prove | CallOff | ProofDone | ProofRed | Advance | Notice

_PAUSE = timedelta(seconds=30)


def handle(house: House, world: World, action: Step, notes: Notes) -> bool:
    """Carry out one step of integration."""
    if isinstance(action, Chain):
        with house.doors.git.building(len(action.task_ids)):
            return _chain(house, world, action, notes)
    task = world.task(action.task_id)
    if task is None:
        return False
    match action:
        case Prove():
            return _prove(house, world, task, action)
        case CallOff():
            return _call_off(house, task, action, notes)
        case ProofDone() | ProofRed():
            return _take_proof(house, task, action)
        case Advance(links=links):
            return _advance(house, world, [one for name in links if (one := world.task(name))], notes)
        case Notice(commit=commit):
            _record_landings(house, [(task, commit)], notes, noticed=True)
            return True


def _chain(house: House, world: World, action: Chain, notes: Notes) -> bool:
    """Build candidates one upon another. A change that clashes with the target goes back, without ever being proved.

    One that only clashes with a change before it is left for later: that one may never land.
    """
    at, has_changed = action.onto, False
    chained: list[Task] = []
    for task_id in action.task_ids:
        task = world.task(task_id)
        if task is None:
            continue
        if task.infra_tries and task.proof is None and house.now() - task.updated_at < _PAUSE:
            continue  # there was no room for it a moment ago
        if task.proof is not None and task.proof.run_id is not None:
            tidy_run(house, task.proof.run_id)
        built = build(house, task, at)
        if built.trouble:
            notes.trouble.append(built.trouble)
            break  # the next one would meet the same
        # What is before it has all of it, and may never land: is it all in the target, too?
        refused = build(house, task, world.target_head or "").refused if built.empty else built.refused
        if refused is not None:
            has_changed = _refuse(house, world, task, refused, notes) or has_changed
        if refused is not None or built.empty:
            continue
        conflicts = built.conflicts
        if conflicts and at != world.target_head:
            conflicts = build(house, task, world.target_head or "").conflicts
        if conflicts:
            has_changed = settle(house, world, integration.conflict(world, task, conflicts), notes) or has_changed
        if built.conflicts:
            continue
        proof = Proof(
            state=ProofState.CHAINED,
            branch_head=task.head_sha or "",
            target_head=at,
            candidate=built.commit,
            tree=built.tree,
            since=house.now(),
            blocked_paths=task.proof.blocked_paths if task.proof is not None and action.alone else (),
            alone=action.alone,
        )
        if _is_proved_already(house, task, world.target_head or "", built.commit):
            proof = replace(proof, state=ProofState.PROVED)
        chained.append(lifecycle.proving(task, proof))
        at = built.commit
    house.store.put_tasks(chained)
    return _forecast(house, world, action, notes) or has_changed or bool(chained)


def _forecast(house: House, world: World, action: Chain, notes: Notes) -> bool:
    """Send back at once who would clash with the target when its turn comes, all of them for one question to git.

    A branch that is replayed commit by commit clashes elsewhere than one that is merged: it is asked in its turn.
    """
    if not action.behind or world.target_head is None or house.config.integration.mode is IntegrationMode.REBASE:
        return False
    behind = [task for name in action.behind if (task := world.task(name)) is not None]
    clashes = house.doors.git.clashes(world.target_head, [task.head_sha for task in behind if task.head_sha])
    for task in behind:
        if paths := clashes.get(task.head_sha or ""):
            settle(house, world, integration.conflict(world, task, paths), notes)
    return bool(clashes)


def _refuse(house: House, world: World, task: Task, refused: Refused, notes: Notes) -> bool:
    """Park what cannot become a candidate. What may pass is asked again, behind all others, as often as any fault."""
    if not refused.passing or task.infra_tries >= house.config.worker_infra_max:
        return settle(house, world, integration.refuse(world, task, refused), notes)
    later = replace(task, proof=None, infra_tries=task.infra_tries + 1, updated_at=house.now())
    house.store.put_task(later)
    house.tell("integration.postponed", f"{task.task_id}: {refused.reason}", task=task.task_id)
    return True


def _prove(house: House, world: World, task: Task, action: Prove) -> bool:
    proof = task.proof
    if proof is None:
        return False
    if proof.run_id is not None:
        tidy_run(house, proof.run_id)
    run_id = house.doors.processes.enlist() or house.new_run()
    again = action.reason.startswith("again:")
    task = replace(task, infra_tries=task.infra_tries + 1 if again else 0)
    red_run = proof.run_id if action.rerun else proof.red_run
    proof = replace(
        proof, state=ProofState.PROVING, run_id=run_id, slot=action.slot, since=house.now(), red_run=red_run
    )
    house.store.put_task(lifecycle.proving(task, replace(proof, reruns=proof.reruns + action.rerun)))
    house.store.put_dispatch(_dispatch(house, world, task, run_id, proof))
    house.doors.processes.start(run_id)
    house.tell("integration.started", f"{task.task_id}: {action.reason}", task=task.task_id, run=run_id)
    return True


def _call_off(house: House, task: Task, action: CallOff, notes: Notes) -> bool:
    """End a proof that is of no use any more; nobody else gets its slot while something of it lives."""
    proof = task.proof
    if proof is None:
        return False
    if not _end_prover(house, task, notes):
        return False
    if proof.state is ProofState.PROVING:
        house.tell("integration.called_off", f"{task.task_id}: {action.reason}", task=task.task_id, run=proof.run_id)
    house.store.put_task(lifecycle.called_off(task, unchain=action.unchain, alone=action.alone, now=house.now()))
    return True


def _end_prover(house: House, task: Task, notes: Notes) -> bool:
    """End the run that proves a task's candidate, if there is one; False if somebody of it lives on."""
    proof = task.proof
    if proof is None or proof.state is not ProofState.PROVING or proof.run_id is None:
        return True
    if not house.doors.processes.end(proof.run_id, grace=house.config.kill_grace_sec):
        notes.trouble.append(f"some process of {proof.run_id} could not be ended")
        return False
    tidy_run(house, proof.run_id)
    return True


def _take_proof(house: House, task: Task, action: ProofDone | ProofRed) -> bool:
    house.store.sweep_run(action.run_id)
    receipts.file_receipt(house, action.run_id)
    if isinstance(action, ProofRed):
        flaky = count(house, action.run_id, None)
        house.store.put_task(lifecycle.found_red(task, house.now(), flaky))
        words = f"{task.task_id}: {action.reason}"
        house.tell("integration.red", words, task=task.task_id, run=action.run_id)
        return True
    if task.run_id is not None:
        house.store.sweep_run(task.run_id)
    receipt = keep_candidate_receipt(house.store, task, action.run_id)
    _learn_time(house, action.run_id)
    red_run = task.proof.red_run if task.proof is not None and task.proof.reruns else None
    count(house, action.run_id, house.store.known(GateCheck, red_run, RECEIPT) if red_run else None)
    if task.proof is not None and task.proof.reruns:
        house.store.learn_rate(Rate.after_flake)
        names = [one.name for one in house.store.flakes().flakes if red_run and one.run_id == red_run]
        words = f"{task.task_id}: the gate was red and then green on {task.proof.candidate[:12]}"
        words += f" ({', '.join(names[:3])})" if names else ""
        house.tell("integration.flake", words, task=task.task_id, run=action.run_id, commit=task.proof.candidate,
                   redRun=red_run, tests=names or None)  # fmt: skip
    house.store.put_task(lifecycle.proved(task, house.now()))
    check = house.store.known(GateCheck, action.run_id, RECEIPT)
    let_off = check.quarantined if check is not None else ()
    words = f"{task.task_id}: {action.reason}"
    words += f", but for tests in quarantine: {', '.join(let_off[:3])}" if let_off else ""
    house.tell("integration.proved", words, task=task.task_id, run=action.run_id, receipt=receipt,
               quarantined=list(let_off) or None)  # fmt: skip
    return True


def _learn_time(house: House, run_id: str) -> None:
    check = house.store.known(GateCheck, run_id, RECEIPT)
    if check is None:
        return
    state = house.store.queue_state()
    before = check.duration_ms if state.gate_ms is None else state.gate_ms
    house.store.put_queue_state(replace(state, gate_ms=(3 * before + check.duration_ms) // 4))


def _is_proved_already(house: House, task: Task, base: str, candidate: str) -> bool:
    """Tell whether there is nothing to run: no gate, or a green receipt for the same code, gate and environment."""
    command = task.spec.gate_command
    if not pipeline.has_gate(house.config, command, Occasion.MERGE):
        return True
    key = gate_key(house, command, Occasion.MERGE, base, candidate)
    return receipts.is_green(house, house.doors.git.code_tree(candidate), key)


def _dispatch(house: House, world: World, task: Task, run_id: str, proof: Proof) -> Dispatch:
    now = house.now()
    return Dispatch(
        run_id=run_id,
        role=Role.PROVER,
        batch_id=world.origin_run,
        target_branch=task.spec.target_branch,
        base_sha=world.target_head or "",
        started_at=now,
        expires_at=now + timedelta(seconds=pipeline.prover_seconds(house.config, task.spec.gate_command)),
        config_sha256=house.keep_config(),
        epoch=task.epoch,
        task_id=task.task_id,
        candidate=proof.candidate,
        branch_head=task.head_sha,
        gate_command=task.spec.gate_command,
        slot=proof.slot,
        flaky=flakes.known(house.store.flakes(), now),
    )


def _advance(house: House, world: World, links: list[Task], notes: Notes) -> bool:
    """Land a proved prefix by one compare-and-swap. A checkout that cannot follow keeps one change waiting."""
    proof = links[-1].proof if links else None
    if proof is None:
        return False
    landed = move_target(house, world, proof.candidate, world.target_head or "", notes)
    match landed.landing:
        case Landing.LANDED:
            house.store.learn_rate(lambda rate: rate.after_green(len(links)))
            commits = [(task, task.proof.candidate) for task in links if task.proof is not None]
            _record_landings(house, commits, notes, noticed=False)
            return True
        case Landing.MOVED:
            return True  # the next look sees where it is now, and that nothing stands on it
        case Landing.BLOCKED:
            return _wait_for_checkout(house, links, landed.paths, notes)


def _wait_for_checkout(house: House, links: list[Task], paths: tuple[str, ...], notes: Notes) -> bool:
    """Let the change wait that the checkout is in the way of; what is built on it is built again without it."""
    touched = [task for task in links if any(overlap(path, owned) for path in paths for owned in task.owned)]
    task = (touched or links)[0]
    waits = lifecycle.waiting(task, paths, house.now())
    if waits == task or not _end_prover(house, task, notes):
        return False
    house.store.put_task(waits)
    house.tell("integration.waiting", f"{task.task_id}: a checkout is not clean", task=task.task_id, paths=list(paths))
    return True


def _record_landings(house: House, landed: list[tuple[Task, str]], notes: Notes, *, noticed: bool) -> None:
    """Record that tasks are in the target, each by its commit; their own records go last.

    So a crash lets all of it be done again, for each that has not been recorded.
    """
    tasks = [task for task, _ in landed]
    _remember_for_nodes(house, tasks)
    for task, commit in landed:
        drop_other_receipt(house.store, house.doors.git, task, commit)
        _end_prover(house, task, notes)  # it asked about less than what was shown meanwhile
    give_up_branches(house, tasks)
    now = house.now()
    house.store.put_tasks([lifecycle.integrated(task, commit, now) for task, commit in landed])
    for task, commit in landed:
        house.tell(
            "integration.integrated",
            f"{task.task_id} is in {task.spec.target_branch}",
            task=task.task_id,
            run=task.run_id,
            commit=commit,
            noticed=True if noticed else None,
        )
        notes.landed(task, commit, house.config.gate_command)


def _remember_for_nodes(house: House, tasks: list[Task]) -> None:
    """Let nodes know of landed tasks before these are settled: nobody looks for them there afterwards."""
    memory = house.store.memory()
    node_tasks = dict(memory.node_tasks)
    for task in tasks:
        if (node := task.spec.dag_node) and task.task_id not in (known := node_tasks.get(node, ())):
            node_tasks[node] = (*known, task.task_id)
    if node_tasks != memory.node_tasks:
        house.store.put_memory(replace(memory, node_tasks=node_tasks), durable=True)

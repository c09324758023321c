"""Prove, then advance: the merge is built without a work tree, and the target moves by one compare-and-swap."""

from __future__ import annotations

from datetime import timedelta

from gluerun.core import integration, lifecycle
from gluerun.core.actions import Advance, Notice, ProofDone, Prove
from gluerun.core.gates import gate_sha256
from gluerun.loop.candidates import build
from gluerun.loop.evidence import CANDIDATE, keep_candidate_receipt
from gluerun.loop.rescue import give_up_branch, tidy_run
from gluerun.loop.settling import settle
from gluerun.ports import Landing
from gluerun.records.dispatch import Dispatch, Role
from gluerun.records.gate import GateCheck, GateVerdict
from gluerun.records.record import replace
from gluerun.records.task import Proof, ProofState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import Notes
    from gluerun.records.task import Task


def handle(house: House, world: World, action: Prove | ProofDone | Advance | Notice, notes: Notes) -> bool:
    """Carry out one step of integration."""
    task = world.task(action.task_id)
    if task is None:
        return False
    match action:
        case Prove():
            return _prove(house, world, task, action, notes)
        case ProofDone():
            house.store.sweep_run(action.run_id)
            if task.run_id is not None:
                house.store.sweep_run(task.run_id)
            receipt = keep_candidate_receipt(house.store, task, action.run_id)
            house.store.put_task(lifecycle.proved(task, house.now()))
            words = f"{task.task_id}: {action.reason}"
            house.tell("integration.proved", words, task=task.task_id, run=action.run_id, receipt=receipt)
            return True
        case Advance():
            return _advance(house, task, notes)
        case Notice(commit=commit):
            _record_landing(house, task, commit, notes, noticed=True)
            return True


def _prove(house: House, world: World, task: Task, action: Prove, notes: Notes) -> bool:
    if task.proof is not None and task.proof.run_id is not None:
        tidy_run(house, task.proof.run_id)
    target, head = world.target_head or "", task.head_sha or ""
    built = build(house, task, target)
    if built.conflicts:
        return settle(house, world, integration.conflict(world, task, built.conflicts), notes)
    proof = Proof(
        state=ProofState.PROVED,
        branch_head=head,
        target_head=target,
        candidate=built.commit,
        tree=built.tree,
        since=house.now(),
    )
    if _is_proved_already(house, task, built.commit):
        house.store.put_task(lifecycle.proving(task, proof))
        return True
    run_id = house.new_run()
    again = action.reason.startswith("again:")
    task = replace(task, infra_tries=task.infra_tries + 1 if again else 0)
    house.store.put_task(lifecycle.proving(task, replace(proof, state=ProofState.PROVING, run_id=run_id)))
    house.store.put_dispatch(_dispatch(house, world, task, run_id, built.commit))
    house.doors.processes.start(run_id)
    house.tell("integration.started", f"{task.task_id}: {action.reason}", task=task.task_id, run=run_id)
    return True


def _is_proved_already(house: House, task: Task, candidate: str) -> bool:
    """Tell whether there is nothing to run: no gate, or a green receipt for the same code and command."""
    command = task.spec.gate_command
    if not command:
        return True
    gate = gate_sha256(command, house.config)
    green = {task.green_tree} if task.green_gate == gate else set()
    # A commit of records moves the target and leaves the code as a prover has found it green.
    known = house.store.known(GateCheck, task.run_id, CANDIDATE) if task.run_id else None
    if known is not None and known.result is GateVerdict.GREEN and known.gate_sha256 == gate:
        green.add(known.code_tree)
    return bool(green - {None}) and house.doors.git.code_tree(candidate) in green


def _dispatch(house: House, world: World, task: Task, run_id: str, candidate: str) -> Dispatch:
    now = house.now()
    return Dispatch(
        run_id=run_id,
        role=Role.PROVER,
        batch_id=world.origin_run,
        target_branch=task.spec.target_branch,
        base_sha=world.target_head or "",
        started_at=now,
        expires_at=now + timedelta(seconds=house.config.gate_timeout_sec * 2 + 600),
        config_sha256=house.keep_config(),
        epoch=task.epoch,
        task_id=task.task_id,
        candidate=candidate,
        branch_head=task.head_sha,
        gate_command=task.spec.gate_command,
    )


def _advance(house: House, task: Task, notes: Notes) -> bool:
    """Land a proved candidate. A checkout that cannot follow keeps the candidate waiting, and nobody else."""
    proof = task.proof
    if proof is None:
        return False
    with house.doors.locks.git():
        landed = house.doors.git.land(task.spec.target_branch, proof.candidate, proof.target_head)
    match landed.landing:
        case Landing.LANDED:
            _record_landing(house, task, proof.candidate, notes, noticed=False)
            return True
        case Landing.MOVED:
            house.store.put_task(replace(task, proof=None))
            return True
        case Landing.BLOCKED:
            waits = lifecycle.waiting(task, landed.paths, house.now())
            if waits != task:
                house.store.put_task(waits)
                house.tell(
                    "integration.waiting", f"{task.task_id}: a checkout is not clean", task=task.task_id,
                    paths=list(landed.paths),
                )  # fmt: skip
            return waits != task


def _record_landing(house: House, task: Task, commit: str, notes: Notes, *, noticed: bool) -> None:
    """Record a landing; the task's own record goes last, so that a crash lets all of it be done again."""
    if task.spec.dag_node:
        _remember_for_node(house, task, task.spec.dag_node)
    give_up_branch(house, task)
    house.store.put_task(lifecycle.integrated(task, commit, house.now()))
    house.tell(
        "integration.integrated",
        f"{task.task_id} is in {task.spec.target_branch}",
        task=task.task_id,
        run=task.run_id,
        commit=commit,
        noticed=True if noticed else None,
    )
    notes.landed(task, commit, house.config.gate_command)


def _remember_for_node(house: House, task: Task, node: str) -> None:
    """Let a node know of a landed task before the task is settled: nobody looks for it there afterwards."""
    memory = house.store.memory()
    known = memory.node_tasks.get(node, ())
    if task.task_id not in known:
        node_tasks = memory.node_tasks | {node: (*known, task.task_id)}
        house.store.put_memory(replace(memory, node_tasks=node_tasks), durable=True)

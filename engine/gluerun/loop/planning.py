"""Planners and nodes: a planner is a run like any other; its batch is admitted whole or not at all."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from gluerun.core import batches, pipeline, prompts_planner
from gluerun.core.actions import EndPlanner, ImportBatch, NodeProved, Promote, ProveNode, RejectBatch, StartPlanner
from gluerun.core.gates import held_mark
from gluerun.core.masking import masked_text
from gluerun.core.planners import rejected
from gluerun.loop import receipts
from gluerun.loop.gating import gate_key
from gluerun.loop.nodes import EVIDENCE, GATES, gate_path, log_path, red_proof
from gluerun.loop.observe import TASKS
from gluerun.loop.settling import end_node_lease
from gluerun.loop.starting import run_seconds
from gluerun.loop.store import IMPORT
from gluerun.records import schema
from gluerun.records.dispatch import Dispatch, Role
from gluerun.records.gate import (
    COMMAND_LOG,
    DETERMINISTIC,
    RED_PROOF,
    GateCheck,
    GateEvidence,
    GateResult,
    GateVerdict,
    NodeStatus,
    proof_wanted,
)
from gluerun.records.lease import NodeLease, NodeLeaseStatus
from gluerun.records.origin import PlannerBackoff
from gluerun.records.paths import ORCHESTRATION
from gluerun.records.pipeline import Occasion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import Notes
    from gluerun.records.graph import Node

    NodeAction = StartPlanner | ImportBatch | EndPlanner | RejectBatch | ProveNode | NodeProved | Promote

PROMPTS = f"{ORCHESTRATION}/prompts"
LONGEST_TEXT = 65_536
LONGEST_LOG = 262_144


def handle(house: House, world: World, action: NodeAction, notes: Notes) -> bool:
    """Carry out one step of planning or promotion."""
    match action:
        case ProveNode():
            return _prove(house, world, action)
        case NodeProved():
            return _take_proof(house, world, action, notes)
        case StartPlanner():
            return _start(house, world, action)
        case ImportBatch():
            return _import(house, world, action, notes)
        case EndPlanner():
            return _end(house, world, action, notes)
        case RejectBatch():
            return _reject(house, world, action, notes)
        case Promote():
            return _promote(house, world, action, notes)


def _node(world: World, name: str) -> Node | None:
    return next((node for node in world.graph.nodes if node.id == name), None) if world.graph else None


def _start(house: House, world: World, action: StartPlanner) -> bool:
    node = _node(world, action.node)
    if node is None:
        return False
    now, run_id = house.now(), house.new_run()
    expires = now + timedelta(seconds=run_seconds(house.config, 1))
    lease = _lease(house, node, action.base, run_id, expires, NodeLeaseStatus.PLANNING)
    house.store.put_node_lease(lease)
    house.store.put_dispatch(
        Dispatch(
            run_id=run_id,
            role=Role.PLANNER,
            batch_id=world.origin_run,
            target_branch=house.config.target_branch,
            base_sha=action.base,
            started_at=now,
            expires_at=expires,
            config_sha256=house.keep_config(),
            node=node.id,
            prompt=planner_prompt(house, node, world),
            critic_prompt=text_of(house.doors.work.read(f"{PROMPTS}/plan-critic.md")),
        )
    )
    house.doors.processes.start(run_id)
    house.tell("l1.dispatch_started", f"{node.id}: {action.reason}", node=node.id, run=run_id)
    return True


def planner_prompt(house: House, node: Node, world: World) -> str:
    """Return what the planner of a node is told, in the repository's own words where it has some."""
    read = house.doors.work.read
    texts = prompts_planner.Texts(
        role=text_of(read(f"{PROMPTS}/l1-planner.md")),
        contract=text_of(read(f"{ORCHESTRATION}/planner-contract.md")),
        area=text_of(read(f"{ORCHESTRATION}/areas/{node.area}/state.md")),
    )
    return prompts_planner.planner(node, world, texts)


def text_of(data: bytes | None) -> str:
    """Return a file of the repository as text for a prompt: bounded, and without what looks like a secret."""
    return masked_text((data or b"")[:LONGEST_TEXT].decode("utf-8", "replace")).strip()


def _lease(house: House, node: Node, base: str, run_id: str, expires: datetime, status: NodeLeaseStatus) -> NodeLease:
    now = house.now()
    return NodeLease(
        node=node.id,
        area=node.area,
        stage=node.stage,
        layer=node.layer,
        status=status,
        run_id=run_id,
        base_sha=base,
        target_branch=house.config.target_branch,
        allowed_write_scopes=house.config.areas.get(node.area, ()),
        started_at=now,
        updated_at=now,
        expires_at=expires,
    )


def _prove(house: House, world: World, action: ProveNode) -> bool:
    """Start a gate run on the target's head, as the proof of a node."""
    node = _node(world, action.node)
    if node is None or world.target_head is None:
        return False
    now, run_id = house.now(), house.new_run()
    seconds = pipeline.prover_seconds(house.config, house.config.gate_command, Occasion.NODE)
    expires = now + timedelta(seconds=seconds)
    house.store.put_node_lease(_lease(house, node, world.target_head, run_id, expires, NodeLeaseStatus.ACTIVE))
    house.store.put_dispatch(
        Dispatch(
            run_id=run_id,
            role=Role.PROVER,
            batch_id=world.origin_run,
            target_branch=house.config.target_branch,
            base_sha=world.target_head,
            started_at=now,
            expires_at=expires,
            config_sha256=house.keep_config(),
            node=node.id,
            candidate=world.target_head,
            gate_command=house.config.gate_command,
        )
    )
    house.doors.processes.start(run_id)
    house.tell("node.proving", f"{node.id}: {action.reason}", node=node.id, run=run_id)
    return True


def _take_proof(house: House, world: World, action: NodeProved, notes: Notes) -> bool:
    receipts.file_receipt(house, action.run_id)
    if action.is_green:
        notes.green_head, notes.green_run = action.commit, action.run_id
    elif action.is_red:
        notes.red_head = action.commit
        notes.trouble.append(f"the gate is red on {house.config.target_branch}: {action.reason}")
    end_node_lease(house, world, action.node, NodeLeaseStatus.RELEASED if action.is_green else NodeLeaseStatus.FAILED)
    house.tell("node.proved", f"{action.node}: {action.reason}", node=action.node, run=action.run_id)
    return True


def _import(house: House, world: World, action: ImportBatch, notes: Notes) -> bool:
    """Write a batch's task files; the next look admits them. Files that are there already are its own."""
    house.store.put_document(action.run_id, IMPORT, action.final_ids)
    house.doors.work.sweep(TASKS)
    for task_id, text in batches.numbered(action.batch, action.node, action.final_ids).items():
        path = f"{TASKS}/{task_id}.md"
        if not house.doors.work.create(path, text.encode()) and house.doors.work.read(path) != text.encode():
            notes.trouble.append(f"{path} is there already; the proposal of {action.run_id} was not written over it")
    house.store.end_plan_note(action.node)
    notes.next_task = 1 + max(int(task_id.removeprefix("TASK-")) for task_id in action.final_ids.values())
    end_node_lease(house, world, action.node, NodeLeaseStatus.RELEASED)
    told = ", ".join(action.final_ids.values())
    house.tell("planner.generated", f"{action.node}: {told}", node=action.node, run=action.run_id)
    return True


def _end(house: House, world: World, action: EndPlanner, notes: Notes) -> bool:
    now = house.now()
    if action.failed:
        seconds = house.config.planner_backoff_seconds
        house.store.put_backoff(
            PlannerBackoff(
                failure_class="planner-failed",
                run_id=action.run_id,
                node=action.node,
                log_ref=f"runs/{action.run_id}",
                started_at=now,
                until=now + timedelta(seconds=seconds),
            )
        )
        # One that keeps failing is paid for each time: after its tries a person has to look.
        earlier, why = house.store.plan_notes().get(action.node), masked_text(action.reason)
        house.store.put_plan_note(rejected(earlier, action.node, action.run_id, why, now, house.config))
        notes.trouble.append(f"the planner of {action.node} failed: {action.reason}")
    if action.is_empty:
        house.store.end_plan_note(action.node)
    if action.is_empty and world.target_head is not None:
        notes.exhausted[action.node] = world.target_head
    status = NodeLeaseStatus.FAILED if action.failed else NodeLeaseStatus.RELEASED
    end_node_lease(house, world, action.node, status)
    kind = "planner.failed" if action.failed else "planner.no_tasks"
    house.tell(kind, f"{action.node}: {action.reason}", node=action.node, run=action.run_id)
    return True


def _reject(house: House, world: World, action: RejectBatch, notes: Notes) -> bool:
    """Note why a batch is not taken in, for the planner's next prompt and for the board, and give the node back."""
    earlier = house.store.plan_notes().get(action.node)
    reason = masked_text(action.reason)
    note = rejected(earlier, action.node, action.run_id, reason, house.now(), house.config, park=action.park)
    house.store.put_plan_note(note)
    end_node_lease(house, world, action.node, NodeLeaseStatus.FAILED)
    kind = "planner.parked" if action.park else "origin.l1_import_rejected"
    house.tell(kind, f"{action.node}: {reason}", node=action.node, run=action.run_id, times=note.times)
    notes.trouble.append(f"{action.node}: {reason}")
    return True


def _is_held_by_modules(house: House, world: World, node: Node, head: str, notes: Notes) -> bool:
    """Tell whether a module holds a finished node back; which one and why is told when it changes, not each cycle."""
    if not house.config.modules:
        return False
    from gluerun.kit import FinishedNode
    from gluerun.loop import modules

    def read(path: str) -> bytes | None:
        return house.doors.git.file_at(head, path)

    finished = FinishedNode(
        id=node.id,
        area=node.area,
        layer=node.layer,
        kind=node.kind,
        commit=head,
        tasks=tuple(world.node_tasks.get(node.id, ())),
        read=read,
    )
    found = modules.objections(modules.load(house.config.modules, read), modules.PROMOTE, node=finished)
    words = "\n".join(f"{held.module}: {held.reason}" for held in found)
    if words and words != house.store.memory().held.get(node.id, "").partition("\n")[2]:
        house.tell("node.held", f"{node.id} is not completed: {words}", node=node.id)
    if words:
        notes.held_nodes[node.id] = f"{held_mark(house.config, head)}\n{words}"
    return bool(words)


def _promote(house: House, world: World, action: Promote, notes: Notes) -> bool:
    """Record a node's completion: its integrated tasks, and the logs of the gate on the target's very tree."""
    node = _node(world, action.node)
    if node is None:
        return False
    head = world.target_head or ""
    if _is_held_by_modules(house, world, node, head, notes):
        return False
    evidence = [GateEvidence(kind="task-set", ref="tasks", task_ids=world.node_tasks.get(node.id, ()), head_sha=head)]
    is_judged = pipeline.judges(house.config, house.config.gate_command, Occasion.NODE)
    if is_judged:
        green = _green_logs(house, node, head)
        if not green:
            # Nobody can show that it was green: the next cycle lets the gate run.
            notes.is_green_unproved = True
            return True
        evidence += green
    if proof_wanted(node.layer, node.id, house.config):
        check = red_proof(house.doors.work.read, node.id)
        if check is None:
            return False
        ref = f"{node.id}{RED_PROOF}"
        evidence.append(_command_log(ref, check.cmd, check.exit_code, check.log_ref, check.log_sha256, check.commit))
    result = GateResult(
        node=node.id,
        status=NodeStatus.PASSED,
        authoritative=True,
        evidence_class=DETERMINISTIC if is_judged else "task-set",
        evidence=tuple(evidence),
        decided_by="gluerun",
        recorded_at=house.now(),
        upstream_gates=node.depends_on,
        rationale=action.reason,
    )
    house.doors.work.sweep(GATES)
    house.doors.work.write(gate_path(node.id), schema.dump(result))
    notes.promoted.append(node.id)
    house.tell("node.promoted", f"{node.id}: {action.reason}", node=node.id)
    return True


def _green_logs(house: House, node: Node, head: str) -> list[GateEvidence]:
    """Copy the logs of the green gates on *head* beside the gate files; nothing if one is there no more."""
    run_id, command = house.store.memory().green_run, house.config.gate_command
    tree, gate = house.doors.git.code_tree(head), gate_key(house, command, Occasion.NODE, head, head)
    for name in ("candidate-gate-check.json", "gate-check.json"):
        check = house.store.known(GateCheck, run_id, name) if run_id else None
        if check is None or (check.code_tree, check.gate_sha256) != (tree, gate):
            continue
        if check.result is not GateVerdict.GREEN or check.quarantined:
            continue
        green = [run for run in check.gates if run.result is GateVerdict.GREEN]
        named = [(f"@{run.name}", run.log_ref, run.command) for run in green] or [("", check.log_ref, check.cmd)]
        logs = [house.store.files.read(ref) for _, ref, _ in named]
        if None in logs:
            continue
        house.doors.work.sweep(EVIDENCE)
        return [
            _kept_log(house, node, name, command, log or b"", head)
            for (name, _, command), log in zip(named, logs, strict=True)
        ]
    return []


def _kept_log(house: House, node: Node, name: str, command: str, log: bytes, head: str) -> GateEvidence:
    """Lay the log of one green gate beside the gate files, without what looks like a secret."""
    kept = masked_text(log[-LONGEST_LOG:].decode("utf-8", "replace")).encode()
    # No node has an `@` in its name, so no node's log is taken for another's.
    path = log_path(node.id + name)
    house.doors.work.write(path, kept)
    digest = hashlib.sha256(kept).hexdigest()
    return _command_log(f"{node.id}{name}-gate", command, 0, path, digest, head)


def _command_log(ref: str, command: str, exit_code: int, path: str, sha256: str, head: str) -> GateEvidence:
    return GateEvidence(
        kind=COMMAND_LOG, ref=ref, command=command, exit_code=exit_code, log_ref=path, sha256=sha256, head_sha=head
    )

"""Planners and nodes: a planner is a run like any other; its batch is admitted whole or not at all."""

from __future__ import annotations

from datetime import timedelta

from gluerun.core import batches, prompts_planner
from gluerun.core.actions import EndPlanner, ImportBatch, NodeProved, Promote, ProveNode, StartPlanner
from gluerun.core.gates import gate_sha256
from gluerun.loop.nodes import GATES, gate_path
from gluerun.loop.observe import TASKS
from gluerun.loop.settling import end_node_lease
from gluerun.loop.starting import run_seconds
from gluerun.loop.store import IMPORT
from gluerun.records import schema
from gluerun.records.dispatch import Dispatch, Role
from gluerun.records.gate import GateEvidence, GateResult, NodeStatus
from gluerun.records.lease import NodeLease, NodeLeaseStatus
from gluerun.records.origin import PlannerBackoff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import Notes
    from gluerun.records.graph import Node

    NodeAction = StartPlanner | ImportBatch | EndPlanner | ProveNode | NodeProved | Promote


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
        case Promote():
            notes.promoted.append(action.node)
            return _promote(house, world, action)


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
            prompt=prompts_planner.planner(node, world),
        )
    )
    house.doors.processes.start(run_id)
    house.tell("l1.dispatch_started", f"{node.id}: {action.reason}", node=node.id, run=run_id)
    return True


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
    expires = now + timedelta(seconds=house.config.gate_timeout_sec * 2 + 600)
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
        notes.trouble.append(f"the planner of {action.node} failed: {action.reason}")
    if action.is_empty and world.target_head is not None:
        notes.exhausted[action.node] = world.target_head
    status = NodeLeaseStatus.FAILED if action.failed else NodeLeaseStatus.RELEASED
    end_node_lease(house, world, action.node, status)
    kind = "planner.failed" if action.failed else "planner.no_tasks"
    house.tell(kind, f"{action.node}: {action.reason}", node=action.node, run=action.run_id)
    return True


def _promote(house: House, world: World, action: Promote) -> bool:
    """Record a node's completion; its evidence is the set of integrated tasks and the gate on the target."""
    memory = house.store.memory()
    tasks = tuple(world.node_tasks.get(action.node, ()))
    head = world.target_head or ""
    evidence = [GateEvidence(kind="task-set", ref="tasks", task_ids=tasks, head_sha=head)]
    if house.config.gate_command:
        evidence.append(
            GateEvidence(
                kind="command-log",
                ref=f"runs/{memory.green_run}" if memory.green_run else "receipt",
                command=house.config.gate_command,
                exit_code=0,
                sha256=gate_sha256(house.config.gate_command, house.config),
                head_sha=head,
            )
        )
    result = GateResult(
        node=action.node,
        status=NodeStatus.PASSED,
        authoritative=True,
        evidence_class="task-set",
        evidence=tuple(evidence),
        decided_by="gluerun",
        recorded_at=house.now(),
        rationale=action.reason,
    )
    house.doors.work.sweep(GATES)
    house.doors.work.write(gate_path(action.node), schema.dump(result))
    house.tell("node.promoted", f"{action.node}: {action.reason}", node=action.node)
    return True

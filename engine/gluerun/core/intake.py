"""What comes in: tasks a person wrote, batches a planner proposed, and files of ours that broke."""

from __future__ import annotations

from gluerun.core import batches
from gluerun.core.actions import (
    Admit,
    EndPlanner,
    HoldBack,
    ImportBatch,
    NodeProved,
    Readmit,
    Refuse,
    RejectBatch,
    SetAside,
    Shelve,
)
from gluerun.core.ageing import is_within
from gluerun.core.recovery import START_GRACE
from gluerun.records.dispatch import Life, Outcome
from gluerun.records.failure import Answer, Failure
from gluerun.records.lease import NodeLeaseStatus
from gluerun.records.task import TERMINAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluerun.core.actions import Action
    from gluerun.core.world import Input, World
    from gluerun.records.lease import NodeLease


def plan_orders(world: World) -> list[Action]:
    """Say what is done about the first order that waits; the next one is judged by what this one leaves."""
    if not world.orders:
        return []
    from gluerun.core.orders import obeyed  # a cycle without orders needs none of it

    return [obeyed(world, world.orders[0])]


def plan_intake(world: World) -> list[Action]:
    """Say what is done about everything new: admitted, taken in again, refused or set aside."""
    plan: list[Action] = [SetAside(path=one.path, reason=one.reason) for one in world.broken]
    plan += [Shelve(task_id=task.task_id, reason="it is settled") for task in world.tasks if task.is_terminal]
    seen: dict[str, str] = {}
    # Whose record is broken may have a published one: whether its Markdown is new, the next look tells.
    unclear = {one.path.rpartition("/")[2].removesuffix(".json") for one in world.broken}
    for one in world.inputs:
        if one.task_id in unclear:
            continue
        plan += _judge_input(world, one, seen)
    for lease in world.node_leases:
        plan += _judge_planner(world, lease) if lease.status is NodeLeaseStatus.PLANNING else _judge_gate(world, lease)
    return plan


def _judge_input(world: World, one: Input, seen: dict[str, str]) -> Iterator[Action]:
    if one.file is None:
        yield Refuse(path=one.path, mark=one.mark, reason=one.error, hint=one.hint)
        return
    task_id = one.file.spec.task_id
    task = world.task(task_id)
    if task_id in seen or (task and task.source_path not in ("", one.path)):
        other = seen.get(task_id) or (task.source_path if task else "")
        yield Refuse(path=one.path, mark=one.mark, reason=f"{one.path}: {task_id} is already defined in {other}")
        return
    seen[task_id] = one.path
    if task is None:
        if world.status_of(task_id) is None:
            yield Admit(task_id=task_id, path=one.path, mark=one.mark, file=one.file, reason="a new task file")
    elif world.lease(task_id) is None and _may_be_edited(task_id, world):
        yield Readmit(task_id=task_id, path=one.path, mark=one.mark, file=one.file, reason="its file changed")


def _may_be_edited(task_id: str, world: World) -> bool:
    """Tell whether an edit counts now: a task under way, or accepted, keeps what it was started with."""
    status = world.status_of(task_id)
    return status is not None and status not in TERMINAL and status.value in ("ready", "blocked")


def _judge_planner(world: World, lease: NodeLease) -> Iterator[Action]:
    sighting = world.sightings.get(lease.run_id)
    if sighting is None:
        return
    if sighting.ending is None:
        if sighting.life is Life.DEAD and not sighting.was_asked:
            yield EndPlanner(node=lease.node, run_id=lease.run_id, failed=False, reason="its run was never started")
        elif sighting.life is Life.DEAD and (
            sighting.signed_in or not is_within(world.now, lease.started_at, START_GRACE)
        ):
            yield EndPlanner(node=lease.node, run_id=lease.run_id, failed=True, reason="the planner vanished")
        return
    if (held := sighting.ending.held) is not None:
        reason = f"{held.provider}: {held.fault}"
        yield HoldBack(task_id=None, node=lease.node, run_id=lease.run_id, ending=sighting.ending, reason=reason)
        return
    if sighting.ending.outcome is not Outcome.PLANNED or sighting.batch is None:
        reason = sighting.ending.reason or "the planner left no batch"
        yield EndPlanner(node=lease.node, run_id=lease.run_id, failed=True, reason=reason)
        return
    if not sighting.batch.tasks:
        reason = "nothing to propose"
        yield EndPlanner(node=lease.node, run_id=lease.run_id, failed=False, reason=reason, is_empty=True)
        return
    if sighting.ending.answer is Answer.ESCALATE_PARKED:
        yield RejectBatch(node=lease.node, run_id=lease.run_id, reason=sighting.ending.reason, park=True)
        return
    final_ids = sighting.final_ids
    if final_ids is None and (why := batches.refusal(sighting.batch, lease, world)):
        yield RejectBatch(node=lease.node, run_id=lease.run_id, reason=f"batch refused: {why}")
        return
    yield ImportBatch(
        node=lease.node,
        run_id=lease.run_id,
        batch=sighting.batch,
        final_ids=final_ids if final_ids is not None else batches.final_ids(sighting.batch, world),
        reason=f"{len(sighting.batch.tasks)} tasks proposed",
    )


def _judge_gate(world: World, lease: NodeLease) -> Iterator[Action]:
    """Take in how a node's gate run ended; without an answer it is run again after the next look."""
    sighting = world.sightings.get(lease.run_id)
    if sighting is None or (sighting.ending is None and sighting.life is not Life.DEAD):
        return
    ending = sighting.ending
    if ending is None and not sighting.signed_in and is_within(world.now, lease.started_at, START_GRACE):
        return
    yield NodeProved(
        node=lease.node,
        run_id=lease.run_id,
        commit=lease.base_sha,
        is_green=ending is not None and ending.outcome is Outcome.PROVED,
        is_red=ending is not None and ending.failure is Failure.INTEGRATION_GATE_RED,
        reason=ending.reason if ending is not None and ending.reason else "its gate run ended",
    )

"""How a run's end is taken in: an accepted packet, or a failure and the answer to it; then the lease goes back."""

from __future__ import annotations

from gluerun.core import lifecycle
from gluerun.core.actions import Close, HoldBack, Pause, Settle
from gluerun.core.backoff import begun
from gluerun.core.decider import park
from gluerun.errors import ImpossibleError, SchemaError
from gluerun.loop.booking import book
from gluerun.loop.flaking import count_worker
from gluerun.loop.house import RESCUE
from gluerun.loop.receipts import file_receipt
from gluerun.loop.rescue import remove_place, tidy_run
from gluerun.records import schema
from gluerun.records.codec import canonical
from gluerun.records.failure import Failure, FailureNote
from gluerun.records.lease import LeaseStatus, NodeLeaseStatus
from gluerun.records.packet import Packet
from gluerun.records.pause import PAUSED
from gluerun.records.rate import Rate
from gluerun.records.record import replace
from gluerun.records.task import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import Notes
    from gluerun.records.task import Task


def task_of(world: World, task_id: str) -> Task:
    """Return a task that an action names; it was seen in the same look."""
    task = world.task(task_id)
    if task is None:
        raise ImpossibleError(f"{task_id} is not in this look")
    return task


def handle(house: House, world: World, action: Close | Settle | HoldBack | Pause, notes: Notes) -> bool:
    """Take in how a run ended."""
    match action:
        case Close():
            return close(house, world, action, notes)
        case Settle():
            return settle(house, world, action, notes)
        case HoldBack():
            return hold_back(house, world, action, notes)
        case Pause():
            return pause(house, world, action, notes)


def close(house: House, world: World, action: Close, notes: Notes) -> bool:
    """Take an accepted packet in; what does not hold against its own hash and schema is refused."""
    task = task_of(world, action.task_id)
    if why := _packet_fault(house, task, action):
        note = FailureNote(failure_class=Failure.PACKET_INVALID, reason=why, at=house.now(), run_id=action.run_id)
        refused = Settle(
            task_id=task.task_id,
            run_id=action.run_id,
            decision=park(Failure.PACKET_INVALID, why),
            note=note,
            tries=action.ending.tries,
            reason=why,
        )
        notes.refused_imports.append(task.task_id)
        return settle(house, world, refused, notes)
    house.doors.processes.end(action.run_id, grace=house.config.kill_grace_sec)
    task = lifecycle.charged(task, book(house, action.run_id))
    if action.ending.green_tree is not None:
        file_receipt(house, action.run_id, action.ending.green_tree)
    count_worker(house, action.run_id)
    house.store.put_task(lifecycle.accepted(task, action.ending, house.now()))
    end_lease(house, world, task.task_id, LeaseStatus.ACCEPTED)
    house.tell(
        "packet.imported",
        f"{task.task_id} was accepted",
        task=task.task_id,
        run=action.run_id,
        **_sessions(house, action.run_id),
    )
    if told := _tampered(house, action.run_id):
        house.tell("tests.changed", f"{task.task_id}: {told}", task=task.task_id, run=action.run_id, tests=told)
    notes.reaped_ok += 1
    return True


def _tampered(house: House, run_id: str) -> str:
    """Return what an accepted packet says of the tests; empty if it says nothing of them."""
    from gluerun.core.tamper import EVIDENCE

    document = house.store.document(run_id, "packet.json") or {}
    return next((str(one["ref"]) for one in document.get("evidence", ()) if one.get("kind") == EVIDENCE), "")


def _packet_fault(house: House, task: Task, action: Close) -> str:
    """Say why a packet cannot be taken in; empty if it can."""
    import hashlib

    try:
        document = house.store.document(action.run_id, "packet.json")
        packet = schema.admit(Packet, document)
    except SchemaError as error:
        return error.message
    if hashlib.sha256(canonical(document)).hexdigest() != action.ending.packet_sha256:
        return "the packet is not the one that the run ended with"
    if (packet.task_id, packet.run_id, packet.head_sha) != (task.task_id, action.run_id, action.ending.head_sha):
        return "the packet names another task, run or commit"
    return ""


def settle(house: House, world: World, action: Settle, notes: Notes) -> bool:
    """Carry out the answer to a failure: the record first, then the lease; what stood in its place is rescued."""
    task = task_of(world, action.task_id)
    if action.run_id is not None:
        gone = house.doors.processes.end(action.run_id, grace=house.config.kill_grace_sec)
        if not gone and action.note.failure_class is Failure.STALE_LEASE:
            # Somebody of a run without an ending still lives: its task is nobody else's yet.
            notes.trouble.append(f"some process of {action.run_id} could not be ended")
            return False
        clear_places(house, task, action.run_id, action.note.failure_class.value)
        task = lifecycle.charged(task, book(house, action.run_id))
    elif task.proof is not None and task.proof.run_id is not None:
        house.doors.processes.end(task.proof.run_id, grace=house.config.kill_grace_sec)
        tidy_run(house, task.proof.run_id)
    seed = _seed(house, task, action)
    after = lifecycle.settled(task, action.decision, action.note, tries=action.tries, seed=seed, now=house.now())
    house.store.put_task(after)
    end_lease(house, world, task.task_id, _LEASE_WORDS.get(after.status, LeaseStatus.FAILED))
    kind = "task.parked" if after.status is Status.BLOCKED else "run.settled"
    house.tell(
        kind,
        f"{task.task_id}: {action.note.failure_class}, {action.note.reason}",
        task=task.task_id,
        run=action.run_id,
        answer=action.decision.action.value,
        authority=action.decision.authority.value,
        **_sessions(house, action.run_id),
    )
    notes.settled(vanished=action.note.failure_class is Failure.STALE_LEASE)
    if action.run_id is None:
        notes.failed_integrations.append(task.task_id)
        if action.note.failure_class is Failure.INTEGRATION_GATE_RED:
            house.store.learn_rate(Rate.after_culprit)
    return True


def hold_back(house: House, world: World, action: HoldBack, notes: Notes) -> bool:
    """Take in a run that its provider's state broke off: costs, back-off, record, and last the lease."""
    held = action.ending.held
    if held is None:
        raise ImpossibleError(f"{action.run_id} is held back by nobody")
    house.doors.processes.end(action.run_id, grace=house.config.kill_grace_sec)
    spent = book(house, action.run_id)
    # Looked at again: an answer within this very run may have ended the one before, and others may have begun one.
    earlier = house.store.backoffs().get(held.provider)
    noted = begun(held, earlier, action.run_id, house.now(), house.config)
    house.store.put_provider_backoff(noted)
    until = f"{held.provider} is held back until {noted.until:%Y-%m-%d %H:%M:%SZ}"
    if action.task_id is not None:
        task = task_of(world, action.task_id)
        clear_places(house, task, action.run_id, f"held back: {held.fault.value}")
        house.store.put_task(lifecycle.held(lifecycle.charged(task, spent), action.ending, house.now()))
        end_lease(house, world, task.task_id, LeaseStatus.PLANNED)
    if action.node is not None:
        end_node_lease(house, world, action.node, NodeLeaseStatus.RELEASED)
    about = action.task_id or action.node
    house.tell("provider.held", f"{about}: {until}", task=action.task_id, node=action.node, run=action.run_id,
               provider=held.provider, fault=held.fault.value)  # fmt: skip
    notes.held.append(f"{until}: {held.reason}")
    return True


def pause(house: House, world: World, action: Pause, notes: Notes) -> bool:
    """Take in a run that broke off at a limit: costs, what it had done, record, and last the lease."""
    task = task_of(world, action.task_id)
    house.doors.processes.end(action.run_id, grace=house.config.kill_grace_sec)
    spent = book(house, action.run_id)
    clear_places(house, task, action.run_id, PAUSED)
    seed = None if action.ending.head_sha else _paused_work(house, task, action.run_id)
    house.store.put_task(lifecycle.paused(lifecycle.charged(task, spent), action.ending, seed, house.now()))
    end_lease(house, world, task.task_id, LeaseStatus.PLANNED)
    house.tell("limit.paused", f"{task.task_id}: {action.reason}", task=task.task_id, run=action.run_id,
               **_sessions(house, action.run_id))  # fmt: skip
    notes.held.append(f"{task.task_id} is paused: {action.reason}")
    return True


def _paused_work(house: House, task: Task, run_id: str) -> str | None:
    """Return the commit from which a paused task goes on: what was rescued from its place, or its branch."""
    git = house.doors.git
    kept = git.kept(f"{RESCUE}/{task.task_id}/{run_id}-{PAUSED}")
    return next(reversed(kept.values()), git.head(task.spec.worker_branch))


def _sessions(house: House, run_id: str | None) -> dict[str, object]:
    """Return what the journal is told of a run's sessions: the run's own word, so only if there is one."""
    found = house.store.sessions(run_id) if run_id else {}
    return {"sessions": found} if found else {}


_LEASE_WORDS = {
    Status.READY: LeaseStatus.FAILED,
    Status.ACCEPTED: LeaseStatus.ACCEPTED,
    Status.BLOCKED: LeaseStatus.BLOCKED,
    Status.CANCELLED: LeaseStatus.CANCELLED,
    Status.SUPERSEDED: LeaseStatus.SUPERSEDED,
}


def _seed(house: House, task: Task, action: Settle) -> str | None:
    """Return the commit that the next try starts from: the branch, or what was rescued from the place."""
    if not action.seed:
        return None
    if action.run_id is None:
        return task.head_sha
    kept = house.doors.git.kept(f"{RESCUE}/{task.task_id}/{action.run_id}")
    return next(iter(kept.values()), task.head_sha)


def clear_places(house: House, task: Task, run_id: str, reason: str) -> None:
    """Rescue and remove what a run left behind; its tree is proved dead by now."""
    git = house.doors.git
    place = house.place(task.task_id)
    with house.doors.locks.git():
        for lock in git.unlock(place, task.spec.worker_branch, f"{RESCUE}/{task.task_id}/{run_id}"):
            house.tell("recovery.action", f"removed {lock}, left by a dead worker", task=task.task_id, run=run_id)
        kept = remove_place(house, task, run_id, place, reason)
    tidy_run(house, run_id)
    if kept:
        house.tell("work.rescued", f"{task.task_id}: kept {kept}", task=task.task_id, run=run_id, commit=kept)


def end_node_lease(house: House, world: World, node: str, status: NodeLeaseStatus) -> None:
    """Give a node back, ending whatever its run has left."""
    lease = next((one for one in world.node_leases if one.node == node), None)
    if lease is not None:
        house.doors.processes.end(lease.run_id, grace=house.config.kill_grace_sec)
        tidy_run(house, lease.run_id)
        book(house, lease.run_id)
        house.store.end_node_lease(replace(lease, status=status, updated_at=house.now()))


def end_lease(house: House, world: World, task_id: str, status: LeaseStatus) -> None:
    """Give a task's lease back, if it has one."""
    lease = world.lease(task_id)
    if lease is not None:
        house.store.end_lease(lease, status)

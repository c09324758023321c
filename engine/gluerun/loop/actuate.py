"""One handler per action: the only code that changes anything. Each may be cut at any line and done again."""

from __future__ import annotations

from gluerun.core import lifecycle
from gluerun.core.actions import (
    Admit,
    Advance,
    Close,
    EndPlanner,
    HoldBack,
    ImportBatch,
    MarkOrphan,
    NodeProved,
    Notice,
    Promote,
    ProofDone,
    Prove,
    ProveNode,
    Readmit,
    Refuse,
    SetAside,
    Settle,
    Shelve,
    Start,
    StartPlanner,
    Stop,
    Unlease,
)
from gluerun.loop import landing, planning, publishing, settling, starting
from gluerun.loop.booking import book, costs_path
from gluerun.records.lease import LeaseStatus
from gluerun.records.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.actions import Action
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import Notes


def actuate(house: House, world: World, action: Action, notes: Notes) -> bool:
    """Carry out one action; True if the next look may see something new because of it."""
    match action:
        case Admit() | Readmit() | Refuse() | SetAside() | Shelve():
            return _take_in(house, world, action, notes)
        case Close():
            return settling.close(house, world, action, notes)
        case Settle():
            return settling.settle(house, world, action, notes)
        case HoldBack():
            return settling.hold_back(house, world, action, notes)
        case Unlease() | MarkOrphan() | Stop():
            return _tend_run(house, world, action, notes)
        case Prove() | ProofDone() | Advance() | Notice():
            return landing.handle(house, world, action, notes)
        case Start():
            return starting.start_worker(house, world, action, notes)
        case StartPlanner() | ImportBatch() | EndPlanner() | ProveNode() | NodeProved() | Promote():
            return planning.handle(house, world, action, notes)


def _take_in(house: House, world: World, action: Admit | Readmit | Refuse | SetAside | Shelve, notes: Notes) -> bool:
    match action:
        case Admit(task_id=task_id, path=path, mark=mark, file=file):
            task = lifecycle.admitted(file, path, mark, house.now())
            if (lease := world.lease(task_id)) is not None:
                # Its record was lost while a run of it lived: no epoch is given twice.
                task = replace(task, epoch=lease.epoch)
            house.store.put_task(task)
            house.tell("task.admitted", f"{task_id}: {task.spec.title}", task=task_id)
            notes.imported.append(task_id)
        case Readmit(task_id=task_id, path=path, mark=mark, file=file):
            before = settling.task_of(world, task_id)
            after = lifecycle.edited(before, file, path, mark, house.now())
            house.store.put_task(after)
            if after.source_sha256 != before.source_sha256:
                house.tell("task.readmitted", f"{task_id}: its file changed", task=task_id)
                notes.imported.append(task_id)
        case Refuse(path=path, mark=mark, reason=reason):
            notes.refuse(path, mark, reason, action.hint)
            house.tell("packet.import_rejected", reason, path=path)
        case SetAside(path=path, reason=reason):
            place = house.store.set_aside(path)
            restored = publishing.restore(house, path)
            # Its Markdown is looked at again, also where the folder has not changed: nothing else knows of it.
            notes.has_seen_inputs = notes.has_seen_inputs and restored
            now = f"moved to {place}{', its published state restored' if restored else ''}"
            house.tell("state.set_aside", f"{reason}; {now}", path=path)
            notes.trouble.append(f"{reason}; it was {now}")
        case Shelve(task_id=task_id):
            house.store.shelve(task_id)
    return True


def _tend_run(house: House, world: World, action: Unlease | MarkOrphan | Stop, notes: Notes) -> bool:
    match action:
        case Unlease(task_id=task_id, run_id=run_id, reason=reason):
            house.doors.processes.end(run_id, grace=house.config.kill_grace_sec)
            if house.store.files.mark(costs_path(run_id)) is None:
                book(house, run_id)  # its task's record was lost, and nobody will settle it
            settling.end_lease(house, world, task_id, LeaseStatus.STALE)
            house.tell("lease.removed", f"{task_id}: {reason}", task=task_id, run=run_id)
        case MarkOrphan(run_id=run_id, task_id=task_id, reason=reason):
            lease = world.lease(task_id or "")
            if lease is not None:
                house.store.put_lease(replace(lease, orphaned_since=house.now()))
            house.tell("run.orphaned", f"{task_id}: {reason}", task=task_id, run=run_id)
        case Stop(run_id=run_id, task_id=task_id, reason=reason):
            gone = house.doors.processes.end(run_id, grace=house.config.kill_grace_sec)
            house.tell("run.stopped", f"{task_id or run_id}: {reason}", task=task_id, run=run_id)
            if not gone:
                notes.trouble.append(f"some process of {run_id} could not be ended")
                house.tell("kill.unverified", f"some process of {run_id} is left", task=task_id, run=run_id)
            return gone
    return True

"""One handler per action: the only code that changes anything. Each may be cut at any line and done again."""

from __future__ import annotations

from gluerun.core import lifecycle
from gluerun.core.actions import (
    Admit,
    Advance,
    AskApproval,
    AwaitNightly,
    CallOff,
    Chain,
    Close,
    Diagnose,
    EndPlanner,
    Follow,
    HoldBack,
    ImportBatch,
    LandRevert,
    LapseApproval,
    MarkOrphan,
    NightlyProved,
    NodeProved,
    Notice,
    Obey,
    Pause,
    Probed,
    ProbeTarget,
    Promote,
    ProofDone,
    ProofRed,
    Propose,
    Prove,
    ProveNightly,
    ProveNode,
    Readmit,
    Refuse,
    RejectBatch,
    SetAside,
    Settle,
    Shelve,
    Shorten,
    Start,
    StartPlanner,
    Stop,
    SuspectTarget,
    Unlease,
)
from gluerun.loop import landing, planning, setting_aside, settling, starting
from gluerun.loop.booking import book, costs_path
from gluerun.loop.rescue import leave_branch, tidy_run
from gluerun.records.lease import LeaseStatus
from gluerun.records.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.actions import Action
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import Notes
    from gluerun.records.task import Task


def actuate(house: House, world: World, action: Action, notes: Notes) -> bool:
    """Carry out one action; True if the next look may see something new because of it."""
    match action:
        case Admit() | Readmit() | Refuse() | SetAside() | Shelve():
            return _take_in(house, world, action, notes)
        case Close() | Settle() | HoldBack() | Pause():
            return settling.handle(house, world, action, notes)
        case Shorten(provider=provider, backoff=shorter):
            house.store.put_any_backoff(shorter)
            who = provider or "planning"
            house.tell("backoff.shortened", f"{who}: until {shorter.until:%Y-%m-%d %H:%M:%SZ}; {action.reason}",
                       provider=provider)  # fmt: skip
            return True
        case Unlease() | MarkOrphan() | Stop():
            return _tend_run(house, world, action, notes)
        case Chain() | Prove() | CallOff() | ProofDone() | ProofRed() | Advance() | Notice():
            return landing.handle(house, world, action, notes)
        case SuspectTarget() | ProbeTarget() | Probed() | Diagnose() | LandRevert():
            from gluerun.loop import repairing  # most targets are never red

            return repairing.handle(house, world, action, notes)
        case AwaitNightly() | ProveNightly() | NightlyProved():
            from gluerun.loop import nightly  # few repositories have gates of the night

            return nightly.handle(house, action)
        case Start():
            return starting.start_worker(house, world, action, notes)
        case StartPlanner() | ImportBatch() | EndPlanner() | RejectBatch() | ProveNode() | NodeProved() | Promote():
            return planning.handle(house, world, action, notes)
        case AskApproval() | LapseApproval() | Follow() | Propose():
            return _seldom(house, world, action, notes)
        case Obey():
            from gluerun.loop.obeying import obey  # a cycle without orders needs none of it

            return obey(house, world, action, notes)


def _seldom(house: House, world: World, action: AskApproval | LapseApproval | Follow | Propose, notes: Notes) -> bool:
    """Do what most repositories never need, and import it only then."""
    if isinstance(action, Follow):
        from gluerun.loop import outside

        return outside.follow(house, action, notes)
    if isinstance(action, Propose):
        from gluerun.loop import proposing

        return proposing.propose(house, settling.task_of(world, action.task_id), notes)
    from gluerun.loop import approving

    return approving.handle(house, action, notes)


def _take_in(house: House, world: World, action: Admit | Readmit | Refuse | SetAside | Shelve, notes: Notes) -> bool:
    match action:
        case Admit(task_id=task_id, path=path, mark=mark, file=file):
            lease = world.lease(task_id)
            # Its record was lost while a run of it lived: no epoch is given twice.
            epoch = max(house.store.floor(task_id), lease.epoch if lease else 0)
            task = replace(lifecycle.admitted(file, path, mark, house.now()), epoch=epoch)
            house.store.put_task(task)
            house.tell("task.admitted", f"{task_id}: {task.spec.title}", task=task_id)
            notes.imported.append(task_id)
        case Readmit(task_id=task_id, path=path, mark=mark, file=file):
            before = settling.task_of(world, task_id)
            after = lifecycle.edited(before, file, path, mark, house.now())
            _leave_branch(house, world, before, after)
            house.store.put_task(after)
            if after.source_sha256 != before.source_sha256:
                house.tell("task.readmitted", f"{task_id}: its file changed", task=task_id)
                notes.imported.append(task_id)
        case Refuse(path=path, mark=mark, reason=reason):
            notes.refuse(path, mark, reason, action.hint)
            house.tell("packet.import_rejected", reason, path=path)
        case SetAside():
            return setting_aside.set_aside(house, world, action, notes)
        case Shelve(task_id=task_id):
            house.store.shelve(task_id)
    return True


def _leave_branch(house: House, world: World, before: Task, after: Task) -> None:
    """Keep what a task's branch holds, and remove it, when an edit gives the task another one."""
    old = before.spec.worker_branch
    if old == after.spec.worker_branch or before.run_id is None or world.target_head is None:
        return
    with house.doors.locks.git():
        leave_branch(house, before, before.run_id, old, world.target_head)


def _tend_run(house: House, world: World, action: Unlease | MarkOrphan | Stop, notes: Notes) -> bool:
    match action:
        case Unlease(task_id=task_id, run_id=run_id, reason=reason):
            house.doors.processes.end(run_id, grace=house.config.kill_grace_sec)
            if house.store.files.mark(costs_path(run_id)) is None:
                book(house, run_id)  # its task's record was lost, and nobody will settle it
            tidy_run(house, run_id)
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

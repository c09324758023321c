"""What the loop does about an order: its decision first, then its effect, the journal, and last it is put away."""

from __future__ import annotations

from gluerun.core import lifecycle
from gluerun.core.actions import PLANNING, PUSHING
from gluerun.core.outlook import runs_of
from gluerun.errors import FullDiskError, StateError
from gluerun.loop.booking import book
from gluerun.loop.rescue import tidy_run
from gluerun.loop.settling import clear_places, end_lease
from gluerun.records import schema
from gluerun.records.lease import LeaseStatus
from gluerun.records.task import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.actions import Obey
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import Notes
    from gluerun.records.task import Task

# Where in the journal an event is looked for that a crash may have cut from its order.
_RECENT = 64
_LEASE_WORDS: dict[Status | None, LeaseStatus] = {
    Status.BLOCKED: LeaseStatus.BLOCKED,
    Status.CANCELLED: LeaseStatus.CANCELLED,
    Status.SUPERSEDED: LeaseStatus.SUPERSEDED,
}


def obey(house: House, world: World, action: Obey, notes: Notes) -> bool:
    """Carry an order out: its decision first, then its effect, the journal, and last it goes to those done."""
    order = action.order
    if not action.is_repeated:
        house.store.put_order(order)
    if action.ends_runs and not _end_run(house, world, action, notes):
        return False
    for task in action.tasks:
        house.store.put_task(_charged(house, world, task, action))
    for request in action.approvals:
        house.store.put_approval(request)
    if action.flakes is not None:
        house.store.put_flakes(action.flakes)
    if not _lay_papers(house, action, notes):
        return False
    if action.ends_runs:
        after = next((task.status for task in action.tasks if task.task_id == order.subject), None)
        end_lease(house, world, order.subject, _LEASE_WORDS.get(after, LeaseStatus.STALE))
    _set_switches(house, action)
    _tell(house, action)
    house.store.end_order(order)
    return True


def _lay_papers(house: House, action: Obey, notes: Notes) -> bool:
    """Write what an order lays into the work tree; False if that cannot be done now, which is no reason to stop."""
    try:
        for path, paper in action.papers.items():
            if action.is_repeated:
                house.doors.work.sweep(path.rpartition("/")[0])  # a crash may have cut the first write
            house.doors.work.write(path, schema.dump(paper))
    except FullDiskError:
        raise
    except StateError as error:
        notes.trouble.append(error.message)
        return False
    return True


def _end_run(house: House, world: World, action: Obey, notes: Notes) -> bool:
    """End whatever runs for an order's task, and rescue what it left; False if somebody lives on."""
    task, lease = world.task(action.order.subject), world.lease(action.order.subject)
    for run_id in runs_of(world, action.order.subject):
        if not house.doors.processes.end(run_id, grace=house.config.kill_grace_sec):
            notes.trouble.append(f"some process of {run_id} could not be ended")
            return False
    if task is not None and lease is not None:
        clear_places(house, task, lease.run_id, f"{action.order.verb} was ordered")
    if task is not None and task.proof is not None and task.proof.run_id is not None:
        tidy_run(house, task.proof.run_id)
    return True


def _charged(house: House, world: World, after: Task, action: Obey) -> Task:
    """Return a task with the costs of the run that an order ends, counted once."""
    lease = world.lease(after.task_id)
    if not action.ends_runs or after.task_id != action.order.subject or lease is None:
        return after
    return after if after.settled_run == lease.run_id else lifecycle.charged(after, book(house, lease.run_id))


def _set_switches(house: House, action: Obey) -> None:
    order = action.order
    if action.stop is True:
        house.store.set_stop(f"{order.id} {order.by} {order.reason}".rstrip())
    elif action.stop is False:
        house.store.clear_stop()
    if action.resets_breaker:
        house.store.reset_circuit(house.now())
    for provider in action.backoffs:
        if provider == PLANNING:
            house.store.end_backoff()
        elif provider == PUSHING:
            house.store.end_push_backoff()
        else:
            house.store.end_provider_backoff_of(provider)


def _tell(house: House, action: Obey) -> None:
    """Tell the journal, durably; after a crash only what it was not told before."""
    order = action.order
    if action.is_repeated and any(
        one.get("type") == action.event and _order_of(one) == order.id for one in house.journal.last(_RECENT)
    ):
        return
    house.tell(action.event, action.reason or order.verb, order=order.id, verb=order.verb, by=order.by,
               reason=order.reason or None, task=action.task_id or None,
               node=order.subject if action.papers else None)  # fmt: skip
    house.journal.flush()


def _order_of(event: dict[str, object]) -> object:
    data = event.get("data")
    return data.get("order") if isinstance(data, dict) else None

"""Orders: written by whoever wants something, decided and carried out under the origin lock, once."""

from __future__ import annotations

from gluerun.core import lifecycle
from gluerun.core.actions import PLANNING
from gluerun.core.masking import masked_text
from gluerun.core.orders import obeyed, refusal
from gluerun.core.outlook import living_runs, runs_of
from gluerun.errors import BusyError, DecidedError, OtherHostError, UsageError
from gluerun.loop.booking import book
from gluerun.loop.hosting import new_origin_run
from gluerun.loop.observe import observe
from gluerun.loop.rescue import tidy_run
from gluerun.loop.settling import clear_places, end_lease
from gluerun.records.dispatch import Life
from gluerun.records.lease import LeaseStatus
from gluerun.records.names import is_task
from gluerun.records.order import Order, OrderOutcome
from gluerun.records.record import record, replace
from gluerun.records.task import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.actions import Obey
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import Notes
    from gluerun.records.order import OrderVerb
    from gluerun.records.task import Task

# For how long a verb waits for a cycle that holds the lock, and how often it looks.
_PATIENCE, _LOOK = 2.0, 0.1
# Where in the journal an event is looked for that a crash may have cut from its order.
_RECENT = 64
_LEASE_WORDS: dict[Status | None, LeaseStatus] = {
    Status.BLOCKED: LeaseStatus.BLOCKED,
    Status.CANCELLED: LeaseStatus.CANCELLED,
    Status.SUPERSEDED: LeaseStatus.SUPERSEDED,
}


@record
class Answered:
    """What a verb says that gives an order: applied or refused by now, or queued for the cycle at work."""

    SCHEMA = "ordered.v0"

    id: str
    verb: str
    subject: str
    outcome: str
    applied: bool
    answer: str
    dry_run: bool = False


def give(house: House, order: Order) -> Answered:
    """Write an order down, and carry it out at once if no cycle holds the lock for longer than a moment."""
    from gluerun.loop.reconcile import cycle

    house.store.put_order(order)
    left = _PATIENCE
    while (done := house.store.done_order(order.id)) is None:
        try:
            cycle(house, "orders")
        except OtherHostError as error:
            return _queued(order, f"queued: {error.message}")
        except BusyError:
            if left <= 0:
                return _queued(order, "queued: a cycle is at work, and the next one takes it")
            house.doors.watch.wait((), _LOOK)
            left -= _LOOK
            continue
        if (done := house.store.done_order(order.id)) is None:
            return _queued(order, "queued: it could not be carried out whole yet, the next cycle goes on with it")
        break
    is_applied = done.outcome is OrderOutcome.APPLIED
    return Answered(id=done.id, verb=done.verb, subject=done.subject, applied=is_applied, answer=done.answer,
                    outcome=(done.outcome or OrderOutcome.REFUSED).value)  # fmt: skip


def _queued(order: Order, why: str) -> Answered:
    return Answered(id=order.id, verb=order.verb, subject=order.subject, outcome="queued", applied=False, answer=why)


def drafted(
    house: House, verb: OrderVerb, subject: str, arguments: dict[str, object], *, reason: str, by: str
) -> Order:
    """Return an order that is not written down yet, bound to its task as that stands now; no secret is kept."""
    order = Order(
        id=f"ORD-{house.now():%Y%m%dT%H%M%SZ}-{house.doors.clock.token(4)}",
        verb=verb.value,
        by=by,
        at=house.now(),
        subject=subject,
        arguments=_masked(arguments),
        reason=masked_text(reason),
    )
    task = house.store.live_task(subject) if is_task(subject) else None
    return replace(order, epoch=task.epoch, status=task.status) if task is not None else order


def _masked(arguments: dict[str, object]) -> dict[str, object]:
    """Return arguments without the secrets that a person may have typed among the answers."""
    given = arguments.get("answers")
    if not isinstance(given, dict):
        return arguments
    return {**arguments, "answers": {name: masked_text(str(text)) for name, text in given.items()}}


def ask(
    house: House,
    verb: OrderVerb,
    subject: str = "",
    arguments: dict[str, object] | None = None,
    *,
    by: str,
    reason: str = "",
    dry_run: bool = False,
) -> Answered:
    """Give an order, or only foretell it; UsageError or DecidedError, with nothing written, if it cannot be done."""
    draft = drafted(house, verb, subject, arguments or {}, reason=reason, by=by)
    world = observe(house, new_origin_run(house), also=draft).world
    if (refused := refusal(world, draft)) is not None:
        raise (DecidedError if refused.is_decided else UsageError)(refused.why, refused.hint)
    return foretold(world, draft) if dry_run else give(house, draft)


def foretold(world: World, order: Order) -> Answered:
    """Return what an order would do; the caller has asked whether it is refused."""
    action = obeyed(world, order)
    return replace(_queued(order, action.reason), outcome="foretold", dry_run=True)


def wait_for_runs(house: House, timeout: float) -> tuple[str, ...]:
    """Wait until no run lives, *timeout* seconds at most, 0 for ever; return the runs that still do. Only looks."""
    started = house.doors.clock.awake()
    while True:
        world = observe(house, new_origin_run(house)).world
        alive = {run for run, seen in world.sightings.items() if seen.life is not Life.DEAD}
        runs = tuple(run for run in living_runs(world) if run in alive)
        if not runs or (timeout and house.doors.clock.awake() - started >= timeout):
            return runs
        house.doors.watch.wait(runs, house.config.drain_poll_secs)


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
    if action.ends_runs:
        after = next((task.status for task in action.tasks if task.task_id == order.subject), None)
        end_lease(house, world, order.subject, _LEASE_WORDS.get(after, LeaseStatus.STALE))
    _set_switches(house, action)
    _tell(house, action)
    house.store.end_order(order)
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
               reason=order.reason or None, task=action.task_id or None)  # fmt: skip
    house.journal.flush()


def _order_of(event: dict[str, object]) -> object:
    data = event.get("data")
    return data.get("order") if isinstance(data, dict) else None

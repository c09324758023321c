"""Who gives an order: it is written down, and a cycle carries it out at once if none is at work."""

from __future__ import annotations

from gluerun.core.masking import masked_text
from gluerun.core.orders import obeyed, refusal
from gluerun.core.outlook import living_runs
from gluerun.errors import BusyError, DecidedError, OtherHostError, UsageError
from gluerun.loop.hosting import new_origin_run
from gluerun.loop.observe import observe
from gluerun.records.dispatch import Life
from gluerun.records.names import is_task
from gluerun.records.order import Order, OrderOutcome
from gluerun.records.record import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.records.order import OrderVerb

# For how long a verb waits for a cycle that holds the lock, and how often it looks.
_PATIENCE, _LOOK = 2.0, 0.1
# What a person says in words of their own, among an order's arguments.
_SAID = ("answers", "questions", "evidence")


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
    """Return arguments without the secrets that a person may have typed among questions and answers."""
    return {name: _told(value) if name in _SAID else value for name, value in arguments.items()}


def _told(value: object) -> object:
    if isinstance(value, dict):
        return {key: masked_text(str(text)) for key, text in value.items()}
    return [masked_text(str(text)) for text in value] if isinstance(value, list) else value


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

"""What comes of an order: for each verb when it is refused, and what it does, as one table."""

from __future__ import annotations

from gluerun.core import lifecycle
from gluerun.core.actions import PLANNING, PUSHING, Obey
from gluerun.core.effects import Effect, Refusal, closest
from gluerun.core.lifecycle import Trigger
from gluerun.records.order import OrderOutcome, OrderVerb
from gluerun.records.record import record, replace
from gluerun.records.task import TERMINAL, Ordered, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gluerun.core.world import World
    from gluerun.records.order import Order
    from gluerun.records.task import Task


@record
class Rule:
    """One verb: the journal's word, when it is refused, what it does.

    One `about_task` names a living task; one that `binds` is refused once that task has moved on.
    """

    verb: OrderVerb
    event: str
    refusal: Callable[[World, Order], Refusal | None]
    effect: Callable[[World, Order], Effect]
    about_task: bool = True
    binds: bool = False


def obeyed(world: World, order: Order) -> Obey:
    """Return the action that an order leads to: applied or refused, and the same again after a crash."""
    rule = RULES.get(order.verb)
    is_repeated = order.outcome is not None
    refused = None if order.outcome is OrderOutcome.APPLIED else refusal(world, order)
    if rule is None or refused is not None or order.outcome is OrderOutcome.REFUSED:
        why = order.answer or (refused.why if refused else "")
        return Obey(order=_decided(world, order, OrderOutcome.REFUSED, why), event="order.refused", reason=why,
                    task_id=_task_of(order), is_repeated=is_repeated)  # fmt: skip
    effect = rule.effect(world, order)
    says = order.answer or effect.says
    return Obey(
        order=_decided(world, order, OrderOutcome.APPLIED, says),
        event=rule.event,
        reason=says,
        task_id=_task_of(order),
        tasks=effect.tasks,
        ends_runs=effect.ends_runs,
        stop=effect.stop,
        resets_breaker=effect.resets_breaker,
        backoffs=effect.backoffs,
        approvals=effect.approvals,
        papers=effect.papers,
        flakes=effect.flakes,
        is_repeated=is_repeated,
    )


def refusal(world: World, order: Order) -> Refusal | None:
    """Say why an order cannot be carried out now; None if it can."""
    rule = RULES.get(order.verb)
    if rule is None:
        return Refusal(why=f"this engine knows no order {order.verb!r}", hint="update the engine that runs the loop")
    if rule.about_task:
        task = world.task(order.subject)
        if task is None:
            return _no_living(world, order.subject)
        if order.subject in world.landed:
            return Refusal(why=f"{task.task_id} is in the target branch already", is_decided=True)
        if order.subject in world.sent:
            why = f"{task.task_id} is in {world.config.target_branch} on its remote already"
            return Refusal(why=why, hint="the next cycle follows it: `gluerun reconcile --actuate`", is_decided=True)
        if rule.binds and (order.epoch, order.status) not in ((None, None), (task.epoch, task.status)):
            return Refusal(
                why=f"{task.task_id} has moved on since: it was {order.status} under epoch {order.epoch}, "
                f"and is {task.status} under epoch {task.epoch}",
                hint=f"look at it with `gluerun task show {task.task_id}`, then say it again",
            )
    return rule.refusal(world, order)


def _no_living(world: World, task_id: str) -> Refusal:
    if (status := world.done.get(task_id)) is not None:
        return Refusal(why=f"{task_id} is {status}, and stays so", is_decided=True)
    if any(one.task_id == task_id and one.file for one in world.inputs):
        return Refusal(why=f"{task_id} is not taken in yet", hint="the next cycle does so: `gluerun reconcile --apply`")
    near = closest(task_id, [task.task_id for task in world.tasks])
    return Refusal(why=f"there is no task {task_id!r}", hint=f"did you mean {near}?" if near else "`gluerun task list`")


def _decided(world: World, order: Order, outcome: OrderOutcome, answer: str) -> Order:
    if order.outcome is not None:
        return order
    return replace(order, outcome=outcome, answer=answer, decided_at=world.now)


def _task_of(order: Order) -> str:
    rule = RULES.get(order.verb)
    return order.subject if rule is not None and rule.about_task else ""


def _never(world: World, order: Order) -> Refusal | None:
    del world, order
    return None


# --- the loop as a whole ---------------------------------------------------------------------------------


def _stop(world: World, order: Order) -> Effect:
    del order
    said = "STOP is set: nothing new is planned or started; what runs goes on, what is accepted still lands"
    return Effect(says=f"{said} (it was set already)" if world.stop else said, stop=True)


def _resume(world: World, order: Order) -> Effect:
    del order
    fails = world.circuit.consec_fails if world.circuit else 0
    said = "STOP is taken away" if world.stop else "STOP was not set"
    if fails >= world.config.max_consec_fails:
        said += f"; the breaker is still open after {fails} failures in a row: `gluerun breaker reset`"
    return Effect(says=said, stop=False)


def _wake(world: World, order: Order) -> Effect:
    del world, order
    return Effect(says="a resident loop that sleeps looks now")


def _reset_breaker(world: World, order: Order) -> Effect:
    del order
    fails = world.circuit.consec_fails if world.circuit else 0
    return Effect(says=f"the breaker is at zero; it had counted {fails}", resets_breaker=True)


def held_now(world: World) -> list[str]:
    """Return whom somebody holds back, planning and the push of the target among them."""
    planning = [PLANNING] if world.backoff is not None else []
    return [*sorted(world.backoffs), *planning, *([PUSHING] if world.push_backoff is not None else [])]


def _no_backoff(world: World, order: Order) -> Refusal | None:
    held = held_now(world)
    if order.subject:
        near = closest(order.subject, held)
        hint = f"did you mean {near}?" if near else f"held back: {', '.join(held) or 'nobody'}"
        return None if order.subject in held else Refusal(why=f"{order.subject!r} is not held back", hint=hint)
    if not held:
        return Refusal(why="nobody is held back", hint="`gluerun status` shows who is")
    if len(held) > 1 and not order.arguments.get("all"):
        return Refusal(why=f"several are held back: {', '.join(held)}", hint="name one, or say --all")
    return None


def _clear_backoff(world: World, order: Order) -> Effect:
    whom = (order.subject,) if order.subject else tuple(held_now(world))
    return Effect(says=f"{', '.join(whom)} may be asked again", backoffs=whom)


# --- one task --------------------------------------------------------------------------------------------


def _task(world: World, order: Order) -> Task | None:
    """Return the task of an order that is not carried out on it yet."""
    task = world.task(order.subject)
    return None if task is None or (task.ordered is not None and task.ordered.order == order.id) else task


def _ordered(order: Order) -> Ordered:
    return Ordered(order=order.id, verb=order.verb, by=order.by, at=order.at, reason=order.reason)


def _because(order: Order) -> str:
    return f": {order.reason}" if order.reason else ""


def _withdrawal(trigger: Trigger, word: str) -> Callable[[World, Order], Effect]:
    def effect(world: World, order: Order) -> Effect:
        says = f"{order.subject} is {word}{_because(order)}"
        task = _task(world, order)
        if task is None:
            return Effect(says=says, ends_runs=True)
        if world.lease(task.task_id):
            says += "; its run is ended and what it left is rescued"
        after = lifecycle.withdrawn(task, trigger, _ordered(order), tries=_ended_tries(world, task), now=world.now)
        return Effect(says=says, tasks=(after,), ends_runs=True)

    return effect


def _ended_tries(world: World, task: Task) -> int:
    """Return how many tries of a task's run ended by themselves: the one that a person breaks off does not count."""
    lease = world.lease(task.task_id)
    sighting = world.sightings.get(lease.run_id) if lease and task.settled_run != lease.run_id else None
    if sighting is None:
        return 0
    return sighting.tries if sighting.ending is not None else max(0, sighting.tries - 1)


def _not_parkable(world: World, order: Order) -> Refusal | None:
    task = world.task(order.subject)
    if task is not None and task.status is Status.BLOCKED:
        hint = f"`gluerun unpark {task.task_id}` lets it go on"
        return Refusal(why=f"{task.task_id} is parked already", hint=hint, is_decided=True)
    return None


def _not_parked(world: World, order: Order) -> Refusal | None:
    task = world.task(order.subject)
    if task is None or task.status is not Status.BLOCKED:
        where = "running" if world.lease(order.subject) else task.status.value if task else "unknown"
        return Refusal(
            why=f"{order.subject} is not parked, it is {where}", hint="`gluerun status` shows what is parked"
        )
    if task.tries > world.config.max_retries and not order.arguments.get("fresh"):
        return Refusal(
            why=f"{task.task_id} is out of tries: {task.tries} are spent",
            hint=f"`gluerun retry {task.task_id}` gives it one more, `unpark --fresh` gives it all",
        )
    return None


def _unpark(world: World, order: Order) -> Effect:
    is_fresh = bool(order.arguments.get("fresh"))
    task = _task(world, order)
    tries = 0 if is_fresh or task is None else task.tries
    left = 1 + world.config.max_retries - tries
    says = f"{order.subject} is ready again with {left} {'try' if left == 1 else 'tries'} left{_because(order)}"
    if task is None:
        return Effect(says=says)
    return Effect(says=says, tasks=(lifecycle.wanted_again(task, _ordered(order), tries=tries, now=world.now),))


def _not_failed(world: World, order: Order) -> Refusal | None:
    task = world.task(order.subject)
    if task is None or task.status is Status.BLOCKED:
        return None
    if task.paused is not None and not task.paused.is_allowed:
        return Refusal(why=f"{task.task_id} is paused at a limit, and a person is asked", hint="`gluerun approvals`")
    if world.lease(task.task_id):
        return Refusal(why=f"{task.task_id} is running: its run tries again by itself", hint="or `gluerun cancel` it")
    if task.status is not Status.READY:
        return Refusal(why=f"{task.task_id} is {task.status}, not parked and not failed")
    if task.last_failure is None:
        return Refusal(
            why=f"{task.task_id} has not failed, it is ready", hint="`gluerun status` says what it waits for"
        )
    return None


def _retry(world: World, order: Order) -> Effect:
    says = f"{order.subject} gets another try{_because(order)}"
    task = _task(world, order)
    if task is None:
        return Effect(says=says)
    tries = min(task.tries, world.config.max_retries)
    return Effect(says=says, tasks=(lifecycle.wanted_again(task, _ordered(order), tries=tries, now=world.now),))


def dependents(world: World, task_id: str) -> list[Task]:
    """Return the living tasks that depend on one."""
    return [task for task in world.tasks if task_id in task.spec.depends_on]


def _by(order: Order) -> str:
    return str(order.arguments.get("by") or "")


def _no_successor(world: World, order: Order) -> Refusal | None:
    by = _by(order)
    if not by:
        return None
    if by == order.subject:
        return Refusal(why=f"{by} cannot take its own place")
    status = world.status_of(by)
    if status is None:
        return replace(_no_living(world, by), is_decided=False)
    if status in TERMINAL and status is not Status.INTEGRATED:
        return Refusal(why=f"{by} is {status}: nothing can wait for it")
    needs = _needs(world, by)
    for task in dependents(world, order.subject):
        if task.task_id == by:
            return Refusal(why=f"{by} itself depends on {order.subject}")
        if task.task_id in needs:
            return Refusal(
                why=f"{by} depends on {task.task_id}, which depends on {order.subject}: it would be a circle"
            )
    return None


def _needs(world: World, task_id: str) -> set[str]:
    found: set[str] = set()
    waiting = [task_id]
    while waiting:
        task = world.task(waiting.pop())
        waiting += [one for one in task.spec.depends_on if one not in found] if task else []
        found.update(task.spec.depends_on if task else ())
    return found


def _supersede(world: World, order: Order) -> Effect:
    by, subject = _by(order), order.subject
    says = f"{subject} is superseded{f' by {by}' if by else ''}{_because(order)}"
    after = dependents(world, subject)
    names = ", ".join(task.task_id for task in after)
    if names:
        says += f"; now waiting for {by} instead: {names}" if by else f"; still waiting for it, without end: {names}"
    moved = tuple(_pointed(task, subject, by) for task in after) if by else ()
    task = _task(world, order)
    if task is None:
        return Effect(says=says, tasks=moved, ends_runs=True)
    gone = lifecycle.withdrawn(task, Trigger.SUPERSEDE, _ordered(order), tries=_ended_tries(world, task), now=world.now)
    return Effect(says=says, tasks=(*moved, replace(gone, superseded_by=by or None)), ends_runs=True)


def _pointed(task: Task, old: str, new: str) -> Task:
    """Return a task that waits for *new* where it waited for *old*."""
    needs = tuple(dict.fromkeys(new if need == old else need for need in task.spec.depends_on))
    return replace(task, spec=replace(task.spec, depends_on=needs))


def _wants_no_seat(world: World, order: Order) -> Refusal | None:
    task = world.task(order.subject)
    if task is not None and task.status is Status.ACCEPTED:
        return Refusal(why=f"{task.task_id} is accepted: it lands in the order in which it is proved")
    return None


def _reprioritize(world: World, order: Order) -> Effect:
    value = order.arguments.get("priority")
    priority = value if isinstance(value, int) else 0
    task = world.task(order.subject)
    says = f"{order.subject} has priority {priority}"
    if task is None:
        return Effect(says=says)
    return Effect(says=f"{says}, it had {task.rank}", tasks=(replace(task, priority=priority, updated_at=world.now),))


# --- a request for approval ------------------------------------------------------------------------------


def _answering(name: str) -> Callable[[World, Order], Any]:
    """Return a function of `answering` by its name: most orders need none of it."""

    def call(world: World, order: Order) -> Any:
        from gluerun.core import answering

        return getattr(answering, name)(world, order)

    return call


def _about_flake(name: str) -> Callable[[World, Order], Any]:
    """Return a function of `flake_orders` by its name."""

    def call(world: World, order: Order) -> Any:
        from gluerun.core import flake_orders

        return getattr(flake_orders, name)(world, order)

    return call


def _about_node(name: str) -> Callable[[World, Order], Any]:
    """Return a function of `human_orders` by its name."""

    def call(world: World, order: Order) -> Any:
        from gluerun.core import human_orders

        return getattr(human_orders, name)(world, order)

    return call


def _rule(
    verb: OrderVerb,
    event: str,
    refused: Callable[[World, Order], Refusal | None],
    effect: Callable[[World, Order], Effect],
    *,
    about_task: bool = True,
    binds: bool = False,
) -> Rule:
    return Rule(verb=verb, event=event, refusal=refused, effect=effect, about_task=about_task, binds=binds)


# A table is read by column.
# fmt: off
_TABLE = (
    _rule(OrderVerb.STOP,          "operator.stop_requested",   _never,         _stop,          about_task=False),
    _rule(OrderVerb.RESUME,        "operator.resume_requested", _never,         _resume,        about_task=False),
    _rule(OrderVerb.WAKE,          "operator.wake",             _never,         _wake,          about_task=False),
    _rule(OrderVerb.BREAKER_RESET, "breaker.reset",             _never,         _reset_breaker, about_task=False),
    _rule(OrderVerb.CLEAR_BACKOFF, "operator.clear_backoff",    _no_backoff,    _clear_backoff, about_task=False),
    _rule(OrderVerb.PARK,          "operator.park",             _not_parkable,  _withdrawal(Trigger.PARK, "parked")),
    _rule(OrderVerb.CANCEL,        "operator.cancel",           _never,   _withdrawal(Trigger.CANCEL, "cancelled")),
    _rule(OrderVerb.SUPERSEDE,     "task.superseded",           _no_successor,  _supersede),
    _rule(OrderVerb.UNPARK,        "operator.unpark",           _not_parked,    _unpark, binds=True),
    _rule(OrderVerb.RETRY,         "operator.retry",            _not_failed,    _retry, binds=True),
    _rule(OrderVerb.REPRIORITIZE,  "operator.reprioritize",     _wants_no_seat, _reprioritize),
    _rule(OrderVerb.APPROVE, "approval.approved", _answering("not_approvable"), _answering("approve")),
    _rule(OrderVerb.REJECT,  "approval.rejected", _answering("not_rejectable"), _answering("reject")),
    _rule(OrderVerb.RENEW,   "approval.renewed",  _answering("not_expired"),    _answering("renew")),
    _rule(OrderVerb.FLAKE_QUARANTINE, "flake.quarantined", _about_flake("not_allowed"), _about_flake("quarantine"),
          about_task=False),
    _rule(OrderVerb.FLAKE_RELEASE, "flake.released", _about_flake("not_quarantined"), _about_flake("release"),
          about_task=False),
    _rule(OrderVerb.GATE_REQUEST, "human_gate.requested", _about_node("not_askable"), _about_node("ask"),
          about_task=False),
    _rule(OrderVerb.GATE_APPROVE, "human_gate.approved", _about_node("not_approvable"), _about_node("approve"),
          about_task=False),
    _rule(OrderVerb.GATE_REJECT,  "human_gate.rejected", _about_node("not_rejectable"), _about_node("reject"),
          about_task=False),
)
# fmt: on
RULES: dict[str, Rule] = {rule.verb.value: rule for rule in _TABLE}

"""What a person answers a request for approval: when that is refused, and what it does."""

from __future__ import annotations

from gluerun.core import lifecycle
from gluerun.core.approvals import is_expired, why_stale
from gluerun.core.effects import Effect, Refusal, closest
from gluerun.core.lifecycle import Trigger
from gluerun.records.approval import ApprovalState, Point
from gluerun.records.record import replace
from gluerun.records.task import Ordered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.records.approval import Approval
    from gluerun.records.order import Order
    from gluerun.records.task import Task


def not_approvable(world: World, order: Order) -> Refusal | None:
    """Say why a request cannot be approved: it is no longer open, somebody else's to decide, or a question is open."""
    if (refused := _not_open(world, order)) is not None:
        return refused
    request = _request(world, order)
    given = _answers(order)
    questions = request.questions if request else ()
    for name in given:
        if name not in questions:
            near = closest(name, list(questions))
            hint = f"did you mean {near!r}?" if near else f"questions: {'; '.join(questions) or 'none'}"
            return Refusal(why=f"{_id(order)} does not ask {name!r}", hint=hint)
    left = [question for question in questions if not given.get(question, "").strip()]
    if left:
        return Refusal(
            why=f"{_id(order)} also asks: {'; '.join(left)}", hint=f"add `--answer {_quoted(left[0])}` for each"
        )
    return None


def not_rejectable(world: World, order: Order) -> Refusal | None:
    """Say why a request cannot be rejected: it is no longer open, somebody else's to decide, or no reason is given."""
    if (refused := _not_open(world, order)) is not None:
        return refused
    if not order.reason.strip():
        return Refusal(
            why="a rejection needs a reason: the next try is told it word for word", hint="add --reason TEXT"
        )
    return None


def not_expired(world: World, order: Order) -> Refusal | None:
    """Say why a request cannot be made anew: it still waits, or it is decided."""
    request = _request(world, order)
    if request is None:
        return _unknown(order)
    if is_expired(request, world.now):
        return None
    if request.state is ApprovalState.WAITING:
        return Refusal(why=f"{request.id} still waits for an answer", hint=f"`gluerun approval show {request.id}`")
    return Refusal(why=f"{request.id} is {request.state} already", is_decided=True)


def approve(world: World, order: Order) -> Effect:
    """Let a task go on from the point at which it waited."""
    request, task = _request(world, order), world.task(order.subject)
    if request is None or task is None:
        return Effect(says=f"{_id(order)} is approved")
    then = {Point.PLAN: "it may be started", Point.LIMIT: "it may go on beyond its limit"}.get(
        request.point, "it may land"
    )
    says = f"{request.id} is approved: {order.subject}, {then}"
    closed = (_decided(world, order, request, ApprovalState.APPROVED),)
    task = _task(world, order)
    if request.point is not Point.LIMIT or task is None or task.paused is None:
        return Effect(says=says, approvals=closed)
    return Effect(says=says, tasks=(lifecycle.let_go_on(task, _ordered(order), world.now),), approvals=closed)


def reject(world: World, order: Order) -> Effect:
    """Send finished work back with a reason, or park a task whose text nobody wants carried out."""
    request, task = _request(world, order), _task(world, order)
    says = f"{_id(order)} is rejected: {order.reason}"
    closed = (_decided(world, order, request, ApprovalState.REJECTED),) if request is not None else ()
    if task is None or request is None:
        return Effect(says=says, approvals=closed)
    if request.point is Point.PLAN:
        after = lifecycle.withdrawn(task, Trigger.PARK, _ordered(order), tries=0, now=world.now)
        return Effect(says=f"{says}; {task.task_id} is parked", tasks=(after,), approvals=closed)
    if request.point is Point.LIMIT and task.paused is not None:
        after = lifecycle.stopped(task, _ordered(order), world.now)
        return Effect(says=f"{says}; {task.task_id} is parked", tasks=(after,), approvals=closed)
    left = 1 + world.config.max_retries - task.tries
    after = lifecycle.sent_back(task, _ordered(order), tries_left=left, now=world.now)
    then = "gets another try" if left > 0 else "is parked: it has no try left"
    return Effect(says=f"{says}; {task.task_id} {then}", tasks=(after,), approvals=closed)


def renew(world: World, order: Order) -> Effect:
    """Give an expired request up, so that the next cycle asks anew about what is there then."""
    request = _request(world, order)
    says = f"{_id(order)} is given up; the next cycle asks about {order.subject} anew"
    if request is None:
        return Effect(says=says)
    return Effect(says=says, approvals=(replace(request, state=ApprovalState.STALE, order=order.id),))


def _id(order: Order) -> str:
    return str(order.arguments.get("request") or "")


def _request(world: World, order: Order) -> Approval | None:
    """Return the request that an order is about, unless it is settled."""
    wanted = _id(order)
    return next(
        (one for one in world.approvals if one.id == wanted and one.task_id == order.subject and not one.is_over), None
    )


def _unknown(order: Order) -> Refusal:
    why = f"there is no open request {_id(order)} about {order.subject}"
    return Refusal(why=why, hint="`gluerun approvals` lists those that wait")


def _not_open(world: World, order: Order) -> Refusal | None:
    request = _request(world, order)
    if request is None:
        return _unknown(order)
    if is_expired(request, world.now):
        hint = f"`gluerun approval renew {request.id}` asks again"
        return Refusal(why=f"{request.id} expired at {request.expires_at:%Y-%m-%d %H:%M:%SZ}", hint=hint)
    if request.state is not ApprovalState.WAITING:
        return Refusal(why=f"{request.id} is {request.state} already, by {request.decided_by}", is_decided=True)
    if why := why_stale(world, request):
        return Refusal(why=f"{request.id} is stale: {why} since it was asked", hint="the next cycle asks anew")
    if request.owners and not {order.by, order.by.partition("@")[0]} & set(request.owners):
        return Refusal(why=f"{request.id} is for {' or '.join(request.owners)} to decide, not for {order.by}")
    return None


def _answers(order: Order) -> dict[str, str]:
    found = order.arguments.get("answers")
    return {str(name): str(text) for name, text in found.items()} if isinstance(found, dict) else {}


def _quoted(question: str) -> str:
    return f'"{question}=…"'


def _decided(world: World, order: Order, request: Approval, state: ApprovalState) -> Approval:
    return replace(
        request,
        state=state,
        decided_by=order.by,
        decided_at=order.decided_at or world.now,
        order=order.id,
        reason=order.reason,
        answers=_answers(order),
    )


def _task(world: World, order: Order) -> Task | None:
    task = world.task(order.subject)
    return None if task is None or (task.ordered is not None and task.ordered.order == order.id) else task


def _ordered(order: Order) -> Ordered:
    return Ordered(order=order.id, verb=order.verb, by=order.by, at=order.at, reason=order.reason)

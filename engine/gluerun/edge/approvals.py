"""Requests for approval as a person lists and names them."""

from __future__ import annotations

from datetime import datetime

from gluerun.core.approvals import is_expired, rule_of, why_stale
from gluerun.edge.reading import NOBODY
from gluerun.errors import DecidedError, UsageError
from gluerun.loop.observe import observe
from gluerun.records import names
from gluerun.records.approval import Approval, ApprovalState
from gluerun.records.config import ApprovalRule
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.store import Store


@record
class ApprovalLine:
    """One request in the list."""

    id: str
    point: str
    task: str
    title: str
    state: str
    why: str
    asked_at: datetime
    risks: tuple[str, ...]
    owners: tuple[str, ...]
    questions: tuple[str, ...]
    expires_at: datetime | None = None
    decided_by: str = ""
    reason: str = ""


@record
class Approvals:
    """What `gluerun approvals` answers."""

    SCHEMA = "approvals.v0"

    approvals: tuple[ApprovalLine, ...]


def approvals(house: House, *, settled: bool = False) -> Approvals:
    """Return the requests that need a person; with *settled* every one there ever was."""
    world = observe(house, NOBODY).world
    found = [*world.approvals, *(house.store.settled_approvals() if settled else ())]
    lines = [line_of(house, world, one) for one in sorted(found, key=lambda one: (len(one.id), one.id))]
    needed = (ApprovalState.WAITING.value, ApprovalState.EXPIRED.value)
    return Approvals(approvals=tuple(one for one in lines if settled or one.state in needed))


def _state(world: World, request: Approval) -> tuple[str, str]:
    """Return the state of a request as the next cycle will find it, and why."""
    if request in world.approvals and request.state in (ApprovalState.WAITING, ApprovalState.EXPIRED):
        if why := why_stale(world, request):
            return ApprovalState.STALE.value, why
        task = world.task(request.task_id)
        if task is not None and rule_of(world, task, request.point).rule is ApprovalRule.NONE:
            return ApprovalState.STALE.value, "nobody is to be asked any more"
        if is_expired(request, world.now):
            return ApprovalState.EXPIRED.value, "nobody answered in time"
    return request.state.value, ""


def line_of(house: House, world: World, request: Approval) -> ApprovalLine:
    """Return a request as it is listed."""
    state, why = _state(world, request)
    task = house.store.any_task(request.task_id)
    return ApprovalLine(
        id=request.id,
        point=request.point.value,
        task=request.task_id,
        title=task.spec.title if task else "",
        state=state,
        why=why,
        asked_at=request.asked_at,
        risks=request.risks,
        owners=request.owners,
        questions=request.questions,
        expires_at=request.expires_at,
        decided_by=request.decided_by,
        reason=request.reason,
    )


def open_one(store: Store, name: str) -> Approval:
    """Return the request that a person wants to decide; DecidedError if nothing will come of it any more."""
    found = named(store, name)
    if found.is_over or found not in store.approvals()[0]:
        by = f", by {found.decided_by}" if found.decided_by else ""
        raise DecidedError(f"{found.id} is {found.state} already{by}", "`gluerun approvals` lists those that wait")
    return found


def named(store: Store, name: str) -> Approval:
    """Return the request that a person means by its id or its task's; UsageError if there is none, or several."""
    if not names.is_approval(name) and not names.is_task(name):
        raise UsageError(f"{name!r} is neither a request nor a task", "ids read APR-0001 and TASK-0001")
    living, _ = store.approvals()
    if names.is_approval(name):
        found = next((one for one in (*living, *store.settled_approvals()) if one.id == name), None)
        if found is None:
            raise UsageError(f"there is no request {name}", "`gluerun approvals` lists those that wait")
        return found
    of_task = [one for one in living if one.task_id == name]
    waiting = [one for one in of_task if one.state in (ApprovalState.WAITING, ApprovalState.EXPIRED)]
    if len(waiting) > 1:
        raise UsageError(f"{name} waits for several: {', '.join(one.id for one in waiting)}", "name one of them")
    if not waiting and not of_task:
        raise UsageError(f"nobody is asked about {name}", "`gluerun approvals` lists what waits for a person")
    return (waiting or of_task)[-1]

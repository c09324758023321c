"""Read models: the board and the page of one task. They take no lock and write no byte."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from gluerun.core.board import EngineLine
from gluerun.core.board import board as board_of
from gluerun.core.explain import explain as explain_task
from gluerun.core.matters import Matter, matters
from gluerun.core.tamper import note_path
from gluerun.edge.reading import read
from gluerun.errors import SchemaError, UsageError
from gluerun.loop.booking import COSTS
from gluerun.loop.store import run_path
from gluerun.records import names, schema
from gluerun.records.dispatch import Life
from gluerun.records.record import record, replace
from gluerun.records.spending import Spending
from gluerun.release import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gluerun.core.board import Board
    from gluerun.core.explain import Explanation
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.records.task import Task


UNKNOWN = "unknown"


@record
class TaskLease:
    """The lease of a task, as its page shows it."""

    run_id: str
    epoch: int
    status: str
    expires_at: str


@record
class AttemptLine:
    """One try of a task."""

    n: int
    failure_class: str | None
    reason: str
    audit_verdict: str | None
    decider_action: str | None
    is_over: bool = True
    tests: str | None = None


@record
class TaskPage:
    """What `gluerun task show` answers."""

    SCHEMA = "task-page.v0"

    id: str
    title: str
    status: str
    area: str
    owned_files: tuple[str, ...]
    depends_on: tuple[str, ...]
    attempts: tuple[AttemptLine, ...]
    retries_left: int
    branch: str
    objective: str
    acceptance_criteria: tuple[str, ...]
    node: str | None = None
    lease: TaskLease | None = None
    last_failure: str | None = None
    decision: str | None = None
    run: str | None = None
    merge_commit: str | None = None


def spendings(house: House) -> list[Spending]:
    """Return what every run cost, oldest first; SchemaError naming the file that cannot be read."""
    files = house.store.files
    paths = [f"{COSTS}/{day}/{name}" for day in files.names(COSTS) for name in files.names(f"{COSTS}/{day}")]
    return [schema.load(Spending, files.read(path) or b"", file=path) for path in paths]


def spendings_since(house: House, since: datetime) -> list[Spending]:
    """Return what the runs cost of which something was spent since then; a booking that cannot be read is left out."""
    files = house.store.files
    # A run is booked under the day on which it began, and may have begun days ago.
    first = f"{since - timedelta(days=3):%Y-%m-%d}"
    found = []
    for path in (f"{COSTS}/{day}/{name}" for day in files.names(COSTS) if day >= first
                 for name in files.names(f"{COSTS}/{day}")):  # fmt: skip
        with suppress(SchemaError):
            one = schema.load(Spending, files.read(path) or b"", file=path)
            recent = tuple(expense for expense in one.expenses if expense.started_at >= since)
            if recent:
                found.append(replace(one, expenses=recent))
    return found


@record
class HealthPage:
    """What `gluerun health` answers: well, if there is no matter."""

    SCHEMA = "health.v0"

    is_well: bool
    loop: str
    matters: tuple[Matter, ...]


def board(house: House, trouble: str = "") -> Board:
    """Return what runs, what waits, what needs you and why; *trouble* is why the newest settings are not used."""
    seen = read(house, trouble)
    return replace(board_of(seen.world, seen.known), other_engines=tuple(_other_engines(house, seen.world)))


def health(house: House, trouble: str = "") -> HealthPage:
    """Return everything that needs attention; *trouble* is why the newest settings are not used."""
    seen = read(house, trouble)
    found = matters(seen.world, seen.known)
    return HealthPage(is_well=not found, loop=seen.known.loop, matters=found)


def explain(house: House, task_id: str) -> Explanation:
    """Return where a task is, why, and what would change it; UsageError if nobody knows it."""
    _require_task_id(task_id)
    seen = read(house)
    settled = None if seen.world.task(task_id) else house.store.settled_task(task_id)
    found = explain_task(seen.world, task_id, seen.known, settled)
    if found is None:
        raise _unknown(task_id)
    return found


def _require_task_id(task_id: str) -> None:
    if not names.is_task(task_id):
        raise UsageError(f"{task_id!r} is no task id", "task ids read TASK-0001")


def _unknown(task_id: str) -> UsageError:
    return UsageError(f"nobody knows {task_id}", "`gluerun task list` shows the tasks")


def known_task(house: House, task_id: str) -> Task:
    """Return a task, be it settled or not taken in yet; UsageError if nobody knows it."""
    _require_task_id(task_id)
    task = house.store.any_task(task_id) or _new_task(house, task_id)
    if task is None:
        raise _unknown(task_id)
    return task


def _other_engines(house: House, world: World) -> Iterator[EngineLine]:
    """Yield who still works with another engine than this one; a record from before versions were kept names none."""
    loop = house.doors.locks.resident_holder()
    if loop is not None and loop.pid and loop.engine_version != VERSION:
        yield EngineLine(who="loop", version=loop.engine_version or UNKNOWN, run=loop.run_id)
    for run_id, sighting in world.sightings.items():
        asked = house.store.dispatch(run_id) if sighting.life is not Life.DEAD else None
        if asked is not None and asked.engine_version != VERSION:
            version = asked.engine_version or UNKNOWN
            yield EngineLine(who=asked.role.value, version=version, run=run_id, task=asked.task_id or asked.node or "")


def task_page(house: House, task_id: str) -> TaskPage:
    """Return everything about one task; UsageError if nobody knows it."""
    task = known_task(house, task_id)
    leases, _ = house.store.leases()
    lease = next((one for one in leases if one.task_id == task_id), None)
    note, decision = task.last_failure, task.decision
    return TaskPage(
        id=task_id,
        title=task.spec.title,
        status=task.status.value,
        area=task.spec.area,
        owned_files=task.owned,
        depends_on=task.spec.depends_on,
        attempts=_attempts(house, task.run_id),
        retries_left=max(0, 1 + house.config.max_retries - task.tries),
        branch=task.spec.worker_branch,
        objective=task.spec.objective,
        acceptance_criteria=task.spec.acceptance_criteria,
        node=task.spec.dag_node,
        lease=TaskLease(
            run_id=lease.run_id,
            epoch=lease.epoch,
            status=lease.status.value,
            expires_at=f"{lease.expires_at:%Y-%m-%dT%H:%M:%SZ}",
        )
        if lease
        else None,
        last_failure=f"{note.failure_class}: {note.reason}" if note else None,
        decision=f"{decision.action} ({decision.authority}): {decision.rationale}" if decision else None,
        run=task.run_id,
        merge_commit=task.merge_commit,
    )


def _new_task(house: House, task_id: str) -> Task | None:
    """Return a task whose file the loop has not taken in yet, as it will be."""
    return read(house).world.task(task_id)


def _attempts(house: House, run_id: str | None) -> tuple[AttemptLine, ...]:
    try:
        document = house.store.document(run_id, "attempts/index.json") if run_id else None
    except SchemaError:
        document = None
    return tuple(
        AttemptLine(
            n=one["n"],
            failure_class=one.get("failureClass"),
            reason=one.get("reason", ""),
            audit_verdict=one.get("auditVerdict"),
            decider_action=one.get("deciderAction"),
            is_over=one.get("endedAt") is not None,
            tests=_tests(house, run_id or "", one["n"]),
        )
        for one in (document or {}).get("attempts", ())
    )


def _tests(house: House, run_id: str, attempt: int) -> str | None:
    """Return what became of the tests in one try, in one line; None if it touched none."""
    data = house.store.files.read(run_path(run_id, note_path(attempt)))
    return "; ".join(data.decode("utf-8", "replace").splitlines()) if data else None

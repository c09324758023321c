"""Read models: the board and the page of one task. They take no lock and write no byte."""

from __future__ import annotations

from gluerun.core.board import EngineLine
from gluerun.core.board import board as board_of
from gluerun.core.expect import expect
from gluerun.core.intake import plan_intake
from gluerun.core.tamper import note_path
from gluerun.errors import SchemaError, UsageError
from gluerun.loop.booking import COSTS
from gluerun.loop.observe import observe
from gluerun.loop.resident import resident
from gluerun.loop.store import run_path
from gluerun.records import names, schema
from gluerun.records.dispatch import Life
from gluerun.records.record import record, replace
from gluerun.records.spending import Spending
from gluerun.release import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluerun.core.board import Board
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.records.task import Task


# A look of somebody who only looks.
NOBODY = "ORIGIN-00000000T000000Z-0"
UNKNOWN = "unknown"


@record
class LeasePage:
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
    lease: LeasePage | None = None
    last_failure: str | None = None
    decision: str | None = None
    run: str | None = None
    merge_commit: str | None = None


def spendings(house: House) -> list[Spending]:
    """Return what every run cost, oldest first; SchemaError naming the file that cannot be read."""
    files = house.store.files
    paths = [f"{COSTS}/{day}/{name}" for day in files.names(COSTS) for name in files.names(f"{COSTS}/{day}")]
    return [schema.load(Spending, files.read(path) or b"", file=path) for path in paths]


def board(house: House, trouble: str = "") -> Board:
    """Return what runs, what waits, what needs you and why; *trouble* is why the newest settings are not used."""
    look = observe(house, NOBODY)
    world = look.world
    for action in plan_intake(world):
        world = expect(world, action)
    phases = {lease.run_id: _phase(house, lease.run_id) for lease in world.leases}
    fresh = {one.path: one.error for one in world.inputs if one.error}
    found = board_of(world, phases, look.memory.refusals | fresh)
    loop = resident(house.store.files) if house.doors.locks.resident_holder() else None
    trouble = trouble or (loop.trouble if loop else "")
    kept = f"the configuration is not used, the last good one is: {trouble}"
    needs_you = (kept, *found.needs_you) if trouble else found.needs_you
    return replace(found, needs_you=needs_you, other_engines=tuple(_other_engines(house, look.world)))


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
    if not names.is_task(task_id):
        raise UsageError(f"{task_id!r} is no task id", "task ids read TASK-0001")
    task = house.store.any_task(task_id) or _new_task(house, task_id)
    if task is None:
        raise UsageError(f"nobody knows {task_id}", "`gluerun task list` shows the tasks")
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
        lease=LeasePage(
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
    world = observe(house, NOBODY).world
    for action in plan_intake(world):
        world = expect(world, action)
    return world.task(task_id)


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


def _phase(house: House, run_id: str) -> tuple[str, int]:
    """Return what a run does and in which try, as it told last."""
    try:
        document = house.store.document(run_id, "run-status.json") or {}
    except SchemaError:
        document = {}
    return str(document.get("phase", "starting")), int(document.get("attempt", 0) or 0)

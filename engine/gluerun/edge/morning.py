"""The morning's page: what landed, what is parked and why, what it cost, what was tried again, and what needs you."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from gluerun.core.costs import Costs
from gluerun.core.costs import costs as add_up
from gluerun.core.flakes import since as flaked_since
from gluerun.core.limits import total
from gluerun.core.matters import Matter, matters, reason_of
from gluerun.core.ways import HELPS
from gluerun.edge.flakes import FlakeLine, line
from gluerun.edge.gates import GateRun, about, gate_runs, runs
from gluerun.edge.graphs import GraphNode, nodes
from gluerun.edge.reading import read
from gluerun.edge.views import spendings_since
from gluerun.errors import GluerunError, SchemaError, UsageError
from gluerun.loop.store import run_path
from gluerun.records import codec, schema
from gluerun.records.attempt import AttemptsIndex
from gluerun.records.dispatch import Life
from gluerun.records.record import record
from gluerun.records.task import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.records.task import Task

_SLOWEST = 5
_AT_WILL = "nothing happens before you say so"
_SHORT = re.compile(r"^([0-9]{1,5})(m|h|d|w)$")
_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DAY = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
_MOMENT = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?Z?$")


@record
class LandedLine:
    """A task that was integrated; what it used is what its programs told, over all of its runs."""

    task: str
    title: str
    at: datetime
    commit: str
    tries: int
    usd: float
    tokens: int
    seconds: int


@record
class ParkedLine:
    """A task that waits for a person: why, what helps, and the verb for it."""

    task: str
    title: str
    why: str
    help: str
    command: str
    since: datetime


@record
class RetryLine:
    """A try that did not end in an accepted work, and what was done about it."""

    task: str
    attempt: int
    at: datetime
    failure: str
    reason: str
    answer: str


@record
class TamperLine:
    """What an accepted work did to the tests."""

    task: str
    at: datetime
    words: str


@record
class Span:
    """One run in the timeline."""

    row: str
    role: str
    run: str
    how: str
    begin: datetime
    end: datetime


@record
class Report:
    """What `gluerun report` answers."""

    SCHEMA = "report.v0"

    since: datetime
    until: datetime
    target_branch: str
    head: str
    loop: str
    running: int
    ready: int
    integrated: tuple[LandedLine, ...]
    parked: tuple[ParkedLine, ...]
    matters: tuple[Matter, ...]
    costs: Costs
    agent_seconds: int
    gate_seconds: int
    retries: tuple[RetryLine, ...]
    tampering: tuple[TamperLine, ...]
    flakes: tuple[FlakeLine, ...]
    slowest_gates: tuple[GateRun, ...]
    timeline: tuple[Span, ...]
    nodes: tuple[GraphNode, ...]


def moment_of(text: str, now: datetime) -> datetime:
    """Return the moment that *text* means: 24h, 7d, 2026-01-31, 2026-01-31T06:00Z; UsageError if it means none."""
    try:
        if found := _SHORT.match(text):
            return now - timedelta(seconds=int(found[1]) * _UNITS[found[2]])
        if _DAY.match(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        if _MOMENT.match(text):
            return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        pass
    raise UsageError(f"{text!r} is no moment", "write it as 24h, 7d, 2026-01-31 or 2026-01-31T06:00Z (UTC)")


def report(house: House, since: datetime, trouble: str = "") -> Report:
    """Return what has happened since then, and how things stand; *trouble* is about the newest settings."""
    seen = read(house, trouble)
    world = seen.world
    spent = spendings_since(house, since)
    receipts = gate_runs(house, since=since)
    recent = runs(house, since)
    return Report(
        since=since,
        until=world.now,
        target_branch=world.config.target_branch,
        head=world.target_head or "",
        loop=seen.known.loop,
        running=len(world.leases),
        ready=sum(task.status is Status.READY and world.lease(task.task_id) is None for task in world.tasks),
        integrated=tuple(_landed(house, since)),
        parked=tuple(_parked(world)),
        matters=matters(world, seen.known),
        costs=add_up(spent, "role"),
        agent_seconds=total(expense for one in spent for expense in one.expenses).seconds,
        gate_seconds=sum(one.duration_ms for one in receipts) // 1000,
        retries=tuple(_retries(house, recent, since)),
        tampering=tuple(_tampering(house, since)),
        flakes=tuple(line(one, world.now) for one in flaked_since(world.flakes, since)),
        slowest_gates=tuple(sorted(receipts, key=lambda one: (-one.duration_ms, one.run))[:_SLOWEST]),
        timeline=tuple(_timeline(house, recent, since, world.now)),
        nodes=nodes(seen),
    )


def _landed(house: House, since: datetime) -> list[LandedLine]:
    """Return the tasks that were integrated since then."""
    found: list[Task] = []
    for task_id in house.store.settled_ids():
        with suppress(GluerunError):
            task = house.store.settled_task(task_id)
            if task is not None and task.status is Status.INTEGRATED and task.updated_at >= since:
                found.append(task)
    return [
        LandedLine(
            task=task.task_id,
            title=task.spec.title,
            at=task.updated_at,
            commit=task.merge_commit or "",
            tries=task.tries,
            usd=round(task.spent.usd, 6),
            tokens=task.spent.tokens,
            seconds=task.spent.seconds,
        )
        for task in sorted(found, key=lambda task: (task.updated_at, len(task.task_id), task.task_id))
    ]


def _parked(world: World) -> Iterator[ParkedLine]:
    for task in world.tasks:
        if task.status is Status.BLOCKED:
            note = task.last_failure
            yield ParkedLine(
                task=task.task_id,
                title=task.spec.title,
                why=reason_of(world, task) or "nobody noted why",
                help=HELPS[note.failure_class] if note and task.parked_by is None else _AT_WILL,
                command=f"gluerun unpark {task.task_id}",
                since=note.at if note else task.updated_at,
            )


def _retries(house: House, recent: list[str], since: datetime) -> list[RetryLine]:
    found = []
    for run_id in recent:
        path = run_path(run_id, "attempts/index.json")
        data = house.store.files.read(path)
        try:
            index = schema.load(AttemptsIndex, data, file=path) if data is not None else None
        except SchemaError:
            continue
        for one in index.attempts if index else ():
            if index and one.failure_class is not None and one.ended_at is not None and one.ended_at >= since:
                answer = one.decider_action.value if one.decider_action else ""
                found.append(
                    RetryLine(task=index.task_id, attempt=one.n, at=one.ended_at, failure=one.failure_class.value,
                              reason=one.reason, answer=answer)
                )  # fmt: skip
    return sorted(found, key=lambda one: (one.at, one.task, one.attempt))


def _tampering(house: House, since: datetime) -> Iterator[TamperLine]:
    for event in _events(house, since):
        data = event.get("data")
        if event.get("type") == "tests.changed" and isinstance(data, dict):
            task = str(data.get("task", "?"))
            yield TamperLine(task=task, at=codec.moment(str(event["ts"])), words=str(data.get("tests", "")))


def _events(house: House, since: datetime) -> list[dict[str, object]]:
    """Return the events since then; what the journal cannot tell is left out."""
    edge = codec.stamp(since)
    events = house.journal.back_to(lambda found: str(found[0].get("ts", "")) < edge)
    return [event for event in events if str(event.get("ts", "")) >= edge]


def _timeline(house: House, recent: list[str], since: datetime, now: datetime) -> Iterator[Span]:
    for run_id in recent:
        dispatch = house.store.known_dispatch(run_id)
        ending = house.store.ending(run_id)
        if dispatch is None or (ending is not None and ending.finished_at < since):
            continue
        lives = ending is None and house.doors.processes.life(run_id) is not Life.DEAD
        end = ending.finished_at if ending else now if lives else dispatch.started_at
        yield Span(
            row=about(dispatch),
            role=dispatch.role.value,
            run=run_id,
            how=ending.outcome.value if ending else "running" if lives else "failed",
            begin=max(dispatch.started_at, since),
            end=max(end, dispatch.started_at, since),
        )

"""What comes in: every new input, every planner's ending, and every broken file gets one answer."""

from __future__ import annotations

import pytest
from tests.core.worlds import (
    NOW,
    accepted,
    after,
    batch,
    ending,
    file_of,
    lease,
    markdown,
    node_lease,
    run_id,
    running,
    seen,
    spec,
    task,
    world,
)

from gluerun.core.actions import (
    Admit,
    EndPlanner,
    ImportBatch,
    NodeProved,
    Readmit,
    Refuse,
    RejectBatch,
    SetAside,
    Shelve,
)
from gluerun.core.intake import plan_intake
from gluerun.core.recovery import START_GRACE
from gluerun.core.world import Broken, Input
from gluerun.records.dispatch import Life, Outcome, Role
from gluerun.records.failure import Failure
from gluerun.records.lease import NodeLeaseStatus
from gluerun.records.record import replace
from gluerun.records.task import Status

TASKS = "docs/orchestration/tasks"
FILE = file_of(spec(1))
PATH = f"{TASKS}/TASK-0001.md"
OTHER = f"{TASKS}/TASK-0001-again.md"
NEW = Input(path=PATH, mark="9:9:9", task_id="TASK-0001", file=FILE)
AGAIN = replace(NEW, path=OTHER)
BAD = Input(path=PATH, mark="9:9:9", error="t.md:2: unknown header 'Owner'", hint="known headers: …")
ADMIT = Admit(task_id="TASK-0001", path=PATH, mark="9:9:9", file=FILE, reason="a new task file")
READMIT = Readmit(task_id="TASK-0001", path=PATH, mark="9:9:9", file=FILE, reason="its file changed")


def twice(path, other):
    return Refuse(path=path, mark="9:9:9", reason=f"{path}: TASK-0001 is already defined in {other}")


@pytest.mark.parametrize(
    ("now", "plan"),
    [
        (world(), []),
        (world(inputs=(NEW,)), [ADMIT]),
        (world(inputs=(BAD,)), [Refuse(path=PATH, mark="9:9:9", reason=BAD.error, hint=BAD.hint)]),
        (world(task(), inputs=(NEW,)), [READMIT]),
        (world(task(status=Status.BLOCKED), inputs=(NEW,)), [READMIT]),
        (world(task(source_path=""), inputs=(NEW,)), [READMIT]),
        (world(running(), leases=(lease(running()),), inputs=(NEW,)), []),
        (world(accepted(), inputs=(NEW,)), []),
        (world(inputs=(NEW,), done={"TASK-0001": Status.INTEGRATED}), []),
        (world(inputs=(NEW, AGAIN)), [ADMIT, twice(OTHER, PATH)]),
        (world(task(), inputs=(AGAIN,)), [twice(OTHER, PATH)]),
        (world(task(), inputs=(AGAIN, NEW)), [twice(OTHER, PATH), READMIT]),
        (world(task(status=Status.INTEGRATED)), [Shelve(task_id="TASK-0001", reason="it is settled")]),
        (world(task(status=Status.INTEGRATED), inputs=(NEW,)), [Shelve(task_id="TASK-0001", reason="it is settled")]),
        (world(broken=(Broken(path="leases/x.json", reason="no JSON"),)),
         [SetAside(path="leases/x.json", reason="no JSON")]),
    ],
    ids=[
        "nothing new", "a new task", "a file that cannot be used", "an edited ready task", "an edited parked task",
        "an edited task whose file was not known", "an edit of a task under way waits",
        "an edit of accepted work waits",
        "a settled task comes back", "two files for one task", "a second file for a known task",
        "the second file comes first", "a settled task among the living", "an edit of a settled task",
        "a broken file of ours",
    ],
)  # fmt: skip
def test_inputs(now, plan):
    assert plan_intake(now) == plan


RUN = run_id(77)
LEASE = node_lease("api")
PLANNED = ending(task(), Outcome.PLANNED, run_id=RUN, role=Role.PLANNER, task_id=None, node="api")
GOOD = batch(markdown(9001, "Area: src"))


def over(reason, *, failed, is_empty=False):
    return EndPlanner(node="api", run_id=RUN, failed=failed, reason=reason, is_empty=is_empty)


def importing(final_id):
    final = {"TASK-9001": final_id}
    return ImportBatch(node="api", run_id=RUN, batch=GOOD, final_ids=final, reason="1 tasks proposed")


@pytest.mark.parametrize(
    ("sightings", "changes", "plan"),
    [
        ({}, {}, []),
        (seen(RUN, Life.ALIVE), {}, []),
        (seen(RUN, Life.ORPHANED, signed_in=True), {}, []),
        (seen(RUN), {}, []),
        (seen(RUN), {"now": NOW + START_GRACE}, [over("the planner vanished", failed=True)]),
        (seen(RUN, signed_in=True), {}, [over("the planner vanished", failed=True)]),
        (seen(RUN, was_asked=False), {}, [over("its run was never started", failed=False)]),
        (seen(RUN, ending=PLANNED, batch=GOOD, final_ids={"TASK-9001": "TASK-0044"}), {"next_task": 9002},
         [importing("TASK-0044")]),
        (seen(RUN, ending=replace(PLANNED, outcome=Outcome.FAILED, reason="timed out")), {},
         [over("timed out", failed=True)]),
        (seen(RUN, ending=replace(PLANNED, outcome=Outcome.FAILED)), {},
         [over("the planner left no batch", failed=True)]),
        (seen(RUN, ending=PLANNED), {}, [over("the planner left no batch", failed=True)]),
        (seen(RUN, ending=PLANNED, batch=batch()), {}, [over("nothing to propose", failed=False, is_empty=True)]),
        (seen(RUN, ending=PLANNED, batch=GOOD), {},
         [importing("TASK-0001")]),
        (seen(RUN, ending=PLANNED, batch=GOOD), {"next_task": 9002},
         [RejectBatch(node="api", run_id=RUN, reason="batch refused: TASK-9001 is not a temporary id: it is, or "
                      "may have been, another task's")]),
        (seen(RUN, ending=PLANNED, batch=GOOD),
         {"now": after(4)},
         [importing("TASK-0001")]),
    ],
    ids=[
        "never seen", "at work", "orphaned", "started and not signed in yet", "never signed in", "vanished",
        "never asked",
        "an import that a crash cut goes on under its ids", "failed",
        "failed without a word", "no batch", "an empty batch is a success", "a good batch", "a refused batch",
        "a batch that comes at once",
    ],
)  # fmt: skip
def test_planners(sightings, changes, plan):
    assert plan_intake(world(**{"node_leases": (LEASE,), "sightings": sightings, **changes})) == plan


GATE = node_lease("api", status=NodeLeaseStatus.ACTIVE)
PROVED = replace(PLANNED, outcome=Outcome.PROVED, role=Role.PROVER)
RED = replace(PROVED, outcome=Outcome.FAILED, failure=Failure.INTEGRATION_GATE_RED, reason="exit 2")
SICK = replace(RED, failure=Failure.WORKER_INFRA, reason="no disk")


def gate_ended(reason="its gate run ended", *, is_green=False, is_red=False):
    return NodeProved(
        node="api", run_id=RUN, commit=GATE.base_sha, is_green=is_green, is_red=is_red, reason=reason
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sightings", "seconds", "plan"),
    [
        ({}, 0, []),
        (seen(RUN, Life.ALIVE), 0, []),
        (seen(RUN, Life.ORPHANED), 0, []),
        (seen(RUN), 4, []),
        (seen(RUN), 5, [gate_ended()]),
        (seen(RUN, signed_in=True), 0, [gate_ended()]),
        (seen(RUN, ending=PROVED), 0, [gate_ended(is_green=True)]),
        (seen(RUN, ending=RED), 0, [gate_ended("exit 2", is_red=True)]),
        (seen(RUN, ending=SICK), 0, [gate_ended("no disk")]),
    ],
    ids=[
        "never seen", "at work", "orphaned", "not signed in yet", "never signed in", "vanished", "green", "red",
        "without an answer",
    ],
)  # fmt: skip
def test_gate_runs_of_a_node(sightings, seconds, plan):
    assert plan_intake(world(node_leases=(GATE,), sightings=sightings, now=after(seconds))) == plan


def test_a_new_task_does_not_wait_for_a_planner():
    now = world(inputs=(NEW,), node_leases=(LEASE,), sightings=seen(RUN, signed_in=True), now=NOW)

    assert plan_intake(now) == [ADMIT, over("the planner vanished", failed=True)]

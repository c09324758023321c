"""What needs attention: one list for the board, the health and the report."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.core.test_explain import ASKED, CIRCUIT, PARKED, REST, STUCK
from tests.core.worlds import NOW, accepted, after, lease, node_lease, run_id, running, seen, task, world

from gluerun.core.board import board
from gluerun.core.knowing import Known
from gluerun.core.matters import matters
from gluerun.core.world import Broken
from gluerun.records.dispatch import Life
from gluerun.records.flake import Flake, Flakes, Quarantine
from gluerun.records.origin import PlannerBackoff
from gluerun.records.record import replace
from gluerun.records.runner import Limits
from gluerun.records.spent import Spent
from gluerun.records.task import Status

LOOP = Known(loop="auto (pid 12)")
R1 = running(1)
PLANNING = PlannerBackoff(failure_class="planner-failed", run_id="R", node="api", log_ref="l", started_at=NOW,
                          until=after(60))  # fmt: skip


KEPT = Quarantine(owner="ada", by="me", order="ORD", since=NOW, expires_at=NOW)
SHAKY = Flake(gate="unit", test="adds", seen=2, runs=9, first_seen=NOW, last_seen=NOW)


def flaky(**changes):
    return Flakes(flakes=(replace(SHAKY, **changes),))


def needing(*needs, number=1):
    return task(number, of={"depends_on": needs})


@pytest.mark.parametrize(
    ("now", "known", "kind", "about", "needs_you", "command"),
    [
        (world(), replace(LOOP, trouble="not JSON"), "configuration", "configuration", True, "gluerun doctor"),
        (world(PARKED), LOOP, "parked", "TASK-0001", True, "gluerun unpark TASK-0001"),
        (world(accepted(1, proof=STUCK)), LOOP, "in-the-way", "TASK-0001", True, "git status"),
        (world(needing("TASK-0009")), LOOP, "waits", "TASK-0001", True, "gluerun explain TASK-0001"),
        (world(needing("TASK-0002"), needing("TASK-0001", number=2)), LOOP, "circle", "TASK-0001", True,
         "gluerun explain TASK-0001"),
        (world(R1, leases=(lease(R1, expires_at=NOW),), sightings=seen(run_id(1), Life.ALIVE, signed_in=True)), LOOP,
         "stuck", "TASK-0001", False, "gluerun explain TASK-0001"),
        (world(node_leases=(node_lease(expires_at=NOW),), sightings=seen(run_id(77), Life.ALIVE)), LOOP, "stuck",
         run_id(77), False, ""),
        (world(), replace(LOOP, refusals={"t.md": "t.md:2: no"}), "refused", "t.md", True, ""),
        (world(broken=(Broken(path="x.json", reason="no JSON"),)), LOOP, "broken", "x.json", True, ""),
        (world(graph_error="dag.v0.json: circle"), LOOP, "graph", "graph", True, "gluerun validate-dag"),
        (world(node_blocked=frozenset("a")), LOOP, "gate-file", "a", True, "gluerun gates"),
        (world(backoffs={"p": REST}, **ASKED), LOOP, "back-off", "p", False, "gluerun clear-backoff"),
        (world(backoffs={"p": replace(REST, needs_you=True)}, **ASKED), LOOP, "back-off", "p", True,
         "gluerun clear-backoff"),
        (world(backoff=PLANNING), LOOP, "back-off", "api", False, "gluerun clear-backoff"),
        (world(spent_today=Spent(usd=9), limits_day=Limits(usd=1)), LOOP, "day-spent", "day", False,
         "gluerun costs --by day"),
        (world(red_tree=True), LOOP, "red", "main", True, ""),
        (world(stop=True), LOOP, "stop", "loop", False, "gluerun resume"),
        (world(circuit=CIRCUIT), LOOP, "breaker", "loop", True, "gluerun breaker reset"),
        (world(target_head=None), LOOP, "no-target", "loop", True, "git branch main"),
        (world(free_bytes=1), LOOP, "low-disk", "loop", True, "gluerun gc --dry-run"),
        (world(task(1)), Known(), "no-loop", "loop", False, "gluerun auto"),
    ],
)  # fmt: skip
def test_each_matter_has_its_line(now, known, kind, about, needs_you, command):
    (one,) = matters(now, known)

    assert (one.kind, one.about, one.needs_you, one.command) == (kind, about, needs_you, command)
    assert one.words


@pytest.mark.parametrize("now", [world(), world(task(1)), world(needing("TASK-0002"), task(2))])
def test_all_is_well(now):
    assert matters(now, LOOP) == ()


def test_without_a_loop_nothing_is_missing_while_nothing_is_to_be_done():
    assert matters(world(), Known()) == ()


def test_the_blocked_task_is_named_and_who_waits_for_it():
    # FR-019: the predecessor's health left out the very task that was blocked.
    now = world(PARKED, needing("TASK-0001", number=2))
    told = {one.kind: one.words for one in matters(now, LOOP)}

    assert told["parked"].startswith("TASK-0001 is parked: gate-red: exit 1")
    assert told["waits"] == "TASK-0002 waits for ever: depends on TASK-0001, which is blocked"


def test_a_gate_file_that_cannot_be_used_is_named_with_its_reason():
    # A13
    (one,) = matters(world(node_blocked=frozenset("a"), node_words={"a": "a.json: not JSON"}), LOOP)

    assert one.words == "node a is blocked: a.json: not JSON"


@pytest.mark.parametrize(
    ("known", "kinds"),
    [
        (flaky(), ["flake"]),
        (flaky(last_seen=NOW - timedelta(days=1)), []),
        (flaky(last_seen=NOW - timedelta(days=1), quarantine=KEPT), ["quarantine"]),
        (flaky(last_seen=NOW - timedelta(days=1), quarantine=replace(KEPT, expires_at=after(1))), []),
    ],
)
def test_what_flaked_lately_and_a_quarantine_that_is_over_are_named(known, kinds):
    found = matters(world(flakes=known), LOOP)

    assert [(one.kind, one.about, one.needs_you) for one in found] == [(kind, "unit: adds", False) for kind in kinds]


def test_the_board_and_the_health_say_the_same():
    now = world(PARKED, needing("TASK-0009", number=2), task(3, Status.BLOCKED), circuit=CIRCUIT, stop=True)
    needs_you = tuple(one.words for one in matters(now, LOOP) if one.needs_you)

    assert board(now, LOOP).needs_you == needs_you
    assert len(needs_you) == 3


def test_what_needs_a_person_comes_first():
    now = world(PARKED, needing("TASK-0001", number=2), stop=True)

    assert [one.needs_you for one in matters(now, LOOP)] == [True, False, False]

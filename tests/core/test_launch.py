"""Who is started, and everything that keeps the loop from starting anybody."""

from __future__ import annotations

import pytest
from tests.core.worlds import NOW, TARGET, accepted, after, graph, lease, node, node_lease, running, task, world

from gluerun.core.actions import Promote, ProveNode, Start, StartPlanner
from gluerun.core.launch import dispatch_gate, plan_launch, plan_promotion, seats
from gluerun.records.origin import Circuit, PlannerBackoff
from gluerun.records.task import Status

GB = 10**9
GRAPH = graph(node("a"), node("b"), node("c", "a"))
LEASED = [running(number) for number in range(1, 5)]


def start(number, reason="ready"):
    return Start(task_id=f"TASK-{number:04d}", base=TARGET, reason=reason)


def plan_of(name):
    return StartPlanner(node=name, base=TARGET, reason="the ready list is empty")


def circuit(fails):
    return Circuit(consec_fails=fails, updated_at=NOW)


def backoff(seconds):
    return PlannerBackoff(
        failure_class="planner", run_id="R", node="a", log_ref="l", started_at=NOW, until=after(seconds)
    )


HELP = "; `gluerun gc --dry-run` says what can be freed"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"stop": True}, "STOP is set"),
        ({"target_head": None}, "the target branch 'main' does not exist"),
        ({"circuit": circuit(4)}, ""),
        ({"circuit": circuit(5)}, "the breaker is open after 5 failures in a row"),
        ({"circuit": circuit(1), "max_consec_fails": 1}, "the breaker is open after 1 failures in a row"),
        ({"free_bytes": 2 * GB}, ""),
        ({"free_bytes": 2 * GB - 1}, f"low disk: 2.0 GB free, 2 GB wanted{HELP}"),
        ({"free_bytes": 0, "min_disk_gb": 0.5}, f"low disk: 0.0 GB free, 0.5 GB wanted{HELP}"),
        ({"free_bytes": 0, "min_disk_gb": 0.0}, ""),
    ],
)
def test_what_keeps_everybody_from_starting(changes, why):
    seen = world(task(), graph=GRAPH, **changes)

    assert (dispatch_gate(seen), plan_launch(seen)) == (why, [] if why else [start(1)])


@pytest.mark.parametrize(
    ("leases", "knobs", "count"),
    [
        (0, {}, 5),
        (4, {}, 1),
        (0, {"max_dispatch": 2}, 2),
        (2, {"max_concurrent": 3}, 1),
        (4, {"max_concurrent": 3}, 0),
        (0, {"max_dispatch": 0}, 0),
    ],
)
def test_seats(leases, knobs, count):
    assert seats(world(leases=tuple(lease(one) for one in LEASED[:leases]), **knobs)) == count


@pytest.mark.parametrize(
    ("seen", "plan"),
    [
        (world(), []),
        (world(task(1), task(2, tries=2)), [start(1), start(2, "ready again after 2 tries")]),
        (world(task(1), task(2), max_dispatch=1), [start(1)]),
        (world(task(1, Status.BLOCKED), accepted(2)), []),
        (world(graph=GRAPH), [plan_of("a")]),
        (world(graph=GRAPH, passed=frozenset("a")), [plan_of("b")]),
        (world(graph=GRAPH, passed=frozenset("ab")), [plan_of("c")]),
        (world(graph=GRAPH, node_blocked=frozenset("a")), [plan_of("b")]),
        (world(graph=GRAPH, exhausted=frozenset("a")), [plan_of("b")]),
        (world(graph=GRAPH, node_leases=(node_lease("a"),)), []),
        (world(task(1, Status.BLOCKED, of={"dag_node": "a"}), graph=GRAPH), [plan_of("b")]),
        (world(task(1), graph=GRAPH), [start(1)]),
        (world(task(1, of={"depends_on": ("TASK-0009",)}), graph=GRAPH), []),
        (world(running(1), leases=(lease(running(1)),), graph=GRAPH), [plan_of("a")]),
        (world(graph=GRAPH, max_dispatch=0), []),
        (world(graph=GRAPH, generate=False), []),
        (world(graph=GRAPH, roles={}), []),
        (world(graph=GRAPH, backoff=backoff(1)), []),
        (world(graph=GRAPH, backoff=backoff(0)), [plan_of("a")]),
        (world(graph=GRAPH, stop=True), []),
        (world(graph=GRAPH, node_tasks={"a": ("TASK-0001",)}, auto_promote_gates=False), [plan_of("b")]),
    ],
    ids=[
        "nothing", "ready ones", "as many as a cycle may start", "no ready one", "the first node", "the next node",
        "a node whose needs are complete", "a blocked node is left out", "so is one with nothing to propose",
        "one planner at a time",
        "a node with a task is under way", "ready tasks come first", "a ready task that waits is still work",
        "a task under way is not ready", "no seat", "planning is off", "nobody plans", "planners rest",
        "planners have rested", "stopped", "a finished node waits for its promotion",
    ],
)  # fmt: skip
def test_launches(seen, plan):
    assert plan_launch(seen) == plan


PROMOTE = Promote(node="a", reason="all of its tasks are integrated and the gate is green")
PROVE = ProveNode(node="a", reason="all of its tasks are integrated")
FINISHED = {"graph": graph(node("a")), "node_tasks": {"a": ("TASK-0001",)}}


@pytest.mark.parametrize(
    ("changes", "plan"),
    [
        ({"green_tree": True}, [PROMOTE]),
        ({}, [PROVE]),
        ({"red_tree": True}, []),
        ({"node_leases": (node_lease("a"),)}, []),
        ({"tasks": (accepted(5),)}, []),
        ({"tasks": (accepted(5),), "auto_integrate": False}, [PROVE]),
        ({"gate_command": ""}, [PROMOTE]),
        ({"green_tree": True, "auto_promote_gates": False}, []),
        ({"green_tree": True, "max_dispatch": 0}, [PROMOTE]),
        ({"green_tree": True, "stop": True}, [PROMOTE]),
        ({"green_tree": True, "passed": frozenset("a")}, []),
    ],
    ids=[
        "on a green tree", "after a gate run where nobody knows", "not on a red tree", "one run at a time",
        "not while the target is about to move", "an accepted task moves nothing without integration",
        "without a gate", "not if it is off", "without a free seat",
        "also when stopped", "only once",
    ],
)  # fmt: skip
def test_a_finished_node_is_promoted(changes, plan):
    assert plan_launch(world(**FINISHED, **changes)) == plan


def test_a_person_may_ask_for_a_promotion_that_is_switched_off():
    assert plan_promotion(world(**FINISHED, auto_promote_gates=False)) == [PROVE]

"""What a resident loop waits for, how long, and the one reason why it is over."""

from __future__ import annotations

import pytest
from tests.core.worlds import NOW, accepted, after, graph, lease, node, node_lease, proof, run_id, running, task, world

from gluerun.core.outlook import Outlook, living_runs, moving, outlook
from gluerun.records.origin import PlannerBackoff
from gluerun.records.task import ProofState, Status

RUNNING = running(1)
WAITS = accepted(1, proof=proof(ProofState.WAITING))
PROVING = accepted(1, proof=proof(ProofState.PROVING))
GRAPH = graph(node("a"))


def resting(**changes):
    until = PlannerBackoff(
        failure_class="planner", run_id="R", node="a", log_ref="l", started_at=NOW, until=after(60)
    )  # fmt: skip
    return world(**{"graph": GRAPH, "backoff": until, **changes})


def at_once(*runs):
    return Outlook(runs=runs, seconds=0.05)


def later(*runs):
    return Outlook(runs=runs, seconds=20)


def over(why):
    return Outlook(runs=(), seconds=20, over=why)


def stuck(why):
    return over(f"nothing can go on by itself; node a: {why}")


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (world(), over("nothing is left to do")),
        (world(task(1)), at_once()),
        (world(RUNNING, leases=(lease(RUNNING),)), later(run_id(1))),
        (world(RUNNING, task(2), leases=(lease(RUNNING),)), at_once(run_id(1))),
        (world(accepted(1)), later()),
        (world(PROVING), later(run_id(99))),
        (world(WAITS), over("nothing can go on by itself; 1 tasks wait")),
        (world(WAITS, target_head="9" * 40), later()),
        (world(accepted(1), auto_integrate=False), over("nothing can go on by itself; 1 tasks wait")),
        (world(task(1, Status.BLOCKED)), over("nothing is left to do")),
        (world(task(1, of={"depends_on": ("TASK-0009",)})), over("nothing can go on by itself; 1 tasks wait")),
        (world(task(1), stop=True), over("STOP is set")),
        (world(graph=GRAPH), at_once()),
        (world(graph=GRAPH, passed=frozenset("a")), over("every node of the graph is complete")),
        (world(graph=GRAPH, generate=False), stuck("planning is switched off")),
        (world(graph=graph()), over("nothing is left to do")),
        # A35
        (world(graph_error="dag: no JSON"), over("the planning graph cannot be used: dag: no JSON")),
        (resting(), later()),
        (resting(now=after(60), generate=False), stuck("planning is switched off")),
        (resting(graph=None), over("nothing is left to do")),
        (resting(stop=True), over("STOP is set")),
        (resting(roles={}), stuck("no runner plays the planner")),
        (resting(node_blocked=frozenset("a")), over("nothing is left to do")),
    ],
    ids=[
        "nothing", "a ready task", "a run", "a run and a ready task", "accepted work", "a prover",
        "a candidate that a checkout blocks", "one whose target moved", "no integration", "only parked tasks",
        "a task that waits for ever", "stopped", "a node to plan", "a complete graph", "no planning",
        "an empty graph", "a bad graph is not an empty one",
        "planners rest", "planners have rested", "resting without a graph", "resting and stopped",
        "resting without a planner", "resting with a blocked node",
    ],
)  # fmt: skip
def test_the_outlook(seen, found):
    assert outlook(seen, 20) == found


def test_living_runs():
    seen = world(RUNNING, accepted(2, proof=proof(ProofState.PROVING)), accepted(3), leases=(lease(RUNNING),),
                 node_leases=(node_lease("a"),))  # fmt: skip

    assert living_runs(seen) == (run_id(1), run_id(77), run_id(99))


def test_what_moves_by_itself():
    two, three = accepted(2, proof=proof()), accepted(3)

    assert moving(world(WAITS, two, three, task(4))) == [two, three]

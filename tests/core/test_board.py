"""The board: what runs, what waits for what, and what needs a person."""

from __future__ import annotations

import pytest
from tests.core.worlds import (
    NOW,
    TARGET,
    accepted,
    after,
    graph,
    lease,
    node,
    node_lease,
    proof,
    run_id,
    running,
    task,
    world,
)

from gluerun.core.board import NodeLine, TaskLine, board
from gluerun.core.knowing import Known
from gluerun.core.world import Broken
from gluerun.records.failure import Answer, Decision, Failure, FailureNote
from gluerun.records.origin import Circuit, PlannerBackoff
from gluerun.records.record import replace
from gluerun.records.task import ProofState, Status

RUNNING = running(1, tries=1)
NOTE = FailureNote(failure_class=Failure.GATE_RED, reason="exit 1", at=NOW)
PARKED = task(
    1, Status.BLOCKED, last_failure=NOTE, tries=4,
    decision=Decision(failure_class=Failure.GATE_RED, action=Answer.ESCALATE_PARKED, rationale="enough"),
)  # fmt: skip
STUCK = accepted(1, proof=proof(ProofState.WAITING, blocked_paths=("a", "b", "c", "d")))
CANNOT_LAND = "its candidate cannot land: a, b, c in your checkout"


def line(status, phase="", reason="", **changes):
    return TaskLine(**{"id": "TASK-0001", "title": "Thing 1", "status": status, "phase": phase, "reason": reason,
                       **changes})  # fmt: skip


@pytest.mark.parametrize(
    ("of", "changes", "found"),
    [
        (task(1), {}, line("ready")),
        (task(1, last_failure=NOTE, tries=2), {}, line("ready", reason="gate-red: exit 1", attempt=2)),
        (task(1, of={"depends_on": ("TASK-0009",)}), {},
         line("waiting", reason="depends on TASK-0009, which nobody knows", blocked_by=("TASK-0009",))),
        (task(1), {"max_dispatch": 0}, line("waiting", reason="no free seat")),
        (RUNNING, {"leases": (lease(RUNNING),)}, line("running", "starting", run=run_id(1), attempt=2)),
        (RUNNING, {"leases": (lease(RUNNING, orphaned_since=NOW),)},
         line("running", "starting", "its wrapper is gone", run=run_id(1), attempt=2)),
        (PARKED, {}, line("parked", reason="gate-red: exit 1 (enough)", attempt=4)),
        (accepted(1), {}, line("accepted", "queued", run=run_id(1), attempt=1)),
        (accepted(1), {"auto_integrate": False},
         line("accepted", "queued", "integration is switched off; type `gluerun integrate`", run=run_id(1), attempt=1)),
        (accepted(1, proof=proof(ProofState.PROVING)), {}, line("accepted", "proving", run=run_id(1), attempt=1)),
        (accepted(1, proof=proof()), {}, line("accepted", "landing", run=run_id(1), attempt=1)),
        (STUCK, {}, line("accepted", "waiting", CANNOT_LAND, run=run_id(1), attempt=1)),
    ],
)  # fmt: skip
def test_the_line_of_a_task(of, changes, found):
    assert board(world(of, **changes), Known()).tasks == (found,)


def test_a_running_task_shows_what_its_run_does():
    shown = board(world(RUNNING, leases=(lease(RUNNING),)), Known(phases={run_id(1): ("gate", 3)}))

    assert shown.tasks == (line("running", "gate", run=run_id(1), attempt=3),)


@pytest.mark.parametrize(
    ("tasks", "changes", "needs"),
    [
        ([task(1)], {}, []),
        ([PARKED], {}, ["TASK-0001 is parked: gate-red: exit 1 (enough)"]),
        ([STUCK], {}, [f"TASK-0001: {CANNOT_LAND}"]),
        ([], {"broken": (Broken(path="x.json", reason="no JSON"),)}, ["x.json: no JSON"]),
        ([], {"graph_error": "dag: circle"}, ["dag: circle"]),
        ([], {"node_blocked": frozenset("ab"), "node_words": {"a": "a is torn", "b": "b says so"}},
         ["node a is blocked: a is torn", "node b is blocked: b says so"]),
        ([], {"red_tree": True}, ["the gate is red on main itself"]),
        ([], {"target_head": None}, ["the target branch 'main' does not exist"]),
        ([], {"stop": True}, []),
    ],
)  # fmt: skip
def test_what_needs_a_person(tasks, changes, needs):
    assert list(board(world(*tasks, **changes), Known()).needs_you) == needs


def test_refused_files_need_a_person():
    assert board(world(), Known(refusals={"t.md": "t.md:2: unknown header"})).needs_you == ("t.md:2: unknown header",)


def test_the_nodes():
    nodes = graph(node("a"), node("b"), node("c"), node("d"), node("e", "d"))
    now = world(graph=nodes, passed=frozenset("a"), node_blocked=frozenset("b"), node_leases=(node_lease("c"),))

    assert board(now, Known()).nodes == tuple(
        NodeLine(id=name, state=state, reason=reason, run=run, phase=phase)
        for name, state, reason, run, phase in [
            ("a", "passed", "", None, ""),
            ("b", "blocked", "its gate file blocks it", None, ""),
            ("c", "planning", "", run_id(77), "starting"),
            ("d", "open", "it may be planned", None, ""),
            ("e", "waiting", "it waits for d", None, ""),
        ]
    )


def test_the_numbers():
    tasks = [RUNNING, task(2), task(3, of={"owned_files": ("src/thing2/x",)}), replace(PARKED, task_id="TASK-0004"),
             accepted(5)]  # fmt: skip
    rest = PlannerBackoff(failure_class="p", run_id="R", node="api", log_ref="l", started_at=NOW, until=after(60))
    now = world(*tasks, leases=(lease(RUNNING),), circuit=Circuit(consec_fails=2, updated_at=NOW), backoff=rest)
    shown = board(now, Known())

    assert (shown.running, shown.ready, shown.waiting, shown.parked, shown.accepted) == (1, 1, 1, 1, 1)
    assert (shown.target_branch, shown.head, shown.stop, shown.breaker) == ("main", TARGET, False, 2)
    assert (shown.backoff, shown.dispatch_gate) == ("api until 12:01:00Z", "")
    assert board(replace(now, now=after(60)), Known()).backoff is None

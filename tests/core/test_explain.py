"""Where a task is, why, and what would change it: every status, every reason that the core knows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from tests.core.worlds import (
    NOW,
    TARGET,
    accepted,
    after,
    ending,
    graph,
    lease,
    node,
    proof,
    run_id,
    running,
    seen,
    task,
    world,
)

from gluerun.cli.verbs import LATER, VERBS
from gluerun.core import explain as explaining
from gluerun.core.explain import STEPS, explain
from gluerun.core.knowing import Known
from gluerun.core.matters import matters
from gluerun.core.obstacle import Why
from gluerun.core.ways import HELPS, WAYS
from gluerun.core.world import Input
from gluerun.records.config import ApprovalRule
from gluerun.records.dispatch import Held, Life, Outcome, Role
from gluerun.records.failure import Answer, Decision, Failure, FailureNote
from gluerun.records.fault import Fault
from gluerun.records.order import Order
from gluerun.records.origin import Circuit, ProviderBackoff
from gluerun.records.record import replace
from gluerun.records.redmain import RedMain, RedState
from gluerun.records.runner import Limits, RunnerKind, RunnerSpec
from gluerun.records.spent import Spent
from gluerun.records.task import Ordered, ProofState, Status

ENGINE = Path(explaining.__file__).resolve().parents[1]
LOOP = Known(loop="auto (pid 12)")
SAME = {"owned_files": ("src/same",)}
RUNNER = RunnerSpec(name="fake", kind=RunnerKind.SCRIPTED, provider="p")
ASKED = {"runners": {"fake": RUNNER}, "roles": {"worker": "fake", "auditor": "fake"}}
REST = ProviderBackoff(provider="p", fault=Fault.OVERLOAD, reason="529", run_id=run_id(1), started_at=NOW,
                       until=after(600))  # fmt: skip
CIRCUIT = Circuit(consec_fails=5, updated_at=NOW)
R1 = running(1)
L1 = {"leases": (lease(R1),)}


def needing(*needs, number=1):
    return task(number, of={"depends_on": needs})


# One world for each reason that the core knows, and the command of the way out.
RED = RedMain(state=RedState.RED, head=TARGET, since=NOW, was_red=True)
OBSTACLES = {
    Why.STOP: (world(task(1), stop=True), "gluerun resume"),
    Why.NO_TARGET: (world(task(1), target_head=None), "git branch main"),
    Why.BREAKER: (world(task(1), circuit=CIRCUIT), "gluerun breaker reset"),
    Why.RED_MAIN: (world(task(1), red_main=RED), "gluerun queue"),
    Why.LOW_DISK: (world(task(1), free_bytes=1), "gluerun gc --dry-run"),
    Why.PROVIDER_HELD: (world(task(1), backoffs={"p": REST}, **ASKED), "gluerun clear-backoff"),
    Why.DAY_SPENT: (world(task(1), spent_today=Spent(usd=9), limits_day=Limits(usd=1)), "gluerun costs --by day"),
    # C14: what the predecessor never dispatched, without a word.
    Why.ODD_MODE: (world(task(1, of={"dispatch_mode": "manual"})), ""),
    Why.OTHER_TARGET: (world(task(1, of={"target_branch": "develop"})), ""),
    Why.NOT_APPROVED: (world(task(1), approve_plan=ApprovalRule.ALWAYS), "gluerun approvals"),
    Why.NEED_UNKNOWN: (world(needing("TASK-0009")), "gluerun task list --all"),
    Why.NEED_GIVEN_UP: (world(needing("TASK-0009"), done={"TASK-0009": Status.CANCELLED}),
                        "gluerun task show TASK-0009"),
    Why.NEED_PARKED: (world(needing("TASK-0002"), task(2, Status.BLOCKED)), "gluerun explain TASK-0002"),
    Why.NEED_ITSELF: (world(needing("TASK-0001")), ""),
    Why.NEED_OPEN: (world(needing("TASK-0002"), accepted(2)), "gluerun explain TASK-0002"),
    Why.SCOPE_HELD: (world(task(1, of=SAME), accepted(2, of=SAME)), "gluerun explain TASK-0002"),
    Why.NO_SEAT: (world(task(1), running(2), leases=(lease(running(2)),), max_concurrent=1), "gluerun status"),
}  # fmt: skip


def test_every_reason_for_not_dispatching_has_a_world_here_and_a_way_out():
    assert set(OBSTACLES) == set(Why) == set(WAYS)


@pytest.mark.parametrize("why", Why)
def test_a_task_that_is_not_dispatched_says_why_and_what_changes_it(why):
    now, command = OBSTACLES[why]
    found = explain(now, "TASK-0001", LOOP)

    assert (found.where, [one.why for one in found.reasons]) == ("waiting", [why.value])
    (one,) = found.reasons
    assert one.words and one.change
    assert "{" not in one.words + one.change + one.command
    assert one.command == command


def test_all_reasons_are_told_and_not_only_the_first():
    now = world(task(1, of=SAME | {"depends_on": ("TASK-0008", "TASK-0009")}), accepted(2, of=SAME), stop=True,
                circuit=CIRCUIT)  # fmt: skip
    found = explain(now, "TASK-0001", LOOP)

    assert [one.why for one in found.reasons] == ["stop", "breaker", "need-unknown", "need-unknown", "scope-held"]
    assert found.reasons[0].since is None
    assert explain(now, "TASK-0001", Known(stop_since=NOW)).reasons[0].since == NOW
    assert found.reasons[1].since == NOW


def test_tasks_in_a_circle_are_not_said_to_start_by_themselves():
    # C14, in its longest form: nobody waits for anything that is wrong, and nobody will ever start.
    now = world(needing("TASK-0002"), needing("TASK-0001", number=2), needing("TASK-0001", number=3))

    assert [one.why for one in explain(now, "TASK-0002", LOOP).reasons] == ["need-open", "need-circle"]
    assert "TASK-0001 → TASK-0002 → TASK-0001" in explain(now, "TASK-0001", LOOP).reasons[1].words
    assert [one.why for one in explain(now, "TASK-0003", LOOP).reasons] == ["need-open"]


def test_an_archived_dependency_that_was_integrated_holds_nobody_up():
    # C14
    found = explain(world(needing("TASK-0009"), done={"TASK-0009": Status.INTEGRATED}), "TASK-0001", LOOP)

    assert (found.where, found.reasons, found.next) == ("ready", (), "the next cycle starts it")


NOTE = FailureNote(failure_class=Failure.GATE_RED, reason="exit 1", at=after(-60), run_id=run_id(1), places=("a:3",))
PARKED = task(
    1, Status.BLOCKED, last_failure=NOTE, tries=4,
    decision=Decision(failure_class=Failure.GATE_RED, action=Answer.ESCALATE_PARKED, rationale="enough"),
)  # fmt: skip
ENDED = ending(R1, Outcome.FAILED, failure=Failure.GATE_RED, reason="exit 1")
HELD = ending(R1, Outcome.HELD, held=Held(provider="p", fault=Fault.OVERLOAD, reason="529", role=Role.WORKER))
TAKEN = ending(R1, Outcome.ACCEPTED, head_sha="b" * 40)
AT_HEAD = {"branch_heads": {accepted(1).spec.worker_branch: "b" * 40}}
STUCK = proof(ProofState.WAITING, blocked_paths=("a.txt",))
RUN99 = run_id(99)


@pytest.mark.parametrize(
    ("now", "where", "words", "following"),
    [
        (world(task(1)), "ready", "it is ready", "the next cycle starts it"),
        (world(task(1, tries=2)), "ready", "it is ready; 2 tries are used up, 2 left", "the next cycle starts it"),
        (world(task(1, audit_sha="b" * 40, base_sha="a" * 40)), "ready", "its work is done and waits for its audit",
         "the next cycle starts it"),
        (world(R1, **L1, sightings=seen(run_id(1), Life.ALIVE, signed_in=True)), "running",
         "it is implementing, in try 1 of 4", "it is ended if it is not done by 2026-01-31 13:00:00Z"),
        (world(R1, **L1, sightings=seen(run_id(1), Life.DEAD)), "running", "its run is just being started",
         "it signs in by itself"),
        (world(R1, **L1, sightings=seen(run_id(1), Life.DEAD, signed_in=True)), "running",
         "it is implementing, in try 1 of 4",
         "the next cycle answers its failure: the worker vanished: retry"),
        (world(R1, **L1, sightings=seen(run_id(1), ending=ENDED)), "running", "it is implementing, in try 1 of 4",
         "the next cycle answers its failure: gate-red: retry"),
        (world(R1, **L1, sightings=seen(run_id(1), ending=HELD)), "running", "it is implementing, in try 1 of 4",
         "the next cycle notes that its provider cannot be asked, and keeps its work: p: overload"),
        (world(R1, **L1, **AT_HEAD, sightings=seen(run_id(1), ending=TAKEN)), "running",
         "it is implementing, in try 1 of 4",
         "the next cycle takes its accepted work in: the run was accepted"),
        (world(R1, leases=(lease(R1, expires_at=NOW),), sightings=seen(run_id(1), Life.ALIVE, signed_in=True)),
         "running", "it is implementing, in try 1 of 4", "the next cycle ends its processes: past its deadline"),
        (world(accepted(1), **AT_HEAD), "accepted", "its work is accepted",
         "the next cycle builds its candidate: accepted"),
        (world(accepted(1, proof=proof(ProofState.PROVING)), **AT_HEAD, sightings=seen(RUN99, Life.ALIVE)), "accepted",
         "the gate runs on its candidate for main", "it lands if the gate is green"),
        (world(accepted(1, proof=proof(ProofState.PROVING)), **AT_HEAD,
               sightings=seen(RUN99, ending=ending(accepted(1), Outcome.PROVED))), "accepted",
         "its candidate was being proved",
         "the next cycle notes that its candidate is proved: the gate was green on the candidate"),
        (world(accepted(1, proof=proof()), **AT_HEAD), "accepted", "its candidate is proved",
         "the next cycle lands its candidate: its candidate is proved"),
        (world(accepted(1), landed={"TASK-0001": "c" * 40}), "accepted", "its work is accepted",
         "the next cycle notes that the target branch holds it already: the target branch holds it already"),
        (world(PARKED), "parked", "it is parked until you act: 4 of 4 tries are used up", ""),
    ],
    ids=["ready", "ready again", "waits for its audit", "alive", "just started", "vanished", "failed", "held", "done",
         "late", "accepted", "proving", "a prover that ended", "proved", "landed already", "parked"],
)  # fmt: skip
def test_where_a_task_is(now, where, words, following):
    known = replace(LOOP, phases={run_id(1): ("implementing", 1)})
    found = explain(now, "TASK-0001", known)

    assert (found.where, found.words, found.next) == (where, words, following)
    assert found.needs_you is (where == "parked")


@pytest.mark.parametrize(
    ("now", "why", "command"),
    [
        (world(accepted(1), auto_integrate=False, **AT_HEAD), "switched-off", "gluerun integrate"),
        (world(accepted(1, proof=STUCK), **AT_HEAD), "in-the-way", "git status"),
        (world(accepted(1), target_head=None), "no-target", "git branch main"),
        (world(R1, leases=(lease(R1, orphaned_since=NOW),), sightings=seen(run_id(1), Life.ORPHANED)), "orphaned", ""),
        (world(accepted(2, proof=proof(ProofState.PROVING)), accepted(1, updated_at=after(9)), **AT_HEAD,
               sightings=seen(RUN99, Life.ALIVE)), "queued", ""),
    ],
)  # fmt: skip
def test_what_holds_up_a_task_that_is_under_way(now, why, command):
    (one,) = explain(now, "TASK-0001", LOOP).reasons

    assert (one.why, one.command, bool(one.words), bool(one.change)) == (why, command, True, True)


def test_a_parked_task_names_its_cause_its_places_and_the_verb_that_helps():
    # FR-018: the text of a parked task gave another cause than the one that had parked it.
    found = explain(world(PARKED), "TASK-0001", LOOP)
    first, places, log = found.reasons

    assert (first.why, first.words) == ("gate-red", "gate-red: exit 1 (enough; decided by policy)")
    assert (first.command, first.since) == ("gluerun unpark TASK-0001", NOTE.at)
    assert (places.words, log.command) == ("a:3", "gluerun logs TASK-0001")
    (bare,) = explain(world(task(1, Status.BLOCKED)), "TASK-0001", LOOP).reasons
    assert bare.words == "nobody noted why"


def test_a_task_that_failed_once_more_after_a_retry_does_not_say_that_a_person_parked_it():  # FR-018
    order = Ordered(order="ORD-1", verb="retry", by="ada", at=NOW, reason="have another look")
    now = world(replace(PARKED, ordered=order))

    assert [one.words for one in explain(now, "TASK-0001", LOOP).reasons] == [
        one.words for one in explain(world(PARKED), "TASK-0001", LOOP).reasons
    ]
    assert [one.words for one in matters(now, LOOP)] == ["TASK-0001 is parked: gate-red: exit 1 (enough)"]


def test_a_task_that_a_person_parked_says_who_and_why_and_not_its_last_failure():
    order = Ordered(order="ORD-1", verb="park", by="ada", at=NOW, reason="not before May")
    (one,) = explain(world(replace(PARKED, ordered=order)), "TASK-0001", LOOP).reasons

    assert (one.words, one.since, one.command) == ("ada ordered it: not before May", NOW, "gluerun unpark TASK-0001")


def test_an_order_that_waits_for_the_loop_is_told():
    order = Order(id="ORD-1", verb="unpark", by="ada", at=NOW, subject="TASK-0001")
    told = explain(world(PARKED, orders=(order,)), "TASK-0001", LOOP).reasons[-1]

    assert (told.why, told.words) == ("order", "ada ordered `unpark`")
    assert explain(world(task(2), orders=(order,)), "TASK-0002", LOOP).reasons == ()


@pytest.mark.parametrize("failure", Failure)
def test_every_failure_has_its_help(failure):
    parked = replace(PARKED, last_failure=replace(NOTE, failure_class=failure))

    assert explain(world(parked), "TASK-0001", LOOP).reasons[0].change.startswith(HELPS[failure])
    assert set(HELPS) == set(Failure)


@pytest.mark.parametrize("room", ["recovery", "integration"])
def test_every_step_that_a_cycle_may_take_with_a_task_has_its_sentence(room):
    tree = ast.parse((ENGINE / "core" / f"{room}.py").read_text())
    names = {alias.name for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)
             and one.module == "gluerun.core.actions" for alias in one.names} - {"Action", "Shorten"}  # fmt: skip

    assert names - {cls.__name__ for cls in STEPS} == set(), "Shorten is about a provider, not a task"


@pytest.mark.parametrize("status", [Status.INTEGRATED, Status.CANCELLED, Status.SUPERSEDED])
def test_a_settled_task_is_explained_from_its_record(status):
    found = explain(world(), "TASK-0001", LOOP, settled=task(1, status, merge_commit="c" * 40))

    assert (found.where, found.since, found.needs_you, found.reasons) == (status.value, NOW, False, ())
    assert found.words


def test_nobody_knows_an_unknown_task():
    assert explain(world(), "TASK-0001", LOOP) is None


def test_a_file_that_was_refused_says_where_and_why():
    path = "docs/orchestration/tasks/TASK-0001-thing.md"
    fresh = Input(path=path, mark="1", error=f"{path}:3: unknown header", hint="did you mean Area?")
    told = explain(world(inputs=(fresh,)), "TASK-0001", LOOP)

    assert (told.where, told.needs_you) == ("refused", True)
    assert told.reasons[0].words == f"{path}:3: unknown header (did you mean Area?)"
    assert explain(world(), "TASK-0001", replace(LOOP, refusals={path: "why"})).reasons[0].words == "why"
    assert explain(world(), "TASK-000", replace(LOOP, refusals={path: "why"})) is None
    both = explain(world(task(1), inputs=(fresh,)), "TASK-0001", LOOP)
    assert (both.where, [one.why for one in both.reasons]) == ("ready", ["refused"])


def test_without_a_loop_nothing_is_promised_to_happen_by_itself():
    (one,) = explain(world(task(1)), "TASK-0001", Known(seen_at=after(-3600))).reasons

    assert (one.why, one.command, one.since) == ("no-loop", "gluerun auto", after(-3600))


NODES = graph(node("a"), node("b"), node("c", "a"))


@pytest.mark.parametrize(
    ("name", "changes", "state"),
    [
        ("a", {"graph": NODES}, "open"),
        ("a", {"graph": NODES, "passed": frozenset("a")}, "passed"),
        ("b", {"graph": NODES, "node_blocked": frozenset("b")}, "blocked"),
        ("c", {"graph": NODES}, "waiting"),
        ("x", {"graph": NODES}, "unknown"),
        ("x", {}, "unknown"),
        ("a", {"graph_error": "dag.v0.json: not JSON"}, "unknown"),  # A35
    ],
)
def test_the_node_of_a_task(name, changes, state):
    found = explain(world(task(1, of={"dag_node": name}), **changes), "TASK-0001", LOOP)

    assert (found.node.id, found.node.state, bool(found.node.words)) == (name, state, True)


def test_every_command_that_is_named_is_a_verb():  # FR-003
    known = {verb.name for verb in VERBS} | set(LATER)
    said = [command for _, command in WAYS.values()] + ["gluerun unpark", "gluerun logs", "gluerun integrate"]
    words = [command.split()[1:] for command in said if command.startswith("gluerun")]

    assert [one for one in words if not {one[0], " ".join(one[:2])} & known] == []

"""From an accepted branch to the target: one proof at a time, and what each proof's end calls for."""

from __future__ import annotations

import pytest
from tests.core.worlds import (
    HEAD,
    NOW,
    TARGET,
    accepted,
    after,
    ending,
    proof,
    run_id,
    seen,
    task,
    world,
)

from gluerun.core import decider, refusals
from gluerun.core.actions import Advance, Notice, ProofDone, Prove, Settle, Stop
from gluerun.core.integration import conflict, is_current, plan_integration, queue_order, refuse
from gluerun.core.recovery import START_GRACE
from gluerun.records.dispatch import Life, Outcome, Role
from gluerun.records.failure import Answer, Failure, FailureNote
from gluerun.records.record import replace
from gluerun.records.task import ProofState, Status

PROVER = run_id(99)
OTHER = "9" * 40
ONE = accepted(1)
PROVING = accepted(1, proof=proof(ProofState.PROVING))
PROVED = accepted(1, proof=proof())
WAITS = accepted(1, proof=proof(ProofState.WAITING, blocked_paths=("a",)))
END = ending(ONE, Outcome.PROVED, run_id=PROVER, role=Role.PROVER, tries=0)


def now(*tasks, **changes):
    heads = {one.spec.worker_branch: HEAD for one in tasks}
    return world(*tasks, **{"branch_heads": heads, **changes})


def prove(number=1, reason="accepted"):
    return Prove(task_id=f"TASK-{number:04d}", reason=reason)


ADVANCE = Advance(task_id="TASK-0001", reason="its candidate is proved")
STOP = Stop(run_id=PROVER, task_id="TASK-0001", reason="the prover is past its deadline")
DONE = ProofDone(task_id="TASK-0001", run_id=PROVER, reason="the gate was green on the candidate")
DEADLINE = 3600 * 2 + 600


def back(failure, reason, decision, of=ONE, detail="", at=NOW):
    note = FailureNote(
        failure_class=failure, reason=reason, at=at, run_id=of.run_id, head_sha=HEAD, target_head=TARGET, detail=detail
    )
    return Settle(
        task_id="TASK-0001", run_id=None, decision=decision, note=note, tries=0,
        reason=f"{failure}: {decision.action}", seed=True,
    )  # fmt: skip


def parked(failure, reason, **changes):
    return back(failure, reason, decider.park(failure, reason), **changes)


RED = replace(END, outcome=Outcome.FAILED, failure=Failure.INTEGRATION_GATE_RED, reason="exit 2", detail="the log")
SICK = replace(END, outcome=Outcome.FAILED, failure=Failure.WORKER_INFRA, reason="no disk")
BRANCH = ONE.spec.worker_branch
GONE = f"its branch {BRANCH} is gone"
MOVED = f"its branch {BRANCH} moved from {HEAD[:12]} to {OTHER[:12]} after it was accepted"
SPENT = replace(PROVING, infra_tries=1)


@pytest.mark.parametrize(
    ("given", "plan"),
    [
        (now(), []),
        (now(task(1), task(2, Status.BLOCKED)), []),
        (now(ONE, target_head=None), []),
        (now(ONE), [prove()]),
        (now(accepted(2), ONE), [prove()]),
        (now(replace(ONE, updated_at=after(9)), accepted(2)), [prove(2)]),
        (now(PROVED), [ADVANCE]),
        (now(WAITS), [ADVANCE]),
        (now(PROVED, target_head=OTHER), [prove(1, "the target branch moved")]),
        (now(WAITS, target_head=OTHER), [prove(1, "the target branch moved")]),
        (now(accepted(1, proof=proof(branch_head=OTHER))), [prove(1, "the target branch moved")]),
        (now(PROVED, accepted(2)), [ADVANCE]),
        (now(WAITS, accepted(2)), [ADVANCE, prove(2)]),
        (now(PROVING, accepted(2)), [prove(1, "again: the prover was never started")]),
        (now(PROVING, accepted(2), sightings=seen(PROVER, Life.ALIVE)), []),
        (now(PROVING, accepted(2, proof=proof()), sightings=seen(PROVER, Life.ALIVE)),
         [replace(ADVANCE, task_id="TASK-0002")]),
        (now(PROVED, landed={"TASK-0001": OTHER}, target_head=OTHER, branch_heads={}),
         [Notice(task_id="TASK-0001", commit=OTHER, reason="the target branch holds it already")]),
        (now(ONE, branch_heads={}), [parked(Failure.PACKET_INVALID, GONE)]),
        (now(PROVED, branch_heads={ONE.spec.worker_branch: OTHER}),
         [parked(Failure.PACKET_INVALID, MOVED)]),
        (now(PROVING, sightings=seen(PROVER, Life.ALIVE), now=after(DEADLINE - 1)), []),
        (now(PROVING, sightings=seen(PROVER, Life.ALIVE), now=after(DEADLINE)), [STOP]),
        (now(PROVING, sightings=seen(PROVER, Life.ALIVE), now=after(620), gate_timeout_sec=10), [STOP]),
        (now(PROVING, sightings=seen(PROVER, Life.ORPHANED)), [STOP]),
        (now(PROVING, sightings=seen(PROVER), now=NOW + START_GRACE / 2), []),
        (now(PROVING, sightings=seen(PROVER), now=NOW + START_GRACE), [prove(1, "again: the prover vanished")]),
        (now(PROVING, sightings=seen(PROVER, signed_in=True)), [prove(1, "again: the prover vanished")]),
        (now(SPENT, sightings=seen(PROVER, signed_in=True)), [parked(Failure.WORKER_INFRA, "the prover vanished")]),
        (now(replace(PROVING, proof=proof(ProofState.PROVING, run_id=None))),
         [prove(1, "again: the prover was never started")]),
        (now(PROVING, sightings=seen(PROVER, ending=END)), [DONE]),
        (now(PROVING, sightings=seen(PROVER, ending=SICK)), [prove(1, "again: no disk")]),
        (now(SPENT, sightings=seen(PROVER, ending=SICK)), [parked(Failure.WORKER_INFRA, "no disk")]),
        (now(PROVING, sightings=seen(PROVER, ending=SICK), worker_infra_max=0),
         [parked(Failure.WORKER_INFRA, "no disk")]),
        (now(PROVING, sightings=seen(PROVER, ending=RED)),
         [back(Failure.INTEGRATION_GATE_RED, "exit 2", decider.decide(Failure.INTEGRATION_GATE_RED, 3),
               detail="the log")]),
        (now(replace(PROVING, tries=4), sightings=seen(PROVER, ending=RED)),
         [back(Failure.INTEGRATION_GATE_RED, "exit 2", decider.decide(Failure.INTEGRATION_GATE_RED, 0),
               detail="the log")]),
    ],
    ids=[
        "nothing", "nothing accepted", "no target branch", "accepted work is proved", "the lower id first",
        "who was accepted first, first", "a proved candidate lands", "one that waits for a checkout lands when it can",
        "a moved target asks for another proof", "also of one that waits", "so does another head",
        "a landing moves the target, so nothing is proved beside it", "one that waits lets the next be proved",
        "a prover that was never started", "one proof at a time", "a proved one lands beside a proof",
        "a landing that a crash cut from its record", "a branch that is gone", "a branch that moved",
        "a prover at work", "a prover past its deadline", "a deadline follows the gate's", "an orphaned prover",
        "a prover that did not sign in yet", "one that never signed in", "a prover that vanished",
        "a second one that vanished", "a proof without a run", "a green gate", "a fault of the machine",
        "a second fault", "a fault without another try", "a red gate", "a red gate without a try",
    ],
)  # fmt: skip
def test_integration(given, plan):
    assert plan_integration(given) == plan


@pytest.mark.parametrize(
    ("refused", "failure", "words"),
    [
        (refusals.moved("agent/a", HEAD, None), Failure.PACKET_INVALID, "its branch agent/a is gone"),
        (refusals.moved("agent/a", HEAD, OTHER), Failure.PACKET_INVALID, f"from {HEAD[:12]} to {OTHER[:12]}"),
        (refusals.lost(HEAD), Failure.PACKET_INVALID, f"its commit {HEAD[:12]} is gone"),
        (refusals.unrelated("agent/a", "main"), Failure.PACKET_INVALID, "agent/a and main have no commit in common"),
        (refusals.empty("main"), Failure.NO_CHANGES, "in main already"),
        (refusals.too_large("git said so"), Failure.WORKER_INFRA, "no room for its candidate: git said so"),
    ],
)
def test_what_cannot_become_a_candidate_parks_its_task_with_a_sentence(refused, failure, words):
    settle = refuse(now(ONE), ONE, refused)

    assert (settle.decision.action, settle.note.failure_class) == (Answer.ESCALATE_PARKED, failure)
    assert words in settle.note.reason and "\n" not in settle.note.reason
    assert refused.passing == (failure is Failure.WORKER_INFRA)


def test_a_branch_that_stands_where_it_was_accepted_is_not_refused():
    assert refusals.moved("agent/a", HEAD, HEAD) is None


def test_a_red_gate_is_answered_while_tries_are_left():
    actions = [decider.decide(Failure.INTEGRATION_GATE_RED, left).action for left in (1, 0)]

    assert actions == [Answer.RETRY, Answer.ESCALATE_PARKED]


def test_a_conflict_goes_back_to_the_worker_with_its_paths():
    paths = tuple(f"src/{letter}" for letter in "abcdefg")
    settle = conflict(now(ONE), ONE, paths)
    plain = back(
        Failure.INTEGRATION_CONFLICT,
        "conflicts in src/a, src/b, src/c, src/d, src/e",
        decider.decide(Failure.INTEGRATION_CONFLICT, 3),
    )

    assert settle == replace(plain, note=replace(plain.note, places=paths))


def test_the_queue():
    late = accepted(1, updated_at=after(1))

    assert sorted([late, accepted(3), accepted(2)], key=queue_order) == [accepted(2), accepted(3), late]


@pytest.mark.parametrize(
    ("of", "target", "current"),
    [
        (PROVED, TARGET, True),
        (PROVED, OTHER, False),
        (PROVED, None, False),
        (replace(PROVED, head_sha=OTHER), TARGET, False),
    ],
)
def test_a_proof_is_about_one_branch_and_one_target(of, target, current):  # FR-040
    assert is_current(of.proof, of, target) is current

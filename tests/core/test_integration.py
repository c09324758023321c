"""From an accepted branch to the target: the chain of candidates, and what each proof's end calls for."""

from __future__ import annotations

import pytest
from tests.core.worlds import (
    CANDIDATE,
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
from gluerun.core.actions import Advance, CallOff, Chain, Notice, ProofDone, ProofRed, Prove, Settle, Stop
from gluerun.core.integration import conflict, plan_integration, refuse
from gluerun.core.queue import AGEING, is_current, queue_of, queue_order
from gluerun.core.recovery import START_GRACE
from gluerun.core.steering import batch_size
from gluerun.records.dispatch import Life, Outcome, Role
from gluerun.records.failure import Answer, Failure, FailureNote
from gluerun.records.rate import Rate
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


def name(number):
    return f"TASK-{number:04d}"


def candidate(number):
    return f"{number:x}" * 40


def prove(number=1, reason="accepted", slot=0, **changes):
    return Prove(task_id=name(number), slot=slot, reason=reason, **changes)


def chain(*numbers, onto=TARGET, reason="accepted", **changes):
    return Chain(task_ids=tuple(map(name, numbers)), onto=onto, reason=reason, **changes)


def advance(*numbers):
    words = "its candidate is proved" if len(numbers) == 1 else f"the candidate of {len(numbers)} changes is proved"
    return Advance(task_id=name(numbers[-1]), links=tuple(map(name, numbers)), reason=words)


def off(number, reason="a change before it is shown to be red", **changes):
    return CallOff(task_id=name(number), reason=reason, **changes)


GONE = "what it was built on is not there any more"


def links(*states, **changes):
    """Accepted tasks whose candidates stand one upon another; those that are proved now have a slot and a run."""
    made = []
    for number, state in enumerate(states, 1):
        more = {"slot": number - 1, "run_id": run_id(90 + number)} if state is ProofState.PROVING else {}
        more |= {"run_id": run_id(90 + number)} if state is ProofState.RED else {}
        base = TARGET if number == 1 else candidate(number - 1)
        made.append(accepted(number, proof=proof(state, target_head=base, candidate=candidate(number), **more)))
    alive = {}
    for one in made:
        if one.proof.state is ProofState.PROVING:
            alive |= seen(one.proof.run_id, Life.ALIVE)
        if one.proof.state is ProofState.RED:
            alive |= seen(one.proof.run_id, ending=RED)
    return now(*made, **{"sightings": alive, **changes})


def names(begin, end):
    return tuple(map(name, range(begin, end)))


BATCH = batch_size(Rate().value, 2)
ADVANCE = advance(1)
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
NO_BRANCH = f"its branch {BRANCH} is gone"
MOVED = f"its branch {BRANCH} moved from {HEAD[:12]} to {OTHER[:12]} after it was accepted"
SPENT = replace(PROVING, infra_tries=1)
ONCE = "once more: its gate was red"


def back_red(reason="exit 2", detail="the log"):
    return back(Failure.INTEGRATION_GATE_RED, reason, decider.decide(Failure.INTEGRATION_GATE_RED, 3), detail=detail)


C, P, G, R = ProofState.CHAINED, ProofState.PROVING, ProofState.PROVED, ProofState.RED
ALONE = proof(alone=True)


@pytest.mark.parametrize(
    ("given", "plan"),
    [
        (now(), []),
        (now(task(1), task(2, Status.BLOCKED)), []),
        (now(ONE, target_head=None), []),
        (now(ONE), [chain(1)]),
        (now(accepted(2), ONE), [chain(1, 2)]),
        (now(replace(ONE, updated_at=after(9)), accepted(2)), [chain(2, 1)]),
        (now(replace(ONE, priority=-1), accepted(2)), [chain(2, 1)]),
        (now(*map(accepted, range(1, 41))), [chain(*range(1, 1 + BATCH), behind=names(1 + BATCH, 41))]),
        (now(ONE, accepted(2, of={"gate_command": "other"}), accepted(3)), [chain(1, behind=names(2, 4))]),
        (now(PROVED), [ADVANCE]),
        (now(WAITS), [ADVANCE]),
        (now(PROVED, target_head=OTHER), [chain(1, onto=OTHER, reason="the target branch moved")]),
        (now(WAITS, target_head=OTHER), [chain(1, onto=OTHER, alone=True)]),
        (now(WAITS, accepted(2), target_head=OTHER), [chain(2, onto=OTHER)]),
        (now(replace(WAITS, proof=replace(WAITS.proof, state=C, alone=True)), accepted(2)), [chain(2)]),
        (now(replace(WAITS, proof=replace(WAITS.proof, state=C, alone=True))), [prove()]),
        (now(accepted(1, proof=proof(branch_head=OTHER))), [chain(1, reason="the target branch moved")]),
        (now(PROVED, accepted(2)), [ADVANCE]),
        (now(WAITS, accepted(2)), [ADVANCE, chain(2)]),
        (now(PROVING, accepted(2)), [prove(1, "again: the prover was never started")]),
        (now(PROVING, accepted(2), sightings=seen(PROVER, Life.ALIVE)), [chain(2, onto=CANDIDATE)]),
        (now(PROVING, accepted(2), sightings=seen(PROVER, Life.ALIVE), target_head=OTHER),
         [off(1, GONE, unchain=True)]),
        (now(PROVED, landed={"TASK-0001": OTHER}, target_head=OTHER, branch_heads={}),
         [Notice(task_id="TASK-0001", commit=OTHER, reason="the target branch holds it already")]),
        (now(ONE, branch_heads={}), [parked(Failure.PACKET_INVALID, NO_BRANCH)]),
        (now(PROVED, branch_heads={ONE.spec.worker_branch: OTHER}),
         [parked(Failure.PACKET_INVALID, MOVED)]),
        (now(PROVING, sightings=seen(PROVER, Life.ALIVE), now=after(DEADLINE - 1)), []),
        (now(PROVING, sightings=seen(PROVER, Life.ALIVE), now=after(DEADLINE)), [STOP]),
        (now(PROVING, accepted(2), sightings=seen(PROVER, Life.ALIVE), now=after(DEADLINE)),
         [STOP, chain(2, onto=CANDIDATE)]),
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
         [ProofRed(task_id="TASK-0001", run_id=PROVER, reason="exit 2")]),
        (links(C), [prove()]),
        (links(C, C), [prove(1), prove(2, "its prefix of 2", 1)]),
        (links(P, C, C), [prove(3, "its prefix of 3", 1)]),
        (links(C, G, C), [advance(1, 2)]),
        (links(R, G), [advance(1, 2)]),
        (links(P, G), [advance(1, 2)]),
        (links(G, R), [advance(1)]),
        (links(C, C, C, R, P), [off(5), prove(1), prove(2, "its prefix of 2", 1)]),
        (links(C, C, C, R), [prove(1), prove(2, "its prefix of 2", 1)]),
        (links(R, C, C), [off(1, "its gate was red", alone=True)]),
        (links(R, C, C, flake_reruns=0), [back_red()]),
        (links(R, flake_reruns=0, sightings={}), [parked(Failure.WORKER_INFRA, "its prover left no answer")]),
        (now(accepted(1, proof=replace(ALONE, state=R)), accepted(2)), [prove(1, ONCE, rerun=True), chain(2)]),
        (now(accepted(1, proof=replace(ALONE, state=R)), target_head=OTHER), [prove(1, ONCE, rerun=True)]),
        (now(accepted(1, proof=replace(ALONE, state=R, reruns=1)), accepted(2)),
         [parked(Failure.WORKER_INFRA, "its prover left no answer"), chain(2)]),
        (now(*(spent := links(C, P, sightings={})).tasks[:1], replace(spent.tasks[1], infra_tries=1),
             sightings=seen(run_id(92), signed_in=True)),
         [ProofRed(task_id="TASK-0002", run_id=run_id(92), reason="the prover vanished")]),
        (now(accepted(1, proof=replace(ALONE, reruns=1))), [ADVANCE]),
        (now(accepted(1, proof=replace(ALONE, reruns=1)), accepted(2, proof=proof(C, candidate=OTHER))),
         [off(1, "green the second time; its turn comes again", unchain=True), prove(2)]),
        (now(accepted(1, proof=replace(ALONE, reruns=1)), target_head=OTHER),
         [chain(1, onto=OTHER, reason="the target branch moved")]),
    ],
    ids=[
        "nothing", "nothing accepted", "no target branch", "accepted work is chained", "the lower id first",
        "who was accepted first, first", "priority before age", "no more than a batch",
        "one gate speaks for a chain", "a proved candidate lands", "one that waits for a checkout lands when it can",
        "a moved target asks for another candidate", "also of one that waits", "which lets others go first",
        "one in the way is not asked while others are", "but is when nobody else comes",
        "so does another head", "a landing moves the target, so nothing is chained beside it",
        "one that waits lets the next be chained", "a prover that was never started",
        "a candidate is built on one that is being proved", "a proof about yesterday's target is called off",
        "a landing that a crash cut from its record", "a branch that is gone", "a branch that moved",
        "a prover at work", "a prover past its deadline", "nobody waits until it is ended",
        "a deadline follows the gate's", "an orphaned prover", "a prover that did not sign in yet",
        "one that never signed in",
        "a prover that vanished", "a second one that vanished", "a proof without a run", "a green gate",
        "a fault of the machine", "a second fault", "a fault without another try", "a red gate",
        "one is proved", "two prefixes at once", "a free slot is filled",
        "the longest green prefix lands", "a longer green beats a shorter red", "also one that still runs",
        "a green before a red", "what is beyond a red is of no use", "a red segment is searched",
        "who is found out leaves the chain", "or goes back at once", "also when its run is forgotten",
        "it is asked once more beside the others", "whatever the target does", "red twice",
        "a fault of several together is searched", "a flake lands",
        "or lines up again", "or is built again",
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
    late, urgent = accepted(1, updated_at=after(1)), accepted(4, priority=1, updated_at=after(2))

    def order(at, *tasks):
        return sorted(tasks, key=lambda one: queue_order(one, at))

    assert order(NOW, late, accepted(3), accepted(2)) == [accepted(2), accepted(3), late]
    assert order(after(3), late, urgent) == [urgent, late]
    assert order(NOW + AGEING, accepted(2), urgent) == [accepted(2), urgent]  # nobody waits for ever


def test_a_chain_begins_at_the_target_and_ends_where_nothing_stands_on_it():
    one, two, three = links(C, C, C).tasks
    moved = replace(two, proof=replace(two.proof, branch_head=OTHER))

    assert queue_of(now(three, two, one)).chain == (one, two, three)
    assert queue_of(now(one, two, three, target_head=candidate(1))).chain == (two, three)
    assert queue_of(now(one, moved, three)).chain == (one,)
    assert queue_of(now(one, moved, three)).stale == (moved, three)
    assert (queue_of(now(one, three)).tip, queue_of(now()).tip) == (candidate(1), None)


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

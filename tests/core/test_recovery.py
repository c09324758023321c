"""What becomes of runs: every life, every ending, every deadline has one answer."""

from __future__ import annotations

import pytest
from tests.core.worlds import (
    BOOT,
    HEAD,
    NOW,
    accepted,
    after,
    ending,
    lease,
    node_lease,
    run_id,
    running,
    seen,
    task,
    world,
)

from gluerun.core import decider
from gluerun.core.actions import Close, MarkOrphan, Settle, Stop, Unlease
from gluerun.core.recovery import START_GRACE, plan_recovery, tries_left
from gluerun.records.dispatch import Life, Outcome
from gluerun.records.failure import Answer, Authority, Decision, Failure, FailureNote
from gluerun.records.record import replace
from gluerun.records.task import Status

TASK = running()
LEASE = lease(TASK)
RUN = run_id(1)
BRANCH = TASK.spec.worker_branch


def now(sightings=None, of=TASK, held=LEASE, others=(), **changes):
    leases = (held, *(lease(one) for one in others if one.status is Status.READY and one.run_id))
    return world(of, *others, **{"leases": leases, "sightings": sightings or {}, **changes})


def unlease(reason):
    return Unlease(task_id="TASK-0001", run_id=RUN, reason=reason)


def stop(reason, task_id="TASK-0001", run=RUN):
    return Stop(run_id=run, task_id=task_id, reason=reason)


ORPHAN = MarkOrphan(run_id=RUN, task_id="TASK-0001", node=None, reason="its wrapper is gone, its tree lives on")
TOO_LONG = "its wrapper has been gone too long"
NOT_OF = "the lease is not of the task's epoch"
SETTLED = "its run was settled already"


@pytest.mark.parametrize(
    ("given", "plan"),
    [
        (now(), []),
        (now(of=task(2)), [unlease(NOT_OF)]),
        (now(seen(RUN), of=replace(TASK, settled_run=RUN)), [unlease(SETTLED)]),
        (now(of=replace(TASK, epoch=2)), [unlease(NOT_OF)]),
        (now(of=replace(TASK, run_id=run_id(5))), [unlease(NOT_OF)]),
        (now(of=accepted()), [unlease(SETTLED)]),
        (now(of=replace(TASK, status=Status.BLOCKED)), [unlease(SETTLED)]),
        (now(seen(RUN, Life.ALIVE)), []),
        (now(seen(RUN, Life.ALIVE), now=after(3599)), []),
        (now(seen(RUN, Life.ALIVE), now=after(3600)), [stop("past its deadline")]),
        (now(seen(RUN, Life.ORPHANED)), [ORPHAN]),
        (now(seen(RUN, Life.ORPHANED), held=replace(LEASE, orphaned_since=NOW), now=after(59)), []),
        (now(seen(RUN, Life.ORPHANED), held=replace(LEASE, orphaned_since=NOW), now=after(60)), [stop(TOO_LONG)]),
        (now(seen(RUN, Life.ORPHANED), held=replace(LEASE, orphaned_since=NOW), now=after(9), orphan_grace=9),
         [stop(TOO_LONG)]),
        (now(seen(RUN, Life.ORPHANED), held=replace(LEASE, orphaned_since=NOW, expires_at=after(5)), now=after(5)),
         [stop(TOO_LONG)]),
        (now(seen(RUN, Life.ORPHANED), now=after(3600)), [ORPHAN]),
        (now(seen(RUN), now=NOW + START_GRACE / 2), []),
        (now(seen(RUN, was_asked=False)), [unlease("its run was never started")]),
    ],
    ids=[
        "never looked at", "its task is gone", "taken in already", "another epoch", "another run", "accepted already",
        "parked already",
        "at work", "at work until its deadline", "past its deadline", "an orphan is remembered first",
        "an orphan within its grace", "an orphan past its grace", "another grace", "an orphan past its deadline",
        "a late orphan is remembered first too", "not signed in yet", "never asked",
    ],
)  # fmt: skip
def test_lives(given, plan):
    assert plan_recovery(given) == plan


def note(failure, reason, at=NOW, **changes):
    return FailureNote(failure_class=failure, reason=reason, at=at, run_id=RUN, **changes)


def vanished(reason, left, tries=1, at=NOW):
    decision = decider.decide(Failure.STALE_LEASE, left)
    return Settle(
        task_id="TASK-0001",
        run_id=RUN,
        decision=decision,
        note=note(Failure.STALE_LEASE, reason, at=at),
        tries=tries,
        reason=f"{reason}: {decision.action}",
    )


GONE = "the worker vanished"
REBOOT = "the machine was restarted under the worker"
DEAD = seen(RUN, signed_in=True)


@pytest.mark.parametrize(
    ("given", "settle"),
    [
        (now(DEAD), vanished(GONE, 3)),
        (now(seen(RUN), now=NOW + START_GRACE), vanished(GONE, 3, at=NOW + START_GRACE)),
        (now(seen(RUN, signed_in=True, tries=3)), vanished(GONE, 1, 3)),
        (now(seen(RUN, signed_in=True, tries=4)), vanished(GONE, 0, 4)),
        (now(DEAD, of=replace(TASK, tries=3)), vanished(GONE, 0)),
        (now(DEAD, max_retries=0), vanished(GONE, 0)),
        (now(DEAD, boot_id="another boot"), vanished(REBOOT, 3)),
        (now(seen(RUN, signed_in=True, ending=ending(TASK, epoch=7))), vanished(GONE, 3)),
    ],
    ids=[
        "once", "never signed in", "after three tries", "after all tries of a run", "after all tries of its runs",
        "without retries", "by a restart", "with an ending of another epoch",
    ],
)  # fmt: skip
def test_a_vanished_worker_is_counted_and_tried_again_while_tries_are_left(given, settle):
    assert plan_recovery(given) == [settle]


def test_the_last_vanishing_parks():
    [settle] = plan_recovery(now(DEAD, of=replace(TASK, tries=3)))

    assert settle.decision.action is Answer.ESCALATE_PARKED


DONE = ending(TASK, Outcome.ACCEPTED, head_sha=HEAD)


def failed(failure=Failure.GATE_RED, answer=Answer.ESCALATE_PARKED, **changes):
    given = {"failure": failure, "answer": answer, "reason": "so it went", "authority": Authority.POLICY, **changes}
    return ending(TASK, **given)


def settles(end, decision, failure=Failure.GATE_RED, reason="so it went", *, seed=False):
    return Settle(
        task_id="TASK-0001",
        run_id=RUN,
        decision=decision,
        note=note(
            failure, reason, head_sha=end.head_sha, diff_sha256=end.diff_sha256, places=end.paths, detail=end.detail
        ),
        tries=end.tries,
        reason=" ".join([f"{failure}: {decision.action}", *decision.paths]),
        seed=seed,
    )


def says(action, why, failure=Failure.GATE_RED, authority=Authority.POLICY, paths=()):
    return Decision(failure_class=failure, action=action, rationale=why, authority=authority, paths=paths)


def settled_case(end, decision, failure=Failure.GATE_RED, reason="so it went", *, seed=False, **changes):
    return now(seen(RUN, ending=end), **changes), settles(end, decision, failure, reason, seed=seed)


SCOPE = Failure.SCOPE_VIOLATION
WIDEN = failed(SCOPE, Answer.AMEND_SCOPE, paths=("lib/x", "Makefile"), head_sha=HEAD)
WIDENED = says(
    Answer.AMEND_SCOPE, "the plan was too narrow; nobody else holds these paths", SCOPE, paths=("lib/x", "Makefile")
)
MOVED = f"{BRANCH} is at nothing, the packet says {HEAD}"


def stays(why, action=Answer.FORK, authority=Authority.POLICY):
    return says(action, f"the scope stays as it is: {why}", SCOPE, authority)


@pytest.mark.parametrize(
    ("given", "settle"),
    [
        settled_case(failed(), says(Answer.ESCALATE_PARKED, "so it went")),
        settled_case(failed(reason=""), says(Answer.ESCALATE_PARKED, "gate-red"), reason=""),
        settled_case(failed(answer=Answer.CANCEL, authority=Authority.DECIDER, detail="no longer needed\nlog"),
                     says(Answer.CANCEL, "no longer needed", authority=Authority.DECIDER)),
        settled_case(failed(answer=Answer.CANCEL, authority=None), says(Answer.CANCEL, "so it went")),
        settled_case(failed(answer=None), decider.decide(Failure.GATE_RED, 3)),
        settled_case(failed(answer=None, tries=4), decider.decide(Failure.GATE_RED, 0)),
        settled_case(failed(Failure.AUDIT_BLOCKED, None),
                     decider.park(Failure.AUDIT_BLOCKED, "no model was asked"), Failure.AUDIT_BLOCKED),
        settled_case(failed(Failure.AUDIT_BLOCKED, Answer.ASK_MODEL),
                     decider.park(Failure.AUDIT_BLOCKED, "no model was asked"), Failure.AUDIT_BLOCKED),
        settled_case(failed(None, None), decider.decide(Failure.WORKER_INFRA, 3), Failure.WORKER_INFRA),
        settled_case(DONE, decider.decide(Failure.PACKET_INVALID, 3), Failure.PACKET_INVALID, MOVED),
        settled_case(WIDEN, WIDENED, SCOPE, seed=True),
        settled_case(WIDEN, WIDENED, SCOPE, seed=True, others=(running(2, of={"owned_files": ("lib/y",)}),)),
        settled_case(WIDEN, WIDENED, SCOPE, seed=True, others=(task(2, of={"owned_files": ("lib",)}),)),
        settled_case(WIDEN, stays("lib/x is held by another active task"), SCOPE,
                     others=(running(2, of={"owned_files": ("lib",)}),)),
        settled_case(WIDEN, stays("Makefile is held by another active task"), SCOPE,
                     others=(accepted(2, of={"owned_files": ("Makefile",)}),)),
        settled_case(WIDEN, stays("lib/x is forbidden to this task"), SCOPE,
                     of=replace(TASK, spec=replace(TASK.spec, forbidden_files=("lib",)))),
        settled_case(WIDEN, stays("Makefile was added once already"), SCOPE,
                     of=replace(TASK, amended_files=("Makefile",))),
        settled_case(replace(WIDEN, paths=("docs/orchestration/x",)),
                     stays("docs/orchestration/x belongs to the engine"), SCOPE),
        settled_case(replace(WIDEN, paths=(".gluerun-state/x",), tries=4),
                     stays(".gluerun-state/x belongs to the engine", Answer.ESCALATE_PARKED, Authority.L1), SCOPE),
        settled_case(replace(WIDEN, paths=()), stays(""), SCOPE),
    ],
    ids=[
        "the run's own answer", "without a word", "a model's answer", "an answer of nobody", "no answer",
        "no answer and no try", "a judgement without a model", "a question that stayed open",
        "a failure without a name",
        "accepted at another head", "a wider scope", "a wider scope beside others", "beside one that only waits",
        "what another run holds", "what accepted work holds", "what is forbidden", "what was added before",
        "what is the engine's", "what is the engine's and no try", "a wider scope without a path",
    ],
)  # fmt: skip
def test_failed_endings(given, settle):
    assert plan_recovery(given)[:1] == [settle]


def test_an_accepted_run_is_closed_only_at_the_head_of_its_branch():
    close = Close(task_id="TASK-0001", run_id=RUN, ending=DONE, reason="the run was accepted")

    assert plan_recovery(now(seen(RUN, ending=DONE), branch_heads={BRANCH: HEAD})) == [close]


NODE_RUN = run_id(77)


@pytest.mark.parametrize(
    ("sightings", "seconds", "plan"),
    [
        ({}, 0, []),
        (seen(NODE_RUN, Life.ALIVE), 0, []),
        (seen(NODE_RUN, Life.DEAD), 9999, []),
        (seen(NODE_RUN, Life.ALIVE, ending=ending(TASK)), 9999, []),
        (seen(NODE_RUN, Life.ALIVE), 1800, [stop("past its deadline", None, NODE_RUN)]),
        (seen(NODE_RUN, Life.ORPHANED), 0, [stop("the planner of api has lost its wrapper", None, NODE_RUN)]),
    ],
)
def test_planners_lives(sightings, seconds, plan):
    assert plan_recovery(world(node_leases=(node_lease("api"),), sightings=sightings, now=after(seconds))) == plan


@pytest.mark.parametrize(
    ("retries", "tries", "spent", "left"), [(3, 0, 0, 4), (3, 1, 1, 2), (0, 0, 1, 0), (1, 4, 0, -2)]
)
def test_tries_left(retries, tries, spent, left):
    assert tries_left(world(max_retries=retries), task(tries=tries), spent) == left


def test_the_leases_machine_is_the_one_of_the_table():
    assert LEASE.boot_id == BOOT == world().boot_id

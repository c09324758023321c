"""The decision table: whole, never a try more than there is, and no waiver of a rule."""

from __future__ import annotations

import itertools

import pytest

from gluerun.core.decider import NEVER_WAIVED, PARKS, RETRIES, TABLE, decide, judged, park
from gluerun.core.lifecycle import TRIGGER_OF
from gluerun.records.failure import Answer, Authority, Decision, Failure

ASK, PARK, RETRY, AMEND = Answer.ASK_MODEL, Answer.ESCALATE_PARKED, Answer.RETRY, Answer.AMEND_SCOPE


def test_every_failure_has_exactly_one_row():
    assert sorted(row.failure for row in TABLE) == sorted(Failure)


def test_every_row_says_why():
    assert [row for row in TABLE if not row.why] == []


def test_every_answer_leads_somewhere():
    assert sorted(TRIGGER_OF) == sorted(Answer)


def test_no_answer_is_a_retry_and_a_park():
    assert frozenset() == RETRIES & PARKS


def test_nothing_is_tried_again_without_a_try():
    cases = itertools.product(Failure, [None, *Failure], [True, False], [0, -1])
    answers = {decide(failure, left, previous=before, fast=fast).action for failure, before, fast, left in cases}

    assert answers == {ASK, PARK}


@pytest.mark.parametrize(
    ("failure", "first", "again", "slow", "spent"),
    [
        (Failure.GATE_RED, RETRY, ASK, ASK, PARK),
        (Failure.WORKER_NO_PACKET, RETRY, ASK, ASK, PARK),
        (Failure.PACKET_INVALID, RETRY, ASK, ASK, PARK),
        (Failure.NO_CHANGES, RETRY, ASK, ASK, PARK),
        (Failure.COMMIT_FAILED, RETRY, ASK, ASK, PARK),
        (Failure.SCOPE_VIOLATION, AMEND, AMEND, AMEND, PARK),
        (Failure.WORKER_INFRA, PARK, PARK, PARK, PARK),
        (Failure.AUDIT_INFRA, PARK, PARK, PARK, PARK),
        (Failure.AUDIT_NEEDS_FIX, RETRY, ASK, ASK, ASK),
        (Failure.AUDIT_BLOCKED, ASK, ASK, ASK, ASK),
        (Failure.AUDIT_NEEDS_HUMAN, ASK, ASK, ASK, ASK),
        (Failure.AUDIT_UNKNOWN, ASK, ASK, ASK, ASK),
        (Failure.SECRET_DETECTED, ASK, ASK, ASK, ASK),
        (Failure.PROOF_SKIP_DETECTED, ASK, ASK, ASK, ASK),
        (Failure.STALE_LEASE, RETRY, RETRY, RETRY, PARK),
        (Failure.INTEGRATION_CONFLICT, RETRY, RETRY, RETRY, PARK),
        (Failure.INTEGRATION_GATE_RED, RETRY, RETRY, RETRY, PARK),
    ],
    ids=str,
)
def test_the_answer_to_each_failure(failure, first, again, slow, spent):
    other = Failure.GATE_RED if failure is not Failure.GATE_RED else Failure.NO_CHANGES
    answers = [
        decide(failure, 1),
        decide(failure, 1, previous=failure),
        decide(failure, 1, fast=False),
        decide(failure, 0),
        decide(failure, 3, previous=other),
    ]

    assert [answer.action for answer in answers] == [first, again, slow, spent, first]
    assert {(answer.failure_class, answer.authority) for answer in answers} == {(failure, Authority.POLICY)}


def claimed(failure: Failure, action: Answer) -> Decision:
    return Decision(failure_class=failure, action=action, rationale="so I say", authority=Authority.DECIDER)


@pytest.mark.parametrize("failure", sorted(NEVER_WAIVED))
def test_a_rule_is_never_waived(failure):
    assert judged(claimed(failure, Answer.ACCEPT_WAIVER), 3) == park(failure, f"a waiver of {failure} is refused")


@pytest.mark.parametrize("failure", sorted(set(Failure) - NEVER_WAIVED))
def test_a_judgement_may_be_waived(failure):
    assert failure.startswith("audit-")
    assert judged(claimed(failure, Answer.ACCEPT_WAIVER), 0) == claimed(failure, Answer.ACCEPT_WAIVER)


@pytest.mark.parametrize("action", sorted(set(Answer) - {Answer.ACCEPT_WAIVER}))
def test_a_model_gives_no_try_that_is_not_left(action):
    mine = claimed(Failure.AUDIT_BLOCKED, action)
    tries_again = action in RETRIES | {AMEND, Answer.RELEASE}
    parked = park(Failure.AUDIT_BLOCKED, "no tries are left (so I say)")

    assert [judged(mine, 1), judged(mine, 0)] == [mine, parked if tries_again else mine]


def test_parking_is_the_decision_of_the_loop():
    assert park(Failure.GATE_RED, "enough") == Decision(
        failure_class=Failure.GATE_RED, action=PARK, rationale="enough", authority=Authority.L1
    )

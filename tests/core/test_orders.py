"""Orders: every verb meets every state of a task, and leads twice to the same end."""

from __future__ import annotations

import itertools

import pytest
from tests.core.worlds import (
    HEAD,
    NOW,
    accepted,
    after,
    ending,
    file_of,
    lease,
    proof,
    run_id,
    running,
    seen,
    spec,
    task,
    task_id,
    world,
)

from gluerun.core.actions import PLANNING, subject
from gluerun.core.expect import expect
from gluerun.core.frontier import frontier
from gluerun.core.intake import plan_orders
from gluerun.core.orders import RULES, obeyed, refusal
from gluerun.core.plan import plan_cycle
from gluerun.core.world import Input
from gluerun.records.dispatch import Life, Outcome
from gluerun.records.failure import Failure, FailureNote
from gluerun.records.fault import Fault
from gluerun.records.order import Order, OrderOutcome, OrderVerb
from gluerun.records.origin import Circuit, PlannerBackoff, ProviderBackoff
from gluerun.records.record import replace
from gluerun.records.task import Status

ONE, TWO, THREE = task_id(1), task_id(2), task_id(3)
FAILED = FailureNote(failure_class=Failure.GATE_RED, reason="it is red", at=NOW)


def order(verb, about="", arguments=None, number=1, **changes):
    plain = Order(
        id=f"ORD-20260131T120000Z-{number:08x}",
        verb=verb,
        by="me@here",
        at=NOW,
        subject=about,
        arguments=arguments or {},
    )
    return replace(plain, **changes)


def held(provider="anthropic"):
    return ProviderBackoff(
        provider=provider, fault=Fault.OVERLOAD, reason="busy", run_id=run_id(1), started_at=NOW, until=after(600)
    )


PLANNER = PlannerBackoff(
    failure_class="planner", run_id=run_id(2), node="api", log_ref="", started_at=NOW, until=after(60)
)


# --- one task --------------------------------------------------------------------------------------------

AT_WORK = running()
STATES = {
    "ready": world(task()),
    "failed": world(task(tries=1, last_failure=FAILED)),
    "running": world(AT_WORK, leases=(lease(AT_WORK),), sightings=seen(run_id(1), Life.ALIVE, tries=1, signed_in=True)),
    "accepted": world(accepted()),
    "landed": world(accepted(proof=proof()), landed={ONE: HEAD}),
    "parked": world(task(status=Status.BLOCKED, tries=1, last_failure=FAILED)),
    "spent": world(task(status=Status.BLOCKED, tries=4, last_failure=FAILED)),
    "integrated": world(done={ONE: Status.INTEGRATED}),
    "cancelled": world(done={ONE: Status.CANCELLED}),
    "superseded": world(done={ONE: Status.SUPERSEDED}),
    "unknown": world(),
}
# What becomes of the task; `no` is exit 2, `stays` exit 3.
# fmt: off
TABLE = {
    #                         ready      failed     running    accepted  landed  parked     spent      settled  unknown
    OrderVerb.PARK:         "blocked    blocked    blocked    blocked    stays   stays      stays      stays    no",
    OrderVerb.UNPARK:       "no         no         no         no         stays   ready      no         stays    no",
    OrderVerb.RETRY:        "no         ready      no         no         stays   ready      ready      stays    no",
    OrderVerb.CANCEL:       "cancelled  cancelled  cancelled  cancelled  stays   cancelled  cancelled  stays    no",
    OrderVerb.SUPERSEDE:    "superseded superseded superseded superseded stays   superseded superseded stays    no",
    # Whether a request for approval is there, and in which state, has its own table in test_approvals.py.
    OrderVerb.APPROVE:      "no         no         no         no         stays   no         no         stays    no",
    OrderVerb.REJECT:       "no         no         no         no         stays   no         no         stays    no",
    OrderVerb.RENEW:        "no         no         no         no         stays   no         no         stays    no",
    OrderVerb.REPRIORITIZE: "ready      ready      ready      no         stays   blocked    blocked    stays    no",
}
# fmt: on
COLUMNS = ("ready", "failed", "running", "accepted", "landed", "parked", "spent", "settled", "unknown")
SETTLED = ("integrated", "cancelled", "superseded")
CELLS = [
    (verb, state, word)
    for verb, row in TABLE.items()
    for column, word in zip(COLUMNS, row.split(), strict=True)
    for state in (SETTLED if column == "settled" else (column,))
]


def given(verb, state, arguments=None, **changes):
    """An order as it is given in a state."""
    now = STATES[state].task(ONE)
    bound = {"epoch": now.epoch, "status": now.status} if now else {}
    words = {"priority": 7} if verb is OrderVerb.REPRIORITIZE else arguments
    return order(verb, ONE, words, **{**bound, "reason": "because", **changes})


def test_every_verb_about_a_task_meets_every_state():
    about = {OrderVerb(word) for word, rule in RULES.items() if rule.about_task}

    assert {(verb, state) for verb, state, _ in CELLS} == set(itertools.product(about, STATES))
    assert set(RULES) == set(OrderVerb)


@pytest.mark.parametrize(("verb", "state", "word"), CELLS, ids=str)
def test_every_verb_in_every_state(verb, state, word):
    before, one = STATES[state], given(verb, state)

    refused = refusal(before, one)
    action = obeyed(before, one)
    left = expect(replace(before, orders=(one,)), action)

    assert action.order.decided_at == NOW
    assert left.orders == ()
    if word in ("no", "stays"):
        assert (refused.is_decided, action.event, action.order.outcome) == (
            word == "stays", "order.refused", OrderOutcome.REFUSED,
        )  # fmt: skip
        assert refused.why == action.reason == action.order.answer
        assert replace(left, orders=before.orders) == before
    else:
        assert (refused, action.order.outcome) == (None, OrderOutcome.APPLIED)
        assert left.status_of(ONE) is Status(word)
        assert (left.lease(ONE) is None) is (state != "running" or action.ends_runs)
        assert action.event == RULES[verb].event


@pytest.mark.parametrize(("verb", "state", "word"), CELLS, ids=str)
def test_what_was_decided_is_never_decided_again(verb, state, word):
    before = STATES[state]
    first = obeyed(before, given(verb, state))

    # The machine stops anywhere between the decision and the order's end: nothing is done yet, or all of it.
    for found in (before, expect(before, first)):
        again = obeyed(replace(found, now=after(60)), first.order)
        left = expect(found, again)

        assert again.is_repeated
        assert (again.order, again.event, again.reason) == (first.order, first.event, first.reason)
        assert left.status_of(ONE) == expect(before, first).status_of(ONE)
        assert (left.task(ONE) or task()).tries == (expect(before, first).task(ONE) or task()).tries


@pytest.mark.parametrize("verb", [verb for verb in TABLE if RULES[verb].binds])
def test_an_order_for_what_has_moved_on_is_refused_and_never_applied_to_something_else(verb):
    stale = given(verb, "parked", epoch=1)

    why = refusal(world(task(status=Status.BLOCKED, epoch=2, tries=1, last_failure=FAILED)), stale)

    assert why.why.startswith(f"{ONE} has moved on since: it was blocked under epoch 1")


def test_the_nearest_known_id_is_named():
    assert refusal(world(task(1)), order(OrderVerb.PARK, "TASK-001")).hint == "did you mean TASK-0001?"


def test_a_task_that_was_written_but_not_taken_in_is_told_from_one_that_nobody_knows():
    new = Input(path="t.md", mark="1:2:3", task_id=ONE, file=file_of(spec()))

    assert refusal(world(inputs=(new,)), order(OrderVerb.PARK, ONE)).why == f"{ONE} is not taken in yet"


def test_an_order_of_a_newer_engine_is_refused_by_name():
    assert refusal(world(), order("dance")).why == "this engine knows no order 'dance'"


def test_a_try_that_a_person_breaks_off_does_not_count():
    busy = replace(STATES["running"], sightings=seen(run_id(1), Life.ALIVE, tries=3, signed_in=True))

    assert obeyed(busy, given(OrderVerb.PARK, "running")).tasks[0].tries == 2


def test_a_try_that_ended_by_itself_counts():
    over = seen(run_id(1), ending=ending(AT_WORK, Outcome.FAILED, tries=2), tries=2)

    assert obeyed(replace(STATES["running"], sightings=over), given(OrderVerb.PARK, "running")).tasks[0].tries == 2


def test_accepted_work_that_is_parked_is_where_the_next_try_begins():
    (parked,) = obeyed(STATES["accepted"], given(OrderVerb.PARK, "accepted")).tasks

    assert (parked.seed_sha, parked.head_sha, parked.proof) == (HEAD, None, None)


def test_a_transient_fault_need_not_kill_a_task_for_good():  # A30
    spent = STATES["spent"]

    assert "out of tries" in refusal(spent, given(OrderVerb.UNPARK, "spent")).why
    assert obeyed(spent, given(OrderVerb.UNPARK, "spent", {"fresh": True})).tasks[0].tries == 0
    assert obeyed(spent, given(OrderVerb.RETRY, "spent")).tasks[0].tries == 3


def test_unpark_keeps_the_tries_that_are_spent():
    assert obeyed(STATES["parked"], given(OrderVerb.UNPARK, "parked")).tasks[0].tries == 1


def test_the_reason_is_kept_for_the_next_try():
    (ready,) = obeyed(STATES["parked"], given(OrderVerb.RETRY, "parked", reason="Use the old API.")).tasks

    assert (ready.ordered.reason, ready.ordered.verb, ready.ordered.by) == ("Use the old API.", "retry", "me@here")


# --- supersede -------------------------------------------------------------------------------------------


def test_who_waits_for_a_superseded_task_waits_for_its_successor():
    before = world(task(1), task(2, of={"depends_on": (ONE,)}), task(3))

    after_it = expect(before, obeyed(before, order(OrderVerb.SUPERSEDE, ONE, {"by": THREE})))

    assert after_it.task(TWO).spec.depends_on == (THREE,)
    assert after_it.status_of(ONE) is Status.SUPERSEDED


def test_without_a_successor_those_that_wait_are_named():
    said = obeyed(world(task(1), task(2, of={"depends_on": (ONE,)})), order(OrderVerb.SUPERSEDE, ONE)).reason

    assert said.endswith(f"still waiting for it, without end: {TWO}")


@pytest.mark.parametrize(
    ("by", "why"),
    [
        (ONE, "TASK-0001 cannot take its own place"),
        (TWO, "TASK-0002 itself depends on TASK-0001"),
        (THREE, "TASK-0003 depends on TASK-0002, which depends on TASK-0001: it would be a circle"),
        ("TASK-0004", "TASK-0004 is cancelled: nothing can wait for it"),
        ("TASK-0009", "there is no task 'TASK-0009'"),
    ],
)
def test_not_everybody_can_succeed(by, why):
    before = world(
        task(1), task(2, of={"depends_on": (ONE,)}), task(3, of={"depends_on": (TWO,)}),
        done={"TASK-0004": Status.CANCELLED},
    )  # fmt: skip

    refused = refusal(before, order(OrderVerb.SUPERSEDE, ONE, {"by": by}))

    assert (refused.why, refused.is_decided) == (why, False)


# --- the loop as a whole ---------------------------------------------------------------------------------


def test_stop_and_resume():
    stopped = expect(world(), obeyed(world(), order(OrderVerb.STOP)))

    assert stopped.stop
    assert not expect(stopped, obeyed(stopped, order(OrderVerb.RESUME))).stop


def test_resume_leaves_an_open_breaker_open_and_says_so():
    open_now = world(stop=True, circuit=Circuit(consec_fails=5, updated_at=NOW))
    action = obeyed(open_now, order(OrderVerb.RESUME))

    assert expect(open_now, action).circuit == open_now.circuit
    assert "`gluerun breaker reset`" in action.reason


def test_only_reset_resets_the_breaker():  # C25
    open_now = world(task(), task(2, Status.BLOCKED), circuit=Circuit(consec_fails=5, updated_at=NOW),
                     backoffs={"anthropic": held()})  # fmt: skip
    words = {OrderVerb.REPRIORITIZE: {"priority": 1}}
    left = {
        verb: expect(open_now, obeyed(open_now, order(verb, TWO if verb is OrderVerb.UNPARK else ONE, words.get(verb))))
        for verb in OrderVerb
    }

    assert [verb for verb in OrderVerb if left[verb].circuit != open_now.circuit] == [OrderVerb.BREAKER_RESET]


@pytest.mark.parametrize(
    ("about", "arguments", "cleared"),
    [
        ("anthropic", {}, ("anthropic",)),
        (PLANNING, {}, (PLANNING,)),
        ("", {"all": True}, ("anthropic", "openai", PLANNING)),
    ],
)
def test_a_backoff_is_cleared_by_name_or_with_all_others(about, arguments, cleared):
    before = world(backoffs={one: held(one) for one in ("anthropic", "openai")}, backoff=PLANNER)

    action = obeyed(before, order(OrderVerb.CLEAR_BACKOFF, about, arguments))
    left = expect(before, action)

    assert action.backoffs == cleared
    assert {*left.backoffs, *([PLANNING] if left.backoff else [])} == {"anthropic", "openai", PLANNING} - {*cleared}


@pytest.mark.parametrize(
    ("backoffs", "about", "why"),
    [
        ((), "", "nobody is held back"),
        (("anthropic",), "antropic", "'antropic' is not held back"),
        (("anthropic", "openai"), "", "several are held back: anthropic, openai"),
    ],
)
def test_a_backoff_that_is_not_there_or_not_named(backoffs, about, why):
    before = world(backoffs={one: held(one) for one in backoffs})

    assert refusal(before, order(OrderVerb.CLEAR_BACKOFF, about)).why == why


# --- in a cycle ------------------------------------------------------------------------------------------


def test_orders_are_judged_one_after_the_other_by_what_the_one_before_left():
    first = given(OrderVerb.PARK, "ready", number=1)
    second = order(OrderVerb.PARK, ONE, number=2)
    before = world(task(), orders=(first, second), stop=True)

    outcomes = [action.order.outcome for action in plan_cycle(before) if subject(action) == ONE]

    assert outcomes == [OrderOutcome.APPLIED, OrderOutcome.REFUSED]
    assert len(plan_orders(before)) == 1


def test_who_has_a_higher_priority_is_started_first():
    before = world(task(1), task(2, of={"priority": 1}), task(3))
    urgent = expect(before, obeyed(before, order(OrderVerb.REPRIORITIZE, THREE, {"priority": 2})))

    assert [one.task_id for one in frontier(before, 3)[0]] == [TWO, ONE, THREE]
    assert [one.task_id for one in frontier(urgent, 3)[0]] == [THREE, TWO, ONE]
    assert [one.task_id for one in frontier(urgent, 1)[0]] == [THREE]

"""What a fault of an agent program leads to, for how long its provider is held back, and what may still be spent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.core.worlds import CONFIG, NOW, after, run_id, task, world

from gluerun.core import backoff, consequences, limits
from gluerun.core.asking import must_ask
from gluerun.core.consequences import Consequence
from gluerun.core.costs import CostLine, costs
from gluerun.core.due import next_due
from gluerun.core.frontier import frontier
from gluerun.core.launch import plan_launch
from gluerun.core.outlook import outlook
from gluerun.core.steps import AgentDone
from gluerun.records.child import How
from gluerun.records.dispatch import Held, Role, Usage
from gluerun.records.fault import Fault, Limit
from gluerun.records.origin import ProviderBackoff
from gluerun.records.pause import OnLimit, Span
from gluerun.records.record import replace
from gluerun.records.runner import Limits, RunnerSpec
from gluerun.records.spending import Expense, Spending
from gluerun.records.spent import Spent

AGENTS = replace(
    CONFIG,
    roles={"worker": "claude", "auditor": "codex", "planner": "codex"},
    runners={
        "claude": RunnerSpec(name="claude", provider="anthropic"),
        "codex": RunnerSpec(name="codex", provider="openai"),
    },
    sha256="1" * 64,
)


def note(provider="anthropic", until=900.0, **changes):
    plain = ProviderBackoff(
        provider=provider,
        fault=Fault.USAGE_LIMIT,
        reason="the account's limit is reached",
        run_id=run_id(1),
        started_at=NOW,
        until=after(until),
        config_sha256="1" * 64,
    )
    return replace(plain, **changes)


def held(fault=Fault.USAGE_LIMIT, until=None, provider="anthropic"):
    return Held(provider=provider, fault=fault, reason="no", role=Role.WORKER, until=until)


def test_every_fault_has_exactly_one_row():
    assert sorted(row.fault for row in consequences.TABLE) == sorted(Fault)


def test_a_row_holds_for_some_time_if_and_only_if_it_holds():
    for row in consequences.TABLE:
        assert (row.consequence is Consequence.HOLD) == (0 < row.first <= row.longest)


def test_trouble_that_nobody_classed_is_tried_again():
    assert consequences.consequence(None) is Consequence.AGAIN


@pytest.mark.parametrize(
    ("fault", "told", "times", "seconds"),
    [
        (Fault.USAGE_LIMIT, None, 1, 900),
        (Fault.USAGE_LIMIT, None, 2, 1800),
        (Fault.USAGE_LIMIT, None, 40, 7200),
        (Fault.OVERLOAD, None, 1, 60),
        (Fault.OVERLOAD, None, 3, 240),
        (Fault.OVERLOAD, 7.0, 3, 7),
        (Fault.USAGE_LIMIT, 18_000.0, 1, 18_000),
        (Fault.USAGE_LIMIT, -50.0, 1, 1),
        (Fault.USAGE_LIMIT, 1e8, 1, 7 * 86_400),
    ],
)
def test_a_provider_is_held_back_as_long_as_it_says_or_longer_each_time(fault, told, times, seconds):
    moment = after(told) if told is not None else None
    assert consequences.back_until(fault, moment, times, NOW) == after(seconds)


def test_one_back_off_after_another_is_longer_and_one_much_later_is_not():
    first = backoff.begun(held(), None, run_id(1), NOW, AGENTS)
    soon = backoff.begun(held(), first, run_id(2), first.until, AGENTS)
    late = backoff.begun(held(), first, run_id(2), first.until + timedelta(hours=2), AGENTS)
    assert (first.times, first.until) == (1, after(900))
    assert (soon.times, soon.until) == (2, after(900 + 1800))
    assert (late.times, late.until - late.started_at) == (1, timedelta(seconds=900))


def test_five_workers_that_hit_the_same_wall_are_one_back_off():
    first = backoff.begun(held(), None, run_id(1), NOW, AGENTS)
    assert backoff.begun(held(), first, run_id(2), after(3), AGENTS) == first
    told_later = backoff.begun(held(until=after(5000)), first, run_id(3), after(4), AGENTS)
    assert told_later.until == after(5000)


def test_a_back_off_of_another_kind_starts_counting_anew_and_never_shortens_one():
    first = backoff.begun(held(Fault.OVERLOAD), None, run_id(1), NOW, AGENTS)
    longer = backoff.begun(held(), first, run_id(2), after(3), AGENTS)
    assert (longer.fault, longer.times, longer.until) == (Fault.USAGE_LIMIT, 1, after(903))
    assert backoff.begun(held(Fault.OVERLOAD), longer, run_id(3), after(4), AGENTS) == longer


def test_many_who_are_told_different_moments_are_one_back_off_until_the_last_of_them():
    first = backoff.begun(held(until=after(100)), None, run_id(1), NOW, AGENTS)
    later = backoff.begun(held(until=after(130)), first, run_id(2), after(5), AGENTS)
    assert (later.times, later.until) == (1, after(130))
    assert backoff.begun(held(until=after(120)), later, run_id(3), after(6), AGENTS) == later


def test_a_run_that_is_taken_in_once_more_after_a_crash_begins_no_second_back_off():
    first = backoff.begun(held(until=after(30 * 86_400)), None, run_id(1), NOW, AGENTS)
    for moment in (NOW, first.until + timedelta(seconds=1)):
        assert backoff.begun(held(until=after(30 * 86_400)), first, run_id(1), moment, AGENTS) == first


def test_a_bad_key_that_is_still_bad_under_another_configuration_is_held_back_again():
    first = backoff.begun(held(Fault.BAD_KEY), None, run_id(1), NOW, AGENTS)
    edited = replace(AGENTS, sha256="2" * 64)
    again = backoff.begun(held(Fault.BAD_KEY), first, run_id(2), after(60), edited)
    assert backoff.holds(world(config=edited, now=after(61)), again)
    assert again.times == 1


@pytest.mark.parametrize(
    ("changes", "is_over"),
    [
        ({"started_at": after(900)}, True),
        ({"started_at": after(899)}, False),
        ({"ended_at": None}, False),
        ({"fault": Fault.OVERLOAD}, False),
    ],
)
def test_a_provider_that_has_answered_after_its_back_off_starts_counting_anew(changes, is_over):
    plain = replace(expense(), started_at=after(1000), ended_at=after(1030))
    assert backoff.ended_by(replace(plain, **changes), note()) is is_over


@pytest.mark.parametrize(
    ("data", "spent"),
    [
        (None, Spent()),
        (b"", Spent()),
        (b"00000000000001500000 00000000000000000700 00000000000000000009\n", Spent(usd=1.5, tokens=700, turns=9)),
        (b"all is well", Spent(usd=(10**20 - 1) / 1e6, tokens=10**20 - 1, turns=10**20 - 1)),
    ],
)
def test_what_the_counter_of_a_day_shows(data, spent):
    assert limits.metered(data) == spent


def test_what_two_counters_know_of_one_day_is_the_larger_of_each():
    one, two = Spent(usd=1.0, tokens=9, turns=2), Spent(usd=2.0, tokens=3, seconds=4)
    assert limits.larger(one, two) == Spent(usd=2.0, tokens=9, turns=2, seconds=4)


def test_a_held_provider_holds_back_its_own_roles_and_no_other():
    seen = world(task(1), config=AGENTS, backoffs={"anthropic": note()})
    assert "anthropic is held back until 2026-01-31 12:15:00Z" in backoff.held_back(seen, (Role.WORKER,))
    assert backoff.held_back(seen, (Role.AUDITOR,)) == ""
    assert backoff.held_back(replace(seen, now=after(900)), (Role.WORKER,)) == ""


def test_no_worker_starts_while_its_own_or_its_auditors_provider_is_held():
    for provider in ("anthropic", "openai"):
        seen = world(task(1), config=AGENTS, backoffs={provider: note(provider)})
        started, waits = frontier(seen, 5)
        assert started == []
        assert provider in waits[0].reason
    unaudited = replace(AGENTS, require_audit=False)
    assert frontier(world(task(1), config=unaudited, backoffs={"openai": note("openai")}), 5)[0] == [task(1)]


def test_a_resident_loop_waits_for_a_held_provider_and_starts_when_it_is_free():
    seen = world(task(1), config=AGENTS, backoffs={"anthropic": note()})
    assert plan_launch(seen) == []
    assert outlook(seen, 5.0).over == ""
    assert plan_launch(replace(seen, now=after(901))) != []


def test_what_only_a_person_can_end_is_over_when_the_configuration_is_another():
    bad_key = note(fault=Fault.BAD_KEY, needs_you=True)
    assert backoff.holds(world(config=AGENTS), bad_key)
    assert not backoff.holds(world(config=replace(AGENTS, sha256="2" * 64)), bad_key)
    assert backoff.holds(world(config=replace(AGENTS, sha256="2" * 64)), note())


def test_a_day_whose_limit_is_used_up_starts_nobody_before_midnight():
    config = replace(AGENTS, limits_day=Limits(usd=5.0))
    seen = world(task(1), config=config, spent_today=Spent(usd=5.25))
    assert frontier(seen, 5)[0] == []
    assert "the day's limit of $5 is used up; it goes on at 2026-02-01 00:00Z" in frontier(seen, 5)[1][0].reason
    assert backoff.moments(seen) == [after(43_200)]
    assert outlook(seen, 5.0).over == ""
    assert frontier(replace(seen, spent_today=Spent(usd=4.99)), 5)[0] == [task(1)]


@pytest.mark.parametrize(
    ("changes", "moment"),
    [
        ({}, None),
        ({"backoffs": {"anthropic": note(until=300)}}, after(300)),
        ({"backoffs": {"anthropic": note(until=-1)}}, None),
        ({"config": replace(AGENTS, limits_day=Limits(usd=5.0)), "spent_today": Spent(usd=5.0)}, after(43_200)),
        ({"config": replace(AGENTS, limits_day=Limits(usd=5.0)), "spent_today": Spent(usd=4.0)}, None),
    ],
)
def test_a_loop_that_sleeps_is_due_again_when_time_alone_lets_somebody_start(changes, moment):
    assert next_due(world(task(1), **{"config": AGENTS, **changes})) == moment


@pytest.mark.parametrize(
    ("limit", "spent", "word"),
    [
        (Limits(tokens=10), Spent(tokens=10), "10 tokens"),
        (Limits(turns=3), Spent(turns=4), "3 turns"),
        (Limits(seconds=60), Spent(seconds=60), "60 seconds"),
        (Limits(usd=1.0), Spent(usd=0.99), ""),
        (Limits(), Spent(usd=9.0, tokens=9, turns=9), ""),
    ],
)
def test_the_first_limit_that_is_reached_is_named(limit, spent, word):
    assert backoff.over(spent, limit) == word


def test_the_smallest_allowance_counts():
    runner = RunnerSpec(name="claude", limits=Limits(usd=3.0, turns=50, idle_seconds=9))
    config = replace(
        CONFIG,
        limits_try=Limits(usd=2.0, tokens=1000, output_bytes=77),
        limits_task=Limits(usd=4.0, turns=60, seconds=100),
    )
    allowed = limits.allowance(runner, config, Role.WORKER, Spent(usd=2.5, turns=20, seconds=40))
    assert allowed.refusal == ""
    assert allowed.limits == Limits(usd=1.5, tokens=1000, turns=40, seconds=60, idle_seconds=9, output_bytes=77)


@pytest.mark.parametrize(
    ("spent", "of_try", "of_runner", "span"),
    [
        (Spent(), Limits(turns=5), Limits(), Span.TRY),
        (Spent(), Limits(), Limits(turns=5), Span.TRY),
        (Spent(turns=4), Limits(turns=7), Limits(), Span.TASK),
        (Spent(turns=4), Limits(turns=6), Limits(turns=9), Span.TASK),  # both at once: the task's
        (Spent(turns=4), Limits(turns=6), Limits(turns=5), Span.TRY),
        (Spent(turns=4), Limits(), Limits(), Span.TASK),
        (Spent(usd=9.0), Limits(turns=9), Limits(), Span.TRY),
    ],
)
def test_a_limit_is_whose_figure_is_the_smallest(spent, of_try, of_runner, span):
    config = replace(CONFIG, limits_try=of_try, limits_task=Limits(turns=10, tokens=5))
    allowed = limits.allowance(RunnerSpec(name="x", limits=of_runner), config, Role.WORKER, spent)

    assert allowed.span(Limit.TURNS) is span
    assert allowed.span(Limit.TASK) is Span.TASK
    assert (allowed.span(Limit.IDLE), allowed.span(None)) == (Span.TRY, None)


@pytest.mark.parametrize("limit", [*Limit, None])
@pytest.mark.parametrize("span", Span)
def test_a_person_is_asked_about_what_is_counted_and_only_where_that_is_set(limit, span):
    done = AgentDone(how=How.LIMIT, exit_code=1, trouble="x", fault=Fault.LIMIT, limit=limit, span=span)
    counted = limit in (Limit.MONEY, Limit.TOKENS, Limit.TURNS, Limit.SECONDS, Limit.TASK)
    stop, pause = OnLimit.STOP, OnLimit.PAUSE

    assert not must_ask(CONFIG, done)
    for of_try, of_task in ((pause, stop), (stop, pause), (pause, pause)):
        rule = of_task if span is Span.TASK else of_try
        config = replace(CONFIG, on_limit_try=of_try, on_limit_task=of_task)
        assert must_ask(config, done) is (counted and rule is pause)
        assert not must_ask(config, replace(done, fault=Fault.TIMEOUT))


def test_a_sum_counts_from_where_a_person_let_it_begin_anew():
    spent = Spent(usd=3.0, tokens=9, turns=4, seconds=70)

    assert limits.beyond(spent, None) == spent
    assert limits.beyond(spent, Spent(usd=2.0, tokens=9, turns=1)) == Spent(usd=1.0, turns=3, seconds=70)
    assert limits.beyond(Spent(), spent) == Spent()


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.DECIDER, Role.PLANNER])
def test_roles_that_judge_may_not_write(role):
    assert limits.allowance(RunnerSpec(name="x"), CONFIG, role, Spent()).limits == Limits(no_write=True)


def test_a_task_whose_limit_is_used_up_starts_no_program():
    config = replace(CONFIG, limits_task=Limits(tokens=1000))
    allowed = limits.allowance(RunnerSpec(name="x"), config, Role.WORKER, Spent(tokens=1200))
    assert allowed.refusal == "the task's limit of 1000 tokens is used up"


def expense(role=Role.WORKER, at=NOW, **usage):
    return Expense(
        role=role, runner="claude", attempt=1, started_at=at, log="x.log", ended_at=at + timedelta(seconds=30),
        model="claude-x", usage=Usage(**usage),
    )  # fmt: skip


def spending(number, *expenses, task_id="TASK-0001"):
    return Spending(run_id=run_id(number), booked_at=NOW, expenses=expenses, task_id=task_id)


def test_costs_are_added_up_and_what_is_unknown_is_never_zero():
    known = expense(fresh_tokens=100, cached_tokens=20, output_tokens=10, cost_usd=0.5, turns=2)
    unknown = expense(Role.AUDITOR, turns=None)
    estimated = expense(Role.AUDITOR, fresh_tokens=7, cost_usd=0.25, estimated=True)
    found = costs([spending(1, known, unknown), spending(2, estimated, task_id="TASK-0002")], "task")
    assert found.lines == (
        CostLine(
            name="TASK-0001", programs=2, turns=2, fresh_tokens=100, cached_tokens=20, output_tokens=10,
            cost_usd=0.5, estimated=False, unknown=1,
        ),
        CostLine(
            name="TASK-0002", programs=1, turns=None, fresh_tokens=7, cached_tokens=None, output_tokens=None,
            cost_usd=0.25, estimated=True, unknown=0,
        ),
    )  # fmt: skip
    assert (found.total.cost_usd, found.total.programs, found.total.unknown) == (0.75, 3, 1)


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("role", ["auditor", "worker"]),
        ("runner", ["claude"]),
        ("model", ["claude-x"]),
        ("day", ["2026-01-31", "2026-02-01"]),
        ("task", ["TASK-0001"]),
    ],
)
def test_costs_are_known_by_task_role_runner_model_and_day(by, names):
    found = costs([spending(1, expense(turns=1), expense(Role.AUDITOR, after(86_400), turns=1))], by)
    assert [line.name for line in found.lines] == names


def test_costs_can_begin_at_a_day():
    booked = [spending(1, expense(turns=1), expense(at=after(86_400), turns=5))]
    assert costs(booked, "day", "2026-02-01").total.turns == 5


def test_a_clock_that_was_set_back_under_a_program_does_not_make_its_time_negative():
    back = replace(expense(), ended_at=NOW - timedelta(hours=2))
    assert limits.total([back, expense()]).seconds == 30


def test_the_sum_of_expenses_holds_what_is_known():
    one = expense(fresh_tokens=100, output_tokens=10, cost_usd=0.5, turns=2)
    assert limits.total([one, expense()]) == Spent(usd=0.5, tokens=110, turns=2, seconds=60)

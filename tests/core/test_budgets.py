"""What a resident loop may use up, and what a person is told of."""

from __future__ import annotations

import pytest
from tests.core.worlds import CONFIG, TARGET, accepted, task, task_id, world

from gluerun.core.actions import Start, StartPlanner
from gluerun.core.budgets import Used, tasks_done, used_up, with_day, within
from gluerun.core.notices import all_told, noticed
from gluerun.records.record import replace
from gluerun.records.resident import Notices
from gluerun.records.task import Status

ONE, TWO, THREE = (task_id(number) for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("budget", "used", "why"),
    [
        ({}, {"seconds": 43_199.0}, ""),
        ({}, {"seconds": 43_200.0}, "its 12 hours are over"),
        ({"max_hours": 0.0}, {"seconds": 1e9}, ""),
        ({"max_hours": 0.5}, {"seconds": 1800.0}, "its 0.5 hours are over"),
        ({}, {"usd": 1e6}, ""),
        ({"max_usd": 5.0}, {"usd": 4.99}, ""),
        ({"max_usd": 0.3}, {"usd": 0.1 + 0.1 + 0.1}, "its $0.3 are spent"),
        ({"max_usd": 5.0}, {"usd": 7.5}, "its $5 are spent"),
    ],
)
def test_hours_and_money_end_it(budget, used, why):
    assert used_up(replace(CONFIG, **budget), Used(**used)) == why


def test_money_is_counted_over_midnight_and_what_was_spent_before_is_not():
    used = Used()
    for day_usd in (3.0, 3.0, 4.5, 0.25, 1.0):
        used = with_day(used, day_usd)

    assert used.usd == 2.5


def start(name):
    return Start(task_id=name, base=TARGET, reason="ready")


PLAN = StartPlanner(node="api", base=TARGET, reason="nothing is ready")


@pytest.mark.parametrize(
    ("limit", "before", "kept"),
    [
        (0, [], [start(ONE), start(TWO), start(THREE), PLAN]),
        (2, [], [start(ONE), start(TWO)]),
        (2, [THREE], [start(ONE), start(THREE)]),
        (2, [TWO, THREE], [start(TWO), start(THREE)]),
        (4, [], [start(ONE), start(TWO), start(THREE), PLAN]),
    ],
)
def test_no_more_tasks_are_started_than_it_may_but_those_it_has_may_be_tried_again(limit, before, kept):
    asked = [start(ONE), start(TWO), start(THREE), PLAN]

    assert within(replace(CONFIG, max_tasks=limit), before, asked) == kept


@pytest.mark.parametrize(
    ("started", "why"),
    [
        ([], ""),
        ([ONE], ""),
        ([ONE, TWO], ""),
        ([ONE, THREE], "its 2 tasks are done"),
        ([ONE, "TASK-0009"], "its 2 tasks are done"),
    ],
    ids=["none", "too few", "one is not through", "a parked one", "a settled one"],
)
def test_its_tasks_are_done_when_none_of_them_gets_on_by_itself(started, why):
    seen = world(
        task(1, Status.BLOCKED), accepted(2), task(3, Status.BLOCKED), task(4), config=replace(CONFIG, max_tasks=2)
    )

    assert tasks_done(seen, Used(tasks=frozenset(started))) == why


# --- what a person is told -------------------------------------------------------------------------------


def test_a_need_is_told_once_while_it_holds_and_again_when_it_comes_back():
    first = noticed(Notices(), ["a is parked", "b is parked"])
    assert first == Notices(due=("a is parked", "b is parked"))

    told = all_told(first)
    assert noticed(told, ["a is parked", "b is parked"]) == Notices(told=("a is parked", "b is parked"))

    later = noticed(told, ["b is parked", "c is parked"])
    assert later == Notices(told=("b is parked",), due=("c is parked",))
    assert noticed(all_told(later), ["a is parked"]).due == ("a is parked",)


def test_what_was_due_and_not_told_stays_due():
    due = noticed(Notices(), ["a is parked"])

    assert noticed(due, ["a is parked"]) == due


def test_no_secret_is_told():
    secret = "sk-ant-" + "api03-" + "Ab3" * 20

    assert secret not in noticed(Notices(), [f"the gate printed {secret}"]).due[0]

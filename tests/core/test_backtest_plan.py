"""A history as a backlog: who waits for whom, who is lost with whom, and what more workers would bring."""

from __future__ import annotations

import random

import pytest

from gluerun.core.backtest_plan import Past, beyond_reach, dependencies, forecast, obstacle, peak, simulated
from gluerun.records.paths import overlap


def past(*paths, submodules=()):
    return Past(commit="c", parent=None, subject="", paths=paths, submodules=submodules)


@pytest.mark.parametrize(
    ("scopes", "needs"),
    [
        ([], []),
        ([["a"]], [()]),
        ([["a"], ["b"]], [(), ()]),
        ([["a"], ["a"], ["a"]], [(), (0,), (1,)]),
        ([["a", "b"], ["a"], ["b"]], [(), (0,), (0,)]),
        ([["a"], ["b"], ["a", "b"]], [(), (), (0, 1)]),
        ([["thing"], ["thing", "thing/inner"], ["thing/inner"]], [(), (0,), (1,)]),
        ([["d/one"], ["d/two"], ["d"], ["d/one"]], [(), (), (0, 1), (2,)]),
        ([["d/deep/er"], ["d/deep/est"], ["d/deep"], ["d"]], [(), (), (0, 1), (2,)]),
        ([["ab"], ["a"], ["a.b"], ["a/b"]], [(), (), (), (1,)]),
        ([["x"], ["a"], ["x", "a/b"], ["x"]], [(), (), (0, 1), (2,)]),
    ],
)
def test_whoever_touches_the_same_ground_waits_for_the_last_who_did(scopes, needs):
    assert dependencies(scopes) == needs


def closure(needs):
    """Return for each task everybody it waits for, near or far."""
    found = []
    for before in needs:
        found.append(set(before).union(*(found[other] for other in before)))
    return found


def slow_closure(scopes):
    """Return the same by asking each pair."""
    pairs = [
        [other for other in range(number) if any(overlap(a, b) for a in paths for b in scopes[other])]
        for number, paths in enumerate(scopes)
    ]
    return closure(pairs)


@pytest.mark.parametrize("seed", range(40))
def test_the_order_is_that_of_every_overlapping_pair_and_nothing_is_said_twice(seed):
    dice = random.Random(seed)
    scopes = [
        ["/".join(dice.choices("abc", k=dice.randint(1, 3))) for _ in range(dice.randint(1, 3))] for _ in range(25)
    ]

    needs = dependencies(scopes)

    assert closure(needs) == slow_closure(scopes)
    for before in needs:
        assert not set(before) & set().union(*(closure(needs)[other] for other in before))


def test_a_history_of_ten_thousand_commits_is_no_matter_of_pairs():
    scopes = [[f"d{number % 97}/f{number % 1009}", "CHANGES"] for number in range(10_000)]

    assert dependencies(scopes)[-1] == (9998,)


def test_who_waits_for_a_lost_one_is_lost_too():
    needs = {"A": (), "B": ("A",), "C": (), "D": ("B", "C"), "E": ("C",)}

    assert beyond_reach(needs, {"A"}) == {"B": "A", "D": "B"}
    assert beyond_reach(needs, set()) == {}


def test_what_cannot_be_replayed_is_named():
    assert obstacle(past("a", "docs/orchestration/tasks/TASK-0001.md", "gluerun.config.json")) == ""
    assert obstacle(past("sub", "a", submodules=("sub",))) == "it moves the submodule sub"
    assert ".worktrees/x" in obstacle(past("a", ".worktrees/x"))


@pytest.mark.parametrize(
    ("seconds", "needs", "workers", "wall"),
    [
        ([], [], 1, 0),
        ([1, 2, 3], [(), (), ()], 1, 6),
        ([1, 2, 3], [(), (), ()], 2, 4),
        ([1, 2, 3], [(), (), ()], 3, 3),
        ([1, 2, 3], [(), (0,), (1,)], 8, 6),
        ([2, 1, 1, 1], [(), (), (1,), (0, 2)], 2, 3),
        ([0, 0], [(), (0,)], 1, 0),
    ],
)
def test_more_workers_help_as_far_as_the_history_lets_them(seconds, needs, workers, wall):
    assert simulated(seconds, needs, workers) == wall


def test_a_forecast_says_it_for_each_number_of_workers():
    found = forecast([1.0] * 8, [()] * 8)

    assert found == {"1": 8.0, "2": 4.0, "3": 3.0, "4": 2.0, "5": 2.0, "6": 2.0, "7": 2.0, "8": 1.0}


def test_the_peak_counts_who_ran_at_the_same_moment():
    assert peak([]) == 0
    assert peak([(0, 2), (1, 3), (2, 4)]) == 2
    assert peak([(0, 9), (1, 2), (3, 4), (3, 5)]) == 3

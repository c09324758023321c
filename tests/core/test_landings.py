"""What the journal tells of the merge queue's past."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gluerun.core.landings import past
from gluerun.records import codec

BEGIN = datetime(2026, 3, 4, 3, 0, tzinfo=UTC)
CAME, STARTED, RED, LANDED = "packet.imported", "integration.started", "integration.red", "integration.integrated"


def journal(*told):
    """Return events, a minute apart."""
    return [
        {"type": kind, "ts": codec.stamp(BEGIN + timedelta(minutes=at)), "data": {"task": task} if task else {}}
        for at, (kind, task) in enumerate(told)
    ]


def test_who_landed_and_who_was_red_is_told_apart():
    seen = past(
        journal(
            (CAME, "A"), (CAME, "B"), ("push.ok", ""), (STARTED, "A"), (CAME, "C"), (STARTED, "B"), (LANDED, "A"),
            (RED, "B"), ("run.settled", "B"), ("task.parked", "C"), (LANDED, "unknown"), (CAME, "D"),
        ),
        10,
    )  # fmt: skip
    assert [(one.task, one.landed, one.was_red) for one in seen.arrivals] == [
        ("A", True, False), ("B", False, True), ("C", False, False),
    ]  # fmt: skip
    assert (seen.runs, seen.latencies) == (2, (360.0,))
    assert [(one.arrives, one.bad) for one in seen.changes()] == [(0.0, False), (60.0, True)]


def test_a_flake_that_landed_was_good_and_a_second_try_is_a_change_of_its_own():
    told = ((CAME, "A"), (RED, "A"), (LANDED, "A"), (CAME, "B"), (RED, "B"), (CAME, "B"), (LANDED, "B"))
    seen = past(journal(*told), 10)
    assert [(one.task, one.landed) for one in seen.arrivals] == [("A", True), ("B", False), ("B", True)]
    assert [one.bad for one in seen.changes()] == [False, True, False]


def test_only_the_last_count_and_what_was_run_since_they_came():
    told = [(kind, f"T{number}") for number in range(5) for kind in (CAME, STARTED, LANDED)]
    seen = past(journal(*told), 2)
    assert [one.task for one in seen.arrivals] == ["T3", "T4"]
    assert seen.runs == 2
    assert past([], 5).changes() == []


kinds = st.sampled_from((CAME, STARTED, RED, LANDED, "run.settled", "task.parked", "operator.park"))


@given(st.lists(st.tuples(kinds, st.sampled_from("ABC")), max_size=40), st.integers(1, 50))
def test_whatever_is_told_nobody_lands_before_he_came_and_twice_without_coming_again(told, most):
    seen = past(journal(*told), most)
    assert all(one.at <= one.until for one in seen.arrivals)
    assert len(seen.arrivals) <= min(most, sum(kind == CAME for kind, _ in told))
    assert sum(one.landed for one in seen.arrivals) <= sum(kind == LANDED for kind, _ in told)

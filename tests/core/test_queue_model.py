"""The queue in virtual time: whatever the order in which gates end, what lands is green and everybody has an end."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.records.documents import examples

from gluerun.core.queue_model import Change, Gates, serial, simulate, speculation
from gluerun.core.steering import steer

# The shapes are few and small on purpose: a chain of a dozen links holds every way in which gates can end.
changes = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 12)).map(list), min_size=1, max_size=12
)
gates = st.builds(
    lambda slots, spread, rate: Gates(slots=slots, spread=spread, rate=rate),
    st.integers(1, 6),
    st.sampled_from((0.0, 0.3, 0.9)),
    st.sampled_from((None, 0.01, 0.1, 0.3, 0.5)),
)
policies = pytest.mark.parametrize("policy", [steer, serial, speculation], ids=["ours", "serial", "speculation"])


def _backlog(shapes):
    """Return changes that come one after the other; one in five is bad, some only beside an earlier one."""
    moment, found = 0.0, []
    for number, (wait, kind, other) in enumerate(shapes):
        moment += wait / 2
        clash = other if kind == 1 and other < number else None
        found.append(Change(arrives=moment, bad=kind == 0, clashes_with=clash))
    return found


def _one_by_one(backlog):
    """Return what ought to land: each change that is good on top of those before it."""
    landed = []
    for number, change in enumerate(backlog):
        if not change.bad and change.clashes_with not in landed:
            landed.append(number)
    return landed


def _watched(policy, slots):
    """Return *policy*, which now may not see more running than there are slots, nor land what is not green."""

    def watch(seen):
        told = policy(seen)
        assert len(seen.running) + seen.busy <= slots
        assert len(set(seen.running) - set(told.stop)) + len(told.probe) + seen.busy <= slots
        assert told.land in (0, *seen.green)
        assert told.suspect is None or set(told.stop) == set(seen.running)
        return told

    return watch


@policies
@examples(80)
@given(changes, gates, st.integers(0, 9))
def test_each_good_change_lands_and_each_bad_one_is_sent_back(policy, shapes, gates, seed):
    backlog = _backlog(shapes)
    account = simulate(backlog, gates, _watched(policy, gates.slots), random.Random(seed).random)
    good = _one_by_one(backlog)
    assert list(account.landed) == good
    assert sorted(account.sent_back) == sorted(set(range(len(backlog))) - set(good))
    assert account.wrongly == 0


@policies
@examples(80)
@given(changes, gates, st.integers(0, 9))
def test_flakes_let_nothing_bad_land_and_leave_nobody_behind(policy, shapes, gates, seed):
    backlog = _backlog(shapes)
    flaky = Gates(slots=gates.slots, spread=gates.spread, rate=gates.rate, flake=0.3)
    account = simulate(backlog, flaky, _watched(policy, gates.slots), random.Random(seed).random)
    assert sorted((*account.landed, *account.sent_back)) == list(range(len(backlog)))
    landed = []
    for number in account.landed:
        assert not backlog[number].bad
        assert backlog[number].clashes_with not in landed
        landed.append(number)


@examples(80)
@given(changes, gates, st.integers(0, 9))
def test_a_seed_decides_everything(shapes, gates, seed):
    one, other = (simulate(_backlog(shapes), gates, steer, random.Random(seed).random) for _ in range(2))
    assert one == other


def _saturated(rate, count=1200):
    chance = random.Random(1)
    return [Change(bad=chance.random() < rate) for _ in range(count)]


def _throughput(policy, rate, slots):
    return simulate(_saturated(rate), Gates(slots=slots, rate=rate), policy, random.Random(2).random).throughput


def test_what_is_promised_of_the_queue():
    assert _throughput(steer, 0.05, 4) >= 6
    assert _throughput(steer, 0.01, 1) >= 7


@pytest.mark.parametrize("slots", [1, 2, 4, 8])
def test_where_most_changes_are_bad_the_queue_is_not_below_plain_speculation(slots):
    assert _throughput(steer, 0.3, slots) >= _throughput(speculation, 0.3, slots)


def test_serial_and_speculation_are_what_their_names_say():
    good = [Change() for _ in range(8)]
    one, many = (simulate(good, Gates(slots=4), policy, random.Random(0).random) for policy in (serial, speculation))
    assert (one.seconds, one.runs, one.throughput) == (8, 8, 1)
    assert (many.seconds, many.runs, many.throughput) == (2, 8, 4)
    assert (one.latency(0.5), one.latency(0.95)) == (5, 8)


def test_a_flake_costs_a_gate_run_and_sends_nobody_back():
    draws = iter([0.0, 1.0, 1.0])
    account = simulate([Change()], Gates(slots=1, flake=0.1), steer, lambda: next(draws))
    assert (account.landed, account.sent_back, account.runs) == ((0,), (), 3)


def test_a_change_that_waits_alone_is_not_kept_waiting_for_a_batch():
    account = simulate([Change(arrives=5.0)], Gates(slots=4, seconds=60.0), steer, random.Random(0).random)
    assert account.latencies == (60.0,)


def test_a_gate_that_was_stopped_tells_nothing_when_its_time_comes():
    backlog = [Change(), Change(arrives=0.5, bad=True), Change(arrives=0.5)]
    account = simulate(backlog, Gates(slots=2), speculation, random.Random(0).random)
    assert (account.landed, account.sent_back) == ((0, 2), (1,))


def test_where_nothing_lands_there_is_no_latency():
    account = simulate([Change(bad=True)], Gates(slots=1, rate=0.5), steer, random.Random(0).random)
    assert (account.latency(0.5), account.throughput, account.runs_per_landed) == (0.0, 0.0, 1.0)
    assert simulate([], Gates(), steer, random.Random(0).random).throughput == 0.0

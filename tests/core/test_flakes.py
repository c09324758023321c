"""Flakes: what is counted, what is known, what a red of known flakes is, and what a quarantine lets pass."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.core.worlds import NOW, run_id

from gluerun.core import flakes
from gluerun.records.flake import Flake, Flakes, FlakyTest, Quarantine
from gluerun.records.gate import GateCheck, GateRun, GateTests, GateVerdict
from gluerun.records.record import replace

GREEN, RED, SKIPPED = GateVerdict.GREEN, GateVerdict.RED, GateVerdict.SKIPPED


def ran(name="unit", result=GREEN, *failures, **more):
    tests = GateTests(total=10, failed=len(failures))
    plain = GateRun(name=name, command=f"run {name}", result=result, failures=failures, tests=tests, log_ref="a.log")
    return replace(plain, **more)


def check(*runs, number=1, result=None, commit="a"):
    said = {run.result for run in runs if run.required}
    return GateCheck(
        run_id=run_id(number),
        cmd="gates",
        exit_code=0,
        result=result or (RED if RED in said else GREEN),
        log_ref="whole.log",
        log_sha256="0" * 64,
        commit=commit * 40,
        code_tree="b" * 40,
        gate_sha256="0" * 64,
        duration_ms=1,
        created_at=NOW,
        gates=runs,
    )


def known(state):
    return {(one.gate, one.test): (one.seen, one.runs) for one in state.flakes}


def flaked(*tests, times=1, gate="unit", now=NOW):
    state = Flakes()
    for number in range(times):
        red = check(ran(gate, RED, *tests), number=2 * number + 1)
        state = flakes.counted(state, red.run_id, red, None, now)
        green = check(ran(gate), number=2 * number + 2)
        state = flakes.counted(state, green.run_id, green, red, now)
    return state


def test_what_failed_and_then_did_not_on_the_same_commit_has_flaked():
    state = flaked("sums::adds", "sums::carries")

    assert known(state) == {("unit", "sums::adds"): (1, 2), ("unit", "sums::carries"): (1, 2)}
    assert {(one.run_id, one.commit, one.log_ref) for one in state.flakes} == {(run_id(1), "a" * 40, "a.log")}


@pytest.mark.parametrize(
    ("red", "green"),
    [
        pytest.param(check(ran("unit", RED, "t")), check(ran("unit"), number=2, commit="c"), id="another commit"),
        pytest.param(check(ran("unit", RED, "t")), check(ran("unit", SKIPPED), number=2), id="it did not run again"),
        pytest.param(
            check(ran("unit", RED, "t", required=False), ran("lint", RED)),
            check(ran("unit", RED, "t", required=False), ran("lint"), number=2),
            id="it failed again",
        ),
        pytest.param(
            check(ran("unit", RED, "t")), check(ran("unit", GREEN, "t", quarantined=("t",)), number=2), id="pardoned"
        ),
    ],
)
def test_what_did_not_pass_on_the_same_commit_has_not_flaked(red, green):
    assert ("unit", "t") not in known(flakes.counted(Flakes(), green.run_id, green, red, NOW))


def test_the_rate_is_by_how_often_the_gate_ran_and_one_run_counts_once():
    state = flaked("t", times=2)
    assert known(state) == {("unit", "t"): (2, 4)}
    for number in range(5, 11):
        one = check(ran("unit"), ran("lint"), number=number)
        state = flakes.counted(state, one.run_id, one, None, NOW)
        assert flakes.counted(state, one.run_id, one, None, NOW) == state
    other = check(ran("lint"), number=11)
    state = flakes.counted(state, other.run_id, other, None, NOW)
    assert known(state) == {("unit", "t"): (2, 10)}
    assert state.flakes[0].rate == 0.2


def test_a_gate_that_names_no_test_flakes_as_a_whole():
    red, green = check(result=RED), check(number=2)

    assert known(flakes.counted(Flakes(), green.run_id, green, red, NOW)) == {("gate", ""): (1, 2)}
    assert known(flaked()) == {("unit", ""): (1, 2)}


def test_the_record_is_bounded_the_oldest_go_and_what_is_in_quarantine_stays():
    quarantine = Quarantine(owner="me", by="me", order="o", since=NOW, expires_at=NOW)
    old = Flake(gate="unit", test="old", seen=1, runs=2, first_seen=NOW, last_seen=NOW - timedelta(days=9))
    state = Flakes(flakes=(replace(old, test="kept", quarantine=quarantine), old))
    for number in range(flakes.MOST):
        red = check(ran("unit", RED, f"t{number}"), number=2 * number + 1)
        green = check(ran("unit"), number=2 * number + 2)
        state = flakes.counted(state, green.run_id, green, red, NOW + timedelta(seconds=number))

    tests = [one.test for one in state.flakes]
    assert (len(tests), tests[:2]) == (flakes.MOST, ["kept", f"t{flakes.MOST - 1}"])
    assert not {"old", "t0"} & set(tests)


@pytest.mark.parametrize(
    ("seen", "days", "is_known"), [(1, 0, False), (2, 0, True), (2, 30, True), (2, 31, False), (9, 31, False)]
)
def test_known_is_what_flaked_twice_and_lately(seen, days, is_known):
    state = flaked("t", times=seen)
    now = NOW + timedelta(days=days)

    assert bool(flakes.known(state, now)) == is_known


KNOWN = (FlakyTest(gate="unit", test="a"), FlakyTest(gate="unit", test="b"), FlakyTest(gate="e2e"))


@pytest.mark.parametrize(
    ("said", "names"),
    [
        (check(ran("unit", RED, "a")), ("unit: a",)),
        (check(ran("unit", RED, "a", "b"), ran("lint")), ("unit: a", "unit: b")),
        (check(ran("unit", RED, "a"), ran("e2e", RED)), ("unit: a", "e2e")),
        (check(ran("unit", RED, "a"), ran("style", RED, "c", required=False)), ("unit: a",)),
        (check(ran("unit", RED, "a", "c")), ()),
        (check(ran("unit", RED, "a"), ran("lint", RED)), ()),
        (check(ran("lint", RED, "a")), ()),
        (check(ran("unit", RED)), ()),
        (check(ran("unit", RED, "a", tests=GateTests(total=10, failed=2))), ()),
        (check(ran("unit", RED, "a", timed_out=True)), ()),
        (check(ran("unit")), ()),
        (check(result=RED), ()),
        (check(ran("unit", RED, "a"), result=GateVerdict.INCONCLUSIVE), ()),
    ],
)
def test_a_red_is_one_of_known_flakes_only_if_everything_that_failed_is_known(said, names):
    assert flakes.only_flaky(said, KNOWN) == names


def test_the_only_gate_of_a_repository_is_known_by_itself():
    assert flakes.only_flaky(check(result=RED), (FlakyTest(gate="gate"),)) == ("gate",)


SICK = (
    FlakyTest(gate="unit", test="a", quarantined=True),
    FlakyTest(gate="unit", test="b"),
    FlakyTest(gate="e2e", quarantined=True),
)


@pytest.mark.parametrize(
    ("run", "is_pardoned"),
    [
        pytest.param(ran("unit", RED, "a"), True, id="nothing else failed"),
        pytest.param(ran("unit", RED, "a", "b"), False, id="another failed, too"),
        pytest.param(ran("unit", RED, "b"), False, id="known, and not in quarantine"),
        pytest.param(ran("lint", RED, "a"), False, id="another gate's test"),
        pytest.param(ran("unit", RED), False, id="no names"),
        pytest.param(ran("e2e", RED), False, id="a whole gate"),
        pytest.param(ran("unit", RED, "a", timed_out=True), False, id="it came to no end"),
        pytest.param(ran("unit", RED, "a", reason="it left two reports"), False, id="an odd report"),
        pytest.param(ran("unit", RED, "a", tests=GateTests(total=9, failed=2)), False, id="not all are named"),
        pytest.param(ran("unit", RED, "a", tests=GateTests(total=3, failed=1)), False, id="too few ran"),
        pytest.param(ran("unit", RED, "a", tests=None), False, id="nobody counted"),
        pytest.param(ran("unit", GateVerdict.INCONCLUSIVE, "a"), False, id="nothing was said"),
        pytest.param(ran("unit", GREEN), False, id="green by itself"),
    ],
)
def test_a_quarantine_lets_pass_what_failed_by_nothing_else_and_says_so(run, is_pardoned):
    after = flakes.pardoned(run, SICK, 5)

    assert (after != run) == is_pardoned
    if is_pardoned:
        assert (after.result, after.quarantined) == (GREEN, ("a",))
        assert after.reason == "red only by tests in quarantine: a"


def test_one_test_is_never_all_that_ran():
    run = ran("unit", RED, "a", tests=GateTests(total=1, failed=1))

    assert flakes.pardoned(run, SICK, 0) == run


@pytest.mark.parametrize(("minutes", "is_in_force"), [(-1, True), (0, False), (1, False)])
def test_a_quarantine_ends_by_itself(minutes, is_in_force):
    quarantine = Quarantine(owner="me", by="me", order="o", since=NOW, expires_at=NOW)
    state = flakes.with_quarantine(flaked("t"), "unit", "t", quarantine)

    found = flakes.known(state, NOW + timedelta(minutes=minutes))

    assert [one.quarantined for one in found] == ([True] if is_in_force else [])

"""When the gates of the night run, by the clock and by what came of the last ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluerun.core.actions import AwaitNightly, NightlyProved, ProveNightly, Stop
from gluerun.core.due import next_due
from gluerun.core.nightly import last_night, next_night, plan_nightly, words
from gluerun.core.outlook import outlook
from gluerun.core.plan import plan_cycle, plan_night_end, plan_nights
from gluerun.core.world import Sighting, World
from gluerun.records.config import Config
from gluerun.records.dispatch import Ending, Life, Outcome, Role
from gluerun.records.failure import Failure
from gluerun.records.gate import GateVerdict
from gluerun.records.nightly import Nightly
from gluerun.records.pipeline import NEVER, GateSpec, Occasion

NOW = datetime(2026, 3, 4, 3, 30, tzinfo=UTC)
HEAD, RUN = "a" * 40, "RUN-20260304T020000Z-00000001"
DEEP = GateSpec(name="deep", command="deep", when=(Occasion.NIGHTLY,))
UNIT = GateSpec(name="unit", command="unit")


def world(night=None, *, now=NOW, at="02:00", gates=(UNIT, DEEP), seen=None, **more):
    config = Config(target_branch="main", gate_command="", gates=gates, nightly_at=at, worker_infra_max=1)
    sightings = {RUN: seen} if seen is not None else {}
    return World(now=now, config=config, origin_run="", boot_id="b", target_head=HEAD, nightly=night,
                 sightings=sightings, **more)  # fmt: skip


def asked(hours, **more):
    return Nightly(since=NOW - timedelta(hours=hours), head=HEAD, run=RUN, **more)


def sighting(life=Life.DEAD, **more):
    return Sighting(run_id=RUN, life=life, was_asked=True, signed_in=True, **more)


def ending(outcome=Outcome.PROVED, **more):
    return Ending(run_id=RUN, role=Role.PROVER, outcome=outcome, epoch=1, finished_at=NOW, **more)


RED = ending(Outcome.FAILED, failure=Failure.INTEGRATION_GATE_RED, reason="deep is red")
ODD = ending(Outcome.FAILED, failure=Failure.WORKER_INFRA, reason="no shell")
DONE = GateVerdict.GREEN


@pytest.mark.parametrize(
    ("look", "wanted"),
    [
        (world(), AwaitNightly),
        (world(at=NEVER), None),
        (world(gates=(UNIT,)), None),
        (world(gates=()), None),
        (world(Nightly(since=NOW - timedelta(hours=1))), None),
        (world(Nightly(since=NOW - timedelta(hours=2))), ProveNightly),
        (world(Nightly(since=NOW + timedelta(hours=2))), AwaitNightly),
        (world(asked(1, result=DONE)), None),
        (world(asked(25, result=DONE)), ProveNightly),
        (world(asked(25, result=GateVerdict.RED)), ProveNightly),
        (world(asked(25, result=DONE), stop=True), None),
        (world(asked(25, result=DONE), free_bytes=1), None),
        (world(asked(1), seen=sighting(Life.ALIVE)), None),
        (world(asked(25), seen=sighting(Life.ALIVE)), Stop),
        (world(asked(1), seen=sighting(Life.ORPHANED)), Stop),
        (world(asked(1)), ProveNightly),
        (world(asked(1, again=1)), NightlyProved),
        (world(asked(1), stop=True), NightlyProved),
        (world(asked(1), seen=sighting(ending=ODD)), ProveNightly),
        (world(asked(1), seen=sighting(ending=RED), gates=()), NightlyProved),
        (world(asked(1), seen=sighting(ending=ending())), NightlyProved),
    ],
)
def test_what_the_night_calls_for(look, wanted):
    plan = plan_nightly(look)
    assert [type(action) for action in plan] == ([wanted] if wanted else [])
    if wanted is not None:
        assert plan_nights(look) == plan
        assert plan[0] in plan_cycle(look)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [(ending(), GateVerdict.GREEN), (RED, GateVerdict.RED), (ODD, GateVerdict.INCONCLUSIVE)],
)
def test_what_its_run_says_is_taken_in(found, wanted):
    (action,) = plan_nightly(world(asked(1, again=1), seen=sighting(ending=found)))
    assert (action.run_id, action.commit, action.result) == (RUN, HEAD, wanted)


@pytest.mark.parametrize(
    ("look", "wanted"),
    [
        (world(), []),
        (world(asked(25, result=DONE)), []),
        (world(asked(1), seen=sighting(Life.ALIVE)), []),
        (world(asked(25), seen=sighting(Life.ALIVE)), [Stop]),
        (world(asked(1)), [NightlyProved]),
        (world(asked(1), seen=sighting(ending=ODD)), [NightlyProved]),
        (world(asked(1), seen=sighting(ending=RED)), [NightlyProved]),
    ],
)
def test_where_nothing_is_begun_it_is_only_taken_in(look, wanted):
    assert [type(action) for action in plan_night_end(look)] == wanted


def test_a_loop_wakes_for_the_night_and_waits_for_its_run():
    quiet = world(asked(1, result=DONE))
    assert next_due(quiet) == next_night(quiet) == datetime(2026, 3, 5, 2, 0, tzinfo=UTC)
    assert next_due(world(asked(1, result=DONE), at=NEVER)) is None
    assert outlook(quiet, 30).over == "nothing is left to do"
    assert (outlook(world(asked(1), seen=sighting(Life.ALIVE)), 30).runs) == (RUN,)


@given(
    st.integers(0, 20 * 366 * 86_400).map(lambda seconds: NOW + timedelta(seconds=seconds)),
    st.integers(0, 23),
    st.integers(0, 59),
)
def test_a_night_is_at_most_a_day_ago_and_the_next_one_ahead(now, hour, minute):
    look = world(now=now, at=f"{hour:02}:{minute:02}")
    last = last_night(look)
    assert now - timedelta(days=1) < last <= now < next_night(look)
    assert (last.hour, last.minute, last.second) == (hour, minute, 0)


def test_only_what_is_not_green_is_worth_a_word():
    assert words(asked(1), "main") == words(asked(1, result=DONE), "main") == words(Nightly(since=NOW), "main") == ""
    assert words(asked(1, result=GateVerdict.SKIPPED), "main") == ""
    red = words(asked(1, result=GateVerdict.RED, reason="deep: 2 tests failed"), "main")
    assert red == "the gates of the night are red on main (aaaaaaaaaaaa, 2026-03-04 02:30Z): deep: 2 tests failed"

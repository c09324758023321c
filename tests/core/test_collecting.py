"""Which runs a policy gives up: a table of what was seen, and what must never be among it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gluerun.core.collecting import (
    MB,
    ConfigSeen,
    Kind,
    ReceiptSeen,
    RevertSeen,
    RunSeen,
    Seen,
    plan_collection,
)
from gluerun.records.config import Collection
from gluerun.records.record import replace

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def run(name, *, days, mb=1, is_live=False):
    began = NOW - timedelta(days=days)
    return RunSeen(run_id=name, began=began, paths=(f"runs/{name}/log",), size=mb * MB, is_live=is_live)


def given(*runs, **policy):
    policy = Collection(**{"keep_days": 30, "keep_runs": 0, **policy})
    return [(one.name, one.reason) for one in plan_collection(Seen(now=NOW, runs=runs), policy)]


OLD, MIDDLE, NEW = run("old", days=9, mb=4), run("middle", days=5, mb=4), run("new", days=1, mb=4)
BEYOND = "beyond {} MB"


@pytest.mark.parametrize(
    ("max_mb", "gone"),
    [(0, []), (12, []), (11, ["old"]), (8, ["old"]), (7, ["old", "middle"]), (3, ["old", "middle", "new"])],
)
def test_the_oldest_go_until_the_others_fit(max_mb, gone):
    assert given(NEW, OLD, MIDDLE, max_mb=max_mb) == [(name, BEYOND.format(max_mb)) for name in gone]


def test_what_lives_weighs_and_stays_however_old_it_is():
    living = replace(OLD, is_live=True)

    assert given(living, MIDDLE, NEW, max_mb=4) == [("middle", BEYOND.format(4)), ("new", BEYOND.format(4))]
    assert given(living, max_mb=1) == []


@pytest.mark.parametrize(
    ("days", "is_live", "goes"), [(90, False, True), (89, False, False), (900, True, False), (900, False, True)]
)
def test_a_proposed_revert_goes_when_the_target_is_green_again_and_it_is_as_old_as_a_rescue_may_get(
    days, is_live, goes
):
    one = RevertSeen(ref="refs/gluerun/repair/c", commit="c", at=NOW - timedelta(days=days), is_live=is_live)
    plan = plan_collection(Seen(now=NOW, reverts=(one,)), Collection())

    assert [(it.kind, it.name, it.commit) for it in plan] == ([(Kind.REVERT, one.ref, "c")] if goes else [])


def test_the_newest_runs_stay_however_heavy_they_are():
    assert given(OLD, MIDDLE, NEW, max_mb=1, keep_runs=2) == [("old", BEYOND.format(1))]


def test_age_goes_before_weight():
    assert given(OLD, MIDDLE, NEW, max_mb=8, keep_days=7) == [("old", "older than 7 days")]


def test_a_run_of_which_only_history_is_left_is_not_given_up_again():
    assert given(replace(OLD, paths=(), size=0), NEW, max_mb=1, keep_runs=1) == []


def test_weight_gives_up_nothing_but_runs():
    plan = plan_collection(Seen(now=NOW, runs=(OLD,)), Collection(keep_runs=0, max_mb=1))

    assert {one.kind for one in plan} == {Kind.RUN}


def test_a_border_of_no_days_lies_behind_what_was_made_in_this_very_second():
    seen = Seen(
        now=NOW,
        runs=(run("new", days=0),),
        configs=(ConfigSeen(digest="c", path="configs/c.json", size=1, at=NOW),),
        receipts=(ReceiptSeen(path="receipts/aa/aa-b-c.json", size=1, at=NOW),),
    )
    plan = plan_collection(seen, Collection(keep_days=0, keep_runs=0))

    assert [one.kind for one in plan] == [Kind.RUN, Kind.CONFIG, Kind.RECEIPT]

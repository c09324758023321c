"""A week of `auto --forever` with all that befalls it, and a person who answers late: at its end nothing is stuck.

`WEEK_SEED` and `WEEKS` play other weeks; a failure names its seed, and the same seed is the same week.
"""

from __future__ import annotations

import os

import pytest
from tests.scenarios.week import WEEK, Week

SEED = int(os.environ.get("WEEK_SEED") or 1)
WEEKS = int(os.environ.get("WEEKS") or 3)


@pytest.mark.parametrize("seed", range(SEED, SEED + WEEKS))
def test_at_the_end_of_a_week_nothing_is_stuck(seed):
    week = Week(seed)
    week.live()
    story = f"WEEK_SEED={seed} WEEKS=1\n" + "\n".join(week.steps)

    assert week.wrong() == [], story
    assert week.passed >= WEEK, story
    assert week.killed, story
    assert week.house.events("approval.approved"), story
    assert week.upgraded, story
    assert sum(state == "integrated" for state in week.house.states().values()) >= 5, story

"""When a run is late, by the seconds its machine was awake or by a clock that may have been set."""

import pytest
from tests.core.worlds import BOOT, NOW, after, lease, running, seen, world

from gluerun.core.ageing import deadline, is_late, is_within
from gluerun.core.due import next_due
from gluerun.records.dispatch import Life

TASK = running()
LEASE = lease(TASK)


@pytest.mark.parametrize(
    ("age", "now", "late"),
    [
        (None, after(3599), False),
        (None, after(3600), True),
        (None, after(-3600), False),
        (None, after(-3601), True),
        (3599, after(3600), False),
        (3600, after(10), True),
        (10, after(86_400 * 400), False),
        (10, after(-86_400 * 400), False),
        (4000, after(-86_400 * 400), True),
    ],
)
def test_a_run_is_late_by_its_own_age_or_by_the_clock(age, now, late):
    there = world(TASK, leases=(LEASE,), now=now, sightings=seen(LEASE.run_id, Life.ALIVE, age=age, signed_in=True))

    assert is_late(there, LEASE.run_id, LEASE.updated_at, LEASE.expires_at) is late


def test_the_next_look_is_due_when_its_age_says_so():
    there = world(TASK, leases=(LEASE,), now=after(9000), sightings=seen(LEASE.run_id, age=600, signed_in=True))

    assert next_due(there) == after(9000 + 3000) == deadline(there, LEASE.run_id, LEASE.updated_at, LEASE.expires_at)


@pytest.mark.parametrize(("now", "inside"), [(0, True), (4, True), (5, False), (-5, True), (-6, False)])
def test_a_moment_that_lies_ahead_is_long_gone(now, inside):
    assert is_within(after(now), NOW, after(5) - NOW) is inside


def test_the_lease_is_of_this_boot():
    assert LEASE.boot_id == BOOT

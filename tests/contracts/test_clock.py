"""What every clock promises."""

import os
from datetime import UTC

import pytest

from gluerun.adapters.clock import MachineClock
from gluerun.sim.clock import SimClock


@pytest.fixture(params=[MachineClock, SimClock])
def clock(request):
    return request.param()


class TestClock:
    def test_tells_utc_to_the_second(self, clock):
        assert (clock.now().tzinfo, clock.now().microsecond) == (UTC, 0)

    def test_the_boot_id_stays(self, clock):
        assert clock.boot_id() == clock.boot_id() != ""

    def test_it_counts_the_seconds_that_the_machine_is_awake(self, clock):
        assert 0 <= clock.awake() <= clock.awake()

    def test_the_id_of_the_machine_stays_and_tells_nothing_of_it(self, clock):
        assert clock.host_id() == clock.host_id()
        if os.path.exists("/etc/machine-id"):
            with open("/etc/machine-id") as named:
                assert (named.read().strip() or "none") not in clock.host_id()

    def test_the_pid_stays(self, clock):
        assert clock.pid() == clock.pid() > 1

    @pytest.mark.parametrize("size", [1, 16, 40])
    def test_a_token_has_the_size_that_was_asked_for(self, clock, size):
        assert len(bytes.fromhex(clock.token(size))) == size

    def test_no_two_tokens_are_alike(self, clock):
        assert len({clock.token(8) for _ in range(200)}) == 200


def test_simulated_time_moves_only_when_told():
    clock = SimClock()
    before = clock.now()
    clock.tick(minutes=2, seconds=0.4)
    assert (clock.now() - before).total_seconds() == 120


def test_simulated_tokens_repeat_with_the_seed():
    assert SimClock(seed=7).token(32) == SimClock(seed=7).token(32) != SimClock(seed=8).token(32)


def test_a_simulated_reboot_changes_the_boot_id():
    clock = SimClock()
    before = clock.boot_id()
    clock.reboot()
    assert clock.boot_id() != before


def test_a_simulated_clock_can_be_set_without_anybody_being_awake():
    clock = SimClock()
    before, awake = clock.now(), clock.awake()
    clock.step(days=-3)
    clock.suspend(hours=8)
    assert ((clock.now() - before).total_seconds(), clock.awake()) == ((-72 + 8) * 3600, awake)

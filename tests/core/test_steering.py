"""What the queue does next, as a table."""

import pytest

from gluerun.core.steering import Seen, Steer, batch_size, steer
from gluerun.records.rate import Rate


@pytest.mark.parametrize(
    ("seen", "done"),
    [
        (Seen(length=0), Steer()),
        (Seen(length=0, waiting=1), Steer(append=1, probe=(1,))),
        (Seen(length=0, waiting=4, slots=4), Steer(append=4, probe=(1, 2, 3, 4))),
        (Seen(length=0, waiting=4, slots=1), Steer(append=4, probe=(4,))),
        (Seen(length=4, green=(2,), running=(4,), slots=2, busy=1), Steer(land=2)),
        (Seen(length=4, green=(4,), red=(2,), running=(1,), slots=2), Steer(land=4, stop=(1,))),
        (Seen(length=4, red=(4,), slots=1), Steer(probe=(2,))),
        (Seen(length=8, red=(8,), running=(4,), slots=4), Steer(probe=(1, 2, 6))),
        (Seen(length=8, red=(4,), running=(2, 8), slots=2), Steer(stop=(8,), probe=(1,))),
        (Seen(length=4, green=(2,), red=(3,), running=(4,)), Steer(land=2, suspect=3, again=True, stop=(4,))),
        (Seen(length=4, red=(1,), rate=0.3), Steer(suspect=1, again=False)),
    ],
)
def test_what_is_done_next(seen, done):
    assert steer(seen) == done


@pytest.mark.parametrize(
    ("rate", "slots", "size"), [(0.0, 1, 32), (0.01, 1, 32), (0.05, 1, 10), (0.1, 1, 5), (0.5, 1, 1), (0.5, 8, 4)]
)
def test_a_batch_is_smaller_the_more_changes_are_bad(rate, slots, size):
    assert batch_size(rate, slots) == size


def test_the_rate_follows_what_gates_say():
    rate = Rate()
    assert rate.value == pytest.approx(0.1)
    assert rate.after_green(8).value < 0.1 < rate.after_culprit().value
    assert rate.after_flake().value == pytest.approx(0.1)
    assert rate.after_flake().flake > rate.flake > rate.after_green(1).flake

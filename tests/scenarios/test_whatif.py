"""Stories of `whatif`: the queue's own past, put into a queue of other slots."""

from __future__ import annotations

import pytest

from gluerun.edge.whatif import whatif
from gluerun.errors import UsageError
from gluerun.testing import SimHouse


def worked(count=6, **more):
    """A house in which some tasks were accepted at once, one of them red with the others."""
    house = SimHouse(max_retries=0, **more)
    house.gate(lambda tree: int({"src/TASK-0001.txt", "src/TASK-0002.txt"} <= tree.keys()))
    for number in range(1, count + 1):
        house.given(f"TASK-{number:04}", priority=count - number)
    return house.until_quiet()


def test_more_slots_land_the_same_changes_sooner():
    house = worked()
    found = whatif(house.open(), (1, 4), 600, 200)

    assert (found.landed, found.sent_back, found.withdrawn) == (5, 1, 0)
    assert found.gate_runs == len(house.events("integration.started"))
    assert (found.gate_seconds, found.gate_seconds_from) == (600, "given")
    assert [(one.slots, one.is_now) for one in found.lines] == [(1, False), (2, True), (4, False)]
    assert all((one.landed, one.sent_back) == (5, 1) for one in found.lines)
    slow, now, fast = (one.latency_p95 for one in found.lines)
    assert slow > now > fast >= 600


def test_nothing_to_reckon_with_is_said_and_what_cannot_be_reckoned_with_is_refused():
    fresh = whatif(SimHouse().open(), (), None, 200)
    assert (fresh.landed, fresh.lines) == (0, ())

    house = worked(1).open()
    odd = (((33,), 1, 9, "--slots 33"), ((), 0, 9, "--gate-seconds 0"), ((), 1, 0, "--landings 0"))
    for slots, seconds, landings, word in odd:
        with pytest.raises(UsageError, match=word):
            whatif(house, slots, seconds, landings)
    assert whatif(house, (), 5, 200).landed == 1

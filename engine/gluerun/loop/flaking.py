"""What a run of the gates shows of their flakes is counted, once."""

from __future__ import annotations

from gluerun.core import flakes
from gluerun.loop.evidence import RECEIPT
from gluerun.records.gate import GateCheck

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.loop.house import House


def count(house: House, run_id: str, red: GateCheck | None) -> tuple[str, ...]:
    """Count a run among what is known of flakes, *red* being what its gates said before, on the same commit.

    Return what made it red if all of that is known.
    """
    check = house.store.known(GateCheck, run_id, RECEIPT)
    if check is None:
        return ()
    state = house.store.flakes()
    after = flakes.counted(state, run_id, check, red, house.now())
    if after.flakes != state.flakes:
        house.store.put_flakes(after)
    return flakes.only_flaky(check, flakes.known(after, house.now()))


def count_worker(house: House, run_id: str) -> None:
    """Count the gates of an accepted run, where a flake is known or the run met one."""
    red = house.store.known(GateCheck, run_id, flakes.RED_RECEIPT)
    if red is not None or house.store.flakes().flakes:
        count(house, run_id, red)

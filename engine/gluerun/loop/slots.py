"""The slots of gates: a place, ports and a cache of its own for each, which one run at a time has, and the next again.

Who has a slot is a record, and how long is no question of time: as long as anybody of the run's tree lives. So nothing
has to be given back, and a slot is never taken from under a gate that still runs.
"""

from __future__ import annotations

from gluerun.errors import SchemaError
from gluerun.loop.rescue import begin_lasting, drop_place
from gluerun.loop.store import SLOTS
from gluerun.records import schema
from gluerun.records.dispatch import Life
from gluerun.records.slot import SlotLease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.loop.house import House
    from gluerun.records.dispatch import Dispatch

# How many ports a slot has to itself.
PORTS = 100
# How often a run that has ended is given another second to leave.
PATIENCE = 10


def place_of(house: House, slot: int) -> str:
    """Return where the gates of a slot work."""
    return house.place(f"gate-{slot}")


def cache_of(house: House, slot: int) -> str:
    """Return the folder that the gates of a slot hand on to each other."""
    return house.place(f"gate-{slot}.cache")


def words_of(house: House, slot: int) -> dict[str, str]:
    """Return what a gate may know of its slot, by the names of its variables."""
    first = house.config.gate_port_base + PORTS * slot
    return {"SLOT": str(slot), "PORT_BASE": str(first), "CACHE_DIR": cache_of(house, slot)}


def begin(house: House, dispatch: Dispatch, slot: int, commit: str) -> str:
    """Take a slot and make its place right for *commit*; return "", or who has the slot still."""
    holder = _holder(house, slot, dispatch)
    if holder and (left := _left(house, holder)):
        return f"{left} in gate slot {slot}"
    with house.doors.locks.git():
        if (other := _holder(house, slot, dispatch)) != holder:
            return f"{other} has just begun in gate slot {slot}"
        lease = SlotLease(slot=slot, run_id=dispatch.run_id, taken_at=house.now())
        house.store.files.write(_path(slot), schema.dump(lease))
        begin_lasting(house, dispatch, place_of(house, slot), commit)
    return ""


def known(house: House) -> dict[int, str]:
    """Return the slots that were ever taken, each with the run that took it last."""
    found = {}
    for name in house.store.files.names(SLOTS):
        number = name.removesuffix(".json")
        if number.isdecimal():
            found[int(number)] = _last(house, int(number))
    return found


def give_up(house: House, slot: int) -> None:
    """Remove the place and the cache of a slot that nobody has, and forget it."""
    with house.doors.locks.git():
        for place in (place_of(house, slot), cache_of(house, slot)):
            drop_place(house, None, f"gate-{slot}", place)
    house.store.files.remove(_path(slot))


def _left(house: House, holder: str) -> str:
    """Wait until a run has left, or end what it left behind; say so if neither helps."""
    processes = house.doors.processes
    for _ in range(PATIENCE):
        life = processes.life(holder)
        if life is Life.DEAD:
            return ""
        if life is Life.ORPHANED:
            # No answer can come of it any more: whoever could write one is gone.
            is_gone = processes.end(holder, grace=house.config.kill_grace_sec)
            return "" if is_gone else f"somebody of {holder} lives on, and cannot be ended,"
        house.doors.watch.wait((holder,), 1.0)
    return f"{holder} is still at work"


def _holder(house: House, slot: int, dispatch: Dispatch) -> str:
    """Return which other run had the slot last; empty if none had, or if nobody can read who."""
    last = _last(house, slot)
    return "" if last == dispatch.run_id else last


def _last(house: House, slot: int) -> str:
    data = house.store.files.read(_path(slot))
    try:
        lease = None if data is None else schema.load(SlotLease, data, file=_path(slot))
    except SchemaError:
        return ""
    return "" if lease is None else lease.run_id


def _path(slot: int) -> str:
    return f"{SLOTS}/{slot}.json"

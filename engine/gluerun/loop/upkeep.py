"""What a cycle does once in a while for the house itself: the disk is watched, and once a day things are tidied."""

from __future__ import annotations

from gluerun.core.launch import low_disk
from gluerun.core.timers import LOG, LOG_BYTES, OLD_LOG
from gluerun.loop.observe import TASKS, mark_text
from gluerun.ports import BALLAST
from gluerun.records.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import Notes
    from gluerun.records.origin import CycleMemory


_MB = 1_000_000


def give_way(house: House) -> None:
    """Give up the ballast when so little is left that git could fail, too: what is under way has to end well."""
    size, files = house.config.ballast_mb * _MB, house.doors.state
    if files.free_bytes() < size and files.remove(BALLAST):
        house.tell("disk.ballast", "the disk is full: the space that was held back is given up")


def sweep_inputs(house: House) -> None:
    """Remove what a verb that was cut left half-written among the task files, where anything there has changed."""
    folder = house.doors.work.mark(TASKS)
    if folder is not None and mark_text(folder) != house.store.memory().tasks_folder:
        house.doors.work.sweep(TASKS)


def bound_log(house: House) -> None:
    """Let what a timer prints not fill the disk: its end is kept aside, and it begins anew.

    In place, because the system holds it open for as long as a resident loop lives.
    """
    files = house.doors.state
    mark = files.mark(LOG)
    if mark is not None and mark.size > LOG_BYTES:
        files.write(OLD_LOG, files.tail(LOG, LOG_BYTES), durable=False)
        files.empty(LOG)


def watch_disk(house: House, world: World, memory: CycleMemory) -> CycleMemory:
    """Tell when the disk gets low and when it is no longer; return the memory that knows it."""
    words = low_disk(world)
    if not words:
        _hold_back(house, world.free_bytes - int(world.config.min_disk_gb * 1e9))
    if bool(words) == memory.low_disk:
        return memory
    free = f"{world.free_bytes / 1e9:.1f} GB free"
    house.tell("disk.low" if words else "disk.enough", words or free, free=world.free_bytes)
    return replace(memory, low_disk=bool(words))


def _hold_back(house: House, roomy: int) -> None:
    """See to the ballast while *roomy* bytes more than enough are free."""
    size, files = house.config.ballast_mb * _MB, house.doors.state
    mark = files.mark(BALLAST)
    if mark is not None and not size:
        files.remove(BALLAST)
    elif size and roomy > 2 * size and (mark is None or mark.size != size):
        files.hold_back(size)


def upkeep(house: House, world: World, memory: CycleMemory, notes: Notes) -> CycleMemory:
    """Once a day, while nobody works: let git tidy its store and, if it is wanted, give up old runs.

    A candidate that waits is on no ref yet, so nothing is tidied while one does.
    """
    today = f"{world.now:%Y-%m-%d}"
    if memory.upkeep_day == today or world.leases or world.node_leases or any(task.proof for task in world.tasks):
        return memory
    if memory.upkeep_day:
        with house.doors.locks.git():
            house.doors.git.sweep()
            if why := house.doors.git.maintain():
                notes.trouble.append(f"git could not tidy its store: {why}")
        if house.config.gc.auto and not world.broken:
            from gluerun.loop.collecting import tidy  # once a day, and only where it is wanted

            tidy(house)
    return replace(memory, upkeep_day=today)

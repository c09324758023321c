"""The resident loop: cycles until nothing is left to do, or until it is stopped or out of its hours."""

from __future__ import annotations

from gluerun.core.outlook import outlook
from gluerun.errors import BusyError, OtherHostError
from gluerun.loop.hosting import holder, new_origin_run
from gluerun.loop.reconcile import cycle, drain
from gluerun.loop.report import merged
from gluerun.records.record import record, replace
from gluerun.records.task import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import CycleReport

    Tell = Callable[[CycleReport, World], None]

# An order wakes a loop, an edited file does not: it looks at least this often.
_LONGEST_SLEEP = 5.0
# Somebody else's cycle takes a moment; a resident loop waits for its turn.
_BUSY_SLEEP = 0.5


@record
class AutoReport:
    """What `gluerun auto` answers when it ends."""

    SCHEMA = "auto.v0"

    why: str
    cycles: int
    seconds: float
    integrated: tuple[str, ...]
    parked: tuple[str, ...]
    waiting: tuple[str, ...]
    dispatched: int
    trouble: tuple[str, ...]


def auto(house: House, *, forever: bool = False, tell: Tell | None = None) -> AutoReport:
    """Run cycles until nothing is left to do; *tell* is called after each with its report and look."""
    with house.doors.locks.resident(holder(house, new_origin_run(house), "auto")):
        return _loop(house, forever=forever, tell=tell)


def once(house: House) -> CycleReport:
    """Run one cycle and drain what it started."""
    report, _ = cycle(house, "actuate")
    return merged(report, drain(house))


def _loop(house: House, *, forever: bool, tell: Tell | None) -> AutoReport:
    # Its hours are those in which the machine was awake: somebody may set the clock.
    started = house.doors.clock.awake()
    longest = house.config.max_hours * 3600
    total: CycleReport | None = None
    cycles = 0
    while True:
        is_late = house.doors.clock.awake() - started >= longest
        try:
            report, world = cycle(house, "drain" if is_late else "actuate")
        except OtherHostError:
            raise
        except BusyError:
            house.doors.watch.wait((), _BUSY_SLEEP)
            continue
        cycles += 1
        total = report if total is None else merged(total, report)
        total = replace(total, actions=())
        if tell is not None:
            tell(report, world)
        ahead = outlook(world, min(house.config.sleep, _LONGEST_SLEEP))
        over = ahead.over or (f"its {house.config.max_hours:g} hours are over" if is_late and not ahead.runs else "")
        if over and (not forever or is_late or world.stop):
            return _summary(total, world, over, cycles, float(house.doors.clock.awake() - started))
        house.doors.watch.wait(ahead.runs, ahead.seconds)


def _summary(total: CycleReport, world: World, why: str, cycles: int, seconds: float) -> AutoReport:
    return AutoReport(
        why=why,
        cycles=cycles,
        seconds=seconds,
        integrated=total.integrated,
        parked=tuple(task.task_id for task in world.tasks if task.status is Status.BLOCKED),
        waiting=tuple(task.task_id for task in world.tasks if task.status is not Status.BLOCKED),
        dispatched=len(total.dispatched),
        trouble=total.trouble,
    )

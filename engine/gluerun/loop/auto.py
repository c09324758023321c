"""The resident loop: cycles until nothing is left to do, or until it is stopped or a budget of it is used up."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from gluerun.core.actions import Start
from gluerun.core.budgets import Used, tasks_done, used_up, with_day, within
from gluerun.core.outlook import may_prove, outlook
from gluerun.errors import BusyError, FullDiskError
from gluerun.loop import telling
from gluerun.loop.booking import spent_today
from gluerun.loop.hosting import holder, new_origin_run
from gluerun.loop.house import House
from gluerun.loop.reconcile import cycle, drain, turn
from gluerun.loop.report import merged
from gluerun.loop.resident import refreshed, sign_in
from gluerun.records.record import record, replace
from gluerun.records.task import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gluerun.core.actions import Action
    from gluerun.core.world import World
    from gluerun.loop.report import CycleReport
    from gluerun.loop.resident import Reopen

    Tell = Callable[[CycleReport, World], None]
    Complain = Callable[[str], None]

# An order wakes a loop, an edited file does not: it looks at least this often.
_LONGEST_SLEEP = 5.0
# A full disk is looked at again after this long.
_FULL_SLEEP = 30.0


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


def auto(
    house: House,
    *,
    forever: bool = False,
    tell: Tell | None = None,
    reopen: Reopen | None = None,
    complain: Complain | None = None,
) -> AutoReport:
    """Run cycles until nothing is left to do; *tell* is called after each with its report and look.

    *reopen* is asked before each whether the configuration has changed; *complain* hears what the loop waits out.
    """
    origin_run = new_origin_run(house)
    with house.doors.locks.resident(holder(house, origin_run, "auto")):
        loop = _Loop(house, origin_run, tell, reopen, complain)
        try:
            report = loop.run(forever=forever)
        finally:
            loop.house.doors.processes.dismiss()
    if house.config.notifies:
        telling.tell_end(house, origin_run, _told(report))
    return report


def once(house: House) -> CycleReport:
    """Run one cycle and drain what it started."""
    report, _ = cycle(house, "actuate")
    return merged(report, drain(house))


class _Loop:
    """One resident loop: by which settings, for how long, and what came of it so far."""

    def __init__(
        self, house: House, origin_run: str, tell: Tell | None, reopen: Reopen | None, complain: Complain | None
    ) -> None:
        self.house = house
        self.own = sign_in(house, origin_run)
        self.tell = tell
        self.reopen = reopen
        # Its hours are those in which the machine was awake: somebody may set the clock.
        self.started = house.doors.clock.awake()
        self.used = Used()
        self.asked: set[str] = set()
        self.cycles = 0
        self.total: CycleReport | None = None
        self.complain = complain
        self.waits_for_room = False
        house.tell("autonomate.started", f"{origin_run} runs cycles", run_id=origin_run)

    def run(self, *, forever: bool) -> AutoReport:
        """Run cycles to the end."""
        while True:
            late = ""
            try:
                if self.reopen is not None:
                    before = self.house
                    self.house, self.own = refreshed(before, self.own, self.reopen)
                    if self.house is not before:
                        before.doors.processes.dismiss()  # nobody asks these doors any more
                house = self.house
                self._count(house)
                late = used_up(house.config, self.used)
                took = turn(house, partial(cycle, house, "drain" if late else "actuate", afford=self._afford))
            except FullDiskError as error:
                if late:
                    raise
                self._wait_for_room(error)
                continue
            self.waits_for_room = False
            if took is None:
                continue
            report, world = took
            self._take(report, world)
            ahead = outlook(world, min(house.config.sleep, _LONGEST_SLEEP))
            late = "" if ahead.runs else late or tasks_done(world, self.used)
            over = late or ahead.over
            if over and (not forever or late or world.stop):
                return self._summary(world, over)
            self._stand_by(world)
            house.doors.watch.wait(ahead.runs, ahead.seconds)

    def _stand_by(self, world: World) -> None:
        """Keep a process at hand for the next proof while one may come: its loading is what would take longest."""
        processes = self.house.doors.processes
        if may_prove(world):
            processes.stand_by(self.house.new_run())
        else:
            processes.dismiss()

    def _wait_for_room(self, error: FullDiskError) -> None:
        """Sit out a full disk: what is under way goes on without a loop, and nobody would come back to it."""
        if not self.waits_for_room and self.complain is not None:
            self.complain(f"{error.message}; the loop waits until there is room")
        self.waits_for_room = True
        doors = self.house.doors
        # As a new process would begin: what the cut cycle had in hand is done again.
        self.house = House(doors, self.house.config)
        doors.watch.wait((), _FULL_SLEEP)

    def _afford(self, actions: list[Action]) -> list[Action]:
        """Return the starts that the budget has room for, also for what this very cycle has booked."""
        self._count(self.house)
        if used_up(self.house.config, self.used):
            return []
        kept = within(self.house.config, self.used.tasks | self.asked, actions)
        self.asked |= {one.task_id for one in kept if isinstance(one, Start)}
        return kept

    def _count(self, house: House) -> None:
        self.used = replace(self.used, seconds=float(house.doors.clock.awake() - self.started))
        if house.config.max_usd:
            self.used = with_day(self.used, spent_today(house).usd)

    def _take(self, report: CycleReport, world: World) -> None:
        self.cycles += 1
        self.asked.clear()
        self.used = replace(self.used, tasks=self.used.tasks.union(report.dispatched))
        self.total = replace(report if self.total is None else merged(self.total, report), actions=())
        if self.tell is not None:
            self.tell(report, world)

    def _summary(self, world: World, why: str) -> AutoReport:
        total = self.total
        self.house.tell("autonomate.exited", why, run_id=self.own.run_id)
        with suppress(BusyError), self.house.doors.locks.origin(holder(self.house, self.own.run_id)):
            self.house.journal.flush()
            self.house.anchor()
        return AutoReport(
            why=why,
            cycles=self.cycles,
            seconds=float(self.house.doors.clock.awake() - self.started),
            integrated=total.integrated if total else (),
            parked=tuple(task.task_id for task in world.tasks if task.status is Status.BLOCKED),
            waiting=tuple(task.task_id for task in world.tasks if task.status is not Status.BLOCKED),
            dispatched=len(total.dispatched) if total else 0,
            trouble=total.trouble if total else (),
        )


def _told(report: AutoReport) -> dict[str, object]:
    return {
        "why": report.why,
        "integrated": list(report.integrated),
        "parked": list(report.parked),
        "waiting": list(report.waiting),
    }

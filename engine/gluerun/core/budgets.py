"""What one resident loop may use up before it starts nothing new: hours, money, tasks."""

from __future__ import annotations

from gluerun.core.actions import Start, StartPlanner
from gluerun.core.outlook import moving
from gluerun.records.record import record, replace
from gluerun.records.task import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from gluerun.core.actions import Action
    from gluerun.core.world import World
    from gluerun.records.config import Config


@record
class Used:
    """What a loop has used up so far. `day_usd` is the day's sum at the last look, its own and everybody's."""

    seconds: float = 0.0
    usd: float = 0.0
    day_usd: float | None = None
    tasks: frozenset[str] = frozenset()


def with_day(used: Used, day_usd: float) -> Used:
    """Return *used* after the day's sum was looked at again; a smaller sum is another day's."""
    if used.day_usd is None:
        return replace(used, day_usd=day_usd)
    more = day_usd - used.day_usd if day_usd >= used.day_usd else day_usd
    return replace(used, usd=used.usd + more, day_usd=day_usd)


def used_up(config: Config, used: Used) -> str:
    """Say why a resident loop starts nothing at all any more; empty if it may. A budget of 0 is none."""
    if 0 < config.max_hours * 3600 <= used.seconds:
        return f"its {config.max_hours:g} hours are over"
    # Sums of many small prices: a cent's millionth does not count.
    if 0 < config.max_usd <= used.usd + 1e-9:
        return f"its ${config.max_usd:g} are spent"
    return ""


def tasks_done(world: World, used: Used) -> str:
    """Say that a loop has started as many tasks as it may and that all of them are settled; else empty."""
    if not 0 < world.config.max_tasks <= len(used.tasks):
        return ""
    still = {task.task_id for task in moving(world)}
    still |= {task.task_id for task in world.tasks if task.status is Status.READY}
    return "" if still & used.tasks else f"its {world.config.max_tasks} tasks are done"


def within(config: Config, tasks: Iterable[str], actions: Iterable[Action]) -> list[Action]:
    """Return *actions* without starts beyond the budget, of which *tasks* had theirs: those may be tried again.

    Nor is a planner started for tasks that could not be.
    """
    known = set(tasks)
    found: list[Action] = []
    for action in actions:
        is_full = 0 < config.max_tasks <= len(known)
        if is_full and isinstance(action, StartPlanner):
            continue
        if isinstance(action, Start):
            if is_full and action.task_id not in known:
                continue
            known.add(action.task_id)
        found.append(action)
    return found

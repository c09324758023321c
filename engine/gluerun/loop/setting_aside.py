"""A broken file of ours goes out of the way, and nothing goes with it: no work, no run that lives on, no epoch."""

from __future__ import annotations

import re

from gluerun.loop.booking import book
from gluerun.loop.publishing import restore
from gluerun.loop.rescue import tidy_run
from gluerun.loop.settling import clear_places
from gluerun.loop.store import LEASES, LIVE, NODE_LEASES
from gluerun.records import names
from gluerun.records.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.actions import SetAside
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import Notes

_EPOCH = re.compile(rb'"epoch": ?([0-9]{1,9})\b')


def set_aside(house: House, world: World, action: SetAside, notes: Notes) -> bool:
    """Keep a broken file elsewhere, and put what is known of it in its place; may be cut anywhere and done again."""
    path, reason = action.path, action.reason
    folder, _, name = path.rpartition("/")
    subject = name.removesuffix(".json")
    if folder in (LEASES, NODE_LEASES) and not _end_runs(house, world, path, subject):
        notes.trouble.append(f"{reason}; some process of its run could not be ended")
        return False
    if folder == LIVE and names.is_task(subject):
        house.store.put_floor(subject, _highest_epoch(house, world, subject))
        # Without a record its Markdown is new again, and must be read although its folder is as it was.
        house.store.put_memory(replace(house.store.memory(), tasks_folder=""), durable=True)
    notes.has_seen_inputs = False
    place = house.store.copy_aside(path)
    restored = restore(house, path)
    if not restored:
        house.store.files.remove(path)
    now = f"moved to {place}{', its published state restored' if restored else ''}"
    house.tell("state.set_aside", f"{reason}; {now}", path=path)
    notes.trouble.append(f"{reason}; it was {now}")
    return True


def _end_runs(house: House, world: World, path: str, subject: str) -> bool:
    """End the runs that a broken lease may have been about, and tidy up behind them; False if one lives on."""
    task = world.task(subject)
    found = set(re.findall(names.RUN.strip("^$"), (house.store.files.read(path) or b"").decode("utf-8", "replace")))
    if task is not None:
        found = {task.run_id} if task.run_id and task.run_id != task.settled_run else set()
    elif not found:
        found = {run for run, data in _dispatches(house) if f'"node": "{subject}"'.encode() in data}
    for run_id in sorted(found):
        if not house.doors.processes.end(run_id, grace=house.config.kill_grace_sec):
            return False
        if task is not None:
            clear_places(house, task, run_id, "its lease was broken")
        else:
            tidy_run(house, run_id)
        book(house, run_id)
    return True


def _highest_epoch(house: House, world: World, task_id: str) -> int:
    """Return the highest epoch under which anybody was ever started on a task."""
    lease = world.lease(task_id)
    found = [house.store.floor(task_id), lease.epoch if lease else 0]
    for _, data in _dispatches(house):
        if f'"{task_id}"'.encode() in data and (epoch := _EPOCH.search(data)):
            found.append(int(epoch[1]))
    return max(found)


def _dispatches(house: House) -> list[tuple[str, bytes]]:
    """Return what every run was asked, as it stands there: slow, and hardly ever needed."""
    runs = house.store.files.names("runs")
    return [(run, house.store.files.read(f"runs/{run}/dispatch.json") or b"") for run in runs]

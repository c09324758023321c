"""`reconcile --actuate` as a timer types it: a cycle without the frame of the command line, and its quiet note."""

from __future__ import annotations

import os
import sys
import time

from gluerun import quiet
from gluerun.cli.show import show, warn
from gluerun.cli.words import cycle_text
from gluerun.core.due import next_due
from gluerun.core.plan import plan_cycle
from gluerun.errors import GluerunError
from gluerun.loop.noticing import noticing
from gluerun.loop.observe import observe
from gluerun.loop.reconcile import reconcile
from gluerun.records.codec import encode, to_wire
from gluerun.settings import FILE, SHELL_FILES, require_actable
from gluerun.wiring import STATE, open_house

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.loop.house import House
    from gluerun.loop.noticing import Noticed
    from gluerun.loop.report import CycleReport

# A note is never believed for longer, whatever it says: who knows what nobody thought of.
_LONGEST = 3600.0
# More than this is looked at only when a whole folder is read again; the next cycle sees less.
_MANY = 5000
# What is read on the way to a cycle, or by others than its look.
_ALSO = (
    FILE,
    *SHELL_FILES,
    ".gluerun-version",
    ".git/packed-refs",
    f"{STATE}/landing.json",
    f"{STATE}/STATUS.md",
    f"{STATE}/inbox/orders",
    f"{STATE}/inbox/proposals",
)


def cycle(mode: str, *, as_json: bool) -> bool:
    """Run a cycle in the repository whose top level we stand in; False, with nothing done, if we do not."""
    root = os.getcwd()  # noqa: PTH109 pathlib is a dear import
    if not os.path.isdir(f"{root}/.git"):  # noqa: PTH112
        return False
    house = open_house(root)
    require_actable(house.config)
    watched, noticed = noticing(house)
    report = reconcile(watched, mode)
    show(report, as_json=as_json, words=lambda: _words(report))
    if report.quiet and not report.trouble:
        remember(house, report, noticed, time.time())
    return True


def remember(house: House, report: CycleReport, noticed: Noticed, now: float) -> bool:
    """Leave a note if a second look finds nothing either; tell whether there is one now.

    The marks are taken before the look: what changes later than they were taken does not pass unseen.
    """
    try:
        note = _note(house, report, noticed, now)
        if note is None:
            return False
        house.doors.state.write(quiet.NOTE, note, durable=False)
    except (GluerunError, OSError, ValueError, KeyError, TypeError):
        return False  # a cache that cannot be written is no trouble
    return True


def _note(house: House, report: CycleReport, noticed: Noticed, now: float) -> bytes | None:
    root = house.doors.root
    marks = quiet.marks(root, noticed.paths.union(_ALSO)) if len(noticed.paths) <= _MANY else {}
    if not marks or not quiet.is_settled(marks, now) or any(marks[file] for file in SHELL_FILES):
        return None
    refs = quiet.refs(root, noticed.branches)
    watched, again = noticing(house)
    world = observe(watched, report.run_id).world
    is_low = world.free_bytes < house.config.min_disk_gb * 1e9
    if plan_cycle(world) or again.unclear or is_low or not noticed.covers(again):
        return None
    due = next_due(world)
    document = {
        "house": quiet.house(),
        "marks": marks,
        "refs": refs,
        "machine": quiet.machine() if again.runs else [],
        "runs": {run_id: _who(house, run_id) for run_id in again.runs},
        "minFree": house.config.min_disk_gb * 1e9,
        "since": now,
        "until": min(now + _LONGEST, due.timestamp()) if due else now + _LONGEST,
        "words": cycle_text(report),
        "report": to_wire(report),
    }
    note = encode(document)
    return note if quiet.holds(root, quiet.Note(note.decode()), now) else None


def _who(house: House, run_id: str) -> list[int]:
    """Return the process and birth of a run's wrapper, as it signed in."""
    signed = house.store.document(run_id, "identity.json")
    return [signed["pid"], signed["startTicks"]]


def _words(report: CycleReport) -> None:
    for trouble in report.trouble:
        warn(trouble)
    sys.stdout.write(cycle_text(report))

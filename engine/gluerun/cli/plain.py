"""`reconcile --actuate` as a timer types it: a cycle without the frame of the command line, and its quiet note."""

from __future__ import annotations

import json
import os
import sys
import time

from gluerun import quiet
from gluerun.cli.show import show, warn
from gluerun.cli.words import cycle_text
from gluerun.core.due import next_due
from gluerun.errors import GluerunError
from gluerun.loop import reconcile
from gluerun.loop.noticing import noticing
from gluerun.records.codec import to_wire
from gluerun.settings import FILE, SHELL_FILES, read_file, require_actable
from gluerun.wiring import STATE, open_house

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.noticing import Noticed
    from gluerun.loop.report import CycleReport

# A note is never believed for longer, whatever it says: who knows what nobody thought of.
_LONGEST = 3600.0
# More than this is looked at only when a whole folder is read again; the next cycle sees less.
_MANY = 5000
# What is not read through the doors of a look.
_ALSO = (
    ".gluerun-version",
    ".git/packed-refs",
    f"{STATE}/landing.json",
    f"{STATE}/STATUS.md",
    f"{STATE}/inbox/orders",
    f"{STATE}/inbox/proposals",
)


def cycle(mode: str, *, as_json: bool) -> bool:
    """Run a cycle in the repository whose top level we stand in; False, with nothing done, if we do not."""
    started = time.time()
    root = os.getcwd()  # noqa: PTH109 pathlib is a dear import
    if not os.path.isdir(f"{root}/.git"):  # noqa: PTH112
        return False
    read = settings_files(root)
    house = open_house(root)
    require_actable(house.config)
    if mode != "actuate" or not house.config.detached_dispatch:
        _show(reconcile.reconcile(house, mode), as_json=as_json)
        return True
    watched, noticed = noticing(house)
    noticed.paths.update(read)
    report, world = reconcile.cycle(watched, mode)
    _show(report, as_json=as_json)
    if report.quiet and not report.trouble:
        remember(house, report, world, noticed, started)
    return True


def settings_files(root: str) -> dict[str, bool]:
    """Tell which of the files that hold settings are there."""
    return {file: quiet.mark(f"{root}/{file}") is not None for file in (FILE, *SHELL_FILES)}


def remember(house: House, report: CycleReport, world: World, noticed: Noticed, started: float) -> bool:
    """Leave a note of a cycle that found nothing; tell whether there is one now.

    All that the cycle looked at must be as it was seen, and settled since before it *started*: then nothing
    can have changed between its look and the marks that are taken now.
    """
    try:
        note = _note(house, report, world, noticed, started)
        if note is None:
            return False
        house.doors.state.write(quiet.NOTE, note, durable=False)
    except (GluerunError, OSError, ValueError, KeyError, TypeError):
        return False  # a cache that cannot be written is no trouble
    return True


def _note(house: House, report: CycleReport, world: World, noticed: Noticed, started: float) -> bytes | None:
    root, config = house.doors.root, house.config
    if noticed.unclear or len(noticed.paths) > _MANY or world.free_bytes < config.min_disk_gb * 1e9:
        return None
    marks = quiet.marks(root, {*noticed.paths, *_ALSO})
    refs = quiet.refs(root, set(noticed.heads))
    if not quiet.is_settled(marks, started) or not _is_as_seen(root, noticed, marks, refs):
        return None
    due = _earlier(next_due(world), house.store.memory().records_due)
    document = {
        "house": quiet.house(),
        "marks": marks,
        "refs": refs,
        "machine": quiet.machine() if noticed.runs else [],
        "runs": {run_id: _who(house, run_id) for run_id in noticed.runs},
        "minFree": config.min_disk_gb * 1e9,
        "since": started,
        "until": min(started + _LONGEST, due.timestamp()) if due else started + _LONGEST,
        "words": cycle_text(report),
        "report": to_wire(report),
    }
    text = json.dumps(document)
    return text.encode() if quiet.holds(root, quiet.Note(text), started) else None


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(one, other) if one is not None and other is not None else one or other


def _is_as_seen(root: str, noticed: Noticed, marks: dict[str, list[int] | None], refs: dict[str, str]) -> bool:
    """Tell whether what is there now is what the cycle saw; a shell file may say something else each time."""
    if any(noticed.paths[file] for file in SHELL_FILES):
        return False
    if any((marks[path] is not None) is not was_there for path, was_there in noticed.paths.items()):
        return False
    packed = _packed(root)
    return all(
        (refs[branch].strip() or packed.get(f"refs/heads/{branch}", "")) == head
        for branch, head in noticed.heads.items()
    )


def _packed(root: str) -> dict[str, str]:
    """Return the refs that git has put into one file."""
    data = read_file(f"{root}/.git/packed-refs") or b""
    lines = [line.split(" ") for line in data.decode("utf-8", "surrogateescape").splitlines()]
    return {words[1]: words[0] for words in lines if len(words) == 2 and not words[0].startswith(("#", "^"))}


def _who(house: House, run_id: str) -> list[int]:
    """Return the process and birth of a run's wrapper, as it signed in."""
    signed = house.store.document(run_id, "identity.json")
    return [signed["pid"], signed["startTicks"]]


def _show(report: CycleReport, *, as_json: bool) -> None:
    def words() -> None:
        for trouble in report.trouble:
            warn(trouble)
        sys.stdout.write(cycle_text(report))

    show(report, as_json=as_json, words=words)

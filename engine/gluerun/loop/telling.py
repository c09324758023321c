"""Telling a person: what needs them, each once, and that a loop has ended. It changes nothing but its own record.

First the record says what is due, then it is told, then the record says so: a crash in between tells it twice
rather than never. What could not be told is journalled and not tried again: `gluerun status` says it anyway.
"""

from __future__ import annotations

from contextlib import suppress

from gluerun.core.board import board
from gluerun.core.knowing import Known
from gluerun.core.masking import masked_text
from gluerun.core.notices import all_told, noticed
from gluerun.errors import BusyError, SchemaError
from gluerun.loop.hosting import holder
from gluerun.records import schema
from gluerun.records.resident import Notices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gluerun.core.world import World
    from gluerun.loop.house import House

PATH = "notices.json"
NEEDS_YOU, ENDED = "needs-you", "ended"


def write_down(house: House, world: World) -> Notices:
    """Write down what needs a person and what of it is due to be told. The origin lock is held."""
    before = _notices(house)
    after = noticed(before, board(world, Known(loop="this one", refusals=house.store.memory().refusals)).needs_you)
    if after != before:
        house.store.files.write(PATH, schema.dump(after))
    return after


def tell_needs(house: House, origin_run: str, notices: Notices) -> None:
    """Tell what is due, and write down that it was told. No lock is held meanwhile."""
    why = _send(house, {"event": NEEDS_YOU, "needs": list(notices.due)})
    with suppress(BusyError), house.doors.locks.origin(holder(house, origin_run)):
        if _notices(house) == notices:
            house.store.files.write(PATH, schema.dump(all_told(notices)))
        _note(house, why)


def tell_end(house: House, origin_run: str, summary: dict[str, Any]) -> None:
    """Tell that a resident loop has ended, and why."""
    why = _send(house, {"event": ENDED, **summary})
    if why:
        with suppress(BusyError), house.doors.locks.origin(holder(house, origin_run)):
            _note(house, why)


def _note(house: House, why: str) -> None:
    if why:
        house.tell("notification.failed", why)
    house.journal.flush()


def _send(house: House, document: dict[str, Any]) -> str:
    document = {"repository": house.doors.root.rpartition("/")[2], "at": f"{house.now():%Y-%m-%dT%H:%M:%SZ}"} | document
    config, messenger = house.config, house.doors.messenger
    failed = []
    if config.notify_command:
        failed.append(messenger.run(config.notify_command, document))
    if config.notify_webhook:
        failed.append(messenger.post(config.notify_webhook, document))
    return masked_text("; ".join(why for why in failed if why))


def _notices(house: House) -> Notices:
    data = house.store.files.read(PATH)
    with suppress(SchemaError):
        return Notices() if data is None else schema.load(Notices, data, file=PATH)
    return Notices()

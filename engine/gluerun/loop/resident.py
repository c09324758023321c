"""What a resident loop says of itself, and how it changes its settings under way.

Nothing is flushed here: the journal has one writer, and that is who holds the origin lock.
"""

from __future__ import annotations

from contextlib import suppress

from gluerun import assets
from gluerun.core.masking import masked_text
from gluerun.errors import ConfigError, SchemaError
from gluerun.records import schema
from gluerun.records.record import replace
from gluerun.records.resident import Resident
from gluerun.settings_table import BY_FIELD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gluerun.loop.house import House
    from gluerun.ports import Files
    from gluerun.records.config import Config

    # Opens the house again if a byte of its configuration has changed, else None; ConfigError if it cannot be used.
    Reopen = Callable[[], House | None]

PATH = "resident.json"
# What a loop was started for: with another value it would be another loop.
_UNCHANGING = ("target_branch", "control_state")


def resident(files: Files) -> Resident | None:
    """Return what the last resident loop said of itself; None if there was none."""
    data = files.read(PATH)
    with suppress(SchemaError):
        return None if data is None else schema.load(Resident, data, file=PATH)
    return None


def sign_in(house: House, origin_run: str) -> Resident:
    """Say that a resident loop begins, and by which settings. The resident lock is held."""
    found = Resident(
        run_id=origin_run,
        pid=house.doors.clock.pid(),
        started_at=house.now(),
        engine_version=assets.engine_version(),
        config_sha256=house.keep_config(),
    )
    house.store.files.write(PATH, schema.dump(found))
    return found


def refreshed(house: House, own: Resident, reopen: Reopen) -> tuple[House, Resident]:
    """Return the house by its newest usable configuration, and what the loop says of itself now."""
    try:
        newer = reopen()
    except ConfigError as error:
        return house, _say(house, own, trouble=masked_text(error.message))
    if newer is None:
        return house, own
    if why := _unchangeable(house.config, newer.config):
        return house, _say(house, own, trouble=why)
    if newer.config == house.config:
        return house, _say(house, own, trouble="")
    digest = newer.keep_config()
    newer.tell("config.changed", f"the configuration {digest[:12]} is used from now on", config_sha256=digest)
    return newer, _say(newer, own, trouble="", config_sha256=digest)


def _say(house: House, own: Resident, **changes: str) -> Resident:
    after = replace(own, **changes)
    if after != own:
        if after.trouble and after.trouble != own.trouble:
            house.tell("config.refused", f"the loop keeps to its settings: {after.trouble}")
        house.store.files.write(PATH, schema.dump(after))
    return after


def _unchangeable(before: Config, after: Config) -> str:
    """Say which setting differs that cannot change under a living loop; empty if none does."""
    for field in _UNCHANGING:
        if getattr(before, field) != getattr(after, field):
            return f"`{BY_FIELD[field].key}` cannot change under a living loop; end it and start it again"
    return ""

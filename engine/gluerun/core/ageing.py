"""How old something is although anybody may set the clock: what the machine counts itself, else what can be told."""

from __future__ import annotations

from datetime import timedelta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from gluerun.core.world import World


def deadline(world: World, run_id: str, began: datetime, expires: datetime) -> datetime:
    """Return when a run is late, by the clock as it is now.

    Of a run that has signed in under this boot only the seconds count that the machine was awake: neither a
    clock that was set nor a machine that slept makes it late, and none makes it immortal. Of any other run the
    time of day counts; what lies further ahead than the whole lease is late at once, for the clock was set back.
    """
    length = expires - began
    sighting = world.sightings.get(run_id)
    if sighting is not None and sighting.age is not None:
        return world.now + length - timedelta(seconds=sighting.age)
    return expires if expires <= world.now + 2 * length else world.now


def is_late(world: World, run_id: str, began: datetime, expires: datetime) -> bool:
    """Tell whether a run is past its deadline."""
    return world.now >= deadline(world, run_id, began, expires)


def is_within(now: datetime, since: datetime, span: timedelta) -> bool:
    """Tell whether less than *span* has passed since a moment; one that lies ahead is long gone: the clock was set."""
    return since - span <= now < since + span

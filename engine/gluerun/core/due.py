"""When time alone changes what a cycle would do."""

from __future__ import annotations

from datetime import timedelta

from gluerun.core import backoff
from gluerun.core.ageing import deadline
from gluerun.core.gate_runs import waited_for
from gluerun.core.recovery import START_GRACE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from gluerun.core.world import World


def next_due(world: World) -> datetime | None:
    """Return the first moment after this look at which a plan may differ though nothing else does."""
    moments = [deadline(world, lease.run_id, lease.updated_at, lease.expires_at) for lease in world.leases]
    orphan_grace = timedelta(seconds=world.config.orphan_grace)
    moments += [lease.orphaned_since + orphan_grace for lease in world.leases if lease.orphaned_since]
    moments += [deadline(world, lease.run_id, lease.started_at, lease.expires_at) for lease in world.node_leases]
    gates = list(waited_for(world))
    moments += [deadline(world, one.run_id, one.since, one.deadline) for one in gates]
    begun = [(lease.run_id, lease.updated_at) for lease in world.leases]
    begun += [(lease.run_id, lease.started_at) for lease in world.node_leases]
    begun += [(one.run_id, one.since) for one in gates]
    moments += [since + START_GRACE for run_id, since in begun if not _has_signed_in(world, run_id)]
    moments += backoff.moments(world)
    moments += [one.expires_at for one in world.approvals if one.expires_at is not None]
    if world.backoff is not None:
        moments.append(world.backoff.until)
    if world.push_backoff is not None:
        moments.append(world.push_backoff.until)
    moments += [note.until for note in world.plan_notes.values()]
    if world.has_nights:
        from gluerun.core.nightly import next_night  # few repositories have gates of the night

        night = next_night(world)
        moments += [night] if night is not None else []
    return min((moment for moment in moments if moment > world.now), default=None)


def _has_signed_in(world: World, run_id: str) -> bool:
    sighting = world.sightings.get(run_id)
    return sighting is not None and sighting.signed_in

"""When time alone changes what a cycle would do."""

from __future__ import annotations

from datetime import timedelta

from gluerun.core.integration import prover_deadline
from gluerun.core.recovery import START_GRACE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from gluerun.core.world import World


def next_due(world: World) -> datetime | None:
    """Return the first moment after this look at which a plan may differ though nothing else does."""
    moments = [lease.expires_at for lease in world.leases]
    moments += [lease.updated_at + START_GRACE for lease in world.leases]
    orphan_grace = timedelta(seconds=world.config.orphan_grace)
    moments += [lease.orphaned_since + orphan_grace for lease in world.leases if lease.orphaned_since]
    for node_lease in world.node_leases:
        moments += [node_lease.expires_at, node_lease.started_at + START_GRACE]
    for task in world.tasks:
        if task.proof is not None:
            moments += [prover_deadline(task.proof, world.config), task.proof.since + START_GRACE]
    if world.backoff is not None:
        moments.append(world.backoff.until)
    return min((moment for moment in moments if moment > world.now), default=None)

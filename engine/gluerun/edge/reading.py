"""One look for whoever only reads: the World as the next cycle's intake would leave it, and what is known beside it.

No lock is taken and no byte is written; it works beside a cycle that holds the lock, and on a disk that takes nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime

from gluerun.core.expect import expect
from gluerun.core.intake import plan_intake
from gluerun.core.knowing import Known
from gluerun.errors import SchemaError
from gluerun.loop.hosting import PATH as HOST
from gluerun.loop.observe import observe
from gluerun.loop.resident import resident
from gluerun.loop.store import STOP
from gluerun.records import schema
from gluerun.records.origin import Host
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.loop.house import House

# A look of somebody who only looks.
NOBODY = "ORIGIN-00000000T000000Z-0"


@record
class Reading:
    """What a reader sees."""

    world: World
    known: Known


def read(house: House, trouble: str = "") -> Reading:
    """Look once; *trouble* is why the newest settings are not used, if whoever opened the house knows that."""
    look = observe(house, NOBODY)
    seen = world = look.world
    for action in plan_intake(seen):
        world = expect(world, action)
    fresh = {one.path: one.error for one in seen.inputs if one.error}
    stop = house.store.files.mark(STOP)
    # Each run tells for itself: no two planners share a phase.
    holders = [lease.run_id for lease in world.leases] + [lease.run_id for lease in world.node_leases]
    known = Known(
        loop=_loop(house),
        trouble=trouble or _trouble(house),
        seen_at=_seen_at(house),
        stop_since=datetime.fromtimestamp(stop.mtime_ns // 1_000_000_000, UTC) if stop else None,
        refusals=look.memory.refusals | fresh,
        phases={run_id: phase_of(house, run_id) for run_id in holders},
    )
    return Reading(world=world, known=known)


def phase_of(house: House, run_id: str) -> tuple[str, int]:
    """Return what a run does and in which try, as it told last."""
    try:
        document = house.store.document(run_id, "run-status.json") or {}
    except SchemaError:
        document = {}
    return str(document.get("phase", "starting")), int(document.get("attempt", 0) or 0)


def _loop(house: House) -> str:
    """Name the process that runs cycles now; empty if none does."""
    locks = house.doors.locks
    for who in (locks.resident_holder(), locks.origin_holder()):
        if who is not None:
            return f"{who.owner} (pid {who.pid})" if who.pid else "somebody unknown"
    return ""


def _trouble(house: House) -> str:
    """Return why the resident loop, if there is one, does not use the newest settings."""
    loop = resident(house.store.files) if house.doors.locks.resident_holder() else None
    return loop.trouble if loop else ""


def _seen_at(house: House) -> datetime | None:
    try:
        data = house.store.files.read(HOST)
        return schema.load(Host, data, file=HOST).seen_at if data else None
    except SchemaError:
        return None

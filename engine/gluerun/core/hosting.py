"""Which machine a state folder belongs to: locks and process ids mean nothing on another one."""

from __future__ import annotations

from datetime import timedelta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gluerun.records.origin import Host

# A machine at work says so this often; after the longer silence nobody of it is at work any more.
BEAT = timedelta(seconds=30)
SILENCE = timedelta(minutes=2)


def is_same(known: Host, host_id: str, boot_id: str) -> bool:
    """Tell whether a state folder's machine is this one: by its own id, or (a container's) by the boot it shares."""
    return known.boot_id == boot_id or (known.host_id == host_id and bool(host_id))


def must_beat(known: Host, boot_id: str, now: datetime) -> bool:
    """Tell whether it is time for this machine to say again that it is at work."""
    return known.boot_id != boot_id or not known.seen_at <= now < known.seen_at + BEAT


def why_not_ours(known: Host, leases: Sequence[tuple[str, datetime]], now: datetime) -> str:
    """Say why another machine's folder may not be taken over; empty if nobody can be at work there any more.

    *leases* are who is at work by the records, and until when: over there only the time of day can tell.
    """
    if abs(now - known.seen_at) < SILENCE:
        return f"it was at work at {known.seen_at:%Y-%m-%d %H:%M:%SZ}"
    living = [subject for subject, until in leases if now < until]
    return f"{', '.join(sorted(living)[:5])} may still be under way there" if living else ""

"""Who is at work here: one machine in one state folder, and what is said of the process that holds a lock."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from gluerun.core.hosting import is_same, must_beat, why_not_ours
from gluerun.errors import OtherHostError, SchemaError
from gluerun.records import schema
from gluerun.records.origin import Host, OriginHolder
from gluerun.records.record import replace
from gluerun.release import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from gluerun.loop.house import House

PATH = "host.json"


def new_origin_run(house: House) -> str:
    """Return the id of a cycle."""
    return f"ORIGIN-{house.now():%Y%m%dT%H%M%SZ}-{house.doors.clock.pid()}"


def holder(house: House, origin_run: str, owner: str = "origin") -> OriginHolder:
    """Return what is said of this process to whoever finds a lock held."""
    now = house.now()
    return OriginHolder(
        owner=owner,
        run_id=origin_run,
        pid=house.doors.clock.pid(),
        started_at=now,
        expires_at=now + timedelta(minutes=60),
        engine_version=VERSION,
    )


def claim(house: House) -> None:
    """Say that this machine is at work here; OtherHostError if another one may be. The origin lock is held."""
    clock, known, now = house.doors.clock, _known(house), house.now()
    boot_id = clock.boot_id()
    if known is None:
        _put(house, Host(host_id=clock.host_id(), boot_id=boot_id, since=now, seen_at=now))
    elif not is_same(known, clock.host_id(), boot_id):
        leases = _leases(house)
        if why := why_not_ours(known, leases, now) or _left(leases):
            raise OtherHostError(
                f"this state folder belongs to another machine: {why}",
                "when nothing runs there any more, `gluerun recover --take-over` makes it this machine's",
                file=PATH,
            )
        _take(house, known, "nobody was at work there")
    elif must_beat(known, boot_id, now):
        _put(house, replace(known, host_id=clock.host_id() or known.host_id, boot_id=boot_id, seen_at=now))


def take_over(house: House, *, force: bool) -> None:
    """Make the folder of another machine this one's; OtherHostError if somebody may be at work there, unless forced."""
    known = _known(house)
    if known is None or is_same(known, house.doors.clock.host_id(), house.doors.clock.boot_id()):
        return
    why = why_not_ours(known, _leases(house), house.now())
    if why and not force:
        raise OtherHostError(
            f"another machine may still be at work in this state folder: {why}",
            "wait for it; or end what runs there, then say --yes as well",
            file=PATH,
        )
    _take(house, known, f"it was taken over although {why}" if why else "it was taken over")


def _take(house: House, known: Host, how: str) -> None:
    now, clock = house.now(), house.doors.clock
    _put(house, Host(host_id=clock.host_id(), boot_id=clock.boot_id(), since=now, seen_at=now))
    house.tell("host.taken_over", f"the state folder is this machine's now: {how}", last_seen=str(known.seen_at))


def _left(leases: list[tuple[str, datetime]]) -> str:
    over = ", ".join(sorted(subject for subject, _ in leases)[:5])
    return f"{over} was left under way there" if over else ""


def _leases(house: House) -> list[tuple[str, datetime]]:
    workers = [(lease.task_id, lease.expires_at) for lease in house.store.leases()[0]]
    return workers + [(lease.node, lease.expires_at) for lease in house.store.node_leases()[0]]


def _known(house: House) -> Host | None:
    data = house.store.files.read(PATH)
    with suppress(SchemaError):
        return None if data is None else schema.load(Host, data, file=PATH)
    return None  # it is written again


def _put(house: House, host: Host) -> None:
    house.store.files.write(PATH, schema.dump(host), durable=False)

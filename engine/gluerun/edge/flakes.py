"""Flakes looked at: which tests flake, how often, where, and which a person put into quarantine."""

from __future__ import annotations

from datetime import datetime

from gluerun.core import flakes
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.loop.house import House
    from gluerun.records.flake import Flake


@record
class FlakeLine:
    """One test that flakes. `is_known` tells that a red of nothing else is always asked again.

    `quarantined_until` is there as long as a person's order is, over or not; `owner` sees to it.
    """

    gate: str
    test: str
    seen: int
    runs: int
    rate: float
    is_known: bool
    first_seen: datetime
    last_seen: datetime
    run: str
    commit: str
    log: str
    is_quarantined: bool
    quarantined_until: datetime | None = None
    owner: str = ""
    by: str = ""
    reason: str = ""


@record
class FlakesPage:
    """What `gluerun flakes` answers."""

    SCHEMA = "flakes-page.v0"

    flakes: tuple[FlakeLine, ...]


def page(house: House) -> FlakesPage:
    """Return what has flaked, what is in quarantine first, then the latest."""
    now = house.now()
    return FlakesPage(flakes=tuple(line(one, now) for one in house.store.flakes().flakes))


def line(flake: Flake, now: datetime) -> FlakeLine:
    """Return what is said of one test."""
    kept = flake.quarantine
    return FlakeLine(
        gate=flake.gate,
        test=flake.test,
        seen=flake.seen,
        runs=flake.runs,
        rate=round(flake.rate, 4),
        is_known=flakes.is_known(flake, now),
        first_seen=flake.first_seen,
        last_seen=flake.last_seen,
        run=flake.run_id,
        commit=flake.commit,
        log=flake.log_ref,
        is_quarantined=flake.is_quarantined(now),
        quarantined_until=kept.expires_at if kept else None,
        owner=kept.owner if kept else "",
        by=kept.by if kept else "",
        reason=kept.reason if kept else "",
    )

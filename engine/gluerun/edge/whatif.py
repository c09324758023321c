"""What the last landings of a repository would have cost with other gate slots, or another gate."""

from __future__ import annotations

import random
from datetime import datetime

from gluerun.core.landings import past
from gluerun.core.queue_model import Gates, simulate, within
from gluerun.core.steering import steer
from gluerun.edge.gates import gate_runs
from gluerun.edge.queue_past import check_seconds, check_slots, chosen, gate_seconds
from gluerun.errors import UsageError
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gluerun.core.landings import Past
    from gluerun.core.queue_model import Account
    from gluerun.loop.house import House

USUAL_SLOTS, _LATEST = (1, 2, 4, 8), 200
_MOST = 100_000


@record
class WhatifLine:
    """How the queue fares with so many slots; latencies are seconds from acceptance to landing."""

    slots: int
    is_now: bool
    landed: int
    sent_back: int
    gate_runs: int
    runs_per_landed: float
    latency_p50: float
    latency_p95: float


@record
class Whatif:
    """What `gluerun whatif` answers: how it was, and how it would have been. Keys are only ever added.

    `withdrawn` are changes that went back with no gate red, such as for a conflict: they are left out.
    """

    SCHEMA = "whatif.v0"

    since: datetime
    until: datetime
    landed: int
    sent_back: int
    withdrawn: int
    gate_runs: int
    latency_p50: float
    latency_p95: float
    gate_seconds: float
    gate_seconds_from: str
    lines: tuple[WhatifLine, ...]


def whatif(house: House, slots: Sequence[int], seconds: float | None, landings: int) -> Whatif:
    """Put the last *landings* changes into queues of other *slots*.

    UsageError where nothing tells how long a gate takes.
    """
    for count in slots:
        check_slots(count)
    if not 1 <= landings <= _MOST:
        raise UsageError(f"--landings {landings}: not a number from 1 to {_MOST}", "for example --landings 200")
    check_seconds(seconds)
    before = _past(house, landings)
    learned = gate_seconds(gate_runs(house, limit=_LATEST))
    if seconds is None and learned is None and before.judged:
        raise UsageError("no gate has run here yet, so nothing tells how long one takes", "say it: --gate-seconds 600")
    gate, gate_from = chosen(seconds, learned, 0.0)
    latencies, judged = before.latencies, before.judged
    counts = sorted({*(slots or USUAL_SLOTS), house.config.gate_slots}) if judged else ()
    return Whatif(
        since=judged[0].at if judged else house.now(),
        until=max((one.until for one in judged), default=house.now()),
        landed=len(latencies),
        sent_back=len(judged) - len(latencies),
        withdrawn=len(before.arrivals) - len(judged),
        gate_runs=before.runs,
        latency_p50=round(within(latencies, 0.5), 1),
        latency_p95=round(within(latencies, 0.95), 1),
        gate_seconds=gate,
        gate_seconds_from=gate_from,
        lines=tuple(_line(before, one, gate, is_now=one == house.config.gate_slots) for one in counts),
    )


def _past(house: House, landings: int) -> Past:
    """Read the journal backwards until it tells of so many."""
    events = house.journal.back_to(lambda found: len(past(found, landings).arrivals) == landings)
    return past(events, landings)


def _line(before: Past, slots: int, seconds: float, *, is_now: bool) -> WhatifLine:
    chance = random.Random(0)  # noqa: S311 - a simulation that has to come out the same each time
    account: Account = simulate(before.changes(), Gates(slots=slots, seconds=seconds), steer, chance.random)
    return WhatifLine(
        slots=slots,
        is_now=is_now,
        landed=len(account.landed),
        sent_back=len(account.sent_back),
        gate_runs=account.runs,
        runs_per_landed=round(account.runs_per_landed, 3),
        latency_p50=round(account.latency(0.5), 1),
        latency_p95=round(account.latency(0.95), 1),
    )

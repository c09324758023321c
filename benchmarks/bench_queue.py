"""The merge queue with gates that only pass time: what lands in the length of one gate.

A saturated queue, steered by the engine's own function, beside serial integration and plain speculation.
"""

from __future__ import annotations

import random

from measure import Result, at_least

from gluerun.core.queue_model import Change, Gates, serial, simulate, speculation
from gluerun.core.steering import steer
from gluerun.records.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from gluerun.core.queue_model import Account, Policy
    from gluerun.core.steering import Seen, Steer

RATES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5)
SLOTS = (1, 2, 4, 8)
_CHANGES = 3000


def _doubting(seen: Seen) -> Steer:
    """Steer as the engine does, but ask every suspect again, also where most reds are true."""
    return replace(steer(seen), again=True)


POLICIES: dict[str, Policy] = {"serial": serial, "speculation": speculation, "ours": steer, "always again": _doubting}


def queue(folder: Path, count: int) -> list[Result]:
    """Let every policy land the same changes; no clock is read, so that one round tells all."""
    del folder, count
    known = {(rate, slots): _accounts(rate, slots, is_known=True) for rate in RATES for slots in SLOTS}
    found = [
        at_least("queue: landed per gate time, p = 0.05, 4 slots", 6, known[0.05, 4]["ours"].throughput, "changes"),
        at_least("queue: landed per gate time, p = 0.01, 1 slot", 7, known[0.01, 1]["ours"].throughput, "changes"),
    ]
    for slots in SLOTS:
        ours, plain = (known[0.3, slots][name].throughput for name in ("ours", "speculation"))
        found.append(at_least(f"queue: p = 0.3, {_slots(slots)}, against speculation", 1, ours / plain, "x"))
    for (rate, slots), accounts in known.items():
        learned = _accounts(rate, slots, is_known=False)["ours"]
        name = f"queue: p = {rate}, {_slots(slots)}: {', '.join(POLICIES)}, learning"
        told = ", ".join(_told(one) for one in (*accounts.values(), learned))
        found.append(Result(name, "", told, held=True))
    return found


def _accounts(rate: float, slots: int, *, is_known: bool) -> dict[str, Account]:
    """Return what each policy makes of the same changes; the rate of bad ones is known, or learned on the way."""
    chance = random.Random(1)
    changes = [Change(bad=chance.random() < rate) for _ in range(_CHANGES)]
    gates = Gates(slots=slots, rate=rate if is_known else None)
    return {name: simulate(changes, gates, policy, random.Random(2).random) for name, policy in POLICIES.items()}


def _told(one: Account) -> str:
    return f"{one.throughput:.2f} ({one.runs_per_landed:.2f})"


def _slots(count: int) -> str:
    return f"{count} slot{'s' if count > 1 else ''}"

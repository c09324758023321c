"""What the queue does next: which prefixes of the chain are proved, what lands, and who is to blame.

One pure function from what is seen to what is done. The engine asks it, and so do the backtest and the benchmark
with gates that only pass time, so that what is measured is what runs.
"""

from __future__ import annotations

from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

LARGEST_BATCH = 32
# Above this rate there is one link for each slot, which is what plain speculation does.
_NO_BATCHES = 0.3
# Above this one most of a longer chain is thrown away. It is higher, because the estimate of 0.3 wobbles by 0.08.
_MOST_ARE_WASTED = 0.4
_MOST_WHEN_WASTED = 4
# A change that is sent back costs its worker a try; that is about twenty gate runs.
_DEAR = 1 / 20


@record
class Seen:
    """What is seen of the chain. Cuts are 1 to `length`: cut n is the prefix of the first n links.

    `running` are being proved, `waiting` are the changes that could be appended, `busy` the slots that others have,
    `rate` and `flake` the probabilities that a change is bad and that a gate is red without a cause.
    """

    length: int
    green: tuple[int, ...] = ()
    red: tuple[int, ...] = ()
    running: tuple[int, ...] = ()
    waiting: int = 0
    slots: int = 2
    busy: int = 0
    rate: float = 0.1
    flake: float = 0.02


@record
class Steer:
    """What is done, in the numbers of what was seen: land, take the suspect out, stop, append, probe.

    Who only lands, or only takes the suspect out, and then asks again is told the rest. `again` says whether the
    suspect is worth being asked once more, on the same commit, before it is sent back.
    """

    land: int = 0
    suspect: int | None = None
    again: bool = False
    stop: tuple[int, ...] = ()
    probe: tuple[int, ...] = ()
    append: int = 0


def steer(seen: Seen) -> Steer:
    """Return what is done about a chain; the same again for as long as nothing changes."""
    landed = max(seen.green, default=0)
    red = min((cut for cut in seen.red if cut > landed), default=None)
    if red == landed + 1:
        # Whatever stands on it is built anew without it, so that nothing that runs is of use.
        again = is_worth_asking(seen.rate, seen.flake)
        return Steer(land=landed, suspect=red, again=again, stop=tuple(sorted(set(seen.running))))
    # What contains a red cut tells nothing new, and what has landed is known.
    useful = sorted({cut for cut in seen.running if landed < cut and (red is None or cut < red)})
    free = seen.slots - seen.busy - len(useful)
    append, end = (0, red) if red is not None else _reach(seen, landed, free)
    known = [landed, *useful] if red is None else [landed, *useful, red]
    return Steer(
        land=landed,
        stop=tuple(sorted(set(seen.running).difference(useful))),
        probe=_cuts(known, end, free, seen) if free > 0 else (),
        append=append,
    )


def batch_size(rate: float, slots: int) -> int:
    """Return how many links are proved at once, in all slots together; the figures were found by simulation."""
    if rate > _MOST_ARE_WASTED:
        return min(slots, _MOST_WHEN_WASTED)
    if rate > _NO_BATCHES:
        return slots
    share = 0.5 if slots == 1 else 0.7 * slots**0.6
    size = round(min(LARGEST_BATCH, share / rate)) if rate > 0 else LARGEST_BATCH
    # With a slot for each link a red names its culprit at once; that is only worth giving up for twice as many.
    return size if size >= 2 * slots else slots


def is_worth_asking(rate: float, flake: float) -> bool:
    """Tell whether one more gate run costs less than the risk of sending a good change back to its worker."""
    innocent = flake * (1 - rate)
    return innocent > _DEAR * (innocent + rate)


def _reach(seen: Seen, landed: int, free: int) -> tuple[int, int]:
    """Return how many changes are chained on, and up to which cut the chain is asked about."""
    if free <= 0:
        return 0, landed
    wanted = landed + batch_size(seen.rate, seen.slots)
    append = max(0, min(seen.waiting, wanted - seen.length))
    return append, max(min(wanted, seen.length + append), *seen.running, landed)


def _cuts(known: Sequence[int], end: int, free: int, seen: Seen) -> tuple[int, ...]:
    """Return up to *free* new cuts that leave the fewest rounds of searching to be expected, should one be red.

    *known* begins with what lands; its other cuts are being asked about, or red. The first bad link lies in one of
    the segments between neighbours; `cost` goes through the chain from its end, once for each number of cuts left.
    """
    first, count = known[0], end - known[0]
    fixed = {cut - first for cut in known}
    good = [(1 - seen.rate) ** links for links in range(count + 1)]
    rounds = _rounds(seen.slots, count)
    cost = [[0.0] * (free + 1) for _ in range(count + 1)]
    step = [[0] * (free + 1) for _ in range(count + 1)]
    for cut in range(count - 1, -1, -1):
        ahead = range(cut + 1, next((other for other in range(cut + 1, count) if other in fixed), count) + 1)
        for left in range(free + 1):
            ways = [
                ((good[cut] - good[to]) * rounds[to - cut] + cost[to][left - (to not in fixed)], to)
                for to in ahead
                if left or to in fixed
            ]
            cost[cut][left], step[cut][left] = min(ways, default=(float("inf"), 0))
    found: list[int] = []
    cut = 0
    while cut < count and (cut := step[cut][free - len(found)]):
        if cut not in fixed:
            found.append(first + cut)
    return tuple(found)


def _rounds(slots: int, most: int) -> list[float]:
    """Return for each length of a red segment how many rounds of gates name its first bad link, all slots searching."""
    rounds = [0.0, 0.0]
    for length in range(2, most + 1):
        parts = min(length, slots + 1)
        short, longer = divmod(length, parts)
        inner = (parts - longer) * short * rounds[short]
        if longer:
            inner += longer * (short + 1) * rounds[short + 1]
        rounds.append(1 + inner / length)
    return rounds

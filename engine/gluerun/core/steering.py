"""What the queue does next: which prefixes of the chain are proved, what lands, and who is to blame.

One pure function from what is seen to what is done. The engine asks it, and so do the backtest and the benchmark
with gates that only pass time, so that what is measured is what runs.
"""

from __future__ import annotations

from itertools import pairwise

from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LARGEST_BATCH = 32
# Above this rate a longer chain is mostly thrown away.
_HOPELESS = 0.3
_MOST_WHEN_HOPELESS = 4
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
    first_red = min((cut for cut in seen.red if cut > landed), default=None)
    running = sorted({cut for cut in seen.running if cut > landed})
    if first_red == landed + 1:
        # Whatever stands on it is built anew without it, so that nothing that runs is of use.
        again = is_worth_asking(seen.rate, seen.flake)
        return Steer(land=landed, suspect=first_red, again=again, stop=tuple(sorted(set(seen.running))))
    if first_red is not None:
        useful = [cut for cut in running if cut < first_red]
        append, last = 0, first_red
    else:
        useful = running
        append, last = _grown(seen, landed, running)
    free = seen.slots - seen.busy - len(useful)
    ends = [landed, *useful, last] if first_red is not None else [landed, *useful]
    probe = _ahead(seen, ends, last, free) if first_red is None else []
    probe += _between([*ends, *probe], free - len(probe))
    return Steer(
        land=landed,
        stop=tuple(cut for cut in sorted(set(seen.running)) if cut not in useful),
        probe=tuple(sorted(probe)),
        append=append,
    )


def batch_size(rate: float, slots: int) -> int:
    """Return how many links are proved at once, in all slots together."""
    if rate > _HOPELESS:
        return max(1, min(slots, _MOST_WHEN_HOPELESS))
    return max(1, min(LARGEST_BATCH, round(0.5 / rate) if rate > 0 else LARGEST_BATCH))


def is_worth_asking(rate: float, flake: float) -> bool:
    """Tell whether one more gate run costs less than the risk of sending a good change back to its worker."""
    innocent = flake * (1 - rate)
    return innocent > _DEAR * (innocent + rate)


def _grown(seen: Seen, landed: int, running: Sequence[int]) -> tuple[int, int]:
    """Return how many changes are chained on, and where the chain then ends; None are while no slot is free."""
    if seen.slots - seen.busy <= len(running):
        return 0, seen.length
    wanted = landed + max(batch_size(seen.rate, seen.slots), 1)
    append = max(0, min(seen.waiting, wanted - seen.length))
    return append, seen.length + append


def _ahead(seen: Seen, ends: Sequence[int], last: int, free: int) -> list[int]:
    """Return cuts beyond what runs, each as far from the one before as a slot's share of what is there."""
    top, found = ends[-1], []
    for left in range(free, 0, -1):
        if top >= last:
            break
        top += max(1, -(-(last - top) // left))
        found.append(top)
    return found


def _between(ends: Iterable[int], free: int) -> list[int]:
    """Return up to *free* cuts that split the widest gaps between *ends* most evenly."""
    marks = sorted(set(ends))
    gaps = [[high - low, 1, low] for low, high in pairwise(marks)]
    for _ in range(max(0, free)):
        wide = max((gap for gap in gaps if gap[0] > gap[1]), key=lambda gap: gap[0] / gap[1], default=None)
        if wide is None:
            break
        wide[1] += 1
    return [low + width * part // parts for width, parts, low in gaps for part in range(1, parts)]

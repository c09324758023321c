"""Which commits of a line are asked next, so that the one that made it red is found in the fewest rounds.

Places are 0, the oldest, to the last one, which is red. One pure function; nobody's gate is run here.
"""

from __future__ import annotations

from itertools import pairwise

from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection


@record
class Search:
    """What is done next: `ask` about these places, or it is over: with a `culprit`, or red to the `end` of the line."""

    ask: tuple[int, ...] = ()
    culprit: int | None = None
    is_red_to_the_end: bool = False


def search(length: int, green: Collection[int], red: Collection[int], running: Collection[int], slots: int) -> Search:
    """Return what to ask about a line of *length* commits with so many free *slots*; its last commit is red.

    The culprit is the first red place behind the last green one whose neighbour is green. As nobody knows that the
    oldest is green before it was asked, it is asked first, beside others.
    """
    low = max(green, default=-1)
    high = min((place for place in (*red, length - 1) if place > low), default=length - 1)
    if high == 0:
        return Search(is_red_to_the_end=True)
    if low >= 0 and high - low == 1:
        return Search(culprit=high)
    asked = sorted({place for place in running if low < place < high})
    found: list[int] = []
    if low < 0 and 0 not in asked and slots > 0:
        found.append(0)
    known = sorted({max(low, 0), high, *asked, *found})
    return Search(ask=tuple(sorted([*found, *_parts(known, slots - len(found))])))


def _parts(known: list[int], count: int) -> list[int]:
    """Return up to *count* places that cut the gaps between what is *known* into parts as even as can be."""
    gaps = {left: right - left for left, right in pairwise(known) if right - left > 1}
    cuts = dict.fromkeys(gaps, 0)
    for _ in range(count):
        free = [left for left, width in gaps.items() if cuts[left] < width - 1]
        if not free:
            break
        cuts[max(free, key=lambda left: (gaps[left] / (cuts[left] + 1), -left))] += 1
    return [left + gaps[left] * part // (many + 1) for left, many in cuts.items() for part in range(1, many + 1)]

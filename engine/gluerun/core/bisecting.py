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
    while len(found) < slots and (place := _middle(sorted({max(low, 0), high, *asked, *found}))) is not None:
        found.append(place)
    return Search(ask=tuple(sorted(found)))


def _middle(known: list[int]) -> int | None:
    """Return the middle of the widest gap between what is known or asked about; None if there is no gap."""
    gaps = [(right - left, -left) for left, right in pairwise(known) if right - left > 1]
    if not gaps:
        return None
    width, left = max(gaps)
    return -left + width // 2

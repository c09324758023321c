"""A history as a backlog: which commits wait for which, who is let in next, and how long K workers would take."""

from __future__ import annotations

import heapq

from gluerun.records.paths import RUNTIME, covers
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence, Set


@record
class Past:
    """One commit of the history against its first parent; no parent stands for the empty tree."""

    commit: str
    parent: str | None
    subject: str
    paths: tuple[str, ...] = ()
    submodules: tuple[str, ...] = ()


class _Place:
    """One path that somebody touched, and what was touched below it since."""

    __slots__ = ("below", "last")

    def __init__(self) -> None:
        self.last = -1
        self.below: dict[str, _Place] = {}


def obstacle(past: Past) -> str:
    """Say why a commit cannot be replayed at all; empty if it can."""
    if past.submodules:
        return f"it moves the submodule {past.submodules[0]}"
    own = next((path for path in past.paths if any(covers(folder, path) for folder in RUNTIME)), "")
    return f"it holds {own}, which is the engine's own place" if own else ""


def dependencies(scopes: Sequence[Sequence[str]]) -> list[tuple[int, ...]]:
    """Return for each task the earlier ones it must wait for, less those that these wait for themselves.

    Two tasks are in each other's way when a path of one equals or contains a path of the other. The cost
    is that of the paths, not of the pairs: whoever touches a path answers for all that lay below it.
    """
    root = _Place()
    behind: list[int] = []
    found: list[tuple[int, ...]] = []
    for number, paths in enumerate(scopes):
        before: set[int] = set()
        for path in paths:
            before.update(_touched_before(root, path.split("/")))
        for path in paths:
            _touch(root, path.split("/"), number)
        needed, covered = _nearest(before, behind)
        found.append(needed)
        behind.append(covered)
    return found


def _touched_before(root: _Place, parts: list[str]) -> Iterator[int]:
    """Yield who touched a path, something above it or something below it last."""
    place: _Place | None = root
    latest = -1
    for part in parts:
        place = place.below.get(part) if place else None
        if place is None:
            break
        latest = max(latest, place.last)
    if latest >= 0:
        yield latest
    waiting = list(place.below.values()) if place else []
    while waiting:
        place = waiting.pop()
        if place.last >= 0:
            yield place.last
        waiting.extend(place.below.values())


def _touch(root: _Place, parts: list[str], number: int) -> None:
    place = root
    for part in parts:
        place = place.below.setdefault(part, _Place())
    place.last = number
    place.below.clear()


def _nearest(before: Set[int], behind: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """Return those of *before* that no other of them waits for, and everybody who is waited for, as bits."""
    needed: list[int] = []
    covered = 0
    for other in sorted(before, reverse=True):
        if not covered >> other & 1:
            needed.append(other)
            covered |= behind[other] | 1 << other
    return tuple(sorted(needed)), covered


def beyond_reach(needs: Mapping[str, Sequence[str]], lost: Set[str]) -> dict[str, str]:
    """Return the tasks that can never run because of the *lost* ones, each with one that it waits for.

    *needs* is in the order of the history.
    """
    found: dict[str, str] = {}
    for task, before in needs.items():
        need = next((one for one in before if one in lost or one in found), None)
        if need is not None and task not in lost:
            found[task] = need
    return found


def simulated(seconds: Sequence[float], needs: Sequence[Sequence[int]], workers: int) -> float:
    """Return how long *workers* take for tasks of known length, lowest number first, each after its needs."""
    waits = [len(before) for before in needs]
    after: list[list[int]] = [[] for _ in needs]
    for number, before in enumerate(needs):
        for other in before:
            after[other].append(number)
    ready = [number for number, count in enumerate(waits) if not count]
    busy: list[tuple[float, int]] = []
    now = 0.0
    while ready or busy:
        while ready and len(busy) < workers:
            number = heapq.heappop(ready)
            heapq.heappush(busy, (now + seconds[number], number))
        now, done = heapq.heappop(busy)
        for number in after[done]:
            waits[number] -= 1
            if not waits[number]:
                heapq.heappush(ready, number)
    return now


def forecast(seconds: Sequence[float], needs: Sequence[Sequence[int]], most: int = 8) -> dict[str, float]:
    """Return the wall time in seconds that each number of workers up to *most* would need."""
    return {str(workers): round(simulated(seconds, needs, workers), 3) for workers in range(1, most + 1)}


def peak(spans: Iterable[tuple[float, float]]) -> int:
    """Return how many spans overlapped at the busiest moment; one that begins as another ends does not."""
    changes = sorted(change for begin, end in spans for change in ((begin, 1), (end, -1)))
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most

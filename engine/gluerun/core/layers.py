"""A layered layout for a small directed graph: who needs nothing stands left, and few lines cross. Always the same."""

from __future__ import annotations

from itertools import pairwise

from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SWEEPS = 6


@record
class Layout:
    """The columns of names, and for every need the names it passes on its way, both ends included.

    A name that is no node is the point where a long line passes a column.
    """

    columns: tuple[tuple[str, ...], ...]
    ways: tuple[tuple[str, ...], ...]


def depths(needs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return for each name how many stand before it on its longest way; *needs* has no circle."""
    found: dict[str, int] = {}
    stack: list[str] = list(needs)[::-1]
    while stack:
        name = stack[-1]
        open_needs = [need for need in needs[name] if need in needs and need not in found]
        if name in found or not open_needs:
            stack.pop()
            found.setdefault(name, 1 + max((found[need] for need in needs[name] if need in found), default=-1))
        else:
            stack.extend(open_needs)
    return {name: found[name] for name in needs}


def layout(needs: Mapping[str, Sequence[str]]) -> Layout:
    """Return where every name stands."""
    depth = depths(needs)
    columns: list[list[str]] = [[] for _ in range(1 + max(depth.values(), default=-1))]
    for name in needs:
        columns[depth[name]].append(name)
    ways = []
    for name in needs:
        for need in dict.fromkeys(needs[name]):
            if need in depth:
                ways.append(_way(need, name, depth, columns))
    before: dict[str, list[str]] = {}
    behind: dict[str, list[str]] = {}
    for way in ways:
        for one, two in pairwise(way):
            before.setdefault(two, []).append(one)
            behind.setdefault(one, []).append(two)
    for sweep in range(_SWEEPS):
        pairs = range(1, len(columns)) if sweep % 2 == 0 else range(len(columns) - 2, -1, -1)
        for at in pairs:
            other = columns[at - 1] if sweep % 2 == 0 else columns[at + 1]
            columns[at] = _sorted(columns[at], other, before if sweep % 2 == 0 else behind)
    return Layout(columns=tuple(map(tuple, columns)), ways=tuple(ways))


def _way(need: str, name: str, depth: Mapping[str, int], columns: list[list[str]]) -> tuple[str, ...]:
    """Return the names on the way from *need* to *name*, adding a point in every column between."""
    points = [need]
    for at in range(depth[need] + 1, depth[name]):
        # No name of a node has a space in it.
        point = f"{need} {name} {at}"
        columns[at].append(point)
        points.append(point)
    return (*points, name)


def _sorted(column: list[str], other: list[str], near: Mapping[str, list[str]]) -> list[str]:
    """Return a column in the order of the middles of what its names are tied to; who is tied to nothing stays."""
    place = {name: at for at, name in enumerate(other)}

    def middle(at: int, name: str) -> float:
        tied = [place[one] for one in near.get(name, ()) if one in place]
        return sum(tied) / len(tied) if tied else at * max(1, len(other)) / max(1, len(column))

    return [name for _, _, name in sorted((middle(at, name), at, name) for at, name in enumerate(column))]

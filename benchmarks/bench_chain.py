"""The merge queue without a gate: many finished branches at once, against `git merge` of each in a big checkout."""

from __future__ import annotations

import statistics

from bench_integrate import FILES, _finished, _merge, _spent
from measure import at_least, at_most
from yard import git, repository

from gluerun.loop.reconcile import cycle
from gluerun.wiring import open_house

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from measure import Result

    from gluerun.loop.house import House

FEW, MANY = 8, 32


def chain(folder: Path, count: int) -> list[Result]:
    """Land a few and many finished branches in one cycle each, and merge as many in a checkout."""
    root = repository(folder / "yard", FILES)
    git(root, "checkout", "--quiet", "-b", "aside")
    rival = folder / "rival"
    git(root, "worktree", "add", "--quiet", "-b", "rival", str(rival), "main")
    house = open_house(str(root))
    cycle(house, "actuate")
    spent: dict[int, list[tuple[float, float]]] = {FEW: [], MANY: []}
    merges: list[tuple[float, float]] = []
    processes: list[float] = []
    number = 1
    for _ in range(max(2, count // 3) + 1):
        for size in (FEW, MANY):
            copies = [_finished(house, root, number + one) for one in range(size)]
            number += size
            before = house.doors.git.processes  # type: ignore[attr-defined]
            spent[size].append(_each(size, *_spent(lambda size=size: _land(house, size))))
            processes.append((house.doors.git.processes - before) / size)  # type: ignore[attr-defined]
            merges += [_spent(lambda copy=copy: _merge(rival, copy)) for copy in copies[:4]]
    few, many = (statistics.median(one[0] for one in spent[size][1:]) for size in (FEW, MANY))
    clock = statistics.median(one[1] for one in spent[MANY][1:])
    rival_cpu, rival_clock = (statistics.median(one[kind] for one in merges) for kind in (0, 1))
    note = f" ({clock * 1e3:.0f} against {rival_clock * 1e3:.0f} ms)"
    words = f"{MANY} merges in a chain against `git merge` of each, {FILES} files"
    return [
        at_most("git processes for each", 6, statistics.median(processes), "processes"),
        at_least(f"{words}, CPU", 6, rival_cpu / many, "x faster"),
        at_least("the same, clock", 6, rival_clock / clock, "x faster", note),
        at_most(f"each of {MANY} against each of {FEW}, CPU", 1.15, many / few, "x"),
    ]


def _each(size: int, cpu: float, clock: float) -> tuple[float, float]:
    return cpu / size, clock / size


def _land(house: House, size: int) -> None:
    report, _ = cycle(house, "integrate")
    assert len(report.integrated) == size, report

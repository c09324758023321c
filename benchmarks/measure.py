"""How the benchmarks measure: variants run in turn, medians are compared, and only ratios are quoted."""

from __future__ import annotations

import os
import statistics
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Variant = Callable[[], "Cost"]

# What every ratio is a multiple of: the interpreter starting, and doing nothing at all.
FLOOR = (sys.executable, "-I", "-S", "-c", "pass")


class Cost:
    """What one process and everybody it waited for used, in seconds."""

    def __init__(self, cpu: float, wall: float, code: int = 0) -> None:
        self.cpu = cpu
        self.wall = wall
        self.code = code


class Result:
    """One line of the report: what was promised, and what was found."""

    def __init__(self, name: str, target: str, found: str, *, held: bool) -> None:
        self.name = name
        self.target = target
        self.found = found
        self.held = held


def spent(argv: Sequence[str], cwd: str, env: Mapping[str, str] | None = None) -> Cost:
    """Run a program to its end and return what it cost, its own children included."""
    null = os.open(os.devnull, os.O_RDWR)
    here = os.getcwd()
    os.chdir(cwd)
    try:
        started = time.perf_counter()
        actions = [(os.POSIX_SPAWN_DUP2, null, number) for number in (0, 1)]
        pid = os.posix_spawnp(argv[0], list(argv), env or os.environ, file_actions=actions)
        _, status, used = os.wait4(pid, 0)
        wall = time.perf_counter() - started
    finally:
        os.chdir(here)
        os.close(null)
    return Cost(used.ru_utime + used.ru_stime, wall, os.waitstatus_to_exitcode(status))


def rounds(variants: Mapping[str, Variant], count: int, warm: int = 1) -> dict[str, list[Cost]]:
    """Run every variant *count* times, in turn, after *warm* rounds that do not count."""
    found: dict[str, list[Cost]] = {name: [] for name in variants}
    for turn in range(count + warm):
        for name, variant in variants.items():
            cost = variant()
            if cost.code:
                raise SystemExit(f"{name} ended with code {cost.code}")
            if turn >= warm:
                found[name].append(cost)
    return found


def cpu(costs: Sequence[Cost]) -> float:
    """Return the median of the processor time."""
    return statistics.median(cost.cpu for cost in costs)


def wall(costs: Sequence[Cost]) -> float:
    """Return the median of the time on the clock."""
    return statistics.median(cost.wall for cost in costs)


def at_most(name: str, limit: float, value: float, unit: str, note: str = "") -> Result:
    """Return a line that holds if *value* is at most *limit*."""
    return Result(name, f"≤ {limit:g} {unit}", f"{value:.2f} {unit}{note}", held=value <= limit)


def at_least(name: str, limit: float, value: float, unit: str, note: str = "") -> Result:
    """Return a line that holds if *value* is at least *limit*."""
    return Result(name, f"≥ {limit:g} {unit}", f"{value:.2f} {unit}{note}", held=value >= limit)

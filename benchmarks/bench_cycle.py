"""A cycle that finds nothing to do, in a fresh process: the whole one, and the quiet answer."""

from __future__ import annotations

import subprocess
import time

from measure import FLOOR, at_most, cpu, rounds, spent
from yard import STATE, Crowd, archive, command, repository

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from measure import Cost, Result

LIVE = 50
SMALL, USUAL, BIG = 100, 10_000, 100_000
_CYCLE = [*command(), "reconcile", "--actuate"]


def full(folder: Path, count: int) -> list[Result]:
    """Compare whole cycles over a short, a usual and a long history with the interpreter's own start."""
    yards = {size: _Idle(folder / f"archived-{size}", size) for size in (SMALL, USUAL, BIG)}
    variants = {"floor": lambda: spent(FLOOR, str(folder))}
    variants |= {f"{size}": yard.whole_cycle for size, yard in yards.items()}
    found = rounds(variants, count)
    for yard in yards.values():
        yard.close()
    floor, small, usual, big = (cpu(found[name]) for name in ("floor", str(SMALL), str(USUAL), str(BIG)))
    note = f" ({usual * 1e3:.0f} ms, {LIVE} live)"
    return [
        at_most(f"whole cycle, {USUAL} archived, CPU", 12, usual / floor, "x python", note),
        at_most(f"whole cycle, {BIG} archived, CPU", 1.15, big / small, f"x {SMALL} archived"),
    ]


def quiet(folder: Path, count: int) -> list[Result]:
    """Compare the quiet answer with the interpreter's own start."""
    yard = _Idle(folder / "yard", USUAL)
    found = rounds({"floor": lambda: spent(FLOOR, str(folder)), "quiet": yard.quiet_cycle}, count)
    yard.close()
    value = cpu(found["quiet"])
    return [at_most("quiet cycle, CPU", 4, value / cpu(found["floor"]), "x python", f" ({value * 1e3:.0f} ms)")]


class _Idle:
    """A repository in which fifty tasks are worked on and nothing else is to do."""

    def __init__(self, root: Path, archived: int) -> None:
        root.mkdir(parents=True)
        self.root = repository(root)
        archive(root, 1, archived)
        self._crowd = Crowd(root)
        self._crowd.add(LIVE)
        self._note = root / STATE / "quiet.json"
        notes = 0
        while notes < 3:
            # Until everything is old enough to be believed, and no cycle has anything to write down.
            self._note.unlink(missing_ok=True)
            subprocess.run(_CYCLE, cwd=root, check=True, stdout=subprocess.DEVNULL)
            notes = notes + 1 if self._note.exists() else 0
            time.sleep(1)

    def close(self) -> None:
        self._crowd.leave()

    def whole_cycle(self) -> Cost:
        self._note.unlink(missing_ok=True)
        cost = spent(_CYCLE, str(self.root))
        assert self._note.exists(), "something was to do"
        return cost

    def quiet_cycle(self) -> Cost:
        before = self._note.stat().st_mtime_ns
        cost = spent(_CYCLE, str(self.root))
        assert self._note.stat().st_mtime_ns == before, "it was a whole cycle"
        return cost

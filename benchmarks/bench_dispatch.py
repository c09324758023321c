"""Starting fifty workers: what the loop itself spends on it."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from measure import at_most
from yard import TASKS, markdown, repository

from gluerun.adapters.processes import OsProcesses
from gluerun.loop.house import House
from gluerun.loop.reconcile import cycle, reconcile
from gluerun.records.record import replace
from gluerun.wiring import open_house

TYPE_CHECKING = False
if TYPE_CHECKING:
    from measure import Result

WORKERS = 50


def dispatch(folder: Path, count: int) -> list[Result]:
    """Measure the processor time of a loop that starts fifty workers, beyond that of one that starts none."""
    spans = []
    for turn in range(max(3, count // 2)):
        argv = [sys.executable, __file__, str(folder / f"yard-{turn}")]
        spans.append(json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout))
    busy = statistics.median(span["busy"] - span["idle"] for span in spans)
    whole = statistics.median(span["busy"] for span in spans)
    note = f" (of {whole * 1e3:.0f} ms; {spans[0]['git']} git)"
    return [at_most(f"dispatch of {WORKERS} workers, CPU of the loop", 100, busy * 1e3, "ms", note)]


def one(root: Path) -> dict[str, float]:
    """Start the workers of a fresh repository; they only sleep, so that they do not disturb the measurement."""
    root.mkdir(parents=True)
    repository(root)
    for number in range(1, WORKERS + 1):
        (root / f"{TASKS}/TASK-{number:06d}.md").write_text(markdown(number))
    house = open_house(str(root))
    processes = OsProcesses(house.doors.root, house.doors.state_root, lambda _: ["sleep", "20"])
    house = House(replace(house.doors, processes=processes), house.config)
    reconcile(house, "apply")
    (root / ".gluerun-state/STOP").touch()
    cycle(house, "actuate")
    before = _used()
    cycle(house, "actuate")
    idle = _used() - before
    (root / ".gluerun-state/STOP").unlink()
    git = house.doors.git.processes  # type: ignore[attr-defined]
    before = _used()
    report, _ = cycle(house, "actuate")
    busy = _used() - before
    assert len(report.dispatched) == WORKERS, report
    for started in processes._started.values():
        started.kill()
    return {"idle": idle, "busy": busy, "git": house.doors.git.processes - git}  # type: ignore[attr-defined]


def _used() -> float:
    """Return the processor time of this process alone."""
    return time.process_time()


if __name__ == "__main__":
    print(json.dumps(one(Path(sys.argv[1]))))

"""What waits for each worker while its agent works: how much memory is its own."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

from measure import at_most

from gluerun.adapters.children import WaitingChildren
from gluerun.records.child import Child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from measure import Result

WAITERS = 8
# The wrapper's last deed before its agent runs: it becomes the waiter, in the same process.
_BECOME = """
import sys
sys.path.insert(0, {here!r})
from bench_wait import become
become({state!r}, {run!r})
"""


def wait(folder: Path, count: int) -> list[Result]:
    """Measure the proportional set size of the processes that wait, while their children sleep."""
    del count
    here = os.path.dirname(os.path.abspath(__file__))
    started = []
    for number in range(WAITERS):
        run = f"RUN-20260101T000000Z-{number:08x}"
        (folder / f"runs/{run}").mkdir(parents=True)
        words = _BECOME.format(here=here, state=str(folder), run=run)
        started.append(subprocess.Popen([sys.executable, "-c", words], stdin=subprocess.DEVNULL))
    try:
        _until_they_wait(started)
        sizes = [_pss(process.pid) for process in started]
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()
    return [at_most("what waits per worker, memory (PSS)", 8, statistics.median(sizes) / 1024, "MiB")]


def become(state: str, run: str) -> None:
    """Wait for a child that sleeps."""
    child = Child(
        name="001-worker",
        argv=("sleep", "600"),
        cwd=state,
        env={"PATH": os.environ["PATH"]},
        stdin="",
        log=f"runs/{run}/log",
        marker=f"{run}.1",
        timeout=3600,
        grace=1,
    )
    WaitingChildren(state, lambda _: []).wait(run, child)


def _until_they_wait(started: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if all(_is_waiting(process.pid) for process in started):
            time.sleep(0.5)
            return
        time.sleep(0.1)
    raise SystemExit("the waiters did not come up")


def _is_waiting(pid: int) -> bool:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return bool(file.read().strip())


def _pss(pid: int) -> float:
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(float(line.split()[1]) for line in file if line.startswith("Pss:"))

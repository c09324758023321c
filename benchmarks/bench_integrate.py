"""Merging a finished branch: without a work tree, against `git merge` in a big checkout."""

from __future__ import annotations

import os
import statistics
import time

from measure import at_least, at_most
from yard import git, repository, task_of

from gluerun.loop.reconcile import cycle
from gluerun.records.record import replace
from gluerun.records.task import Status
from gluerun.wiring import open_house

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from measure import Result

    from gluerun.loop.house import House

FILES = 10_000


def integrate(folder: Path, count: int) -> list[Result]:
    """Count the processes of a landing, and compare its time with that of a merge in a checkout."""
    root = repository(folder / "yard", FILES)
    git(root, "checkout", "--quiet", "-b", "aside")
    rival = folder / "rival"
    git(root, "worktree", "add", "--quiet", "-b", "rival", str(rival), "main")
    house = open_house(str(root))
    cycle(house, "actuate")
    counts, ours, theirs = [], [], []
    for number in range(1, count + 2):
        branch = _finished(house, root, number)
        before = house.doors.git.processes  # type: ignore[attr-defined]
        ours.append(_spent(lambda: _land(house)))
        counts.append(house.doors.git.processes - before)  # type: ignore[attr-defined]
        theirs.append(_spent(lambda branch=branch: _merge(rival, branch)))
    processor = statistics.median(mine[0] for mine in ours[1:]), statistics.median(one[0] for one in theirs[1:])
    clock = statistics.median(mine[1] for mine in ours[1:]), statistics.median(one[1] for one in theirs[1:])
    note = f" ({clock[0] * 1e3:.0f} against {clock[1] * 1e3:.0f} ms)"
    return [
        at_most("git processes per integration, no gate", 6, statistics.median(counts), "processes"),
        at_least(f"integration against `git merge`, {FILES} files, clock", 4, clock[1] / clock[0], "x faster", note),
        at_least("the same, CPU", 4, processor[1] / processor[0], "x faster"),
    ]


def _finished(house: House, root: Path, number: int) -> str:
    """Make a branch that changes one file, and let its task be accepted."""
    task = task_of(house, number, Status.READY)
    branch = task.spec.worker_branch
    blob = git(root, "hash-object", "-w", "--stdin", given=f"better {number}\n")
    base = git(root, "rev-parse", "main")
    index = os.environ | {"GIT_INDEX_FILE": str(root / ".git/bench.index")}
    os.environ["GIT_INDEX_FILE"] = index["GIT_INDEX_FILE"]
    try:
        git(root, "read-tree", base)
        git(root, "update-index", "--add", "--cacheinfo", f"100644,{blob},src/part{number % 100:03d}/new{number}.txt")
        tree = git(root, "write-tree")
    finally:
        del os.environ["GIT_INDEX_FILE"]
    head = git(root, "commit-tree", "-p", base, "-m", f"work {number}", tree)
    git(root, "branch", branch, head)
    git(root, "branch", f"copy-{number}", head)
    run_id = f"RUN-20260101T000000Z-{number:08x}"
    task = replace(task, status=Status.ACCEPTED, run_id=run_id, base_sha=base, head_sha=head, packet_sha256="0" * 64)
    house.store.put_task(task)
    return f"copy-{number}"


def _land(house: House) -> None:
    report, _ = cycle(house, "integrate")
    assert len(report.integrated) == 1, report


def _merge(place: Path, branch: str) -> None:
    git(place, "merge", "--quiet", "--no-ff", "--no-edit", branch)


def _spent(deed: Callable[[], None]) -> tuple[float, float]:
    """Return the processor time, children included, and the time on the clock."""
    before, started = os.times(), time.perf_counter()
    deed()
    after = os.times()
    return sum(after[:4]) - sum(before[:4]), time.perf_counter() - started

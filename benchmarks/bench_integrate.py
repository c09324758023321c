"""Merging a finished branch: without a work tree, against `git merge` in a big checkout."""

from __future__ import annotations

import os
import resource
import statistics
import time

from measure import Result, at_least, at_most
from yard import git, repository, task_of

from gluerun.loop.evidence import AUDIT, PACKET, RECEIPT
from gluerun.loop.house import House
from gluerun.loop.reconcile import cycle
from gluerun.ports import Landing
from gluerun.records.config import ControlState
from gluerun.records.record import replace
from gluerun.records.task import Status
from gluerun.wiring import open_house

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from measure import Result

FILES = 10_000


def integrate(folder: Path, count: int) -> list[Result]:
    """Count the processes of a landing, and compare its time with that of a merge in a checkout."""
    root = repository(folder / "yard", FILES)
    git(root, "checkout", "--quiet", "-b", "aside")
    rival = folder / "rival"
    git(root, "worktree", "add", "--quiet", "-b", "rival", str(rival), "main")
    house = open_house(str(root))
    cycle(house, "actuate")
    counts: list[int] = []
    found: dict[str, list[tuple[float, float]]] = {"cycle": [], "doors": [], "merge": []}
    others = {mode: _published(folder / mode, mode) for mode in (ControlState.REF, ControlState.BRANCH)}
    found |= {mode.value: [] for mode in others}
    started: dict[str, list[int]] = {mode.value: [] for mode in others}
    for number in range(1, 2 * count + 3, 2):
        copy = _finished(house, root, number)
        before = house.doors.git.processes  # type: ignore[attr-defined]
        found["cycle"].append(_spent(lambda: _land(house)))
        counts.append(house.doors.git.processes - before)  # type: ignore[attr-defined]
        for mode, (place, its) in others.items():
            _finished(its, place, number)
            before = its.doors.git.processes  # type: ignore[attr-defined]
            found[mode.value].append(_spent(lambda its=its: _land(its)))
            started[mode.value].append(its.doors.git.processes - before)  # type: ignore[attr-defined]
        found["merge"].append(_spent(lambda copy=copy: _merge(rival, copy)))
        other = _branch(root, number + 1, f"doors-{number}")
        found["doors"].append(_spent(lambda other=other: _land_by_doors(house, *other)))
    cpu, clock = (
        {name: statistics.median(one[kind] for one in spent[1:]) for name, spent in found.items()} for kind in (0, 1)
    )
    note = f" ({clock['doors'] * 1e3:.0f} against {clock['merge'] * 1e3:.0f} ms)"
    whole = f" ({clock['cycle'] * 1e3:.0f} ms)"
    return [
        at_most("git processes per integration, no gate", 6, statistics.median(counts), "processes"),
        at_least(f"integration against `git merge`, {FILES} files, CPU", 4, cpu["merge"] / cpu["doors"], "x faster"),
        at_least("the same, clock", 4, clock["merge"] / clock["doors"], "x faster", note),
        Result(
            "the same with its whole cycle, clock",
            "-",
            f"{clock['merge'] / clock['cycle']:.2f} x faster{whole}",
            held=True,
        ),
        *(
            Result(
                f"a merge with its whole cycle, records published on {words}",
                "-",
                f"{clock[name] * 1e3:.0f} ms, {statistics.median(started[name]):g} processes",
                held=True,
            )
            for name, words in (("ref", "a ref of their own"), ("branch", "the target branch"))
        ),
        at_most("the latter against the former, CPU", 2, cpu["branch"] / cpu["ref"], "x"),
    ]


def _published(place: Path, mode: ControlState) -> tuple[Path, House]:
    """Make a repository whose records are published; between merges there is no time for commits of records alone."""
    root = repository(place, FILES)
    git(root, "checkout", "--quiet", "-b", "aside")
    plain = open_house(str(root))
    house = House(plain.doors, replace(plain.config, control_state=mode, control_commit_seconds=10**6))
    cycle(house, "actuate")
    return root, house


def _branch(root: Path, number: int, branch: str) -> tuple[str, str, str]:
    """Make a branch that changes one file; return its name, its base and its head."""
    blob = git(root, "hash-object", "-w", "--stdin", given=f"better {number}\n")
    base = git(root, "rev-parse", "main")
    os.environ["GIT_INDEX_FILE"] = str(root / ".git/bench.index")
    try:
        git(root, "read-tree", base)
        path = f"src/part{number % 100:03d}/new{number}.txt"
        git(root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
        tree = git(root, "write-tree")
    finally:
        del os.environ["GIT_INDEX_FILE"]
    head = git(root, "commit-tree", "-p", base, "-m", f"work {number}", tree)
    git(root, "branch", branch, head)
    return branch, base, head


def _finished(house: House, root: Path, number: int) -> str:
    """Let the task of a new branch be accepted; return a second branch of the same work."""
    task = task_of(house, number, Status.READY)
    _, base, head = _branch(root, number, task.spec.worker_branch)
    git(root, "branch", f"copy-{number}", head)
    run_id = f"RUN-20260101T000000Z-{number:08x}"
    task = replace(task, status=Status.ACCEPTED, run_id=run_id, base_sha=base, head_sha=head, packet_sha256="0" * 64)
    house.store.put_task(task)
    for name in (PACKET, RECEIPT, AUDIT):
        house.store.put_document(
            run_id, name, {"about": [f"what {name} says of {number}, line {at}" for at in range(40)]}
        )
    return f"copy-{number}"


def _land(house: House) -> None:
    report, _ = cycle(house, "integrate")
    assert len(report.integrated) == 1, report


def _land_by_doors(house: House, branch: str, base: str, head: str) -> None:
    """Do what the loop does to the repository for one accepted branch, and nothing else."""
    door = house.doors.git
    merge = door.merge(base, head)
    commit = door.commit_tree(merge.tree, [base, head], "integrate")
    assert door.land("main", commit, base).landing is Landing.LANDED
    assert door.delete_branches({branch: head})


def _merge(place: Path, branch: str) -> None:
    git(place, "merge", "--quiet", "--no-ff", "--no-edit", branch)


def _spent(deed: Callable[[], None]) -> tuple[float, float]:
    """Return the processor time, children included, and the time on the clock."""
    before, started = _processor(), time.perf_counter()
    deed()
    return _processor() - before, time.perf_counter() - started


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)

"""A place for a gate or a worker: recycled, or of a part of the tree, against `git worktree add` of the whole."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from pathlib import Path

from measure import Result, at_most
from yard import git, repository

from gluerun.adapters.git import RepositoryGit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FILES = 10_000
# What a gate leaves, and how far the next commit is away.
JUNK, SPOILT, CHANGED = 50, 20, 3


def worktrees(folder: Path, count: int) -> list[Result]:
    """Make places for a chain of commits in four ways, in turn."""
    root = repository(folder / "yard", FILES)
    door = RepositoryGit(str(root), str(folder / "state"))
    # A thing to be made anew each time costs its removal too, but that is not in the way of anybody: it is not counted.
    clean, spoilt, plain, first, whole, part = (f"{root}/.worktrees/{name}" for name in "cspfwt")
    commits = _chain(root, count + 2)
    for place in (clean, spoilt):
        door.add_worktree(place, commits[0], lasting=True)
    found: dict[str, list[float]] = {name: [] for name in ("plain", "clean", "spoilt", "first", "whole", "part")}
    for number, commit in enumerate(commits[1:]):
        for place in (clean, spoilt):
            _litter(Path(place))
        _spoil(Path(spoilt), number)
        found["plain"].append(_spent(lambda: git(root, "worktree", "add", "--quiet", "--detach", plain, commit)))  # noqa: B023
        found["clean"].append(_spent(lambda: _recycle(door, clean, commit)))  # noqa: B023
        found["spoilt"].append(_spent(lambda: _recycle(door, spoilt, commit)))  # noqa: B023
        found["first"].append(_spent(lambda: door.add_worktree(first, commit, lasting=True)))  # noqa: B023
        found["whole"].append(_spent(lambda: door.add_worktree(whole, commit, branch="whole")))  # noqa: B023
        found["part"].append(_spent(lambda: door.add_worktree(part, commit, branch="part", parts=["src/part007"])))  # noqa: B023
        for place in (plain, first, whole, part):
            door.remove_worktree(place)
    # The first place after the whole tree was written is looked at file by file; it is the exception.
    took = {name: statistics.median(times[1:]) for name, times in found.items()}
    rows = [
        ("a place that a gate littered, recycled", 0.25, "clean"),
        (f"the same, {SPOILT} tracked files changed too", 0.3, "spoilt"),
        ("such a place made for the first time", 1.15, "first"),
        ("a worker's place of one folder", 0.1, "part"),
        ("a worker's whole place", 1.15, "whole"),
    ]
    unit = "x `git worktree add`"
    notes = {name: f" ({one * 1e3:.0f} against {took['plain'] * 1e3:.0f} ms)" for name, one in took.items()}
    return [
        at_most(f"{what}, {FILES} files", limit, took[name] / took["plain"], unit, notes[name])
        for what, limit, name in rows
    ]


def _recycle(door: RepositoryGit, place: str, commit: str) -> None:
    why = door.recycle_worktree(place, commit)
    assert not why, why


def _chain(root: Path, count: int) -> list[str]:
    """Return commits that follow each other, a few files apart, without a work tree."""
    made = [git(root, "rev-parse", "HEAD")]
    env = {**os.environ, "GIT_INDEX_FILE": str(root / ".git/bench.index")}
    for number in range(count):
        blob = git(root, "hash-object", "-w", "--stdin", given=f"better {number}\n")
        files = [f"src/part{(7 * number + each) % 100:03d}/new{number}.txt" for each in range(CHANGED)]
        lines = "".join(f"100644 {blob}\t{path}\n" for path in files)
        subprocess.run(["git", "read-tree", made[-1]], cwd=root, env=env, check=True)
        subprocess.run(["git", "update-index", "--index-info"], cwd=root, env=env, check=True, input=lines, text=True)
        tree = subprocess.run(["git", "write-tree"], cwd=root, env=env, check=True, capture_output=True, text=True)
        made.append(git(root, "commit-tree", "-p", made[-1], "-m", f"work {number}", tree.stdout.strip()))
    return made


def _litter(place: Path) -> None:
    for number in range(JUNK):
        path = place / f"build/out{number % 5}/junk{number}.o"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("compiled\n")


def _spoil(place: Path, number: int) -> None:
    for each in range(SPOILT):
        part = (number + 5 * each) % 100
        path = place / f"src/part{part:03d}/module{part * 100 + 50:05d}.txt"
        path.write_text("spoilt\n")


def _spent(deed: Callable[[], object]) -> float:
    started = time.perf_counter()
    deed()
    return time.perf_counter() - started

"""Under whose name the engine commits, on real git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gluerun.records.config import Config
from gluerun.records.dispatch import Role
from gluerun.wiring import doors_of


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


ENGINE = {"identity_name": "Loop", "identity_email": "loop@localhost"}
WORKER = {"identity_l1_name": "Dev", "identity_l1_email": "dev@localhost"}
CASES = [
    (ENGINE | WORKER, Role.WORKER, "Dev <dev@localhost>"),
    (ENGINE | WORKER, Role.PROVER, "Loop <loop@localhost>"),
    (ENGINE | WORKER, None, "Loop <loop@localhost>"),
    (ENGINE, Role.WORKER, "Loop <loop@localhost>"),
    (ENGINE | {"identity_l1_name": "Dev"}, Role.WORKER, "Dev <loop@localhost>"),
    ({}, Role.WORKER, "gluerun <gluerun@localhost>"),
]


@pytest.mark.parametrize(("named", "role", "expected"), CASES)
def test_work_and_merges_are_committed_under_their_own_names(tmp_path, named, role, expected):
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    base = git(tmp_path, "rev-parse", "HEAD")
    doors = doors_of(str(tmp_path), Config(target_branch="main", gate_command="", **named), role)
    place = str(tmp_path / ".worktrees/TASK-0001")
    doors.git.add_worktree(place, base, branch="agent/a/TASK-0001-x")
    doors.at(place).write("a.txt", b"x")

    head = doors.git.commit_all(place, base, "work")

    assert git(tmp_path, "log", "-1", "--format=%cn <%ce>", head) == expected

"""What the journal costs on real git, and that its files are sealed on a real disk."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from gluerun.adapters.files import DiskFiles
from gluerun.edge.verifying import verify
from gluerun.loop.house import JOURNAL_REF
from gluerun.loop.journal import PATH, SEALED, Journal, broken_link
from gluerun.loop.reconcile import cycle
from gluerun.records import codec
from gluerun.wiring import open_house

NOW = codec.moment("2026-01-31T12:00:00+00:00")
CONFIG = {
    "schemaVersion": "v1",
    "targetBranch": "main",
    "runner": "script",
    "runners": {"script": {"kind": "scripted", "scenario": "none.json"}},
    "minDiskGb": 0,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "gluerun.config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "docs/orchestration/tasks").mkdir(parents=True)
    words = ("-c", "user.name=u", "-c", "user.email=u@example.invalid")
    for command in (("init", "-q", "-b", "main"), ("add", "-A"), (*words, "commit", "-q", "-m", "start")):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def spent(house) -> int:
    """Run a cycle and return how many git processes it started."""
    before = house.doors.git.processes
    cycle(house, "apply")
    return house.doors.git.processes - before


def refuse(root: Path, number: int) -> None:
    """Put a task file there that will be refused, which is told."""
    (root / f"docs/orchestration/tasks/TASK-{number:04d}.md").write_text(f"# TASK-{number:04d}: x\n")


@pytest.mark.parametrize("packed", [False, True])
def test_an_idle_cycle_starts_no_git_and_one_that_tells_starts_one_more(root, packed):  # FR-004
    house = open_house(str(root))
    refuse(root, 1)
    cycle(house, "apply")
    if packed:
        subprocess.run(["git", "pack-refs", "--all"], cwd=root, check=True)

    idle = spent(house)
    refuse(root, 2)
    told = spent(house)

    assert (idle, told) == (0, 1)
    assert len(house.doors.git.logged(JOURNAL_REF, "Gluerun-Journal")) == 2
    assert spent(house) == 0
    assert verify(house).is_whole


def test_looking_writes_nothing_where_there_is_no_state_folder(root):
    assert verify(open_house(str(root))).is_whole
    assert not (root / ".gluerun-state").exists()


def test_files_are_sealed_on_a_disk_as_they_are_in_memory(tmp_path):
    files = DiskFiles(str(tmp_path))
    for number in range(40):
        journal = Journal(files, limit=2000)
        journal.tell(NOW, "test.line", f"line {number}")
        journal.flush()

    assert len(files.names(SEALED)) > 3
    assert (tmp_path / PATH).stat().st_size <= 2400
    assert broken_link(files) == ""
    assert [event["seq"] for event in Journal(files).last(40)] == [*range(1, 41)]

"""What lies among the task files and is none is named once, and everything else goes on."""

from __future__ import annotations

import io
import json
import os
import subprocess
from contextlib import redirect_stderr, redirect_stdout

import pytest

from gluerun.cli import main

CONFIG = {
    "schemaVersion": "v1",
    "targetBranch": "main",
    "gateCommand": "true",
    "runner": "script",
    "runners": {"script": {"kind": "scripted", "scenario": "none.json", "timeoutSeconds": 60}},
    "minDiskGb": 0,
}
GOOD = (
    "# TASK-{:04d}: Do it\n\nStatus: ready\n\n## Objective\n\nIt is done.\n\n"
    "## Scope\n\nOwned files:\n- `src/{}`\n\n## Acceptance Criteria\n\n- ok\n"
)


def folder_there(path):
    path.mkdir()


def pipe_there(path):
    os.mkfifo(path)


def link_to_nowhere(path):
    path.symlink_to("nowhere")


def link_to_itself(path):
    path.symlink_to(path.name)


def link_to_a_folder(path):
    path.symlink_to(".")


def locked_file(path):
    if not os.geteuid():
        pytest.skip("nothing is locked for root")
    path.write_text(GOOD.format(3, 3))
    path.chmod(0)


def typed(*words):
    """Type a command; return its exit code and what it says."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main.run(list(words))
    return code, said.getvalue()


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    """The folder of task files of a repository with one task."""
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path)], check=True)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "first"], cwd=tmp_path, check=True)
    (tmp_path / "gluerun.config.json").write_text(json.dumps(CONFIG))
    folder = tmp_path / "docs" / "orchestration" / "tasks"
    folder.mkdir(parents=True)
    (folder / "TASK-0001.md").write_text(GOOD.format(1, 1))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize(
    "odd", [folder_there, pipe_there, link_to_nowhere, link_to_itself, link_to_a_folder, locked_file]
)
def test_what_is_no_task_file_is_named_once_and_everything_else_goes_on(odd, tasks):
    odd(tasks / "TASK-0003.md")

    code, said = typed("reconcile", "--apply")
    assert (code, "TASK-0003.md" in said) == (0, True), said
    (tasks / "TASK-0004.md").write_text(GOOD.format(4, 4))
    assert typed("reconcile", "--apply")[0] == 0
    code, again = typed("reconcile", "--apply")

    assert (code, "TASK-0003.md" in again) == (0, False), again
    journal = (tasks.parents[2] / ".gluerun-state" / "events.ndjson").read_text()
    events = [json.loads(line) for line in journal.splitlines()]
    refused = [event for event in events if event["type"] == "packet.import_rejected"]
    assert [event["data"]["path"] for event in refused] == ["docs/orchestration/tasks/TASK-0003.md"]
    listed = json.loads(typed("task", "list", "--json")[1])["tasks"]
    assert {one["taskId"]: one["status"] for one in listed} == {
        "TASK-0001": "ready",
        "TASK-0003": "invalid",
        "TASK-0004": "ready",
    }
    for verb in (("health",), ("reconcile",)):
        assert typed(*verb)[0] in (0, 1), verb
    assert "TASK-0003.md" in typed("status")[1]


@pytest.mark.parametrize("odd", [folder_there, locked_file])
def test_once_it_is_a_task_file_it_is_taken_in(odd, tasks):
    place = tasks / "TASK-0003.md"
    odd(place)
    for _ in range(2):
        assert typed("reconcile", "--apply")[0] == 0
    if odd is locked_file:
        place.chmod(0o644)
    else:
        (place.rmdir if odd is folder_there else place.unlink)()
        place.write_text(GOOD.format(3, 3))

    assert typed("reconcile", "--apply")[0] == 0

    listed = json.loads(typed("task", "list", "--json")[1])["tasks"]
    assert {one["taskId"]: one["status"] for one in listed} == {"TASK-0001": "ready", "TASK-0003": "ready"}

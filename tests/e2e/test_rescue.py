"""What was rescued is listed, shown and got back, and what is old is given up: the verbs, on real git."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from tests.e2e.backlog import Backlog, git

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas" / "cli"
TASK = "TASK-0001"


def document(backlog, *words, schema):
    found = json.loads(backlog.run(*words, "--json").stdout)
    described = json.loads((SCHEMAS / f"{schema}.v0.schema.json").read_text())
    assert list(Draft7Validator(described).iter_errors(found)) == []
    return found


@pytest.fixture(scope="module")
def once_rescued(tmp_path_factory, run_gluerun):
    """A backlog whose one worker was killed in the middle, and whose task was done by the next."""
    backlog = Backlog(tmp_path_factory.mktemp("rescued") / "repo", run_gluerun)
    backlog.task(1, {"write": {"src/1.txt": "half\n"}, "stay": True}, {"write": {"src/1.txt": "good\n"}})
    backlog.ask("reconcile", "--actuate")
    backlog.until((backlog.root / f".worktrees/{TASK}/src/1.txt").exists, "the agent wrote its file")
    os.killpg(os.getsid(backlog.wrapper(TASK)), signal.SIGKILL)
    backlog.ask("--set", "orphanGrace=0", "auto")
    return backlog


@pytest.fixture
def rescued(once_rescued, tmp_path, run_gluerun):
    """A copy of it, moved to a place of its own: nobody is at work there any more."""
    shutil.copytree(once_rescued.root, tmp_path / "repo", symlinks=True)
    return Backlog.at(tmp_path / "repo", run_gluerun)


def test_a_rescue_is_listed_shown_and_got_back(rescued):
    listed = document(rescued, "rescue", "list", schema="rescues")
    (one,) = listed["rescues"]
    shown = document(rescued, "rescue", "show", TASK, "--patch", schema="rescue")
    assert (one["task"], one["files"], shown["rescue"]) == (TASK, 1, one)
    assert "+half" in shown["patch"]
    assert "src/1.txt" in rescued.run("rescue", "show", one["ref"]).stdout

    document(rescued, "rescue", "restore", TASK, "--branch", "again", schema="restored")
    place = rescued.root.parent / "out"
    document(rescued, "rescue", "restore", one["ref"], "--to", str(place), schema="restored")

    assert git(rescued.root, "show", "again:src/1.txt") == "half"
    assert (place / "src/1.txt").read_text() == "half\n"
    assert git(rescued.root, "rev-parse", one["ref"]) == one["commit"]


BAD = [
    (("show", "TASK-0002"), "did you mean `TASK-0001`?"),
    (("restore", TASK), "say where it should go"),
    (("restore", TASK, "--branch", "main"), "there is a branch 'main' already"),
    (("restore", TASK, "--to", "src"), "is there already"),
    (("restore", TASK, "--branch=-x"), "cannot be a branch name"),
    (("list", "--task", "TASK-0002"), "did you mean `TASK-0001`?"),
    (("show", TASK, "--stat", "--patch"), "two answers"),
]


def test_bad_words_are_a_sentence_and_change_nothing(rescued, gluerun):
    (rescued.root / "src").mkdir(exist_ok=True)
    before = git(rescued.root, "for-each-ref")

    for words, says in BAD:
        done = gluerun("rescue", *words, cwd=rescued.root)
        assert (done.returncode, says in done.stderr) == (2, True), (words, done)

    assert git(rescued.root, "for-each-ref") == before


def test_what_is_old_is_given_up_by_word_and_the_rest_stays(rescued):
    rescued.configure(gc={"keepDays": 0, "keepRuns": 0})
    planned = document(rescued, "gc", "--dry-run", schema="gc")
    assert (planned["acted"], {one["kind"] for one in planned["given"]}) == (False, {"run", "config", "receipt"})
    assert planned["bytes"] > 0

    done = document(rescued, "gc", schema="gc")

    assert (done["acted"], done["bytes"], done["keptRescues"]) == (True, planned["bytes"], 1)
    assert all((run / "dispatch.json").exists() for run in (rescued.root / ".gluerun-state/runs").iterdir())
    # The logs of the run that shows the target green are evidence of nodes to come.
    green = json.loads((rescued.root / ".gluerun-state/cycle.json").read_text())["greenRun"]
    logs = rescued.root.glob(".gluerun-state/runs/**/*.log")
    assert {path.relative_to(rescued.root / ".gluerun-state/runs").parts[0] for path in logs} == {green}
    assert TASK in rescued.run("task", "show", TASK).stdout
    assert rescued.run("costs").returncode == 0

    assert document(rescued, "gc", "--rescues-older-than", "0", schema="gc")["keptRescues"] == 0
    assert git(rescued.root, "for-each-ref", "refs/gluerun/rescue") == ""

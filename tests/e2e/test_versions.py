"""Versions side by side, and a repository that comes from elsewhere: with real installs and real git."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from tests.e2e.backlog import Backlog, git, writes
from tests.patience import PATIENCE

CHECKOUT = Path(__file__).resolve().parents[2]
SCHEMAS = CHECKOUT / "schemas" / "cli"
SAMPLE = CHECKOUT / "tests" / "data" / "gluerun-go-v1"
WHERE = """
import gluerun, os, typer
print(os.path.dirname(gluerun.__file__))
print(os.path.dirname(os.path.dirname(typer.__file__)))
"""
OLD, NEW = "0.0.8", "0.0.9"


def load_install():
    """Return install.py as a module; it is a script, on nobody's path."""
    spec = importlib.util.spec_from_file_location("gluerun_install", CHECKOUT / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


install = load_install()


def builder(wheel_python: str, version: str):
    """Return what builds an environment with the engine under test, told that it is another version."""
    said = subprocess.run([wheel_python, "-P", "-c", WHERE], capture_output=True, text=True, check=True).stdout
    package, dependencies = said.splitlines()

    def build(home: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
        site = next((home / "lib").glob("python*/site-packages"))
        shutil.copytree(package, site / "gluerun", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("schemas", "migrations"):
            shutil.copytree(CHECKOUT / name, site / "gluerun" / "_assets" / name, dirs_exist_ok=True)
        (site / "others.pth").write_text(f"{dependencies}\n")
        told = site / "gluerun" / "release.py"
        told.write_text(told.read_text().replace(install.read_project().version, version))
        install.write_atomic(home / install.MARKER, json.dumps({"fingerprint": version}))

    return build


@pytest.fixture
def root(wheel_python, tmp_path, monkeypatch):
    """Two versions, installed side by side; the newer one is current."""
    root = tmp_path / "engines"
    monkeypatch.setenv("GLUERUN_HOME", str(root))
    for version in (OLD, NEW):
        folder = install.install_version(root, version, version, builder(wheel_python, version))
        install.make_current(root, folder)
    return root


@pytest.fixture
def backlog(root, tmp_path):
    """A repository in which `gluerun` is the launcher."""

    def run(*words: str, cwd: Path, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        argv = [str(root / "bin" / "gluerun"), *words]
        return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False)

    return Backlog(tmp_path / "repo", run)


def test_a_worker_of_the_version_before_finishes_under_the_next_one(root, backlog):
    backlog.configure(engineVersion="0.0.1")  # neither installed nor needed, to say what is wanted instead
    assert backlog.ask("update", OLD)["changed"] == [".gluerun-version", "engineVersion"]
    assert json.loads((backlog.root / "gluerun.config.json").read_text())["engineVersion"] == OLD
    task = backlog.task(1, writes(1, until="go"))
    backlog.commit("a task")
    backlog.run("reconcile", "--apply")
    assert backlog.ask("reconcile", "--actuate")["dispatched"] == [task]
    backlog.wrapper(task)

    updated = backlog.ask("update")
    (other,) = backlog.ask("status")["otherEngines"]
    said = backlog.run("status").stdout
    with pytest.raises(install.StopError, match=f"{OLD} is in use"):
        install.uninstall(OLD)
    (backlog.root / "go").write_text("")
    drained = backlog.ask("reconcile", "--drain")

    jsonschema.validate(updated, json.loads((SCHEMAS / "update.v0.schema.json").read_text()))
    assert (updated["before"], updated["after"]) == (OLD, NEW)
    assert (other["who"], other["version"], other["task"]) == ("worker", OLD, task)
    assert f"the worker of {task} still runs gluerun {OLD}" in said
    assert drained["integrated"] == [task]
    assert backlog.ask("status")["otherEngines"] == []
    merged = git(backlog.root, "log", "-1", "--format=%(trailers:key=Gluerun-Engine,valueonly)", "main")
    assert merged.strip() == NEW
    assert install.uninstall(OLD) == 0


def test_an_update_to_what_is_not_there_or_does_not_fit_changes_nothing(root, backlog):
    before = backlog.root.joinpath("gluerun.config.json").read_bytes()
    tried = backlog.ask("update", OLD, "--dry-run")
    missing = backlog.run("update", "7.7.7")
    release = next((root / "versions" / OLD / "lib").glob("python*/site-packages/gluerun/release.py"))
    release.write_text(release.read_text().replace('SCHEMA = "v1"', 'SCHEMA = "v0"'))
    other = backlog.run("update", OLD)

    assert (tried["acted"], tried["after"]) == (False, OLD)
    assert (missing.returncode, other.returncode) == (2, 2)
    assert "gluerun 7.7.7 is not installed" in missing.stderr
    assert f"installed: {OLD}, {NEW}" in missing.stderr
    assert f"gluerun {OLD} has schema v0, and this repository is written for v1" in other.stderr
    assert "migrate" in other.stderr
    assert not (backlog.root / ".gluerun-version").exists()
    assert backlog.root.joinpath("gluerun.config.json").read_bytes() == before


def test_a_repository_of_the_predecessor_migrates_and_its_backlog_runs_to_the_end(gluerun, tmp_path):
    repo = tmp_path / "repo"
    for path in (path for path in SAMPLE.rglob("*") if path.is_file()):
        target = repo / str(path.relative_to(SAMPLE)).replace("dot-", ".", 1)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    git(repo, "init", "--quiet", "--initial-branch=main")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "as it was left")
    left = "agent/parser/TASK-0002-read-words"
    git(repo, "worktree", "add", "--quiet", "-b", left, ".worktrees/TASK-0002", "main")
    (repo / ".worktrees/TASK-0002/internal/parser/words.txt").write_text("half\n")

    def ask(*words):
        done = gluerun(*words, "--json", cwd=repo)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    refused = gluerun("reconcile", "--actuate", cwd=repo)
    tried = ask("migrate", "--dry-run")
    assert git(repo, "status", "--porcelain") == ""
    done = ask("migrate")
    again = ask("migrate")

    assert refused.returncode == 2
    assert "type `gluerun migrate`" in refused.stderr
    jsonschema.validate(done, json.loads((SCHEMAS / "migration.v0.schema.json").read_text()))
    assert (tried["acted"], tried["changes"]) == (False, done["changes"])
    assert (again["acted"], again["changes"]) == (False, [])

    moves = {"TASK-0002": "words", "TASK-0003": "signs", "TASK-0004": "lines"}
    scenario = {
        task: {"worker": [{"write": {f"internal/parser/{name}.txt": "good\n"}, "answer": {"summary": "done"}}]}
        for task, name in moves.items()
    }
    (tmp_path / "scenario.json").write_text(json.dumps(scenario))
    script = {"kind": "scripted", "scenario": str(tmp_path / "scenario.json"), "timeoutSeconds": PATIENCE}
    config = json.loads((repo / "gluerun.config.json").read_text())
    config |= {"runners": {"script": script}, "runner": "script", "requireAudit": False}
    (repo / "gluerun.config.json").write_text(json.dumps(config))
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "move to this engine")
    ended = ask("auto", "--set", "generate=false", "--set", "push=false")

    assert sorted(ended["integrated"]) == sorted(moves)
    board = ask("status")
    assert [(one["id"], one["status"]) for one in board["tasks"]] == [("TASK-0005", "parked")]
    assert {one["id"]: one["state"] for one in board["nodes"]} == {"M0.scaffold": "passed", "D1.parser": "passed"}
    assert git(repo, "show", "main:internal/parser/words.txt") == "good"
    rescued = [one["ref"] for one in ask("rescue", "list")["rescues"]]
    assert any("TASK-0002" in ref for ref in rescued), "what was left in the old work tree is kept"
    assert ask("task", "new", "--title", "More", "--objective", "More", "--owned", "internal", "--accept", "y")
    assert (repo / "docs/orchestration/tasks/TASK-0007.md").exists()  # A2: no id is used twice
    assert (repo / ".gluerun-state/runs/RUN-20260612T081500Z-4711/worker-codex.log").exists()

"""A cycle that finds nothing imports next to nothing: what it costs is mostly what it imports."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ENGINE = Path(__file__).resolve().parents[2] / "engine"
DEAR = {
    "asyncio", "click", "concurrent", "dataclasses", "email", "filelock", "importlib.metadata", "inspect",
    "jsonschema", "logging", "multiprocessing", "orjson", "pathlib", "pluggy", "psutil", "pydantic", "rich",
    "shutil", "socket", "subprocess", "tempfile", "threading", "typer", "typing", "unittest", "urllib", "yaml",
}  # fmt: skip
FEW = {"fcntl", "json", "os", "sys"}
CONFIG = {
    "schemaVersion": "v1",
    "targetBranch": "main",
    "runner": "script",
    "runners": {"script": {"kind": "scripted", "scenario": "none.json"}},
    "controlState": "off",
    "requireAudit": False,
    "minDiskGb": 0,
}
# Runs the program in an interpreter of its own and tells what has been imported by its end. Its clock is ahead,
# so that files which were written a moment ago count as settled.
PROGRAM = """
import json, sys, time
now = time.time
time.time = lambda: now() + 10
from gluerun.__main__ import main
sys.argv = ["gluerun", *sys.argv[1:]]
try:
    main()
finally:
    sys.stdout.flush()
    sys.stderr.write(json.dumps(sorted(sys.modules)))
"""


@pytest.fixture
def root(tmp_path):
    """A repository in which there is nothing to do, and nothing changed lately."""
    (tmp_path / "gluerun.config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "docs/orchestration/tasks").mkdir(parents=True)
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "start")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def run(root: Path, *words: str) -> tuple[str, set[str]]:
    """Run the program in the repository; return what it says and which modules it has imported."""
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(ENGINE)}
    # Without site: what an environment imports for every program is not ours.
    argv = [sys.executable, "-S", "-P", "-B", "-c", PROGRAM, *words]
    done = subprocess.run(argv, cwd=root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, set(json.loads(done.stderr))


def dear(modules: set[str]) -> set[str]:
    return {name for name in modules if name in DEAR or name.split(".")[0] in DEAR}


@pytest.mark.parametrize("mode", ["--actuate", "--apply"])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_an_idle_cycle_imports_nothing_dear(root, mode, form):
    _, modules = run(root, "reconcile", mode, *form)

    assert "gluerun.core.plan" in modules, "this was meant to be a whole cycle"
    assert dear(modules) == set()


def test_a_quiet_answer_imports_nothing_of_the_engine(root):
    run(root, "reconcile", "--actuate")  # this one still writes down what it has seen
    first, _ = run(root, "reconcile", "--actuate")

    said, modules = run(root, "reconcile", "--actuate")

    assert said == first
    assert {name for name in modules if name.startswith("gluerun")} == {"gluerun", "gluerun.__main__", "gluerun.quiet"}
    assert dear(modules) == set()


def test_the_quiet_answer_is_the_answer_of_a_cycle(root):
    run(root, "reconcile", "--actuate")
    first, whole = run(root, "reconcile", "--actuate", "--json")
    second, few = run(root, "reconcile", "--actuate", "--json")
    other, _ = run(root, "reconcile", "--apply", "--json")

    assert "gluerun.core.plan" in whole
    assert "gluerun.core.plan" not in few
    documents = [json.loads(text) for text in (first, second, other)]
    assert [document.pop("mode") for document in documents] == ["actuate", "actuate", "apply"]
    ids = [document.pop("runId") for document in documents]
    assert len(set(ids)) == 3
    assert documents[0] == documents[1] == documents[2]
    assert documents[0]["quiet"] is True


def test_the_quiet_module_imports_next_to_nothing():
    tree = ast.parse((ENGINE / "gluerun/quiet.py").read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert names - {"__future__"} == FEW


@pytest.mark.parametrize(
    "words", [("--repo", ".", "reconcile", "--actuate"), ("reconcile", "--actuate", "--set", "a=1")]
)
def test_the_unusual_is_left_to_the_frame_of_the_command_line(words):
    from gluerun.quiet import plain_mode

    assert plain_mode(list(words)) == ""

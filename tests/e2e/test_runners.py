"""Real agent programs at the command line: listed, tried, and refused, as words and as documents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

CHECKOUT = Path(__file__).resolve().parents[2]
SCHEMAS = CHECKOUT / "schemas" / "cli"
INSTALLED = os.environ.get("GLUERUN_E2E_PYTHON")
PROGRAM = (INSTALLED or sys.executable, "-P", "-m", "gluerun")
WHERE = {} if INSTALLED else {"PYTHONPATH": str(CHECKOUT / "engine")}
STUB = f"""#!{sys.executable}
import json, sys
if "--version" in sys.argv:
    print("claude 9.9.9")
    raise SystemExit
sys.stdin.read()
open("hello.txt", "w").write("gluerun was here")
print(json.dumps({{"type": "result", "is_error": False, "num_turns": 1, "result": "done", "session_id": "s",
                  "usage": {{"input_tokens": 1, "output_tokens": 1}}}}))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/claude").write_text(STUB)
    (tmp_path / "bin/claude").chmod(0o755)
    return tmp_path


def gluerun(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    own = {"PATH": f"{cwd / 'bin'}:{os.environ['PATH']}", "HOME": str(cwd)}
    return subprocess.run(
        [*PROGRAM, *words],
        cwd=cwd,
        env=os.environ | WHERE | own,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def document(done: subprocess.CompletedProcess[str], schema: str) -> dict[str, object]:
    assert done.stdout, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    described = json.loads((SCHEMAS / f"{schema}.v0.schema.json").read_text())
    assert list(Draft7Validator(described).iter_errors(found)) == []
    return found


def test_a_program_is_listed_tried_and_then_proved_here(folder):
    before = document(gluerun("runners", "--json", cwd=folder), "runners")
    tried = gluerun("doctor", "--runner", "claude", "--json", cwd=folder)
    words = gluerun("runners", cwd=folder).stdout

    (row,) = (row for row in before["runners"] if row["name"] == "claude")
    assert (row["state"], row["version"]) == ("proved", "9.9.9")
    assert document(tried, "probe")["isGood"] is True
    assert tried.returncode == 0
    assert [line.split()[:4] for line in words.splitlines() if line.startswith("claude")] == [
        ["claude", "proved", "here", "9.9.9"]
    ]


def test_a_program_that_does_nothing_is_told_in_words_and_by_exit_code(folder):
    (folder / "bin/claude").write_text("#!/bin/sh\ncat > /dev/null\n")

    done = gluerun("doctor", "--runner", "claude", cwd=folder)

    assert done.returncode == 1
    assert "fail: claude" in done.stdout
    assert "Everything is kept in " in done.stdout
    assert "its account is used" in done.stderr
    assert not (folder / ".gluerun").exists()


def test_a_name_that_nobody_has_is_answered_with_the_nearest(folder):
    done = gluerun("doctor", "--runner", "claud", cwd=folder)

    assert done.returncode == 2
    assert "did you mean `claude`?" in done.stderr
    assert "account" not in done.stderr


def test_a_new_repository_starts_with_a_program(folder):
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=folder, check=True)

    done = gluerun("init", "--runner", "claude", cwd=folder)

    assert done.returncode == 0, done.stderr
    assert "gluerun doctor --runner claude" in done.stdout
    rows = document(gluerun("runners", "--json", cwd=folder), "runners")["runners"]
    assert rows[0]["name"] == "claude"
    assert rows[0]["roles"] == ["worker", "auditor", "planner", "decider"]

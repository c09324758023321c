"""Real agent programs at the command line: listed, tried, and refused, as words and as documents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from tests.patience import PATIENCE

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
    own = {"PATH": f"{cwd / 'bin'}:{os.environ['PATH']}", "HOME": str(cwd), "TMPDIR": str(cwd)}
    return subprocess.run(
        [*PROGRAM, *words],
        cwd=cwd,
        env=os.environ | WHERE | own,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
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


# An agent that can do two tasks and always accepts; it answers in the stream and in the file for the answer.
PLAYER = f"""#!{sys.executable}
import json, os, pathlib, re, sys
if "--version" in sys.argv:
    print("claude 9.9.9")
    raise SystemExit
prompt = sys.stdin.read()
name, code, test = {{
    "TASK-0001": ("price", "def total(prices):\\n    return sum(prices)\\n", "price.total([1, 2]), 3"),
    "TASK-0002": ("timer", "def clock(m):\\n    return f'{{m // 60}}:{{m % 60:02}}'\\n", "timer.clock(75), '1:15'"),
}}[os.environ["GLUERUN_TASK"]]
answer = {{"summary": "done"}}
if os.environ["GLUERUN_ROLE"] == "worker":
    pathlib.Path("kitchen", name + ".py").write_text(code)
    pathlib.Path("tests", "test_" + name + ".py").write_text(
        f"import unittest\\nfrom kitchen import {{name}}\\n\\n\\nclass Test(unittest.TestCase):\\n"
        f"    def test_it(self):\\n        self.assertEqual({{test}})\\n")
else:
    head = re.search("[0-9a-f]{{40}}", prompt)[0]
    answer = {{"verdict": "accepted", "rationale": "fine", "headSha": head, "nonce": os.environ["GLUERUN_NONCE"]}}
output = pathlib.Path(os.environ["GLUERUN_OUTPUT"])
output.parent.mkdir(parents=True, exist_ok=True)
output.write_text(json.dumps(answer))
print(json.dumps({{"type": "result", "is_error": False, "num_turns": 2, "result": json.dumps(answer),
                  "session_id": "s", "usage": {{"input_tokens": 1, "output_tokens": 1}}}}))
"""


def test_the_demonstration_can_be_played_by_a_real_program(folder):
    (folder / "bin/claude").write_text(PLAYER)

    done = gluerun("demo", "--runner", "claude", "--folder", str(folder / "kitchen"), "--json", cwd=folder)

    played = document(done, "demo")
    assert sorted(played["integrated"]) == ["TASK-0001", "TASK-0002"], done.stderr
    assert played["parked"] == []
    assert "claude 9.9.9" in done.stderr
    assert "2 tasks" in done.stderr
    assert "your own account" in done.stderr


def test_a_program_that_is_not_there_plays_nothing(folder):
    done = gluerun("demo", "--runner", "gemini", "--folder", str(folder / "kitchen"), cwd=folder)

    assert done.returncode == 127
    assert "gemini is not there" in done.stderr
    assert not (folder / "kitchen").exists()

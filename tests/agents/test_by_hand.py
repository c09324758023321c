"""What a person types to try a program: `doctor --runner` and `demo --runner`, with the real ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.agents.driving import program
from tests.agents.model.server import FakeModel
from tests.agents.plays import AUDITOR, DONE
from tests.agents.pointed import CODEX_MODEL, KEY, codex_settings

ASKED = {"tool": "write", "path": "hello.txt", "content": "gluerun was here\n"}
TEST = """\
import unittest

from kitchen import {0}


class Test(unittest.TestCase):
    def test_it(self):
        {1}
"""
PRICE = "def total(prices):\n    return sum(prices)\n"
TIMER = "def clock(minutes):\n    return f'{minutes // 60}:{minutes % 60:02}'\n"


@pytest.fixture(params=["claude", "codex"])
def name(request, tmp_path, monkeypatch) -> str:
    """The name of a program, which a person's shell finds, in a home of its own."""
    monkeypatch.setenv("PATH", program(request.param).rpartition("/")[0], prepend=":")
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return request.param


def log_in(model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what a person does once for each program."""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", model.url)
    for variable in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(variable, KEY)
    codex_settings(model, Path.home())


def writes(module: str, code: str, check: str) -> dict[str, object]:
    """Return the play of a task of the demonstration."""
    files = {f"kitchen/{module}.py": code, f"tests/test_{module}.py": TEST.format(module, check)}
    turns = [{"tool": "write", "path": path, "content": text} for path, text in files.items()]
    return {"when": f"kitchen/{module}.py", "turns": [*turns, DONE]}


def test_a_person_tries_a_program_and_is_told_that_it_works(name, gluerun, monkeypatch):
    with FakeModel({"turns": [ASKED, DONE]}) as model:
        log_in(model, monkeypatch)
        done = gluerun("doctor", "--runner", name, "--json")

    found = json.loads(done.stdout)
    assert (done.returncode, found["isGood"]) == (0, True), done.stdout + done.stderr
    assert (found["turns"], found["outputTokens"]) == (2, 100)
    assert found["model"] == CODEX_MODEL or found["model"].startswith("claude-")
    assert f'"{name}"' in (Path.home() / ".gluerun/proved.json").read_text()
    assert not Path(found["folder"] or "/nowhere").exists()


def test_a_person_whose_key_is_refused_is_told_so(name, gluerun, monkeypatch):
    with FakeModel(faults=["401"]) as model:
        log_in(model, monkeypatch)
        done = gluerun("doctor", "--runner", name)

    assert done.returncode == 1
    assert "its key is refused: renew it" in done.stdout
    assert not (Path.home() / ".gluerun/proved.json").exists()


def test_a_person_watches_a_program_do_the_real_demonstration(name, gluerun, monkeypatch):
    price = writes("price", PRICE, "self.assertEqual(price.total([1, 2]), 3)")
    timer = writes("timer", TIMER, "self.assertEqual(timer.clock(75), '1:15')")
    with FakeModel({"cases": [AUDITOR, price, timer]}) as model:
        log_in(model, monkeypatch)
        done = gluerun("demo", "--runner", name, "--folder", str(Path.home().parent / "demo"), "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(json.loads(done.stdout)["integrated"]) == ["TASK-0001", "TASK-0002"]
    assert "It uses your own account" in done.stderr

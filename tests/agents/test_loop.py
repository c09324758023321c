"""The whole loop with real programs: claude writes, codex audits, a scripted model thinks for both."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.agents.model.server import FakeModel
from tests.agents.plays import AUDITOR, DONE, SECOND_TRY, SPOILS, WORKS
from tests.agents.pointed import KEY, claude, codex, codex_words
from tests.e2e.backlog import git


def declared(model: FakeModel) -> dict[str, object]:
    """Return the runners as a person would name them, where the engine knows how these programs are called."""
    return {"claude": claude(model), "codex": codex(model)}


def commands(model: FakeModel) -> dict[str, object]:
    """Return the same programs as plain commands, of which the engine knows nothing."""
    quiet = ("DISABLE_AUTOUPDATER", "DISABLE_TELEMETRY", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "IS_SANDBOX")
    claude = {"ANTHROPIC_BASE_URL": model.url, "ANTHROPIC_API_KEY": KEY, **dict.fromkeys(quiet, "1")}
    writes = ["claude", "-p", "--model", "claude-sonnet-4-5", "--dangerously-skip-permissions"]
    reads = ["codex", "exec", "--skip-git-repo-check", "--sandbox", "read-only", "--model", "fake-model"]
    reads += ["--disable", "plugins", *codex_words(model), "-"]
    return {
        "claude": {"kind": "command", "argv": writes, "env": claude, "state": ["~/.claude/", "~/.claude.json"]},
        "codex": {"kind": "command", "argv": reads, "env": {"FAKE_KEY": KEY}, "state": ["~/.codex/"]},
    }


@pytest.fixture(params=[commands, declared], ids=["commands", "declared"])
def play(request, backlog) -> Callable[[FakeModel], dict[str, object]]:
    """Let the loop run to its end on one task, with its programs pointed at the model."""

    def run(model: FakeModel) -> dict[str, object]:
        roles = {"worker": {"runner": "claude"}, "auditor": {"runner": "codex"}}
        # What the engine knows nothing of brings a sandbox of its own, or folders that nobody has named.
        more = {"sandbox": "off"} if request.param is commands else {}
        backlog.configure(runners=request.param(model), runner="claude", roles=roles, **more)
        backlog.task(1)
        backlog.commit("a task")
        return backlog.ask("auto")

    return run


def test_a_task_becomes_a_merge_commit(backlog, play):
    with FakeModel({"cases": [AUDITOR], "turns": [WORKS, DONE]}) as model:
        ended = play(model)

    assert ended["integrated"] == ["TASK-0001"]
    assert git(backlog.root, "show", "main:src/1.txt") == "good"
    assert {request.dialect for request in model.requests} == {"messages", "responses"}
    assert model.strays == []


def test_a_red_gate_is_mended_in_the_second_try(backlog, play):
    with FakeModel({"cases": [AUDITOR, SECOND_TRY], "turns": [SPOILS, DONE]}) as model:
        ended = play(model)

    assert ended["integrated"] == ["TASK-0001"]
    assert git(backlog.root, "show", "main:src/1.txt") == "good"


def test_a_model_that_refuses_for_a_while_costs_no_try(backlog, play):
    with FakeModel({"cases": [AUDITOR], "turns": [WORKS, DONE]}, faults=["429:2"]) as model:
        ended = play(model)

    assert ended["integrated"] == ["TASK-0001"]
    assert backlog.record("TASK-0001")["tries"] == 1

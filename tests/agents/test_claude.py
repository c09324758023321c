"""Claude Code, the real program: what it shares with codex, and what is its own."""

from __future__ import annotations

from typing import ClassVar

import pytest
from tests.agents.by_hand import Ask
from tests.agents.driving import git
from tests.agents.model.server import FakeModel
from tests.agents.promises import Promises, is_untouched, new_session, run_reader, shell


class TestClaude(Promises):
    program = "claude"
    unknown_id = new_session()
    unknown_session = "No conversation found with session ID"
    tries: ClassVar = {"401": 3, "429": 3, "529": 3, "quota": 3, "credit": 1, "context": 1, "404": 2}
    says: ClassVar = {
        "401": "Invalid API key",
        "429": "rate limit",
        "529": "Overloaded",
        "quota": "quota",
        "credit": "Credit balance is too low",
        "context": "Prompt is too long",
        "404": "model",
    }
    after_term = 143
    after_int = 1

    @pytest.mark.parametrize(
        "turn",
        [
            {"call": "Write", "args": {"file_path": "hello.txt", "content": "x\n"}},
            {"call": "Bash", "args": {"command": "echo x > hello.txt", "description": "write"}},
        ],
        ids=["Write", "Bash"],
    )
    def test_a_reader_has_no_tool_to_write_even_if_the_model_calls_one(self, stage, turn):
        outcome = run_reader(stage, turn)

        assert set(outcome.requests[-1].asked.tools) == {"Read", "Grep", "Glob"}
        assert f"No such tool available: {turn['call']}" in outcome.told
        assert is_untouched(stage)

    def test_a_commit_from_the_linked_work_tree_is_possible(self, stage):
        with FakeModel(shell("echo x > x.txt && git add x.txt && git commit --quiet --message=mine")) as model:
            outcome = stage.run(model, Ask())

        assert outcome.reading.is_ended
        assert git(stage.tree, "log", "-1", "--format=%s") == "mine"

"""Claude Code, the real program: what it shares with codex, and what is its own."""

from __future__ import annotations

from typing import ClassVar

from tests.agents.by_hand import Ask
from tests.agents.driving import git
from tests.agents.model.server import FakeModel
from tests.agents.promises import Promises, new_session, shell


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

    def test_a_commit_from_the_linked_work_tree_is_possible(self, stage_of):
        stage = stage_of("claude")
        with FakeModel(shell("echo x > x.txt && git add x.txt && git commit --quiet --message=mine")) as model:
            outcome = stage.run(model, Ask())

        assert outcome.reading.is_ended
        assert git(stage.tree, "log", "-1", "--format=%s") == "mine"

"""Codex, the real program: what it shares with claude, and what is its own."""

from __future__ import annotations

from typing import ClassVar

import pytest
from tests.agents.driving import FREE, Question, git
from tests.agents.model.server import FakeModel
from tests.agents.pointed import CODEX_MODEL
from tests.agents.promises import COMMIT, Promises, is_untouched, run_reader, shell

PATCH = "*** Begin Patch\n*** Add File: hello.txt\n+x\n*** End Patch\n"
ESCALATED = {
    "call": "exec_command",
    "args": {"cmd": "echo x > hello.txt", "sandbox_permissions": "require_escalated", "justification": "please"},
}


class TestCodex(Promises):
    program = "codex"
    provider = "fake"
    model = CODEX_MODEL
    tells_cost = False
    tries: ClassVar = {"401": 3, "429": 3, "529": 3, "quota": 1, "credit": 1, "context": 1, "404": 1}
    after_term = (-15, 143)
    shows_turns = 4
    after_int = (1,)

    @pytest.mark.parametrize(
        ("turn", "told"),
        [
            (
                {"tool": "shell", "command": f"apply_patch <<'EOF'\n{PATCH}EOF"},
                "writing is blocked by read-only sandbox",
            ),
            (ESCALATED, "you cannot ask for escalated permissions"),
        ],
        ids=["apply_patch", "escalated"],
    )
    def test_a_reader_cannot_get_round_its_sandbox(self, stage, turn, told):
        outcome = run_reader(stage, turn)

        assert told in outcome.told
        assert is_untouched(stage)

    def test_where_nobody_else_holds_it_a_worker_is_confined_by_its_own_sandbox(self, stage):
        with FakeModel(shell("echo x > ../outside; echo x > /tmp/gluerun-outside; echo x > inside")) as model:
            outcome = stage.run(model, Question(sandbox=FREE))

        assert outcome.reading.fault is None
        assert not (stage.root / "outside").exists()
        assert "/tmp/gluerun-outside: Read-only file system" in outcome.told
        assert (stage.tree / "inside").exists()

    def test_its_own_sandbox_lets_nobody_commit_from_the_linked_work_tree(self, stage):
        with FakeModel(COMMIT) as model:
            outcome = stage.run(model, Question(sandbox=FREE))

        assert outcome.reading.fault is None
        assert (stage.tree / "x.txt").exists()
        assert "index.lock': Read-only file system" in outcome.told
        assert git(stage.tree, "rev-list", "--count", "HEAD") == "1"

"""Codex, the real program: what it shares with claude, and what is its own."""

from __future__ import annotations

from typing import ClassVar

import pytest
from tests.agents.by_hand import Ask
from tests.agents.driving import git
from tests.agents.model.server import FakeModel
from tests.agents.promises import Promises, is_untouched, new_session, run_reader, shell

COMMIT = shell("echo x > x.txt && git add x.txt && git commit --quiet --message=mine")
TRAPPED = "codex-linux-sandbox: No such file or directory"

PATCH = "*** Begin Patch\n*** Add File: hello.txt\n+x\n*** End Patch\n"
ESCALATED = {
    "call": "exec_command",
    "args": {"cmd": "echo x > hello.txt", "sandbox_permissions": "require_escalated", "justification": "please"},
}


class TestCodex(Promises):
    program = "codex"
    unknown_id = new_session()
    unknown_session = "no rollout found for thread id"
    tries: ClassVar = {"401": 3, "429": 3, "529": 3, "quota": 1, "credit": 1, "context": 1, "404": 1}
    says: ClassVar = {
        "401": "unexpected status 401",
        "429": "429",
        "529": "529",
        "quota": "Quota exceeded",
        "credit": "credit balance",
        "context": "ran out of room",
        "404": "no such model",
    }
    after_term = -15
    after_int = 1

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

    def test_a_worker_is_confined_to_its_work_tree_where_temporary_folders_are_taken_away(self, stage):
        away = ("exclude_slash_tmp", "exclude_tmpdir_env_var")
        words = tuple(word for name in away for word in ("-c", f"sandbox_workspace_write.{name}=true"))
        with FakeModel(shell("echo x > ../outside; echo x > inside")) as model:
            free = stage.run(model, Ask())
            (stage.root / "outside").unlink()
            confined = stage.run(model, Ask(extra=words))

        assert free.reading.is_ended
        assert confined.reading.is_ended
        assert not (stage.root / "outside").exists()
        assert (stage.tree / "inside").exists()

    def test_a_commit_from_the_linked_work_tree_is_refused(self, stage):
        with FakeModel(COMMIT) as model:
            outcome = stage.run(model, Ask())

        assert outcome.reading.is_ended
        assert (stage.tree / "x.txt").exists()
        assert "index.lock': Read-only file system" in outcome.told
        assert git(stage.tree, "rev-list", "--count", "HEAD") == "1"

    def test_a_commit_is_possible_where_both_git_folders_are_named(self, stage):
        folders = [stage.repo / ".git", stage.repo / ".git/worktrees/tree"]
        words = tuple(word for folder in folders for word in ("--add-dir", str(folder)))
        with FakeModel(COMMIT) as model:
            outcome = stage.run(model, Ask(extra=words))

        assert outcome.reading.is_ended
        assert git(stage.tree, "log", "-1", "--format=%s") == "mine"

    def test_a_home_below_the_temporary_folder_breaks_every_command_and_nothing_is_said(self, stage):
        with FakeModel() as model:
            outcome = stage.run(model, Ask(), TMPDIR=str(stage.root))

        assert outcome.reading.is_ended
        assert TRAPPED in outcome.told
        assert not (stage.tree / "hello.txt").exists()

    def test_a_home_beside_the_temporary_folder_is_well(self, stage):
        with FakeModel() as model:
            outcome = stage.run(model, Ask(), TMPDIR=str(stage.temp))

        assert TRAPPED not in outcome.told
        assert (stage.tree / "hello.txt").exists()

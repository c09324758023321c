"""Codex, the real program: what it shares with claude, and what is its own."""

from __future__ import annotations

from typing import ClassVar

from tests.agents.by_hand import Ask
from tests.agents.driving import git
from tests.agents.model.server import FakeModel
from tests.agents.promises import Promises, new_session, shell

COMMIT = shell("echo x > x.txt && git add x.txt && git commit --quiet --message=mine")
TRAPPED = "codex-linux-sandbox: No such file or directory"


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

    def test_a_commit_from_the_linked_work_tree_is_refused(self, stage_of):
        stage = stage_of("codex")
        with FakeModel(COMMIT) as model:
            outcome = stage.run(model, Ask())

        assert outcome.reading.is_ended
        assert (stage.tree / "x.txt").exists()
        assert "index.lock': Read-only file system" in outcome.told
        assert git(stage.tree, "rev-list", "--count", "HEAD") == "1"

    def test_a_commit_is_possible_where_both_git_folders_are_named(self, stage_of):
        stage = stage_of("codex")
        folders = [stage.repo / ".git", stage.repo / ".git/worktrees/tree"]
        words = tuple(word for folder in folders for word in ("--add-dir", str(folder)))
        with FakeModel(COMMIT) as model:
            outcome = stage.run(model, Ask(extra=words))

        assert outcome.reading.is_ended
        assert git(stage.tree, "log", "-1", "--format=%s") == "mine"

    def test_a_home_below_the_temporary_folder_breaks_every_command_and_nothing_is_said(self, stage_of):
        stage = stage_of("codex")
        with FakeModel() as model:
            outcome = stage.run(model, Ask(), TMPDIR=str(stage.root))

        assert outcome.reading.is_ended
        assert TRAPPED in outcome.told
        assert not (stage.tree / "hello.txt").exists()

    def test_a_home_beside_the_temporary_folder_is_well(self, stage_of):
        stage = stage_of("codex")
        with FakeModel() as model:
            outcome = stage.run(model, Ask(), TMPDIR=str(stage.temp))

        assert TRAPPED not in outcome.told
        assert (stage.tree / "hello.txt").exists()

    def test_a_command_that_the_sandbox_refused_is_told_to_the_model_but_not_to_us(self, stage_of):
        stage = stage_of("codex")
        with FakeModel(shell("echo x > x.txt; touch .git/x")) as model:
            refused = stage.run(model, Ask(read_only=True))
        with FakeModel(shell("exit 3")) as model:
            failed = stage.run(model, Ask(read_only=True))

        assert "Read-only file system" in refused.told
        assert "command_execution" not in refused.log
        assert "command_execution" in failed.log

"""Records on the target branch, as installed: the merge brings them, a plain clone has them, a lost folder returns."""

from __future__ import annotations

import json
import shutil

from tests.e2e.backlog import git, writes

ARCHIVE = "docs/orchestration/archive/000"


def test_a_plain_clone_has_what_a_merge_rests_on_and_a_lost_folder_comes_back_from_it(backlog, gluerun, tmp_path):
    backlog.configure(controlState={"mode": "branch", "commitIntervalSeconds": 0})
    backlog.commit("records on the branch")
    task = backlog.task(1, writes(1))

    assert backlog.ask("auto")["integrated"] == [task]

    merge = git(backlog.root, "log", "-1", "--format=%H", "--fixed-strings", f"--grep=Gluerun-Task: {task}")
    brought = git(backlog.root, "diff", "--name-only", f"{merge}^1", merge).splitlines()
    assert {f"{ARCHIVE}/{task}/{name}.json" for name in ("task", "packet", "gate-check", "audit")} < set(brought)
    # The checkout has followed: what is not committed there is what nobody has committed yet.
    left = git(backlog.root, "status", "--porcelain", "--untracked-files=all").splitlines()
    assert {line.split("/")[-1][:9] for line in left} <= {task}
    assert git(backlog.root, "for-each-ref", "refs/gluerun/scratch", "refs/gluerun/control") == ""

    clone = tmp_path / "clone"
    git(backlog.root, "clone", "--quiet", str(backlog.root), str(clone))
    found = json.loads(gluerun("verify", "--json", cwd=clone).stdout)
    assert [one["evidence"] for one in found["merged"]] == ["whole"], found

    shutil.rmtree(backlog.root / ".gluerun-state")
    head = git(backlog.root, "rev-parse", "main")
    backlog.run("reconcile", "--actuate")
    assert [one["status"] for one in backlog.ask("task", "list", "--all")["tasks"]] == ["integrated"]
    assert git(backlog.root, "rev-parse", "main") == head

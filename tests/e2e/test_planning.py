"""Planning and importing as a person types them: an editor, a file, a node."""

from __future__ import annotations

import json
import subprocess

GRAPH = {
    "schema": "gluerun.orchestration.dag.v0",
    "nodes": [
        {"id": "core", "stage": "s", "area": "src", "layer": "code", "kind": "k", "requiredCompletion": "done",
         "dependsOn": []}
    ],
}  # fmt: skip
CONFIG = {
    "targetBranch": "main", "gateCommand": "true", "areas": {"src": "src"}, "runner": "mine", "requireAudit": False,
    "runners": {"mine": {"kind": "command", "argv": ["sh", "-c", 'printf "{\\"tasks\\": []}" > "$GLUERUN_OUTPUT"']}},
}  # fmt: skip


def repository(folder):
    def git(*words):
        subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=n@e", *words], cwd=folder, check=True)

    (folder / "docs/orchestration/tasks").mkdir(parents=True)
    (folder / "docs/orchestration/dag.v0.json").write_text(json.dumps(GRAPH), encoding="utf-8")
    (folder / "gluerun.config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    (folder / ".gitignore").write_text(".gluerun-state/\n.worktrees/\n", encoding="utf-8")
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    return folder


def test_a_node_is_planned_in_the_foreground_and_tasks_come_out_of_files_and_editors(gluerun, tmp_path, monkeypatch):
    folder = repository(tmp_path / "repo")
    planned = gluerun("plan", "core", "--json", cwd=folder)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert json.loads(planned.stdout)["outcome"] == "empty"

    (folder / "list.md").write_text(
        "- [ ] One\n  - Area: src\n- [ ] Two\n  - Area: src\n  - It is.\n", encoding="utf-8"
    )
    refused = gluerun("import", "list.md", cwd=folder)
    assert (refused.returncode, "list.md:1: 'One': no `## Acceptance Criteria`" in refused.stderr) == (2, True)
    assert gluerun("import", "list.md", "--accept", "It is.", cwd=folder).returncode == 0

    monkeypatch.setenv("VISUAL", "true")
    unchanged = gluerun("task", "new", "--edit", cwd=folder)
    assert (unchanged.returncode, "nothing was written" in unchanged.stderr) == (2, True)
    monkeypatch.setenv("VISUAL", "sed -i.before -e s/in.a.few.words/now/ -e s/`path`/`src`/")
    edited = gluerun("task", "new", "--edit", cwd=folder)
    assert (edited.returncode, edited.stdout) == (0, "wrote docs/orchestration/tasks/TASK-0003.md\n"), edited.stderr

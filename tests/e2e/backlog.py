"""A repository with a backlog and scripted agents, for stories about the installed engine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.patience import PATIENCE, until

ACCEPTED = {"verdict": "accepted", "rationale": "fine", "headSha": "HEAD", "nonce": "NONCE"}
IGNORED = ".gluerun-state/\n.worktrees/\n.gluerun-evidence/\n.gluerun-cache/\nscenario.json\n"


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


class Backlog:
    """A repository with a backlog and the agents that will work on it."""

    def __init__(self, root: Path, gluerun) -> None:
        self.root = root
        self._gluerun = gluerun
        self.scenario: dict[str, dict[str, list[dict[str, object]]]] = {"*": {"auditor": [{"answer": ACCEPTED}]}}
        git_dir = root / "src"
        git_dir.mkdir(parents=True)
        (git_dir / "start.txt").write_text("start\n")
        (root / ".gitignore").write_text(IGNORED)
        self.configure()
        git(root, "init", "--quiet", "--initial-branch=main")
        self.commit("start")

    @classmethod
    def at(cls, root: Path, gluerun) -> Backlog:
        """Return the one that stands there already."""
        backlog = cls.__new__(cls)
        backlog.root, backlog._gluerun = root, gluerun
        backlog.scenario = json.loads((root / "scenario.json").read_text())
        return backlog

    def configure(self, **more: object) -> None:
        config = {
            "schemaVersion": "v1",
            "targetBranch": "main",
            "gateCommand": "! grep -rq bad src",
            "ballastMb": 1,
            "runner": "script",
            "runners": {"script": {"kind": "scripted", "scenario": "scenario.json", "timeoutSeconds": 2 * PATIENCE}},
        }
        (self.root / "gluerun.config.json").write_text(json.dumps(config | more))

    def commit(self, words: str) -> None:
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--message", words)

    def task(self, number: int, *moves: dict[str, object], owned: str = "", needs: str = "") -> str:
        task_id = f"TASK-{number:04d}"
        path = self.root / "docs/orchestration/tasks" / f"{task_id}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f"# {task_id}: task {number}\n\n{f'Depends on: {needs}' if needs else ''}\n\n## Objective\n\nDo it\n\n"
            f"## Scope\n\nOwned files:\n- `{owned or f'src/{number}.txt'}`\n\n## Acceptance Criteria\n\n- done\n"
        )
        self.scenario[task_id] = {"worker": list(moves)}
        self.save()
        return task_id

    def save(self) -> None:
        (self.root / "scenario.json").write_text(json.dumps(self.scenario))

    def run(self, *words: str, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        return self._gluerun(*words, cwd=self.root, timeout=timeout)

    def ask(self, *words: str) -> dict[str, object]:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def record(self, task_id: str) -> dict[str, object]:
        for path in (f"live/{task_id}.json", f"archive/{task_id[-2:]}/{task_id}.json"):
            file = self.root / ".gluerun-state/tasks" / path
            if file.exists():
                return json.loads(file.read_text())
        raise AssertionError(f"no record of {task_id}")

    def until(self, condition, what: str) -> None:
        until(condition, what)

    def wrapper(self, task_id: str) -> int:
        """The pid of the process that runs a task, once it has signed in."""
        lease = self.root / f".gluerun-state/leases/{task_id}.json"
        run = json.loads(lease.read_text())["runId"]
        identity = self.root / f".gluerun-state/runs/{run}/identity.json"
        self.until(identity.exists, "the wrapper signed in")
        return int(json.loads(identity.read_text())["pid"])


def writes(number: int, text: str = "good\n", **more: object) -> dict[str, object]:
    return {"write": {f"src/{number}.txt": text}, "answer": {"summary": "done"}, **more}

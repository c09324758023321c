"""An agent that does what a scenario file says: for demonstrations, tests and rehearsals without a model.

A scenario is JSON: `{"TASK-0001": {"worker": [MOVE, …], "auditor": [MOVE, …]}, "M1.core": {"planner": […]}}`.
The n-th time a role is asked about a task it makes its n-th move, and then its last one again. A role without
moves makes the move under `"*"`. A move may hold:

- `write`: path → text, `delete`: paths, in the work tree;
- `answer`: the JSON document to leave; `HEAD`, `NONCE` and `OUTPUT` in it are filled in where they stand alone;
- `say`: text to print; `exit`: exit code; `commit`: commit by itself, as agents do against their orders;
- `stay`: never end by itself, after writing; `hold`: seconds to work;
- `until`: a path (from the repository's root) that must exist before it goes on.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def main() -> int:
    """Make one move and return its exit code."""
    prompt = sys.stdin.read()
    env = os.environ
    moves = _moves(json.loads(Path(env["GLUERUN_SCENARIO"]).read_text(encoding="utf-8")), env["GLUERUN_TASK"])
    role_moves = moves.get(env["GLUERUN_ROLE"]) or moves.get("*") or [{}]
    move = role_moves[min(_times_before(), len(role_moves) - 1)]
    return _make(move, prompt, Path(env["GLUERUN_WORKTREE"]))


def _moves(scenario: dict[str, Any], subject: str) -> dict[str, Any]:
    common = scenario.get("*", {})
    return {**common, **scenario.get(subject, {})}


def _times_before() -> int:
    """Count how often this role was asked about this task before, over all runs, from what its runs left."""
    runs = Path(os.environ["GLUERUN_OUTPUT"]).parents[2]
    mark = f"{os.environ['GLUERUN_TASK']}.{os.environ['GLUERUN_ROLE']}"
    counter = runs.parent / "scripted" / mark
    counter.parent.mkdir(exist_ok=True)
    before = len(counter.read_text(encoding="utf-8").splitlines()) if counter.exists() else 0
    with counter.open("a", encoding="utf-8") as out:
        out.write(os.environ["GLUERUN_DISPATCH"] + "\n")
    return before


def _make(move: dict[str, Any], prompt: str, tree: Path) -> int:
    if "until" in move:
        _wait_for(Path(os.environ["GLUERUN_SCENARIO"]).parent / str(move["until"]))
    time.sleep(float(move.get("hold", 0)))
    for path, text in move.get("write", {}).items():
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    for path in move.get("delete", ()):
        (tree / path).unlink(missing_ok=True)
    if move.get("stay"):
        signal.pause()
    if move.get("commit"):
        subprocess.run(["git", "add", "-A"], cwd=tree, check=True)
        subprocess.run(["git", "commit", "-q", "-m", "by the agent itself"], cwd=tree, check=True)
    print(move.get("say", "done"), flush=True)
    if "answer" in move:
        answer = json.dumps(_filled(move["answer"], prompt))
        Path(os.environ["GLUERUN_OUTPUT"]).parent.mkdir(parents=True, exist_ok=True)
        Path(os.environ["GLUERUN_OUTPUT"]).write_text(answer, encoding="utf-8")
    return int(move.get("exit", 0))


def _wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.02)


def _filled(answer: object, prompt: str) -> object:
    if isinstance(answer, dict):
        return {key: _filled(value, prompt) for key, value in answer.items()}
    if isinstance(answer, list):
        return [_filled(value, prompt) for value in answer]
    if answer == "HEAD":
        found = re.search(r"^headSha: ([0-9a-f]+)$", prompt, re.MULTILINE)
        return found[1] if found else ""
    return os.environ["GLUERUN_NONCE"] if answer == "NONCE" else answer


if __name__ == "__main__":
    sys.exit(main())

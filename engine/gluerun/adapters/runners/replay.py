"""An agent that repeats the change of a given commit, exactly: contents, modes, links, deletions.

Its scenario is JSON: task id → `{"commit": sha, "parent": sha or null}`; without a parent the empty tree.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Make the work tree differ from its HEAD by exactly what the commit changed."""
    sys.stdin.read()
    scenario = json.loads(Path(os.environ["GLUERUN_SCENARIO"]).read_text(encoding="utf-8"))
    step = scenario[os.environ["GLUERUN_TASK"]]
    tree = os.environ["GLUERUN_WORKTREE"]
    entries = _changes(tree, step["parent"], step["commit"])
    for path, mode, _ in entries:
        if mode == "000000":
            _remove(tree, path)
    for path, mode, sha in entries:
        if mode != "000000":
            _put(tree, path, mode, sha)
    Path(os.environ["GLUERUN_OUTPUT"]).parent.mkdir(parents=True, exist_ok=True)
    Path(os.environ["GLUERUN_OUTPUT"]).write_text('{"summary": "replayed"}', encoding="utf-8")
    return 0


def _git(tree: str, *args: str) -> bytes:
    return subprocess.run(["git", "-C", tree, *args], check=True, capture_output=True).stdout


def _changes(tree: str, parent: str | None, commit: str) -> list[tuple[bytes, str, str]]:
    """Return (path, new mode, new blob) for every path that the commit changed."""
    old = parent or _git(tree, "hash-object", "-t", "tree", "/dev/null").decode().strip()
    raw = _git(tree, "diff-tree", "-r", "-z", "--no-renames", "--raw", old, commit).split(b"\0")
    found = []
    for meta, path in zip(raw[::2], raw[1::2], strict=False):
        fields = meta.decode().lstrip(":").split()
        if len(fields) == 5:
            found.append((path, fields[1], fields[3]))
    return found


def _remove(tree: str, path: bytes) -> None:
    target = os.path.join(os.fsencode(tree), path)
    if os.path.lexists(target) and not os.path.isdir(target):
        os.unlink(target)
        folder = os.path.dirname(target)
        while folder != os.fsencode(tree) and not os.listdir(folder):
            os.rmdir(folder)
            folder = os.path.dirname(folder)


def _put(tree: str, path: bytes, mode: str, sha: str) -> None:
    target = os.path.join(os.fsencode(tree), path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.lexists(target):
        os.unlink(target)
    content = _git(tree, "cat-file", "blob", sha)
    if mode == "120000":
        os.symlink(content, target)
        return
    with open(target, "wb") as out:
        out.write(content)
    os.chmod(target, 0o755 if mode == "100755" else 0o644)


if __name__ == "__main__":
    sys.exit(main())

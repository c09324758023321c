"""An agent that repeats the change of a given commit, exactly: contents, modes, links, deletions.

Its scenario is JSON: task id → `{"commit": sha, "parent": sha or null}`; without a parent the empty tree.
A folder holds one such object for each task instead, in `<task id>.json`.
"""

from __future__ import annotations

import json
import os
import sys

from gluerun.adapters import git_folders as folders
from gluerun.adapters.git_command import GitCommand, encode
from gluerun.adapters.git_trees import differences, listed, put_entries
from gluerun.core.spelling import bytes_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


def main() -> int:
    """Make the work tree and its index differ from its HEAD by exactly what the commit changed."""
    sys.stdin.read()
    step = _step(os.environ["GLUERUN_SCENARIO"], os.environ["GLUERUN_TASK"])
    place = os.environ["GLUERUN_WORKTREE"]
    git = GitCommand(place, "replay", "replay@localhost")
    changed = differences(git, step["parent"] or git.line("mktree"), step["commit"])
    index = folders.join(folders.folder_of(place) or place, "index")
    # The index holds them too, so that a file which the history's own rules ignore is not overlooked.
    put_entries(git, place, index, {one.path: one.new for one in changed}, "0" * len(step["commit"]))
    _remove(place, [one.path for one in changed if one.new is None])
    arriving = [one.path for one in changed if one.new is not None]
    git.run("checkout-index", "--force", "--index", "-z", "--stdin", at=place, index=index, give=listed(arriving))
    output = os.environ["GLUERUN_OUTPUT"]
    os.makedirs(os.path.dirname(output), exist_ok=True)
    with open(output, "w", encoding="utf-8") as file:
        file.write('{"summary": "replayed"}')
    return 0


def _step(scenario: str, task: str) -> dict[str, Any]:
    is_folder = os.path.isdir(scenario)
    with open(f"{scenario}/{task}.json" if is_folder else scenario, encoding="utf-8") as file:
        document: dict[str, Any] = json.load(file)
    step: dict[str, Any] = document if is_folder else document[task]
    return step


def _remove(place: str, paths: Iterable[str]) -> None:
    top = encode(place)
    for path in paths:
        target = os.path.join(top, bytes_of(path))
        if os.path.lexists(target) and not os.path.isdir(target):
            os.unlink(target)
        folder = os.path.dirname(target)
        while folder != top and os.path.isdir(folder) and not os.listdir(folder):
            os.rmdir(folder)
            folder = os.path.dirname(folder)


if __name__ == "__main__":
    sys.exit(main())

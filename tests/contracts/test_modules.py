"""The modules that come with the engine, and that nobody who lists none imports any."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gluerun.kit import Candidate, FinishedNode
from gluerun.loop.modules import CHECK, PROMOTE, load, objections

CHECKOUT = Path(__file__).resolve().parents[2]
STORAGE, PROMOTER = "gluerun_ext.storage_proof", "gluerun_ext.promote_gate"


def against(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return what the guard of storage says about a change from one set of files to another."""
    changed = tuple(sorted(path for path in {*before, *after} if before.get(path) != after.get(path)))
    read = [lambda path, files=files: files[path].encode() if path in files else None for files in (before, after)]
    candidate = Candidate(task_id="TASK-0001", area="a", owned=("x",), changed=changed, before=read[0], after=read[1])
    found = objections(load([STORAGE], lambda _: None), CHECK, candidate=candidate)
    assert not any(one.broken for one in found), found
    return [one.reason for one in found]


TEST = "tests/test_storage.py"
CHANGES = [
    ("a migration alone", {}, {"migrations/1.sql": "x"}, ["migrations/1.sql comes without a test"]),
    ("a migration and its test", {}, {"migrations/1.sql": "x", TEST: "def test(): ..."}, []),
    ("a migration whose test goes", {TEST: "x"}, {"db/2.sql": "x"}, ["db/2.sql comes without a test"]),
    ("a skip in a test of storage", {TEST: "x"}, {TEST: "pytest.skip('no db')"},
     [f"{TEST} can be skipped now, and proves nothing where it is"]),
    ("a skip that was there", {TEST: "pytest.skip()"}, {TEST: "pytest.skip()\nmore"}, []),
    ("a skip elsewhere", {}, {"tests/test_web.py": "pytest.skip()"}, []),
    ("a skip in Go", {"store/a_test.go": "x"}, {"store/a_test.go": "t.Skip()"},
     ["store/a_test.go can be skipped now, and proves nothing where it is"]),
    ("nothing of storage", {}, {"src/a.py": "x"}, []),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "expected"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_the_guard_of_storage(before, after, expected):
    assert against(before, after) == expected


RULES, REVIEW = "docs/orchestration/promote-gate.json", "docs/orchestration/gates/N1.review.json"
ACCEPTED = {"node": "N1", "verdict": "accepted", "reviewer": "Ada"}
REVIEWS = [
    ("no rules", {}, "there is no docs/orchestration/promote-gate.json"),
    ("another layer", {RULES: {"layers": ["docs"]}}, ""),
    ("no review", {RULES: {"layers": ["release"]}}, "needs a review"),
    ("by kind", {RULES: {"kinds": ["cut"]}}, "needs a review"),
    ("accepted", {RULES: {"layers": ["release"]}, REVIEW: ACCEPTED}, ""),
    ("of another node", {RULES: {"layers": ["release"]}, REVIEW: ACCEPTED | {"node": "N2"}}, "does not accept"),
    ("rejected", {RULES: {"layers": ["release"]}, REVIEW: ACCEPTED | {"verdict": "no"}}, "does not accept"),
    ("by nobody", {RULES: {"layers": ["release"]}, REVIEW: ACCEPTED | {"reviewer": ""}}, "does not accept"),
    ("nonsense", {RULES: []}, "failed: TypeError"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "words"), [row[1:] for row in REVIEWS], ids=[row[0] for row in REVIEWS])
def test_the_promoter_that_wants_a_review(files, words):
    def read(path: str) -> bytes | None:
        return json.dumps(files[path]).encode() if path in files else None

    node = FinishedNode(id="N1", area="a", layer="release", kind="cut", commit="c", tasks=(), read=read)
    found = objections(load([PROMOTER], read), PROMOTE, node=node)

    assert bool(found) == bool(words)
    assert all(words in one.reason for one in found)


def test_a_module_of_the_installed_python_that_is_not_there_is_named():
    (one,) = load(["gluerun_ext.no_such"], lambda _: None)

    assert (one.name, one.trouble[:19]) == ("gluerun_ext.no_such", "ModuleNotFoundError")


PROGRAM = """
import sys
from gluerun.testing import Move, SimHouse
house = SimHouse({modules}).given("TASK-0001", owned=["a.txt"]).agent("TASK-0001", [Move(writes={{"a.txt": "x"}})])
house.until_quiet()
assert house.target_files()["a.txt"] == "x"
print(sorted(name for name in sys.modules if name.split(".")[0] in ("pluggy", "gluerun_ext") or name == "gluerun.kit"))
"""


@pytest.mark.parametrize(
    ("modules", "expected"),
    [("", "[]"), (f"modules=({STORAGE!r},)", "gluerun_ext.storage_proof")],
    ids=["none is listed", "one is listed"],
)
def test_what_is_not_listed_is_never_imported(modules, expected):
    argv = [sys.executable, "-c", PROGRAM.format(modules=modules)]
    env = {"PYTHONPATH": f"{CHECKOUT / 'engine'}:{CHECKOUT}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert expected in done.stdout
    assert PROMOTER not in done.stdout
    assert ("pluggy" in done.stdout) == bool(modules)

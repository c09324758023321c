"""Scopes: what a task may change, who stands in whose way, and when a scope may grow."""

from __future__ import annotations

import pytest

from gluerun.core.scope import clashes, is_engines_own, may_amend, violations


@pytest.mark.parametrize(
    ("owned", "forbidden", "paths", "outside"),
    [
        (["src"], [], [], ()),
        (["src"], [], ["src/a.py", "src/b/c.py"], ()),
        (["src"], [], ["src2/a.py"], ("src2/a.py",)),
        (["src/a.py"], [], ["src/a.py", "src/b.py"], ("src/b.py",)),
        (["README.md"], [], ["README.md", "docs/README.md"], ("docs/README.md",)),
        (["src"], [], ["src/new.py", "lib/old.py"], ("lib/old.py",)),
        (["src"], ["src/b"], ["src/a.py", "src/b/c.py"], ("src/b/c.py",)),
        (["src/b/c.py"], ["src/b"], ["src/b/c.py"], ("src/b/c.py",)),
        (["src"], ["src"], ["src/a.py"], ("src/a.py",)),
        (["src"], [], ['src/"a b".py', "src/ä.py"], ()),
        (["docs"], [], ["docs/a.md", "docs/orchestration/tasks/TASK-0001.md"],
         ("docs/orchestration/tasks/TASK-0001.md",)),
        (["docs/orchestration"], [], ["docs/orchestration/dag.v0.json"], ("docs/orchestration/dag.v0.json",)),
        ([".gluerun-state", ".worktrees"], [], [".gluerun-state/circuit.json", ".worktrees/x"],
         (".gluerun-state/circuit.json", ".worktrees/x")),
        ([], [], ["a"], ("a",)),
    ],
    ids=[
        "nothing changed", "inside", "a longer name is another folder", "a file owns itself only", "a root file",
        "a rename out of a foreign folder shows its old side", "forbidden wins inside", "forbidden wins over a file",
        "forbidden wins over the same", "odd names are compared as they are", "the records are never a task's",
        "not even when owned", "nor is the engine's state", "owning nothing allows nothing",
    ],
)  # fmt: skip
def test_violations(owned, forbidden, paths, outside):  # C8
    assert violations(paths, owned, forbidden) == outside


def test_the_records_may_be_opened_to_tasks_by_the_configuration_but_never_the_state():
    paths = ["docs/orchestration/a.md", ".gluerun-state/x", "docs/a.md"]

    assert violations(paths, ["docs", ".gluerun-state"], [], protect_orchestration=False) == (".gluerun-state/x",)


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        (["src"], ["src"], True),
        (["src"], ["src/a.py"], True),
        (["src/a.py"], ["src"], True),
        (["src"], ["src2"], False),
        (["src/a"], ["src/b"], False),
        (["Makefile"], ["Makefile"], True),
        (["Makefile"], ["README.md"], False),
        (["a", "b"], ["c", "b/x"], True),
        ([], ["a"], False),
        (["a"], [], False),
    ],
)
def test_clashes(one, other, clash):
    assert clashes(iter(one), iter(other)) is clash
    assert clashes(other, one) is clash


@pytest.mark.parametrize(
    ("path", "is_own"),
    [
        ("docs/orchestration", True),
        ("docs/orchestration/dag.v0.json", True),
        ("docs/orchestration2/x", False),
        ("docs", False),
        (".gluerun-state/x", True),
        (".worktrees/x", True),
        (".gluerun-evidence", True),
        (".gluerun-cache/x", True),
        ("gluerun.config.json", True),
        ("gluerun.config.sh", True),
        (".gluerun-version", True),
        ("src/gluerun.config.json", False),
    ],
)
def test_what_belongs_to_the_engine(path, is_own):
    assert is_engines_own(path) is is_own


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("lib/a.py", ""),
        ("setup.cfg", ""),
        ("gluerun.config.json", "gluerun.config.json belongs to the engine"),
        ("docs/orchestration/x", "docs/orchestration/x belongs to the engine"),
        ("secret/key", "secret/key is forbidden to this task"),
        ("lib/again.py", "lib/again.py was added once already"),
        ("other/a.py", "other/a.py is held by another active task"),
        ("other", "other is held by another active task"),
        ("other2", ""),
    ],
)
def test_may_amend(path, why):
    assert may_amend(path, forbidden=["secret"], already=["lib/again.py"], held=["other/a.py", "Makefile"]) == why

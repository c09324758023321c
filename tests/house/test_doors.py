"""One storage door, one git door: who else changes files or starts git is named here, with the reason."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ENGINE = Path(__file__).resolve().parents[2] / "engine" / "gluerun"

# Calls by which a file is opened for writing, renamed, linked, removed or synced.
CHANGING = {
    *("rename", "replace", "renames", "link", "symlink", "unlink", "remove", "rmdir", "removedirs", "rmtree"),
    *("fsync", "fdatasync", "truncate", "ftruncate", "mkdir", "makedirs", "mkdtemp", "mkstemp", "write_text"),
    *("write_bytes", "copyfile", "copytree", "copy2", "touch"),
}
OWNERS = {"os", "shutil", "tempfile"}
PATHS = {"mkdir", "unlink", "touch", "write_text", "write_bytes", "rmdir"}
WRITING = {"O_WRONLY", "O_RDWR", "O_CREAT", "O_APPEND", "O_TRUNC"}

STORAGE = {
    "adapters/files.py": "the storage door itself",
    "adapters/git_folders.py": "the git door: records and locks in git's own folder, which is not ours to lay out",
    "adapters/git_landing.py": "the git door: the user's index is replaced by rename, or not at all",
    "adapters/git_worktrees.py": "the git door: the index of a work tree of ours",
    "adapters/git_recycling.py": "the git door: the index of a place that stays, and what nobody wants of that place",
    "adapters/git_following.py": "the git door: files that a landing removes from the user's work tree",
    "adapters/git_history.py": "the git door: the folder of a new work tree",
    "adapters/locks.py": "locks live as long as their process; their files are never replaced",
    "adapters/processes.py": "the log of a run's own process, which the child must inherit as a descriptor",
    "adapters/children.py": "scratch folders of one program, and nothing that is read after it",
    "adapters/waiting.py": "the waiter imports nothing of the engine: it must stay small for hours",
    "adapters/sandboxes.py": "folders that a program expects to find before it is confined",
    "adapters/confine.py": "the kernel's files of this process's user namespace",
    "adapters/metering.py": "a counter that several programs share, under a lock of its own",
    "adapters/cgroups.py": "the kernel's files of control groups",
    "adapters/runners/replay.py": "it plays an agent: what it writes is an agent's work",
    "adapters/runners/scripted.py": "it plays an agent: what it writes is an agent's work",
    "adapters/runners/animals.py": "they play agents: what they write is an agent's work",
    "torture.py": "a repository of its own in a temporary folder",
    "edge/agents.py": "what the user's home remembers of programs; replaced whole",
    "edge/probing.py": "a repository of its own in a temporary folder",
    "backtest.py": "a repository of its own in a temporary folder",
    "demo.py": "a repository of its own",
    "cli/main.py": "the null device, when nobody reads our output any more",
    "__main__.py": "the null device, when nobody reads our output any more",
    "cli/report.py": "the report of a defect, outside of any repository",
    "cli/reference.py": "prints the reference pages in a checkout of the engine",
}
GIT = {
    "adapters/git_command.py": "the git door",
    "adapters/runners/scripted.py": "it plays an agent that commits by itself",
    "adapters/runners/animals.py": "they play agents that use git against the engine",
    "torture.py": "a repository of its own in a temporary folder",
    "edge/setup.py": "asks git where it stands before there is a house",
    "edge/doctor.py": "asks git what may be wrong with the repository",
    "edge/probing.py": "a repository of its own in a temporary folder",
    "demo.py": "a repository of its own",
}


def changes_files(tree: ast.AST) -> bool:
    """Tell whether code opens a file for writing, or renames, links, removes or syncs one."""
    return any(_changes(node) for node in ast.walk(tree))


def _changes(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute) and node.attr in WRITING:
        return True
    if not isinstance(node, ast.Call):
        return isinstance(node, ast.ImportFrom) and node.module in OWNERS and bool(_named(node) & CHANGING)
    function = node.func
    if isinstance(function, ast.Attribute):
        owner = ast.unparse(function.value)
        if owner in OWNERS and function.attr in CHANGING:
            return True
        if function.attr in PATHS and owner not in OWNERS:
            return True
        if function.attr == "replace" and len(node.args) == 1:
            return True  # of a path; strings are replaced by two words
    is_open = ast.unparse(function) in ("open", "os.fdopen") or getattr(function, "attr", "") == "open"
    return is_open and any(_is_writing(one) for one in [*node.args[:2], *[key.value for key in node.keywords]])


def _named(node: ast.ImportFrom) -> set[str]:
    return {alias.name for alias in node.names}


def _is_writing(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in MODES


MODES = {f"{mode}{more}" for mode in "wax" for more in ("", "b", "t", "+", "b+", "+b")} | {"r+", "r+b", "rb+"}


def starts_git(tree: ast.AST) -> bool:
    """Tell whether code builds the command line of a git."""
    lists = (node for node in ast.walk(tree) if isinstance(node, ast.Tuple | ast.List) and node.elts)
    return any(
        isinstance(node.elts[0], ast.Constant) and node.elts[0].value == "git" and _is_argv(node) for node in lists
    )


def _is_argv(node: ast.Tuple | ast.List) -> bool:
    return isinstance(node.ctx, ast.Load) and len(node.elts) > 1


def found(check) -> set[str]:
    """Return the modules of the engine in which *check* finds something."""
    paths = sorted(ENGINE.rglob("*.py"))
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    return {str(path.relative_to(ENGINE)) for path, tree in trees.items() if check(tree)}


def test_files_are_changed_behind_the_storage_door_only():
    assert found(changes_files) == set(STORAGE)


def test_git_is_started_behind_the_git_door_only():
    assert found(starts_git) == set(GIT)


def test_every_exception_has_its_reason():
    assert all(reason.strip() for reason in [*STORAGE.values(), *GIT.values()])


def test_who_decides_has_no_exception():
    assert [name for name in {*STORAGE, *GIT} if name.startswith(("core/", "records/", "loop/", "sim/"))] == []


@pytest.mark.parametrize(
    "code",
    [
        "open('page', 'w')",
        "path.open('ab')",
        "os.open(path, os.O_WRONLY)",
        "os.rename(a, b)",
        "path.replace(other)",
        "os.link(a, b)",
        "path.unlink()",
        "os.fsync(handle)",
        "path.write_text('x')",
        "shutil.rmtree(path)",
        "from os import rename",
        "with path.open('xb') as file: pass",
    ],
)
def test_the_storage_check_bites(code):
    assert changes_files(ast.parse(code))


@pytest.mark.parametrize(
    "code", ["open('page')", "open('page', 'rb')", "text.replace('a', 'b')", "replace(task, epoch=1)"]
)
def test_the_storage_check_leaves_readers_alone(code):
    assert not changes_files(ast.parse(code))


@pytest.mark.parametrize("code", ["run(['git', 'status'])", "argv = ('git', '-C', place, *args)"])
def test_the_git_check_bites(code):
    assert starts_git(ast.parse(code))

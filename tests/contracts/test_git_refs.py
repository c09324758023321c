"""What is read from git's own files is what git would have said."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gluerun.adapters import git_folders
from gluerun.adapters.git import RepositoryGit
from gluerun.adapters.git_refs import below, heads, is_elsewhere


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    git(root, "commit", "-q", "--allow-empty", "-m", "one")
    git(root, "branch", "loose/one")
    git(root, "branch", "packed/one")
    git(root, "commit", "-q", "--allow-empty", "-m", "two")
    git(root, "pack-refs", "--all")
    git(root, "commit", "-q", "--allow-empty", "-m", "three")
    git(root, "branch", "-f", "loose/one", "main")
    return root


NAMES = ["main", "loose/one", "packed/one", "packed", "nobody"]


def told_by_git(root: Path) -> dict[str, str]:
    lines = git(root, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads").splitlines()
    return {name: sha for name, sha in (line.split() for line in lines) if name in NAMES}


def test_branches_are_what_git_says(root):
    assert heads(str(root), NAMES) == told_by_git(root)
    assert len(told_by_git(root)) == 3


def test_a_deleted_branch_is_gone(root):
    git(root, "branch", "-D", "packed/one", "loose/one")

    assert heads(str(root), NAMES) == told_by_git(root) == {"main": git(root, "rev-parse", "main")}


def test_a_work_tree_sees_the_branches_of_its_repository(root, tmp_path):
    git(root, "worktree", "add", "-q", "-b", "other", str(tmp_path / "tree"))

    assert heads(str(tmp_path / "tree"), NAMES) == told_by_git(root)


@pytest.mark.parametrize("spoil", ["symbolic", "empty", "reftable", "nothing"])
def test_what_files_do_not_tell_is_left_to_git(root, tmp_path, spoil):
    match spoil:
        case "symbolic":
            git(root, "symbolic-ref", "refs/heads/packed/one", "refs/heads/main")
        case "empty":
            (root / ".git/refs/heads/packed").mkdir(exist_ok=True)
            (root / ".git/refs/heads/packed/one").touch()
        case "reftable":
            (root / ".git/reftable").mkdir()
        case "nothing":
            root = tmp_path

    assert heads(str(root), NAMES) is None
    assert not is_elsewhere(str(root), "main") or spoil in ("symbolic", "empty")


def test_a_symbolic_branch_is_still_followed(root, tmp_path):
    git(root, "symbolic-ref", "refs/heads/packed/one", "refs/heads/main")
    door = RepositoryGit(str(root), str(tmp_path / "state"))

    assert door.heads(["packed/one"]) == {"packed/one": git(root, "rev-parse", "main")}
    assert door.processes == 1


def test_a_look_at_branches_starts_no_git(root, tmp_path):  # A18
    door = RepositoryGit(str(root), str(tmp_path / "state"))

    assert door.heads(NAMES) == told_by_git(root)
    assert door.processes == 0


def test_who_has_a_branch_checked_out(root, tmp_path):
    git(root, "worktree", "add", "-q", "-b", "other", str(tmp_path / "tree"))
    assert [is_elsewhere(str(root), name) for name in ("main", "other", "third")] == [False, False, True]

    git(tmp_path / "tree", "checkout", "-q", "--detach")
    assert not is_elsewhere(str(root), "third"), "it may be in the middle of a rebase"


def test_a_folder_that_git_tidies_away_meanwhile_stops_nobody(root):
    # What `readdir` still names and nothing leads to any more.
    (root / ".git" / "objects" / "zz").symlink_to(root / "tidied")
    synced = {}

    git_folders.sync_objects(str(root), synced)
    git_folders.sync_ref(str(root), "refs/heads/gone/far/away", synced)

    assert any(folder.endswith(b"refs/heads") for folder in synced)


@pytest.mark.parametrize(
    "prefix", ["refs", "refs/heads", "refs/heads/", "refs/heads/loose", "refs/heads/main", "refs/he"]
)
def test_the_refs_of_a_folder_are_what_git_says(root, prefix):
    lines = git(root, "for-each-ref", "--format=%(refname) %(objectname)", prefix).splitlines()

    assert below(str(root), prefix) == dict(line.split() for line in lines)


def test_a_folder_with_a_ref_that_leads_to_another_is_left_to_git(root):
    git(root, "symbolic-ref", "refs/heads/alias", "refs/heads/main")

    assert below(str(root), "refs/heads") is None


def test_a_remote_is_asked_for_by_one_git_as_long_as_there_is_none(root, tmp_path):
    door = RepositoryGit(str(root), str(tmp_path / "state"))

    assert (door.fetch("main", "refs/gluerun/there"), door.processes) == ("", 1)

    git(root, "remote", "add", "there", "nowhere")
    assert "nowhere" in door.fetch("main", "refs/gluerun/there")

    git(root, "remote", "remove", "there")
    git(root, "config", "branch.main.remote", "elsewhere")
    assert "elsewhere" in door.fetch("main", "refs/gluerun/there")

"""Commits of a chain are stored by one git, and are what `git commit-tree` would have stored."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from tests.contracts.test_git import RealWorld, begun, branch_with

from gluerun.adapters.git import RepositoryGit
from gluerun.adapters.git_building import DRAFT, Building
from gluerun.adapters.git_command import GitCommand
from gluerun.errors import GitError

NAMES = {
    "plain": ("gluerun", "gluerun@localhost"),
    "accents": ("Zoë of the house", "zoe+x@example.invalid"),
    "crud": (" ,Al. ", "<al@example.invalid>"),
    "inside": ("A <b> \\ c", "a@b"),
}
MESSAGES = {"line": "one", "trailers": "é\n\nwords\n\nOur-Key: a\n", "gap": "\n\n  a\n\n\n", "none": ""}


@pytest.fixture
def world(tmp_path):
    real = RealWorld(tmp_path)
    begun(real)
    return real


def raw(world, commit):
    """Return a commit to the byte, but for the moment at which it was made."""
    return re.sub(r"> \d+ ", "> 0 ", world.run("cat-file", "commit", commit))


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_it_is_what_commit_tree_makes(world, names):
    git = RepositoryGit(world.root, world.state, identity_name=names[0], identity_email=names[1])
    tree, side = git.tree_of(world.base), git.commit_tree(git.tree_of(world.base), [], "side")
    for parents in ([], [world.base], [world.base, side], [side, side]):
        for message in MESSAGES.values():
            alone = git.commit_tree(tree, parents, message)
            with git.building(1):
                inside = git.commit_tree(tree, parents, message)
            assert raw(world, inside) == raw(world, alone)


def test_a_chain_costs_one_process(world):
    tree, at, before = world.git.tree_of(world.base), world.base, world.git.processes
    with world.git.building(1):
        for number in range(20):
            at = world.git.commit_tree(tree, [at], f"link {number}")
    assert world.git.processes == before + 1
    assert world.run("rev-list", "--count", f"{world.base}..{at}") == "20"
    assert not Path(world.root, ".git", DRAFT).exists()


def test_what_is_no_commit_is_refused_in_gits_own_words_and_the_next_one_is_stored(world):
    tree = world.git.tree_of(world.base)
    with world.git.building(1):
        with pytest.raises(GitError, match=r"(?s)a commit cannot be stored: .*corrupt commit"):
            world.git.commit_tree("no tree", [world.base], "m")
        assert world.git.commit_of(world.git.commit_tree(tree, [world.base], "m"))


def test_a_git_that_was_killed_is_told_of_and_begins_again(world):
    tree, command = world.git.tree_of(world.base), GitCommand(world.root, "a", "a@localhost")
    stored = Building(command, 2)
    first = stored.store(tree, [world.base], "first")
    os.killpg(stored.process, signal.SIGKILL)
    with pytest.raises(GitError, match="a commit cannot be stored: it said nothing"):
        stored.store(tree, [first], "second")
    second = stored.store(tree, [first], "second")
    stored.end()
    assert world.run("rev-list", "--count", f"{world.base}..{second}") == "2"


def test_a_draft_that_a_crash_left_is_written_anew(world):
    Path(world.root, ".git", DRAFT).write_bytes(b"tree of nothing" * 1000)
    with world.git.building(1):
        new = world.git.commit_tree(world.git.tree_of(world.base), [world.base], "m")
    assert world.run("log", "-1", "--format=%B", new) == "m"


def test_merges_of_a_chain_say_what_they_would_say_alone(world):
    one, other = branch_with(world, "x", {"a": b"A\n"}), branch_with(world, "y", {"a": b"B\n"})
    more = branch_with(world, "z", {"more": b"m"})
    island = world.git.publish("refs/gluerun/island", {"island": b"i"}, "root")
    pairs = [(one, other), (one, one), (one, more), (world.base, island), (more, one), (one, world.base)]
    alone = [world.git.merge(*pair) for pair in pairs]

    with world.git.building(len(pairs)):
        assert [world.git.merge(*pair) for pair in pairs] == alone
        at = world.git.commit_tree(alone[2].tree, [one, more], "link")
        assert world.git.merge(at, more).empty  # the tree of the link is known, and it is the right one
        with pytest.raises(GitError, match="git cannot merge"):
            world.git.merge(one, "1" * 40)
        assert world.git.merge(*pairs[0]) == alone[0]


def test_the_git_of_the_next_merge_is_started_ahead_and_ended_if_there_is_none(world):
    one, more = branch_with(world, "x", {"a": b"A\n"}), branch_with(world, "z", {"more": b"m"})
    before = world.git.processes
    with world.git.building(9):
        world.git.merge(one, more)
        assert world.git.processes == before + 2
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    with world.git.building(2):
        world.git.merge(one, more)
        world.git.merge(one, more)
    assert world.git.processes == before + 4

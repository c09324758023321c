"""A place of a part of the tree: what does not stand there never counts as removed, what is put there is seen."""

from __future__ import annotations

import os
import subprocess

import pytest
from tests.contracts.test_git import RealWorld, SimWorld, begun, branch_with

from gluerun.adapters.git_worktrees import cone


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def grown(world):
    """Give the world a tree with folders; return its commit."""
    files = {f"src/{one}/f": one.encode() for one in "ab"} | {"src/top": b"t", "lib/deep/f": b"f", "lib/g": b"g"}
    world.wide = branch_with(world, "wide", files)
    return world


@pytest.fixture
def real(tmp_path):
    return grown(begun(RealWorld(tmp_path)))


@pytest.fixture(params=["real", "sim"])
def world(request, tmp_path):
    return grown(begun(RealWorld(tmp_path) if request.param == "real" else SimWorld()))


def begin(world, *parts):
    place = world.place("w")
    world.git.add_worktree(place, world.wide, branch="work/w", parts=parts)
    return place


class TestPromises:
    def test_only_its_parts_and_what_lies_above_them_stand_there(self, world):
        place = begin(world, "src/a/")
        there = {path: world.read(place, path) is not None for path in ("a", "src/top", "src/a/f", "src/b/f", "lib/g")}
        assert there == {"a": True, "src/top": True, "src/a/f": True, "src/b/f": False, "lib/g": False}
        assert world.git.dirt(place) == () and world.git.snapshot(place, "s") == world.wide
        assert world.git.commit_all(place, world.wide, "m") == world.wide

    def test_work_within_its_parts_leaves_the_rest_of_the_tree_as_it_is(self, world):
        place = begin(world, "src/a")
        world.write(place, "src/a/f", b"better")
        world.write(place, "src/a/new", b"new")
        world.delete(place, "src/top")
        new = world.git.commit_all(place, world.wide, "m")
        changes = {one.path: one.status for one in world.git.changes(world.wide, new)}
        assert changes == {"src/a/f": "M", "src/a/new": "A", "src/top": "D"}
        assert world.git.dirt(place) == () and world.git.head("work/w") == new

    def test_what_is_written_outside_of_its_parts_is_seen(self, world):
        place = begin(world, "src/a")
        world.write(place, "lib/g", b"changed")
        world.write(place, "lib/new", b"new")
        assert {one.path: one.status for one in world.git.dirt(place)} == {"lib/g": "M", "lib/new": "A"}
        kept = world.git.snapshot(place, "s")
        assert {one.path: one.status for one in world.git.changes(world.wide, kept)} == {"lib/g": "M", "lib/new": "A"}
        new = world.git.commit_all(place, world.wide, "m")
        assert world.git.tree_of(new) == world.git.tree_of(kept) and world.git.dirt(place) == ()
        world.write(place, "lib/g", b"again")
        again = world.git.commit_all(place, world.wide, "m")
        assert world.git.file_at(again, "lib/g") == b"again" and world.git.file_at(again, "src/b/f") == b"b"

    def test_a_tree_to_begin_with_is_there_also_where_it_differs_outside(self, world):
        other = branch_with(world, "o", {"lib/g": b"seeded", "src/a/f": b"seeded", "src/b/f": None}, world.wide)
        place = begin(world, "src/a")
        world.git.seed_worktree(place, world.git.tree_of(other))
        assert world.read(place, "src/a/f") == b"seeded" and world.read(place, "lib/deep/f") is None
        assert {one.path: one.status for one in world.git.dirt(place)} == {"lib/g": "M", "src/a/f": "M", "src/b/f": "D"}
        new = world.git.commit_all(place, world.wide, "m")
        assert world.git.tree_of(new) == world.git.tree_of(other)

    def test_no_part_at_all_is_the_files_at_the_top(self, world):
        place = begin(world)
        assert world.read(place, "a") == b"1\n" and world.read(place, "src/top") is None
        assert world.git.dirt(place) == ()


class TestRealGit:
    def test_the_repositorys_settings_stay_as_they_are(self, real):
        before = real.run("config", "--list", "--local")
        begin(real, "src/a")
        assert real.run("config", "--list", "--local") == before
        assert real.git.dirt(real.root) == ()

    def test_an_agents_own_git_takes_nothing_for_removed(self, real):
        place = begin(real, "src/a")
        real.write(place, "src/a/f", b"better")
        own = real.commit(place, "by myself")
        assert [one.path for one in real.git.changes(real.wide, own)] == ["src/a/f"]
        real.run("reset", "-q", "--hard", at=place)
        assert real.git.dirt(place) == ()

    @pytest.mark.parametrize("name", ["with space", "br[ac]ket", "st*r", "que?", "back\\slash", "ü", "#hash", "!bang"])
    def test_a_folder_of_any_name_can_be_a_part(self, real, name):
        commit = branch_with(real, "n", {f"{name}/deep/f": b"1", "other/f": b"2"})
        place = real.place("w")
        real.git.add_worktree(place, commit, branch="work/w", parts=[f"{name}/deep"])
        assert real.read(place, f"{name}/deep/f") == b"1" and real.read(place, "other/f") is None

    @pytest.mark.parametrize("bit", ["skip-worktree", "assume-unchanged"])
    def test_what_an_agent_hides_from_git_is_seen_and_taken(self, real, bit):
        place = real.place("w")
        real.git.add_worktree(place, real.wide, branch="work/w")
        subprocess.run(["git", "update-index", f"--{bit}", "lib/g"], cwd=place, check=True)
        real.write(place, "lib/g", b"hidden")
        assert real.git.file_at(real.git.snapshot(place, "s"), "lib/g") == b"hidden"
        assert real.git.file_at(real.git.commit_all(place, real.wide, "m"), "lib/g") == b"hidden"

    def test_a_part_of_the_users_own_checkout_does_not_make_a_place_a_part(self, real):
        real.run("checkout", "-q", "--detach", real.wide)
        real.run("sparse-checkout", "set", "src/a")
        place = real.place("whole")
        real.git.add_worktree(place, real.wide)
        assert real.read(place, "lib/g") == b"g"
        assert real.git.dirt(place) == ()


def test_a_part_within_a_part_is_named_once():
    assert cone(["src/a/b", "src/a", "lib/"]) == b"/*\n!/*/\n/lib/\n/src/\n!/src/*/\n/src/a/\n"

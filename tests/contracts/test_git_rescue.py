"""What is left at a place can be had again: promises of the repository's door, kept by both sides."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from tests.contracts.test_git import RealWorld, SimWorld, begun

from gluerun.core.environment import of_program
from gluerun.errors import GitError
from gluerun.records.config import Config

ZERO = "0" * 40
RESCUE = "refs/gluerun/rescue/TASK-0001"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.fixture
def real(tmp_path):
    return begun(RealWorld(tmp_path))


@pytest.fixture(params=["real", "sim"])
def world(request, tmp_path):
    return begun(RealWorld(tmp_path) if request.param == "real" else SimWorld())


def break_place(world, place):
    """Remove what makes a folder a work tree, as an agent may."""
    if isinstance(world, RealWorld):
        Path(place, ".git").unlink()
    else:
        world.git.break_place(place)


def commit_at(world, place, path, data):
    world.write(place, path, data)
    return world.commit(place)


class TestPromises:
    def test_a_place_that_nobody_touched_has_no_strays(self, world):
        place = world.place("one")
        world.git.add_worktree(place, world.base)
        assert world.git.strays(place) == ()

    def test_detached_commits_are_strays_and_only_the_newest_is_named(self, world):
        place = world.place("one")
        world.git.add_worktree(place, world.base)
        commit_at(world, place, "x", b"1")
        newest = commit_at(world, place, "x", b"2")
        assert world.git.strays(place) == (newest,)

    def test_a_commit_that_a_ref_reaches_is_no_stray(self, world):
        place = world.place("one")
        world.git.add_worktree(place, world.base)
        commit = commit_at(world, place, "x", b"1")
        world.git.keep(f"{RESCUE}/a", commit)
        assert world.git.strays(place) == ()

    def test_what_the_engine_put_in_the_place_of_an_agents_commit_leaves_that_commit_a_stray(self, world):
        place = world.place("one")
        world.git.add_worktree(place, world.base, branch="work/one")
        theirs = commit_at(world, place, "x", b"1")
        world.write(place, "y", b"2")
        ours = world.git.commit_all(place, world.base, "all of it")
        assert (world.git.head("work/one"), world.git.strays(place)) == (ours, (theirs,))

    def test_commits_of_the_engine_itself_are_no_strays(self, world):
        place = world.place("one")
        world.git.add_worktree(place, world.base, branch="work/one")
        for data in (b"1", b"2"):
            world.write(place, "x", data)
            world.git.commit_all(place, world.base, "a try")
        assert world.git.strays(place) == ()

    def test_a_folder_that_lost_its_git_is_salvaged(self, world):
        place = world.place("one")
        world.git.add_worktree(place, world.base, branch="work/one")
        world.write(place, "new", b"mine")
        world.write(place, "x.log", b"ignored")
        break_place(world, place)
        assert world.git.snapshot(place, "a snapshot") is None
        kept = world.git.salvage(place, "salvaged")
        assert world.git.file_at(kept, "new") == b"mine"
        assert world.git.file_at(kept, "a") == b"1\n"
        assert world.git.file_at(kept, "x.log") is None

    def test_nothing_and_a_whole_work_tree_are_not_salvaged(self, world):
        place = world.place("one")
        assert world.git.salvage(place, "salvaged") is None
        world.git.add_worktree(place, world.base)
        assert world.git.salvage(place, "salvaged") is None

    def test_a_ref_is_forgotten_only_where_it_is_and_only_if_it_is_ours(self, world):
        world.git.keep(f"{RESCUE}/a", world.base)
        assert not world.git.forget(f"{RESCUE}/a", ZERO.replace("0", "1"))
        assert world.git.kept(RESCUE) == {f"{RESCUE}/a": world.base}
        assert world.git.forget(f"{RESCUE}/a", world.base)
        assert world.git.kept(RESCUE) == {}
        assert not world.git.forget(f"{RESCUE}/a", world.base)
        with pytest.raises(GitError, match="not ours"):
            world.git.forget("refs/heads/main", world.base)

    def test_commits_tell_of_themselves_in_the_order_they_were_asked_for(self, world):
        second = commit_at(world, world.root, "a", b"2\n")
        told = world.git.told([second, world.base])
        assert [(one.commit, one.parents) for one in told] == [(second, (world.base,)), (world.base, ())]
        assert told[1].message.strip() == "begin"
        assert world.git.told([]) == ()

    def test_a_commit_weighs_what_differs(self, world):
        second = commit_at(world, world.root, "a", b"12345\n")
        assert world.git.weight(world.base, second) == (1, 6)
        assert world.git.weight(second, second) == (0, 0)

    def test_a_work_tree_is_handed_out_where_nothing_is(self, world):
        place = f"{world.root}-out"
        world.git.hand_out(place, world.base)
        assert world.read(place, "a") == b"1\n"
        with pytest.raises(GitError):
            world.git.hand_out(place, world.base)

    def test_a_sweep_leaves_places_that_stand(self, world):
        place = world.place("one")
        world.git.add_worktree(place, world.base, branch="work/one")
        assert world.git.sweep() == 0
        assert world.git.worktree_head(place) == world.base

    def test_maintaining_keeps_what_refs_reach(self, world):
        world.git.keep(f"{RESCUE}/a", world.base)
        assert world.git.maintain() == ""
        assert world.git.file_at(world.base, "a") == b"1\n"


class TestReal:
    def test_a_place_whose_removal_was_cut_is_never_taken_for_work(self, real):
        place = real.place("one")
        real.git.add_worktree(place, real.base, branch="work/one")
        # As it is after a crash between the rename and the rest.
        os.rename(place, f"{real.root}/.worktrees/.one.gone")
        assert real.git.snapshot(place, "s") is None
        assert real.git.salvage(place, "s") is None
        real.git.remove_worktree(place)
        assert os.listdir(f"{real.root}/.worktrees") == []
        real.git.add_worktree(place, real.base, branch="work/one")

    def test_what_a_cut_removal_left_is_swept(self, real):
        gone, stands = real.place("one"), real.place("two")
        for number, place in enumerate((gone, stands)):
            real.git.add_worktree(place, real.base, branch=f"work/{number}")
        os.rename(gone, f"{real.root}/.worktrees/.one.gone")
        os.mkdir(f"{real.root}/.worktrees/.mine")

        assert (real.git.sweep(), real.git.sweep()) == (1, 0)
        assert sorted(os.listdir(f"{real.root}/.worktrees")) == [".mine", "two"]

    def test_a_detached_head_is_a_stray_without_any_log(self, real):
        place = real.place("one")
        real.git.add_worktree(place, real.base)
        commit = commit_at(real, place, "x", b"1")
        folder = real.run("rev-parse", "--absolute-git-dir", at=place)
        shutil.rmtree(f"{folder}/logs")
        assert real.git.strays(place) == (commit,)

    def test_a_commit_that_was_reset_away_is_a_stray(self, real):
        place = real.place("one")
        real.git.add_worktree(place, real.base, branch="work/one")
        commit = commit_at(real, place, "x", b"1")
        real.run("reset", "-q", "--hard", "HEAD~1", at=place)
        assert real.git.strays(place) == (commit,)

    def test_a_log_of_nonsense_names_nothing(self, real):
        place = real.place("one")
        real.git.add_worktree(place, real.base)
        folder = real.run("rev-parse", "--absolute-git-dir", at=place)
        Path(folder, "logs/HEAD").write_bytes(b"\0\n--all x\tx\n" + b"0" * 40 + b" " + b"a" * 40 + b" x\ty\n")
        assert real.git.strays(place) == ()

    def test_a_repository_that_an_agent_began_in_its_place_is_salvaged_by_its_files(self, real):
        place = real.place("one")
        real.git.add_worktree(place, real.base)
        break_place(real, place)
        real.run("init", "-q", at=place)
        real.write(place, "new", b"mine")
        real.commit(place, "in a repository of its own")
        kept = real.git.salvage(place, "salvaged")
        assert real.git.file_at(kept, "new") == b"mine"
        assert real.run("status", "--porcelain", "-uno") == "", "the index of the repository is not touched"

    def test_maintaining_prunes_nothing_young_and_nothing_that_a_rescue_reaches(self, real):
        for key, value in (("gc.auto", "1"), ("gc.pruneExpire", "now"), ("gc.reflogExpire", "now")):
            real.run("config", key, value)
        rescued = real.run("commit-tree", f"{real.base}^{{tree}}", "-m", "rescued")
        real.git.keep(f"{RESCUE}/a", rescued)
        young = real.run("commit-tree", f"{real.base}^{{tree}}", "-m", "young")
        old = real.run("commit-tree", f"{real.base}^{{tree}}", "-m", "old")
        for commit in (rescued, old):
            path = f"{real.root}/.git/objects/{commit[:2]}/{commit[2:]}"
            os.chmod(path, 0o644)
            os.utime(path, (time.time() - 86_400 * 30,) * 2)
        # git finds it worth while if one folder of objects is crowded.
        crowd = Path(real.root, ".git/objects/17")
        crowd.mkdir(exist_ok=True)
        for number in range(60):
            (crowd / f"{number:038x}").touch()
            os.utime(crowd / f"{number:038x}", (time.time() - 86_400 * 30,) * 2)
        assert real.git.maintain() == ""
        assert real.git.commit_of(rescued) == rescued
        assert real.git.commit_of(young) == young
        assert real.git.commit_of(old) is None, "it did tidy"

    def test_a_programs_git_never_tidies_whatever_the_person_has_set(self, real):
        real.run("config", "gc.auto", "1")
        env = of_program({"PATH": os.environ["PATH"]}, {}, Config(target_branch="main", gate_command=""))
        for key, value in (("gc.auto", "0"), ("maintenance.auto", "false")):
            said = subprocess.run(
                ["git", "config", key], cwd=real.root, env=env, capture_output=True, text=True, check=False
            )
            assert said.stdout.strip() == value

    def test_git_is_never_let_tidy_in_the_middle_of_anything(self, real):
        assert real.git._git.line("config", "gc.auto") == "0"
        assert real.git._git.line("config", "maintenance.auto") == "false"

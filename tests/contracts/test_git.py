"""The promises of the repository door, kept by both sides; and what only real git can get wrong."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gluerun.adapters.git import RepositoryGit
from gluerun.errors import GitError
from gluerun.ports import Change, Landed, Landing, Merge
from gluerun.sim.git import SimGit

ZERO = "0" * 40


class RealWorld:
    """A repository on disk, and what agents and users do in it."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.root = str(folder / "ré po")
        self.state = str(folder / "state")
        os.makedirs(self.root)
        self.run("init", "-q", "-b", "main", *options)
        self.git = RepositoryGit(self.root, self.state)

    def run(self, *args: str, at: str | None = None, check: bool = True) -> str:
        words = ("git", "-c", "user.name=user", "-c", "user.email=user@example.invalid", *args)
        done = subprocess.run(words, cwd=at or self.root, check=False, capture_output=True)
        if check and done.returncode:
            raise AssertionError(done.stderr.decode())
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def write(self, place: str, path: str, data: bytes) -> None:
        target = os.path.join(os.fsencode(place), path.encode("utf-8", "surrogateescape"))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(data)

    def delete(self, place: str, path: str) -> None:
        os.unlink(os.path.join(place, path))

    def read(self, place: str, path: str) -> bytes | None:
        target = Path(place, path)
        return target.read_bytes() if target.is_file() else None

    def commit(self, place: str, message: str = "work") -> str:
        self.run("add", "-A", at=place)
        self.run("commit", "-q", "--allow-empty", "-m", message, at=place)
        return self.run("rev-parse", "HEAD", at=place)

    def place(self, name: str) -> str:
        return f"{self.root}/.worktrees/{name}"

    def leave_lock(self, place: str, branch: str) -> None:
        folder = self.run("rev-parse", "--absolute-git-dir", at=place)
        Path(folder, "index.lock").touch()
        Path(self.root, f".git/refs/heads/{branch}.lock").touch()

    def leave_ref_lock(self, ref: str) -> None:
        Path(self.root, f".git/{ref}.lock").touch()

    def with_remote(self) -> None:
        self.remote = self.root + "-remote"
        self.run("init", "-q", "--bare", "-b", "main", self.remote)
        self.run("remote", "add", "origin", self.remote)

    def remote_head(self) -> str | None:
        return self.run("rev-parse", "--verify", "-q", "main", at=self.remote, check=False) or None

    def move_remote(self) -> None:
        tree = self.run("mktree", at=self.remote)
        new = self.run("commit-tree", tree, "-m", "theirs", at=self.remote)
        self.run("update-ref", "refs/heads/main", new, at=self.remote)


class SimWorld:
    """The same words for the simulated repository."""

    def __init__(self) -> None:
        self.git = SimGit()
        self.root = self.git.root

    def write(self, place: str, path: str, data: bytes) -> None:
        self.git.write(place, path, data)

    def delete(self, place: str, path: str) -> None:
        self.git.delete(place, path)

    def read(self, place: str, path: str) -> bytes | None:
        return self.git.worktrees[place].files.get(path, ("", None))[1]

    def commit(self, place: str, message: str = "work") -> str:
        return self.git.commit(place, message)

    def place(self, name: str) -> str:
        return f"{self.root}/.worktrees/{name}"

    def leave_lock(self, place: str, branch: str) -> None:
        self.git.worktrees[place].locks.add("index.lock")
        self.git.branch_locks.add(f"refs/heads/{branch}.lock")

    def leave_ref_lock(self, ref: str) -> None:
        self.git.branch_locks.add(f"{ref}.lock")

    def with_remote(self) -> None:
        self.git.remote = {}

    def remote_head(self) -> str | None:
        assert self.git.remote is not None
        return self.git.remote.get("main")

    def move_remote(self) -> None:
        assert self.git.remote is not None
        self.git.remote["main"] = "f" * 40


World = RealWorld | SimWorld


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    return folder


@pytest.fixture
def real(tmp_path) -> RealWorld:
    return begun(RealWorld(tmp_path))


@pytest.fixture(params=["real", "sim"])
def world(request, tmp_path) -> World:
    return begun(RealWorld(tmp_path) if request.param == "real" else SimWorld())


def begun(world):
    """A first commit: two files, a folder, and rules for what is ignored."""
    for path, data in {
        ".gitignore": b"*.log\nbuild/\n.worktrees/\n",
        "a": b"1\n",
        "b": b"2\n",
        "docs/orchestration/t": b"t\n",
        "docs/guide": b"g\n",
    }.items():
        world.write(world.root, path, data)
    world.base = world.commit(world.root, "begin")
    return world


def branch_with(world, name: str, files: dict[str, bytes | None], base: str | None = None) -> str:
    """Return a commit on top of *base* that an agent made in a work tree of its own."""
    place = world.place(name)
    world.git.add_worktree(place, base or world.base, branch=f"work/{name}")
    for path, data in files.items():
        if data is None:
            world.delete(place, path)
        else:
            world.write(place, path, data)
    return world.git.commit_all(place, base or world.base, f"{name}\n\nTask: {name}\n")


class TestRefsAndCommits:
    def test_head_and_heads_know_exactly_the_branches_that_exist(self, world):
        work = branch_with(world, "x", {"n": b"n"})
        assert world.git.head("main") == world.base
        assert world.git.head("work") is None
        assert world.git.heads(["main", "work/x", "no"]) == {"main": world.base, "work/x": work}
        assert world.git.heads([]) == {}

    def test_commit_of_names_a_commit_or_nothing(self, world):
        assert world.git.commit_of("main") == world.base
        assert world.git.commit_of(world.base) == world.base
        for nothing in ("no", "1" * 40, "--all", ""):
            assert world.git.commit_of(nothing) is None

    def test_contains_follows_every_parent(self, world):
        one, other = branch_with(world, "x", {"x": b"x"}), branch_with(world, "y", {"y": b"y"})
        both = world.git.commit_tree(world.git.tree_of(one), [one, other], "both")
        assert world.git.contains(both, one) and world.git.contains(both, other)
        assert world.git.contains(both, world.base) and world.git.contains(both, both)
        assert not world.git.contains(one, other) and not world.git.contains(world.base, one)

    def test_commit_tree_keeps_the_tree_and_moves_nothing(self, world):
        new = world.git.commit_tree(world.git.tree_of(world.base), [world.base], "again")
        assert world.git.tree_of(new) == world.git.tree_of(world.base)
        assert world.git.head("main") == world.base

    def test_the_code_tree_does_not_see_orchestration(self, world):
        plain = world.git.code_tree(world.base)
        tasks = branch_with(world, "t", {"docs/orchestration/u/v": b"v", "docs/orchestration/t": b"T"})
        assert world.git.code_tree(tasks) == plain
        for name, files in (("g", {"docs/guide": b"G"}), ("n", {"docs/n": b""}), ("a", {"a": b"A"})):
            assert world.git.code_tree(branch_with(world, name, files)) != plain

    def test_advance_swaps_only_from_the_old_value(self, world):
        new = branch_with(world, "x", {"x": b"x"})
        assert not world.git.advance("side", new, world.base)
        assert world.git.advance("side", world.base, ZERO)
        assert not world.git.advance("side", new, ZERO)
        assert world.git.advance("side", new, world.base)
        assert not world.git.advance("side", world.base, world.base)
        assert world.git.head("side") == new

    def test_a_branch_is_deleted_only_at_its_old_value(self, world):
        world.git.advance("side", world.base, ZERO)
        new = branch_with(world, "x", {"x": b"x"})
        assert world.git.delete_branches({"side": new}) == set()
        assert world.git.delete_branches({"side": world.base}) == {"side"}
        assert world.git.delete_branches({"side": world.base}) == set()
        assert world.git.head("side") is None

    def test_branches_are_deleted_together_but_for_those_that_moved_or_are_gone(self, world):
        names = [f"side-{number}" for number in range(5)]
        for name in names:
            world.git.advance(name, world.base, ZERO)
        new = branch_with(world, "x", {"x": b"x"})
        world.git.advance("side-1", new, world.base)
        heads = {**dict.fromkeys(names, world.base), "gone": world.base}

        assert world.git.delete_branches(heads) == {"side-0", "side-2", "side-3", "side-4"}
        assert world.git.heads(names) == {"side-1": new}
        assert world.git.delete_branches({}) == set()

    def test_a_locked_branch_is_not_deleted_until_it_is_unlocked(self, world):
        for name in ("one", "two"):
            world.git.advance(name, world.base, ZERO)
        heads = dict.fromkeys(("one", "two"), world.base)
        world.leave_ref_lock("refs/heads/one")
        with pytest.raises(GitError):
            world.git.delete_branches(heads)
        assert world.git.heads(("one", "two")) == heads

        assert world.git.unlock(world.place("nobody"), "one") == ("refs/heads/one.lock",)
        assert world.git.delete_branches(heads) == {"one", "two"}

    def test_a_chain_of_commits_is_stored_as_it_grows(self, world):
        heads = [branch_with(world, name, {f"{name}/file": name.encode()}) for name in "xyz"]
        at, found = world.base, []
        with world.git.building(len(heads)):
            for head in heads:
                at = world.git.commit_tree(world.git.merge(at, head).tree, [at, head], f"é {head}\n\nOf: {head}\n")
                found.append(at)
        assert world.git.advance("chain", at, ZERO)
        assert list(world.git.trailers("chain", "Of")) == heads[::-1]
        assert [one.parents for one in world.git.told(found)] == list(zip([world.base, *found], heads, strict=False))
        assert {one: world.git.file_at(at, f"{one}/file") for one in "xyz"} == {"x": b"x", "y": b"y", "z": b"z"}

    def test_kept_refs_are_ours_alone(self, world):
        world.git.keep("refs/gluerun/kept/one", world.base)
        world.git.keep("refs/gluerun/other", world.base)
        assert world.git.kept("refs/gluerun/kept/") == {"refs/gluerun/kept/one": world.base}
        assert world.git.kept("refs/gluerun/kept") == {"refs/gluerun/kept/one": world.base}
        assert world.git.kept("refs/gluerun/ke") == {}
        with pytest.raises(GitError):
            world.git.keep("refs/heads/main", world.base)

    def test_the_log_of_a_ref_is_its_first_parent_line_with_whole_messages(self, world):
        side = branch_with(world, "x", {"x": b"x"})
        tree = world.git.tree_of(side)
        first = world.git.commit_tree(tree, [world.base, side], "one: é\n\nwords\n\nOur-Key: a.b\n")
        second = world.git.commit_tree(tree, [first], "two without\n")
        third = world.git.commit_tree(tree, [second], "three\n\nOur-Key: c\n")
        assert world.git.advance("side", third, ZERO)
        logged = world.git.logged("refs/heads/side", "Our-Key: ")
        assert [(one.commit, one.parents, one.message) for one in logged] == [
            (third, (second,), "three\n\nOur-Key: c\n"),
            (first, (world.base, side), "one: é\n\nwords\n\nOur-Key: a.b\n"),
        ]
        assert [one.at for one in logged] == [one.at for one in world.git.told([third, first])]
        assert world.git.logged("refs/heads/side", "Our.Key") == ()
        assert world.git.logged("refs/heads/none", "Our-Key") == ()

    def test_trailers_of_the_first_parent_line_newest_wins(self, world):
        side = branch_with(world, "x", {"x": b"x"})
        first = world.git.commit_tree(world.git.tree_of(side), [world.base, side], "m\n\nDone: T1\n")
        second = world.git.commit_tree(world.git.tree_of(side), [first], "m\n\nDone: T1\nDone: T2\nOther: z\n")
        third = world.git.commit_tree(world.git.tree_of(side), [second], "Done: T3")
        assert world.git.advance("side", third, ZERO)
        assert world.git.trailers("side", "Done") == {"T1": second, "T2": second}
        assert world.git.trailers("side", "Task") == {}
        assert world.git.trailers("no", "Task") == {}


class TestMergesAndChanges:
    def test_disjoint_work_merges_into_both(self, world):
        one = branch_with(world, "x", {"a": b"A\n", "new/x": b"x"})
        other = branch_with(world, "y", {"b": None})
        merged = world.git.merge(one, other)
        assert merged.conflicts == ()
        new = world.git.commit_tree(merged.tree, [one, other], "merge")
        assert world.git.file_at(new, "a") == b"A\n" and world.git.file_at(new, "new/x") == b"x"
        assert world.git.file_at(new, "b") is None
        assert world.git.merge(one, one) == Merge(tree=world.git.tree_of(one), empty=True)
        assert not merged.empty

    def test_a_merge_that_brings_nothing_is_said_to_be_empty(self, world):
        one, same = branch_with(world, "x", {"a": b"A\n"}), branch_with(world, "y", {"a": b"A\n"})
        more = branch_with(world, "z", {"a": b"A\n", "b": b"B\n"})
        assert world.git.merge(one, same) == Merge(tree=world.git.tree_of(one), empty=True)
        assert world.git.merge(one, world.base).empty and not world.git.merge(world.base, one).empty
        assert world.git.merge(more, one).empty and not world.git.merge(one, more).empty

    def test_a_conflict_is_named_and_the_tree_holds_both_sides(self, world):
        one, other = branch_with(world, "x", {"a": b"A\n"}), branch_with(world, "y", {"a": b"B\n"})
        merged = world.git.merge(one, other)
        assert merged.conflicts == ("a",)
        text = world.git.file_at(world.git.commit_tree(merged.tree, [one], "m"), "a")
        assert b"<<<<<<<" in text and b"A\n" in text and b"B\n" in text and b">>>>>>>" in text

    def test_many_are_asked_at_once_whether_they_conflict(self, world):
        one = branch_with(world, "x", {"a": b"A\n"})
        heads = [branch_with(world, f"y{at}", {"a" if at % 2 else "b": b"new %d\n" % at}) for at in range(5)]
        island = world.git.publish("refs/gluerun/island", {"a": b"i"}, "root")
        before = world.git.processes if hasattr(world.git, "processes") else None

        assert world.git.clashes(one, heads) == {heads[1]: ("a",), heads[3]: ("a",)}
        assert before is None or world.git.processes == before + 1
        assert world.git.clashes(one, []) == {}
        # What has nothing in common, or is not there, says nothing of the others.
        assert world.git.clashes(one, [island, heads[0], "1" * 40, heads[1]]) == {heads[1]: ("a",)}

    def test_removed_here_and_changed_there_is_a_conflict(self, world):
        one, other = branch_with(world, "x", {"a": None}), branch_with(world, "y", {"a": b"B\n"})
        assert world.git.merge(one, other).conflicts == ("a",)
        assert world.git.merge(other, one).conflicts == ("a",)

    def test_a_file_against_a_folder_is_a_conflict(self, world):
        one = branch_with(world, "x", {"n": b"file"})
        other = branch_with(world, "y", {"n/deep": b"deep"})
        assert world.git.merge(one, other).conflicts

    def test_unrelated_histories_merge_and_are_said_to_be_unrelated(self, world):
        root = world.git.publish("refs/gluerun/island", {"island": b"i"}, "root")
        merged = world.git.merge(world.base, root)
        assert (merged.conflicts, merged.unrelated) == ((), True)
        assert not world.git.merge(world.base, branch_with(world, "x", {"x": b"x"})).unrelated
        new = world.git.commit_tree(merged.tree, [world.base, root], "merge")
        assert world.git.file_at(new, "island") == b"i" and world.git.file_at(new, "a") == b"1\n"

    def test_what_is_no_commit_is_merged_by_nobody(self, world):
        with pytest.raises(GitError):
            world.git.merge(world.base, "1" * 40)
        with pytest.raises(GitError):
            world.git.merge("1" * 40, world.base)

    def test_changes_name_every_path_a_rename_as_two(self, world):
        new = branch_with(world, "x", {"a": None, "moved": b"1\n", "b": b"B\n"})
        changes = {change.path: change.status for change in world.git.changes(world.base, new)}
        assert changes == {"a": "D", "moved": "A", "b": "M"}
        (b,) = [change for change in world.git.changes(world.base, new) if change.path == "b"]
        assert b == Change(path="b", status="M", mode="100644", sha="223b7836fb19fdf64ba2d3cd6173c6a283141f78")
        assert world.git.changes(new, new) == ()
        trees = world.git.tree_of(world.base), world.git.tree_of(new)
        assert world.git.changes(*trees) == world.git.changes(world.base, new)

    def test_a_patch_is_readable_and_cut(self, world):
        new = branch_with(world, "x", {"a": b"changed\n"})
        whole = world.git.patch(world.base, new, limit=10_000)
        assert "-1" in whole and "+changed" in whole and "cut after" not in whole
        cut = world.git.patch(world.base, new, limit=5)
        assert cut.startswith(whole[:5]) and "cut after 5 characters" in cut
        assert world.git.patch(new, new, limit=5) == ""

    def test_file_at_gives_files_only(self, world):
        assert world.git.file_at(world.base, "docs/guide") == b"g\n"
        for nothing in ("docs", "no", "docs/no", ""):
            assert world.git.file_at(world.base, nothing) is None


class TestWorkTrees:
    def test_a_work_tree_stands_detached_or_on_a_branch(self, world):
        place, other = world.place("d"), world.place("b")
        world.git.add_worktree(place, world.base)
        world.git.add_worktree(other, world.base, branch="work/b")
        assert world.git.worktree_head(place) == world.base == world.git.worktree_head(other)
        assert world.git.head("work/b") == world.base
        assert world.read(place, "a") == b"1\n" and world.git.dirt(place) == ()
        assert world.git.worktree_head(world.place("no")) is None

    def test_a_branch_is_set_anew_also_while_an_old_tree_has_it(self, world):
        new = branch_with(world, "x", {"x": b"x"})
        world.git.add_worktree(world.place("again"), world.base, branch="work/x")
        assert world.git.head("work/x") == world.base != new

    def test_removing_is_thorough_repeatable_and_only_within_our_folder(self, world):
        place = world.place("d")
        world.git.add_worktree(place, world.base)
        world.write(place, "junk.log", b"")
        world.git.remove_worktree(place)
        world.git.remove_worktree(place)
        assert world.git.worktree_head(place) is None
        world.git.add_worktree(place, world.base)
        for outside in (world.root, f"{world.root}/.worktrees", f"{world.root}/.worktrees/../docs"):
            with pytest.raises(GitError):
                world.git.remove_worktree(outside)
        assert world.read(world.root, "docs/guide") == b"g\n"

    def test_dirt_names_what_differs_but_nothing_ignored(self, world):
        place = world.place("d")
        world.git.add_worktree(place, world.base)
        world.write(place, "a", b"A")
        world.delete(place, "b")
        world.write(place, "new/deep", b"n")
        world.write(place, "x.log", b"n")
        world.write(place, "build/out", b"n")
        found = {change.path: change.status for change in world.git.dirt(place)}
        assert found == {"a": "M", "b": "D", "new/deep": "A"}

    def test_ignored_is_what_the_rules_name(self, world):
        place = world.place("d")
        world.git.add_worktree(place, world.base)
        for path, answer in (("x.log", True), ("build/out", True), ("sub/x.log", True), ("a", False), ("n", False)):
            assert world.git.is_ignored(place, path) is answer

    def test_commit_all_takes_everything_that_is_not_ignored(self, world):
        place = world.place("w")
        world.git.add_worktree(place, world.base, branch="work/w")
        world.write(place, "new", b"n")
        world.delete(place, "b")
        world.write(place, "x.log", b"")
        new = world.git.commit_all(place, world.base, "m")
        assert {one.path for one in world.git.changes(world.base, new)} == {"new", "b"}
        assert world.git.head("work/w") == new == world.git.worktree_head(place)
        assert world.git.dirt(place) == () and world.read(place, "x.log") == b""
        assert world.git.contains(new, world.base)

    def test_commit_all_swallows_the_agents_own_commits(self, world):
        place = world.place("w")
        world.git.add_worktree(place, world.base, branch="work/w")
        world.write(place, "one", b"1")
        own = world.commit(place, "agent\n\nTask: mine")
        world.write(place, "two", b"2")
        new = world.git.commit_all(place, world.base, "m")
        assert {one.path for one in world.git.changes(world.base, new)} == {"one", "two"}
        assert not world.git.contains(new, own)
        assert world.git.trailers("work/w", "Task") == {}

    def test_commit_all_of_nothing_is_the_base(self, world):
        place = world.place("w")
        world.git.add_worktree(place, world.base, branch="work/w")
        assert world.git.commit_all(place, world.base, "m") == world.base
        world.write(place, "one", b"1")
        world.commit(place)
        world.delete(place, "one")
        assert world.git.commit_all(place, world.base, "m") == world.base
        assert world.git.head("work/w") == world.base and world.git.dirt(place) == ()

    def test_commit_all_in_a_detached_tree_moves_its_head_only(self, world):
        place = world.place("w")
        world.git.add_worktree(place, world.base)
        world.write(place, "one", b"1")
        new = world.git.commit_all(place, world.base, "m")
        assert world.git.worktree_head(place) == new and world.git.head("main") == world.base

    def test_snapshot_stores_all_and_touches_nothing(self, world):
        place = world.place("w")
        world.git.add_worktree(place, world.base, branch="work/w")
        assert world.git.snapshot(place, "s") == world.base
        world.write(place, "a", b"A")
        world.write(place, "new", b"n")
        before = world.git.dirt(place)
        kept = world.git.snapshot(place, "s")
        assert {one.path for one in world.git.changes(world.base, kept)} == {"a", "new"}
        assert world.git.contains(kept, world.base)
        assert world.git.head("work/w") == world.base and world.git.dirt(place) == before
        assert world.git.snapshot(world.place("no"), "s") is None

    def test_seed_makes_the_files_those_of_a_tree_and_nothing_else(self, world):
        kept = branch_with(world, "k", {"a": b"A", "new": b"n", "b": None})
        place = world.place("w")
        world.git.add_worktree(place, world.base, branch="work/w")
        world.write(place, "stray", b"s")
        world.write(place, "x.log", b"l")
        world.git.seed_worktree(place, world.git.tree_of(kept))
        assert world.read(place, "a") == b"A" and world.read(place, "new") == b"n"
        assert world.read(place, "b") is None and world.read(place, "stray") is None
        assert world.read(place, "x.log") == b"l"
        assert world.git.worktree_head(place) == world.base == world.git.head("work/w")
        new = world.git.commit_all(place, world.base, "m")
        assert world.git.tree_of(new) == world.git.tree_of(kept)

    def test_unlock_removes_the_locks_of_this_tree_and_branch(self, world):
        place = world.place("w")
        world.git.add_worktree(place, world.base, branch="work-w")
        assert world.git.unlock(place, "work-w") == ()
        world.leave_lock(place, "work-w")
        world.write(place, "one", b"1")
        with pytest.raises(GitError):
            world.git.commit_all(place, world.base, "m")
        assert world.git.snapshot(place, "s") != world.base
        assert world.git.unlock(place, "work-w") == ("index.lock", "refs/heads/work-w.lock")
        assert world.git.commit_all(place, world.base, "m") == world.git.head("work-w")

    def test_unlock_removes_the_locks_of_what_a_dead_run_would_have_kept_and_no_others(self, world):
        run, other = "refs/gluerun/rescue/T/RUN-1", "refs/gluerun/rescue/T/RUN-2-branch"
        assert world.git.unlock(world.place("w"), "work-w", run) == ()
        world.git.keep(f"{run}-place", world.base)
        for ref in (f"{run}-branch", other):
            world.leave_ref_lock(ref)

        assert world.git.unlock(world.place("w"), "work-w", run) == (f"{run}-branch.lock",)
        assert world.git.unlock(world.place("w"), "work-w", other) == (f"{other}.lock",)
        assert world.git.kept("refs/gluerun/rescue/T") == {f"{run}-place": world.base}


class TestLanding:
    def test_landing_moves_the_branch_and_the_files(self, world):
        new = branch_with(world, "x", {"a": b"A", "b": None, "new/x": b"x"})
        world.write(world.root, "mine", b"untracked")
        world.write(world.root, "docs/guide", b"edited")
        assert world.git.land("main", new, world.base) == Landed(landing=Landing.LANDED)
        assert world.git.head("main") == new
        assert world.read(world.root, "a") == b"A" and world.read(world.root, "b") is None
        assert world.read(world.root, "new/x") == b"x" and world.read(world.root, "mine") == b"untracked"
        assert {one.path for one in world.git.dirt(world.root)} == {"mine", "docs/guide"}
        assert not world.git.finish_landing()

    def test_landing_on_a_branch_that_nobody_has_is_a_plain_swap(self, world):
        new = branch_with(world, "x", {"a": b"A"})
        assert world.git.land("side", new, ZERO).landing is Landing.LANDED
        assert world.git.land("side", world.base, ZERO).landing is Landing.MOVED
        assert world.git.head("side") == new and world.git.dirt(world.root) == ()

    def test_a_target_that_moved_is_not_overwritten(self, world):
        new = branch_with(world, "x", {"a": b"A"})
        world.write(world.root, "b", b"mine")
        theirs = world.commit(world.root)
        assert world.git.land("main", new, world.base).landing is not Landing.LANDED
        assert world.git.land("main", new, new).landing is not Landing.LANDED
        assert world.git.head("main") == theirs and world.git.dirt(world.root) == ()

    @pytest.mark.parametrize(
        ("path", "data"), [("a", b"dirty"), ("b", None), ("new", b"way"), ("dir", b"way"), ("f/deep", b"way")]
    )
    def test_what_would_be_lost_blocks(self, world, path, data):
        new = branch_with(world, "x", {"a": b"A", "b": b"B", "new": b"n", "dir/x": b"x", "f": b"f"})
        if data is None:
            world.delete(world.root, path)
        else:
            world.write(world.root, path, data)
        before = world.git.dirt(world.root)
        foreseen = world.git.could_land("main", new, world.base)
        landed = world.git.land("main", new, world.base)
        assert landed == foreseen == Landed(landing=Landing.BLOCKED, paths=(path,))
        assert world.git.head("main") == world.base and world.git.dirt(world.root) == before
        assert world.read(world.root, path) == data
        assert not world.git.finish_landing()

    def test_what_a_landing_would_come_to_is_told_without_one(self, world):
        new = branch_with(world, "x", {"a": b"A", "new/x": b"x"})
        world.write(world.root, "docs/guide", b"edited")
        before = world.git.dirt(world.root)
        assert world.git.could_land("main", new, world.base) == Landed(landing=Landing.LANDED)
        assert world.git.could_land("side", new, ZERO) == Landed(landing=Landing.LANDED)
        assert world.git.could_land("main", new, new).landing is not Landing.LANDED
        assert world.git.could_land("side", new, new) == Landed(landing=Landing.MOVED)
        assert world.git.head("main") == world.base and world.git.head("side") is None
        assert world.git.dirt(world.root) == before and world.read(world.root, "a") != b"A"
        assert not world.git.finish_landing()
        assert world.git.land("main", new, world.base).landing is Landing.LANDED
        assert world.git.could_land("main", new, world.base) == Landed(landing=Landing.MOVED)

    def test_an_ignored_file_in_the_way_blocks(self, world):
        new = branch_with(world, "x", {".gitignore": b"", "x.log": b"theirs"})
        world.write(world.root, "x.log", b"mine")
        assert world.git.land("main", new, world.base) == Landed(landing=Landing.BLOCKED, paths=("x.log",))
        assert world.read(world.root, "x.log") == b"mine"


class TestPublishing:
    def test_published_files_add_up(self, world):
        ref = "refs/gluerun/state"
        assert world.git.published(ref) == {}
        first = world.git.publish(ref, {"x/y": b"1", "z": b"\x00\xff"}, "one")
        second = world.git.publish(ref, {"x/y": None, "no": None, "q": b"", "z": b"2"}, "two")
        assert world.git.published(ref) == {"q": b"", "z": b"2"}
        assert world.git.contains(second, first) and world.git.kept("refs/gluerun/") == {ref: second}
        assert world.git.published(first) == {"x/y": b"1", "z": b"\x00\xff"}

    def test_published_files_can_be_asked_for_by_folder_and_ending(self, world):
        ref = "refs/gluerun/state"
        files = {"x/y": b"1", "x/z/y": b"2", "x/z/n": b"3", "xy": b"4", "y": b"5"}
        world.git.publish(ref, files, "one")
        assert world.git.published(ref, "x").keys() == {"x/y", "x/z/y", "x/z/n"}
        assert world.git.published(ref, "x", ending="/y").keys() == {"x/y", "x/z/y"}
        assert world.git.published(ref, ending="y").keys() == {"x/y", "x/z/y", "xy", "y"}
        assert world.git.published(ref, "no") == world.git.published(ref, "x", ending="!") == {}
        assert world.git.published("refs/gluerun/no", "x") == {}

    def test_a_commit_over_a_tree_has_its_files_and_leaves_no_name_behind(self, world):
        base, tree = world.base, world.git.tree_of(world.base)
        side = branch_with(world, "x", {"side": b"s"})
        before = world.git.kept("refs/")
        files = {"rec/b/one.json": b"{}\n", 'od"d n\u00e4me': b"\x00", "docs/guide": None, "not/there": None}
        stored = world.git.commit_over(tree, files, [base, side], "over\n\nOur-Key: v\n")
        ours = {change.path: change.status for change in world.git.changes(base, stored.commit)}

        assert ours == {"rec/b/one.json": "A", 'od"d n\u00e4me': "A", "docs/guide": "D"}
        assert stored.tree == world.git.tree_of(stored.commit)
        assert world.git.told([stored.commit])[0].parents == (base, side)
        assert world.git.told([stored.commit])[0].message == "over\n\nOur-Key: v\n"
        assert world.git.head("main") == base
        assert world.git.kept("refs/") == before
        assert world.git.land("main", stored.commit, base).landing is Landing.LANDED
        assert world.read(world.root, "rec/b/one.json") == b"{}\n"

    def test_a_commit_over_a_tree_that_brings_nothing_has_the_same_tree(self, world):
        tree = world.git.tree_of(world.base)
        assert world.git.commit_over(tree, {"no": None}, [world.base], "nothing").tree == tree
        again = world.git.commit_over(tree, {"f": b"1"}, [world.base], "one")
        assert world.git.commit_over(again.tree, {"f": b"1"}, [again.commit], "two").tree == again.tree
        assert not world.git.kept("refs/gluerun/")

    def test_what_a_push_would_bring_is_every_commit_that_the_remote_is_not_known_to_have(self, world):
        assert world.git.outgoing("main", limit=10_000) == ""
        world.with_remote()
        assert "+++ b/docs/guide" in world.git.outgoing("main", limit=10_000)
        assert world.git.outgoing("no", limit=10_000) == ""
        world.git.push("main")
        assert world.git.outgoing("main", limit=10_000) == ""

        one = branch_with(world, "x", {"new": b"for a while\n"})
        two = branch_with(world, "y", {"new": b"for good\n"}, base=one)
        world.git.land("main", one, world.base)
        world.git.land("main", two, one)
        text = world.git.outgoing("main", limit=10_000)
        assert "+for a while\n" in text and "+for good\n" in text and "docs/guide" not in text
        assert len(world.git.outgoing("main", limit=7)) == 7
        world.git.push("main")
        assert world.git.outgoing("main", limit=10_000) == ""

    def test_what_a_merge_brings_in_by_itself_is_outgoing_too(self, world):
        world.with_remote()
        world.git.push("main")
        side = branch_with(world, "x", {"a": b"A\n"})
        extra = branch_with(world, "z", {"a": b"A\n", "slipped-in": b"here\n"})
        merge = world.git.commit_tree(world.git.tree_of(extra), (world.base, side), "merge")
        world.git.land("main", merge, world.base)

        assert "+++ b/slipped-in" in world.git.outgoing("main", limit=10_000)

    def test_fetch_keeps_what_the_remote_is_at_and_moves_nothing_else(self, world):
        ref = "refs/gluerun/outside/there/main"
        assert world.git.fetch("main", ref) == "" and world.git.kept(ref) == {}
        world.with_remote()
        assert world.git.fetch("main", ref) == "" and world.git.kept(ref) == {}
        world.git.push("main")
        new = world.git.commit_tree(world.git.tree_of(world.base), [world.base], "here")
        assert world.git.advance("main", new, world.base)

        assert world.git.fetch("main", ref) == ""

        assert world.git.kept(ref) == {ref: world.base} and world.git.head("main") == new
        with pytest.raises(GitError, match="not ours"):
            world.git.fetch("main", "refs/heads/main")

    def test_push_brings_the_branch_or_says_why_not(self, world):
        assert world.git.push("main") == ""
        world.with_remote()
        assert world.git.push("main") == "" and world.remote_head() == world.base
        new = branch_with(world, "x", {"a": b"A"})
        world.git.land("main", new, world.base)
        assert world.git.push("main") == "" and world.remote_head() == new
        world.move_remote()
        theirs = world.remote_head()
        assert "rejected" in world.git.push("main")
        assert world.remote_head() == theirs

    def test_a_commit_is_pushed_from_what_was_seen_there_and_the_branch_here_stays(self, world):
        world.with_remote()
        world.git.push("main")
        one = branch_with(world, "x", {"a": b"A"})
        two = branch_with(world, "y", {"a": b"AA"}, base=one)
        assert "docs/guide" not in world.git.outgoing("main", limit=10_000, commit=two)
        assert "+AA" in world.git.outgoing("main", limit=10_000, commit=two)

        assert world.git.push("main", commit=one, old=world.base) == ""
        assert world.remote_head() == one and world.git.head("main") == world.base
        # Not from where it is not any more, and never backwards.
        assert "stale" in world.git.push("main", commit=two, old=world.base)
        assert "does not follow" in world.git.push("main", commit=world.base, old=one)
        assert world.remote_head() == one
        assert world.git.push("main", commit=two, old=one) == "" and world.remote_head() == two

    def test_what_somebody_else_pushed_in_between_is_never_overwritten_by_a_commit_of_ours(self, world):
        world.with_remote()
        world.git.push("main")
        one = branch_with(world, "x", {"a": b"A"})
        world.move_remote()
        theirs = world.remote_head()
        assert "rejected" in world.git.push("main", commit=one, old=world.base)
        assert world.remote_head() == theirs


NAMES = st.sampled_from(["a", "b", "c", "d/a", "d/b", "é x", "d/e/f"])


# No two paths share a content: git follows renames, and the simulated side does not.
def test_a_tree_that_git_cannot_read_is_never_taken_for_an_empty_one(real):
    one, other = branch_with(real, "x", {"a": b"A\n"}), branch_with(real, "y", {"b": b"B\n"})
    tree = real.git.tree_of(real.base)
    Path(real.root, ".git/objects", tree[:2], tree[2:]).unlink()

    with pytest.raises(GitError, match="cannot merge"):
        real.git.merge(one, other)


TREES = st.dictionaries(NAMES, st.sampled_from([b"1\n", b"2\n", b"3\n"]), max_size=5).map(
    lambda tree: {path: path.encode() + b" " + data for path, data in tree.items()}
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(base=TREES, ours=TREES, theirs=TREES)
def test_both_sides_make_the_same_of_random_trees(tmp_path_factory, base, ours, theirs):
    answers = []
    for world in (RealWorld(tmp_path_factory.mktemp("random")), SimWorld()):
        git = world.git
        ref = "refs/gluerun/random/{}"
        start = git.publish(ref.format("base"), base, "base")
        sides = []
        for name, tree in (("ours", ours), ("theirs", theirs)):
            git.keep(ref.format(name), start)
            files = {**dict.fromkeys(base), **tree}
            sides.append(git.publish(ref.format(name), files, name))
        merged = git.merge(*sides)
        new = git.commit_tree(merged.tree, sides, "merge")
        git.keep(ref.format("merged"), new)
        answers.append(
            (
                bool(merged.conflicts),
                None if merged.conflicts else git.published(ref.format("merged")),
                git.changes(start, sides[0]),
                git.published(ref.format("ours")),
                git.contains(new, start),
            )
        )
        place = world.place("r")
        git.add_worktree(place, sides[0], branch="r")
        git.seed_worktree(place, git.tree_of(sides[1]))
        taken = git.commit_all(place, start, "taken")
        assert git.tree_of(taken) == git.tree_of(sides[1])
        assert git.dirt(place) == ()
        assert (taken == start) == (git.tree_of(sides[1]) == git.tree_of(start))
    assert answers[0] == answers[1]
    assert answers[0][3] == ours

"""The world outside on real git: remotes that refuse, hooks, attributes, filters, signatures, submodules."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.core.worlds import accepted as done
from tests.core.worlds import proof as proof_of
from tests.core.worlds import task as ready

from gluerun.adapters.git import RepositoryGit
from gluerun.adapters.messenger import OsMessenger
from gluerun.core.actions import Follow
from gluerun.core.relation import Relation
from gluerun.core.world import World
from gluerun.errors import GitError
from gluerun.loop.candidates import Candidate, build
from gluerun.loop.house import House
from gluerun.loop.moving import move_target
from gluerun.loop.observe import observe
from gluerun.loop.outside import AGREED, THERE, agree, follow, look_out, push, see
from gluerun.loop.proposing import make_requests, propose
from gluerun.loop.report import Notes
from gluerun.ports import Landed, Landing
from gluerun.records.config import Integration, IntegrationMode
from gluerun.records.record import replace
from gluerun.records.task import Request
from gluerun.testing import SimHouse


class Place:
    """A repository with a commit on main, a bare remote that has it, and a house that pushes there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root, self.remote = folder, str(folder / "here"), str(folder / "there.git")
        os.makedirs(self.root)
        self.run("init", "-q", "-b", "main")
        self.run("init", "-q", "--bare", "-b", "main", self.remote)
        self.write(".gitignore", "/.worktrees/\n")
        self.first = self.commit({"a.txt": "one\n"})
        self.run("remote", "add", "origin", self.remote)
        self.run("push", "-q", "origin", "main")
        self.git = RepositoryGit(self.root, str(folder / "state"))
        sim = SimHouse(push=True).given("TASK-0001")
        sim.git_door = self.git
        self.house, self.tasks = sim.open(), (ready(),)

    def run(self, *args: str, at: str | None = None, ok: tuple[int, ...] = (0,)) -> str:
        words = ("git", "-c", "user.name=user", "-c", "user.email=user@example.invalid", *args)
        done = subprocess.run(words, cwd=at or self.root, check=False, capture_output=True)
        assert done.returncode in ok, done.stderr.decode()
        return done.stdout.decode().strip()

    def write(self, path: str, text: str, at: str | None = None) -> None:
        target = Path(at or self.root, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def read(self, path: str) -> str:
        return Path(self.root, path).read_text()

    def commit(self, files: dict[str, str], at: str | None = None) -> str:
        for path, text in files.items():
            self.write(path, text, at)
        self.run("add", "-A", at=at)
        self.run("commit", "-q", "--allow-empty", "-m", "work", at=at)
        return self.run("rev-parse", "HEAD", at=at)

    def branch(self, name: str, files: dict[str, str], base: str | None = None) -> str:
        """Return what a worker commits on top of *base*."""
        place = f"{self.root}/.worktrees/{name}"
        self.git.add_worktree(place, base or self.first, branch=f"work/{name}")
        for path, text in files.items():
            self.write(path, text, place)
        return self.git.commit_all(place, base or self.first, name)

    def colleague(self, files: dict[str, str]) -> str:
        """Return what somebody else pushed."""
        theirs = str(self.folder / "theirs")
        if not os.path.isdir(theirs):
            self.run("clone", "-q", self.remote, theirs)
        self.run("pull", "-q", "--ff-only", at=theirs)
        new = self.commit(files, theirs)
        self.run("push", "-q", "origin", "HEAD:main", at=theirs)
        return new

    def hook(self, name: str, script: str, at: str | None = None) -> Path:
        path = Path(at or self.remote, "hooks", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    def there(self) -> str:
        return self.run("rev-parse", "main", at=self.remote)

    def seen(self) -> Relation:
        """Look at the remote as a cycle does, and tell how the two stand."""
        self.house.store.put_memory(replace(self.house.store.memory(), push_due=True))
        assert look_out(self.house) == ""
        found = see(self.house, self.git.head("main"), self.tasks)
        assert found is not None
        agree(self.house, self.world(found))
        return found.relation

    def world(self, outside=None):
        known = SimHouse()
        return replace(observe(known.open(), "ORIGIN").world, outside=outside)

    def pushed(self) -> str:
        """Push as a cycle does; return what it says in trouble."""
        notes = Notes()
        push(self.house, self.world(see(self.house, self.git.head("main"), self.tasks)), "ORIGIN", notes)
        return " ".join(notes.trouble)


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
def place(tmp_path) -> Place:
    return Place(tmp_path)


class TestTheRemote:
    def test_what_somebody_pushed_is_followed_with_the_checkout(self, place):
        assert place.seen() is Relation.SAME
        theirs = place.colleague({"b.txt": "theirs\n"})
        assert place.seen() is Relation.BEHIND

        assert follow(place.house, Follow(commit=theirs, old=place.first, reason=""), Notes())

        assert place.git.head("main") == theirs and place.read("b.txt") == "theirs\n"
        assert place.run("status", "--porcelain") == "" and place.seen() is Relation.SAME

    def test_a_checkout_in_the_way_is_named_and_kept(self, place):
        theirs = place.colleague({"a.txt": "theirs\n"})
        assert place.seen() is Relation.BEHIND
        place.write("a.txt", "unsaved\n")
        notes = Notes()

        assert not follow(place.house, Follow(commit=theirs, old=place.first, reason=""), notes)

        assert "a.txt in your checkout" in notes.trouble[0]
        assert place.git.head("main") == place.first and place.read("a.txt") == "unsaved\n"

    def test_a_push_that_comes_too_late_is_refused_and_nothing_there_is_lost(self, place):
        mine = place.commit({"m.txt": "mine\n"})
        place.seen()
        theirs = place.colleague({"b.txt": "theirs\n"})

        assert "nothing was overwritten" in place.pushed()
        assert place.there() == theirs and place.git.head("main") == mine
        assert place.seen() is Relation.DIVERGED

        assert "have both moved" in place.pushed() and place.there() == theirs
        place.run("merge", "-q", "--no-edit", theirs[:12])
        assert place.seen() is Relation.AHEAD and place.pushed() == ""
        assert place.there() == place.git.head("main")

    def test_what_lands_moves_the_remote_first_and_whoever_came_before_is_followed(self, place):
        assert place.seen() is Relation.SAME
        seen, notes = see(place.house, place.first, place.tasks), Notes()
        notes.sends = True
        one = place.branch("one", {"b.txt": "1\n"})

        landed = move_target(place.house, place.world(seen), one, place.first, notes)

        assert landed.landing is Landing.LANDED and place.there() == one == place.git.head("main")
        assert place.read("b.txt") == "1\n" and place.seen() is Relation.SAME

        two, seen = place.branch("two", {"c.txt": "2\n"}, one), see(place.house, one, place.tasks)
        theirs = place.colleague({"d.txt": "theirs\n"})  # after the look
        landed = move_target(place.house, place.world(seen), two, one, notes)

        assert landed.landing is Landing.MOVED and place.there() == theirs == place.git.head("main")
        assert place.read("d.txt") == "theirs\n" and place.run("status", "--porcelain") == ""

    def test_a_remote_that_refuses_lets_it_land_here_and_the_push_stays_due(self, place):
        place.hook("update", "echo 'not on this branch' >&2; exit 1")
        place.seen()
        one, notes = place.branch("one", {"b.txt": "1\n"}), Notes()
        notes.sends = True

        landed = move_target(
            place.house, place.world(see(place.house, place.first, place.tasks)), one, place.first, notes
        )

        assert landed.landing is Landing.LANDED and place.git.head("main") == one and place.there() == place.first
        assert place.seen() is Relation.AHEAD and "not on this branch" in place.pushed()
        rest = place.house.store.push_backoff()
        assert rest is not None and rest.needs_you and "not on this branch" in rest.reason
        assert place.pushed() == ""  # it was told, and rests

    def test_a_remote_that_was_rewound_by_force_keeps_what_it_was_rewound_to(self, place):
        place.seen()
        second = place.commit({"m.txt": "mine\n"})
        assert place.pushed() == "" and place.there() == second and place.seen() is Relation.SAME
        place.run("update-ref", "refs/heads/main", place.first, at=place.remote)
        third = place.commit({"n.txt": "more\n"})

        assert place.seen() is Relation.REWOUND
        assert "was moved back or rewritten on its remote" in place.pushed()
        assert place.there() == place.first and place.git.head("main") == third

        place.run("push", "-q", "origin", "main")
        assert place.seen() is Relation.SAME

    def test_a_remote_that_lost_the_branch_gets_it_again(self, place):
        place.seen()
        place.run("update-ref", "-d", "refs/heads/main", at=place.remote)

        assert place.git.fetch("main", f"{THERE}/main") == "" and see(place.house, place.first, place.tasks) is None
        assert place.pushed() == "" and place.there() == place.first

    @pytest.mark.parametrize("name", ["pre-receive", "update"])
    def test_a_protected_remote_is_told_with_what_helps(self, place, name):
        place.hook(name, "echo GH006: Protected branch update failed >&2; exit 1")
        place.commit({"m.txt": "mine\n"})
        place.seen()

        words = place.pushed()

        assert "GH006" in words and '"pull-request"' in words
        assert place.there() == place.first

    def test_a_remote_that_wants_signatures_is_told_with_what_helps(self, place):
        place.hook("pre-receive", "echo Commits must have verified signatures. >&2; exit 1")
        place.commit({"m.txt": "mine\n"})
        place.seen()
        assert "`integration.sign`" in place.pushed()

    def test_a_remote_that_is_a_checkout_of_the_branch_is_told_with_what_helps(self, place):
        place.run("config", "core.bare", "false", at=place.remote)
        place.commit({"m.txt": "mine\n"})
        place.seen()

        assert "receive.denyCurrentBranch" in place.pushed() and place.there() == place.first

    def test_a_remote_that_cannot_be_reached_is_named_and_the_last_look_stays(self, place):
        assert place.seen() is Relation.SAME
        place.house.store.put_memory(replace(place.house.store.memory(), push_due=True))
        place.run("remote", "set-url", "origin", str(place.folder / "nowhere.git"))

        assert "the remote of main cannot be looked at: " in look_out(place.house)
        assert place.git.kept(THERE) == {f"{THERE}/main": place.first}
        place.run("remote", "remove", "origin")
        assert look_out(place.house) == "" and place.git.kept(THERE) == {}

    def test_no_hook_of_the_user_runs_when_the_engine_commits_lands_or_pushes(self, place):
        ran = place.folder / "ran"
        for name in ("pre-commit", "commit-msg", "prepare-commit-msg", "post-commit", "pre-merge-commit", "post-merge",
                     "post-checkout", "pre-push", "reference-transaction", "post-index-change"):  # fmt: skip
            place.hook(name, f"echo {name} >> '{ran}'", str(place.folder / "own"))
        place.run("config", "core.hooksPath", str(place.folder / "own" / "hooks"))

        work = place.branch("w", {"w.txt": "w\n"})
        merged = place.git.merge(place.first, work)
        new = place.git.commit_tree(merged.tree, [place.first, work], "merge")
        assert place.git.land("main", new, place.first) == Landed(landing=Landing.LANDED)
        place.seen()
        assert place.pushed() == "" and not ran.exists()

        place.run("commit", "-q", "--allow-empty", "-m", "by hand")
        assert "pre-commit" in ran.read_text()  # they are real hooks

    def test_what_is_only_on_the_remote_in_our_own_notes_is_not_looked_through_again(self, place):
        place.run("config", "--unset-all", "remote.origin.fetch")
        place.run("update-ref", "-d", "refs/remotes/origin/main")
        assert place.seen() is Relation.SAME
        assert place.git.outgoing("main", limit=1000) == ""
        assert place.git.kept(AGREED) == {f"{AGREED}/main": place.first}


class TestAShallowClone:
    def test_it_lands_and_pushes_as_any_other(self, place, tmp_path):
        place.colleague({"b.txt": "1\n"})
        place.colleague({"b.txt": "2\n"})
        shallow = str(tmp_path / "shallow")
        place.run("clone", "-q", "--depth", "1", f"file://{place.remote}", shallow)
        git = RepositoryGit(shallow, str(tmp_path / "shallow-state"))
        base = git.head("main")
        git.add_worktree(f"{tmp_path}/w", base, branch="work/w")
        Path(tmp_path, "w", "c.txt").write_text("c\n")
        work = git.commit_all(f"{tmp_path}/w", base, "work")
        merged = git.merge(base, work)
        new = git.commit_tree(merged.tree, [base, work], "merge")

        assert not merged.conflicts and git.land("main", new, base).landing is Landing.LANDED
        assert git.fetch("main", f"{THERE}/main") == "" and git.push("main") == ""
        assert place.there() == new

    def test_what_has_no_base_in_it_is_a_conflict_and_never_a_wrong_merge(self, place, tmp_path):
        place.colleague({"a.txt": "two\n"})
        shallow = str(tmp_path / "shallow")
        place.run("clone", "-q", "--depth", "1", f"file://{place.remote}", shallow)
        place.run("checkout", "-q", "--orphan", "lost", at=shallow)
        lost = place.commit({"a.txt": "three\n"}, shallow)
        git = RepositoryGit(shallow, str(tmp_path / "shallow-state"))

        assert git.merge(git.head("main"), lost).conflicts == ("a.txt",)


def conflicts(place: Place, mine: dict[str, str], theirs: dict[str, str], base: str) -> tuple[str, ...]:
    return place.git.merge(place.branch("mine", mine, base), place.branch("theirs", theirs, base)).conflicts


class TestAttributes:
    def test_a_driver_of_the_users_configuration_decides_as_it_does_for_git(self, place):
        base = place.commit({".gitattributes": "version merge=newest\n", "version": "1\n"})
        mine, theirs = place.branch("mine", {"version": "2\n"}, base), place.branch("theirs", {"version": "3\n"}, base)
        assert place.git.merge(mine, theirs).conflicts == ("version",)  # named, and nobody says how

        place.run("config", "merge.newest.driver", "sort -n -o %A %A %B && tail -n 1 %A > %A.new && mv %A.new %A")
        merged = place.git.merge(mine, theirs)
        assert not merged.conflicts
        assert place.git.file_at(place.git.commit_tree(merged.tree, [mine, theirs], "m"), "version") == b"3\n"

        place.run("config", "merge.newest.driver", "false")
        assert place.git.merge(mine, theirs).conflicts == ("version",)
        place.run("config", "merge.newest.driver", "kill -9 $$")
        assert place.git.merge(mine, theirs).conflicts == ("version",)
        assert place.run("status", "--porcelain") == ""  # and left nothing in the checkout

    def test_union_and_binary_are_as_git_has_them(self, place):
        base = place.commit({".gitattributes": "log merge=union\nblob -merge\n", "log": "0\n", "blob": "0\n"})
        union = place.git.merge(
            place.branch("a", {"log": "0\nmine\n"}, base), place.branch("b", {"log": "0\ntheirs\n"}, base)
        )
        assert not union.conflicts
        assert conflicts(place, {"blob": "1\n"}, {"blob": "2\n"}, base) == ("blob",)

    def test_line_ends_are_written_as_the_attributes_say_and_are_nobodys_change(self, place):
        base = place.commit({".gitattributes": "*.bat text eol=crlf\n", "run.bat": "one\ntwo\n"})
        work = place.branch("w", {"run.bat": "one\r\nthree\r\n"}, base)
        merged = place.git.merge(base, work)
        new = place.git.commit_tree(merged.tree, [base, work], "merge")

        assert place.git.file_at(new, "run.bat") == b"one\nthree\n"
        assert place.git.land("main", new, base).landing is Landing.LANDED
        assert Path(place.root, "run.bat").read_bytes() == b"one\r\nthree\r\n"
        assert place.run("status", "--porcelain") == ""


POINTER = "version https://git-lfs.example/spec/v1\noid sha256:{}\nsize 3\n"


class TestLargeFiles:
    def test_pointers_are_merged_as_the_text_that_they_are(self, place):
        base = place.commit(
            {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "x.bin": POINTER.format(0)}
        )
        one = place.branch("one", {"x.bin": POINTER.format(1)}, base)
        merged = place.git.merge(base, one)
        assert place.git.file_at(
            place.git.commit_tree(merged.tree, [base, one], "m"), "x.bin"
        ).decode() == POINTER.format(1)
        assert place.git.merge(one, place.branch("two", {"x.bin": POINTER.format(2)}, base)).conflicts == ("x.bin",)

    def test_filters_run_for_work_trees_and_never_for_a_candidate(self, place):
        ran = place.folder / "ran"
        for side in ("clean", "smudge"):
            place.run("config", f"filter.lfs.{side}", f"echo {side} >> '{ran}'; cat")
        base = place.commit({".gitattributes": "*.bin filter=lfs\n", "x.bin": "0"})
        one = place.branch("one", {"x.bin": "1"}, base)
        assert "smudge" in ran.read_text() and "clean" in ran.read_text()
        ran.unlink()

        place.git.commit_tree(place.git.merge(base, one).tree, [base, one], "m")

        assert not ran.exists()

    def test_a_filter_that_is_required_and_missing_is_named_and_leaves_nothing_half_made(self, place):
        base = place.commit({".gitattributes": "*.bin filter=lfs\n", "x.bin": "0"})
        place.run("config", "filter.lfs.smudge", "git-no-such-filter smudge")
        place.run("config", "filter.lfs.required", "true")

        with pytest.raises(GitError, match=r"x\.bin|lfs"):
            place.git.add_worktree(f"{place.root}/.worktrees/w", base, branch="work/w")


class TestSubmodules:
    def test_a_pointer_that_one_side_moved_is_taken_and_one_that_both_moved_is_a_conflict(self, place):
        def pointing(commit: str, parent: str | None) -> str:
            index = {"GIT_INDEX_FILE": str(place.folder / "index")}
            words = ["git", "update-index", "--add", "--cacheinfo", f"160000,{commit},lib"]
            subprocess.run(words, cwd=place.root, check=True, env={**os.environ, **index})
            done = subprocess.run(["git", "write-tree"], cwd=place.root, check=True, env={**os.environ, **index},
                                  capture_output=True, text=True)  # fmt: skip
            return place.git.commit_tree(done.stdout.strip(), [parent] if parent else [], "pointer")

        base = pointing("1" * 40, None)
        mine, theirs = pointing("2" * 40, base), pointing("3" * 40, base)

        moved = place.git.merge(base, mine)
        assert not moved.conflicts and moved.tree == place.git.tree_of(mine)
        assert place.git.merge(mine, theirs).conflicts == ("lib",)


class TestSignatures:
    def with_key(self, place: Place) -> str:
        """Let git sign with a key of its own, made for this test alone; return the file that knows it."""
        key, known = place.folder / "key", place.folder / "known"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        known.write_text(f"gluerun@localhost {key.with_suffix('.pub').read_text()}")
        place.run("config", "gpg.format", "ssh")
        place.run("config", "user.signingKey", str(key))
        return str(known)

    def test_a_commit_is_signed_where_that_is_wanted_and_never_by_gits_own_settings(self, place):
        known = self.with_key(place)
        place.run("config", "commit.gpgSign", "true")
        tree = place.git.tree_of(place.first)

        plain = place.git.commit_tree(tree, [place.first], "plain")
        signed = place.git.commit_tree(tree, [place.first], "signed", sign=True)

        def verified(commit: str) -> str:
            return place.run("-c", f"gpg.ssh.allowedSignersFile={known}", "log", "-1", "--format=%G?", commit)

        assert (verified(plain), verified(signed)) == ("N", "G")

    def test_a_signer_that_fails_is_named(self, place):
        place.run("config", "gpg.program", "false")
        with pytest.raises(GitError, match="gpg failed to sign"):
            place.git.commit_tree(place.git.tree_of(place.first), [place.first], "m", sign=True)

    def test_a_commit_can_be_as_if_by_the_author_of_another(self, place):
        work = place.commit({"é.txt": "1"})
        new = place.git.commit_tree(place.git.tree_of(work), [place.first], "again", author=work)
        form = "--format=%an <%ae> %at, %cn"
        assert place.run("log", "-1", form, new) == place.run("log", "-1", form, work).replace(", user", ", gluerun")


def worked(place: Place, head: str, mode: IntegrationMode) -> Candidate:
    """Return the candidate of an accepted task whose branch is at *head*."""
    integration = Integration(mode=mode)
    house = House(place.house.doors, replace(place.house.config, integration=integration))
    return build(house, done(head_sha=head), place.git.head("main") or "")


class TestPlainCommits:
    def line(self, place: Place, tip: str) -> list[str]:
        return place.run("log", "--reverse", "--format=%an: %s", f"main..{tip}").split("\n")

    def three(self, place: Place) -> str:
        """Return a branch of three commits, beside which the target has moved on in another file."""
        place.run("checkout", "-q", "-b", "own")
        place.commit({"b.txt": "1\n", "a.txt": "one\nmore\n"})
        place.commit({"b.txt": "2\n"})
        place.run("commit", "-q", "--amend", "-m", "second\n\nwords\n\nGluerun-Task: TASK-0001\nGluerun-Run: x")
        head = place.commit({"c.txt": "3\n"})
        place.run("checkout", "-q", "main")
        place.commit({"d.txt": "theirs\n"})
        return head

    def test_a_rebase_replays_each_commit_and_comes_to_the_tree_of_the_merge(self, place):
        head = self.three(place)
        merged, rebased = (worked(place, head, mode) for mode in (IntegrationMode.MERGE, IntegrationMode.REBASE))

        assert merged.tree == rebased.tree == place.git.tree_of(rebased.commit)
        assert self.line(place, rebased.commit) == ["user: work", "user: second", "user: integrate(TASK-0001): Thing 1"]
        assert place.run("rev-list", "--count", "--merges", f"main..{rebased.commit}") == "0"
        form = "--format=%(trailers:key=Gluerun-Task,valueonly)"
        assert place.run("log", form, f"main..{rebased.commit}").split() == ["TASK-0001"]
        assert place.run("log", "-1", "--format=%(trailers:key=Gluerun-Head,valueonly)", rebased.commit) == head
        again = worked(place, head, IntegrationMode.REBASE)
        assert again.tree == rebased.tree

    def test_a_squash_is_one_commit_by_who_did_the_work(self, place):
        head = self.three(place)
        squashed = worked(place, head, IntegrationMode.SQUASH)
        assert squashed.tree == worked(place, head, IntegrationMode.MERGE).tree
        assert self.line(place, squashed.commit) == ["user: integrate(TASK-0001): Thing 1"]

    def test_a_branch_with_a_merge_in_it_becomes_one_commit(self, place):
        head = self.three(place)
        place.run("checkout", "-q", "own")
        place.run("merge", "-q", "--no-edit", "main")
        mixed = place.commit({"e.txt": "4\n"})
        place.run("checkout", "-q", "main")
        rebased = worked(place, mixed, IntegrationMode.REBASE)
        assert len(self.line(place, rebased.commit)) == 1 and head != mixed
        assert rebased.tree == place.git.tree_of(mixed)

    def test_a_commit_that_brings_nothing_any_more_is_left_out(self, place):
        head = self.three(place)
        place.commit({"b.txt": "1\n", "a.txt": "one\nmore\n"})
        rebased = worked(place, head, IntegrationMode.REBASE)
        assert self.line(place, rebased.commit) == ["user: second", "user: integrate(TASK-0001): Thing 1"]

    def test_a_commit_that_cannot_be_replayed_names_its_paths_and_makes_nothing(self, place):
        head = self.three(place)
        place.commit({"b.txt": "other\n"})
        for mode in IntegrationMode:
            found = worked(place, head, mode)
            assert (found.conflicts, found.commit) == (("b.txt",), "")


GH = """#!/bin/sh
echo "$@" >> "$GH_CALLS"
case "$1 $2" in
"pr view") test -e "$GH_CALLS.made" && echo https://example.org/pull/7 ;;
"pr create") while [ $# -gt 1 ]; do shift; done
    cp "$1" "$GH_CALLS.body" && touch "$GH_CALLS.made" && echo https://example.org/pull/7 ;;
esac
"""


class TestPullRequests:
    def proposed(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> tuple[House, World]:
        """Return a house with a task that is proved and to be proposed, and its world."""
        head = place.branch("one", {"b.txt": "1\n"})
        task = done(head_sha=head, run_id="RUN-20260131T115900Z-00000001", proof=proof_of(branch_head=head))
        task = replace(task, spec=replace(task.spec, worker_branch="work/one"))
        doors = replace(place.house.doors, messenger=OsMessenger(place.root), state_root=str(place.folder / "state"))
        house = House(doors, replace(place.house.config, integration=Integration(mode=IntegrationMode.PULL_REQUEST)))
        house.store.put_task(task)
        assert propose(house, task, Notes())
        page = house.store.files.read("runs/RUN-20260131T115900Z-00000001/pull-request.md") or b""
        place.write("state/runs/RUN-20260131T115900Z-00000001/pull-request.md", page.decode(), str(place.folder))
        monkeypatch.setenv("GH_CALLS", str(place.folder / "calls"))
        return house, replace(place.world(), tasks=(house.store.live_task(task.task_id),))

    def test_gh_is_asked_once_with_the_evidence_and_never_twice_for_the_same_branch(self, place, monkeypatch):
        house, known = self.proposed(place, monkeypatch)
        place.write("bin/gh", GH, str(place.folder))
        Path(place.folder, "bin/gh").chmod(0o755)
        monkeypatch.setenv("PATH", f"{place.folder}/bin:{os.environ['PATH']}")

        for _ in range(2):  # a crash before the record was written lets it be done again
            notes = Notes()
            make_requests(house, known, "ORIGIN", notes)
            assert notes.trouble == []

        calls = Path(place.folder, "calls").read_text().splitlines()
        assert [line.split(" --")[0] for line in calls] == ["pr view work/one", "pr create", "pr view work/one"]
        assert "--base main --head work/one --title TASK-0001: Thing 1 --body-file " in calls[1]
        assert "Gluerun-Task: TASK-0001" in Path(place.folder, "calls.body").read_text()
        assert place.run("rev-parse", "work/one", at=place.remote) == known.tasks[0].head_sha
        proof = house.store.live_task("TASK-0001").proof
        assert (proof.request, proof.pull_request) == (Request.MADE, "https://example.org/pull/7")

    def test_without_gh_it_is_said_and_stays_wanted(self, place, monkeypatch):
        house, known = self.proposed(place, monkeypatch)
        git = shutil.which("git") or ""
        place.write("bin/x", "", str(place.folder))
        Path(place.folder, "bin/git").symlink_to(git)
        monkeypatch.setenv("PATH", f"{place.folder}/bin")
        notes = Notes()

        make_requests(house, known, "ORIGIN", notes)

        assert "TASK-0001: no pull request: the command ended with 127" in notes.trouble[0]
        assert "gh is not installed" in notes.trouble[0]
        assert house.store.live_task("TASK-0001").proof.request is Request.WANTED

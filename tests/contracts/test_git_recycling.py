"""A place that stays is used again only if it is exactly what a new one would be: promises, and what gates may do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.contracts.test_git import RealWorld, SimWorld, begun, branch_with
from tests.patience import until


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


class TestPromises:
    def test_a_lasting_place_is_made_right_for_another_commit(self, world):
        place = world.place("gate-0")
        other = branch_with(world, "w", {"a": b"A\n", "new/deep": b"n", "b": None})
        world.git.add_worktree(place, world.base, lasting=True)
        for path, data in (("a", b"dirt"), ("junk", b"j"), ("x.log", b"ignored"), ("build/out", b"o"), ("new", b"f")):
            world.write(place, path, data)
        world.delete(place, "docs/guide")

        assert world.git.recycle_worktree(place, other) == ""

        assert world.git.worktree_head(place) == other and world.git.dirt(place) == ()
        assert world.git.tree_of(world.git.snapshot(place, "s")) == world.git.tree_of(other)
        assert [world.read(place, one) for one in ("a", "b", "new/deep", "docs/guide")] == [b"A\n", None, b"n", b"g\n"]
        assert [world.read(place, one) for one in ("junk", "x.log", "build/out")] == [None, None, None]
        assert world.git.strays(place) == ()

    def test_it_goes_back_and_forth(self, world):
        place = world.place("gate-0")
        other = branch_with(world, "w", {"a": b"A\n"})
        world.git.add_worktree(place, world.base, lasting=True)
        for commit, data in ((other, b"A\n"), (world.base, b"1\n"), (world.base, b"1\n"), (other, b"A\n")):
            assert world.git.recycle_worktree(place, commit) == ""
            assert world.read(place, "a") == data and world.git.worktree_head(place) == commit

    def test_what_was_not_made_to_last_is_not_recycled(self, world):
        place, nothing = world.place("d"), world.place("no")
        world.git.add_worktree(place, world.base)
        world.write(place, "a", b"dirt")
        assert world.git.recycle_worktree(place, world.base) and world.git.recycle_worktree(nothing, world.base)
        assert world.read(place, "a") == b"dirt"

    def test_a_foreign_lock_ends_a_place(self, world):
        place = world.place("gate-0")
        world.git.add_worktree(place, world.base, lasting=True)
        world.leave_lock(place, "main")
        assert world.git.recycle_worktree(place, world.base)

    def test_commits_made_there_can_be_rescued_first_and_are_forgotten_then(self, world):
        place = world.place("gate-0")
        world.git.add_worktree(place, world.base, lasting=True)
        world.write(place, "x", b"1")
        theirs = world.commit(place)
        assert world.git.strays(place) == (theirs,)
        assert world.git.recycle_worktree(place, world.base) == ""
        assert world.git.strays(place) == () and world.git.worktree_head(place) == world.base


def folder_of(real, place) -> Path:
    return Path(real.run("rev-parse", "--absolute-git-dir", at=place))


def contents(place) -> dict[str, tuple[int, bytes]]:
    """Return every path at *place* but its `.git`: mode, and content or where a link leads."""
    found = {}
    for folder, names, files in os.walk(place):
        for name in (*names, *files):
            path = Path(folder, name)
            key = str(path.relative_to(place))
            mode = path.lstat().st_mode
            data = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
            if key != ".git":
                found[key] = (mode, data)
    return found


# What a gate may do in its place so that the next gate would see something else: each is done by a program of its own.
DEEDS = {
    "writes into a file and sets its times back": "touch -r a .keep && printf 9 | dd of=a conv=notrunc status=none"
    " && touch -r .keep a && rm .keep",
    "tells git not to look": "printf 9 >a && git update-index --assume-unchanged a",
    "tells git that a file is elsewhere": "printf 9 >a && git update-index --skip-worktree a",
    "asks for a part of the tree": "git sparse-checkout set docs",
    "commits": "printf 9 >a && git -c user.name=g -c user.email=g@example.invalid commit -qam gate",
    "stages": "printf 9 >a && git add a",
    "takes a branch": "git checkout -q -b gates-own && printf 9 >a",
    "begins a merge": 'touch "$(git rev-parse --git-dir)/MERGE_HEAD"',
    "bisects": "git bisect start -q HEAD HEAD~0",
    "puts a repository into it": "git init -q nested && touch nested/file",
    "puts a repository into a tracked folder": "git init -q docs/nested && touch docs/nested/file",
    "removes its .git": "rm .git && touch stray",
    "makes another repository of it": "rm .git && git init -q . && touch stray",
    "changes a file's rights": "chmod 600 a",
    "sets an attribute on a file": "setfattr -n user.gate -v 1 a || true",
    "changes a folder's rights too": "chmod 600 a && chmod 700 docs",
    "makes a folder read-only": "mkdir ro && touch ro/file && chmod 500 ro",
    "makes a tracked folder read-only": "chmod 500 docs",
    "puts a link in the place of a folder": "mv docs elsewhere && ln -s elsewhere docs",
    "puts a link out of the place there": "rm -r docs && ln -s ../.. docs",
    "puts a folder in the place of a file": "rm a && mkdir a && touch a/file",
    "puts a pipe there": "mkfifo pipe && rm a && mkfifo a",
    "leaves an empty folder": "mkdir -p empty/one docs/empty",
    "leaves ignored files": "mkdir build && touch build/out x.log && echo '*' >build/.gitignore",
    "hides what it leaves": "echo '*' >.gitignore && touch hidden",
    "gives a file another name in a cache": "ln a ../linked",
    "writes its own attributes": "printf 'a text eol=crlf\\n' >.gitattributes",
    "sets an attribute on a folder": "setfattr -n user.gate -v 1 docs || touch docs/no-attributes",
    "spoils the index": 'printf nonsense >"$(git rev-parse --git-dir)/index"',
    "removes the index": 'rm "$(git rev-parse --git-dir)/index"',
    "empties itself": "rm -r a b docs .gitignore",
    "changes git's settings": "git config core.autocrlf true && rm a && git checkout -- a",
}


class TestWhatAGateMayDo:
    @pytest.mark.parametrize("deed", DEEDS)
    def test_the_next_gate_sees_exactly_its_commit(self, real, deed):
        other = branch_with(real, "w", {"b": b"B\n"})
        place, fresh = real.place("gate-0"), real.place("fresh")
        real.git.add_worktree(place, real.base, lasting=True)

        done = subprocess.run(["sh", "-ec", DEEDS[deed]], cwd=place, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

        if why := real.git.recycle_worktree(place, other):
            real.git.remove_worktree(place)
            real.git.add_worktree(place, other, lasting=True)
        real.git.add_worktree(fresh, other)
        assert contents(place) == contents(fresh), why
        assert real.git.worktree_head(place) == other and real.git.dirt(place) == ()
        if deed == "gives a file another name in a cache":
            Path(place, "../linked").write_bytes(b"9")
            assert real.read(place, "a") == b"1\n"

    @pytest.mark.parametrize(
        "deed", ["commits", "leaves ignored files", "puts a link in the place of a folder", "spoils the index"]
    )
    def test_what_is_usual_or_can_be_put_right_does_not_cost_a_new_place(self, real, deed):
        place = real.place("gate-0")
        real.git.add_worktree(place, real.base, lasting=True)
        inode = Path(place, "b").stat().st_ino
        subprocess.run(["sh", "-ec", DEEDS[deed]], cwd=place, check=True, capture_output=True)
        assert real.git.recycle_worktree(place, real.base) == ""
        assert Path(place, "b").stat().st_ino == inode

    def test_a_name_in_a_cache_that_a_later_gate_gave_is_found_too(self, real):
        """Most gits compare times to the second, so what was written in the last one is looked at more closely."""
        place, linked, probe = real.place("gate-0"), Path(real.place("linked")), Path(real.root, "build/probe")
        real.git.add_worktree(place, real.base, lasting=True)
        assert real.git.recycle_worktree(place, real.base) == ""
        made = int(Path(place, "a").stat().st_ctime)
        until(lambda: real.write(real.root, "build/probe", b"") or int(probe.stat().st_ctime) > made + 1)
        assert real.git.recycle_worktree(place, real.base) == ""
        linked.hardlink_to(Path(place, "a"))

        assert real.git.recycle_worktree(place, real.base) == ""
        linked.write_bytes(b"9")
        assert real.read(place, "a") == b"1\n"

    def test_a_submodules_folder_is_empty_again(self, real):
        head = real.run("rev-parse", "HEAD")
        real.run("update-index", "--add", "--cacheinfo", f"160000,{head},sub")
        real.run("commit", "-q", "-m", "with a submodule")
        commit = real.run("rev-parse", "HEAD")
        place = real.place("gate-0")
        real.git.add_worktree(place, commit, lasting=True)
        assert os.listdir(f"{place}/sub") == []
        real.write(place, "sub/hidden", b"from git status")

        why = real.git.recycle_worktree(place, commit)
        assert why or os.listdir(f"{place}/sub") == []

    def test_a_file_whose_rule_went_with_another_commit_is_written_anew(self, real):
        ruled = branch_with(real, "w", {".gitattributes": b"a text eol=crlf\n"})
        place = real.place("gate-0")
        real.git.add_worktree(place, ruled, lasting=True)
        assert real.read(place, "a") == b"1\r\n"
        assert "rules" in real.git.recycle_worktree(place, real.base)

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere nobody can tell for sure")
    def test_a_process_that_is_at_home_there_ends_a_place(self, real):
        place = real.place("gate-0")
        real.git.add_worktree(place, real.base, lasting=True)
        with subprocess.Popen(["cat"], cwd=f"{place}/docs", stdin=subprocess.PIPE) as guest:
            try:
                assert "at home" in real.git.recycle_worktree(place, real.base)
            finally:
                guest.stdin.close()
        assert real.git.recycle_worktree(place, real.base) == ""

    def test_settings_of_the_user_do_not_let_git_take_a_files_word(self, real):
        for setting in ("core.trustctime=false", "core.checkStat=minimal", "core.untrackedCache=true"):
            real.run("config", *setting.split("="))
        place = real.place("gate-0")
        real.git.add_worktree(place, real.base, lasting=True)
        deed = DEEDS["writes into a file and sets its times back"]
        subprocess.run(["sh", "-ec", deed], cwd=place, check=True)
        assert real.git.recycle_worktree(place, real.base) == ""
        assert real.read(place, "a") == b"1\n"

    def test_names_that_are_no_utf_8_and_long_histories_of_use(self, real):
        commit = branch_with(real, "w", {"dir/\udcff": b"1", "dir/ü ": b"2"})
        place = real.place("gate-0")
        real.git.add_worktree(place, commit, lasting=True)
        for turn in (real.base, commit, real.base, commit):
            Path(os.fsdecode(os.fsencode(place) + b"/junk-\xfe")).write_bytes(b"")
            assert real.git.recycle_worktree(place, turn) == ""
        assert sorted(os.listdir(os.fsencode(f"{place}/dir"))) == sorted([b"\xff", "ü ".encode()])

    def test_a_cut_recycling_is_never_gone_on_with(self, real):
        """Stop it at each git that it starts; the next use says that the place was not left in order."""
        other = branch_with(real, "w", {"a": b"A\n"})
        place = real.place("gate-0")
        run, stops = real.git._git.run, 0
        for stop in range(20):
            if real.git.worktree_head(place):
                real.git.remove_worktree(place)
            real.git.add_worktree(place, real.base, lasting=True)
            real.write(place, "a", b"dirt")
            left = [stop]

            def cut(*words, left=left, **more):
                left[0] -= 1
                if left[0] < 0:
                    raise KeyboardInterrupt
                return run(*words, **more)

            real.git._git.run = cut
            try:
                why = real.git.recycle_worktree(place, other)
            except KeyboardInterrupt:
                stops += 1
            else:
                assert why == ""
                break
            finally:
                real.git._git.run = run
            assert real.git.strays(place) == ()
            again = real.git.recycle_worktree(place, other)
            assert again == "it was not left in order" or real.read(place, "a") == b"A\n"
        assert stops >= 4

    def test_a_place_that_was_moved_away_is_nobodys(self, real):
        place = real.place("gate-0")
        real.git.add_worktree(place, real.base, lasting=True)
        shutil.move(place, real.place("other"))
        assert real.git.recycle_worktree(real.place("other"), real.base)
        assert real.git.recycle_worktree(place, real.base)

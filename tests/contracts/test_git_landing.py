"""Landing on real git: a crash at any point loses nothing, and what is the user's stays the user's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gluerun.adapters.git import RepositoryGit
from gluerun.errors import GitError
from gluerun.ports import Landed, Landing

ZERO = "0" * 40
LAND = ["intended", "locked", "checked", "moved", "followed", "installed", "released", "forgotten"]
AFTER_SWAP = LAND[3:]
FINISH = ["followed again", "installed", "released", "forgotten"]
LANDED = Landed(landing=Landing.LANDED)
MOVED = Landed(landing=Landing.MOVED)
ODD = "ü sp\n\tœ"

FILES: dict[str, bytes | str | None] = {
    ".gitignore": b"*.log\nignored/\n.worktrees/\n",
    "a": b"one\n",
    "gone": b"gone\n",
    "old name": b"a long enough text that moves\n",
    "tool": b"#!/bin/sh\n",
    "file": b"becomes a folder\n",
    "folder/x": b"becomes a file\n",
    "link": "a",
    "mine": b"mine\n",
    "mine too": b"mine too\n",
}
CHANGED: dict[str, bytes | str | None] = {
    "a": b"two\n",
    "gone": None,
    "old name": None,
    "new/name": b"a long enough text that moves\n",
    "tool": b"#!/bin/sh\n",
    "file": None,
    "file/deep": b"deep\n",
    "folder/x": None,
    "folder": b"a file now\n",
    "link": "mine",
    "link too": "nowhere",
    ODD: b"odd\n",
    "*?[a]": b"not a pattern\n",
    "big": b"0123456789" * 10_000,
}


class CrashError(Exception):
    """The end of the engine in the middle of its work."""


def crash_at(point: str):
    def fault(here: str) -> None:
        if here == point:
            raise CrashError

    return fault


class World:
    """A repository, the work tree that has `main` checked out, and a commit that wants to land there."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.root = folder / "ré po"
        self.state = folder / "state"
        self.root.mkdir()
        self.run("init", "-q", "-b", "main", at=self.root)
        for path, what in FILES.items():
            put(self.root / path, what)
        self.place = self.root
        self.old = self.commit(self.root)
        if kind == "linked":
            self.place = folder / "linked\ntree"
            self.run("checkout", "-q", "-b", "aside", at=self.root)
            self.run("worktree", "add", "-q", str(self.place), "main", at=self.root)
        self.folder = Path(self.run("rev-parse", "--absolute-git-dir"))
        self.lock = self.folder / "index.lock"
        self.git = self.engine()

    def engine(self, point: str = "") -> RepositoryGit:
        return RepositoryGit(str(self.root), str(self.state), fault=crash_at(point))

    def user(self, *words: str, at: Path | None = None) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["git", *words], cwd=at or self.place, check=False, capture_output=True)

    def run(self, *words: str, at: Path | None = None) -> str:
        done = self.user(*words, at=at)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")

    def commit(self, at: Path | None = None) -> str:
        self.run("add", "-A", at=at)
        self.run("commit", "-q", "-m", "work", at=at)
        return self.run("rev-parse", "HEAD", at=at)

    def offer(self, files: dict[str, bytes | str | None] | None = None, base: str = "") -> str:
        """Return a commit with *files* changed, made far from every work tree that counts."""
        place = self.root / ".worktrees" / "offer"
        self.git.add_worktree(str(place), base or self.old, branch="work/offer")
        for path, what in (CHANGED if files is None else files).items():
            put(place / path, what)
        if files is None:
            (place / "tool").chmod(0o755)
        new = self.git.commit_all(str(place), base or self.old, "offer")
        self.git.remove_worktree(str(place))
        return new

    def head(self) -> str | None:
        return self.git.head("main")

    def status(self) -> str:
        return self.run("status", "--porcelain", "--untracked-files=all")

    def picture(self) -> object:
        """Everything that a refused landing must leave as it is."""
        return files_in(self.place), self.run("ls-files", "-s", "-z"), self.head(), self.left()

    def left(self) -> list[str]:
        """Name what a landing may leave only while it is going on."""
        names = [name for name in os.listdir(self.folder) if name.startswith(("gluerun-l", "index."))]
        names += [name for name in os.listdir(self.state) if "landing" in name] if self.state.exists() else []
        return sorted(names)

    def is_at(self, commit: str) -> bool:
        """Tell whether branch, index and files are those of *commit*, and nothing is left over."""
        assert self.left() == []
        assert self.run("write-tree") == self.run("rev-parse", f"{commit}^{{tree}}")
        assert self.status() == ""
        return self.head() == commit

    def crash(self, new: str, point: str) -> None:
        with pytest.raises(CrashError):
            self.engine(point).land("main", new, self.old)


def put(path: Path, what: bytes | str | None) -> None:
    """Let *path* be a file of these bytes, a link to that text, or nothing."""
    if path.is_symlink() or path.is_file():
        path.unlink()
        if what is None and not os.listdir(path.parent):
            path.parent.rmdir()
    if what is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(what, str):
        path.symlink_to(what)
    else:
        path.write_bytes(what)


def files_in(place: Path) -> dict[str, tuple[int, bytes]]:
    found = {}
    for path in sorted(place.rglob("*")):
        name = str(path.relative_to(place))
        if name.split("/", maxsplit=1)[0] in (".git", ".worktrees") or (path.is_dir() and not path.is_symlink()):
            continue
        data = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
        found[name] = (path.lstat().st_mode, data)
    return found


@pytest.fixture(params=["main", "linked"])
def world(request, tmp_path) -> World:
    return World(tmp_path, request.param)


@pytest.fixture
def plain(tmp_path) -> World:
    return World(tmp_path, "main")


# --- crashes --------------------------------------------------------------------------------------------


def test_the_points_are_all_there_are(plain):
    new, points = plain.offer(), []
    git = RepositoryGit(str(plain.root), str(plain.state), fault=points.append)
    assert git.land("main", new, plain.old) == LANDED and points == LAND
    assert plain.is_at(new)
    other = plain.offer({"a": b"three\n"}, base=new)
    with pytest.raises(CrashError):
        plain.engine("moved").land("main", other, new)
    points.clear()
    assert git.finish_landing() and points == FINISH
    assert plain.is_at(other) and not git.finish_landing()


@pytest.mark.parametrize("point", LAND)
def test_a_commit_of_the_user_right_after_a_crash_does_not_undo_the_landing(world, point):
    new = world.offer()
    world.crash(new, point)
    has_landed = world.head() == new
    assert has_landed == (point in AFTER_SWAP)
    (world.place / "mine").write_bytes(b"edited\n")
    done = world.user("commit", "-q", "-a", "-m", "x")
    is_held = point not in ("intended", "released", "forgotten")
    assert (done.returncode != 0) == is_held and (b"index.lock" in done.stderr) == is_held
    theirs = world.head()
    assert world.engine().finish_landing() == (point != "forgotten")
    assert world.head() == theirs and (world.place / "mine").read_bytes() == b"edited\n"
    if is_held:
        assert world.status() == " M mine" and world.left() == []
        assert world.user("commit", "-q", "-a", "-m", "x").returncode == 0
    assert world.git.contains(world.head(), new) == has_landed
    changes = {one.path for one in world.git.changes(new if has_landed else world.old, world.head())}
    assert changes == {"mine"} and world.is_at(world.head())


@pytest.mark.parametrize("point", LAND)
def test_a_crash_is_undone_or_finished(world, point):
    new, before = world.offer(), files_in(world.place)
    world.crash(new, point)
    world.engine().finish_landing()
    assert world.is_at(new if point in AFTER_SWAP else world.old)
    assert (files_in(world.place) == before) == (point not in AFTER_SWAP)
    assert not world.engine().finish_landing()
    assert world.engine().land("main", new, world.old) == (MOVED if point in AFTER_SWAP else LANDED)
    assert world.is_at(new)


@pytest.mark.parametrize("again", FINISH)
@pytest.mark.parametrize("point", ["moved", "followed", "installed", "released"])
def test_a_second_crash_while_finishing_is_finished_too(world, point, again):
    new = world.offer()
    world.crash(new, point)
    with pytest.raises(CrashError):
        world.engine(again).finish_landing()
    if again in FINISH[:2]:
        assert world.user("commit", "-q", "--allow-empty", "-a", "-m", "x").returncode
    assert world.engine().finish_landing() == (again != "forgotten")
    assert world.is_at(new)


@pytest.mark.parametrize("again", ["undone", "forgotten"])
@pytest.mark.parametrize("point", ["intended", "locked", "checked"])
def test_a_second_crash_while_undoing_is_undone_too(plain, point, again):
    new = plain.offer()
    plain.crash(new, point)
    if again == "undone":
        plain.lock.unlink(missing_ok=True)
    else:
        with pytest.raises(CrashError):
            plain.engine(again).finish_landing()
    plain.engine().finish_landing()
    assert plain.is_at(plain.old)


@pytest.mark.parametrize("place", ["land", "finish"])
def test_the_engine_may_die_before_and_after_every_git(tmp_path, place, monkeypatch):
    """Not only at the named points: each start of git is one, too."""
    world = World(tmp_path, "main")
    files = {"a": b"two\n", "gone": None, "n/x": b"x\n"}
    old, number, done = world.old, 0, False
    while not done:
        new = world.offer({**files, "a": b"%d\n" % number, "n/x": b"%d\n" % number}, base=old)
        engine = world.engine("moved" if place == "finish" else "")
        if place == "finish":
            with pytest.raises(CrashError):
                engine.land("main", new, old)
            engine = world.engine()
        start, count = engine._git._start, [0]

        def counted(*words, start=start, count=count, number=number, **more):
            count[0] += 1
            if count[0] - 1 == number // 2 and number % 2 == 0:
                raise CrashError
            answer = start(*words, **more)
            if count[0] - 1 == number // 2:
                raise CrashError
            return answer

        monkeypatch.setattr(engine._git, "_start", counted)
        try:
            _ = engine.land("main", new, old) if place == "land" else engine.finish_landing()
            done = True
        except CrashError:
            world.engine().finish_landing()
        assert world.head() in (old, new) if place == "land" else world.head() == new
        old = world.head()
        assert world.is_at(old)
        number += 1
    assert number > 10


@pytest.mark.parametrize("point", AFTER_SWAP)
def test_two_work_trees_of_one_branch_both_follow(plain, tmp_path, point):
    other = tmp_path / "other"
    plain.run("worktree", "add", "-q", "--force", str(other), "main")
    new = plain.offer()
    plain.crash(new, point)
    plain.engine().finish_landing()
    assert plain.is_at(new)
    assert plain.run("status", "--porcelain", at=other) == "" and files_in(other) == files_in(plain.place)


def test_a_work_tree_that_is_removed_after_a_crash_is_not_missed(tmp_path):
    world = World(tmp_path, "linked")
    new = world.offer()
    world.crash(new, "moved")
    world.run("worktree", "remove", "--force", str(world.place), at=world.root)
    assert world.engine().finish_landing()
    assert world.head() == new and os.listdir(world.state) == []


def test_a_lock_that_somebody_put_after_a_crash_is_waited_for(plain):
    new = plain.offer()
    plain.crash(new, "moved")
    plain.lock.write_bytes(b"")
    with pytest.raises(GitError) as refused:
        plain.engine().finish_landing()
    assert refused.value.file == str(plain.lock)
    assert plain.engine().land("main", new, plain.old) == Landed(landing=Landing.BLOCKED, paths=(str(plain.lock),))
    assert plain.lock.read_bytes() == b""
    plain.lock.unlink()
    assert plain.engine().finish_landing() and plain.is_at(new)


@pytest.mark.parametrize("point", ["moved", "followed", "installed", "released"])
def test_what_the_user_edits_after_a_crash_is_kept(world, point):
    new = world.offer()
    world.crash(new, point)
    edits = {"a": b"my own\n", "new/name": b"mine as well\n", "tool": b"mine, too\n", "untracked": b"u\n"}
    for path, data in edits.items():
        put(world.place / path, data)
    assert world.engine().finish_landing()
    assert {path: (world.place / path).read_bytes() for path in edits} == edits
    assert world.head() == new and world.left() == []
    assert world.run("diff", "--cached", "--name-only") == ""
    assert {line[3:] for line in world.status().splitlines()} == set(edits)


@pytest.mark.parametrize("point", ["moved", "followed"])
def test_a_file_that_git_had_begun_to_write_is_written_whole(plain, point):
    new = plain.offer()
    plain.crash(new, point)
    put(plain.place / "big", b"0123456789" * 3)
    put(plain.place / "a", b"")
    assert plain.engine().finish_landing() and plain.is_at(new)


# --- what is not touched --------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["", *LAND])
def test_what_is_the_users_survives(world, point):
    new = world.offer()
    put(world.place / "mine", b"staged\n")
    put(world.place / "added", b"added\n")
    world.run("add", "mine", "added")
    put(world.place / "mine", b"staged and edited\n")
    put(world.place / "mine too", None)
    put(world.place / "untracked" / ODD, b"untracked\0\r\n")
    put(world.place / "x.log", b"ignored\n")
    put(world.place / "ignored/x", b"ignored\n")
    before, said, staged = files_in(world.place), world.status(), world.run("diff", "--cached")
    touched = {one.path for one in world.git.changes(world.old, new)}
    if point:
        world.crash(new, point)
        world.engine().finish_landing()
    else:
        assert world.git.land("main", new, world.old) == LANDED
    after = files_in(world.place)
    assert {path: what for path, what in before.items() if path not in touched} == {
        path: what for path, what in after.items() if path not in {*touched, ODD}
    }
    assert world.status() == said and world.run("diff", "--cached") == staged and world.left() == []


def test_every_kind_of_change_lands(world):
    new = world.offer()
    assert world.git.land("main", new, world.old) == LANDED and world.is_at(new)
    expected = {**FILES, **CHANGED}
    found = files_in(world.place)
    assert {path: what if isinstance(what, bytes) else what.encode() for path, what in expected.items() if what} == {
        path: data for path, (_, data) in found.items()
    }
    assert found["tool"][0] & 0o111 and not found["a"][0] & 0o111
    assert world.git.land("main", world.old, new) == LANDED and world.is_at(world.old)


def test_names_that_are_no_text_land(plain):
    path = os.fsencode(plain.root) + b"/\xff \\ \n\"'"
    Path(os.fsdecode(path)).write_bytes(b"1")
    with_it = plain.commit()
    plain.run("reset", "-q", "--hard", plain.old)
    plain.crash(with_it, "moved")
    assert plain.engine().finish_landing() and plain.is_at(with_it)
    with open(path, "rb") as file:
        assert file.read() == b"1"
    assert plain.git.land("main", plain.old, with_it) == LANDED and not os.path.lexists(path)
    with open(path, "wb") as file:
        file.write(b"mine")
    landed = plain.git.land("main", with_it, plain.old)
    assert landed == Landed(landing=Landing.BLOCKED, paths=("\\xff \\ \\x0a\"'",))


# --- what blocks ----------------------------------------------------------------------------------------


def dirty(world):
    put(world.place / "a", b"dirty\n")
    return ("a",)


def removed(world):
    put(world.place / "a", None)
    return ("a",)


def staged(world):
    put(world.place / "a", b"staged\n")
    world.run("add", "a")
    put(world.place / "a", FILES["a"])
    return ("a",)


def executable(world):
    (world.place / "tool").chmod(0o755)
    (world.place / "a").chmod(0o755)
    return ("a", "tool")


def retyped(world):
    put(world.place / "link", b"a")
    return ("link",)


def untracked(world):
    put(world.place / "big", b"mine")
    return ("big",)


def untracked_but_equal(world):
    put(world.place / "big", CHANGED["big"])
    return ("big",)


def dangling_link(world):
    put(world.place / "big", "nowhere")
    return ("big",)


def folder_for_file(world):
    put(world.place / "big/mine", b"mine")
    put(world.place / "big/x.log", b"mine")
    return ("big/mine", "big/x.log")


def repository_for_file(world):
    world.run("init", "-q", "big")


def untracked_in_leaving_folder(world):
    put(world.place / "folder/mine", b"mine")
    return ("folder/mine",)


def file_for_folder(world):
    put(world.place / "new", b"mine")
    return ("new",)


def link_for_folder(world):
    put(world.place / "new", "ignored")
    return ("new",)


def odd_name(world):
    put(world.place / ODD, b"mine")
    return (ODD.replace("\n", "\\x0a"),)


def unchanged_by_word(world):
    world.run("update-index", "--assume-unchanged", "a")
    put(world.place / "a", b"dirty\n")
    return ("a",)


def locked(world):
    world.lock.write_bytes(b"")
    return (str(world.lock),)


def clash(world):
    """Two commits that cannot be merged, the other one being on a branch of its own."""
    tree = world.run("rev-parse", "HEAD^{tree}")
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=world.place, input=b"clash\n", check=True, capture_output=True
    )
    lines = world.run("ls-tree", tree).replace(world.run("rev-parse", "HEAD:mine"), blob.stdout.decode().strip(), 1)
    made = subprocess.run(["git", "mktree"], cwd=world.place, input=lines.encode(), check=True, capture_output=True)
    root = world.run("commit-tree", tree, "-m", "root")
    return world.run("commit-tree", made.stdout.decode().strip(), "-p", root, "-m", "clash"), root


def merging(world):
    world.run("merge", "-q", "--no-commit", "--no-ff", "--allow-unrelated-histories", "-s", "ours", clash(world)[0])
    return (str(world.folder / "MERGE_HEAD"),)


def picking(world):
    put(world.place / "mine", b"changed\n")
    world.user("cherry-pick", "--no-commit", clash(world)[0])
    world.run("checkout", "-q", "mine")
    world.run("update-ref", "--no-deref", "CHERRY_PICK_HEAD", clash(world)[0])
    return (str(world.folder / "CHERRY_PICK_HEAD"),)


def rebasing(world):
    tip, root = clash(world)
    done = world.user("-c", "sequence.editor=sed -i 1ibreak", "rebase", "-q", "-i", "--root", "--onto", root)
    assert (world.folder / "rebase-merge").exists(), (done, tip)
    return (str(world.folder / "rebase-merge/head-name"),)


BLOCKS = [
    dirty,
    removed,
    staged,
    executable,
    retyped,
    untracked,
    untracked_but_equal,
    dangling_link,
    folder_for_file,
    repository_for_file,
    untracked_in_leaving_folder,
    file_for_folder,
    link_for_folder,
    odd_name,
    unchanged_by_word,
    locked,
    merging,
    picking,
    rebasing,
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.__name__)
def test_what_would_be_lost_blocks_and_is_named(world, block):
    new = world.offer()
    paths = block(world)
    before = world.picture()
    landed = world.git.land("main", new, world.old)
    assert landed.landing is Landing.BLOCKED and landed.paths
    if paths is not None:
        assert landed.paths == paths
    assert world.picture() == before
    assert not world.git.finish_landing() and world.picture() == before


def test_an_ignored_file_in_the_way_blocks(world):
    new = world.offer({".gitignore": b"", "x.log": b"theirs", "ignored/x": b"theirs"})
    put(world.place / "x.log", b"mine")
    put(world.place / "ignored/x", b"mine")
    before = world.picture()
    assert world.git.land("main", new, world.old) == Landed(landing=Landing.BLOCKED, paths=("ignored/x", "x.log"))
    assert world.picture() == before


def test_empty_folders_are_not_in_the_way(world):
    new = world.offer()
    (world.place / "big/empty").mkdir(parents=True)
    (world.place / "new").mkdir()
    assert world.git.land("main", new, world.old) == LANDED and world.is_at(new)


# --- the branch -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["mine", "a"])
def test_a_branch_that_moved_is_told_as_such(world, path):
    new = world.offer()
    put(world.place / path, b"theirs\n")
    theirs = world.commit()
    before = world.picture()
    assert world.git.land("main", new, world.old) == MOVED
    assert world.head() == theirs and world.picture() == before


def test_a_branch_that_nobody_has_is_swapped(tmp_path):
    world = World(tmp_path, "linked")
    new = world.offer()
    assert world.git.land("side", world.old, ZERO) == LANDED
    assert world.git.land("side", new, ZERO) == MOVED == world.git.land("side", new, new)
    assert world.git.land("side", new, world.old) == LANDED and world.git.head("side") == new
    assert world.is_at(world.old)


def test_in_a_bare_repository_the_branch_is_swapped(plain, tmp_path):
    new = plain.offer()
    bare = tmp_path / "bare"
    plain.run("clone", "-q", "--bare", str(plain.root), str(bare))
    git = RepositoryGit(str(bare), str(tmp_path / "bare state"))
    assert git.land("main", new, new) == MOVED
    assert git.land("main", new, plain.old) == LANDED and git.head("main") == new


def test_hooks_do_not_run(world, tmp_path):
    new, word = world.offer(), tmp_path / "ran"
    for folder in (world.root / ".git/hooks", tmp_path / "hooks"):
        folder.mkdir(exist_ok=True)
        for name in ("post-merge", "post-checkout", "post-index-change", "reference-transaction", "pre-commit"):
            put(folder / name, f"#!/bin/sh\necho {name} >> '{word}'\nexit 1\n".encode())
            (folder / name).chmod(0o755)
    assert world.git.land("main", new, world.old) == LANDED
    world.run("config", "core.hooksPath", str(tmp_path / "hooks"))
    other = world.offer({"a": b"three\n"}, base=new)
    with pytest.raises(CrashError):
        world.engine("moved").land("main", other, new)
    assert world.engine().finish_landing() and world.head() == other
    assert not word.exists() and world.user("update-ref", "refs/heads/x", new).returncode and word.exists()


# --- work trees -----------------------------------------------------------------------------------------


def test_no_work_tree_takes_the_branch_of_the_repository_itself(plain):
    before = plain.picture()
    place = plain.root / ".worktrees/x"
    new = plain.offer()
    with pytest.raises(GitError, match="main is checked out"):
        plain.git.add_worktree(str(place), new, branch="main")
    assert plain.picture() == before and not place.exists() and plain.is_at(plain.old)


def test_ignored_names_may_be_odd(plain):
    put(plain.root / ".gitignore", b"*.log\nsecret?name\n\\*star\nsl\\\\ash\n dir/\n:colon\n!not.log\n#no\n-dash\n")
    names = [f"{ODD}.log", "*.log", "a\n.log", "secret name", "*star", "sl\\ash", " dir/x", ":colon", "-dash", ":/.log"]
    others = ["not.log", "star", "slash", "#no", "xstar", "secretname", ":(glob)x", "*", ":!x"]
    assert [name for name in names if not plain.git.is_ignored(str(plain.root), name)] == []
    assert [name for name in others if plain.git.is_ignored(str(plain.root), name)] == []
    assert plain.git.is_ignored(str(plain.root), "secret\\x0aname")
    put(plain.root / "secret\nname", b"")
    assert [one.path for one in plain.git.dirt(str(plain.root))] == [".gitignore"]

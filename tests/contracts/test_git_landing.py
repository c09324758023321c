"""A landing beside somebody's checkout: cut at every step, it is taken back or finished, and never undone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gluerun.adapters.git import RepositoryGit
from gluerun.ports import Landed, Landing

STEPS = ("intended", "locked", "checked", "moved", "followed", "installed", "released", "forgotten")
BEFORE_THE_SWAP = ("intended", "locked", "checked")
OLD_FILES = {"changed": "old\n", "gone": "old\n", "kept": "kept\n", "mine": "clean\n", "dir": "a file\n"}
NEW_FILES = {"changed": "new\n", "kept": "kept\n", "mine": "clean\n", "dir/inside": "now a folder\n",
             "ünd mehr\nzeilen": "odd\n"}  # fmt: skip


class CutError(Exception):
    """The process died here."""


def cut_at(step):
    def fault(name):
        if name == step:
            raise CutError(step)

    return fault


class Checkout:
    """A repository with main checked out at the old state, and a commit of the new state to land."""

    def __init__(self, root: Path, *, linked: bool) -> None:
        self.root = root
        self.state = root / ".gluerun-state"
        root.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        (root / ".git/info/exclude").write_text(".gluerun-state/\n.worktrees/\nignored\n")
        self.place = root
        self.write(OLD_FILES)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "old")
        self.old = self.git("rev-parse", "HEAD")
        self.new = RepositoryGit(str(root), str(self.state)).publish(
            "refs/gluerun/new",
            {path: text.encode() for path, text in NEW_FILES.items()},
            "new",
        )
        tree = self.git("rev-parse", f"{self.new}^{{tree}}")
        self.new = self.git("commit-tree", tree, "-p", self.old, "-m", "new")
        self.state.mkdir(exist_ok=True)
        if linked:
            self.git("checkout", "--quiet", "--detach")
            self.git("worktree", "add", "--quiet", str(root.parent / "linked"), "main")
            self.place = root.parent / "linked"

    def git(self, *words: str, ok: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run(["git", *words], cwd=self.place_or_root(), capture_output=True, text=True, check=False)
        assert done.returncode in ok, done.stderr
        return done.stdout.strip()

    def place_or_root(self) -> Path:
        return getattr(self, "place", self.root)

    def write(self, files: dict[str, str]) -> None:
        for path, text in files.items():
            (self.place / path).parent.mkdir(parents=True, exist_ok=True)
            (self.place / path).write_text(text)

    def door(self, fault=None) -> RepositoryGit:
        return RepositoryGit(str(self.root), str(self.state), fault=fault)

    def land(self, fault=None) -> Landed:
        return self.door(fault).land("main", self.new, self.old)

    def traces(self) -> list[str]:
        """What a landing leaves while it is under way."""
        found = [str(path) for path in (self.root / ".git").rglob("*.lock")]
        found += [str(path) for path in (self.root / ".git").rglob("gluerun-*")]
        return found + [str(path) for path in self.state.glob("landing.json")]

    def is_new(self) -> bool:
        return self.git("rev-parse", "main") == self.new

    def differs(self) -> str:
        return self.git("status", "--porcelain")


@pytest.fixture(params=[False, True], ids=["the repository itself", "a linked work tree"])
def checkout(request, tmp_path) -> Checkout:
    return Checkout(tmp_path / "a repository", linked=request.param)


def test_the_checkout_follows(checkout):
    assert checkout.land() == Landed(landing=Landing.LANDED)
    assert checkout.is_new()
    assert checkout.differs() == ""
    assert (checkout.place / "dir/inside").read_text() == "now a folder\n"
    assert not (checkout.place / "gone").exists()
    assert checkout.traces() == []


@pytest.mark.parametrize("step", STEPS)
def test_a_landing_that_was_cut_is_taken_back_or_finished(checkout, step):
    with pytest.raises(CutError):
        checkout.land(cut_at(step))

    checkout.door().finish_landing()

    assert checkout.is_new() is (step not in BEFORE_THE_SWAP)
    assert checkout.differs() == ""
    assert checkout.traces() == []


@pytest.mark.parametrize("again", ["followed again", "installed", "released", "forgotten"])
def test_finishing_may_be_cut_as_well(checkout, again):
    with pytest.raises(CutError):
        checkout.land(cut_at("moved"))
    with pytest.raises(CutError):
        checkout.door(cut_at(again)).finish_landing()

    checkout.door().finish_landing()

    assert checkout.is_new()
    assert (checkout.differs(), checkout.traces()) == ("", [])


@pytest.mark.parametrize("step", STEPS)
def test_a_commit_of_everything_right_after_a_cut_never_undoes_the_landing(checkout, step):
    with pytest.raises(CutError):
        checkout.land(cut_at(step))

    checkout.git("commit", "--all", "--quiet", "--allow-empty", "--message", "by the user", ok=(0, 1, 128))
    checkout.door().finish_landing()
    if step in BEFORE_THE_SWAP:
        return

    assert checkout.git("merge-base", "--is-ancestor", checkout.new, "main") == ""
    assert checkout.git("show", "main:changed") == "new"
    assert checkout.git("ls-tree", "--name-only", "main", "gone") == ""
    assert (checkout.differs(), checkout.traces()) == ("", [])


def test_what_the_user_has_under_way_survives(checkout):
    checkout.write({"mine": "dirty\n", "untracked": "mine\n", "ignored": "mine\n", "staged": "mine\n"})
    checkout.git("add", "staged")

    assert checkout.land().landing is Landing.LANDED

    assert (checkout.place / "mine").read_text() == "dirty\n"
    assert (checkout.place / "untracked").read_text() == "mine\n"
    assert (checkout.place / "ignored").read_text() == "mine\n"
    assert checkout.differs().splitlines() == ["M mine", "A  staged", "?? untracked"]


def test_a_file_edited_after_the_cut_keeps_its_content(checkout):
    with pytest.raises(CutError):
        checkout.land(cut_at("moved"))
    checkout.write({"changed": "by hand\n"})

    checkout.door().finish_landing()

    assert (checkout.place / "changed").read_text() == "by hand\n"
    assert checkout.differs() == "M changed"


def held_lock(checkout):
    folder = checkout.git("rev-parse", "--absolute-git-dir")
    Path(folder, "index.lock").write_text("")


def merging(checkout):
    folder = checkout.git("rev-parse", "--absolute-git-dir")
    Path(folder, "MERGE_HEAD").write_text(checkout.old + "\n")


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda c: c.write({"changed": "dirty\n"}), "changed"),
        (
            lambda c: (c.write({"changed": "dirty\n"}), c.git("add", "changed"), c.write({"changed": "old\n"})),
            "changed",
        ),
        (lambda c: c.git("rm", "--quiet", "--cached", "gone"), "gone"),
        (lambda c: c.write({"ünd mehr\nzeilen": "in the way\n"}), "nd mehr"),
        (held_lock, "index.lock"),
        (merging, "MERGE_HEAD"),
    ],
    ids=[
        "dirty",
        "staged",
        "removed from the index",
        "untracked in the way",
        "a lock of somebody",
        "a merge under way",
    ],
)
def test_a_checkout_that_cannot_follow_keeps_everything_as_it_is(checkout, spoil, named):
    spoil(checkout)
    before = sorted((str(path), path.read_bytes()) for path in checkout.place.iterdir() if path.is_file())

    landed = checkout.land()

    assert landed.landing is Landing.BLOCKED
    assert any(named in path for path in landed.paths), landed.paths
    assert not checkout.is_new()
    assert sorted((str(path), path.read_bytes()) for path in checkout.place.iterdir() if path.is_file()) == before
    assert not (checkout.state / "landing.json").exists()


def test_a_target_that_has_moved_is_not_moved(checkout):
    checkout.git("commit", "--quiet", "--allow-empty", "--message", "somebody was faster")
    now = checkout.git("rev-parse", "main")

    assert checkout.land() == Landed(landing=Landing.MOVED)
    assert checkout.git("rev-parse", "main") == now
    assert (checkout.differs(), checkout.traces()) == ("", [])


def test_no_hook_of_the_user_runs(checkout):
    folder = Path(checkout.git("rev-parse", "--path-format=absolute", "--git-common-dir"), "hooks")
    for name in ("reference-transaction", "post-checkout", "post-merge", "post-index-change"):
        (folder / name).write_text(f"#!/bin/sh\ntouch {checkout.state}/ran-{name}\nexit 1\n")
        (folder / name).chmod(0o755)

    assert checkout.land().landing is Landing.LANDED
    assert list(checkout.state.glob("ran-*")) == []


def test_a_branch_that_nobody_has_checked_out_just_moves(checkout):
    checkout.git("checkout", "--quiet", "--detach")

    assert checkout.land() == Landed(landing=Landing.LANDED)
    assert checkout.is_new()
    assert checkout.differs() == ""

"""A disk that is full: what git has no room for is refused by that name, nothing is half done, and room mends it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.contracts.test_git import RealWorld, SimWorld, begun, branch_with

from gluerun.errors import GitError, NoRoomError

CHECKOUT = Path(__file__).resolve().parents[2]
LARGE = 900_000
# A disk of our own, for one process and its children; nobody else ever sees it.
DISK = 'mount -t tmpfs -o size=2560k tmpfs "$1" && shift && exec "$@"'
REAL = "import sys; from tests.contracts import test_git_full_disk as t; t.on_a_real_disk(sys.argv[1])"


class SmallDisk(RealWorld):
    """A repository on a disk that can be filled."""

    def leave(self, room: int) -> None:
        self.make_room()
        with open(f"{self.root}-filler", "wb", buffering=0) as filler:
            try:
                while filler.write(b"x" * 4096):
                    pass
            except OSError:
                filler.truncate(max(filler.tell() - room, 0))

    def make_room(self) -> None:
        Path(f"{self.root}-filler").unlink(missing_ok=True)


class SimDisk(SimWorld):
    """The same words for the simulated repository."""

    def leave(self, room: int) -> None:
        self.git.room = room

    def make_room(self) -> None:
        self.git.room = None


def keeps_its_promises(world) -> None:
    """Fill the disk at a merge and at a place, and make room again."""
    begun(world)
    ours = branch_with(world, "x", {"x": b"x"})
    theirs = branch_with(world, "y", {"y": b"y" * LARGE})
    for name in "xy":
        world.git.remove_worktree(world.place(name))
    before = world.git.kept("refs")

    world.leave(0)
    with pytest.raises(NoRoomError, match="No space left on device"):
        world.git.merge(ours, theirs)

    world.make_room()
    made = world.git.merge(ours, theirs)
    merged = world.git.commit_tree(made.tree, [ours, theirs], "merge")
    assert (made.conflicts, world.git.file_at(merged, "x")) == ((), b"x")

    place = world.place("gate")
    world.leave(LARGE // 3)
    with pytest.raises(GitError, match="unable to write file y"):
        world.git.add_worktree(place, merged)

    world.make_room()
    world.git.remove_worktree(place)
    world.git.add_worktree(place, merged)
    assert world.git.worktree_head(place) == merged
    assert world.git.kept("refs") == before


def stores_a_chain(world) -> None:
    """Fill the disk while commits are stored one upon another, and make room again."""
    tree = world.git.tree_of(world.base)
    with world.git.building(2):
        first = world.git.commit_tree(tree, [world.base], "first")
        for room in (0, 4096):  # there is not even room to tell git of it; there is that, and none for the commit
            world.leave(room)
            with pytest.raises(NoRoomError, match="No space left on device"):
                world.git.commit_tree(tree, [first], "second")
        world.make_room()
        second = world.git.commit_tree(tree, [first], "second")
    assert [one.parents for one in world.git.told([second])] == [(first,)]


def on_a_real_disk(folder: str) -> None:
    """Keep the promises on the disk at *folder*."""
    world = SmallDisk(Path(folder))
    keeps_its_promises(world)
    stores_a_chain(world)


def test_a_full_disk_in_memory():
    keeps_its_promises(SimDisk())


def test_a_full_disk_of_this_machine(tmp_path):
    disk, home = tmp_path / "disk", tmp_path / "home"
    disk.mkdir()
    home.mkdir()
    own = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", DISK, "sh", str(disk)]
    try:
        subprocess.run([*own, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no disk of its own for one process here: {error}")
    paths = os.pathsep.join([str(CHECKOUT / "engine"), str(CHECKOUT)])
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}

    done = subprocess.run(
        [*own, sys.executable, "-P", "-c", REAL, str(disk)], env=env, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr

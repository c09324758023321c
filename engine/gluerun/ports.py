"""The doors of the house: what the loop may ask of the world. Protocols only, no code.

Each door has a real side (`adapters`) and a simulated one (`sim`) that keep the same promises; one
contract class per door runs on both.
"""

from __future__ import annotations

from enum import StrEnum

from gluerun.records.dispatch import Life
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from typing import Any, Protocol

    from gluerun.records.child import Child, ChildDone
    from gluerun.records.dispatch import Identity
    from gluerun.records.origin import OriginHolder
else:
    # Protocols matter to the type checker only; `typing` would be the dearest import of an idle cycle.
    Protocol = object


class Clock(Protocol):
    """The time of day, and the things that only this machine knows."""

    def now(self) -> datetime:
        """Return the present moment in UTC, without microseconds."""
        ...

    def boot_id(self) -> str:
        """Return an id that changes at every boot of the machine and at no other moment."""
        ...

    def host_id(self) -> str:
        """Return an id that no other machine has and no boot changes; empty if this machine has none."""
        ...

    def awake(self) -> int:
        """Return how many seconds this machine has been awake since its boot; nobody can set this clock."""
        ...

    def pid(self) -> int:
        """Return the id of this process."""
        ...

    def token(self, size: int) -> str:
        """Return *size* random bytes as hexadecimal digits, fit for a secret."""
        ...


@record
class FileMark:
    """What tells one version of a file from another without reading it: a hint, never a proof."""

    mtime_ns: int
    size: int
    inode: int


# Space that is held back in the state folder for the day on which the disk is full.
BALLAST = "ballast"


class Files(Protocol):
    """The only way to store anything; paths are relative to one root and use `/`.

    Every write replaces: a reader sees the old file or the new one, whole, also after a crash. A write that meets a
    full disk gives up the ballast, if there is one, and is made again.
    """

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes; None if there is no such file. StateError if it cannot be read."""
        ...

    def tail(self, path: str, limit: int) -> bytes:
        """Return the last *limit* bytes of a file at most; empty if there is no such file."""
        ...

    def write(self, path: str, data: bytes, *, durable: bool = True) -> None:
        """Put *data* at *path*, whole or not at all; with *durable* it survives power loss."""
        ...

    def write_all(self, files: Mapping[str, bytes]) -> None:
        """Put each of *files* at its path, whole or not at all; all of them survive power loss once this returns.

        It costs fewer syncs than as many writes; which of them a power loss under way finds is not certain.
        """
        ...

    def create(self, path: str, data: bytes) -> bool:
        """Put *data* at *path* only if nothing is there; tell whether it was put. Durable."""
        ...

    def append(self, path: str, data: bytes) -> None:
        """Add *data* at the end of *path*, durably; a crash may leave a torn tail."""
        ...

    def move(self, path: str, new: str, *, durable: bool = True) -> bool:
        """Rename *path* to *new*, replacing it; False if *path* is not there (any more).

        If it is not *durable* a power loss may undo it: what is moved is never lost by that.
        """
        ...

    def empty(self, path: str) -> None:
        """Take every byte out of a file that is there, in place: whoever appends to it goes on from its beginning."""
        ...

    def remove(self, path: str) -> bool:
        """Remove a file, durably; False if it is not there."""
        ...

    def drop(self, folder: str) -> bool:
        """Remove a folder in which nothing is; False if something is, or if it is no folder."""
        ...

    def names(self, folder: str) -> list[str]:
        """Return the sorted names in *folder*, without hidden temporaries; empty if there is none."""
        ...

    def is_link(self, path: str) -> bool:
        """Tell whether *path*, or a folder it lies in, is a symbolic link."""
        ...

    def mark(self, path: str) -> FileMark | None:
        """Return the mark of a file or folder; None if it is not there."""
        ...

    def free_bytes(self) -> int:
        """Return the disk space that is left for us."""
        ...

    def hold_back(self, size: int) -> bool:
        """Let `BALLAST` take *size* bytes of the disk, really; False, and nothing changed, if there is no room."""
        ...

    def sweep(self, folder: str) -> int:
        """Remove what a crash left half-written directly in *folder*; return how many.

        What a living writer is about to put there is left alone.
        """
        ...


class Locks(Protocol):
    """Locks that the kernel releases when their holder dies, and at no other moment."""

    def origin(self, holder: OriginHolder) -> AbstractContextManager[None]:
        """Hold the loop's lock; BusyError naming the holder if another cycle has it."""
        ...

    def origin_holder(self) -> OriginHolder | None:
        """Return who holds the loop's lock, as far as it is known; None if nobody does."""
        ...

    def resident_holder(self) -> OriginHolder | None:
        """Return who is the resident loop, as far as it is known; None if there is none."""
        ...

    def resident(self, holder: OriginHolder) -> AbstractContextManager[None]:
        """Be the one resident loop of the repository; BusyError naming the one that there is already."""
        ...

    def git(self) -> AbstractContextManager[None]:
        """Hold the lock around changes of refs and work trees; waits up to a minute, then BusyError."""
        ...


@record
class Merge:
    """What git makes of two commits: a tree, and the paths on which they disagree.

    With conflicts the tree holds both sides between conflict markers. `unrelated` are histories without a common
    commit: both are taken for new, and nobody has told what of them belongs together. `empty` is a merge that brings
    nothing: the tree is that of the first commit.
    """

    tree: str
    conflicts: tuple[str, ...] = ()
    unrelated: bool = False
    empty: bool = False


@record
class Stored:
    """A commit that was stored, and its tree."""

    commit: str
    tree: str


@record
class Change:
    """One path that differs between two trees. A rename is a removal and an addition."""

    path: str
    status: str
    mode: str = ""
    sha: str = ""


class Landing(StrEnum):
    """What became of an attempt to move the target branch."""

    LANDED = "landed"
    MOVED = "moved"
    BLOCKED = "blocked"


@record
class Landed:
    """The answer of `Git.land`: LANDED, MOVED (the old value did not hold) or BLOCKED by *paths*."""

    landing: Landing
    paths: tuple[str, ...] = ()


@record
class Logged:
    """What a commit says of itself, with its whole message; `at` is in seconds since 1970."""

    commit: str
    parents: tuple[str, ...]
    message: str
    at: int


class Git(Protocol):
    """The repository, in words of the domain. Work trees are named by their absolute path.

    No method runs the user's hooks, filters beyond the repository's own, pagers or prompts. GitError if
    git refuses for a reason that the method does not name.
    """

    def head(self, branch: str) -> str | None:
        """Return the commit a local branch points to; None if there is no such branch."""
        ...

    def heads(self, branches: Sequence[str]) -> dict[str, str]:
        """Return the commits of those of *branches* that exist; one process."""
        ...

    def commit_of(self, revision: str) -> str | None:
        """Return the commit that *revision* names; None if it names none."""
        ...

    def tree_of(self, commit: str) -> str:
        """Return the tree of a commit."""
        ...

    def code_tree(self, commit: str) -> str:
        """Return a digest of the commit's tree without `docs/orchestration/`."""
        ...

    def contains(self, commit: str, ancestor: str) -> bool:
        """Tell whether *ancestor* is *commit* or one of its ancestors."""
        ...

    def merge(self, ours: str, theirs: str) -> Merge:
        """Merge two commits without a work tree; folder renames are never guessed.

        NoRoomError if the disk has no room for the result.
        """
        ...

    def clashes(self, ours: str, heads: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return those of *heads* that conflict with *ours*, and the paths on which they do: many for one process.

        What git makes nothing of is left out: whoever merges it is told why.
        """
        ...

    def commit_tree(
        self, tree: str, parents: Sequence[str], message: str, *, sign: bool = False, author: str = ""
    ) -> str:
        """Store a commit of *tree* by the engine's identity and return it; no ref changes.

        It is as if by the author of the commit *author*, and then, if there is one; to *sign* it is git's own
        business, by the key that git is told to use. GitError if that fails.
        """
        ...

    def commit_over(self, tree: str, files: Mapping[str, bytes | None], parents: Sequence[str], message: str) -> Stored:
        """Store a commit as `commit_tree` does, of *tree* with *files* put over it (None removes); one process.

        There is at least one parent.
        """
        ...

    def building(self, count: int) -> AbstractContextManager[None]:
        """Let merges and commits of *count* candidates, one upon another, cost less than two starts of git each."""
        ...

    def advance(self, branch: str, new: str, old: str) -> bool:
        """Move a branch from *old* to *new* by compare-and-swap; False if it is not at *old*.

        *old* as forty zeros demands that the branch does not exist yet. Work trees are not looked at.
        """
        ...

    def land(self, branch: str, new: str, old: str) -> Landed:
        """Move *branch* from *old* to *new* and let the work tree that has it checked out follow.

        BLOCKED, with nothing changed, if touched paths are not clean there or something untracked is
        in the way. A crash in between is finished by `finish_landing`.
        """
        ...

    def could_land(self, branch: str, new: str, old: str) -> Landed:
        """Return what `land` would answer now; nothing moves."""
        ...

    def finish_landing(self) -> bool:
        """Finish a landing that a crash cut in two; True if there was one."""
        ...

    def changes(self, old: str, new: str) -> tuple[Change, ...]:
        """Return every path that differs between two commits or trees, renames as two paths."""
        ...

    def patch(self, old: str, new: str, *, limit: int) -> str:
        """Return the readable difference of two commits, cut after *limit* characters with a remark."""
        ...

    def file_at(self, commit: str, path: str) -> bytes | None:
        """Return a file's content in a commit; None if it is not a file there."""
        ...

    def add_worktree(
        self,
        place: str,
        commit: str,
        *,
        branch: str | None = None,
        lasting: bool = False,
        parts: Sequence[str] | None = None,
    ) -> None:
        """Make a work tree at *place*: detached at *commit*, or on *branch*, created or set to *commit*.

        What stood at *place* must have been removed before (`remove_worktree`). One that is *lasting* may be recycled.
        Of *parts*, folders of the tree, and of the folders above them only, the files stand there; the others are
        as good as there until somebody puts something in their place.
        """
        ...

    def recycle_worktree(self, place: str, commit: str) -> str:
        """Make the lasting work tree at *place* what a new one, detached at *commit*, would be; return "" or why not.

        What is not as it was made goes, whatever anybody told git there. After an answer it has to be removed and
        made anew: it was cut, it is at work, or nobody can prove that it is right.
        """
        ...

    def remove_worktree(self, place: str) -> None:
        """Remove the work tree at *place* and what git knows of it; nothing happens if there is none."""
        ...

    def seed_worktree(self, place: str, tree: str) -> None:
        """Make the files at *place* those of *tree*, leaving its HEAD and index where they are."""
        ...

    def dirt(self, place: str) -> tuple[Change, ...]:
        """Return every path at *place* that differs from its HEAD, untracked ones included, ignored not."""
        ...

    def worktree_head(self, place: str) -> str | None:
        """Return the commit that the work tree's HEAD names; None if there is no work tree there."""
        ...

    def is_ignored(self, place: str, path: str) -> bool:
        """Tell whether git ignores *path* (relative) in the work tree at *place*."""
        ...

    def commit_all(self, place: str, base: str, message: str) -> str:
        """Commit the whole state of the work tree on top of *base* and return the commit.

        Everything that is not ignored is taken, deletions too. Commits that somebody else made there
        since *base* become part of this one; the branch and the index follow.
        """
        ...

    def snapshot(self, place: str, message: str) -> str | None:
        """Store the state of the work tree as a commit on its HEAD, touching neither HEAD nor index.

        The HEAD itself if nothing is uncommitted; None if there is no work tree at *place*.
        """
        ...

    def keep(self, ref: str, commit: str) -> None:
        """Let *ref* (under `refs/gluerun/`) point to *commit*, durably."""
        ...

    def kept(self, prefix: str) -> dict[str, str]:
        """Return the refs under *prefix* and their commits."""
        ...

    def forget(self, ref: str, old: str) -> bool:
        """Remove *ref* (under `refs/gluerun/`) if it is at *old*; False if it is not."""
        ...

    def strays(self, place: str) -> tuple[str, ...]:
        """Return the newest commits that were made or visited at *place* and that no ref reaches.

        What the work tree was made at, and what the engine committed there itself, is not among them.
        """
        ...

    def salvage(self, place: str, message: str) -> str | None:
        """Store the files of a folder at *place* that git knows no more as a work tree, as a commit without parents.

        None if it is a work tree, or nothing is there. What the repository's own rules ignore is left out.
        """
        ...

    def told(self, commits: Sequence[str]) -> tuple[Logged, ...]:
        """Return who follows whom, when, and in what words, for each of *commits*; one process."""
        ...

    def weight(self, old: str, new: str) -> tuple[int, int]:
        """Return how many paths differ between two commits, and how many bytes they hold in *new*."""
        ...

    def sweep(self) -> int:
        """Remove places whose removal a crash has cut in two; return how many."""
        ...

    def hand_out(self, place: str, commit: str) -> None:
        """Make a work tree of the user's own at *place*, where nothing may be, detached at *commit*."""
        ...

    def maintain(self) -> str:
        """Let git tidy its store if it finds that worth while; return "" or why it did not.

        Nothing that a ref reaches goes, no work tree, and no object that is younger than two weeks.
        """
        ...

    def delete_branches(self, heads: Mapping[str, str]) -> frozenset[str]:
        """Delete the branches that are where *heads* says; return which. GitError if one of these cannot be."""
        ...

    def publish(self, ref: str, files: Mapping[str, bytes | None], message: str) -> str:
        """Commit *files* (None removes) on top of *ref* without a work tree; return the commit."""
        ...

    def published(self, ref: str, folder: str = "", *, ending: str = "") -> dict[str, bytes]:
        """Return every file of the tree of a ref or commit, of those in *folder* whose names end in *ending*.

        Empty if there is no such ref or folder.
        """
        ...

    def trailers(self, branch: str, key: str) -> dict[str, str]:
        """Return value → commit for every first-parent commit of *branch* that carries trailer *key*."""
        ...

    def logged(self, ref: str, word: str) -> tuple[Logged, ...]:
        """Return the commits of *ref*'s first-parent line with *word* in their message, the newest first.

        *ref* is a full name; empty if there is no such ref.
        """
        ...

    def outgoing(self, branch: str, *, limit: int, commit: str = "") -> str:
        """Return the differences of all commits that a push of *branch* would bring, cut after *limit* characters.

        With *commit*, of a push that would move *branch* there to it.

        What the remote is known to have is not among them; empty if there is no remote or no such branch.
        """
        ...

    def fetch(self, branch: str, ref: str) -> str:
        """Let *ref* (under `refs/gluerun/`) be what *branch* is at on its remote, or be gone if it is not there.

        Returns "", or why that cannot be seen. Nothing else moves but git's own note of the remote.
        """
        ...

    def push(self, branch: str, *, commit: str = "", old: str = "") -> str:
        """Push *branch* to its remote, never by force; return "" or why it was not pushed.

        With *commit* the branch there moves from *old* to it by compare-and-swap, wherever the one here is.
        """
        ...

    def unlock(self, place: str, branch: str, kept: str = "") -> tuple[str, ...]:
        """Remove the locks that a dead git left for this work tree, branch and refs that begin with *kept*; name them.

        Only for a tree whose owner is proved dead.
        """
        ...


class Processes(Protocol):
    """The only way to start, see and end another process."""

    def start(self, run_id: str) -> int:
        """Start the detached wrapper of a run whose folder stands, and return its pid at once."""
        ...

    def stand_by(self, run_id: str) -> None:
        """Have a process loaded for a run that may be started soon, unless one is; a hint, and it ends with this one.

        It has no folder, no pulse and nothing in hand until `start` is called with what `enlist` has returned.
        """
        ...

    def enlist(self) -> str:
        """Return the run for which a process stands by, once; empty if none does."""
        ...

    def dismiss(self) -> None:
        """End the process that stands by, if one does."""
        ...

    def life(self, run_id: str) -> Life:
        """Tell whether the run's wrapper lives, or only some of its tree, or nobody.

        The wrapper is proved by its pulse or its identity (boot id, pid namespace, pid, start ticks);
        its tree by the marker `GLUERUN_RUN` in the environment of any process. A run that was started
        and has not signed in yet is ALIVE as long as its process lives.
        """
        ...

    def end(self, run_id: str, *, grace: float) -> bool:
        """End every process of a run: TERM, *grace* seconds, KILL, repeated; True if none is left."""
        ...

    def sign_in(self, run_id: str) -> Identity:
        """Take the pulse of a run for this process and return who it is; BusyError if it is taken.

        A process that holds the pulse already, also from before an exec, signs in again at no cost.
        """
        ...


class Children(Protocol):
    """How a run waits for a program without keeping a big process around."""

    def wait(self, run_id: str, child: Child) -> ChildDone:
        """Run *child* to its end; every process of its tree ends with it, by the best tier that there is.

        Its environment is `child.env` and the markers `GLUERUN_RUN` and `GLUERUN_DISPATCH`, nothing else.
        `child.stdin` (empty: nothing) and `child.log` are files, relative to the state folder or absolute.
        The real side does not return: it replaces this process by a small waiter, which starts the
        run's process again when the child has ended; `finished` then has the answer.
        """
        ...

    def finished(self, run_id: str, name: str) -> ChildDone | None:
        """Return how the child *name* of this run ended; None if it has not been waited for."""
        ...


class Watch(Protocol):
    """How a resident loop sleeps: until something may have happened, and never longer than it was told."""

    def wait(self, run_ids: Sequence[str], seconds: float) -> None:
        """Return when one of the runs has ended, or after *seconds*. Waking early is always right."""
        ...


class Messenger(Protocol):
    """How a person is told something. A failure is an answer, never an error: nothing depends on it."""

    def run(self, command: str, document: dict[str, Any]) -> str:
        """Give *document* as JSON to a command of the shell; say why that failed, empty if it did not."""
        ...

    def ask(self, command: str, document: dict[str, Any]) -> tuple[str, str]:
        """Do as `run` does; return the beginning of what the command printed, and why it failed."""
        ...

    def post(self, url: str, document: dict[str, Any]) -> str:
        """Post *document* as JSON to a web address; say why that failed, empty if it did not."""
        ...


@record
class Doors:
    """All doors of one repository, as one value.

    `root` is the absolute path of the repository, `state_root` of its state folder; `environ` is the
    environment that programs may inherit from; `programs` are the commands of the runners that come with
    the engine; `at` opens the storage door at another absolute path.
    """

    root: str
    state_root: str
    environ: dict[str, str]
    programs: dict[str, tuple[str, ...]]
    at: Callable[[str], Files]
    clock: Clock
    state: Files
    work: Files
    locks: Locks
    git: Git
    processes: Processes
    children: Children
    watch: Watch
    messenger: Messenger

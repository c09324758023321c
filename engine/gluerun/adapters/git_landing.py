"""Landing: the target branch moves, and the work tree that has it checked out follows, or nothing happens.

The order of steps is what makes a crash harmless: a durable intent; the work tree's index lock, which
keeps every git of the user out; the checks; the compare-and-swap; the files; the index; the lock; the
intent. Before the swap everything can be taken back, after it everything can be finished.
"""
# Names are bytes here, and pathlib's import is dear.

from __future__ import annotations

import json
import os

from gluerun.adapters import git_folders as folders
from gluerun.adapters.git_command import decode, encode, pieces
from gluerun.adapters.git_following import follow
from gluerun.adapters.git_obstacles import obstacles
from gluerun.adapters.git_refs import is_elsewhere
from gluerun.adapters.git_trees import differences
from gluerun.errors import GitError, GluerunError, StateError
from gluerun.ports import Landed, Landing
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gluerun.adapters.git_command import GitCommand
    from gluerun.adapters.git_trees import Difference

INTENT = "landing.json"
NOTE = "gluerun: land"


@record
class Site:
    """A work tree that has the branch checked out, and its git folder."""

    place: str
    folder: str

    @property
    def lock(self) -> str:
        return folders.join(self.folder, folders.INDEX_LOCK)

    @property
    def draft(self) -> str:
        """The private index that becomes the work tree's."""
        return folders.join(self.folder, "gluerun-landing.index")


@record
class Intent:
    """What a landing is about to do; the token tells its locks from anybody else's."""

    branch: str
    old: str
    new: str
    token: bytes
    sites: tuple[Site, ...]

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"


class Landings:
    """Moves a branch together with its work trees; *fault* is called at every step, for tests."""

    def __init__(self, git: GitCommand, state: str, fault: Callable[[str], None] | None = None) -> None:
        self._git = git
        self._file = folders.join(state, INTENT)
        self._fault = fault or (lambda _: None)

    def land(self, branch: str, new: str, old: str) -> Landed:
        """Move *branch* and its work trees from *old* to *new*."""
        if blocking := self._finish()[1]:
            return Landed(landing=Landing.BLOCKED, paths=blocking)
        sites, blocking = self._sites(branch)
        if blocking:
            return Landed(landing=Landing.BLOCKED, paths=blocking)
        if not sites:
            return Landed(landing=Landing.LANDED if self._swap(branch, new, old) else Landing.MOVED)
        intent = Intent(branch=branch, old=old, new=new, token=_token(), sites=sites)
        self._write(intent)
        self._fault("intended")
        try:
            return self._land(intent)
        except (GluerunError, OSError):
            # Whether the branch has moved decides whether this undoes or finishes.
            self._finish()
            raise

    def could_land(self, branch: str, new: str, old: str) -> Landed:
        """Return what `land` would answer now. Nothing is locked or moves, but that a cut landing is finished first."""
        if blocking := self._finish()[1]:
            return Landed(landing=Landing.BLOCKED, paths=blocking)
        sites, blocking = self._sites(branch)
        blocking += tuple(site.lock for site in sites if folders.read(site.lock) is not None)
        if blocking:
            return Landed(landing=Landing.BLOCKED, paths=blocking)
        before = _tree(self._git, old)
        touched = differences(self._git, before, new) if sites else ()
        for site in sites:
            try:
                blocking += self._blocking(site, before, new, touched)
            finally:
                folders.discard(site.draft)
                folders.discard(f"{site.draft}.lock")
        if self._head(branch, old) != old:
            return Landed(landing=Landing.MOVED)  # what it has brought along is nobody's dirt
        return Landed(landing=Landing.BLOCKED, paths=blocking) if blocking else Landed(landing=Landing.LANDED)

    def finish(self) -> bool:
        """Undo or finish what a crash cut in two; True if there was something."""
        found, blocking = self._finish()
        if blocking:
            raise GitError("a landing cannot be finished yet", "end the other git first", file=blocking[0])
        return found

    def _land(self, intent: Intent) -> Landed:
        before = _tree(self._git, intent.old)
        touched = differences(self._git, before, intent.new)
        for site in intent.sites:
            if not folders.take(site.lock, intent.token):
                self._undo(intent)
                return Landed(landing=Landing.BLOCKED, paths=(site.lock,))
            self._fault("locked")
        for site in intent.sites:
            if blocking := self._blocking(site, before, intent.new, touched):
                self._undo(intent)
                # What a branch that has moved on brought along is nobody's dirt.
                if self._head(intent.branch, intent.old) != intent.old:
                    return Landed(landing=Landing.MOVED)
                return Landed(landing=Landing.BLOCKED, paths=blocking)
            self._fault("checked")
        if not self._swap(intent.branch, intent.new, intent.old):
            self._undo(intent)
            return Landed(landing=Landing.MOVED)
        self._fault("moved")
        for site in intent.sites:
            self._git.run("read-tree", "-m", "-u", before, intent.new, at=site.place, index=site.draft)
            self._fault("followed")
            self._install(site, intent)
        self._forget()
        return Landed(landing=Landing.LANDED)

    def _sites(self, branch: str) -> tuple[tuple[Site, ...], tuple[str, ...]]:
        """Return the work trees of *branch*, or the traces of a git that is not done with it."""
        sites: list[Site] = []
        blocking: list[str] = []
        if is_elsewhere(self._git.root, branch):
            return (), ()
        listing = decode(self._git.run("worktree", "list", "--porcelain", "-z").out)
        for block in listing.split("\0\0"):
            words = dict(line.partition(" ")[::2] for line in block.split("\0") if line)
            place = words.get("worktree", "")
            folder = folders.own_folder(self._git.root, place) if place and "bare" not in words else None
            if folder is None:
                continue
            if words.get("branch") == f"refs/heads/{branch}":
                sites.append(Site(place=place, folder=folder))
                blocking += [folders.join(folder, name) for name in folders.in_progress(folder)]
            elif "detached" in words:
                blocking += _rebasing(folder, branch)
        return tuple(sites), tuple(blocking)

    def _blocking(self, site: Site, before: str, new: str, touched: tuple[Difference, ...]) -> tuple[str, ...]:
        """Return what keeps the work tree from following, looking under its index lock."""
        if not folders.copy_index(site.folder, site.draft):
            self._git.run("read-tree", "--empty", at=site.place, index=site.draft)
        run, at, index = self._git.run, site.place, site.draft
        run("update-index", "-q", "--refresh", at=at, index=index, ok=(0, 1))
        staged = differences_of_index(self._git, site, before)
        edited = set(
            pieces(run("diff-files", "-z", "--name-only", "--ignore-submodules=dirty", at=at, index=index).out)
        )
        names = {one.path for one in touched}
        leaving = {one.path for one in touched if one.old is not None}
        arriving = [one.path for one in touched if one.new is not None]
        dirty = names & (staged | edited)
        found = sorted(dirty | obstacles(at, arriving, leaving))
        if found:
            return tuple(found)
        # The last word is git's own: flags like assume-unchanged and partial checkouts are known to it alone.
        answer = run("read-tree", "-m", "-u", "-n", before, new, at=at, index=index, ok=(0, 128))
        return () if answer.code == 0 else _named(answer.err, names)

    def _head(self, branch: str, old: str) -> str:
        """Return where a branch is, in the words in which *old* says it."""
        ref = f"refs/heads/{branch}"
        return self._git.run("rev-parse", "--verify", "--quiet", ref, ok=(0, 1)).line or "0" * len(old)

    def _swap(self, branch: str, new: str, old: str) -> bool:
        return swap(self._git, branch, new, old, NOTE)

    def _install(self, site: Site, intent: Intent) -> None:
        """Let the private index become the work tree's and give the lock back."""
        handle = os.open(encode(site.draft), os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(encode(site.draft), encode(folders.join(site.folder, "index")))
        self._fault("installed")
        folders.release(site.lock, intent.token)
        self._fault("released")

    def _finish(self) -> tuple[bool, tuple[str, ...]]:
        """Undo or finish the landing on record; tell whether there was one and what is in the way."""
        intent = self._read()
        if intent is None:
            return False, ()
        now = self._git.run("rev-parse", "--verify", "--quiet", intent.ref, ok=(0, 1)).line
        if now == intent.old or not now or not self._contains(now, intent.new):
            self._undo(intent)
            return True, ()
        for site in intent.sites:
            if folders.own_folder(self._git.root, site.place) is None:
                continue
            if not folders.holds(site.lock, intent.token):
                # Somebody took our lock away; without one of our own the index is not ours to change.
                if not folders.take(site.lock, intent.token):
                    return True, (site.lock,)
                if traces := folders.in_progress(site.folder):
                    folders.release(site.lock, intent.token)
                    return True, tuple(folders.join(site.folder, name) for name in traces)
            if self._is_on(site, intent.ref):
                folders.discard(f"{site.draft}.lock")
                before = _tree(self._git, intent.old)
                follow(self._git, (site.place, site.folder, site.draft), before, now)
                self._fault("followed again")
                self._install(site, intent)
            self._clean(site, intent)
        self._forget()
        return True, ()

    def _is_on(self, site: Site, ref: str) -> bool:
        return self._git.run("symbolic-ref", "-q", "HEAD", at=site.place, ok=(0, 1)).line == ref

    def _contains(self, commit: str, ancestor: str) -> bool:
        return self._git.run("merge-base", "--is-ancestor", ancestor, commit, ok=(0, 1)).code == 0

    def _undo(self, intent: Intent) -> None:
        for site in intent.sites:
            self._clean(site, intent)
        self._forget()

    def _clean(self, site: Site, intent: Intent) -> None:
        folders.discard(site.draft)
        folders.discard(f"{site.draft}.lock")
        folders.release(site.lock, intent.token)

    def _write(self, intent: Intent) -> None:
        sites = [{"place": site.place, "folder": site.folder} for site in intent.sites]
        document = {
            "branch": intent.branch,
            "old": intent.old,
            "new": intent.new,
            "token": intent.token.decode(),
            "sites": sites,
        }
        folders.put_durably(self._file, json.dumps(document, indent=1).encode())

    def _read(self) -> Intent | None:
        whole = folders.read(self._file)
        if whole is None:
            return None
        try:
            said = json.loads(whole)
            sites = tuple(Site(place=site["place"], folder=site["folder"]) for site in said["sites"])
            return Intent(
                branch=said["branch"],
                old=said["old"],
                new=said["new"],
                token=said["token"].encode(),
                sites=sites,
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StateError(f"the record of a landing cannot be read: {error}", file=self._file) from None

    def _forget(self) -> None:
        folders.discard(self._file)
        folders.sync_folder(os.path.dirname(self._file))
        self._fault("forgotten")


def swap(git: GitCommand, branch: str, new: str, old: str, note: str) -> bool:
    """Move a branch by compare-and-swap; False if it was not at *old*."""
    ref = f"refs/heads/{branch}"
    expected = "0" * len(new) if _is_zero(old) else old
    folders.sync_objects(git.root, git.synced)
    answer = git.run("update-ref", "-m", note, ref, new, expected, ok=(0, 1, 128))
    if answer.code == 0:
        folders.sync_ref(git.root, ref, git.synced)
        return True
    now = git.run("rev-parse", "--verify", "--quiet", ref, ok=(0, 1)).line
    if (now or "0" * len(new)) != expected:
        return False
    raise GitError(f"the branch {branch} cannot be moved: {answer.err.decode('utf-8', 'replace').strip()}")


def differences_of_index(git: GitCommand, site: Site, tree: str) -> set[str]:
    """Return the paths of the private index that differ from *tree*."""
    answer = git.run(
        "diff-index",
        "--cached",
        "-z",
        "--name-only",
        "--no-renames",
        "--ignore-submodules=dirty",
        tree,
        at=site.place,
        index=site.draft,
    )
    return set(pieces(answer.out))


def _tree(git: GitCommand, commit: str) -> str:
    """Return what to compare with: the commit, or the empty tree for a branch that is not born yet."""
    return git.line("mktree") if _is_zero(commit) else commit


def _is_zero(commit: str) -> bool:
    return set(commit) == {"0"}


def _token() -> bytes:
    return b"gluerun-landing-" + os.urandom(12).hex().encode()


def _rebasing(folder: str, branch: str) -> list[str]:
    """Name the rebase in *folder* that will put *branch* back where it wants it."""
    names = ("rebase-merge/head-name", "rebase-apply/head-name")
    paths = [folders.join(folder, name) for name in names]
    return [path for path in paths if (folders.read(path) or b"").strip() == encode(f"refs/heads/{branch}")]


def _named(said: bytes, names: set[str]) -> tuple[str, ...]:
    text = decode(said)
    return tuple(sorted(name for name in names if name in text)) or tuple(sorted(names))

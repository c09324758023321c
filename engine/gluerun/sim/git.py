"""The repository, simulated side: commits, refs and work trees in memory, crashes where a story wants them.

The object itself is the durable part: a story that raises at a point and goes on with the same object
sees what a process that died there would have left behind.
"""

from __future__ import annotations

import posixpath
from contextlib import nullcontext

from gluerun.errors import GitError, GluerunError, NoRoomError
from gluerun.ports import Change, Landed, Landing, Logged, Merge, Stored
from gluerun.records.record import record
from gluerun.sim.copying import copied
from gluerun.sim.git_model import (
    FILE,
    Commit,
    Tree,
    commit_id,
    compare,
    hunk,
    is_ignored,
    merge_trees,
    obstacles,
    trailers_of,
    tree_id,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

HEADS = "refs/heads/"
OURS = "refs/gluerun/"
HOME = ".worktrees"
UNSEEN = "docs/orchestration/"


class SimTree:
    """A work tree: its files, what its HEAD is on, and the locks that somebody left in it."""

    def __init__(self, files: Tree, branch: str | None, commit: str | None, *, is_ours: bool) -> None:
        self.files = files
        self.branch = branch
        self.commit = commit
        self.purpose = branch
        self.is_ours = is_ours
        self.begin = commit
        self.visited: list[str] = []
        self.is_broken = False
        self.is_lasting = False
        self.oddity = ""
        self.parts: tuple[str, ...] | None = None
        self.opened: set[str] = set()
        self.locks: set[str] = set()
        self.in_progress: str = ""

    def has(self, path: str) -> bool:
        """Tell whether a file of the tree has to stand here, and is not as good as here without."""
        folder = posixpath.dirname(path)
        if self.parts is None or not folder or path in self.opened:
            return True
        return any(f"{part}/".startswith(f"{folder}/") or path.startswith(f"{part}/") for part in self.parts)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copied(self, memo)


@record
class SimIntent:
    """A landing on record: until it is forgotten the work trees at *places* are locked."""

    branch: str
    old: str
    new: str
    places: tuple[str, ...]


class SimGit:
    """A repository in memory at *root*, whose own work tree is on *branch* (None: a bare one).

    *fault* is called with the name of every changing operation and `:before` or `:after`.
    """

    def __init__(
        self,
        fault: Callable[[str], None] | None = None,
        *,
        root: str = "/sim",
        branch: str | None = "main",
    ) -> None:
        self.root = root
        self.fault = fault or (lambda _: None)
        self.trees: dict[str, Tree] = {}
        self.commits: dict[str, Commit] = {}
        self.refs: dict[str, str] = {}
        self.worktrees: dict[str, SimTree] = {}
        self.branch_locks: set[str] = set()
        self.remote: dict[str, str] | None = None
        self.remote_refuses = ""
        self.push_refused = ""
        self.signer_fails = ""
        self.maintained = 0
        self.asked_to_push = 0
        self.room: int | None = None
        self.intent: SimIntent | None = None
        self._moved: dict[str, str | None] = {}
        if branch is not None:
            self.worktrees[root] = SimTree({}, branch, None, is_ours=False)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copied(self, memo, "fault", "worktrees")

    # What a story does to the world.

    def write(self, place: str, path: str, data: bytes, mode: str = FILE) -> None:
        """Put a file into a work tree, as an agent or the user would."""
        self._at(place).files[path] = (mode, data)

    def delete(self, place: str, path: str) -> None:
        """Remove a file from a work tree."""
        del self._at(place).files[path]

    def checkout_dirty(self, place: str) -> tuple[str, ...]:
        """Return the paths of a work tree that are not as its HEAD has them."""
        return tuple(change.path for change in self.dirt(place))

    def checkout(self, place: str, branch: str | None, commit: str = "") -> None:
        """Switch a work tree to a branch, or to a commit; changed files are thrown away."""
        work = self._at(place)
        ignored = {path: one for path, one in work.files.items() if self._is_left_out(work, path)}
        work.branch, work.commit = branch, commit or None
        work.visited += [commit] if commit else []
        work.files = {**ignored, **self._head_tree(work)}

    def commit(self, place: str, message: str) -> str:
        """Commit everything at *place*, as an agent or the user would."""
        work = self._at(place)
        if "index.lock" in work.locks or (self.intent and place in self.intent.places):
            raise GitError("index.lock exists", file=place)
        head = self._head(work)
        new = self._store(self._take(work), (head,) if head else (), message)
        self._move_head(work, new)
        self._moved.clear()  # a story says by itself what of its own it loses
        work.visited.append(new)
        return new

    def break_place(self, place: str) -> None:
        """Take away what makes a folder a work tree, as an agent that removes `.git` does."""
        self._at(place).is_broken = True

    # What the door promises.

    def head(self, branch: str) -> str | None:
        return self.refs.get(HEADS + branch)

    def heads(self, branches: Sequence[str]) -> dict[str, str]:
        return {branch: self.refs[HEADS + branch] for branch in branches if HEADS + branch in self.refs}

    def commit_of(self, revision: str) -> str | None:
        if revision in self.commits:
            return revision
        names = (revision, HEADS + revision)
        return next((self.refs[name] for name in names if name in self.refs), None)

    def tree_of(self, commit: str) -> str:
        return self._commit(commit).tree

    def code_tree(self, commit: str) -> str:
        tree = self._tree(commit)
        return tree_id({path: one for path, one in tree.items() if not path.startswith(UNSEEN)})

    def contains(self, commit: str, ancestor: str) -> bool:
        floor = self._commit(ancestor).order
        return any(one == ancestor for one in self._ancestors(commit, floor))

    def merge(self, ours: str, theirs: str) -> Merge:
        known = set(self._ancestors(ours))
        shared = [one for one in self._ancestors(theirs) if one in known]
        base = self._tree(max(shared, key=lambda one: self.commits[one].order)) if shared else {}
        tree, conflicts = merge_trees(base, self._tree(ours), self._tree(theirs))
        if not self._has_room(tree):
            raise NoRoomError("fatal: unable to write loose object file: No space left on device", file=self.root)
        made = self._store_tree(tree)
        empty = bool(shared) and made == self._commit(ours).tree
        return Merge(tree=made, conflicts=conflicts, unrelated=not shared, empty=empty)

    def clashes(self, ours: str, heads: Sequence[str]) -> dict[str, tuple[str, ...]]:
        merges = {head: self.merge(ours, head) for head in heads if head in self.commits}
        return {head: one.conflicts for head, one in merges.items() if one.conflicts and not one.unrelated}

    def commit_tree(
        self, tree: str, parents: Sequence[str], message: str, *, sign: bool = False, author: str = ""
    ) -> str:
        self.fault("commit_tree:before")
        if sign and self.signer_fails:
            raise GitError(self.signer_fails)
        if tree not in self.trees:
            raise GitError(f"{tree} is no tree")
        new = self._store(self.trees[tree], tuple(dict.fromkeys(parents)), message)
        self.fault("commit_tree:after")
        return new

    def commit_over(self, tree: str, files: Mapping[str, bytes | None], parents: Sequence[str], message: str) -> Stored:
        self.fault("commit_over:before")
        whole = self._put_over(self._tree(tree), files)
        new = self._store(whole, tuple(dict.fromkeys(parents)), message)
        self.fault("commit_over:after")
        return Stored(commit=new, tree=self.tree_of(new))

    def building(self, count: int) -> AbstractContextManager[None]:
        return nullcontext()

    def advance(self, branch: str, new: str, old: str) -> bool:
        self.fault("advance:before")
        moved = self._swap(branch, new, old)
        self.fault("advance:after")
        return moved

    def land(self, branch: str, new: str, old: str) -> Landed:
        self.finish_landing()
        self.fault("land:before")
        places = tuple(place for place, work in self.worktrees.items() if work.branch == branch)
        before = {} if set(old) == {"0"} else self._tree(old)
        blocking = sorted(path for place in places for path in self._blocking(place, before, self._tree(new)))
        if blocking:
            has_moved = (self.head(branch) or "0" * len(old)) != old
            return (
                Landed(landing=Landing.MOVED) if has_moved else Landed(landing=Landing.BLOCKED, paths=tuple(blocking))
            )
        self.intent = SimIntent(branch=branch, old=old, new=new, places=places)
        self.fault("land:intended")
        if not self._swap(branch, new, old):
            self.intent = None
            return Landed(landing=Landing.MOVED)
        self.fault("land:moved")
        self._follow(self.intent)
        self.fault("land:after")
        return Landed(landing=Landing.LANDED)

    def could_land(self, branch: str, new: str, old: str) -> Landed:
        self.finish_landing()
        places = tuple(place for place, work in self.worktrees.items() if work.branch == branch)
        before = {} if set(old) == {"0"} else self._tree(old)
        blocking = sorted(path for place in places for path in self._blocking(place, before, self._tree(new)))
        if (self.head(branch) or "0" * len(old)) != old:
            return Landed(landing=Landing.MOVED)
        return Landed(landing=Landing.BLOCKED, paths=tuple(blocking)) if blocking else Landed(landing=Landing.LANDED)

    def finish_landing(self) -> bool:
        intent = self.intent
        if intent is None:
            return False
        self.fault("finish_landing:before")
        now = self.head(intent.branch)
        if now is not None and now != intent.old and self.contains(now, intent.new):
            self._follow(intent)
        self.intent = None
        self.fault("finish_landing:after")
        return True

    def changes(self, old: str, new: str) -> tuple[Change, ...]:
        return compare(self._tree(old), self._tree(new))

    def patch(self, old: str, new: str, *, limit: int) -> str:
        before, after = self._tree(old), self._tree(new)
        text = ""
        for change in compare(before, after):
            text += hunk(change.path, before.get(change.path), after.get(change.path))
        return text if len(text) <= limit else f"{text[:limit]}\n[cut after {limit} characters]\n"

    def file_at(self, commit: str, path: str) -> bytes | None:
        found = self._tree(commit).get(path)
        return None if found is None else found[1]

    def add_worktree(
        self,
        place: str,
        commit: str,
        *,
        branch: str | None = None,
        lasting: bool = False,
        parts: Sequence[str] | None = None,
    ) -> None:
        self.fault("add_worktree:before")
        if place in self.worktrees:
            raise GitError("something stands there already", file=place)
        files = dict(self._tree(commit))
        if not self._has_room(files):
            largest = max(files, key=lambda path: len(files[path][1]))
            raise GitError(f"error: unable to write file {largest}", file=place)
        if branch is not None:
            self._put_ref(HEADS + branch, commit)
            self._sync_ref(HEADS + branch)
        self.worktrees[place] = SimTree(files, branch, None if branch else commit, is_ours=True)
        work = self.worktrees[place]
        work.begin, work.parts = commit, None if parts is None else tuple(part.strip("/") for part in parts)
        work.files = {path: one for path, one in files.items() if work.has(path)}
        self.fault("add_worktree:made")
        self.worktrees[place].is_lasting = lasting
        self.fault("add_worktree:after")

    def recycle_worktree(self, place: str, commit: str) -> str:
        self.fault("recycle_worktree:before")
        work = self.worktrees.get(place)
        if work is None or work.is_broken:
            return "it is no work tree of the repository"
        if not work.is_lasting:
            return "it was not left in order"
        if work.oddity or work.branch is not None or work.locks or work.in_progress:
            return work.oddity or "git's folder of it is not what it was"
        work.is_lasting = False
        self.fault("recycle_worktree:begun")
        work.commit, work.begin, work.visited = commit, commit, []
        self.fault("recycle_worktree:moved")
        work.files = dict(self._tree(commit))
        self.fault("recycle_worktree:written")
        work.is_lasting = True
        self.fault("recycle_worktree:after")
        return ""

    def remove_worktree(self, place: str) -> None:
        self.fault("remove_worktree:before")
        if not posixpath.normpath(place).startswith(f"{self.root}/{HOME}/"):
            raise GitError(f"only work trees beneath {HOME} are ever removed", file=place)
        self.worktrees.pop(place, None)
        self.fault("remove_worktree:after")

    def seed_worktree(self, place: str, tree: str) -> None:
        self.fault("seed_worktree:before")
        work = self._at(place)
        ignored = {path: one for path, one in work.files.items() if self._is_left_out(work, path)}
        wanted = self._tree(tree)
        work.opened |= self._head_tree(work).keys() - wanted.keys()
        elsewhere = {path for path, one in self._head_tree(work).items() if not work.has(path) and wanted[path] == one}
        work.files = {**{path: ignored[path] for path in ignored.keys() - wanted.keys()}, **wanted}
        work.files = {path: one for path, one in work.files.items() if path not in elsewhere}
        self.fault("seed_worktree:after")

    def dirt(self, place: str) -> tuple[Change, ...]:
        work = self._at(place)
        found = compare(self._head_tree(work), self._take(work))
        return tuple(Change(path=change.path, status=change.status) for change in found)

    def worktree_head(self, place: str) -> str | None:
        work = self.worktrees.get(place)
        return None if work is None or work.is_broken else self._head(work)

    def is_ignored(self, place: str, path: str) -> bool:
        work = self._at(place)
        return path not in self._head_tree(work) and is_ignored(work.files, path)

    def commit_all(self, place: str, base: str, message: str) -> str:
        self.fault("commit_all:before")
        work = self._at(place)
        if "index.lock" in work.locks:
            raise GitError("another git works on this work tree", file=place)
        tree = self._take(work)
        work.opened |= work.files.keys()
        new = base if tree == self._tree(base) else self._store(tree, (base,), message)
        self.fault("commit_all:stored")
        if work.is_ours:
            work.branch = work.purpose
        self._move_head(work, new)
        if work.branch is not None:
            self.fault("commit_all:moved")
            self._sync_ref(HEADS + work.branch)
        work.in_progress = ""
        self.fault("commit_all:after")
        return new

    def snapshot(self, place: str, message: str) -> str | None:
        work = self.worktrees.get(place)
        if work is None or work.is_broken:
            return None
        self.fault("snapshot:before")
        head, tree = self._head(work), self._take(work)
        if head is not None and tree == self._tree(head):
            return head
        new = self._store(tree, (head,) if head else (), message)
        self.fault("snapshot:after")
        return new

    def keep(self, ref: str, commit: str) -> None:
        if not ref.startswith(OURS):
            raise GitError(f"{ref} is not ours to move; kept refs are under {OURS}")
        self.fault("keep:before")
        self._commit(commit)
        self._put_ref(ref, commit)
        self.fault("keep:moved")
        self._sync_ref(ref)
        self.fault("keep:after")

    def kept(self, prefix: str) -> dict[str, str]:
        stem = prefix.rstrip("/")
        return {ref: self.refs[ref] for ref in sorted(self.refs) if f"{ref}/".startswith(f"{stem}/")}

    def forget(self, ref: str, old: str) -> bool:
        if not ref.startswith(OURS):
            raise GitError(f"{ref} is not ours to remove; kept refs are under {OURS}")
        self.fault("forget:before")
        if self.refs.get(ref) != old:
            return False
        del self.refs[ref]
        self.fault("forget:after")
        return True

    def strays(self, place: str) -> tuple[str, ...]:
        work = self.worktrees.get(place)
        if work is None or work.is_broken:
            return ()
        starts = [*self.refs.values(), *([work.begin] if work.begin else [])]
        reached = {one for start in starts for one in self._ancestors(start)}
        visited = dict.fromkeys([*work.visited, *([work.commit] if work.commit else [])])
        loose = [one for one in visited if one not in reached]
        older = {one for tip in loose for one in self._ancestors(tip) if one != tip}
        return tuple(one for one in loose if one not in older)

    def salvage(self, place: str, message: str) -> str | None:
        work = self.worktrees.get(place)
        if work is None or not work.is_broken or not work.files:
            return None
        self.fault("salvage:before")
        tree = {path: one for path, one in work.files.items() if not is_ignored(work.files, path)}
        new = self._store(tree, (), message)
        self.fault("salvage:after")
        return new

    def told(self, commits: Sequence[str]) -> tuple[Logged, ...]:
        found = [(one, self._commit(one)) for one in commits]
        return tuple(Logged(commit=one, parents=it.parents, at=it.order, message=it.message) for one, it in found)

    def weight(self, old: str, new: str) -> tuple[int, int]:
        found, after = self.changes(old, new), self._tree(new)
        return len(found), sum(len(after[one.path][1]) for one in found if one.path in after)

    def hand_out(self, place: str, commit: str) -> None:
        self.fault("hand_out:before")
        if place in self.worktrees:
            raise GitError("something stands there already", file=place)
        self.worktrees[place] = SimTree(dict(self._tree(commit)), None, commit, is_ours=False)
        self.fault("hand_out:after")

    def sweep(self) -> int:
        return 0  # a removal is one step here

    def maintain(self) -> str:
        self.fault("maintain:before")
        self.maintained += 1
        return ""

    def delete_branches(self, heads: Mapping[str, str]) -> frozenset[str]:
        gone = frozenset(branch for branch, old in heads.items() if self.head(branch) == old)
        locks = {f"{HEADS}{branch}.lock" for branch in gone}
        if locked := sorted(locks & self.branch_locks):
            raise GitError(f"the branches cannot be deleted: {locked[0]} exists")
        self.branch_locks |= locks
        try:
            for branch in sorted(gone):
                self.fault("delete_branches:before")
                del self.refs[HEADS + branch]
                self.fault("delete_branches:after")
        except GluerunError:
            self.branch_locks -= locks  # a git that fails takes its locks back; one that dies does not
            raise
        self.branch_locks -= locks
        return gone

    def publish(self, ref: str, files: Mapping[str, bytes | None], message: str) -> str:
        self.fault("publish:before")
        old = self.refs.get(ref)
        tree = self._put_over(self._tree(old) if old else {}, files)
        new = self._store(tree, (old,) if old else (), message)
        self._put_ref(ref, new)
        self.fault("publish:moved")
        self._sync_ref(ref)
        self.fault("publish:after")
        return new

    def published(self, ref: str, folder: str = "", *, ending: str = "") -> dict[str, bytes]:
        commit, start = self.commit_of(ref), f"{folder}/" if folder else ""
        tree = self._tree(commit) if commit else {}
        return {path: data for path, (_, data) in tree.items() if path.startswith(start) and path.endswith(ending)}

    def trailers(self, branch: str, key: str) -> dict[str, str]:
        found: dict[str, str] = {}
        at = self.head(branch)
        while at is not None:
            commit = self.commits[at]
            for value in trailers_of(commit.message, key):
                found.setdefault(value, at)
            at = commit.parents[0] if commit.parents else None
        return found

    def logged(self, ref: str, word: str) -> tuple[Logged, ...]:
        found: list[Logged] = []
        at = self.refs.get(ref)
        while at is not None:
            one = self.commits[at]
            if word in one.message:
                whole = one.message.rstrip("\n") + "\n"
                found.append(Logged(commit=at, parents=one.parents, message=whole, at=one.order))
            at = one.parents[0] if one.parents else None
        return tuple(found)

    def outgoing(self, branch: str, *, limit: int, commit: str = "") -> str:
        mine = commit or self.head(branch)
        if self.remote is None or mine is None:
            return ""
        there = {one for head in self.remote.values() if head in self.commits for one in self._ancestors(head)}
        text = ""
        for one in self._ancestors(mine):
            parents = self.commits[one].parents
            before = self._tree(parents[0]) if parents else {}
            after = self._tree(one)
            changes = compare(before, after) if one not in there else ()
            text += "".join(hunk(it.path, before.get(it.path), after.get(it.path)) for it in changes)
        return text[:limit]

    def fetch(self, branch: str, ref: str) -> str:
        if not ref.startswith(OURS):
            raise GitError(f"{ref} is not ours to move; kept refs are under {OURS}")
        self.fault("fetch:before")
        if self.remote_refuses and self.remote is not None:
            return self.remote_refuses
        if (there := (self.remote or {}).get(branch)) is None:
            self.refs.pop(ref, None)
        else:
            self._commit(there)
            self._put_ref(ref, there)
        self.fault("fetch:after")
        return ""

    def push(self, branch: str, *, commit: str = "", old: str = "") -> str:
        self.fault("push:before")
        self.asked_to_push += 1
        if self.remote is None:
            return ""
        mine, there = commit or self.head(branch), self.remote.get(branch)
        if self.remote_refuses:
            return self.remote_refuses
        if commit and not self.contains(commit, old):
            return f"error: {commit} does not follow {old}"
        if commit and there != old:
            return f"! {branch} [rejected] (stale info)"
        if mine is None:
            return f"error: there is no branch {branch}"
        if self.push_refused:
            return self.push_refused
        if there is not None and not (there in self.commits and self.contains(mine, there)):
            return f"! {branch} [rejected] (non-fast-forward)"
        self.remote[branch] = mine
        self.fault("push:after")
        return ""

    def unlock(self, place: str, branch: str, kept: str = "") -> tuple[str, ...]:
        self.fault("unlock:before")
        work, name = self.worktrees.get(place), f"{HEADS}{branch}.lock"
        mine = {lock for lock in self.branch_locks if kept and lock.startswith(kept)}
        removed: list[str] = [lock for lock in ("index.lock", "HEAD.lock") if work is not None and lock in work.locks]
        if work is not None:
            work.locks -= set(removed)
        removed += [name] if name in self.branch_locks else []
        removed += sorted(mine)
        self.branch_locks -= {name, *mine}
        self.fault("unlock:after")
        return tuple(removed)

    # How it is done.

    def _at(self, place: str) -> SimTree:
        if place not in self.worktrees or self.worktrees[place].is_broken:
            raise GitError("this folder is no work tree of the repository", file=place)
        return self.worktrees[place]

    def _commit(self, commit: str) -> Commit:
        if commit not in self.commits:
            raise GitError(f"{commit} is no commit")
        return self.commits[commit]

    def _tree(self, name: str) -> Tree:
        return self.trees[name] if name in self.trees else self.trees[self._commit(name).tree]

    def _head(self, work: SimTree) -> str | None:
        return work.commit if work.branch is None else self.head(work.branch)

    def _head_tree(self, work: SimTree) -> Tree:
        head = self._head(work)
        return self._tree(head) if head else {}

    def _is_left_out(self, work: SimTree, path: str) -> bool:
        return path not in self._head_tree(work) and is_ignored(work.files, path)

    def _take(self, work: SimTree) -> Tree:
        elsewhere = {path: one for path, one in self._head_tree(work).items() if not work.has(path)}
        return elsewhere | {path: one for path, one in work.files.items() if not self._is_left_out(work, path)}

    def _move_head(self, work: SimTree, new: str) -> None:
        if work.branch is None:
            work.commit = new
        else:
            self._put_ref(HEADS + work.branch, new)

    @staticmethod
    def _put_over(tree: Tree, files: Mapping[str, bytes | None]) -> Tree:
        whole = {path: one for path, one in tree.items() if path not in files}
        return whole | {path: (FILE, data) for path, data in files.items() if data is not None}

    def _has_room(self, tree: Tree) -> bool:
        """Tell whether a tree fits into the *room* which a story has left on the disk."""
        return self.room is None or sum(len(data) for _, data in tree.values()) <= self.room

    def _store_tree(self, tree: Tree) -> str:
        name = tree_id(tree)
        self.trees.setdefault(name, dict(tree))
        return name

    def _store(self, tree: Tree, parents: tuple[str, ...], message: str) -> str:
        order = 1 + max((self._commit(parent).order for parent in parents), default=0)
        commit = Commit(tree=self._store_tree(tree), parents=parents, message=message, order=order)
        name = commit_id(commit.tree, parents, message)
        self.commits.setdefault(name, commit)
        return name

    def _ancestors(self, commit: str, floor: int = 0) -> Iterator[str]:
        """Yield *commit* and its ancestors that are not older than *floor*."""
        self._commit(commit)
        seen, waiting = {commit}, [commit]
        while waiting:
            one = waiting.pop()
            yield one
            for parent in self.commits[one].parents:
                if parent not in seen and self.commits[parent].order >= floor:
                    seen.add(parent)
                    waiting.append(parent)

    def unsure(self) -> dict[str, str | None]:
        """Return the refs whose names nobody synced, each with what a power loss may find there."""
        return dict(self._moved)

    def lose_power(self, found: Mapping[str, str | None]) -> None:
        """Lose the power: of the refs whose names nobody synced those that are *found* stand where they stood."""
        for ref, old in found.items():
            self.refs.pop(ref, None)
            if old is not None:
                self.refs[ref] = old
        self._moved.clear()

    def _put_ref(self, ref: str, commit: str) -> None:
        """Move a ref as git does: its file is synced, its name is not."""
        self._moved.setdefault(ref, self.refs.get(ref))
        self.refs[ref] = commit

    def _sync_ref(self, ref: str) -> None:
        """Sync the folder of a ref, and so the names of all that are in it."""
        folder = posixpath.dirname(ref)
        for one in [one for one in self._moved if posixpath.dirname(one) == folder]:
            del self._moved[one]

    def _swap(self, branch: str, new: str, old: str) -> bool:
        self._commit(new)
        now = self.head(branch)
        if now != (None if set(old) == {"0"} else old):
            return False
        if f"{HEADS}{branch}.lock" in self.branch_locks:
            raise GitError(f"the branch {branch} is locked")
        self._put_ref(HEADS + branch, new)
        self.fault("swap:moved")
        self._sync_ref(HEADS + branch)
        return True

    def _blocking(self, place: str, before: Tree, after: Tree) -> set[str]:
        work = self._at(place)
        if work.in_progress or "index.lock" in work.locks:
            return {f"{place}/.git/{work.in_progress or 'index.lock'}"}
        touched = {change.path for change in compare(before, after)}
        dirty = {path for path in touched if before.get(path) != work.files.get(path)}
        arriving = [path for path in touched if path in after]
        return dirty | obstacles(work.files, arriving, touched & before.keys())

    def _follow(self, intent: SimIntent) -> None:
        """Let the work trees follow path by path; what is neither old nor new is the user's own."""
        before = {} if set(intent.old) == {"0"} else self._tree(intent.old)
        now = self.refs[HEADS + intent.branch]
        after = self._tree(now)
        for place in intent.places:
            work = self.worktrees.get(place)
            if work is None or work.branch != intent.branch:
                continue
            for change in compare(before, after):
                self.fault("land:file")
                if work.files.get(change.path) != before.get(change.path):
                    continue
                if change.path in after:
                    work.files[change.path] = after[change.path]
                else:
                    del work.files[change.path]
        self.intent = None

"""The repository, real side: git itself, asked through one private way of starting it."""
# Names are bytes here, and pathlib's import is dear.

from __future__ import annotations

import os
from contextlib import contextmanager

from gluerun.adapters import git_folders as folders
from gluerun.adapters import git_publishing as publishing
from gluerun.adapters.git_command import GitCommand, decode, encode
from gluerun.adapters.git_refs import below as refs_below
from gluerun.adapters.git_refs import heads as refs_in_files
from gluerun.adapters.git_trees import differences, parse_batch, parse_tree
from gluerun.core.spelling import bytes_of
from gluerun.errors import GitError
from gluerun.ports import Change

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from gluerun.adapters.git_building import Building
    from gluerun.adapters.git_landing import Landings
    from gluerun.adapters.git_worktrees import WorkTrees
    from gluerun.ports import Landed, Logged, Merge, Stored

OURS = "refs/gluerun/"
UNSEEN = (b"docs", b"orchestration")


class RepositoryGit:
    """The repository at *root*, with the records of landings kept in the folder *state*.

    *lock* is held around changes of work trees and landings; without one the caller holds it.
    """

    def __init__(
        self,
        root: str,
        state: str,
        *,
        identity_name: str = "gluerun",
        identity_email: str = "gluerun@localhost",
        lock: Callable[[], AbstractContextManager[None]] | None = None,
        fault: Callable[[str], None] | None = None,
    ) -> None:
        self._git = GitCommand(os.path.abspath(root), identity_name, identity_email)
        self._state = os.path.abspath(state)
        self._lock = lock or _Unlocked
        self._fault = fault
        self._building: Building | None = None

    @property
    def processes(self) -> int:
        """How many git processes this door has started."""
        return self._git.started

    def head(self, branch: str) -> str | None:
        return self.heads((branch,)).get(branch)

    def heads(self, branches: Sequence[str]) -> dict[str, str]:
        if not branches:
            return {}
        if (told := refs_in_files(self._git.root, list(branches))) is not None:
            return told
        refs = self._refs(*(f"refs/heads/{branch}" for branch in branches))
        return {branch: refs[ref] for branch in branches if (ref := f"refs/heads/{branch}") in refs}

    def commit_of(self, revision: str) -> str | None:
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options")
        return self._git.run(*words, f"{revision}^{{commit}}", ok=(0, 1)).line or None

    def tree_of(self, commit: str) -> str:
        return self._git.line("rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}")

    def code_tree(self, commit: str) -> str:
        import hashlib

        docs, unseen = UNSEEN
        give = encode(f"{commit}^{{tree}}\n{commit}:{decode(docs)}\n")
        whole, within = parse_batch(self._git.run("cat-file", "--batch", give=give).out, 2)
        if whole is None:
            raise GitError(f"{commit} is no commit", file=self._git.root)
        digest = hashlib.sha256()
        is_folder = within is not None and within[0] == "tree"
        for mode, name, sha in parse_tree(whole[1], whole[2]):
            if not (is_folder and name == docs):
                digest.update(b"%s %s\0%s" % (mode, name, sha))
        if within is not None and is_folder:
            for mode, name, sha in parse_tree(within[1], within[2]):
                if name != unseen:
                    digest.update(b"%s docs/%s\0%s" % (mode, name, sha))
        return digest.hexdigest()

    def contains(self, commit: str, ancestor: str) -> bool:
        return self._git.run("merge-base", "--is-ancestor", ancestor, commit, ok=(0, 1)).code == 0

    def merge(self, ours: str, theirs: str) -> Merge:
        from gluerun.adapters.git_merging import merge

        return self._building.merge(ours, theirs) if self._building is not None else merge(self._git, ours, theirs)

    def clashes(self, ours: str, heads: Sequence[str]) -> dict[str, tuple[str, ...]]:
        from gluerun.adapters.git_merging import merges

        found = zip(heads, merges(self._git, [(ours, head) for head in heads]), strict=True)
        return {
            head: merge.conflicts
            for head, merge in found
            if not isinstance(merge, GitError) and merge.conflicts and not merge.unrelated
        }

    def commit_tree(
        self, tree: str, parents: Sequence[str], message: str, *, sign: bool = False, author: str = ""
    ) -> str:
        if self._building is not None and not sign and not author:
            return self._building.store(tree, parents, message)
        return publishing.commit_tree(self._git, tree, parents, message, sign=sign, author=author)

    @contextmanager
    def building(self, count: int) -> Iterator[None]:
        from gluerun.adapters.git_building import Building

        self._building = building = Building(self._git, count)
        try:
            yield
        finally:
            self._building = None
            building.end()

    def commit_over(self, tree: str, files: Mapping[str, bytes | None], parents: Sequence[str], message: str) -> Stored:
        return publishing.commit_over(self._git, tree, files, parents, message)

    def advance(self, branch: str, new: str, old: str) -> bool:
        from gluerun.adapters.git_landing import swap

        return swap(self._git, branch, new, old, "gluerun: advance")

    def land(self, branch: str, new: str, old: str) -> Landed:
        with self._lock():
            return self._landings().land(branch, new, old)

    def could_land(self, branch: str, new: str, old: str) -> Landed:
        with self._lock():
            return self._landings().could_land(branch, new, old)

    def finish_landing(self) -> bool:
        with self._lock():
            return self._landings().finish()

    def changes(self, old: str, new: str) -> tuple[Change, ...]:
        return tuple(
            Change(path=one.path, status=one.letter, mode=(one.new or ("", ""))[0], sha=(one.new or ("", ""))[1])
            for one in differences(self._git, old, new)
        )

    def patch(self, old: str, new: str, *, limit: int) -> str:
        words = ("diff-tree", "-p", "-M", "--no-color", "--no-ext-diff", "--no-textconv", old, new)
        # A character is at most four bytes; one more tells that there is a rest.
        # Bytes that are no UTF-8 are spelled as in the name of a file, so that names in it lead back to their files.
        text = self._git.run_some(*words, enough=4 * limit + 4).out.decode("utf-8", "backslashreplace")
        return text if len(text) <= limit else f"{text[:limit]}\n[cut after {limit} characters]\n"

    def file_at(self, commit: str, path: str) -> bytes | None:
        if not path or path.startswith(("/", "./", "../")):
            return None
        give = encode(f"{commit}:") + bytes_of(path) + b"\0"
        found = parse_batch(self._git.run("cat-file", "--batch", "-z", give=give).out, 1)[0]
        return found[1] if found is not None and found[0] == "blob" else None

    def add_worktree(
        self,
        place: str,
        commit: str,
        *,
        branch: str | None = None,
        lasting: bool = False,
        parts: Sequence[str] | None = None,
    ) -> None:
        with self._lock():
            self._trees().add(place, commit, branch, lasting=lasting, parts=parts)

    def recycle_worktree(self, place: str, commit: str) -> str:
        with self._lock():
            return self._trees().recycle(place, commit)

    def remove_worktree(self, place: str) -> None:
        with self._lock():
            self._trees().remove(place)

    def seed_worktree(self, place: str, tree: str) -> None:
        self._trees().seed(place, tree)

    def dirt(self, place: str) -> tuple[Change, ...]:
        return self._trees().dirt(place)

    def worktree_head(self, place: str) -> str | None:
        return self._trees().head(place)

    def is_ignored(self, place: str, path: str) -> bool:
        return self._trees().is_ignored(place, path)

    def commit_all(self, place: str, base: str, message: str) -> str:
        return self._trees().commit_all(place, base, message)

    def snapshot(self, place: str, message: str) -> str | None:
        return self._trees().snapshot(place, message)

    def keep(self, ref: str, commit: str) -> None:
        if not ref.startswith(OURS):
            raise GitError(f"{ref} is not ours to move; kept refs are under {OURS}")
        folders.sync_objects(self._git.root, self._git.synced)
        self._git.run("update-ref", "--no-deref", ref, commit)
        folders.sync_ref(self._git.root, ref, self._git.synced)

    def kept(self, prefix: str) -> dict[str, str]:
        told = refs_below(self._git.root, prefix)
        return self._refs(prefix) if told is None else told

    def forget(self, ref: str, old: str) -> bool:
        if not ref.startswith(OURS):
            raise GitError(f"{ref} is not ours to remove; kept refs are under {OURS}")
        answer = self._git.run("update-ref", "--no-deref", "-d", ref, old, ok=(0, 1, 128))
        if answer.code and self._refs(ref).get(ref) == old:
            said = answer.err.decode("utf-8", "replace").strip()
            raise GitError(f"{ref} cannot be removed: {said}", file=self._git.root)
        return answer.code == 0

    def strays(self, place: str) -> tuple[str, ...]:
        return self._trees().strays(place)

    def salvage(self, place: str, message: str) -> str | None:
        return self._trees().salvage(place, message)

    def told(self, commits: Sequence[str]) -> tuple[Logged, ...]:
        from gluerun.adapters.git_upkeep import told

        return told(self._git, commits)

    def weight(self, old: str, new: str) -> tuple[int, int]:
        from gluerun.adapters.git_upkeep import weight

        return weight(self._git, old, new)

    def hand_out(self, place: str, commit: str) -> None:
        with self._lock():
            self._git.run("worktree", "add", "--quiet", "--detach", "--", place, commit)

    def sweep(self) -> int:
        with self._lock():
            return self._trees().sweep()

    def maintain(self) -> str:
        from gluerun.adapters.git_upkeep import maintain

        with self._lock():
            return maintain(self._git)

    def delete_branches(self, heads: Mapping[str, str]) -> frozenset[str]:
        if not heads:
            return frozenset()
        give = "".join(f"delete refs/heads/{branch}\0{old}\0" for branch, old in heads.items())
        answer = self._git.run("update-ref", "--no-deref", "-z", "--stdin", give=encode(give), ok=(0, 1, 128))
        if answer.code == 0:
            return frozenset(heads)
        # It is all or nothing: those that are elsewhere by now are left out, and it is asked again.
        there = self.heads(tuple(heads))
        still = {branch: old for branch, old in heads.items() if there.get(branch) == old}
        if len(still) < len(heads):
            return self.delete_branches(still)
        said = answer.err.decode("utf-8", "replace").strip()
        raise GitError(f"the branches {', '.join(heads)} cannot be deleted: {said}", file=self._git.root)

    def publish(self, ref: str, files: Mapping[str, bytes | None], message: str) -> str:
        return publishing.publish(self._git, ref, files, message)

    def published(self, ref: str, folder: str = "", *, ending: str = "") -> dict[str, bytes]:
        return publishing.published(self._git, ref, folder, ending)

    def trailers(self, branch: str, key: str) -> dict[str, str]:
        return publishing.trailers(self._git, branch, key)

    def logged(self, ref: str, word: str) -> tuple[Logged, ...]:
        return publishing.logged(self._git, ref, word)

    def outgoing(self, branch: str, *, limit: int, commit: str = "") -> str:
        return publishing.outgoing(self._git, branch, limit, commit)

    def fetch(self, branch: str, ref: str) -> str:
        if not ref.startswith(OURS):
            raise GitError(f"{ref} is not ours to move; kept refs are under {OURS}")
        return publishing.fetch(self._git, branch, ref)

    def push(self, branch: str, *, commit: str = "", old: str = "") -> str:
        return publishing.push(self._git, branch, commit, old)

    def unlock(self, place: str, branch: str, kept: str = "") -> tuple[str, ...]:
        with self._lock():
            return self._trees().unlock(place, branch, kept)

    def _refs(self, *patterns: str) -> dict[str, str]:
        """Return refs and their commits in one process."""
        lines = self._git.line("for-each-ref", "--format=%(refname) %(objectname)", *patterns).split("\n")
        return dict(line.split(" ") for line in lines if line)

    def _trees(self) -> WorkTrees:
        from gluerun.adapters.git_worktrees import WorkTrees

        return WorkTrees(self._git)

    def _landings(self) -> Landings:
        from gluerun.adapters.git_landing import Landings

        return Landings(self._git, self._state, self._fault)


class _Unlocked:
    """A lock that somebody else holds."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None

"""Work trees: making and removing them, and turning what stands in them into commits."""
# Names are bytes here, and pathlib's import is dear.

from __future__ import annotations

import os

from gluerun.adapters import git_folders as folders
from gluerun.adapters.git_command import decode, encode, pieces
from gluerun.core.spelling import bytes_of
from gluerun.errors import GitError
from gluerun.ports import Change

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gluerun.adapters.git_command import GitCommand

HOME = ".worktrees"
REASON = "gluerun works here"
# Which branch a work tree of ours is for; an agent may have switched to another one.
PURPOSE = "gluerun-branch"
# Which commit it was made at: what its HEAD was on later and nothing reaches is somebody's work.
BEGIN = "gluerun-begin"
OWN = b"gluerun:"
# A place on its way out. The rename is what removes it: one that is half gone is never taken for somebody's work.
GONE = ".gone"
_HEX = frozenset("0123456789abcdef")
EMBEDDED = "does not have a commit checked out"
PARTS = "info/sparse-checkout"
WHOLE = ("-c", "core.sparseCheckout=false")
# Somebody may have told git that a file is elsewhere; one that is there is looked at, and none is folded away.
LOOKING = ("-c", "core.sparseCheckout=true", "-c", "index.sparse=false")


class WorkTrees:
    """The work trees of one repository."""

    def __init__(self, git: GitCommand) -> None:
        self._git = git

    def add(
        self, place: str, commit: str, branch: str | None, *, lasting: bool = False, parts: Sequence[str] | None = None
    ) -> None:
        if branch is not None:
            if self._git.run("symbolic-ref", "--quiet", "HEAD", ok=(0, 1)).line == f"refs/heads/{branch}":
                raise GitError(f"{branch} is checked out in the repository itself; check out another branch there")
            # Set by its ref: `-B` refuses a branch that a tree of an earlier crash still has checked out.
            self._git.run("update-ref", "-m", "gluerun: begin", f"refs/heads/{branch}", commit)
            folders.sync_ref(self._git.root, f"refs/heads/{branch}", self._git.synced)
        what = ("--detach", "--", place, commit) if branch is None else ("--", place, branch)
        if parts is not None:
            what = ("--no-checkout", *what)
        # The user's own checkout may be of a part; a place is whole where nobody asked for less.
        self._git.run(*WHOLE, "worktree", "add", "--quiet", "--force", "--lock", "--reason", REASON, *what)
        folder = self._folder(place)
        if parts is not None:
            folders.put_durably(folders.join(folder, PARTS), cone(parts))
            words = ("-c", "core.sparseCheckoutCone=true", "-c", "index.threads=1", "read-tree", "-m", "-u", "HEAD")
            self._git.run(*LOOKING, *words, at=place)
        folders.put_durably(folders.join(folder, BEGIN), encode(commit))
        folders.put_durably(folders.join(folder, PURPOSE), encode(branch or ""))
        if lasting:
            from gluerun.adapters.git_recycling import remember

            remember(self._git, place, folder, commit)

    def recycle(self, place: str, commit: str) -> str:
        from gluerun.adapters.git_recycling import recycle

        return recycle(self._git, place, commit)

    def remove(self, place: str) -> None:
        self._refuse_outside(place)
        known = list(self._metadata(place))
        home, name = os.path.split(os.path.normpath(place))
        if os.path.lexists(encode(place)):
            going = folders.join(home, f".{name}{GONE}")
            folders.clear(going)
            os.rename(encode(place), encode(going))
        for folder in known:
            folders.clear(folder)
        self.sweep()

    def sweep(self) -> int:
        """Remove places whose removal a crash has cut in two; return how many."""
        home = folders.join(self._git.root, HOME)
        names = os.listdir(encode(home)) if os.path.isdir(encode(home)) else []
        gone = [decode(one) for one in names if one.startswith(b".") and one.endswith(encode(GONE))]
        for name in gone:
            folders.clear(folders.join(home, name))
        return len(gone)

    def head(self, place: str) -> str | None:
        if folders.own_folder(self._git.root, place) is None:
            return None
        answer = self._git.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}", at=place, ok=(0, 1, 128))
        return answer.line or None

    def dirt(self, place: str) -> tuple[Change, ...]:
        self._folder(place)
        words = pieces(
            self._git.run(
                *LOOKING,
                "status",
                "--porcelain=v1",
                "-z",
                "--untracked-files=all",
                "--ignored=no",
                "--no-renames",
                "--ignore-submodules=dirty",
                at=place,
            ).out
        )
        found: dict[str, str] = {}
        for word in words:
            code, path = word[:2], word[3:].rstrip("/")
            # Added to the index and gone again: nothing differs. Only out of the index: it may still differ.
            if code != "AD":
                found[path] = "M" if path in found else _letter(code)
        return tuple(Change(path=path, status=found[path]) for path in sorted(found))

    def is_ignored(self, place: str, path: str) -> bool:
        self._folder(place)
        name = decode(bytes_of(path))
        return self._git.run("check-ignore", "-q", "--", f"./{name}", at=place, ok=(0, 1)).code == 0

    def seed(self, place: str, tree: str) -> None:
        folder = self._folder(place)
        with _PrivateIndex(folder, "seed") as index:
            if not folders.copy_index(folder, index):
                self._git.run("read-tree", "HEAD", at=place, index=index, ok=(0, 128))
            # Known to the private index, what is not in the tree goes away too.
            self._take_everything(place, index)
            self._git.run("read-tree", "--reset", "-u", tree, at=place, index=index)
        if os.path.lexists(encode(folders.join(folder, PARTS))):
            self._open_gone(place, tree)

    def _open_gone(self, place: str, tree: str) -> None:
        """Let what *tree* lacks be missed at a place of a part, where not to be there means nothing else."""
        words = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=D", "HEAD", tree)
        if gone := self._git.run(*words, at=place).out:
            self._git.run("update-index", "--no-skip-worktree", "-z", "--stdin", at=place, give=gone)

    def snapshot(self, place: str, message: str) -> str | None:
        folder = folders.own_folder(self._git.root, place)
        if folder is None:
            return None
        head = self.head(place)
        with _PrivateIndex(folder, "snapshot") as index:
            tree = self._whole_tree(place, index, folder, head)
        if head is not None and tree == self._tree_of(head):
            return head
        return self._commit(tree, head, message)

    def salvage(self, place: str, message: str) -> str | None:
        home = folders.folder_of(self._git.root)
        is_folder = os.path.isdir(encode(place)) and not os.path.islink(encode(place))
        if home is None or not is_folder or folders.own_folder(self._git.root, place) is not None:
            return None
        shared = folders.shared_of(home)
        at = (f"--git-dir={shared}", "--work-tree=.")
        with _PrivateIndex(shared, "salvage") as index:
            answer = self._git.run(*at, "add", "-A", "--ignore-errors", at=place, index=index, ok=(0, 1, 128))
            if not self._git.run(*at, "ls-files", at=place, index=index).out:
                if answer.code:
                    said = answer.err.decode("utf-8", "replace").strip()
                    raise GitError(f"the files of a broken work tree cannot be taken: {said[:2000]}", file=place)
                return None
            tree = self._git.line(*at, "write-tree", at=place, index=index)
        return self._commit(tree, None, message)

    def strays(self, place: str) -> tuple[str, ...]:
        folder = folders.own_folder(self._git.root, place)
        if folder is None:
            return ()
        # Two while a place that stays goes from one commit to the next.
        begins = set(decode(folders.read(folders.join(folder, BEGIN)) or b"").split())
        visited = _visited(folders.read(folders.join(folder, "logs/HEAD")) or b"") - begins
        head = decode(folders.read(folders.join(folder, "HEAD")) or b"").strip()
        if _is_id(head) and head not in begins:
            visited.add(head)
        if not visited:
            return ()
        # Not `--all`: that goes through the HEADs of all work trees too, and this one is about to go.
        rest = ("--not", "--glob=refs/", *sorted(begins))
        said = self._git.line("rev-list", "--parents", "--topo-order", "--ignore-missing", *sorted(visited), *rest)
        lines = [line.split(" ") for line in said.split("\n") if line]
        parents = {parent for line in lines for parent in line[1:]}
        return tuple(line[0] for line in lines if line[0] not in parents)

    def commit_all(self, place: str, base: str, message: str) -> str:
        folder = self._folder(place)
        lock, token = folders.join(folder, folders.INDEX_LOCK), b"gluerun commits"
        # A lock with our own word in it is of a commit that a crash ended; a tree has one engine at a time.
        if not folders.take(lock, token) and not folders.holds(lock, token):
            raise GitError("another git works on this work tree", "remove the lock if none does", file=lock)
        try:
            with _PrivateIndex(folder, "commit") as index:
                tree = self._whole_tree(place, index, folder, base)
                new = base if tree == self._tree_of(base) else self._commit(tree, base, message)
                self._attach(place, folder, new)
                os.replace(encode(index), encode(folders.join(folder, "index")))
            for name in folders.LEFT_OVER:
                folders.clear(folders.join(folder, name))
        finally:
            folders.release(lock, token)
        return new

    def unlock(self, place: str, branch: str, kept: str) -> tuple[str, ...]:
        folder = folders.own_folder(self._git.root, place)
        home = folders.folder_of(self._git.root)
        candidates = [] if folder is None else [(folder, folders.INDEX_LOCK), (folder, "HEAD.lock")]
        if home is not None:
            shared = folders.shared_of(home)
            candidates.append((shared, f"refs/heads/{branch}.lock"))
            # What a dead run would have kept has the run in its name: nobody else ever writes it.
            candidates += [(shared, name) for name in _locks_of(shared, kept)]
        return tuple(name for where, name in candidates if folders.discard(folders.join(where, name)))

    def _folder(self, place: str) -> str:
        folder = folders.own_folder(self._git.root, place)
        if folder is None:
            raise GitError("this folder is no work tree of the repository", file=place)
        return folder

    def _refuse_outside(self, place: str) -> None:
        home = os.path.realpath(encode(folders.join(self._git.root, HOME)))
        parent = os.path.realpath(encode(os.path.dirname(os.path.normpath(place))))
        if parent != home and not parent.startswith(home + b"/"):
            raise GitError(f"only work trees beneath {HOME} are ever removed", file=place)

    def _metadata(self, place: str) -> Iterator[str]:
        """Name what git knows of *place*, also where making it was cut in two."""
        home = folders.folder_of(self._git.root)
        shelf = folders.join(folders.shared_of(home), "worktrees") if home else ""
        name = os.path.basename(os.path.normpath(place))
        for one in sorted(os.listdir(encode(shelf))) if os.path.isdir(encode(shelf)) else []:
            folder = folders.join(shelf, decode(one))
            back = folders.read(folders.join(folder, "gitdir"))
            if back is None:
                is_it = decode(one).startswith(name) and (decode(one)[len(name) :] or "0").isdigit()
            else:
                is_it = _resolved(os.path.dirname(folders.backlink(folder, back))) == _resolved(place)
            if is_it:
                yield folder

    def _whole_tree(self, place: str, index: str, folder: str, start: str | None) -> str:
        """Return the tree of everything at *place* that is not ignored, and leave it in *index*."""
        # Without an index the tracked files would be new ones, and the ignored among them would be lost.
        if not folders.copy_index(folder, index) and start is not None:
            self._git.run("read-tree", start, at=place, index=index)
        self._take_everything(place, index)
        return self._git.line("write-tree", at=place, index=index)

    def _take_everything(self, place: str, index: str) -> None:
        # Somebody may have told git not to look at a file; we look.
        self._git.run(*LOOKING, "update-index", "-q", "--really-refresh", at=place, index=index, ok=(0, 1))
        every = (*LOOKING, "add", "-A", "--sparse")
        answer = self._git.run(*every, at=place, index=index, ok=(0, 128))
        if answer.code == 0:
            return
        # A repository without a commit inside the tree has nothing that git could take.
        said = answer.err.decode("utf-8", "replace")
        if EMBEDDED not in said:
            raise GitError(f"the files of the work tree cannot be taken: {said.strip()[:2000]}", file=place)
        again = self._git.run(*every, "--ignore-errors", at=place, index=index, ok=(0, 1))
        errors = [line for line in again.err.decode("utf-8", "replace").splitlines() if "error:" in line]
        if not all(EMBEDDED in line for line in errors):
            raise GitError(f"the files of the work tree cannot be taken: {errors[0]}", file=place)

    def _tree_of(self, commit: str) -> str:
        return self._git.line("rev-parse", "--verify", f"{commit}^{{tree}}")

    def _commit(self, tree: str, parent: str | None, message: str) -> str:
        parents = () if parent is None else ("-p", parent)
        return self._git.line("commit-tree", *parents, "-F", "-", tree, give=encode(message))

    def _attach(self, place: str, folder: str, new: str) -> None:
        """Let the branch that this work tree is for, or else its HEAD, move to *new*."""
        purpose = folders.read(folders.join(folder, PURPOSE))
        note = ("-m", "gluerun: commit")
        if purpose is None:
            old = self.head(place) or "0" * len(new)
            self._git.run("update-ref", *note, "HEAD", new, old, at=place)
        elif branch := decode(purpose):
            ref = f"refs/heads/{branch}"
            answer = self._git.run("rev-parse", "--verify", "--quiet", ref, ok=(0, 1))
            folders.sync_objects(self._git.root, self._git.synced)
            self._git.run("update-ref", *note, ref, new, answer.line or "0" * len(new), at=place)
            folders.sync_ref(self._git.root, ref, self._git.synced)
            self._git.run("symbolic-ref", *note, "HEAD", ref, at=place)
        else:
            self._git.run("update-ref", "--no-deref", *note, "HEAD", new, at=place)


def cone(parts: Sequence[str]) -> bytes:
    """Return what makes git check out *parts*, folders of the tree, and the files of all folders above them."""
    wanted = {bytes_of(part.strip("/")) for part in parts} - {b""}
    above = {one[:at] for one in wanted for at in range(len(one)) if one[at : at + 1] == b"/"}
    lines = [b"/*", b"!/*/"]
    for one in sorted(above | wanted):
        name = b"/" + b"".join(b"\\" + bytes((each,)) if each in b"\\*?[" else bytes((each,)) for each in one) + b"/"
        if not any(one.startswith(whole + b"/") for whole in wanted):
            lines += [name] if one in wanted else [name, b"!" + name + b"*/"]
    return b"\n".join([*lines, b""])


class _PrivateIndex:
    """An index file of our own in a git folder, gone afterwards."""

    def __init__(self, folder: str, purpose: str) -> None:
        self._path = folders.join(folder, f"gluerun-{purpose}-{os.getpid()}.index")

    def __enter__(self) -> str:
        self.__exit__()
        return self._path

    def __exit__(self, *_: object) -> None:
        folders.discard(self._path)
        folders.discard(f"{self._path}.lock")


def _visited(log: bytes) -> set[str]:
    """Return the commits that a work tree's HEAD was on by somebody else's doing, from its log."""
    found = set()
    for line in log.split(b"\n"):
        values, _, words = line.partition(b"\t")
        parts = values.split(b" ")
        if len(parts) > 1 and not words.startswith(OWN) and _is_id(one := decode(parts[1])) and set(one) != {"0"}:
            found.add(one)
    return found


def _is_id(word: str) -> bool:
    return len(word) in (40, 64) and set(word) <= _HEX


def _letter(code: str) -> str:
    """Say how a path differs from HEAD, from the two letters of a short status."""
    if code == "??":
        return "A"
    if "U" in code or code in ("AA", "DD"):
        return "M"
    if "D" in code:
        return "D"
    return next(letter for letter in "ATM" if letter in code)


def _resolved(place: str) -> bytes:
    parent, name = os.path.split(os.path.normpath(place))
    return os.path.join(os.path.realpath(encode(parent)), encode(name))


def _locks_of(shared: str, prefix: str) -> list[str]:
    folder = os.path.dirname(prefix)
    try:
        names = sorted(decode(name) for name in os.listdir(encode(folders.join(shared, folder)))) if prefix else []
    except OSError:
        return []  # nothing was ever kept there
    found = [f"{folder}/{name}" for name in names if name.endswith(".lock")]
    return [name for name in found if name.startswith(prefix)]

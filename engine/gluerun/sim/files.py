"""Files in memory, with a crash at any step and a power loss after any step.

What a power loss may find follows the syncs of the real side, operation by operation:

- a durable write or a creation syncs the file, gives it its name, syncs the folder;
- a write that is not durable syncs nothing: its name may still be what it was, its file may be empty or half;
- of many that are written at once each file is synced, and their folders at the end;
- a move that is not durable syncs nothing: it may be undone, as a whole;
- an append syncs the file, and the folder if the file is new; a move syncs both folders, a removal its one;
- a folder that is synced knows all of its names for certain, also those of files that are not synced;
- a sweep syncs nothing; a new folder is synced into the one above it.
"""

from __future__ import annotations

from gluerun.errors import GluerunError, StateError
from gluerun.ports import BALLAST, FileMark
from gluerun.records.record import record
from gluerun.sim.copying import copied
from gluerun.sim.crash import PowerCut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Fault = Callable[[str], None]

_BLOCK = 4096


@record
class Operation:
    """One change that was made: enough to make it again on another machine, or to lose it."""

    verb: str
    path: str
    data: bytes = b""
    new: str = ""
    durable: bool = True
    is_named: bool = True


@record
class Unsure:
    """A name of which a power loss may find something else: what it was before, and whether its file is synced.

    With a *source* the file stands there again if what was before is found here.
    """

    older: tuple[bytes | None, ...]
    is_synced: bool
    source: str = ""


class SimFiles:
    """Files as one dictionary.

    `fault` is called with `before <verb> <path>` and `after <verb> <path>`; what it raises goes through. A
    crash (any exception but ours) before a write leaves the half-written temporary that a real one leaves.
    An `onlooker` is told what each answer depended on (`read`, `mark` a path; `names`, `torn` of a folder),
    and what `wrote` a path anew. With a ballast, a write that a fault calls full is made all the same in the space
    that the ballast has taken, which is given up then.
    """

    def __init__(self, fault: Fault | None = None, *, has_ballast: bool = False) -> None:
        self.fault = fault
        self.room = 0
        self._has_ballast = has_ballast
        self.files: dict[str, bytes] = {}
        self._unsure: dict[str, Unsure] = {}
        self.under_way: Operation | None = None
        self.onlooker: Callable[[str, str], None] | None = None
        self.free = 1 << 40
        self._folders: dict[str, FileMark] = {"": FileMark(mtime_ns=0, size=0, inode=1)}
        self._marks: dict[str, FileMark] = {}
        self._steps = 1

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copied(self, memo, "fault")

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes; None if there is no such file. StateError if it cannot be read."""
        if _clean(path) in self._folders:
            raise StateError(f"cannot read {path}: is a directory", file=path)
        self._show("read", path)
        return self.files.get(path)

    def tail(self, path: str, limit: int) -> bytes:
        """Return the last *limit* bytes of a file at most; empty if there is no such file."""
        data = self.read(path) or b""
        return data[max(0, len(data) - limit) :]

    def write(self, path: str, data: bytes, *, durable: bool = True) -> None:
        """Put *data* at *path*, whole or not at all; with *durable* it survives power loss."""
        self._check_place(path)
        self._do(Operation(verb="write", path=path, data=bytes(data), durable=durable))

    def write_all(self, files: Mapping[str, bytes]) -> None:
        """Put each of *files* at its path, whole or not at all; all of them survive power loss once this returns."""
        for path, data in files.items():
            self._check_place(path)
            self._do(Operation(verb="write", path=path, data=bytes(data), is_named=False))
        for folder in {_split(path)[0] for path in files}:
            self._sync(folder)

    def create(self, path: str, data: bytes) -> bool:
        """Put *data* at *path* only if nothing is there; tell whether it was put. Durable."""
        self._show("mark", path)
        if _clean(path) in self.files or path in self._folders:
            return False
        self._check_place(path)
        self._do(Operation(verb="create", path=path, data=bytes(data)))
        return True

    def append(self, path: str, data: bytes) -> None:
        """Add *data* at the end of *path*, durably; a crash may leave a torn tail."""
        self._show("read", path)
        self._check_place(path)
        self._do(Operation(verb="append", path=path, data=bytes(data)))

    def move(self, path: str, new: str, *, durable: bool = True) -> bool:
        """Rename *path* to *new*, replacing it; False if *path* is not there (any more)."""
        self._check_place(new)
        self._show("read", path)
        if _clean(path) not in self.files:
            return False
        self._do(Operation(verb="move", path=path, new=new, durable=durable))
        return True

    def empty(self, path: str) -> None:
        """Take every byte out of a file that is there."""
        if self.read(path) is None:
            raise StateError(f"cannot write {path}: no such file", file=path)
        self._do(Operation(verb="write", path=path, data=b"", durable=False))

    def remove(self, path: str) -> bool:
        """Remove a file, durably; False if it is not there."""
        if _clean(path) in self._folders:
            raise StateError(f"cannot remove {path}: is a directory", file=path)
        self._show("mark", path)
        if path not in self.files:
            return False
        self._do(Operation(verb="remove", path=path))
        return True

    def drop(self, folder: str) -> bool:
        """Remove a folder in which nothing is; False if something is, or if it is no folder."""
        if not _clean(folder) or folder not in self._folders or self._list(folder):
            return False
        self._do(Operation(verb="drop", path=folder))
        return True

    def is_link(self, path: str) -> bool:
        """Tell whether *path*, or a folder it lies in, is a symbolic link: there are none in memory."""
        self._show("is_link", path)
        return False

    def names(self, folder: str) -> list[str]:
        """Return the sorted names in *folder*, without hidden temporaries; empty if there is none."""
        self._show("names", folder)
        return [name for name in self._list(folder) if not _is_temporary(name)]

    def mark(self, path: str) -> FileMark | None:
        """Return the mark of a file or folder; None if it is not there."""
        self._show("mark", path)
        return self._marks.get(_clean(path)) or self._folders.get(path)

    def free_bytes(self) -> int:
        """Return the disk space that is left for us."""
        return self.free

    def hold_back(self, size: int) -> bool:
        """Let `BALLAST` take *size* bytes of the disk, really; False, and nothing changed, if there is no room."""
        try:
            self._do(Operation(verb="write", path=BALLAST, data=str(size).encode()))
        except StateError as error:
            if _is_full(error):
                return False
            raise
        self.room = 0
        return True

    def sweep(self, folder: str) -> int:
        """Remove what a crash left half-written directly in *folder*; return how many."""
        self._show("torn", folder)
        left = [name for name in self._list(folder) if _is_temporary(name)]
        for name in left:
            self._do(Operation(verb="remove", path=f"{folder}/{name}" if folder else name, durable=False))
        return len(left)

    def unsure(self) -> dict[str, tuple[bytes | None, ...]]:
        """Return the names of which a power loss may find something else than now, and all that it may find.

        None is no file; what is there now stands last.
        """
        return {path: self._found(path) for path in sorted(self._unsure)}

    def moments(self) -> list[dict[str, bytes | None]]:
        """Return what a power loss may find of the operation that is under way, one value for each of its moments."""
        if self.under_way is None:
            return []
        path, data, new = self.under_way.path, self.under_way.data, self.under_way.new
        folder, name = _split(path)
        torn: dict[str, bytes | None] = {f"{folder}/.{name}.{0:012x}.tmp".lstrip("/"): data[: len(data) // 2]}
        match verb := self.under_way.verb:
            case "write" | "create":
                return [torn, {path: data}] if verb == "write" else [torn, {**torn, path: data}, {path: data}]
            case "append":
                before = self.files.get(path, b"")
                return [{path: before + data[: len(data) // 2]}, {path: before + data}]
            case "move":
                data = self.files.get(path, b"")
                return [{new: data}, {new: data, path: None}]
            case _:
                return [{path: None}]

    def lose_power(self, found: Mapping[str, bytes | None] | None = None) -> None:
        """Lose the power: what is *found* stands where it was not certain, without it the least that there can be."""
        least = {path: states[0] for path, states in self.unsure().items()}
        for path, data in {**least, **(found or {})}.items():
            unsure = self._unsure.get(path)
            if unsure is not None and unsure.source and data in unsure.older:
                self._apply(Operation(verb="write", path=unsure.source, data=self.files[path]))
            if data is None:
                self._apply(Operation(verb="remove", path=path))
            else:
                self._apply(Operation(verb="write", path=path, data=data))
        self._unsure.clear()

    def write_back(self) -> None:
        """Let the machine write out by itself what it still held, as it does within half a minute."""
        self._unsure.clear()

    def _found(self, path: str) -> tuple[bytes | None, ...]:
        unsure, data = self._unsure[path], self.files.get(path)
        if unsure.is_synced or data is None:
            return (*unsure.older, data)
        return (*unsure.older, b"", data[: len(data) // 2], data)

    def _note(self, done: Operation, before: tuple[bytes | None, ...], *, was_new: bool) -> None:
        """Keep what a power loss may find of one operation, and of what it syncs besides."""
        if not done.is_named:
            self._unsure[done.path] = Unsure(older=before, is_synced=True)
            return
        if done.verb == "move" and not done.durable:
            self._note_move(done)
            return
        if not done.durable:
            self._unsure[done.path] = Unsure(older=before, is_synced=done.verb == "remove")
            return
        if done.verb == "append" and not was_new:
            if (unsure := self._unsure.get(done.path)) is not None:
                self._unsure[done.path] = Unsure(older=unsure.older, is_synced=True)
                self._forget_if_sure(done.path)
            return
        if done.verb == "move":
            moved = self._unsure.pop(done.path, None)
            self._unsure.pop(done.new, None)
            if moved is not None and not moved.is_synced:
                self._unsure[done.new] = Unsure(older=(), is_synced=False)
        else:
            self._unsure.pop(done.path, None)
        for folder in {_split(done.path)[0], _split(done.new or done.path)[0]}:
            self._sync(folder)

    def _note_move(self, done: Operation) -> None:
        """Keep what a power loss may find of a move that is not synced: all of it undone, or what is there now.

        What was not certain of the file goes with it; a file that is not synced may then be torn, but under one name.
        """
        moved = self._unsure.pop(done.path, None)
        if moved is None or moved.is_synced:
            self._unsure[done.new] = Unsure(older=(None,), is_synced=True, source=done.path)
        else:
            self._unsure[done.new] = Unsure(older=(), is_synced=False)

    def _sync(self, folder: str) -> None:
        """Let every name in *folder* be certain; so is a move from there, for a rename is one thing."""
        for path, unsure in list(self._unsure.items()):
            if folder in {_split(path)[0], _split(unsure.source or path)[0]}:
                self._unsure[path] = Unsure(older=(), is_synced=unsure.is_synced)
                self._forget_if_sure(path)

    def _forget_if_sure(self, path: str) -> None:
        unsure = self._unsure[path]
        if unsure.is_synced and not unsure.older:
            del self._unsure[path]

    def _do(self, wanted: Operation) -> None:
        name = f"{wanted.verb} {wanted.path}"
        self.under_way = wanted
        try:
            self._call_fault(f"before {name}")
        except (GluerunError, PowerCut) as error:
            if not self._gives_way(wanted, error):
                raise  # a full disk, say: the real side leaves nothing behind either
            self.under_way = wanted
        except BaseException:
            self._leave_torn(wanted)
            raise
        self.under_way = None
        before = self._found(wanted.path) if wanted.path in self._unsure else (self.files.get(wanted.path),)
        self._apply(wanted)
        self._note(wanted, before, was_new=before == (None,))
        if wanted.verb != "append":
            self._show("wrote", wanted.path)
            self._show("wrote", wanted.new)
        self._call_fault(f"after {name}")

    def _gives_way(self, wanted: Operation, error: BaseException) -> bool:
        """Tell whether what a full disk refuses can be made in the space of the ballast, giving that up."""
        if not self._has_ballast or wanted.path == BALLAST or not _is_full(error):
            return False
        size = len(wanted.data) + _BLOCK
        if self.room < size and BALLAST in self.files:
            self._do(Operation(verb="remove", path=BALLAST, durable=False))
        if self.room < size:
            return False
        self.room -= size
        return True

    def _show(self, what: str, path: str) -> None:
        if self.onlooker is not None:
            self.onlooker(what, path)

    def _call_fault(self, name: str) -> None:
        if self.fault is not None:
            self.fault(name)

    def _leave_torn(self, wanted: Operation) -> None:
        half = wanted.data[: len(wanted.data) // 2]
        if wanted.verb in {"write", "create"}:
            folder, name = _split(wanted.path)
            self._steps += 1
            torn = f"{folder}/.{name}.{self._steps:012x}.tmp".lstrip("/")
            self._apply(Operation(verb="write", path=torn, data=half))
        elif wanted.verb == "append":
            self._apply(Operation(verb="append", path=wanted.path, data=half))

    def _apply(self, done: Operation) -> None:
        self._steps += 1
        match done.verb:
            case "remove":
                if done.path == BALLAST and self._has_ballast and done.path in self.files:
                    self.room = self._marks[done.path].size
                self.files.pop(done.path, None)
                self._marks.pop(done.path, None)
            case "drop":
                self._folders.pop(done.path, None)
            case "move":
                self._put(done.new, self.files.pop(done.path, b""), self._marks.pop(done.path, None))
            case "append" if (was := self._marks.get(done.path)) is not None:
                # Only the file changes, and its folder does not show it.
                self._set(done.path, self.files[done.path] + done.data, self._next(was))
                return
            case _:
                self._put(done.path, done.data, self._next(None))
        self._touch(_split(done.path)[0])

    def _put(self, path: str, data: bytes, mark: FileMark | None) -> None:
        self._set(path, data, mark or self._next(None))
        self._touch(_split(path)[0])

    def _set(self, path: str, data: bytes, mark: FileMark) -> None:
        self.files[path] = data
        # What is held back is a number here, and as large as that says.
        size = int(data) if path == BALLAST and self._has_ballast and data.isdigit() else len(data)
        self._marks[path] = FileMark(mtime_ns=mark.mtime_ns, size=size, inode=mark.inode)

    def _next(self, same: FileMark | None) -> FileMark:
        inode = same.inode if same is not None else self._steps
        return FileMark(mtime_ns=self._steps * 1_000_000, size=0, inode=inode)

    def _touch(self, folder: str) -> None:
        was = self._folders.get(folder)
        self._folders[folder] = self._next(was)
        if was is None:
            self._touch(_split(folder)[0])

    def _list(self, folder: str) -> list[str]:
        start = f"{_clean(folder)}/" if folder else ""
        size = len(start)
        inside = [path[size:] for path in self.files if path.startswith(start)]
        inside += [path[size:] for path in self._folders if path and path.startswith(start)]
        return sorted({path.partition("/")[0] for path in inside})

    def _check_place(self, path: str) -> None:
        if not _clean(path) or path in self._folders:
            raise StateError(f"cannot write {path}: is a directory", file=path)
        folder = _split(path)[0]
        while folder:
            if folder in self.files:
                raise StateError(f"cannot write {path}: not a directory", file=path)
            folder = _split(folder)[0]


def _is_full(error: BaseException) -> bool:
    return isinstance(error, StateError) and "no space left" in error.message


def _clean(path: str) -> str:
    if path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise StateError(f"the path {path!r} leaves its folder", "this name was made up by somebody else")
    return path


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")

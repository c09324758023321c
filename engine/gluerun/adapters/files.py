"""Files on a disk, each written whole or not at all; the only room that opens a file of ours for writing.

A writer holds a flock on its temporary until the file has its name, so that a sweep can tell what a crash
left behind from what somebody is about to put there, without asking any clock.
"""

from __future__ import annotations

import errno
import fcntl
import os

from gluerun.errors import FullDiskError, StateError
from gluerun.ports import BALLAST, FileMark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TEMPORARY = ".tmp"
_TURNS = 5
_FULL = (errno.ENOSPC, errno.EDQUOT)
_BLOCK = 1_048_576
# A pipe that somebody left where a file should be holds up nobody.
_READING = os.O_RDONLY | os.O_NONBLOCK
_HINTS = {
    errno.ENOSPC: "free some disk space, then run it again",
    errno.EDQUOT: "free some disk space, then run it again",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f), then run it again",
    errno.EACCES: "give this user the right to write there, then run it again",
    errno.EPERM: "give this user the right to write there, then run it again",
    errno.EROFS: "mount that file system writable, then run it again",
}


class DiskFiles:
    """Files under one root; new ones get *mode* (less the umask), replaced ones keep theirs.

    Only a door to the state folder has a ballast: anywhere else a file of that name is somebody's own.
    """

    def __init__(self, root: str, *, mode: int = 0o666, has_ballast: bool = False) -> None:
        self.root = os.path.abspath(root)
        self._mode = mode
        self._has_ballast = has_ballast

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes; None if there is no such file. StateError if it cannot be read."""
        try:
            handle = os.open(self._at(path), _READING)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise refusal("read", path, error) from error
        try:
            parts = []
            while part := os.read(handle, 1_048_576):
                parts.append(part)
            return b"".join(parts)
        except OSError as error:
            raise refusal("read", path, error) from error
        finally:
            os.close(handle)

    def tail(self, path: str, limit: int) -> bytes:
        """Return the last *limit* bytes of a file at most; empty if there is no such file."""
        try:
            handle = os.open(self._at(path), _READING)
        except (FileNotFoundError, NotADirectoryError):
            return b""
        except OSError as error:
            raise refusal("read", path, error) from error
        try:
            size = os.fstat(handle).st_size
            return os.pread(handle, limit, max(0, size - limit))
        except OSError as error:
            raise refusal("read", path, error) from error
        finally:
            os.close(handle)

    def write(self, path: str, data: bytes, *, durable: bool = True) -> None:
        """Put *data* at *path*, whole or not at all; with *durable* it survives power loss."""
        self._put(path, data, durable=durable, replace=True)
        if durable:
            self._sync_names(path)

    def write_all(self, files: Mapping[str, bytes]) -> None:
        """Put each of *files* at its path, whole or not at all; all of them survive power loss once this returns."""
        if len(files) < 2 or not self._put_together({self._target(path): data for path, data in files.items()}):
            for path, data in files.items():
                self._put(path, data, durable=True, replace=True)
        for path in {os.path.dirname(path): path for path in files}.values():
            self._sync_names(path)

    def create(self, path: str, data: bytes) -> bool:
        """Put *data* at *path* only if nothing is there; tell whether it was put. Durable."""
        was_put = self._put(path, data, durable=True, replace=False)
        if was_put:
            self._sync_names(path)
        return was_put

    def append(self, path: str, data: bytes) -> None:
        """Add *data* at the end of *path*, durably; a crash may leave a torn tail."""
        target = self._at(path)
        try:
            is_new = not os.path.lexists(target)
            handle = _open_appending(target, self._mode)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                size = os.fstat(handle).st_size
                try:
                    _write_all(handle, data)
                    _sync_data(handle)
                except OSError:
                    os.ftruncate(handle, size)
                    raise
            finally:
                os.close(handle)
        except OSError as error:
            if not self._gives_way(error):
                raise refusal("write", path, error) from error
            self.append(path, data)
        if is_new:
            self._sync_names(path)

    def move(self, path: str, new: str, *, durable: bool = True) -> bool:
        """Rename *path* to *new*, replacing it; False if *path* is not there (any more)."""
        source, target = self._at(path), self._at(new)
        try:
            for _ in range(_TURNS):
                try:
                    os.rename(source, target)
                    break
                except FileNotFoundError:
                    if not os.path.lexists(source):
                        return False
                    _make_folder(os.path.dirname(target))
            else:
                raise FileNotFoundError(errno.ENOENT, "its folder vanishes again and again", target)
            for folder in {os.path.dirname(source), os.path.dirname(target)} if durable else ():
                _sync_folder(folder)
        except OSError as error:
            if self._gives_way(error):
                return self.move(path, new, durable=durable) or os.path.lexists(target)
            raise refusal("move", path, error) from error
        return True

    def empty(self, path: str) -> None:
        """Take every byte out of a file that is there, in place: whoever appends to it goes on from its beginning."""
        try:
            os.truncate(self._at(path), 0)
        except OSError as error:
            raise refusal("write", path, error) from error

    def remove(self, path: str) -> bool:
        """Remove a file, durably; False if it is not there."""
        target = self._at(path)
        try:
            os.unlink(target)
            _sync_folder(os.path.dirname(target))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise refusal("remove", path, error) from error
        return True

    def drop(self, folder: str) -> bool:
        """Remove a folder in which nothing is; False if something is, or if it is no folder."""
        target = self._at(folder)
        if target == self.root:
            return False
        try:
            os.rmdir(target)
            _sync_folder(os.path.dirname(target))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY):
                return False
            raise refusal("remove", folder, error) from error
        return True

    def names(self, folder: str) -> list[str]:
        """Return the sorted names in *folder*, without hidden temporaries; empty if there is none."""
        return sorted(name for name in self._list(folder) if not _is_temporary(name))

    def is_link(self, path: str) -> bool:
        """Tell whether *path*, or a folder it lies in, is a symbolic link."""
        parts = path.split("/")
        return any(os.path.islink(self._at("/".join(parts[:end]))) for end in range(1, len(parts) + 1))

    def mark(self, path: str) -> FileMark | None:
        """Return the mark of a file or folder; None if it is not there."""
        try:
            found = os.stat(self._at(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise refusal("read", path, error) from error
        return FileMark(mtime_ns=found.st_mtime_ns, size=found.st_size, inode=found.st_ino)

    def free_bytes(self) -> int:
        """Return the disk space that is left for us."""
        place = self.root
        while not os.path.isdir(place):
            place = os.path.dirname(place)
        found = os.statvfs(place)
        return found.f_bavail * found.f_frsize

    def hold_back(self, size: int) -> bool:
        """Let `BALLAST` take *size* bytes of the disk, really; False, and nothing changed, if there is no room."""

        def fill(handle: int) -> None:
            _allocate(handle, size)

        try:
            was_put = self._put_once(self._at(BALLAST), fill, durable=True, replace=True)
            _sync_folder(self.root)
            return was_put
        except OSError as error:
            if error.errno in _FULL:
                return False
            raise refusal("write", BALLAST, error) from error

    def sweep(self, folder: str) -> int:
        """Remove what a crash left half-written directly in *folder*; return how many."""
        start = f"{folder}/" if folder else ""
        return sum(self._sweep(start + name) for name in self._list(folder) if _is_temporary(name))

    def _sweep(self, path: str) -> bool:
        target = self._at(path)
        try:
            handle = os.open(target, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise refusal("remove", path, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(target)
        except (BlockingIOError, FileNotFoundError):
            return False  # its writer lives, or has just finished
        except OSError as error:
            raise refusal("remove", path, error) from error
        finally:
            os.close(handle)
        return True

    def _list(self, folder: str) -> list[str]:
        try:
            return os.listdir(self._at(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise refusal("list", folder, error) from error

    def _at(self, path: str) -> str:
        if path in {"", "."}:
            return self.root
        if path.startswith("/") or "\0" in path or ".." in path.split("/"):
            raise StateError(f"the path {path!r} leaves its folder", "this name was made up by somebody else")
        return f"{self.root}/{path}"

    def _put(self, path: str, data: bytes, *, durable: bool, replace: bool) -> bool:
        """Put *data* at *path*; if *durable* its content survives power loss, its name only after a sync of names."""
        target = self._target(path)
        folder = os.path.dirname(target)

        def fill(handle: int) -> None:
            _write_all(handle, data)

        try:
            for _ in range(_TURNS):
                try:
                    return self._put_once(target, fill, durable=durable, replace=replace)
                except FileNotFoundError:
                    # The folder is not there yet, or a sweep took the temporary before it was locked.
                    _make_folder(folder)
            raise FileNotFoundError(errno.ENOENT, "its folder vanishes again and again", folder)
        except OSError as error:
            if self._gives_way(error):
                return self._put(path, data, durable=durable, replace=replace)
            raise refusal("write", path, error) from error

    def _gives_way(self, error: OSError) -> bool:
        """Give up the ballast if the disk is full; tell whether there was one to give up."""
        if not self._has_ballast or error.errno not in _FULL:
            return False
        try:
            os.unlink(self._at(BALLAST))
        except OSError:
            return False
        return True

    def _target(self, path: str) -> str:
        target = self._at(path)
        if target == self.root or target.endswith("/"):
            raise StateError(f"{path!r} is not the name of a file")
        return target

    def _put_together(self, files: Mapping[str, bytes]) -> bool:
        """Put many at once: all are written before the first is synced, and most of the waiting is for that one.

        False if something stands against it: what that is, and what helps, is found out one file at a time.
        """
        drafts: list[tuple[str, str, int]] = []
        try:
            for target, data in files.items():
                temporary, handle = self._draft(target)
                drafts.append((target, temporary, handle))
                fcntl.flock(handle, fcntl.LOCK_EX)
                _write_all(handle, data)
                _keep_mode(handle, target)
            for _, _, handle in drafts:
                os.fsync(handle)
            for target, temporary, _ in drafts:
                os.rename(temporary, target)
        except BaseException as error:
            for _, temporary, _ in drafts:
                _forget(temporary)
            if not isinstance(error, OSError):
                raise
            return False
        finally:
            for _, _, handle in drafts:
                os.close(handle)
        return True

    def _draft(self, target: str) -> tuple[str, int]:
        folder, name = os.path.split(target)
        temporary = f"{folder}/.{name}.{os.urandom(6).hex()}{_TEMPORARY}"
        return temporary, os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self._mode)

    def _put_once(self, target: str, fill: Callable[[int], None], *, durable: bool, replace: bool) -> bool:
        if not replace and os.path.lexists(target):
            return False
        temporary, handle = self._draft(target)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            fill(handle)
            if replace:
                _keep_mode(handle, target)
            if durable:
                os.fsync(handle)
            if replace:
                os.rename(temporary, target)
            else:
                was_put = _link(temporary, target)
                _forget(temporary)
                if not was_put:
                    return False
        except BaseException:
            _forget(temporary)
            raise
        finally:
            os.close(handle)
        return True

    def _sync_names(self, path: str) -> None:
        try:
            self._sync(os.path.dirname(self._at(path)))
        except OSError as error:
            raise refusal("write", path, error) from error

    def _sync(self, folder: str) -> None:
        """Let the names in *folder* survive power loss; where the disk is full only this is done again."""
        try:
            _sync_folder(folder)
        except OSError as error:
            if not self._gives_way(error):
                raise
            _sync_folder(folder)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _allocate(handle: int, size: int) -> None:
    """Let a new file take *size* bytes of the disk: not sparse, and nothing that a file system could store smaller."""
    try:
        os.posix_fallocate(handle, 0, size)
    except (AttributeError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise
        for start in range(0, size, _BLOCK):
            _write_all(handle, os.urandom(min(_BLOCK, size - start)))


def _keep_mode(handle: int, target: str) -> None:
    try:
        os.fchmod(handle, os.stat(target).st_mode & 0o7777)
    except FileNotFoundError:
        pass


def _link(temporary: str, target: str) -> bool:
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    return True


def _forget(temporary: str) -> None:
    try:
        os.unlink(temporary)
    except OSError:
        pass  # the next sweep removes it


def _open_appending(target: str, mode: int) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    try:
        return os.open(target, flags, mode)
    except FileNotFoundError:
        _make_folder(os.path.dirname(target))
        return os.open(target, flags, mode)


def _make_folder(folder: str) -> None:
    if os.path.isdir(folder):
        return
    parent = os.path.dirname(folder)
    _make_folder(parent)
    try:
        os.mkdir(folder)
    except FileExistsError:
        return
    _sync_folder(parent)


def _sync_data(handle: int) -> None:
    getattr(os, "fdatasync", os.fsync)(handle)


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(_TEMPORARY)


def refusal(verb: str, path: str, error: OSError) -> StateError:
    """Return what to tell a person whose disk refuses, and what helps."""
    words = (error.strerror or "unknown reason").lower()
    hint = _HINTS.get(error.errno or 0, "look at that file and its folder, then run it again")
    kind = FullDiskError if error.errno in _FULL else StateError
    return kind(f"cannot {verb} {path}: {words}", hint, file=path)

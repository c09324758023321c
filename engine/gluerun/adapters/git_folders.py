"""Where git keeps its own files: the folder of a work tree, the shared one, private indexes and locks."""
# Names are bytes here, and pathlib's import is dear.

from __future__ import annotations

import os
import stat
import time

from gluerun.adapters.git_command import decode, encode

INDEX_LOCK = "index.lock"
# Nanoseconds: longer than any system waits before it writes what nobody synced.
LATELY = 60_000_000_000

# What a git command that stopped half-way leaves behind, and what ends that state.
IN_PROGRESS = (
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "rebase-merge",
    "rebase-apply",
    "sequencer",
)
LEFT_OVER = (*IN_PROGRESS, "MERGE_MODE", "MERGE_MSG", "MERGE_RR", "AUTO_MERGE", "SQUASH_MSG", "REBASE_HEAD")


def join(folder: str, path: str) -> str:
    """Return *path* within *folder*."""
    return f"{folder.rstrip('/')}/{path}"


def folder_of(place: str) -> str | None:
    """Return the git folder of the work tree or bare repository at *place*; None if there is none."""
    dot = join(place, ".git")
    if os.path.isdir(encode(dot)):
        return dot
    said = read(dot)
    if said is not None:
        word, _, path = decode(said).strip("\n").partition(": ")
        return os.path.normpath(os.path.join(place, path)) if word == "gitdir" else None
    is_bare = os.path.isfile(encode(join(place, "HEAD"))) and os.path.isdir(encode(join(place, "objects")))
    return place if is_bare else None


def shared_of(folder: str) -> str:
    """Return the folder that all work trees of a repository share, given one of theirs."""
    said = read(join(folder, "commondir"))
    return folder if said is None else os.path.normpath(os.path.join(folder, decode(said).strip("\n")))


def own_folder(root: str, place: str) -> str | None:
    """Return the git folder of *place* if it is a work tree of the repository at *root*, else None.

    An agent can rewrite its `.git`; a folder that does not point back is somebody else's.
    """
    home, folder = folder_of(root), folder_of(place)
    if home is None or folder is None or not os.path.isdir(encode(folder)):
        return None
    if _same(folder, home):
        return folder if _same(place, root) else None
    back = read(join(folder, "gitdir"))
    if back is None or not _same(shared_of(folder), shared_of(home)):
        return None
    return folder if _same(os.path.dirname(backlink(folder, back)), place) else None


def backlink(folder: str, said: bytes) -> str:
    """Return the `.git` file that the work tree folder *folder* says it belongs to."""
    return os.path.join(folder, decode(said).strip("\n"))


def in_progress(folder: str) -> tuple[str, ...]:
    """Return the traces of a merge, rebase or the like that somebody has not ended."""
    return tuple(name for name in IN_PROGRESS if os.path.lexists(encode(join(folder, name))))


def read(path: str) -> bytes | None:
    """Return a file's bytes; None if there is no such file."""
    try:
        with open(encode(path), "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def copy_index(folder: str, index: str) -> bool:
    """Copy the index of the git folder *folder* to *index*; False if it has none.

    The copy keeps the time of the original: a younger index would let git believe that a file which was
    changed in the same tick is clean.
    """
    whole = read(join(folder, "index"))
    if whole is None:
        return False
    times = os.stat(encode(join(folder, "index")))
    with open(encode(index), "wb") as file:
        file.write(whole)
    os.utime(encode(index), ns=(times.st_atime_ns, times.st_mtime_ns))
    return True


def put(path: str, data: bytes) -> None:
    """Put *data* at *path* for somebody who reads it at once; a crash may leave half of it there."""
    with open(encode(path), "wb") as file:
        file.write(data)


def put_durably(path: str, data: bytes) -> None:
    """Put *data* at *path*, whole or not at all, so that it survives power loss."""
    folder, name = os.path.split(path)
    os.makedirs(encode(folder), exist_ok=True)
    draft = encode(join(folder, f".{name}.tmp"))
    with open(draft, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, encode(path))
    sync_folder(folder)


def sync_folder(folder: str) -> None:
    """Let the names in *folder* survive power loss."""
    handle = os.open(encode(folder), os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_objects(root: str, synced: dict[bytes, int]) -> None:
    """Let the names of what git has stored lately survive power loss: git syncs objects, never their folders.

    Nothing older is looked at, for the system writes it by itself within seconds; nor what stands in *synced* as it
    is, with the time of its last change (docs/decisions/0019).
    """
    home = folder_of(root)
    if home is None:
        return
    shared = encode(join(shared_of(home), "objects"))
    stored = [join(decode(shared), decode(name)) for name in os.listdir(shared) if len(name) == 2 or name == b"pack"]
    _sync_changed([*stored, decode(shared)], synced)


def sync_ref(root: str, ref: str, synced: dict[bytes, int]) -> None:
    """Let the name of a ref that has just moved survive power loss, and those of the folders that it stands in."""
    home = folder_of(root)
    if home is None:
        return
    shared, folder, places = shared_of(home), os.path.dirname(ref), []
    while folder:
        places.append(join(shared, folder))
        folder = os.path.dirname(folder)
    _sync_changed(places, synced)


def _sync_changed(folders: list[str], synced: dict[bytes, int]) -> None:
    """Sync the folders that changed lately and are not *synced* as they are.

    One that is none is passed over: refs may be kept in tables, and somebody else's git removes empty folders.
    """
    since = time.time_ns() - LATELY
    for folder in folders:
        try:
            found = os.stat(encode(folder))
            when = found.st_mtime_ns
            if not stat.S_ISDIR(found.st_mode) or when <= since or synced.get(encode(folder)) == when:
                continue
            sync_folder(folder)
            synced[encode(folder)] = when
        except (FileNotFoundError, NotADirectoryError):
            continue


def take(lock: str, token: bytes) -> bool:
    """Create the lock file *lock* holding *token*, in one step; False if there is one."""
    draft = encode(f"{lock}.{decode(token)}")
    with open(draft, "wb") as file:
        file.write(token)
    try:
        # A link is never seen half-made: an empty lock could not be told from a living git's.
        os.link(draft, encode(lock))
    except FileExistsError:
        return False
    finally:
        os.unlink(draft)
    return True


def release(lock: str, token: bytes) -> None:
    """Remove the lock file *lock* if it is the one that holds *token*."""
    discard(f"{lock}.{decode(token)}")
    if holds(lock, token):
        discard(lock)


def holds(lock: str, token: bytes) -> bool:
    """Tell whether *lock* is ours."""
    return read(lock) == token


def discard(path: str) -> bool:
    """Remove a file; tell whether it was there."""
    try:
        os.unlink(encode(path))
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def clear(path: str) -> None:
    """Remove whatever is at *path*, also folders that forbid it."""
    target = encode(path)
    if os.path.islink(target) or not os.path.isdir(target):
        discard(path)
        return
    import shutil

    # Tools leave read-only folders; only our own rights are widened, and only on what is thrown away.
    for folder, _, _ in os.walk(target):
        os.chmod(folder, 0o700)
    shutil.rmtree(target)


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(encode(one), encode(other))
    except OSError:
        return False

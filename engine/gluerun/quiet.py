"""The quiet answer: all that a cycle looks at is as it was when one found nothing to do, so nothing is to do.

A cycle that finds nothing leaves a note: what it looked at and how the file system marks it, who lives,
until when time alone changes nothing, and what it said. The next one compares, and if all of it still holds
it says the same again, before anything else of ours is imported. Every doubt and every surprise means a
whole cycle. The note is only a cache and may be deleted at any time.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys

STATE = ".gluerun-state"
NOTE = "quiet.json"
# A file that changed this recently may change again without its marks showing it.
SETTLED_SECONDS = 2.0
_VERSION = 1
_PREFIX = "GLUERUN_"
_PLAIN: dict[tuple[str, ...], str] = {("reconcile", "--actuate"): "actuate", ("reconcile", "--apply"): "apply"}


class Note:
    """What a cycle that found nothing leaves behind. ValueError, KeyError or TypeError for any other text."""

    def __init__(self, text: str) -> None:
        raw = json.loads(text)
        self.house: list[object] = raw["house"]
        self.marks: dict[str, list[int] | None] = raw["marks"]
        self.refs: dict[str, str] = raw["refs"]
        self.machine: list[str] = raw["machine"]
        self.runs: dict[str, list[int]] = raw["runs"]
        self.min_free: float = raw["minFree"]
        self.since: float = raw["since"]
        self.until: float = raw["until"]
        self.words: str = raw["words"]
        self.report: dict[str, object] = raw["report"]


def plain_mode(argv: list[str]) -> str:
    """Return the mode of a cycle that is asked for without anything unusual; empty for every other command."""
    return _PLAIN.get(tuple(word for word in argv if word != "--json"), "")


def answer(root: str, mode: str, run_id: str, now: float, *, as_json: bool) -> str | None:
    """Return what a cycle of *mode* in the repository at *root* would say; None if only a cycle can tell."""
    try:
        with open(f"{root}/{STATE}/{NOTE}", encoding="utf-8") as file:
            note = Note(file.read())
        # Held for the moment of the comparison: no cycle acts while we look.
        lock = os.open(f"{root}/{STATE}/locks/origin.lock", os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if not holds(root, note, now):
                return None
        finally:
            os.close(lock)
        if not as_json:
            return note.words
        report = {**note.report, "mode": mode, "runId": run_id}
        return json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def holds(root: str, note: Note, now: float) -> bool:
    """Tell whether everything is as the note says. OSError or ValueError where that cannot be told."""
    return (
        note.since <= now < note.until
        and note.house == house()
        and note.marks == marks(root, note.marks)
        and note.refs == refs(root, note.refs)
        and all(_lives(root, run_id, who) for run_id, who in note.runs.items())
        and (not note.runs or note.machine == machine())
        and free_bytes(root) >= note.min_free
    )


def house() -> list[object]:
    """Return what tells this engine, interpreter and environment from any other."""
    text = "\0".join(sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith(_PREFIX)))
    return [_VERSION, sys.version, __file__, mark(__file__), _digest(text)]


def marks(root: str, paths: dict[str, list[int] | None] | set[str]) -> dict[str, list[int] | None]:
    """Return the marks of files and folders, None for what is not there."""
    return {path: mark(f"{root}/{path}") for path in paths}


def mark(path: str) -> list[int] | None:
    """Return what tells one version of a file or folder from another; None if there is none."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino]


def is_settled(found: dict[str, list[int] | None], now: float) -> bool:
    """Tell whether no file changed so recently that its marks could not show the next change."""
    newest = (now - SETTLED_SECONDS) * 1e9
    return all(one is None or (one[0] < newest and one[1] < newest) for one in found.values())


def refs(root: str, branches: dict[str, str] | set[str]) -> dict[str, str]:
    """Return what the files of branches say, empty without one; ValueError where files do not say it all.

    What is packed is told by the mark of `packed-refs`, which is for the caller to watch.
    """
    git = f"{root}/.git"
    if not os.path.isdir(git) or os.path.exists(f"{git}/commondir") or os.path.exists(f"{git}/reftable"):
        raise ValueError(git)
    found = {branch: _ref(f"{git}/refs/heads/{branch}") for branch in branches}
    if any(said.startswith("ref:") for said in found.values()):
        raise ValueError(git)
    return found


def machine() -> list[str]:
    """Return the boot and the world of processes in which a process id means anything; OSError but on Linux."""
    return [_read("/proc/sys/kernel/random/boot_id").strip(), os.readlink("/proc/self/ns/pid")]


def free_bytes(root: str) -> int:
    """Return the disk space that is left for us."""
    found = os.statvfs(f"{root}/{STATE}")
    return found.f_bavail * found.f_frsize


def _lives(root: str, run_id: str, who: list[int]) -> bool:
    """Tell whether the wrapper of a run lives, by its own birth and by the pulse that it holds."""
    pid, ticks = who
    # The second field is the program's name in parentheses and may itself hold spaces and parentheses.
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if fields[0] in {"Z", "X"} or int(fields[19]) != ticks:
        return False
    pulse = os.open(f"{root}/{STATE}/runs/{run_id}/pulse", os.O_RDONLY)
    try:
        fcntl.flock(pulse, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(pulse)
    return False


def _ref(path: str) -> str:
    try:
        return _read(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""


def _read(path: str) -> str:
    handle = os.open(path, os.O_RDONLY)
    try:
        return os.read(handle, 65_536).decode("utf-8", "surrogateescape")
    finally:
        os.close(handle)


def _digest(text: str) -> str:
    """Return a short digest, so that no value of the environment lies on the disk (FNV-1a, 64 bits)."""
    value = 0xCBF29CE484222325
    for byte in os.fsencode(text):
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"

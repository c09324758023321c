"""Groups of the kernel (cgroup v2): who is put into one stays in it with all that he starts; all end at once.

No controller is asked for, only a folder in which groups may be made. A group's name holds who made it, so
that one left by a waiter that was killed is known as such. The small waiter imports this room.
"""

from __future__ import annotations

import os
import time

from gluerun.adapters import tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator
else:
    # The public module wraps every number in an enum: 0.8 MiB in each waiting process.
    import _signal as signal

PREFIX = "gluerun-"

_PROCS = "cgroup.procs"


def place() -> str:
    """Return the folder of the group that this process is in, if it may make groups there; else nothing."""
    mounted = tree.read("/proc/self/mountinfo") or b""
    own = tree.read("/proc/self/cgroup") or b""
    # `0::/path`, seen from the root of this process's cgroup namespace; `/..` lies outside of it.
    path = next((line[3:] for line in own.decode("utf-8", "replace").split("\n") if line.startswith("0::/")), "")
    if not path or path.startswith("/.."):
        return ""
    for line in mounted.decode("utf-8", "replace").split("\n"):
        before, _, after = line.partition(" - ")
        if not after.startswith("cgroup2 "):
            continue
        root, point = before.split(" ")[3:5]
        if root not in ("/", path) and not path.startswith(f"{root}/"):
            continue
        folder = (point + path.removeprefix(root if root != "/" else "")).rstrip("/")
        if os.access(folder, os.W_OK | os.X_OK) and os.access(f"{folder}/{_PROCS}", os.W_OK):
            return folder
    return ""


def name() -> str:
    """Return a name for a group of this process that nobody else will ever use."""
    me = tree.look(os.getpid())
    return f"{PREFIX}{os.getpid()}-{me.ticks if me else 0}-{os.urandom(4).hex()}"


def sweep(folder: str) -> None:
    """Remove the groups below *folder* whose makers are dead and that nobody is in."""
    for base in _folders(folder):
        if not base.startswith(PREFIX):
            continue
        pid, _, rest = base[len(PREFIX) :].partition("-")
        seen = tree.look(int(pid)) if pid.isdigit() else None
        if seen is None or str(seen.ticks) != rest.partition("-")[0]:
            Group(f"{folder}/{base}").remove()


class Group:
    """One group, by its folder. What cannot be read or written counts as gone: others look too."""

    def __init__(self, path: str) -> None:
        self.path = path

    def make(self) -> int:
        """Make the group and return a descriptor by which a process enters it; -1 if that is refused."""
        try:
            os.mkdir(self.path)
            return os.open(f"{self.path}/{_PROCS}", os.O_WRONLY)
        except OSError:
            self.remove()
            return -1

    def pids(self) -> list[int]:
        """Return everybody in the group and in the groups that were made below it."""
        return [
            int(pid) for path in self._all() for pid in (tree.read(f"{path}/{_PROCS}") or b"").split() if pid != b"0"
        ]

    def is_populated(self) -> bool:
        """Tell whether anybody lives in the group; zombies do not."""
        return b"populated 1" in (tree.read(f"{self.path}/cgroup.events") or b"")

    def kill(self) -> None:
        """Kill everybody in the group in one stroke, or one by one where the kernel is older than that."""
        if not _write(f"{self.path}/cgroup.kill", b"1"):
            for pid in self.pids():
                _kill(pid)

    def remove(self) -> bool:
        """Remove the group and those below it; tell whether it is gone. Somebody in it keeps it."""
        deadline = time.monotonic() + 0.2
        while True:
            for path in self._all():
                try:
                    os.rmdir(path)
                except OSError:
                    continue
            # The last one's way out may take a moment longer than his death.
            if not os.path.isdir(self.path) or self.is_populated() or time.monotonic() > deadline:
                return not os.path.isdir(self.path)
            time.sleep(0.005)

    def _all(self) -> Iterator[str]:
        """Yield the folders of the groups below this one, the deepest first, and then its own."""
        waiting, found = [self.path], []
        while waiting:
            path = waiting.pop()
            found.append(path)
            waiting += [f"{path}/{base}" for base in _folders(path)]
        yield from reversed(found)


def is_group_name(path: str) -> bool:
    """Tell whether *path* is what one of our waiters calls a group."""
    return os.path.isabs(path) and os.path.basename(path).startswith(PREFIX)


def _folders(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _write(path: str, data: bytes) -> bool:
    try:
        handle = os.open(path, os.O_WRONLY)
    except OSError:
        return False
    try:
        os.write(handle, data)
        return True
    except OSError:
        return False
    finally:
        os.close(handle)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass  # gone in the meantime

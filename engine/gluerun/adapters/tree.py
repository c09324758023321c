"""The trees of processes: who lives, and who belongs to whom.

The small waiter imports this room too, so it may import only what the bare interpreter has loaded anyway.
A process belongs if it carries a marker in its environment, descends from one that does, or sits in the
session that one of them leads. Linux reads /proc; elsewhere psutil is asked, on first use.
"""

from __future__ import annotations

import os
import sys
import time

LINUX = sys.platform.startswith("linux")

_KERNEL_THREAD = 0x00200000
_LOCKED = {b"FLOCK", b"WRITE"}
_BLANK_LOOKS = 3


class Seen:
    """One living process as the kernel showed it; pid and ticks together are never used twice."""

    __slots__ = ("group", "kernel", "parent", "pid", "session", "ticks")

    def __init__(self, pid: int, parent: int, group: int, session: int, ticks: int, *, kernel: bool = False) -> None:
        self.pid = pid
        self.parent = parent
        self.group = group
        self.session = session
        self.ticks = ticks
        self.kernel = kernel


def boot_id() -> str:
    """Return an id that changes at every boot of the machine and at no other moment."""
    if LINUX:
        return (read("/proc/sys/kernel/random/boot_id") or b"").decode().strip()
    import subprocess

    for name in ("kern.bootsessionuuid", "kern.boottime"):
        answer = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, check=False)
        if answer.returncode == 0 and answer.stdout.strip():
            return answer.stdout.strip()
    return "unknown"


def host_id() -> str:
    """Return an id that no other machine has and no boot changes; empty if this machine has none.

    It is a digest: what names a machine is not for others to read.
    """
    import hashlib

    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id") if LINUX else ():
        if (found := (read(path) or b"").strip()) and found != b"uninitialized":
            return hashlib.sha256(b"gluerun " + found).hexdigest()[:32]
    if LINUX:
        return ""
    import subprocess

    answer = subprocess.run(["sysctl", "-n", "kern.uuid"], capture_output=True, check=False)
    found = answer.stdout.strip()
    return hashlib.sha256(b"gluerun " + found).hexdigest()[:32] if answer.returncode == 0 and found else ""


def identity(pid: int) -> tuple[str, str, int, int] | None:
    """Return (boot id, pid namespace, pid, raw start ticks) of a living process; None if it is dead."""
    seen = look(pid)
    return None if seen is None else (boot_id(), pid_namespace(), pid, seen.ticks)


def pid_namespace() -> str:
    """Return the name of the world in which this process's pids mean anything."""
    if not LINUX:
        return "host"
    # Nothing but Linux has pid namespaces; the link reads `pid:[4026531836]`.
    return os.readlink("/proc/self/ns/pid").partition("[")[2].rstrip("]")


def look(pid: int) -> Seen | None:
    """Return the process *pid* as it is now; None if it is gone or only waits to be reaped."""
    if not LINUX:
        return _look_elsewhere(pid)
    raw = read(f"/proc/{pid}/stat")
    # The second field is the program's name in parentheses and may itself hold spaces and parentheses.
    fields = raw[raw.rindex(b")") + 2 :].split() if raw and b")" in raw else []
    if len(fields) < 20 or fields[0] in {b"Z", b"X"}:
        return None
    kernel = bool(int(fields[6]) & _KERNEL_THREAD)
    return Seen(pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]), kernel=kernel)


def table() -> dict[int, Seen]:
    """Return every living process that can be seen from here."""
    seen = (look(pid) for pid in _pids())
    return {process.pid: process for process in seen if process is not None}


def children(pid: int) -> list[int]:
    """Return the living and dead children of a process, as far as one quick look shows them; Linux only."""
    found = []
    for thread in os.listdir(f"/proc/{pid}/task") if LINUX else ():
        found += (read(f"/proc/{pid}/task/{thread}/children") or b"").split()
    return [int(number) for number in found]


def carriers(name: str, value: str) -> list[int]:
    """Return the living processes that have *name* set to *value* in the environment they began with."""
    if not LINUX:
        return _carriers_elsewhere(name, value)
    needle = f"\0{name}={value}\0".encode()
    found = []
    unclear = _pids()
    for turn in range(_BLANK_LOOKS):
        blank = []
        for pid in unclear:
            environ = read(f"/proc/{pid}/environ")
            if environ == b"":
                blank.append(pid)
            elif environ is not None and needle in b"\0" + environ and look(pid) is not None:
                found.append(pid)
        # In the middle of an exec a process shows an empty environment for a moment: look again.
        unclear = [pid for pid in blank if (seen := look(pid)) is not None and not seen.kernel]
        if not unclear or turn == _BLANK_LOOKS - 1:
            break
        time.sleep(0.002)
    return sorted(found)


def words_of(pid: int) -> str:
    """Return the command line and the first environment of a process in one line; empty if nobody may know."""
    if not LINUX:
        return _words_elsewhere(pid)
    parts = (read(f"/proc/{pid}/cmdline"), read(f"/proc/{pid}/environ"))
    return b"".join(part or b"" for part in parts).replace(b"\0", b" ").decode("utf-8", "replace")


def holders(path: str) -> list[int]:
    """Return the living processes that hold the lock on *path*, inherited or not; Linux only.

    Who merely has it open, as somebody who looks at it does for a moment, is not among them.
    """
    try:
        wanted = os.stat(path)
    except OSError:
        return []
    found = []
    for pid in _pids() if LINUX else ():
        try:
            numbers = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        if any(
            _is_same(f"/proc/{pid}/fd/{number}", wanted)
            and set((read(f"/proc/{pid}/fdinfo/{number}") or b"").split()) >= _LOCKED
            for number in numbers
        ):
            found.append(pid)
    return found


def dwellers(folder: str) -> list[int]:
    """Return the living processes whose working folder is *folder* or lies in it, as far as they may be seen."""
    found = []
    for pid in _pids():
        at = _home_of(pid)
        if at == folder or at.startswith(f"{folder}/"):
            found.append(pid)
    return found


def _home_of(pid: int) -> str:
    if not LINUX:
        return _home_elsewhere(pid)
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""


def _pids() -> list[int]:
    if LINUX:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    import psutil

    return psutil.pids()


def read(path: str) -> bytes | None:
    """Return what a file of the kernel's holds now; None if it cannot be read."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        data = b""
        while part := os.read(handle, 65_536):
            data += part
        return data
    except OSError:
        return None
    finally:
        os.close(handle)


def _is_same(path: str, wanted: os.stat_result) -> bool:
    try:
        found = os.stat(path)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino)


def _look_elsewhere(pid: int) -> Seen | None:
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        ticks = int(process.create_time() * 1_000_000)
        return Seen(pid, process.ppid(), os.getpgid(pid), os.getsid(pid), ticks)
    except (psutil.Error, OSError):
        return None


def _carriers_elsewhere(name: str, value: str) -> list[int]:
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(name) == value and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return sorted(found)


def _home_elsewhere(pid: int) -> str:
    import psutil

    try:
        return psutil.Process(pid).cwd()
    except (psutil.Error, OSError):
        return ""


def _words_elsewhere(pid: int) -> str:
    import psutil

    try:
        process = psutil.Process(pid)
        return " ".join((*process.cmdline(), *process.environ().values()))
    except (psutil.Error, OSError):
        return ""

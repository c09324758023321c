"""Hold this process to what it may write, by landlock, and become the program: a process of its own.

    confine.py <what it may, as JSON> -- <argv>

It is started by its path, as `python -I -S confine.py …`, and replaced by the program, so nothing of it stays
in memory. What it cannot do it does not leave out: it ends with 126 and the program is not started.
"""

from __future__ import annotations

import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

LINUX = sys.platform.startswith("linux")

REFUSED_CODE = 126
MISSING_CODE = 127

# The kernel's numbers (linux/landlock.h); the system calls have the same ones on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1
_WRITE_FILE, _TRUNCATE, _REFER = 1 << 1, 1 << 14, 1 << 13
# Removing and making files, folders, links, sockets, pipes and devices.
_ENTRIES = sum(1 << bit for bit in range(4, 13))
_SCOPES = (1 << 0) | (1 << 1)  # abstract sockets; signals to who is not held as well
# What a kernel of each version knows at all: what it does not know it would refuse to be asked for.
_FIRST_WITH_REFER, _FIRST_WITH_TRUNCATE, _FIRST_WITH_NETWORK, _FIRST_WITH_SCOPES = 2, 3, 4, 6

_NO_NEW_PRIVILEGES = 38
_CAPABILITIES_V3 = 0x20080522
_NEW_USER, _NEW_NETWORK = 0x1000_0000, 0x4000_0000
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1


def abi() -> int:
    """Return the version of landlock that this kernel offers; 0 if it has none or does not let us."""
    if not LINUX:
        return 0
    version: int = _system().syscall(_CREATE_RULESET, None, 0, _VERSION)
    return max(version, 0)


def handled(version: int) -> int:
    """Return every way of writing that a kernel with landlock *version* can refuse."""
    return (
        _WRITE_FILE
        | _ENTRIES
        | (_REFER if version >= _FIRST_WITH_REFER else 0)
        | (_TRUNCATE if version >= _FIRST_WITH_TRUNCATE else 0)
    )


def granted(writable: list[str], protected: list[str]) -> Iterator[str]:
    """Yield the paths to allow, so that *protected* ones below a writable one are not among them.

    Landlock only allows. Where something within a folder is protected, its other entries are allowed one by
    one, and nothing new can be made in the folder itself.
    """
    for top in writable:
        inner = [path for path in protected if path == top or path.startswith(top.rstrip("/") + "/")]
        if not inner:
            yield top
        elif top not in inner and os.path.isdir(top) and not os.path.islink(top):
            yield from granted([os.path.join(top, name) for name in sorted(os.listdir(top))], inner)


def main(args: list[str]) -> int:
    """Confine this process and become the program; return only if that is not possible."""
    import json

    told, dashes, *argv = args
    if dashes != "--" or not argv:
        raise SystemExit("gluerun: confine.py <what> -- <argv>")
    # The interpreter may add a locale to what it hands on: the program gets what we got.
    environ = _environment()
    try:
        what = json.loads(told)
        if what["network"] != "open":
            cut_off(loopback=what["network"] == "loopback")
        if "writable" in what:
            hold(what["writable"], what["protected"])
    except OSError as error:
        return _refuse(f"cannot confine {argv[0]}: {error}", REFUSED_CODE)
    _usual_signals()
    try:
        os.execvpe(argv[0], argv, environ)
    except OSError as error:
        return _refuse(f"cannot start {argv[0]}: {error.strerror}", MISSING_CODE)


def hold(writable: list[str], protected: list[str]) -> None:
    """Let this process and all it starts write there and nowhere else, for good."""
    import ctypes

    version = abi()
    if not version:
        raise OSError("this kernel has no landlock")
    rights = handled(version)
    ask = (ctypes.c_uint64 * 3)(rights, 0, _SCOPES)
    # A kernel refuses a request that is longer than it knows, so it is asked for what its version has.
    size = 24 if version >= _FIRST_WITH_SCOPES else 16 if version >= _FIRST_WITH_NETWORK else 8
    rules = _checked(_system().syscall(_CREATE_RULESET, ctypes.byref(ask), size, 0))
    for path in (*granted(writable, protected), "/dev/shm", "/dev/pts"):  # noqa: S108
        _allow(rules, path, rights)
    for path in ("null", "zero", "full", "random", "urandom", "tty", "ptmx"):
        _allow(rules, f"/dev/{path}", rights)
    for number in (1, 2):
        # Where it prints to may be opened again by name: `echo … >/dev/stderr`.
        _allow(rules, f"/proc/self/fd/{number}", rights)
    _drop_capabilities()
    _checked(_system().prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _checked(_system().syscall(_RESTRICT_SELF, rules, 0))
    os.close(rules)


def cut_off(*, loopback: bool) -> None:
    """Put this process into a network of its own, in which there is nothing, or a loopback interface."""
    import fcntl
    import socket
    import struct

    uid, gid = os.getuid(), os.getgid()
    if _system().unshare(_NEW_NETWORK) != 0:
        _checked(_system().unshare(_NEW_USER | _NEW_NETWORK))
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    if not loopback:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        raw = fcntl.ioctl(handle, _GET_FLAGS, struct.pack("16sh22x", b"lo", 0))
        flags = struct.unpack("16sh22x", raw)[1]
        fcntl.ioctl(handle, _SET_FLAGS, struct.pack("16sh22x", b"lo", flags | _UP))


def _allow(rules: int, path: str, rights: int) -> None:
    """Allow *rights* at a path and below it; a path that is not there (any more) is nothing to write to."""
    import ctypes

    try:
        place = os.open(path, os.O_PATH)
    except OSError:
        return
    try:
        mode = os.fstat(place).st_mode
        if not stat.S_ISDIR(mode):
            rights &= _WRITE_FILE | _TRUNCATE
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            return  # a pipe is open already, and landlock does not speak of it
        rule = bytes(ctypes.c_uint64(rights)) + bytes(ctypes.c_int32(place))
        _checked(_system().syscall(_ADD_RULE, rules, _PATH_BENEATH, rule, 0))
    finally:
        os.close(place)


def _drop_capabilities() -> None:
    """Give up what makes root more than a user: it could undo what holds it."""
    import ctypes

    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_V3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _checked(_system().capset(ctypes.byref(header), ctypes.byref(nothing)))


def _environment() -> dict[bytes, bytes]:
    with open("/proc/self/environ", "rb") as file:
        pairs = (pair.partition(b"=") for pair in file.read().split(b"\0") if b"=" in pair)
        return {name: value for name, _, value in pairs}


def _usual_signals() -> None:
    """Undo what the interpreter ignores; the program has not asked for that."""
    import signal

    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


def _system() -> Any:
    global _libc  # noqa: PLW0603 opened once, on first use
    if _libc is None:
        import ctypes

        _libc = ctypes.CDLL(None, use_errno=True)
    return _libc


_libc: Any = None


def _checked(answer: int) -> int:
    if answer < 0:
        import ctypes

        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


def _refuse(reason: str, code: int) -> int:
    os.write(2, f"gluerun: {reason}\n".encode())
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

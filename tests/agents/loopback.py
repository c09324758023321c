"""Run a command where there is no network but the machine's own loopback: `python loopback.py COMMAND…`.

A program, not a module: it needs nothing but Linux and the standard library. Where the system does not allow it,
nothing is run, one sentence says why, and the exit code is 125.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1
REFUSED = 125


def leave_the_network() -> None:
    """Put this process into a network namespace of its own, with the rights for that borrowed from a user one."""
    user, group = os.geteuid(), os.getegid()
    try:
        unshare(CLONE_NEWNET)
    except OSError:
        unshare(CLONE_NEWUSER | CLONE_NEWNET)
        # Everybody keeps the number that they had: programs treat root in their own way.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def unshare(flags: int) -> None:
    """Call what Python has only from 3.12 on."""
    if ctypes.CDLL(None, use_errno=True).unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    try:
        leave_the_network()
    except (OSError, AttributeError) as error:
        print(f"no namespace for the network can be made: {error}", file=sys.stderr)
        sys.exit(REFUSED)
    os.execvp(sys.argv[1], sys.argv[1:])

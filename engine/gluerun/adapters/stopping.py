"""Stopping means gone: how a tree of processes is asked to end, made to end, and proved to have ended.

A ladder: the program itself is asked first, in the way it likes best; then everybody; then nobody is asked
any more. Each step has its bound. Several witnesses say who belongs, and each of them is heard on every
tier: the kernel's group, descent from a waiter that adopts orphans, the marker in the environment, the
session. The small waiter imports this room.
"""

from __future__ import annotations

import os
import time

from gluerun.adapters import tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterable, Sequence

    from gluerun.adapters.cgroups import Group
    from gluerun.adapters.tree import Seen
else:
    # The public module wraps every number in an enum: 0.8 MiB in each waiting process.
    import _signal as signal

_KILL_SECONDS = 5.0
# Who forks and dies faster than a scan passes is met by a faster look at those whom we adopt.
_FAST_LOOKS = 20
# The pids of the first processes in a pid namespace of ours.
_FIRST, _SECOND = (1,), (2,)


class Kin:
    """Everybody who was ever seen to belong to one program: a child whose parent has died still does.

    *also* are processes (or leaders of sessions, dead or alive) that belong without carrying the marker;
    *spare* and this process are left alone. *adopts* tells that the children of this process belong too,
    but for those of *spare*. In a *boxed* tree the program sits in a pid namespace of its own.
    """

    def __init__(
        self,
        name: str,
        value: str,
        *,
        spare: Iterable[int] = (),
        also: Iterable[int] = (),
        groups: Callable[[], Iterable[Group]] = tuple,
        adopts: bool = False,
        boxed: bool = False,
    ) -> None:
        self._groups = groups
        self.boxed = boxed
        self._marker = (name, value)
        self._me = os.getpid()
        self._spare = {*spare, self._me, 0, 1}
        self._leaders = set(also) - self._spare
        self._adopts = adopts
        self._known: dict[int, int] = {}

    def members(self) -> list[Seen]:
        """Return those who live now; nobody only if two scans agree, for one may miss a process at birth."""
        return self._scan() or self._scan()

    def kill(self, members: Iterable[Seen]) -> None:
        """Kill everybody: the groups in one stroke, the rest one by one, the first of a box before others."""
        for group in self._groups():
            group.kill()
        for member in sorted(members, key=lambda member: not self.boxed or _numbers_inside(member.pid) != _FIRST):
            send(member, signal.SIGKILL)
        for _ in range(_FAST_LOOKS if self._adopts else 0):
            adopted = [pid for pid in tree.children(self._me) if pid not in self._spare]
            for pid in adopted:
                # Nobody but us can reap our own child: its number is still its own.
                _kill(pid)

    def are_proved_gone(self) -> bool:
        """Tell whether the kernel, too, says that the groups are empty."""
        return not any(group.is_populated() for group in self._groups())

    def asked_first(self, members: Sequence[Seen], child: int, number: int) -> list[Seen]:
        """Return whom the first signal is for: the program itself, and for TERM its group.

        The outermost process of a boxed tree is the box, which would not pass a signal on.
        """
        if self.boxed:
            inside = {_numbers_inside(member.pid): member for member in members}
            first = inside.get(_FIRST)
            wanted = inside.get(_SECOND) if first is not None and _is_box(first) else first
            if wanted is not None:
                return [wanted]
        grouped = number == signal.SIGTERM
        return [member for member in members if member.pid == child or (grouped and member.group == child)]

    def asked(self, members: Sequence[Seen]) -> list[Seen]:
        """Return whom TERM is for: everybody but a box around others."""
        if not self.boxed:
            return list(members)
        inside = {member: _numbers_inside(member.pid) for member in members}
        asked = [
            member for member, numbers in inside.items() if numbers and not (numbers == _FIRST and _is_box(member))
        ]
        return asked or list(members)

    def _has_nobody(self) -> bool:
        """Tell whether nobody is there by whom others could be found: that is known without a look at everybody."""
        if self._leaders or self._known or self._adopts:
            return False
        return not tree.carriers(*self._marker) and not any(group.pids() for group in self._groups())

    def _scan(self) -> list[Seen]:
        if self._has_nobody():
            return []
        seen = tree.table()
        mine = {pid for pid in seen if self._known.get(pid) == seen[pid].ticks}
        mine |= {pid for pid in self._leaders if pid in seen and pid not in self._known}
        mine |= {pid for pid in tree.carriers(*self._marker) if pid in seen}
        mine |= {pid for group in self._groups() for pid in group.pids() if pid in seen}
        if self._adopts:
            mine |= {pid for pid, process in seen.items() if process.parent == self._me}
        mine -= self._spare
        grown = True
        while grown:
            # A dead leader's number stays his as long as anybody sits in his session.
            sessions = mine | self._leaders | {pid for pid in self._known if pid not in seen}
            more = {
                pid
                for pid, process in seen.items()
                if pid not in mine
                and pid not in self._spare
                and (process.parent in mine or process.session in sessions)
            }
            mine |= more
            grown = bool(more)
        self._known.update({pid: seen[pid].ticks for pid in mine})
        # The eldest first: who sees his child die of a signal makes something else of it.
        return sorted((seen[pid] for pid in mine), key=lambda process: (process.ticks, process.pid))


def end(
    kin: Kin,
    *,
    grace: float,
    first: int = 0,
    number: int = signal.SIGTERM,
    pause: Callable[[float], None] = time.sleep,
) -> tuple[list[int], int]:
    """End all *kin*; return who could not be ended, and how many had to be ended besides *first*.

    *first* is asked alone, by the signal *number*, for half of the *grace*; then everybody by TERM; who
    lives after that is killed, again and again. *pause* passes time.
    """
    started = time.monotonic()
    warned: set[tuple[int, int]] = set()
    members = kin.members()
    if first and any(member.pid == first for member in members):
        for member in kin.asked_first(members, first, number):
            send(member, number)
            send(member, signal.SIGCONT)
            if number == signal.SIGTERM:
                warned.add((member.pid, member.ticks))
        nap = 0.01
        while (left := started + grace / 2 - time.monotonic()) > 0 and tree.look(first) is not None:
            pause(min(nap, left))
            nap = min(nap * 1.5, 0.1)
        members = kin.members()
    seen: set[tuple[int, int]] = set()
    nap = 0.01
    while members:
        for member in kin.asked(members):
            if (member.pid, member.ticks) not in warned:
                warned.add((member.pid, member.ticks))
                send(member, signal.SIGTERM)
                send(member, signal.SIGCONT)
        seen |= {(member.pid, member.ticks) for member in members}
        left = started + grace - time.monotonic()
        if left <= 0:
            break
        pause(min(nap, left))
        nap = min(nap * 1.5, 0.2)
        members = kin.members()
    deadline = time.monotonic() + _KILL_SECONDS
    while (members or not kin.are_proved_gone()) and time.monotonic() < deadline:
        kin.kill(members)
        pause(0.01)
        members = kin.members()
        seen |= {(member.pid, member.ticks) for member in members}
    survivors = sorted(member.pid for member in members)
    if not survivors and not kin.are_proved_gone():
        survivors = [0]  # somebody whom we cannot see
    return survivors, sum(1 for pid, _ in seen if pid != first)


def end_carriers(
    name: str, value: str, *, grace: float, spare: Iterable[int] = (), also: Iterable[int] = ()
) -> list[int]:
    """End everybody who carries the marker, and their families; return who could not be ended."""
    return end(Kin(name, value, spare=spare, also=also), grace=grace)[0]


def send(process: Seen, number: int) -> None:
    """Send a signal to exactly this process, never to one that got its pid later."""
    try:
        handle = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        handle = -1
    try:
        now = tree.look(process.pid)
        if now is None or now.ticks != process.ticks:
            return
        if handle >= 0:
            signal.pidfd_send_signal(handle, number)
        else:
            os.kill(process.pid, number)
    except OSError:
        pass  # gone in the meantime, or not ours to end: the next scan tells
    finally:
        if handle >= 0:
            os.close(handle)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass  # gone in the meantime


def _numbers_inside(pid: int) -> tuple[int, ...]:
    """Return the pids that a process has in the pid namespaces below ours; none if it is in ours."""
    for line in (tree.read(f"/proc/{pid}/status") or b"").split(b"\n"):
        if line.startswith(b"NSpid:"):
            return tuple(map(int, line.split()[2:]))
    return ()


def _is_box(first: Seen) -> bool:
    """Tell whether the first process of a namespace is still the program that made it, and not what was to run."""
    return tree.read(f"/proc/{first.pid}/cmdline") == tree.read(f"/proc/{first.parent}/cmdline")

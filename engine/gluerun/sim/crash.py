"""Faults where a story wants them: a fuse that counts every step of the simulated doors.

At a point it raises what it is told to: a `SimCrash`, or the error that the real door would report there.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial

from gluerun.sim.copying import copied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


class SimCrash(BaseException):
    """The process dies here; nothing but the one who simulates may catch it."""


class PowerCut(SimCrash):
    """The machine dies here: what is found afterwards is not what a dead process leaves, but what the disk had."""


class Fuse:
    """Counts the points that it is called at, raises at chosen ones, and lets a story act at named ones."""

    def __init__(self) -> None:
        self.count = 0
        self.last = ""
        self.crash_at: frozenset[int] = frozenset()
        self.chooses: Callable[[int, str], BaseException | None] | None = None
        self.names: list[str] = []
        self._once: dict[str, Callable[[], object]] = {}
        self._is_out = False

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copied(self, memo, "_once")

    def of(self, door: str) -> Callable[[str], None]:
        """Return the callback for one door."""
        return partial(self._burn, door)

    def once(self, name: str, act: Callable[[], object]) -> None:
        """Let *act* happen when the point *name* is reached for the first time from now on.

        Of a house that is to be copied *act* is a `partial` or a method: a copy has its own.
        """
        self._once[name] = act

    @contextmanager
    def out(self) -> Iterator[None]:
        """Count nothing meanwhile: somebody else than the program under test is acting."""
        was, self._is_out = self._is_out, True
        try:
            yield
        finally:
            self._is_out = was

    def _burn(self, door: str, name: str) -> None:
        if self._is_out:
            return
        name = f"{door} {name}"
        if name in self._once:
            with self.out():
                self._once.pop(name)()
        self.count += 1
        self.names.append(name)
        wanted: BaseException | None = None
        if self.count in self.crash_at:
            wanted = SimCrash(f"at point {self.count}: {name}")
        elif self.chooses is not None:
            wanted = self.chooses(self.count, name)
        if wanted is not None:
            self.last = name
            raise wanted

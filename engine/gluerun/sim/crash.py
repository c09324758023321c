"""Crashes where a story wants them: a fuse that counts every step of the simulated doors."""

from __future__ import annotations

from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class SimCrash(BaseException):
    """The process dies here; nothing but the one who simulates may catch it."""


class Fuse:
    """Counts the points that it is called at, crashes at chosen ones, and lets a story act at named ones."""

    def __init__(self) -> None:
        self.count = 0
        self.last = ""
        self.crash_at: frozenset[int] = frozenset()
        self.chooses: Callable[[int, str], bool] | None = None
        self.names: list[str] = []
        self._once: dict[str, Callable[[], object]] = {}
        self._is_out = False

    def of(self, door: str) -> Callable[[str], None]:
        """Return the callback for one door."""
        return lambda name: self._burn(f"{door} {name}")

    def once(self, name: str, act: Callable[[], object]) -> None:
        """Let *act* happen when the point *name* is reached for the first time from now on."""
        self._once[name] = act

    @contextmanager
    def out(self) -> Iterator[None]:
        """Count nothing meanwhile: somebody else than the program under test is acting."""
        was, self._is_out = self._is_out, True
        try:
            yield
        finally:
            self._is_out = was

    def _burn(self, name: str) -> None:
        if self._is_out:
            return
        if name in self._once:
            with self.out():
                self._once.pop(name)()
        self.count += 1
        self.names.append(name)
        if self.count in self.crash_at or (self.chooses is not None and self.chooses(self.count, name)):
            self.last = name
            raise SimCrash(f"at point {self.count}: {name}")

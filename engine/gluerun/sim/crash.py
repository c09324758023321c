"""Crashes where a story wants them: a fuse that counts every step of the simulated doors."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class SimCrash(BaseException):
    """The process dies here; nothing but the one who simulates may catch it."""


class Fuse:
    """Counts the points that it is called at and crashes at chosen ones."""

    def __init__(self) -> None:
        self.count = 0
        self.last = ""
        self.crash_at: frozenset[int] = frozenset()
        self.names: list[str] = []

    def of(self, door: str) -> Callable[[str], None]:
        """Return the callback for one door."""
        return lambda name: self._burn(f"{door} {name}")

    def _burn(self, name: str) -> None:
        self.count += 1
        self.names.append(name)
        if self.count in self.crash_at:
            self.last = name
            raise SimCrash(f"at point {self.count}: {name}")

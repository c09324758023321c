"""A clock that stands still until a story moves it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from gluerun.sim.copying import copied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class SimClock:
    """A time of day that is set, a machine that reboots on demand, and tokens that repeat with the seed."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, 12, 0, tzinfo=UTC), *, seed: int = 0) -> None:
        self.moment = now
        self.boots = 1
        self.process = 1000
        self.host = "host-1"
        self._awake = 100.0
        self._seed = seed
        self._drawn = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copied(self, memo)

    def now(self) -> datetime:
        """Return the present moment in UTC, without microseconds."""
        return self.moment.astimezone(UTC).replace(microsecond=0)

    def boot_id(self) -> str:
        """Return an id that changes at every boot of the machine and at no other moment."""
        return f"boot-{self.boots}"

    def host_id(self) -> str:
        """Return an id that no other machine has and no boot changes; empty if this machine has none."""
        return self.host

    def awake(self) -> int:
        """Return how many seconds this machine has been awake since its boot; nobody can set this clock."""
        return int(self._awake)

    def pid(self) -> int:
        """Return the id of this process."""
        return self.process

    def token(self, size: int) -> str:
        """Return *size* bytes as hexadecimal digits: the next ones of this seed."""
        digits = ""
        while len(digits) < 2 * size:
            self._drawn += 1
            digits += hashlib.sha256(f"{self._seed}:{self._drawn}".encode()).hexdigest()
        return digits[: 2 * size]

    def tick(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
        """Let time pass."""
        passed = timedelta(seconds=seconds, minutes=minutes, hours=hours)
        self.moment += passed
        self._awake += passed.total_seconds()

    def step(self, *, seconds: float = 0, hours: float = 0, days: float = 0) -> None:
        """Set the clock, forward or back: no time passes."""
        self.moment += timedelta(seconds=seconds, hours=hours, days=days)

    def suspend(self, *, hours: float) -> None:
        """Let the machine sleep: the time of day goes on, and nobody does anything."""
        self.step(hours=hours)

    def reboot(self) -> None:
        """Let the machine boot again."""
        self.boots += 1
        self._awake = 0.0

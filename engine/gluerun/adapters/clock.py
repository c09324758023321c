"""The machine's own clock."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from gluerun.adapters import tree


class MachineClock:
    """The time of day, and the things that only this machine knows."""

    def now(self) -> datetime:
        """Return the present moment in UTC, without microseconds."""
        return datetime.now(UTC).replace(microsecond=0)

    def boot_id(self) -> str:
        """Return an id that changes at every boot of the machine and at no other moment."""
        return tree.boot_id()

    def host_id(self) -> str:
        """Return an id that no other machine has and no boot changes; empty if this machine has none."""
        return tree.host_id()

    def awake(self) -> int:
        """Return how many seconds this machine has been awake since its boot; nobody can set this clock."""
        return int(time.monotonic())

    def pid(self) -> int:
        """Return the id of this process."""
        return os.getpid()

    def token(self, size: int) -> str:
        """Return *size* random bytes as hexadecimal digits, fit for a secret."""
        return os.urandom(size).hex()

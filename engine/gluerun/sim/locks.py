"""Locks in memory."""

from __future__ import annotations

from contextlib import contextmanager

from gluerun.errors import BusyError
from gluerun.sim.copying import copied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from gluerun.records.origin import OriginHolder


class SimLocks:
    """The loop's locks; `crash` releases them as the kernel does when a holder dies."""

    def __init__(self) -> None:
        self.holder: OriginHolder | None = None
        self.git_is_held = False
        self.loop: OriginHolder | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copied(self, memo)

    @contextmanager
    def origin(self, holder: OriginHolder) -> Iterator[None]:
        """Hold the loop's lock; BusyError naming the holder if another cycle has it."""
        if self.holder is not None:
            raise BusyError(
                f"another cycle holds the lock: {self.holder.owner} (pid {self.holder.pid}, run {self.holder.run_id})",
                "wait for it to finish, then run it again",
            )
        self.holder = holder
        try:
            yield
        finally:
            if self.holder is holder:
                self.holder = None

    def origin_holder(self) -> OriginHolder | None:
        """Return who holds the loop's lock, as far as it is known; None if nobody does."""
        return self.holder

    def resident_holder(self) -> OriginHolder | None:
        """Return who is the resident loop, as far as it is known; None if there is none."""
        return self.loop

    @contextmanager
    def resident(self, holder: OriginHolder) -> Iterator[None]:
        """Be the one resident loop of the repository; BusyError naming the one that there is already."""
        if self.loop is not None:
            who = f"{self.loop.owner} (pid {self.loop.pid}, run {self.loop.run_id})"
            raise BusyError(f"another resident loop runs in this repository: {who}", "`gluerun status` shows its work")
        self.loop = holder
        try:
            yield
        finally:
            self.loop = None

    @contextmanager
    def git(self) -> Iterator[None]:
        """Hold the lock around changes of refs and work trees; BusyError at once, for nobody would let go."""
        if self.git_is_held:
            raise BusyError("another process has been changing refs or work trees for 60 s")
        self.git_is_held = True
        try:
            yield
        finally:
            self.git_is_held = False

    def crash(self) -> None:
        """Let every holder vanish the way a killed machine would."""
        self.holder = None
        self.git_is_held = False
        self.loop = None

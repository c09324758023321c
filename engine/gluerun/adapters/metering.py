"""What a program uses up while it runs, counted from what it prints, and what it and its day may use.

The small waiter imports this room, and only for a program that has something to count.
"""

from __future__ import annotations

import os
import time

from gluerun.core.metering import BROKEN, counted, told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_MILLION = 1_000_000
# Somebody else holds the counter for microseconds; who was stopped with it in his hand holds nobody up.
_PATIENCE = 1.0


class Meter:
    """The use of one program, from its stream: `over` is the limit that it has passed, or nothing."""

    def __init__(self, spec: dict[str, Any], parse: Callable[[bytes], Any]) -> None:
        from gluerun.core.stream import stream_of

        self.over = ""
        self._parse = parse
        self._stream = stream_of(spec["dialect"])
        self._limits = spec.get("limits") or {}
        self._price = spec.get("price") or {}
        day = spec.get("day")
        self._day = _Day(day["file"], day["limits"]) if day else None

    @property
    def has_ended(self) -> bool:
        """Tell whether the program has said its last word: there is nothing left to stop."""
        return self._stream.ended

    def feed(self, line: bytes) -> None:
        """Count one line of the program's output; what is no line of its stream counts nothing."""
        self._stream.feed_line(line, self._parse)
        used = self._used()
        if not self.over:
            self.over = _passed(self._limits, used)
        if not self.over and self._limits.get("noWrite") and self._stream.wrote:
            self.over = "no-write"
        if self._day is not None and self._day.is_over(used) and not self.over:
            self.over = "day"

    def _used(self) -> tuple[int, int, int]:
        """Return what has been used: millionths of a dollar, tokens, turns; what is not known counts nothing."""
        stream = self._stream
        counts = {"fresh": stream.fresh or 0, "cached": stream.cached or 0, "output": stream.output or 0}
        if stream.cost is not None:
            money = stream.cost * _MILLION
        else:
            # Dollars for a million tokens are millionths of a dollar for one.
            money = sum(counts[kind] * self._price.get(kind, 0.0) for kind in counts)
        return round(money), sum(counts.values()), stream.turns or 0


class _Day:
    """The counter that all programs of one day share."""

    def __init__(self, path: str, limits: dict[str, Any]) -> None:
        self._path = path
        self._limits = limits
        self._told = (0, 0, 0)
        self._is_over = False

    def is_over(self, used: tuple[int, int, int]) -> bool:
        """Add what was used since the last time; tell whether all of them have used too much together."""
        if used != self._told and (total := add(self._path, _minus(used, self._told))) is not None:
            self._told = used
            self._is_over = bool(_passed(self._limits, total))
        return self._is_over


def add(path: str, more: tuple[int, int, int]) -> tuple[int, int, int] | None:
    """Add to the counter at *path* and return what it shows then; None if somebody else would not let go of it.

    A counter that cannot be read stays as it is and shows more than any limit: a limit is not lifted by chance.
    """
    import fcntl

    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return BROKEN
    try:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return None
                time.sleep(0.005)
        shown = counted(os.pread(handle, 256, 0))
        if shown is None:
            return BROKEN
        total = (max(shown[0] + more[0], 0), max(shown[1] + more[1], 0), max(shown[2] + more[2], 0))
        # Always of one width, in one write: who reads it without the lock sees the old or the new.
        os.pwrite(handle, told(total), 0)
        return total
    except OSError:
        return None
    finally:
        os.close(handle)


def _passed(limits: dict[str, Any], used: tuple[int, int, int]) -> str:
    """Return the first limit that is passed; to use all of it passes nothing."""
    money, tokens, turns = used
    if limits.get("usd") is not None and money > limits["usd"] * _MILLION:
        return "money"
    if limits.get("tokens") is not None and tokens > limits["tokens"]:
        return "tokens"
    if limits.get("turns") is not None and turns > limits["turns"]:
        return "turns"
    return ""


def _minus(one: tuple[int, int, int], other: tuple[int, int, int]) -> tuple[int, int, int]:
    return (one[0] - other[0], one[1] - other[1], one[2] - other[2])

"""How tests wait for other processes: for a state, never for a time; a machine may stop any of them for a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

# Seconds until a test takes for stuck what it waits for. They cost nothing where all is well; with less of them a
# loaded machine, or one that was put to sleep for a moment, would fail tests in which nothing is wrong.
PATIENCE = 240


def until(happened: Callable[[], object], what: str = "it happened") -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.01)


def spans(first: float) -> Iterator[float]:
    """Return time limits, each longer, for a program that must have got somewhere before its limit strikes.

    The first is for a machine at ease. A test goes on to the next where the program had not got there, and so
    nothing was found out; it never goes on because it was told something wrong.
    """
    return (first * factor for factor in (1, 4, 16, 64))

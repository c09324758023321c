"""What the counter of a day says: one line of three numbers, which whoever counts writes and the loop reads.

The small waiter imports this room, so it imports nothing.
"""

from __future__ import annotations

_WIDTH = 20
# What a counter shows that nobody can read: more than any limit, for a limit is not lifted by chance.
BROKEN = (10**_WIDTH - 1, 10**_WIDTH - 1, 10**_WIDTH - 1)


def counted(data: bytes) -> tuple[int, int, int] | None:
    """Return what a counter's file says: millionths of a dollar, tokens, turns; None if it says nothing clear."""
    if not data:
        return (0, 0, 0)
    words = data.split()
    if len(words) != 3 or not all(word.isdigit() and len(word) <= _WIDTH for word in words):
        return None
    return (int(words[0]), int(words[1]), int(words[2]))


def told(total: tuple[int, int, int]) -> bytes:
    """Return a counter's file: always of one width, so that one write replaces all of it."""
    return " ".join(str(count).zfill(_WIDTH) for count in total).encode() + b"\n"

r"""Names of files as proper text (decision 0014): odd bytes are spelled `\xhh`, and the bytes can be had again."""

from __future__ import annotations

import re

# What no record, log or terminal takes, and a backslash that would read like one of our own.
_ODD = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]|\\(?=x[0-9a-f]{2})")
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")
# Git's own quotes know no `\x`: what stands so in them is spelled already.
_QUOTED = re.compile(rb"\\(?:x([0-9a-f]{2})|([0-7]{3})|(.))", re.DOTALL)
_LETTERS = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}


def name_of(data: bytes) -> str:
    r"""Return the name of a file in a tree as proper text; odd bytes are written as `\xhh`."""
    text = data.decode("utf-8", "surrogateescape")
    return _ODD.sub(lambda odd: f"\\x{odd[0].encode('utf-8', 'surrogateescape')[0]:02x}", text)


def bytes_of(name: str) -> bytes:
    """Return the bytes that git has for the file that `name_of` calls *name*."""
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), name.encode("utf-8", "surrogateescape"))


def unquoted(word: str) -> str:
    """Return the name that git wrote as *word* in a patch: in quotes with escapes, or as it is, ended by a tab."""
    if not (word.startswith('"') and word.rstrip().endswith('"') and len(word) > 1):
        return word.split("\t", 1)[0].rstrip("\r")
    inner = word.rstrip()[1:-1].encode("utf-8", "surrogateescape")
    return name_of(_QUOTED.sub(_byte, inner))


def _byte(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return bytes([int(found[1], 16)])
    if found[2]:
        return bytes([int(found[2], 8) & 0xFF])
    return _LETTERS.get(found[3], found[3])

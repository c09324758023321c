"""Where in a JSON text a value stands: asked only when there is something to complain about."""

from __future__ import annotations

import json
from json.decoder import scanstring  # type: ignore[attr-defined]  # CPython's own scanner has no stub

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SPACE = " \t\r\n"


def line_of(text: str, place: tuple[str | int, ...]) -> int:
    """Return the line of the key or item at *place* in a valid document; of the last part that is there."""
    at = _skip(text, 0)
    found = at
    for part in place:
        step = next(((start, value) for name, start, value in _children(text, at) if name == part), None)
        if step is None:
            break
        found, at = step
    return text.count("\n", 0, found) + 1


def _children(text: str, at: int) -> Iterator[tuple[str | int, int, int]]:
    """Yield name, start and start of the value for each member or item of the container at *at*."""
    opening = text[at]
    if opening not in "{[":
        return
    decoder, number = json.JSONDecoder(), 0
    at = _skip(text, at + 1)
    while text[at] not in "}]":
        name: str | int = number
        start = at
        if opening == "{":
            name, at = scanstring(text, at + 1)
            at = _skip(text, _skip(text, at) + 1)
        yield name, start, at
        at = _skip(text, decoder.raw_decode(text, at)[1])
        at = _skip(text, at + 1) if text[at] == "," else at
        number += 1


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at

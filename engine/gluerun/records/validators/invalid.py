"""What a validator raises: where a document is off, and what was expected there."""

from __future__ import annotations

SHOWN = 80


class Invalid(Exception):
    """A document is not of the shape its schema demands."""

    def __init__(self, place: str, words: str, value: object, listed: bool = False) -> None:
        super().__init__(place, words)
        self.place = _short(place.removeprefix("."), 3 * SHOWN)
        self.words = words
        if listed:
            self.words += " " + _short(", ".join(sorted(map(str, value))), SHOWN)
        elif value is None or isinstance(value, (str, int, float)):
            self.words += ", not " + _short(_json(value), SHOWN)

    def __str__(self) -> str:
        """Return the sentence: the place, then what must be there."""
        return f"{self.place or 'document'} {self.words}"


def _json(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    # An agent's text may be long and may hold anything: cut it first, then make it printable.
    return repr(value[: SHOWN + 1] if isinstance(value, str) else value)


def _short(text: str, limit: int) -> str:
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= limit else text[: limit - 1] + "…"

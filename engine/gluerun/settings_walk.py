"""A strict walk over a JSON document: each method judges the value at one place, and names the place if it is wrong."""

from __future__ import annotations

import json

from gluerun.errors import ConfigError, SchemaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from enum import StrEnum
    from typing import Any, TypeVar

    Place = tuple[str | int, ...]
    Word = TypeVar("Word", bound=StrEnum)

VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"


def parsed(data: bytes, file: str) -> tuple[str, Any]:
    """Return the text and the document of a JSON file; ConfigError with its line where it is none."""
    try:
        text = data.decode("utf-8-sig")
        return text, json.loads(text, object_pairs_hook=_pairs)
    except json.JSONDecodeError as error:
        place = f"{file}:{error.lineno}:{error.colno}"
        raise ConfigError(f"{place}: not JSON: {error.msg.lower()}", "mend the file", file=file) from None
    except (ValueError, RecursionError) as error:
        words = str(error) if isinstance(error, _DoubleKeyError) else "not readable as UTF-8 JSON"
        raise ConfigError(f"{file}: {words}", "mend the file", file=file) from None


def nearest(name: str, known: Iterable[str]) -> str:
    """Return which of *known* was probably meant, as a hint; else all of them."""
    import difflib

    names = sorted(known)
    lower = {one.lower(): one for one in names}
    close = difflib.get_close_matches(name.lower(), list(lower), 1, 0.6)
    return f"did you mean `{lower[close[0]]}`?" if close else "known here: " + ", ".join(names)


class _DoubleKeyError(ValueError):
    """A key that stands twice in one object."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise _DoubleKeyError(f"key {double!r} stands twice in one object")
    return found


class Walk:
    """One walk over the document of one file. `later` are places that the engine does not know yet."""

    later: frozenset[str] = frozenset()

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file

    def fail(self, place: Place, message: str, hint: str = "") -> ConfigError:
        """Return the error about what stands at *place*."""
        from gluerun.settings_place import line_of

        line = line_of(self.text, place)
        where = f"{self.file}:{line}" if line else self.file
        path = f"`{dotted(place)}` " if place else ""
        return ConfigError(f"{where}: {path}{message}", hint, file=self.file)

    def members(self, place: Place, value: Any, known: Iterable[str]) -> dict[str, Any]:
        """Return an object of which every key is known."""
        found = self.object(place, value)
        for key in found:
            if key not in known:
                raise self.unknown((*place, key), key, known)
        return found

    def unknown(self, place: Place, key: str, known: Iterable[str]) -> ConfigError:
        """Return the error about a key that nothing reads."""
        if dotted(place) in self.later:
            return self.fail(place, "is not built yet", "take it out for now")
        return self.fail(place, "is no known key", nearest(key, known))

    def object(self, place: Place, value: Any) -> dict[str, Any]:
        """Return an object."""
        if not isinstance(value, dict):
            raise self.fail(place, f"must be an object, not {kind_of(value)}", "write it in braces: { … }")
        return dict(value)

    def list(self, place: Place, value: Any) -> list[Any]:
        """Return a list."""
        if not isinstance(value, list):
            raise self.fail(place, f"must be a list, not {kind_of(value)}", "write it in brackets: [ … ]")
        return value

    def word(self, place: Place, value: Any, *, empty: bool = False) -> str:
        """Return a text, which may be *empty* or not."""
        if not isinstance(value, str):
            raise self.fail(place, f"must be a text, not {kind_of(value)}", "write it in quotes")
        if "\0" in value or not (empty or value.strip()):
            raise self.fail(place, "must not be empty" if "\0" not in value else "must not hold NUL")
        return value

    def words(self, place: Place, value: Any) -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(self.word((*place, at), item) for at, item in enumerate(self.list(place, value)))

    def choice(self, place: Place, value: Any, words: type[Word], what: str) -> Word:
        """Return one of a closed list of *words*; *what* says what such a word is called."""
        try:
            return words(self.word(place, value))
        except ValueError:
            raise self.fail(place, f"{value!r} is no {what}", nearest(value, words)) from None

    def seconds(self, place: Place, value: Any) -> int:
        """Return a number of seconds."""
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.fail(place, f"must be a whole number of seconds, not {value!r}", "0 means no limit")
        return value

    def whole(self, place: Place, value: Any) -> int:
        """Return a whole number that is not below zero."""
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1_000_000:
            raise self.fail(place, f"must be a whole number from 0 to 1000000, not {value!r}")
        return value

    def count(self, place: Place, value: Any) -> int:
        """Return a whole number above zero."""
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self.fail(place, f"must be a whole number above 0, not {value!r}", "leave it out for no limit")
        return value

    def amount(self, place: Place, value: Any) -> float:
        """Return a number that is not below zero."""
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
            raise self.fail(place, f"must be a number that is not below 0, not {value!r}")
        return float(value)

    def flag(self, place: Place, value: Any) -> bool:
        """Return true or false."""
        if not isinstance(value, bool):
            raise self.fail(place, f"must be true or false, not {kind_of(value)}")
        return value

    def path(self, place: Place, value: Any) -> str:
        """Return a path of this repository."""
        from gluerun.records.paths import scope_entry

        try:
            return scope_entry(self.word(place, value))
        except SchemaError as error:
            raise self.fail(place, error.message, "name a file or folder of this repository") from None

    def named(self, place: Place, name: str, pattern: str, what: str) -> str:
        """Return a *name* that has the form of what it names."""
        import re

        if not re.fullmatch(pattern, name):
            raise self.fail(place, f"{name!r} cannot be {what}")
        return name

    def variables(self, place: Place, value: Any) -> dict[str, str]:
        """Return variables with their texts."""
        found = {}
        for name, text in self.object(place, value).items():
            self.named((*place, name), name, VARIABLE, "the name of a variable")
            found[name] = self.word((*place, name), text, empty=True)
        return found

    def variable_names(self, place: Place, value: Any) -> tuple[str, ...]:
        """Return a list of names of variables."""
        for at, name in enumerate(self.words(place, value)):
            self.named((*place, at), name, VARIABLE, "the name of a variable")
        return tuple(value)


def dotted(place: Place) -> str:
    """Return a place as people write it."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


def kind_of(value: Any) -> str:
    """Return in words what kind of JSON value this is."""
    if value is None:
        return "null"
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return names.get(type(value), "a number")

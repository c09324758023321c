"""Record ⇄ JSON document: the only translator between snake_case and the wire's camelCase.

Fields that are None stay off the wire. Time stamps are UTC, to the second, written `2026-01-31T23:59:59Z`.
"""

from __future__ import annotations

import json
import math
import sys
from datetime import UTC, datetime
from enum import Enum
from types import GenericAlias, NoneType, UnionType

from gluerun.errors import SchemaError
from gluerun.records.record import fields_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")
    Decoder = Callable[[Any], Any]

PREFIX = "gluerun.orchestration."
_DECODERS: dict[type[Any], dict[str, tuple[str, Decoder]]] = {}
_WIRE_NAMES: dict[str, str] = {}
_SCALARS = (str, bool, float, NoneType)
_PLAIN = frozenset({str, int, bool, float, NoneType})
_WORDS = {True: "true", False: "false", None: "null"}
_quoted = json.encoder.encode_basestring


def wire_name(name: str) -> str:
    """Return the wire's spelling of a field: ``base_sha`` becomes ``baseSha``."""
    return _WIRE_NAMES.get(name) or _WIRE_NAMES.setdefault(name, _camel(name))


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def stamp(moment: datetime) -> str:
    """Write *moment* the way the wire has it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """Read a time stamp of the wire; SchemaError where it has the shape of one but is no moment."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise SchemaError(f"{text!r} is no moment in time") from None


def to_wire(value: Any) -> Any:
    """Return *value* as plain JSON types; a record bound to a schema carries its id first."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, dict):
        return {key: to_wire(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_wire(item) for item in value]
    schema = getattr(type(value), "SCHEMA", None)
    document = {"schema": PREFIX + schema} if schema else {}
    for name, item in vars(value).items():
        if item is not None:
            document[wire_name(name)] = to_wire(item)
    return document


def from_wire(cls: type[T], document: Any) -> T:
    """Build a *cls* from a document that its schema has already judged."""
    decoders = _DECODERS.get(cls) or _DECODERS.setdefault(cls, _decoders(cls))
    values = {}
    for key, item in document.items():
        if key in decoders:
            name, decode = decoders[key]
            values[name] = decode(item)
        elif key != "schema":
            raise SchemaError(f"{cls.__name__} has no field {key!r}")
    try:
        return cls(**values)
    except TypeError as error:
        raise SchemaError(str(error)) from None


def encode(value: Any) -> bytes:
    """Write a record or document as JSON: two spaces, one final newline."""
    return (_indented(to_wire(value), "\n") + "\n").encode()


def _indented(value: Any, line: str) -> str:
    """Write plain JSON types as `json.dumps(indent=2)` does, in half of its time; *line* starts a line."""
    kind = type(value)
    if kind is str:
        return _quoted(value)
    if kind is int:
        return str(value)
    if value is True or value is False or value is None:
        return _WORDS[value]
    inner = line + "  "
    if kind is dict and value:
        pairs = [f"{inner}{_quoted(key)}: {_indented(item, inner)}" for key, item in value.items()]
        return "{" + ",".join(pairs) + line + "}"
    if kind is list and value:
        return "[" + ",".join([inner + _indented(item, inner) for item in value]) + line + "]"
    if kind is dict or kind is list:
        return "{}" if kind is dict else "[]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(document: Any) -> bytes:
    """Write a document in the one form that hashes are taken of: sorted keys, no spaces, UTF-8."""
    return _CANONICAL.encode(document).encode()


def decode(data: bytes, *, file: str = "") -> Any:
    """Read JSON in UTF-8; SchemaError with line and column where it is none.

    What could be read but never be written again is refused here too: NaN, infinities, half surrogates.
    """
    try:
        document = _READER.decode(data.decode())
        if b"\\u" in data:
            canonical(document)
        return document
    except (ValueError, RecursionError) as error:
        place = f"line {error.lineno}, column {error.colno}: " if isinstance(error, json.JSONDecodeError) else ""
        words = error.msg if isinstance(error, json.JSONDecodeError) else "not readable as UTF-8 JSON"
        raise SchemaError(f"{file or 'document'}: {place}{words}", file=file) from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


_READER = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)


def _decoders(cls: type[Any]) -> dict[str, tuple[str, Decoder]]:
    scope = vars(sys.modules[cls.__module__])
    return {wire_name(name): (name, _decoder(_resolve(cls.__annotations__[name], scope))) for name in fields_of(cls)}


def _resolve(hint: Any, scope: dict[str, Any]) -> Any:
    # Annotations are our own source text, never data: evaluating them here, once per class and on
    # first use, saves the `typing` import on the idle path.
    return eval(hint, dict(scope)) if isinstance(hint, str) else hint  # noqa: S307


def _decoder(hint: Any) -> Decoder:
    if isinstance(hint, UnionType):
        inner = _decoder(next(part for part in hint.__args__ if part is not NoneType))
        return lambda item: None if item is None else inner(item)
    if isinstance(hint, GenericAlias):
        return _container(hint)
    if hint is int:
        return int  # JSON Schema counts 1.0 as an integer; past this door it is one
    if hint in _SCALARS or hint is object:
        return _same
    if isinstance(hint, type) and issubclass(hint, datetime):
        return moment
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if getattr(hint, "__fields__", None) is not None:
        return lambda item: from_wire(hint, item)
    return _same


def _container(hint: Any) -> Decoder:
    if hint.__origin__ is dict:
        value = _decoder(hint.__args__[1])
        return dict if value is _same else lambda items: {key: value(item) for key, item in items.items()}
    inner = _decoder(hint.__args__[0])
    return tuple if inner is _same else lambda items: tuple(inner(item) for item in items)


def _same(item: Any) -> Any:
    return item

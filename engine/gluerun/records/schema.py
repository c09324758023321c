"""The only judge of shape: nothing invalid is read, nothing invalid is born."""

from __future__ import annotations

from gluerun.errors import SchemaError
from gluerun.records import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")

# A cycle looks again after each round, mostly at files that are as they were: a record is frozen, so it serves again.
_READ: dict[tuple[type[Any], bytes], Any] = {}
_MOST = 500


def check(name: str, document: Any, *, file: str = "") -> None:
    """Raise SchemaError with place and reason unless *document* is a valid *name*, such as ``lease.v0``."""
    from gluerun.records.validators.table import Invalid, validator

    try:
        validator(name)(document)
    except Invalid as error:
        raise SchemaError(f"{file or name}: {error}", file=file) from None


def load(cls: type[T], data: bytes, *, file: str = "") -> T:
    """Read a record from JSON that its schema accepts."""
    known = _READ.get((cls, data))
    if known is None:
        known = admit(cls, codec.decode(data, file=file), file=file)
        if len(_READ) >= _MOST:
            _READ.clear()
        _READ[cls, data] = known
    return known


def admit(cls: type[T], document: Any, *, file: str = "") -> T:
    """Build a record from a document that its schema accepts."""
    check(cls.SCHEMA, document, file=file)  # type: ignore[attr-defined]  # every record with a file has one
    return codec.from_wire(cls, document)


def dump(value: Any) -> bytes:
    """Write a record that its schema accepts."""
    document = codec.to_wire(value)
    check(type(value).SCHEMA, document)
    return codec.encode(document)

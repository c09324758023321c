"""The journal as a chain: how an event is sealed, and what a line must be to follow the one before.

A line is the canonical JSON of its whole event, so that not one byte of it can differ unseen (docs/journal.md).
"""

from __future__ import annotations

import hashlib
import re

from gluerun.errors import SchemaError
from gluerun.records import codec
from gluerun.records.event import Event
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from typing import Any

GENESIS = "0" * 64
# The event that begins a file after one whose chain is broken; its `prev` seals that file's bytes as they are.
BROKEN = "events.broken"
_SEALED = ("data", "message", "prev", "seq", "ts", "type")
_KEYS = {*_SEALED, "hash", "schema"}
_SCHEMA = f"{codec.PREFIX}{Event.SCHEMA}"
# The event that begins a journal of which nothing but its anchor is left.
LOST = "events.lost"
_SEGMENT = re.compile(r"([0-9]{1,15})-([0-9]{1,15})(\.broken)?\.ndjson")


@record
class Head:
    """Where a chain stands: its last event's number and hash. Before the first event: zero, and sixty-four zeros."""

    seq: int = 0
    hash: str = GENESIS


@record
class Fault:
    """The first event of a chain that is not what it should be."""

    seq: int
    reason: str


@record
class Segment:
    """A sealed file of the journal, by what its name says: its events, and whether its chain was found broken."""

    first: int
    last: int
    is_broken: bool = False

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.first}-{self.last}{'.broken' if self.is_broken else ''}.ndjson"


def segments(names: Iterable[str]) -> list[Segment]:
    """Return the sealed files among *names*, in the order of their events."""
    words = [word for name in names if (word := _SEGMENT.fullmatch(name))]
    found = [Segment(first=int(one[1]), last=int(one[2]), is_broken=bool(one[3])) for one in words]
    return sorted(found, key=lambda one: (one.first, one.last))


def seal(head: Head, ts: datetime, kind: str, message: str, data: Mapping[str, object]) -> Event:
    """Return the event that follows *head*; its hash is the SHA-256 of its canonical JSON without schema and hash."""
    seq, kept = head.seq + 1, dict(data)
    body = {"seq": seq, "ts": codec.stamp(ts), "type": kind, "message": message, "data": kept, "prev": head.hash}
    digest = hashlib.sha256(codec.canonical(body)).hexdigest()
    return Event(seq=seq, ts=ts, type=kind, message=message, data=kept, prev=head.hash, hash=digest)


def line_of(event: Event) -> bytes:
    """Return an event as its line of the journal."""
    return codec.canonical(codec.to_wire(event)) + b"\n"


def follow(head: Head, line: bytes) -> Head | Fault:
    """Return where the chain stands after *line* (without its line feed), or what is wrong with it."""
    seq = head.seq + 1
    document = document_of(line)
    if document is None:
        return Fault(seq=seq, reason="its line is no event in canonical form")
    if document["seq"] != seq:
        return Fault(seq=seq, reason=f"event {document['seq']} stands in its place")
    if document["prev"] != head.hash:
        return Fault(seq=seq, reason="it does not follow from the event before")
    digest = hashlib.sha256(codec.canonical({key: document[key] for key in _SEALED})).hexdigest()
    if digest != document["hash"]:
        return Fault(seq=seq, reason="its hash is not that of its content")
    return Head(seq=seq, hash=digest)


def follow_all(head: Head, lines: Iterable[bytes]) -> Head | Fault:
    """Return where the chain stands after *lines*, or its first fault."""
    for line in lines:
        found = follow(head, line)
        if isinstance(found, Fault):
            return found
        head = found
    return head


def before(line: bytes) -> Head | None:
    """Return what *line* itself says that it follows; None if it is no event."""
    document = document_of(line)
    return None if document is None else Head(seq=document["seq"] - 1, hash=document["prev"])


def kind_of(line: bytes) -> str:
    """Return the type of the event on *line*; empty if it is none."""
    document = document_of(line)
    return "" if document is None else str(document["type"])


def lines_of(data: bytes) -> list[bytes]:
    """Return the whole lines of *data*; not `splitlines`, which ends them at a carriage return too."""
    return data.split(b"\n")[:-1]


def document_of(line: bytes) -> dict[str, Any] | None:
    """Return the event on a line as a document; None if the line is anything but an event in canonical form."""
    try:
        document = codec.decode(line)
        if not isinstance(document, dict) or document.keys() != _KEYS or codec.canonical(document) != line:
            return None
    except (SchemaError, ValueError, RecursionError):
        return None
    texts = (document[key] for key in ("hash", "message", "prev", "ts", "type"))
    if type(document["seq"]) is not int or not all(type(one) is str for one in texts):
        return None
    return document if document["schema"] == _SCHEMA and type(document["data"]) is dict else None

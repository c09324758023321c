"""`events.ndjson`: what has happened, each line sealed with the hash of the one before. Only L0 appends.

The journal is testimony; files are the truth. No state is ever rebuilt from it.
"""

from __future__ import annotations

import hashlib
import json

from gluerun.errors import SchemaError
from gluerun.records import codec
from gluerun.records.event import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from gluerun.ports import Files

PATH = "events.ndjson"
GENESIS = "0" * 64
_TAIL = 65_536


def seal(seq: int, ts: datetime, kind: str, message: str, data: Mapping[str, object], prev: str) -> Event:
    """Return an event whose hash is the SHA-256 of its canonical JSON without the hash itself."""
    body = {"seq": seq, "ts": codec.stamp(ts), "type": kind, "message": message, "data": dict(data), "prev": prev}
    digest = hashlib.sha256(codec.canonical(body)).hexdigest()
    return Event(seq=seq, ts=ts, type=kind, message=message, data=dict(data), prev=prev, hash=digest)


def line_of(event: Event) -> bytes:
    """Return an event as its line of the journal."""
    return codec.canonical(codec.to_wire(event)) + b"\n"


class Journal:
    """The journal of one repository; lines wait until `flush` appends them in one durable write."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._pending: list[tuple[datetime, str, str, dict[str, object]]] = []

    def tell(self, now: datetime, kind: str, message: str, **data: object) -> None:
        """Note one transition; values of None are left out."""
        from gluerun.core.secrets import cleaned, redacted  # a cycle that has nothing to tell needs no mask

        kept = {key: cleaned(value) for key, value in data.items() if value is not None}
        self._pending.append((now, kind, redacted(message), kept))

    def flush(self) -> None:
        """Append what was noted. A torn last line of a crash is cut off first, and that is noted too."""
        if not self._pending:
            return
        seq, prev = self._head()
        lines = []
        for now, kind, message, data in self._pending:
            seq += 1
            event = seal(seq, now, kind, message, data, prev)
            prev = event.hash
            lines.append(line_of(event))
        self._files.append(PATH, b"".join(lines))
        self._pending.clear()

    def last(self, count: int) -> list[dict[str, object]]:
        """Return the last *count* events as documents, oldest first."""
        lines = self._files.tail(PATH, max(_TAIL, count * 512)).splitlines()[-count:]
        found = []
        for line in lines:
            try:
                found.append(codec.decode(line))
            except SchemaError:
                continue  # the first line of a tail may be half a line
        return found

    def _head(self) -> tuple[int, str]:
        tail = self._files.tail(PATH, _TAIL)
        if tail and not tail.endswith(b"\n"):
            tail = self._mend()
        for line in reversed(tail.splitlines()):
            try:
                document = json.loads(line)
                return int(document["seq"]), str(document["hash"])
            except (ValueError, KeyError, TypeError):
                continue
        return 0, GENESIS

    def _mend(self) -> bytes:
        whole = self._files.read(PATH) or b""
        kept, _, torn = whole.rpartition(b"\n")
        kept = kept + b"\n" if kept else b""
        self._files.write(PATH, kept)
        now = self._pending[0][0]
        self._pending.insert(0, (now, "events.mended", "a torn last line was cut off", {"bytes": len(torn)}))
        return kept[-_TAIL:]


def broken_link(lines: list[bytes]) -> str:
    """Return what is wrong with a whole journal, naming the first bad sequence number; empty if nothing is."""
    prev, seq = GENESIS, 0
    for number, line in enumerate(lines, 1):
        try:
            document = codec.decode(line)
            body = {key: document[key] for key in ("seq", "ts", "type", "message", "data", "prev")}
        except (SchemaError, KeyError, TypeError):
            return f"line {number} is no event"
        digest = hashlib.sha256(codec.canonical(body)).hexdigest()
        if body["prev"] != prev or digest != document.get("hash") or body["seq"] != seq + 1:
            return f"the chain breaks at event {body['seq']}"
        prev, seq = digest, seq + 1
    return ""

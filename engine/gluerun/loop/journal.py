"""`events.ndjson`: what has happened, each line sealed with the hash of the one before. Only L0 appends.

The journal is testimony; files are the truth. No state is ever rebuilt from it. A file that has grown big is sealed:
renamed to `events/<first>-<last>.ndjson` and never touched again, while the chain goes on in a new one.
"""

from __future__ import annotations

import hashlib

from gluerun.core.chain import (
    BROKEN,
    LOST,
    Fault,
    Head,
    Segment,
    before,
    follow_all,
    kind_of,
    line_of,
    lines_of,
    seal,
    segments,
)
from gluerun.records import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from gluerun.ports import Files
    from gluerun.records.event import Event

PATH = "events.ndjson"
SEALED = "events"
MENDED = "events.mended"
NOTED = "events.noted"
_TAIL = 65_536
# How many events whoever looks back sees first; four times as many where they do not reach.
_FIRST_LOOK = 500


class Journal:
    """The journal of one repository; lines wait until `flush` appends them in one durable write.

    A file of *limit* bytes is sealed. *anchored* says where the chain stood as git knows it: a journal of which
    nothing is left goes on from there.
    """

    def __init__(self, files: Files, *, limit: int = 4_194_304, anchored: Callable[[], Head] = Head) -> None:
        # Who hears of what was written; None where nobody listens.
        self.listener: Callable[[list[Event]], None] | None = None
        self._files = files
        self._limit = limit
        self._anchored = anchored
        self._pending: list[tuple[datetime, str, str, dict[str, object]]] = []
        self.has_grown = False

    def tell(self, now: datetime, kind: str, message: str, **data: object) -> None:
        """Note one transition; values of None are left out."""
        from gluerun.core.secrets import cleaned, redacted  # a cycle that has nothing to tell needs no mask

        kept = {key: cleaned(value) for key, value in data.items() if value is not None}
        self._pending.append((now, kind, redacted(message), kept))

    def flush(self) -> None:
        """Append what was noted. What a crash tore is cut off first, a broken chain begins a file, a big one ends."""
        if not self._pending:
            return
        head = self._ready()
        events = []
        for now, kind, message, data in self._pending:
            event = seal(head, now, kind, message, data)
            head = Head(seq=event.seq, hash=event.hash)
            events.append(event)
        self._files.append(PATH, b"".join(line_of(event) for event in events))
        self._pending.clear()
        self.has_grown = True
        if self.listener is not None:
            self.listener(events)
            self.flush()  # that a listener failed is told at once, and only once

    def head(self) -> Head:
        """Return where the chain stands, what waits flushed."""
        self.flush()
        lines = self._last_lines(1)
        found = follow_all(before(lines[-1]) or Head(), lines[-1:]) if lines else Head()
        return found if isinstance(found, Head) else Head()

    def last(self, count: int) -> list[dict[str, object]]:
        """Return the last *count* events as documents, oldest first, over the borders of files."""
        found = []
        for line in self._last_lines(count):
            try:
                found.append(codec.decode(line))
            except ValueError:
                continue
        return found

    def back_to(self, is_enough: Callable[[list[dict[str, object]]], bool]) -> list[dict[str, object]]:
        """Return the last events, oldest first, as many as are enough, or all."""
        count = _FIRST_LOOK
        while True:
            events = self.last(count)
            if len(events) < count or is_enough(events):
                return events
            count *= 4

    def fault(self) -> Fault | None:
        """Return the first fault of the whole unsealed file; nothing is written."""
        data = self._files.read(PATH) or b""
        lines = lines_of(data)
        found = self._followed(data, self._sealed_head()) if lines else Head()
        if isinstance(found, Fault):
            return found
        return None if data.endswith(b"\n") or not data else Fault(seq=found.seq + 1, reason="its line is torn")

    def note_break(self, now: datetime) -> Fault | None:
        """Look at the whole unsealed file; if its chain is broken, seal it as it is and go on in a new one."""
        self._mended_tail(now)
        found = self.fault()
        if found is None:
            self.flush()
            return None
        self._seal_file(0, is_broken=True)
        self._pending = self._pending or [(now, NOTED, "the break was noted because somebody asked for it", {})]
        self.flush()
        return found

    def mend(self, now: datetime) -> None:
        """Cut off at once what a crash tore: one byte is looked at."""
        if self._files.tail(PATH, 1) not in (b"", b"\n"):
            self._mended_tail(now)
            self.flush()

    def _ready(self) -> Head:
        """Return the head that the next event follows, its file ready to be appended to."""
        now = self._pending[0][0]
        tail = self._mended_tail(now)
        if not tail:
            return self._begin(now)
        mark = self._files.mark(PATH)
        size = mark.size if mark is not None else 0
        # Of a big file only the end is looked at, from its first whole line on.
        found = self._followed(tail, self._sealed_head()) if size <= len(tail) else self._followed(_cut(tail), None)
        if isinstance(found, Fault):
            self._seal_file(0, is_broken=True)
            return self._begin(now)
        if size >= self._limit:
            self._seal_file(found.seq)
        return found

    def _begin(self, now: datetime) -> Head:
        """Return what the first event of a new file follows; after a break or a loss that event says so."""
        sealed = segments(self._files.names(SEALED))
        if not sealed:
            known = self._anchored()
            if known.seq:
                self._pending.insert(0, (now, LOST, f"the events up to {known.seq} are not here any more", {}))
            return known
        newest = sealed[-1]
        head = None if newest.is_broken else self._sealed_head()
        if head is not None:
            return head
        digest = hashlib.sha256(self._files.read(f"{SEALED}/{newest.name}") or b"").hexdigest()
        words = f"the chain is broken in {SEALED}/{newest.name}, which was sealed as it was; it goes on here"
        self._pending.insert(0, (now, BROKEN, words, {"segment": newest.name, "sha256": digest}))
        return Head(seq=newest.last, hash=digest)

    def _sealed_head(self) -> Head | None:
        """Return where the newest sealed file ends; None if it ends in no event. Without one: the genesis."""
        sealed = segments(self._files.names(SEALED))
        if not sealed:
            return Head()
        line = lines_of(self._tail_of(f"{SEALED}/{sealed[-1].name}", 1))[-1:]
        start = before(line[0]) if line else None
        found = follow_all(start, line) if start else None
        return found if isinstance(found, Head) else None

    def _followed(self, data: bytes, head: Head | None) -> Head | Fault:
        """Follow the chain over the lines of *data*, which go on from *head*; from anything if that is None."""
        lines = lines_of(data)
        start = before(lines[0])
        if start is None:
            return Fault(seq=head.seq + 1 if head else 0, reason="its line is no event in canonical form")
        # What begins after a break or a loss follows what only the whole journal can tell.
        if head is not None and start != head and kind_of(lines[0]) not in (BROKEN, LOST):
            return Fault(seq=start.seq + 1, reason="it does not follow from the event before")
        return follow_all(start, lines)

    def _seal_file(self, last: int, *, is_broken: bool = False) -> None:
        """Give the file its name among the sealed ones; no two of them overlap, whatever it holds."""
        count = max(len(lines_of(self._files.read(PATH) or b"")), 1)
        sealed = segments(self._files.names(SEALED))
        first = sealed[-1].last + 1 if sealed else max(last - count + 1, 1)
        segment = Segment(first=first, last=max(last, first + count - 1), is_broken=is_broken)
        self._files.move(PATH, f"{SEALED}/{segment.name}")

    def _mended_tail(self, now: datetime) -> bytes:
        """Return the end of the file with at least one whole line; a torn last line is cut off, and that is noted."""
        tail = self._tail_of(PATH, 1)
        if not tail or tail.endswith(b"\n"):
            return tail
        whole = self._files.read(PATH) or b""
        kept, _, torn = whole.rpartition(b"\n")
        kept = kept + b"\n" if kept else b""
        self._files.write(PATH, kept)
        self._pending.insert(0, (now, MENDED, "a torn last line was cut off", {"bytes": len(torn)}))
        return self._tail_of(PATH, 1)

    def _tail_of(self, path: str, count: int) -> bytes:
        """Return the end of a file: *count* whole lines at least, or all of it."""
        size = max(_TAIL, count * 512)
        while True:
            tail = self._files.tail(path, size)
            # The first line of a tail may be half a line.
            if len(tail) < size or tail.count(b"\n") > count + 1:
                return tail
            size *= 4

    def _last_lines(self, count: int) -> list[bytes]:
        """Return the last *count* whole lines, oldest first."""
        found: list[bytes] = []
        sealed = segments(self._files.names(SEALED))
        for path in (PATH, *(f"{SEALED}/{one.name}" for one in reversed(sealed))):
            found = lines_of(self._tail_of(path, count))[-(count - len(found)) :] + found
            if len(found) >= count:
                break
        return found


def journal_files(files: Files) -> list[tuple[Segment | None, bytes]]:
    """Return every file of the journal in order, the sealed ones with their numbers; the last one may be torn."""
    while True:
        sealed = segments(files.names(SEALED))
        found = [(one, files.read(f"{SEALED}/{one.name}") or b"") for one in sealed]
        newest = files.read(PATH)
        if segments(files.names(SEALED)) == sealed:  # else a cycle has just sealed one
            return [*found, *([(None, newest)] if newest is not None else [])]


def broken_link(files: Files) -> str:
    """Return what is wrong with the chain of a whole journal, naming the first bad event; empty if nothing is."""
    head = Head()
    for _, data in journal_files(files):
        found = follow_all(head, lines_of(data))
        if isinstance(found, Fault):
            return f"the chain breaks at event {found.seq}: {found.reason}"
        head = found
    return ""


def _cut(tail: bytes) -> bytes:
    return tail.partition(b"\n")[2]

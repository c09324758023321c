"""What has happened, and the hash that chains each line to the one before."""

from __future__ import annotations

from datetime import datetime

from gluerun.records.record import record


@record
class Event:
    """One line of `events.ndjson`: a transition, sealed with the hash of the line before it."""

    SCHEMA = "event.v0"

    seq: int
    ts: datetime
    type: str
    message: str
    data: dict[str, object]
    prev: str
    hash: str


@record
class JournalAnchor:
    """Where the journal stands, as `refs/gluerun/journal` keeps it outside the state folder."""

    SCHEMA = "journal-anchor.v0"

    seq: int
    hash: str

"""What a resident loop says of itself, and what a person was told already."""

from __future__ import annotations

from datetime import datetime

from gluerun.records.record import record


@record
class Resident:
    """The resident loop at work: `resident.json`. Whether it lives its lock says, not this file.

    `trouble` says why the newest configuration is not the one it works by; `config_sha256` names the kept one.
    """

    SCHEMA = "resident.v0"

    run_id: str
    pid: int
    started_at: datetime
    engine_version: str
    config_sha256: str
    trouble: str = ""


@record
class Notices:
    """Which needs of a person were told to them: `notices.json`. What is due is told by whoever comes next.

    `told` holds the sentences that still hold and were told; `due` those that are written down, but not told.
    """

    SCHEMA = "notices.v0"

    told: tuple[str, ...] = ()
    due: tuple[str, ...] = ()

"""What somebody who looks knows beside the World: who is at work, and since when what holds."""

from __future__ import annotations

from datetime import datetime

from gluerun.records.record import record


@record
class Known:
    """What a reader knows beside the World.

    `loop` names the process that runs cycles now, empty if none does; `trouble` is why the newest settings are not
    used; `seen_at` is when this machine was last at work.
    `refusals` are the inputs that cannot be used, by path; `phases` tells for each run what it does and in which try.
    """

    loop: str = ""
    trouble: str = ""
    seen_at: datetime | None = None
    stop_since: datetime | None = None
    refusals: dict[str, str] = {}  # noqa: RUF012 a default that is never changed
    phases: dict[str, tuple[str, int]] = {}  # noqa: RUF012

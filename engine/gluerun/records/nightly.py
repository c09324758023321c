"""The gates of the night: when they were asked last, about what, and what came of it."""

from __future__ import annotations

from datetime import datetime

from gluerun.records.gate import GateVerdict
from gluerun.records.record import record


@record
class Nightly:
    """The last night's gates: `nightly.json`.

    They were asked at `since` about the target's `head`, by `run`; `result` is what came of it, None while they run.
    Without a run nothing was asked yet: what lies before `since` is not made up for. `again` counts faults before it.
    """

    SCHEMA = "nightly.v0"

    since: datetime
    head: str = ""
    run: str = ""
    result: GateVerdict | None = None
    reason: str = ""
    again: int = 0

    @property
    def is_running(self) -> bool:
        """Tell whether its run has not been taken in yet."""
        return bool(self.run) and self.result is None

"""Who works in a gate slot."""

from __future__ import annotations

from datetime import datetime

from gluerun.records.record import record


@record
class SlotLease:
    """The run that took a gate slot last: `slots/<n>.json`. It has the slot until nobody of its tree lives."""

    SCHEMA = "slot.v0"

    slot: int
    run_id: str
    taken_at: datetime

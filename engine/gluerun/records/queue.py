"""What the merge queue has learned of its gates. The queue itself is no record: the tasks are."""

from __future__ import annotations

from gluerun.records.rate import Rate
from gluerun.records.record import record


@record
class QueueState:
    """What gates on candidates have said lately, and how long they took: `queue.json`.

    Lost, it begins anew; nothing but the size of batches and the expected times rest on it.
    """

    SCHEMA = "queue.v0"

    rate: Rate = Rate()
    gate_ms: int | None = None

"""The merge queue of one repository, looked at."""

from __future__ import annotations

from gluerun.core.outline import QueuePage, queue_page
from gluerun.edge.reading import NOBODY
from gluerun.loop.observe import observe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.loop.house import House


def queue(house: House) -> QueuePage:
    """Return who waits to land, and what is being proved."""
    return queue_page(observe(house, NOBODY).world)

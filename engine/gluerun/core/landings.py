"""What the merge queue has had to do, out of the journal: who came when, who landed and who was red."""

from __future__ import annotations

from datetime import datetime

from gluerun.core.queue_model import Change
from gluerun.records import codec
from gluerun.records.record import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# What ends the wait of an accepted task that has not landed.
_BACK = ("packet.imported", "run.settled", "task.parked", "operator.park", "operator.cancel", "task.superseded")


@record
class Arrival:
    """One accepted change: when it came, and when it landed or went back; `was_red` if its gate was red meanwhile."""

    task: str
    at: datetime
    until: datetime
    landed: bool
    was_red: bool = False


@record
class Past:
    """The changes that came to the queue, in their order, and how many gate runs it began for them."""

    arrivals: tuple[Arrival, ...]
    runs: int

    @property
    def judged(self) -> tuple[Arrival, ...]:
        """Those that landed, or went back because a gate was red; of the others no gate would say anything."""
        return tuple(one for one in self.arrivals if one.landed or one.was_red)

    @property
    def latencies(self) -> tuple[float, ...]:
        """The seconds from acceptance to landing of each that landed."""
        return tuple((one.until - one.at).total_seconds() for one in self.arrivals if one.landed)

    def changes(self) -> list[Change]:
        """Return what a simulated queue is given; times are seconds since the first came."""
        judged = self.judged
        return [Change(arrives=(one.at - judged[0].at).total_seconds(), bad=not one.landed) for one in judged]


def past(events: Iterable[Mapping[str, object]], most: int) -> Past:
    """Return what *events*, the oldest first, tell of the last *most* changes that have landed or gone back."""
    waiting: dict[str, Arrival] = {}
    found: list[Arrival] = []
    runs: list[datetime] = []
    for event in events:
        kind, data = str(event.get("type", "")), event.get("data")
        task = str(data.get("task") or "") if isinstance(data, dict) else ""
        if not task:
            continue
        at = codec.moment(str(event["ts"]))
        if kind == "integration.started":
            runs.append(at)
        elif kind == "integration.red" and task in waiting:
            waiting[task] = replace(waiting[task], was_red=True)
        elif (kind == "integration.integrated" or kind in _BACK) and task in waiting:
            found.append(replace(waiting.pop(task), until=at, landed=kind == "integration.integrated"))
        if kind == "packet.imported":
            waiting[task] = Arrival(task=task, at=at, until=at, landed=False)
    last = sorted(found[-most:], key=lambda one: (one.at, one.task))
    return Past(arrivals=tuple(last), runs=sum(at >= last[0].at for at in runs) if last else 0)

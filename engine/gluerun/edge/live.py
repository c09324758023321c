"""The board as it is now, with its last events and what the day has cost; and how to tell that it has changed."""

from __future__ import annotations

from datetime import datetime

from gluerun.core.board import Board
from gluerun.core.board import board as board_of
from gluerun.core.costs import costs
from gluerun.core.outlook import living_runs
from gluerun.edge.reading import read
from gluerun.edge.views import spendings_since
from gluerun.loop import journal
from gluerun.loop.store import BACKOFFS, LEASES, LIVE, NODE_LEASES, STOP, run_path
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.loop.house import House

_WATCHED = (journal.PATH, LIVE, LEASES, NODE_LEASES, BACKOFFS, STOP, "circuit.json", "planner-backoff.json",
            "push-backoff.json", "locks/auto.lock.json")  # fmt: skip


@record
class EventLine:
    """One event, as short as it can be told."""

    at: str
    words: str


@record
class LivePage:
    """What `gluerun watch` shows: `runs` are those that still go on."""

    at: datetime
    board: Board
    loop: str
    spent: str
    runs: tuple[str, ...]
    events: tuple[EventLine, ...]


def page(house: House, count: int) -> LivePage:
    """Return what is to be seen now, with the last *count* events."""
    seen = read(house)
    now = seen.world.now
    today = spendings_since(house, now.replace(hour=0, minute=0, second=0))
    money = costs(today, "role").total
    told = f"${money.cost_usd:.2f}" if money.cost_usd is not None else "unknown" if money.programs else "nothing"
    runs = tuple(run for run in living_runs(seen.world) if house.store.ending(run) is None)
    return LivePage(
        at=now,
        board=board_of(seen.world, seen.known),
        loop=seen.known.loop,
        spent=told,
        runs=runs,
        events=tuple(
            EventLine(at=str(event.get("ts", ""))[11:19], words=f"{event.get('type', '')}  {event.get('message', '')}")
            for event in house.journal.last(count)
        ),
    )


def fingerprint(house: House, seen: LivePage) -> tuple[object, ...]:
    """Return what changes when the board may have changed: some marks, no content."""
    files = house.store.files
    phases = [run_path(run, "run-status.json") for run in seen.runs]
    endings = [run_path(run, "ending.json") for run in seen.runs]
    return tuple(files.mark(path) for path in (*_WATCHED, *phases, *endings))

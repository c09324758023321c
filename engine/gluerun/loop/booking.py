"""Costs are booked when a run is taken in, also those of programs that were cut off in the middle of a word."""

from __future__ import annotations

from contextlib import suppress

from gluerun.core import reading
from gluerun.core.backoff import ended_by
from gluerun.core.limits import larger, metered, total
from gluerun.errors import SchemaError, StateError
from gluerun.loop.house import kept_config
from gluerun.loop.store import run_path
from gluerun.records import schema
from gluerun.records.child import ChildDone, How
from gluerun.records.record import replace
from gluerun.records.spending import Expense, Spending
from gluerun.records.spent import Spent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from gluerun.loop.house import House
    from gluerun.ports import Files
    from gluerun.records.config import Config

COSTS = "costs"
# As much as any program may print, and the remark about what was cut.
LONGEST_LOG = 67_108_864 + 65_536
EXPENSES = "usage"


def expense_path(run_id: str, number: int, role: str) -> str:
    """Return where the expense of one program of a run is kept."""
    return run_path(run_id, f"{EXPENSES}/{number:03d}-{role}.json")


def costs_path(run_id: str) -> str:
    """Return where the costs of a run are booked: a folder for each day, by the day on which the run began."""
    day = run_id.removeprefix("RUN-")[:8]
    return f"{COSTS}/{day[:4]}-{day[4:6]}-{day[6:]}/{run_id}.json"


def meter_path(now: datetime) -> str:
    """Return where the programs of one day count together what they use."""
    return f"meters/{now:%Y-%m-%d}"


def load_expense(files: Files, path: str) -> Expense | None:
    """Return an expense; None if it is not there or cannot be used."""
    data = files.read(path)
    try:
        return None if data is None else schema.load(Expense, data, file=path)
    except SchemaError:
        return None


def booked(files: Files, now: datetime) -> Spent:
    """Return the sum of what was booked for the day of *now*; a booking that cannot be read is in none."""
    folder = f"{COSTS}/{now:%Y-%m-%d}"
    found: list[Expense] = []
    for name in files.names(folder):
        with suppress(SchemaError):
            found += schema.load(Spending, files.read(f"{folder}/{name}") or b"", file=f"{folder}/{name}").expenses
    return total(found)


def spent_today(house: House) -> Spent:
    """Return what was used today, by the counter of the programs or by the bookings, whichever knows more."""
    now = house.now()
    return larger(metered(house.store.files.read(meter_path(now))), booked(house.store.files, now))


def book(house: House, run_id: str) -> Spent:
    """Book what the programs of a run used, and return its sum; nothing is booked twice.

    A provider that has answered one of them is no longer on its way into a longer back-off.
    """
    names = house.store.files.names(run_path(run_id, EXPENSES))
    if not names:
        return Spent()
    dispatch = house.store.known_dispatch(run_id)
    config = _config(house, dispatch.config_sha256) if dispatch else house.config
    found = [one for name in names if (one := _expense(house, run_path(run_id, f"{EXPENSES}/{name}"), config))]
    spending = Spending(
        run_id=run_id,
        booked_at=house.now(),
        expenses=tuple(found),
        task_id=dispatch.task_id if dispatch else None,
        node=dispatch.node if dispatch else None,
    )
    path = costs_path(run_id)
    house.store.files.sweep(path.rpartition("/")[0])
    house.store.files.write(path, schema.dump(spending))
    for backoff in house.store.backoffs().values():
        if any(ended_by(one, backoff) for one in found if _provider(config, one) == backoff.provider):
            house.store.end_provider_backoff(backoff)
    return total(found)


def _provider(config: Config, expense: Expense) -> str:
    runner = config.runners.get(expense.runner)
    return runner.held_as if runner else ""


def _config(house: House, digest: str) -> Config:
    try:
        return kept_config(house.doors.state, digest)
    except StateError:
        return house.config


def _expense(house: House, path: str, config: Config) -> Expense | None:
    expense = load_expense(house.store.files, path)
    if expense is None:
        house.tell("costs.unreadable", f"{path} cannot be used", path=path)
        return None
    spec = config.runners.get(expense.runner)
    if expense.ended_at is not None or spec is None:
        return expense
    # The run was cut off before it could read what its program had used.
    log = house.store.files.tail(expense.log, LONGEST_LOG)
    cut_off = ChildDone(name=path, how=How.KILLED, exit_code=-9, duration_ms=0)
    read = reading.read(spec, cut_off, log, house.now(), prices=config.prices, role=expense.role)
    return replace(expense, usage=read.usage, provider=read.seat.provider, model=read.seat.model, fault=read.fault)

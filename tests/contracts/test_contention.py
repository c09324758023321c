"""Many processes on one record at the same instant: every entry is there, and every sum is right."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
from datetime import UTC, datetime

import pytest
from tests.patience import PATIENCE

from gluerun.adapters import metering
from gluerun.adapters.files import DiskFiles
from gluerun.core.metering import BROKEN, counted
from gluerun.loop.booking import booked, costs_path
from gluerun.records import schema
from gluerun.records.dispatch import Role, Usage
from gluerun.records.spending import Expense, Spending
from gluerun.records.spent import Spent

MANY, ROUNDS = 20, 25
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
MORE = (3, 5, 1)


def at_once(work, *args):
    """Let many processes do the same at the same instant, each with its number; return how each ended."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(MANY)
    crowd = [context.Process(target=_wait_and_work, args=(start, work, number, *args)) for number in range(MANY)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(PATIENCE)
    return [one.exitcode for one in crowd]


def _wait_and_work(start, work, number, *args):
    start.wait(PATIENCE)
    work(number, *args)
    os._exit(0)


# --- the counter of a day --------------------------------------------------------------------------------


def count(number, path):
    for _ in range(ROUNDS):
        # Whom nobody lets in on a busy machine tries again with its next line, as a meter does.
        while (shown := metering.add(path, MORE)) is None:
            pass
        if shown == BROKEN or counted(DiskFiles(os.path.dirname(path)).read("day")) is None:
            os._exit(1)


def sum_of(path):
    with open(path, "rb") as file:
        return counted(file.read())


def test_a_crowd_on_the_counter_of_a_day_counts_everything_once(tmp_path):
    path = str(tmp_path / "day")

    assert at_once(count, path) == [0] * MANY

    assert sum_of(path) == tuple(one * MANY * ROUNDS for one in MORE)
    assert os.listdir(tmp_path) == ["day"]


def test_without_its_lock_the_counter_would_lose_what_another_one_counts(tmp_path, monkeypatch):
    """The sum above can be wrong: this is what the lock keeps from happening."""
    path, real, inside = str(tmp_path / "day"), os.pread, []
    armed = [True]

    def read_and_be_overtaken(*args):
        data = real(*args)
        if len(armed) == 1:
            armed.clear()
            inside.append(metering.add(path, MORE))
        return data

    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    monkeypatch.setattr(os, "pread", read_and_be_overtaken)

    metering.add(path, MORE)

    assert (sum_of(path), inside) == (MORE, [MORE])


def test_who_holds_the_counter_keeps_everybody_else_from_adding(tmp_path, monkeypatch):
    path = str(tmp_path / "day")
    metering.add(path, MORE)
    monkeypatch.setattr(metering, "_PATIENCE", 0.01)
    with open(path, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert metering.add(path, MORE) is None
    assert metering.add(path, MORE) == tuple(one * 2 for one in MORE)


# --- what runs cost --------------------------------------------------------------------------------------


def run_id(number):
    return f"RUN-20260131T12{number:02d}00Z-{number:08x}"


def spending(number):
    usage = Usage(cost_usd=0.25, fresh_tokens=10 + number, turns=1)
    expense = Expense(
        role=Role.WORKER, attempt=1, runner="agent", log="log", started_at=NOON, ended_at=NOON, usage=usage
    )
    return Spending(run_id=run_id(number), booked_at=NOON, expenses=(expense,), task_id="TASK-0001")


def book(number, root):
    """Book a run of one's own and, now and then, one that others book, too; sweep, as whoever books does."""
    files = DiskFiles(root)
    for turn in range(ROUNDS):
        whose = number if turn % 5 else turn % MANY
        path = costs_path(run_id(whose))
        files.sweep(path.rpartition("/")[0])
        files.write(path, schema.dump(spending(whose)))
        booked(files, NOON)  # a reader in between sees whole records only


def test_a_crowd_that_books_loses_no_run_and_books_none_twice(tmp_path):
    assert at_once(book, str(tmp_path)) == [0] * MANY

    files = DiskFiles(str(tmp_path))
    folder = costs_path(run_id(0)).rpartition("/")[0]
    assert files.names(folder) == [f"{run_id(number)}.json" for number in range(MANY)]
    assert len(os.listdir(tmp_path / folder)) == MANY, "no temporary is left"
    sums = booked(files, NOON)
    assert (sums.usd, sums.turns) == (0.25 * MANY, MANY)
    assert sums.tokens == sum(10 + number for number in range(MANY))


@pytest.mark.parametrize("spoil", [os.unlink, lambda path: os.truncate(path, 40)], ids=["lost", "torn"])
def test_a_booking_that_is_lost_or_torn_shows_in_the_sum(tmp_path, spoil):
    files = DiskFiles(str(tmp_path))
    for number in range(3):
        files.write(costs_path(run_id(number)), schema.dump(spending(number)))
    assert booked(files, NOON).usd == 0.75

    spoil(tmp_path / costs_path(run_id(1)))

    assert booked(files, NOON) == Spent(usd=0.5, tokens=22, turns=2, seconds=booked(files, NOON).seconds)

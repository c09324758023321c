"""Limits that hold while a program runs: what it prints is counted, and it is stopped in the middle of its work."""

import json
import os
import subprocess
import sys

import pytest
from tests.patience import PATIENCE

from gluerun.adapters.children import InlineChildren
from gluerun.core.metering import counted
from gluerun.records.child import Child, DayMeter, How
from gluerun.records.fault import Limit
from gluerun.records.record import replace
from gluerun.records.runner import Dialect, Limits, Price

# It prints the lines that it is given, and then would go on for ever, or is told to stop there.
PROGRAM = """
import json, signal, sys, time
def stopped(*_):
    print(json.dumps({"type": "result", "subtype": "error_during_execution", "is_error": True, "session_id": "s"}))
    sys.exit(1)
signal.signal(signal.SIGINT, stopped)
*lines, last = sys.argv[1:]
print("no line of the stream", *lines, sep=chr(10), flush=True)
while last == "go on":
    time.sleep(0.05)
"""
TURN = {"input_tokens": 1000, "cache_read_input_tokens": 4000, "output_tokens": 200}
PRICE = Price(fresh=3.0, cached=0.3, output=15.0)
MICROS = 1000 * 3 + 1200 + 200 * 15  # 0.0072 dollars


def turn(number):
    """Return the line of one turn: 5200 tokens."""
    return {"type": "assistant", "session_id": "s", "message": {"id": f"m{number}", "content": [], "usage": TURN}}


def result(**more):
    return {"type": "result", "subtype": "success", "is_error": False, "session_id": "s", "result": "done", **more}


WRITES = (
    {"type": "assistant", "message": {"id": "m1", "content": [{"type": "tool_use", "id": "t", "name": "Write"}]}},
    {"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]}},
)
TURNS = tuple(turn(number) for number in range(3))


@pytest.fixture
def run(tmp_path):
    os.makedirs(tmp_path / "state/runs/r1")

    def wait(*lines, last="go on", **changes):
        wanted = Child(
            name="a1",
            argv=(sys.executable, "-I", "-S", "-c", PROGRAM, *map(json.dumps, lines), last),
            cwd="/",
            env={},
            stdin="",
            log="runs/r1/a1.log",
            marker=f"limits-{os.getpid()}",
            timeout=PATIENCE,
            grace=PATIENCE,
            stop="INT",
            dialect=Dialect.CLAUDE,
        )
        done = InlineChildren(str(tmp_path / "state")).wait("r1", replace(wanted, **changes))
        return done, (tmp_path / "state/runs/r1/a1.log").read_text()

    return wait


@pytest.mark.parametrize(
    ("lines", "changes", "limit"),
    [
        (TURNS, {"limits": Limits(turns=2)}, Limit.TURNS),
        (TURNS, {"limits": Limits(tokens=3 * 5200 - 1)}, Limit.TOKENS),
        (TURNS, {"limits": Limits(usd=(3 * MICROS - 1) / 1e6), "price": PRICE}, Limit.MONEY),
        (TURNS, {"limits": Limits(tokens=5200, usd=0.001), "price": PRICE}, Limit.MONEY),
        (WRITES, {"limits": Limits(no_write=True)}, Limit.NO_WRITE),
        (TURNS, {"limits": Limits(output_bytes=500)}, Limit.OUTPUT),
        (TURNS, {"limits": Limits(output_bytes=500), "dialect": Dialect.TEXT}, Limit.OUTPUT),
        (TURNS, {"limits": Limits(output_bytes=500), "max_log_bytes": 600}, Limit.OUTPUT),
    ],
)  # fmt: skip
def test_a_limit_stops_a_program_at_once_and_its_last_word_is_kept(run, lines, changes, limit):
    done, log = run(*lines, **changes)
    assert (done.how, done.limit, done.exit_code, done.survivors) == (How.LIMIT, limit, 1, 0)
    assert ("error_during_execution" in log) is (limit is not Limit.OUTPUT)


@pytest.mark.parametrize(
    ("lines", "changes"),
    [
        (TURNS, {"limits": Limits(turns=3, tokens=3 * 5200, usd=3 * MICROS / 1e6), "price": PRICE}),
        (TURNS, {"limits": Limits(turns=0), "dialect": Dialect.TEXT}),
        (TURNS, {"limits": Limits(usd=0.0)}),  # nobody knows a price
        (WRITES, {"limits": Limits(turns=9)}),
        (WRITES[:1], {"limits": Limits(no_write=True)}),
    ],
)  # fmt: skip
def test_within_its_limits_a_program_ends_by_itself(run, lines, changes):
    done, _ = run(*lines, last="end", **changes)
    assert (done.how, done.limit, done.exit_code) == (How.EXITED, None, 0)


def test_a_cost_that_is_told_counts_more_than_an_estimate(run):
    limits = Limits(usd=0.01)
    done, _ = run(*TURNS, result(total_cost_usd=0.001), last="end", limits=limits)
    assert (done.how, done.limit) == (How.EXITED, None)


def test_a_program_that_has_said_its_last_word_is_not_stopped_but_told_of(run):
    done, _ = run(turn(1), result(total_cost_usd=5.0), last="end", limits=Limits(usd=0.01))
    assert (done.how, done.limit, done.exit_code) == (How.EXITED, Limit.MONEY, 0)


@pytest.mark.parametrize(
    ("changes", "how", "limit"),
    [
        ({"limits": Limits(seconds=1)}, How.TIMED_OUT, Limit.SECONDS),
        ({"limits": Limits(seconds=PATIENCE), "timeout": 1}, How.TIMED_OUT, Limit.SECONDS),
        ({"limits": Limits(idle_seconds=1)}, How.IDLE, Limit.IDLE),
        ({"limits": Limits(idle_seconds=1), "idle": PATIENCE, "timeout": 0}, How.IDLE, Limit.IDLE),
    ],
)  # fmt: skip
def test_of_two_clocks_the_shorter_one_counts(run, changes, how, limit):
    done, _ = run(**changes)
    assert (done.how, done.limit, done.duration_ms < PATIENCE * 1000) == (how, limit, True)


class TestDay:
    @pytest.fixture
    def day(self, tmp_path):
        return tmp_path / "state/day"

    def test_the_programs_of_a_day_count_together(self, run, day):
        meter = DayMeter(file="day", limits=Limits(turns=4))
        first, _ = run(*TURNS, last="end", day=meter, price=PRICE)
        assert (first.how, counted(day.read_bytes())) == (How.EXITED, (3 * MICROS, 15_600, 3))
        second, log = run(*TURNS[:2], day=meter, price=PRICE)
        assert (second.how, second.limit) == (How.LIMIT, Limit.DAY)
        assert counted(day.read_bytes())[2] == 5
        assert "error_during_execution" in log

    def test_the_first_program_of_all_makes_the_folder_of_the_counters(self, run, day):
        meter = DayMeter(file="meters/2026-01-31", limits=Limits(turns=4))
        run(*TURNS, last="end", day=meter, price=PRICE)
        assert counted((day.parent / "meters/2026-01-31").read_bytes()) == (3 * MICROS, 15_600, 3)

    def test_a_counter_that_cannot_be_opened_lets_nobody_go_on(self, run, day):
        day.mkdir()
        done, _ = run(turn(1), day=DayMeter(file="day", limits=Limits(turns=1000)))
        assert (done.how, done.limit) == (How.LIMIT, Limit.DAY)

    def test_the_counter_is_for_the_eyes_of_its_owner(self, run, day):
        run(turn(1), last="end", day=DayMeter(file=str(day), limits=Limits()))
        assert os.stat(day).st_mode & 0o777 == 0o600

    def test_what_was_estimated_too_high_is_given_back(self, run, day):
        run(turn(1), result(total_cost_usd=0.001), last="end", day=DayMeter(file="day", limits=Limits()), price=PRICE)
        assert counted(day.read_bytes())[0] == 1000

    def test_a_counter_that_says_nothing_clear_lets_nobody_go_on(self, run, day):
        day.write_text("all is well\n")
        done, _ = run(turn(1), day=DayMeter(file="day", limits=Limits(turns=1000)))
        assert (done.how, done.limit, day.read_text()) == (How.LIMIT, Limit.DAY, "all is well\n")

    def test_many_who_add_at_once_lose_nothing(self, day, tmp_path):
        os.makedirs(tmp_path / "state")
        code = "import sys\nfrom gluerun.adapters.metering import add\n"
        # Whom nobody lets in on a busy machine tries again with its next line, as a meter does.
        code += "for _ in range(200):\n    while add(sys.argv[1], (7, 5, 1)) is None: pass\n"
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        adders = [subprocess.Popen([sys.executable, "-c", code, str(day)], env=env) for _ in range(4)]
        assert [adder.wait(PATIENCE) for adder in adders] == [0, 0, 0, 0]
        assert counted(day.read_bytes()) == (5600, 4000, 800)

    @pytest.mark.parametrize("data", [b"1 2", b"1 2 x", b"-1 2 3", b"1 2 3 4", b"\xff"])
    def test_nonsense_is_no_count(self, data):
        assert counted(data) is None

    def test_a_new_counter_starts_at_nothing(self):
        assert counted(b"") == (0, 0, 0)

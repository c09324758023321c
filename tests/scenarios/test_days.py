"""A simulated house in which anything may happen at any time, for a thousand days; what must hold, holds.

`DAYS_SEED` and `DAYS` play other days; a failure names its seed, and the same seed is the same life.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.scenarios.days import MENU, MOST, ODD, STEPS, Days, live

SEED = int(os.environ.get("DAYS_SEED") or 1)
DAYS = int(os.environ.get("DAYS") or 300)
EACH = 10
CHECKOUT = Path(__file__).resolve().parents[2]
LIVES = "from tests.scenarios.days import live\nfor seed in (5, 6, 7): print(live(seed, 4)[0].digest)\n"


def test_days_in_which_anything_may_happen(capsys):
    started = time.perf_counter()
    for seed in range(SEED, SEED + DAYS // EACH):
        life, faults = live(seed, EACH)
        assert faults == [], f"DAYS_SEED={seed}: {faults}\n" + "\n".join(life.steps)
    rate = DAYS / (time.perf_counter() - started)
    with capsys.disabled():
        print(f"\n  {DAYS} days of the seeds from {SEED}, {rate:.0f} days a second")


def test_the_same_seed_is_the_same_life():
    assert live(3, 3)[0].digest == live(3, 3)[0].digest != live(4, 3)[0].digest


def other_pythons():
    """The interpreters of other versions beside this one that can run the engine."""
    beside = Path(sys.base_prefix).parent
    places = [place for minor in range(11, 20) for place in sorted(beside.glob(f"3.{minor}.*/bin/python"))[:1]]
    return [str(place) for place in places if not place.parent.parent.samefile(sys.base_prefix)]


def test_the_same_seed_is_the_same_life_under_another_python():
    others = other_pythons()
    if not others:
        pytest.skip("no other Python from 3.11 on is installed beside this one")
    env = {**os.environ, "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'engine'}", "PYTHONDONTWRITEBYTECODE": "1"}
    said = {
        python: subprocess.run([python, "-c", LIVES], env=env, capture_output=True, text=True, check=True).stdout
        for python in (sys.executable, *others)
    }
    assert len(set(said.values())) == 1, {python: hashlib.sha256(text.encode()) for python, text in said.items()}


class Life(RuleBasedStateMachine):
    """Whatever may befall a house, in any order that hypothesis finds worth a look."""

    @initialize()
    def begin(self):
        self.days = Days()

    @precondition(lambda self: len(self.days.asked) < MOST)
    @rule(kind=st.sampled_from(MENU), needs=st.booleans())
    def new_task(self, kind, needs):
        self.days.new_task(kind, [*self.days.asked][-1] if needs and self.days.asked else "")

    @precondition(lambda self: self.days.asked)
    @rule(number=st.integers(0, 20), words=st.sampled_from(["edit one", "edit two"]))
    def edit(self, number, words):
        tasks = [*self.days.asked]
        self.days.edit_task(tasks[number % len(tasks)], words)

    @rule(on=st.booleans())
    def stop(self, on):
        self.days.stop(on=on)

    @rule(number=st.integers(0, 9))
    def colleague(self, number):
        self.days.colleague(number)

    @rule(minutes=st.integers(0, 120), crash_after=st.one_of(st.just(0), st.integers(1, 150)))
    def cycle(self, minutes, crash_after):
        self.days.cycle(minutes, crash_after=crash_after)

    @rule(crash_after=st.one_of(st.just(0), st.integers(1, 150)))
    def work(self, crash_after):
        self.days.work(crash_after=crash_after)

    @rule(number=st.integers(0, 3), orphaned=st.booleans())
    def kill_worker(self, number, orphaned):
        self.days.kill_worker(number, orphaned=orphaned)

    @rule(hard=st.booleans())
    def reboot(self, hard):
        self.days.reboot(hard=hard)

    @rule(hours=st.sampled_from(STEPS))
    def step_clock(self, hours):
        self.days.step_clock(hours)

    @rule(hours=st.integers(1, 12))
    def suspend(self, hours):
        self.days.suspend(hours)

    @rule(on=st.booleans())
    def disk_full(self, on):
        self.days.disk_full(on=on)

    @rule(number=st.integers(0, 60), odd=st.integers(0, 3 * len(ODD)))
    def spoil(self, number, odd):
        self.days.spoil(number, odd)

    @invariant()
    def holds(self):
        assert self.days.always() == []

    def teardown(self):
        if hasattr(self, "days"):
            assert self.days.at_rest() == [], "\n".join(self.days.steps)


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=int(os.environ.get("DAYS_EXAMPLES") or 40),
    stateful_step_count=30,
    deadline=None,
    derandomize="DAYS_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)

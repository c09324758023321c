"""How a resident loop sleeps: never longer than told, and awake when a run has ended."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
from tests.patience import PATIENCE

from gluerun.adapters import tree
from gluerun.adapters.files import DiskFiles
from gluerun.adapters.watch import OsWatch
from gluerun.records import codec
from gluerun.records.dispatch import Identity
from gluerun.sim.clock import SimClock
from gluerun.sim.watch import SimWatch

RUN = "RUN-20260101T000000Z-00000001"
LONG = float(PATIENCE)


@pytest.fixture(params=["real", "sim"])
def watch(request, tmp_path):
    return OsWatch(str(tmp_path)) if request.param == "real" else SimWatch(SimClock())


@pytest.fixture
def state(tmp_path):
    return DiskFiles(str(tmp_path))


def signed_in(state, pid):
    """Write who a run's wrapper is, as the wrapper does."""
    boot, namespace, _, ticks = tree.identity(pid)
    who = Identity(boot_id=boot, pid_namespace=namespace, pid=pid, start_ticks=ticks)
    state.write(f"runs/{RUN}/identity.json", codec.encode(who))


class TestWatch:
    def test_it_wakes_by_itself(self, watch):
        watch.wait((), 0.05)

    def test_a_run_that_nobody_knows_does_not_keep_it_asleep(self, watch):
        watch.wait((RUN,), 0.05)


def test_an_ending_wakes_at_once(state, tmp_path):
    state.write(f"runs/{RUN}/ending.json", b"{}")
    before = time.monotonic()

    OsWatch(str(tmp_path)).wait((RUN,), LONG)

    assert time.monotonic() - before < LONG / 2


def test_the_end_of_a_wrapper_wakes(state, tmp_path):
    wrapper = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    signed_in(state, wrapper.pid)
    wrapper.stdin.close()
    before = time.monotonic()

    OsWatch(str(tmp_path)).wait((RUN,), LONG)

    assert time.monotonic() - before < LONG / 2
    assert wrapper.wait() == 0


@pytest.mark.parametrize("path", ["STOP", "inbox/orders/one", "orders/done/one"])
def test_an_order_that_came_since_the_last_sleep_wakes_at_once(path, state, tmp_path):  # A14
    watch = OsWatch(str(tmp_path))
    watch.wait((), 0.01)
    state.write(path, b"{}")
    before = time.monotonic()

    watch.wait((), LONG)
    assert time.monotonic() - before < LONG / 2

    before = time.monotonic()
    watch.wait((), 0.1)  # once is enough
    assert time.monotonic() - before >= 0.1


def test_an_order_that_comes_during_a_sleep_wakes(state, tmp_path):  # A14
    before = time.monotonic()
    watch = OsWatch(str(tmp_path))
    threading.Timer(0.2, lambda: state.write("inbox/orders/one", b"{}")).start()

    watch.wait((), LONG)

    assert time.monotonic() - before < LONG / 2


def test_a_simulated_sleep_moves_the_clock():
    clock = SimClock()
    before = clock.now()

    SimWatch(clock).wait((), 60)

    assert (clock.now() - before).total_seconds() == 60

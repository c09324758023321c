"""What every set of locks promises; and what the kernel does with the real ones."""

import fcntl
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from tests.patience import PATIENCE

from gluerun.adapters.locks import LOOK_SECONDS, FlockLocks
from gluerun.errors import BusyError, StateError
from gluerun.records.origin import OriginHolder
from gluerun.sim.locks import SimLocks

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOLDER = OriginHolder(owner="auto@host", run_id="run-7", pid=4242, started_at=NOON, expires_at=NOON)
HOLD = """
import sys
from datetime import UTC, datetime
from gluerun.adapters.locks import FlockLocks
from gluerun.records.origin import OriginHolder
noon = datetime(2026, 1, 1, tzinfo=UTC)
holder = OriginHolder(owner="other loop", run_id="run-9", pid=99, started_at=noon, expires_at=noon)
locks = FlockLocks(sys.argv[1])
with locks.git() if sys.argv[2] == "git" else locks.origin(holder):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["kernel", "memory"])
def locks(request, tmp_path):
    return FlockLocks(str(tmp_path), git_patience=0.05) if request.param == "kernel" else SimLocks()


class TestLocks:
    def test_a_free_lock_has_no_holder(self, locks):
        assert locks.origin_holder() is None

    def test_the_holder_is_known_while_it_holds(self, locks):
        with locks.origin(HOLDER):
            assert locks.origin_holder() == HOLDER
        assert locks.origin_holder() is None

    def test_the_resident_loop_is_known_while_there_is_one(self, locks):
        assert locks.resident_holder() is None
        with locks.resident(HOLDER):
            assert (locks.resident_holder(), locks.origin_holder()) == (HOLDER, None)
        assert locks.resident_holder() is None

    def test_a_second_cycle_is_told_who_holds_it(self, locks):
        with (
            locks.origin(HOLDER),
            pytest.raises(BusyError, match=r"auto@host.*4242.*run-7"),
            locks.origin(HOLDER),
        ):
            pass

    def test_the_resident_loop_is_known_while_it_is_there(self, locks):
        assert locks.resident_holder() is None
        with locks.resident(HOLDER):
            assert locks.resident_holder() == HOLDER
        assert locks.resident_holder() is None

    def test_an_error_lets_go(self, locks):
        with pytest.raises(KeyError), locks.origin(HOLDER):
            raise KeyError
        with pytest.raises(KeyError), locks.git():
            raise KeyError
        with locks.origin(HOLDER), locks.git():
            pass

    def test_a_second_resident_loop_is_told_who_runs(self, locks):
        with (
            locks.resident(HOLDER),
            pytest.raises(BusyError, match=r"resident loop.*auto@host.*4242.*run-7"),
            locks.resident(HOLDER),
        ):
            pass
        with locks.resident(HOLDER):
            pass

    def test_a_refused_cycle_does_not_free_the_lock(self, locks):
        with locks.origin(HOLDER):
            with pytest.raises(BusyError), locks.origin(HOLDER):
                pass
            assert locks.origin_holder() == HOLDER

    def test_git_is_changed_by_one_at_a_time(self, locks):
        with locks.git():
            with pytest.raises(BusyError), locks.git():
                pass
            with pytest.raises(BusyError), locks.git():
                pass
        with locks.git():
            pass

    def test_the_two_locks_are_independent(self, locks):
        with locks.git(), locks.origin(HOLDER):
            pass


class TestFlockLocks:
    def test_another_process_is_named(self, tmp_path):
        with _Holding(tmp_path, "origin"), pytest.raises(BusyError, match=r"other loop.*99.*run-9"):
            FlockLocks(str(tmp_path)).origin(HOLDER).__enter__()

    def test_a_killed_holder_leaves_the_lock_free_and_is_not_named_any_more(self, tmp_path):  # C3
        locks = FlockLocks(str(tmp_path))
        with _Holding(tmp_path, "origin") as other:
            assert locks.origin_holder().owner == "other loop"
            other.kill()
            other.wait()
            assert locks.origin_holder() is None
            with locks.origin(HOLDER):
                assert locks.origin_holder() == HOLDER

    def test_a_killed_holder_of_the_git_lock_does_not_block_git_for_good(self, tmp_path):  # C4
        with _Holding(tmp_path, "git") as other:
            other.kill()
            other.wait()
            with FlockLocks(str(tmp_path), git_patience=PATIENCE).git():
                pass

    def test_the_git_lock_is_waited_for(self, tmp_path):
        with _Holding(tmp_path, "git") as other:
            with pytest.raises(BusyError), FlockLocks(str(tmp_path), git_patience=0.05).git():
                pass
            other.stdin.close()
            with FlockLocks(str(tmp_path), git_patience=PATIENCE).git():
                pass

    @pytest.mark.parametrize("name", ["git", "origin"])
    def test_a_child_that_outlives_its_parent_does_not_keep_a_lock(self, tmp_path, name):
        locks = FlockLocks(str(tmp_path), git_patience=0)
        with locks.git() if name == "git" else locks.origin(HOLDER):
            child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)
        try:
            with locks.git() if name == "git" else locks.origin(HOLDER):
                assert child.poll() is None
        finally:
            child.communicate()

    def test_lock_files_stay(self, tmp_path):
        locks = FlockLocks(str(tmp_path))
        with locks.origin(HOLDER), locks.git():
            before = os.stat(tmp_path / "locks/origin.lock").st_ino
        assert os.stat(tmp_path / "locks/origin.lock").st_ino == before
        assert sorted(os.listdir(tmp_path / "locks")) == ["git.lock", "origin.lock"]

    def test_a_broken_record_of_the_holder_is_no_problem(self, tmp_path):
        locks = FlockLocks(str(tmp_path))
        with locks.origin(HOLDER):
            for text in ("", "{", "[]", '{"pid": 1}', '{"owner": 3}', "null"):
                (tmp_path / "locks/origin.lock.json").write_text(text)
                assert locks.origin_holder().owner == "unknown"
                with pytest.raises(BusyError, match="unknown"), locks.origin(HOLDER):
                    pass

    def test_a_place_that_cannot_hold_locks_is_named(self, tmp_path):
        (tmp_path / "locks").write_text("a file")
        with pytest.raises(StateError, match="cannot open the lock"), FlockLocks(str(tmp_path)).git():
            pass

    def test_a_look_that_takes_long_does_not_turn_a_cycle_away(self, tmp_path):
        locks = FlockLocks(str(tmp_path))

        def enter():
            with locks.origin(HOLDER):
                return locks.origin_holder()

        enter()
        look = os.open(tmp_path / "locks/origin.lock", os.O_RDONLY)
        fcntl.flock(look, fcntl.LOCK_SH)
        with ThreadPoolExecutor() as pool:
            entered = pool.submit(enter)
            time.sleep(3 * LOOK_SECONDS)  # longer than anybody waits for a lock that somebody has
            assert not entered.done()
            os.close(look)
            assert entered.result(PATIENCE) == HOLDER

    def test_looking_does_not_turn_a_cycle_away(self, tmp_path):
        looker = _python(
            "import sys\nfrom gluerun.adapters.locks import FlockLocks\nprint(flush=True)\n"
            "while True: FlockLocks(sys.argv[1]).origin_holder()\n",
            tmp_path,
        )
        try:
            looker.stdout.readline()
            for _ in range(200):
                with FlockLocks(str(tmp_path)).origin(HOLDER):
                    pass
        finally:
            looker.kill()
            looker.communicate()


def test_a_simulated_crash_lets_go():
    locks = SimLocks()
    locks.origin(HOLDER).__enter__()
    locks.git().__enter__()
    locks.crash()
    with locks.origin(HOLDER), locks.git():
        pass


class _Holding:
    def __init__(self, root, name):
        self._other = _python(HOLD, root, name)

    def __enter__(self):
        assert self._other.stdout.readline() == b"held\n"
        return self._other

    def __exit__(self, *_):
        self._other.kill()
        if self._other.stdin.closed:
            self._other.stdin = None
        self._other.communicate()


def _python(code, *args):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=env,
    )

"""How many programs of one kind may run at once: the waiter takes a lock before it starts one."""

import fcntl
import os

import pytest
from tests.patience import PATIENCE, until

from gluerun.adapters.children import InlineChildren
from gluerun.records.child import Child, How


@pytest.fixture
def state(tmp_path):
    os.makedirs(tmp_path / "runs/r1")
    return tmp_path


def child(name, code, timeout=PATIENCE, slots=("locks/gates/db.0.lock",)):
    return Child(
        name=name, argv=("sh", "-c", code), cwd="/", env={"PATH": os.environ["PATH"]}, stdin="",
        log=f"runs/r1/{name}.log", marker=f"slots-{os.getpid()}-{name}", timeout=timeout, grace=1, slots=slots,
    )  # fmt: skip


def hold(state, name="db.0"):
    os.makedirs(state / "locks/gates", exist_ok=True)
    handle = os.open(state / f"locks/gates/{name}.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def test_a_program_that_gets_no_slot_in_its_time_was_not_started_and_says_so(state):
    handle = hold(state)
    done = InlineChildren(str(state)).wait("r1", child("a1", "touch started", timeout=1))
    os.close(handle)
    assert (done.how, done.refusal) == (How.REFUSED, "none of its 1 slots was free for 1 s")
    assert (state / "runs/r1/a1.log").read_text() == "gluerun: waiting for one of 1 slots\n"


def test_a_program_takes_the_slot_that_is_free_and_leaves_it_when_it_ends(state):
    handle = hold(state)
    both = ("locks/gates/db.0.lock", "locks/gates/db.1.lock")
    taken = f"flock --nonblock --conflict-exit-code 9 {state}/locks/gates/db.1.lock true; echo $?"
    done = InlineChildren(str(state)).wait("r1", child("a1", taken, slots=both))
    os.close(handle)
    assert (done.how, done.exit_code) == (How.EXITED, 0)
    assert (state / "runs/r1/a1.log").read_text().split() in (["9"], ["127"])  # no such program on every system
    other = hold(state, "db.1")  # would wait for ever if it were still taken
    os.close(other)


def test_a_program_goes_on_as_soon_as_a_slot_is_left(state):
    handle = hold(state)
    pid = os.fork()
    if pid == 0:
        try:
            until((state / "runs/r1/a1.log").exists)
            os.close(handle)
        finally:
            os._exit(0)
    os.close(handle)
    done = InlineChildren(str(state)).wait("r1", child("a1", "echo ran"))
    os.waitpid(pid, 0)
    assert done.how is How.EXITED
    assert (state / "runs/r1/a1.log").read_text() == "gluerun: waiting for one of 1 slots\nran\n"

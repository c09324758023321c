"""Stopping means gone: trees that do what they can to live on, ended on every tier that the machine has."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time

import pytest
from tests.patience import PATIENCE, spans, until

from gluerun.adapters import cgroups, tree
from gluerun.adapters.children import InlineChildren, adopt_orphans
from gluerun.adapters.processes import OsProcesses
from gluerun.ports import Life
from gluerun.records.child import Child, How, Tier
from gluerun.records.record import replace

pytestmark = pytest.mark.skipif(not tree.LINUX, reason="reads /proc")

KILLS = int(os.environ.get("GLUERUN_SOAK_KILLS", "30"))
ROUNDS_WITH_GRACE = 10
# A box of its own: no user is asked for, and the first process in it takes all others with him.
BOX = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child=KILL")
BWRAP = ("bwrap", "--unshare-pid", "--dev-bind", "/", "/", "--die-with-parent", "--")

# Each sleeper is known by the number of its seconds: in its own session, a daemon, deaf, and one who calls others.
TREE = """
setsid sleep {mark} &
( (setsid sleep {mark} </dev/null >/dev/null 2>&1 &) )
sh -c "trap '' TERM INT HUP; while :; do sleep {mark}; done" &
sh -c "trap 'sleep {mark} & sleep {mark} &' TERM INT; sleep {mark} & while :; do wait; done" &
"""
# Who has no environment, no session, no parent and no descriptor by which it could be known.
BARE = "( (setsid env -i sleep {mark} </dev/null >/dev/null 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &) )\n"


@pytest.fixture(params=[tier.value for tier in Tier])
def tier(request):
    require(request.param)
    return request.param


def require(tier):
    """Skip where the machine does not have a tier."""
    if tier == Tier.CGROUP and not cgroups.place():
        pytest.skip("no cgroup v2 folder in which this user may make groups")
    if tier == Tier.PID_NAMESPACE and not works(*BOX):
        pytest.skip("no pid namespaces for this user")
    if tier == Tier.SUBREAPER and not InlineChildren("/", tiers=[tier])._records.may_adopt:
        pytest.skip("no prctl to adopt orphans by")


def works(*around):
    try:
        return subprocess.run([*around, "true"], capture_output=True, timeout=PATIENCE, check=False).returncode == 0
    except OSError:
        return False


class Stage:
    """One run whose children are waited for on one tier."""

    def __init__(self, root, tier):
        self.root = str(root)
        self.tier = tier
        self.run = f"run-{os.getpid()}-{secrets.token_hex(3)}"
        self.mark = f"6000.{secrets.randbelow(10**9)}"
        self.folder = root / f"state/runs/{self.run}"
        os.makedirs(self.folder)
        self.sign()
        self.inline = InlineChildren(f"{self.root}/state", tiers=[tier])
        self.processes = OsProcesses(self.root, f"{self.root}/state")

    def child(self, code, **changes):
        around = BOX if self.tier == Tier.PID_NAMESPACE else ()
        wanted = Child(
            name="a1",
            argv=(*around, "sh", "-c", code.format(mark=self.mark)),
            cwd="/",
            env={"PATH": os.environ["PATH"]},
            stdin="",
            log=f"runs/{self.run}/a1.log",
            marker=f"{self.run}.1",
            timeout=PATIENCE,
            grace=0,
        )
        return replace(wanted, **changes)

    def start(self, wanted):
        """Start a waiter that this test may kill."""
        adopts = self.tier == Tier.SUBREAPER
        argv = self.inline._records.waiter(self.run, wanted, [], adopts=adopts)
        if self.tier == Tier.PID_NAMESPACE:
            box(argv[4])
        return subprocess.Popen(
            argv,
            start_new_session=True,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "GLUERUN_RUN": self.run},
            preexec_fn=adopt_orphans if adopts else None,  # noqa: PLW1509
        )

    def sign(self):
        """Leave the identity of a wrapper that is dead."""
        who = {"bootId": tree.boot_id(), "pidNamespace": tree.pid_namespace(), "pid": os.getpid(), "startTicks": 1}
        (self.folder / "identity.json").write_text(json.dumps(who))

    def wait(self, wanted):
        assert self.start(wanted).wait(PATIENCE) == 0
        return self.done()

    def done(self):
        return self.inline.finished(self.run, "a1")

    def log(self):
        path = self.folder / "a1.log"
        return path.read_text() if path.exists() else ""

    def sleepers(self):
        """Return everybody who knows the mark."""
        return [pid for pid in tree.table() if self.mark.encode() in (tree.read(f"/proc/{pid}/cmdline") or b"")]

    def asleep(self):
        """Return those who really sleep, with nothing left to become."""
        wanted = f"sleep\0{self.mark}\0".encode()
        return [pid for pid in tree.table() if tree.read(f"/proc/{pid}/cmdline") == wanted]

    def end_all(self):
        for _ in range(100):
            for pid in self.sleepers():
                os.kill(pid, signal.SIGKILL)
            if not self.sleepers():
                break


def box(spec):
    """Tell the waiter what a confinement would tell it: that the program sits in a pid namespace."""
    with open(spec) as file:
        text = file.read()
    with open(spec, "w") as file:
        file.write(text[:-1] + ', "pidNamespace": true}')


@pytest.fixture
def stage(tmp_path, tier):
    stage = Stage(tmp_path, tier)
    yield stage
    stage.processes.end(stage.run, grace=0)
    stage.end_all()


def tree_for(tier):
    """Return a tree, and how many of it sleep when it stands; the weakest tier cannot find who hides from it."""
    return (TREE, 4) if tier == Tier.MARKER else (TREE + BARE, 5)


class TestEveryTier:
    def test_nobody_survives_a_stop(self, stage):  # A39
        code, count = tree_for(stage.tier)
        for number in range(KILLS):
            grace = int(number % ROUNDS_WITH_GRACE == ROUNDS_WITH_GRACE - 1)
            waiter = stage.start(stage.child(code + "while :; do wait; done", grace=grace))
            until(lambda: len(stage.asleep()) >= count)
            waiter.terminate()
            assert waiter.wait(PATIENCE) == 0
            done = stage.done()
            assert (done.how, done.tier, done.survivors, stage.sleepers()) == (How.KILLED, stage.tier, 0, [])
            assert done.ended >= count

    def test_nobody_survives_a_success(self, stage):  # A17
        code, count = tree_for(stage.tier)
        go = f"until [ $(ps -eo args | grep -cx 'sleep {stage.mark}') -ge {count} ]; do sleep 0.05; done; exit 0"
        done = stage.wait(stage.child(code + go))
        assert (done.how, done.exit_code, done.tier, done.survivors) == (How.EXITED, 0, stage.tier, 0)
        # In a pid namespace the kernel has ended all of them before anybody can count.
        assert done.ended >= (0 if stage.tier == Tier.PID_NAMESPACE else count)
        assert stage.sleepers() == []

    def test_nobody_survives_a_time_limit(self, stage):
        code, _ = tree_for(stage.tier)
        done = stage.wait(stage.child(code + "while :; do wait; done", timeout=1, grace=1))
        assert (done.how, done.survivors, stage.sleepers()) == (How.TIMED_OUT, 0, [])

    def test_the_program_is_asked_in_its_own_way_and_its_last_words_are_kept(self, stage):
        code = "trap 'echo result; exit 3' INT; setsid sleep {mark} & echo here; while :; do sleep 0.02; done"
        waiter = stage.start(stage.child(code, stop="INT", grace=PATIENCE))
        until(lambda: stage.log() and stage.asleep())
        began = time.monotonic()
        waiter.terminate()
        assert waiter.wait(PATIENCE) == 0
        done = stage.done()
        assert (done.how, done.exit_code, done.survivors) == (How.KILLED, 3, 0)
        assert (stage.log(), stage.sleepers()) == ("here\nresult\n", [])
        assert time.monotonic() - began < PATIENCE / 2

    def test_who_does_not_hear_int_hears_term_within_the_grace(self, stage):
        code = "trap '' INT; trap 'echo term; exit 4' TERM; echo here; while :; do sleep 0.02; done"
        for grace in spans(2):
            waiter = stage.start(stage.child(code, stop="INT", grace=grace))
            until(stage.log)
            waiter.terminate()
            assert waiter.wait(PATIENCE) == 0
            if stage.done().exit_code != -signal.SIGKILL:
                break  # it came to hear it
            (stage.folder / "a1.log").unlink()
        assert (stage.done().exit_code, "term" in stage.log().splitlines()) == (4, True)

    def test_a_waiter_killed_with_its_tree_alive_leaves_nobody_to_the_end_of_the_run(self, stage):
        code, count = (TREE, 4) if stage.tier != Tier.CGROUP else (TREE + BARE, 5)
        waiter = stage.start(stage.child(code + "while :; do wait; done"))
        until(lambda: len(stage.asleep()) >= count)
        waiter.kill()
        waiter.wait()
        assert stage.processes.life(stage.run) is Life.ORPHANED
        assert stage.processes.end(stage.run, grace=0.2)
        assert (stage.sleepers(), stage.processes.life(stage.run)) == ([], Life.DEAD)
        assert os.listdir(stage.folder / "children") == []

    def test_nothing_stays_beside_the_answer(self, stage):
        waiter = stage.start(stage.child("true"))
        assert waiter.wait(PATIENCE) == 0
        assert os.listdir(stage.folder / "children") == ["a1.done.json"]
        assert groups(waiter) == []


class TestGroups:
    @pytest.fixture
    def stage(self, tmp_path):
        require(Tier.CGROUP)
        stage = Stage(tmp_path, Tier.CGROUP)
        yield stage
        stage.processes.end(stage.run, grace=0)
        stage.end_all()

    def test_only_hidden_company_keeps_a_run_from_being_dead(self, stage):
        waiter = stage.start(stage.child(BARE + "exec sleep {mark}"))
        until(lambda: len(stage.asleep()) == 2)
        waiter.kill()
        waiter.wait()
        for pid in tree.carriers("GLUERUN_RUN", stage.run):
            os.kill(pid, signal.SIGKILL)
        until(lambda: len(stage.asleep()) == 1)
        assert stage.processes.life(stage.run) is Life.ORPHANED
        assert stage.processes.end(stage.run, grace=0)
        assert (stage.asleep(), stage.processes.life(stage.run)) == ([], Life.DEAD)

    def test_a_group_that_a_dead_waiter_left_is_removed_at_the_next_use(self, stage):
        waiter = stage.start(stage.child("exec sleep {mark}"))
        until(stage.asleep)
        name = (stage.folder / "children/a1.cgroup").read_text()
        stage.inline.wait(stage.run, stage.child("true", name="a2", marker=f"{stage.run}.2"))
        assert os.path.isdir(name)  # its maker lives
        waiter.kill()
        waiter.wait()
        os.kill(stage.asleep()[0], signal.SIGKILL)
        until(lambda: not stage.asleep())
        stage.inline.wait(stage.run, stage.child("true", name="a2", marker=f"{stage.run}.2"))
        assert not os.path.isdir(name)

    def test_groups_that_the_program_made_itself_end_with_its_own(self, stage):
        code = "group=$(sed -n 's/^0:://p' /proc/self/cgroup); root=$(findmnt -n -o TARGET -t cgroup2 | head -1)\n"
        code += "mkdir $root$group/inner; sleep {mark} & echo $! > $root$group/inner/cgroup.procs; exit 0"
        waiter = stage.start(stage.child(code))
        assert waiter.wait(PATIENCE) == 0
        done = stage.done()
        assert (done.ended, done.survivors, stage.sleepers()) == (1, 0, [])
        assert groups(waiter) == []

    def test_a_name_that_is_no_group_of_ours_is_left_alone(self, stage):
        os.makedirs(stage.folder / "children")
        (stage.folder / "children/a1.cgroup").write_text(cgroups.place())
        assert stage.processes.end(stage.run, grace=0)
        assert stage.processes.life(stage.run) is Life.DEAD


def test_a_program_within_bubblewrap_is_asked_itself(tmp_path):
    if not works(*BWRAP):
        pytest.skip("bubblewrap does not work here")
    stage = Stage(tmp_path, Tier.SUBREAPER)
    code = "trap 'echo result; exit 3' INT; setsid sleep {mark} & echo here; while :; do sleep 0.02; done"
    wanted = stage.child(code, stop="INT", grace=PATIENCE)
    argv = stage.inline._records.waiter(stage.run, replace(wanted, argv=(*BWRAP, *wanted.argv)), [])
    box(argv[4])
    waiter = subprocess.Popen(argv, start_new_session=True)
    until(lambda: stage.log() and stage.asleep())
    waiter.terminate()
    assert waiter.wait(PATIENCE) == 0
    done = stage.done()
    assert (done.how, done.exit_code, done.survivors) == (How.KILLED, 3, 0)
    assert (stage.log(), stage.sleepers()) == ("here\nresult\n", [])


def test_who_was_adopted_before_the_child_came_is_no_kin_of_it(tmp_path):
    # A process that adopts orphans, has one, and then becomes a waiter.
    stage = Stage(tmp_path, Tier.SUBREAPER)
    argv = stage.inline._records.waiter(stage.run, stage.child("true"), [], adopts=True)
    code = (
        "import os, subprocess, sys\nfrom gluerun.adapters.children import adopt_orphans\nassert adopt_orphans()\n"
        "subprocess.run(['sh', '-c', 'setsid sleep \"$0\" & exit 0', sys.argv[1]], check=True)\n"
        "os.execv(sys.argv[2], sys.argv[2:])\n"
    )
    path = os.pathsep.join(path for path in sys.path if path)
    subprocess.run([sys.executable, "-c", code, stage.mark, *argv], env={**os.environ, "PYTHONPATH": path}, check=True)
    found = stage.asleep()
    stage.end_all()
    assert (stage.done().ended, len(found)) == (0, 1)


def groups(waiter):
    """Return the groups that a waiter has made and not put away."""
    place = cgroups.place()
    return [name for name in (os.listdir(place) if place else ()) if name.startswith(f"{cgroups.PREFIX}{waiter.pid}-")]

"""What every table of processes promises; and what real processes do to escape it."""

import json
import os
import signal
import subprocess
import sys

import pytest
from tests.patience import PATIENCE, until

from gluerun.adapters import locks, stopping, tree
from gluerun.adapters.processes import OsProcesses
from gluerun.errors import BusyError, StateError
from gluerun.ports import Life
from gluerun.sim.clock import SimClock
from gluerun.sim.processes import SimProcesses

# A marker is found wherever on this machine it is carried: tests that run side by side need their own.
R1, R2 = f"r1-{os.getpid()}", f"r2-{os.getpid()}"
MINE = f"mine-{os.getpid()}"

linux = pytest.mark.skipif(not tree.LINUX, reason="reads /proc")

# A wrapper that signs in, may start a child, and lives until the file `go` stands in its folder.
WRAPPER = """
import os, subprocess, sys, time
from gluerun.adapters.processes import OsProcesses
root, run, mode = sys.argv[1:4]
if "--on-standby" in sys.argv and not sys.stdin.buffer.readline():
    sys.exit()
folder = f"{root}/state/runs/{run}"
pulse = []
if mode == "mute":
    time.sleep(600)
OsProcesses(root, f"{root}/state").sign_in(run)
child = None
if mode == "pulse":
    child = subprocess.Popen(["sleep", "600"], env={}, pass_fds=[int(os.environ["GLUERUN_PULSE_FD"])])
elif mode == "marker":
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
elif mode == "deaf":
    code = "trap '' TERM HUP; touch deaf; while :; do sleep 0.1; done"
    child = subprocess.Popen(["sh", "-c", code], cwd=folder)
elif mode == "daemon":
    code = (
        "import os, time\\nos.setsid()\\n"
        "if os.fork(): os._exit(0)\\nos.setsid()\\n"
        "if os.fork(): os._exit(0)\\nos.closerange(0, 1000)\\n"
        "open('daemon', 'w').close()\\ntime.sleep(600)\\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], cwd=folder, start_new_session=False)
elif mode == "bare":
    code = "import os, time\\nopen('bare', 'w').close()\\ntime.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", code], cwd=folder, env={}, start_new_session=True)
open(f"{folder}/ready", "w").close()
while not os.path.exists(f"{folder}/go"):
    time.sleep(0.01)
os._exit(0)
"""


class RealStage:
    """Real processes, and the hands that do to them what a story can do to simulated ones."""

    def __init__(self, root):
        self.root = str(root)
        self.mode = "plain"
        self.pids = {}
        self.processes = OsProcesses(
            self.root,
            f"{self.root}/state",
            lambda run: [sys.executable, "-c", WRAPPER, self.root, run, self.mode],
            patience=0.5,
        )

    def prepare(self, run):
        os.makedirs(self.folder(run))

    def start(self, run, mode="plain"):
        self.mode = mode
        self.prepare(run)
        self.pids[run] = self.processes.start(run)
        return self.pids[run]

    def settle(self, run):
        until(lambda: os.path.exists(f"{self.folder(run)}/ready"))

    def finish(self, run):
        self.settle(run)
        self.touch(run, "go")
        until(lambda: tree.look(self.pids[run]) is None)

    def crash(self, run):
        self.settle(run)
        self.kill(run)

    def orphan(self, run):
        self.finish(run)
        self.keeper = subprocess.Popen(["sleep", "600"], env={**os.environ, "GLUERUN_RUN": run})
        handle = os.open(f"{self.folder(run)}/pulse", os.O_RDWR)
        assert locks.take(handle, 5)
        os.set_inheritable(handle, True)
        self.holder = subprocess.Popen(["sleep", "600"], env={**os.environ, "GLUERUN_RUN": run}, pass_fds=[handle])
        os.close(handle)

    def kill(self, run):
        os.kill(self.pids[run], signal.SIGKILL)
        until(lambda: tree.look(self.pids[run]) is None)

    def touch(self, run, name):
        with open(f"{self.folder(run)}/{name}", "w"):
            pass

    def folder(self, run):
        return f"{self.root}/state/runs/{run}"

    def close(self):
        self.processes.dismiss()
        for run in os.listdir(f"{self.root}/state/runs"):
            self.processes.end(run, grace=0)
        for name in ("keeper", "holder"):
            if hasattr(self, name):
                getattr(self, name).wait()
        self.processes.reap()
        pulse = os.environ.pop("GLUERUN_PULSE_FD", "")
        if pulse:
            os.close(int(pulse))


class SimStage:
    """The same hands on simulated processes."""

    def __init__(self):
        self.processes = SimProcesses(SimClock())
        self.start = self.processes.start
        self.finish = self.processes.finish
        self.crash = self.processes.crash
        self.orphan = self.processes.orphan

    def prepare(self, run):
        pass

    def close(self):
        pass


@pytest.fixture
def real(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    os.makedirs(tmp_path / "state/runs")
    stage = RealStage(tmp_path)
    yield stage
    stage.close()


@pytest.fixture(params=["kernel", "memory"])
def stage(request):
    if request.param == "kernel":
        return request.getfixturevalue("real")
    return SimStage()


class TestProcesses:
    def test_a_run_that_never_was_is_dead(self, stage):
        assert stage.processes.life("none") is Life.DEAD
        assert stage.processes.end("none", grace=0)

    def test_a_started_run_is_alive_from_the_first_moment(self, stage):
        assert stage.start(R1) > 1
        assert stage.processes.life(R1) is Life.ALIVE
        assert stage.processes.life(R2) is Life.DEAD

    def test_a_run_that_ended_is_dead(self, stage):
        stage.start(R1)
        stage.finish(R1)
        assert stage.processes.life(R1) is Life.DEAD

    def test_a_run_that_crashed_is_dead(self, stage):
        stage.start(R1)
        stage.crash(R1)
        assert stage.processes.life(R1) is Life.DEAD

    def test_a_tree_without_its_wrapper_is_orphaned_until_it_is_ended(self, stage):
        stage.start(R1)
        stage.orphan(R1)
        assert stage.processes.life(R1) is Life.ORPHANED
        with pytest.raises(BusyError):
            stage.processes.sign_in(R1)
        assert stage.processes.end(R1, grace=0.2)
        assert stage.processes.life(R1) is Life.DEAD

    def test_ending_one_run_spares_the_others(self, stage):
        stage.start(R1)
        stage.start(f"{R1}0")
        assert stage.processes.end(R1, grace=0.2)
        assert (stage.processes.life(R1), stage.processes.life(f"{R1}0")) == (Life.DEAD, Life.ALIVE)

    def test_signing_in_twice_changes_nothing(self, stage):
        stage.prepare(MINE)
        who = stage.processes.sign_in(MINE)
        assert stage.processes.sign_in(MINE) == who
        assert stage.processes.life(MINE) is Life.ALIVE

    def test_a_run_that_stands_by_is_named_once(self, stage):
        assert stage.processes.enlist() == ""
        stage.processes.stand_by(R1)
        stage.processes.stand_by(R2)

        assert (stage.processes.enlist(), stage.processes.enlist()) == (R1, "")

        assert stage.start(R1) > 1
        assert stage.processes.life(R1) is Life.ALIVE

    def test_who_is_dismissed_does_not_stand_by(self, stage):
        stage.processes.stand_by(R1)
        stage.processes.dismiss()

        assert stage.processes.enlist() == ""
        assert stage.processes.life(R1) is Life.DEAD

    def test_another_one_may_stand_by_once_the_first_has_begun(self, stage):
        stage.processes.stand_by(R1)
        assert stage.processes.enlist() == R1
        stage.start(R1)

        stage.processes.stand_by(R2)

        assert stage.processes.enlist() == R2
        stage.processes.dismiss()
        assert stage.processes.life(R1) is Life.ALIVE


def waiting_for(run):
    """Return the pid of the process that stands by for a run, as anybody can find it."""
    until(lambda: tree.carriers("GLUERUN_RUN", run))
    (pid,) = tree.carriers("GLUERUN_RUN", run)
    return pid


@linux
class TestStandby:
    def test_who_stood_by_becomes_the_wrapper(self, real):
        real.processes.stand_by(R1)
        pid = waiting_for(R1)
        assert real.processes.enlist() == R1

        assert real.start(R1) == pid

        real.settle(R1)
        with open(f"{real.folder(R1)}/identity.json") as stored:
            assert json.load(stored)["pid"] == pid

    def test_one_that_was_killed_is_not_enlisted(self, real):
        real.processes.stand_by(R1)
        os.kill(pid := waiting_for(R1), signal.SIGKILL)
        until(lambda: tree.look(pid) is None)

        assert real.processes.enlist() == ""

        real.processes.stand_by(R2)
        assert real.processes.enlist() == R2
        real.processes.dismiss()

    def test_a_run_whose_standby_dies_at_the_last_moment_starts_all_the_same(self, real):
        real.processes.stand_by(R1)
        pid = waiting_for(R1)
        assert real.processes.enlist() == R1
        os.kill(pid, signal.SIGKILL)
        until(lambda: tree.look(pid) is None)

        assert real.start(R1) != pid

        real.settle(R1)
        assert real.processes.life(R1) is Life.ALIVE

    def test_it_ends_with_whoever_keeps_it_however_that_ends(self, real):
        words = (
            "import os, signal, sys; from gluerun.adapters.processes import OsProcesses; root, run = sys.argv[1:];"
            "OsProcesses(root, f'{root}/state', lambda run: [sys.executable, '-c', 'input()']).stand_by(run);"
            "input(); os.kill(os.getpid(), signal.SIGKILL)"
        )
        keeper = subprocess.Popen([sys.executable, "-c", words, real.root, R1], stdin=subprocess.PIPE)
        waiting_for(R1)

        keeper.communicate(b"\n")

        until(lambda: not tree.carriers("GLUERUN_RUN", R1))

    def test_the_engine_itself_leaves_nothing_behind_where_the_word_never_comes(self, real, tmp_path):
        argv = [sys.executable, "-P", "-m", "gluerun", "run", "RUN-20260101T000000Z-00000001", "--on-standby"]
        null = subprocess.DEVNULL
        done = subprocess.run(argv, cwd=tmp_path, stdin=null, capture_output=True, timeout=PATIENCE, check=False)

        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert os.listdir(tmp_path / "state/runs") == []
        assert not (tmp_path / ".gluerun-state").exists()


@linux
class TestOsProcesses:
    def test_the_identity_is_that_of_the_wrapper(self, real):
        pid = real.start(R1)
        real.settle(R1)
        with open(f"{real.folder(R1)}/identity.json") as stored:
            document = json.load(stored)
        assert (document["pid"], document["schema"]) == (pid, "gluerun.orchestration.identity.v0")
        assert document["bootId"] == tree.boot_id()

    @pytest.mark.parametrize("mode", ["pulse", "marker", "daemon"])
    def test_a_wrapper_killed_while_somebody_of_its_tree_lives_leaves_orphans(self, real, mode):  # A6
        real.start(R1, mode)
        real.settle(R1)
        if mode == "daemon":
            until(lambda: os.path.exists(f"{real.folder(R1)}/daemon"))
        real.kill(R1)
        assert real.processes.life(R1) is Life.ORPHANED
        assert real.processes.end(R1, grace=1)
        assert real.processes.life(R1) is Life.DEAD

    @pytest.mark.parametrize("mode", ["pulse", "marker", "daemon", "deaf", "bare", "mute"])
    def test_nobody_of_a_living_tree_survives_its_end(self, real, mode):
        before = set(tree.table())
        real.start(R1, mode)
        if mode != "mute":
            real.settle(R1)
        if mode in {"daemon", "deaf", "bare"}:
            until(lambda: os.path.exists(f"{real.folder(R1)}/{mode}"))
        assert real.processes.end(R1, grace=0.3)
        left = [pid for pid in set(tree.table()) - before if _runs_in(pid, real.root)]
        assert left == []
        assert real.processes.life(R1) is Life.DEAD

    def test_a_wrapper_that_has_not_signed_in_is_alive_and_then_dead(self, real):
        real.start(R1, "mute")
        assert real.processes.life(R1) is Life.ALIVE
        real.kill(R1)
        assert real.processes.life(R1) is Life.DEAD

    @pytest.mark.parametrize("change", [{"startTicks": 1}, {"bootId": "another"}, {"pidNamespace": "1"}])
    def test_a_pid_that_somebody_else_has_now_proves_nothing(self, real, change):
        real.start(R1)
        real.crash(R1)
        _sign(real, R1, os.getpid(), **change)
        assert real.processes.life(R1) is Life.DEAD

    def test_the_living_process_with_all_marks_is_alive(self, real):
        real.start(R1)
        real.crash(R1)
        _sign(real, R1, os.getpid())
        assert real.processes.life(R1) is Life.ALIVE
        os.unlink(f"{real.folder(R1)}/identity.json")

    def test_a_zombie_is_not_alive(self, real):
        real.prepare(R1)
        zombie = subprocess.Popen(["cat"], stdin=subprocess.PIPE, env={**os.environ, "GLUERUN_RUN": R1})
        _sign(real, R1, zombie.pid)
        assert real.processes.life(R1) is Life.ALIVE
        zombie.stdin.close()
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        assert os.path.exists(f"/proc/{zombie.pid}")
        assert real.processes.life(R1) is Life.DEAD
        zombie.wait()

    def test_a_held_pulse_in_another_pid_namespace_is_alive(self, real):  # A40
        real.start(R1, "pulse")
        real.settle(R1)
        real.kill(R1)
        _sign(real, R1, 12345, pidNamespace="1")
        assert real.processes.life(R1) is Life.ALIVE

    def test_a_broken_identity_leaves_the_answer_to_the_other_witnesses(self, real):
        real.start(R1)
        real.settle(R1)
        for text in ("", "{", "[]", "{}", "null"):
            with open(f"{real.folder(R1)}/identity.json", "w") as stored:
                stored.write(text)
            assert real.processes.life(R1) is Life.ALIVE

    def test_a_look_does_not_disturb_a_birth(self, real):
        real.prepare(MINE)
        code = (
            "import sys\nfrom gluerun.adapters.locks import is_held\nprint(flush=True)\n"
            "while True: is_held(sys.argv[1])\n"
        )
        looker = subprocess.Popen([sys.executable, "-c", code, f"{real.folder(MINE)}/pulse"], stdout=subprocess.PIPE)
        try:
            looker.stdout.readline()
            patient = OsProcesses(real.root, f"{real.root}/state", patience=PATIENCE)
            for _ in range(50):
                patient.sign_in(MINE)
                os.close(int(os.environ.pop("GLUERUN_PULSE_FD")))
        finally:
            looker.kill()
            looker.communicate()

    def test_no_zombie_and_no_warning_stays(self, real):
        pid = real.start(R1)
        real.finish(R1)
        real.processes.reap()
        assert not os.path.exists(f"/proc/{pid}")

    def test_the_wrapper_stands_on_its_own(self, real):
        pid = real.start(R1)
        real.settle(R1)
        assert os.getsid(pid) == pid
        assert os.readlink(f"/proc/{pid}/cwd") == real.root
        folder = os.path.realpath(real.folder(R1))

        def opened():
            return {os.path.realpath(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")}

        until(lambda: f"{folder}/ready" not in opened())
        assert opened() == {"/dev/null", f"{folder}/wrapper.log", f"{folder}/pulse"}

    def test_the_pulse_of_an_outer_run_is_not_passed_on(self, real, monkeypatch):
        with monkeypatch.context() as outer:
            outer.setenv("GLUERUN_PULSE_FD", "77")
            real.start(R1, "mute")
        until(lambda: tree.carriers("GLUERUN_RUN", R1))
        assert tree.carriers("GLUERUN_PULSE_FD", "77") == []

    def test_a_program_that_is_not_there_is_named(self, real):
        real.prepare(R1)
        broken = OsProcesses(real.root, f"{real.root}/state", lambda _: ["/no/such/program"])
        with pytest.raises(StateError, match="cannot start the run r1-"):
            broken.start(R1)

    def test_spared_processes_live_on(self, real):
        spared = subprocess.Popen(["sleep", "600"], env={**os.environ, "GLUERUN_RUN": R1}, start_new_session=True)
        other = subprocess.Popen(["sleep", "600"], env={**os.environ, "GLUERUN_RUN": R1}, start_new_session=True)
        assert stopping.end_carriers("GLUERUN_RUN", R1, grace=PATIENCE, spare=[spared.pid]) == []
        assert (spared.poll(), other.wait()) == (None, -signal.SIGTERM)
        spared.kill()
        spared.wait()

    def test_a_stopped_process_is_ended_politely(self, real):
        asleep = subprocess.Popen(["sleep", "600"], env={**os.environ, "GLUERUN_RUN": R1}, start_new_session=True)
        asleep.send_signal(signal.SIGSTOP)
        assert real.processes.end(R1, grace=PATIENCE)
        assert asleep.wait() == -signal.SIGTERM

    def test_who_only_looks_at_the_pulse_is_not_taken_for_a_holder(self, real):
        real.start(R1, "bare")
        real.settle(R1)
        with open(f"{real.folder(R1)}/pulse"):
            assert tree.holders(f"{real.folder(R1)}/pulse") == [real.pids[R1]]

    def test_a_marker_is_matched_whole(self, real):
        near = subprocess.Popen(
            ["sleep", "600"], env={"XGLUERUN_RUN": R1, "GLUERUN_RUN": f"{R1}2", "A": f"GLUERUN_RUN={R1}"}
        )
        assert near.pid not in tree.carriers("GLUERUN_RUN", R1)
        assert near.pid in tree.carriers("GLUERUN_RUN", f"{R1}2")
        near.kill()
        near.wait()


class TestSimProcesses:
    def test_due_runs_come_in_the_order_of_their_start(self):
        processes = SimProcesses(SimClock())
        for run in ("b", "a", "c"):
            processes.start(run)
        processes.finish("a")
        assert processes.due() == ["b", "c"]

    def test_a_reboot_ends_everybody(self):
        clock = SimClock()
        processes = SimProcesses(clock)
        processes.start("a")
        clock.reboot()
        assert processes.life("a") is Life.DEAD

    def test_an_immortal_run_is_not_ended(self):
        processes = SimProcesses(SimClock())
        processes.start("a")
        processes.immortal.add("a")
        assert not processes.end("a", grace=1)


def _sign(real, run, pid, **change):
    boot, namespace, pid, ticks = tree.identity(pid) or (tree.boot_id(), tree.pid_namespace(), pid, 1)
    document = {"bootId": boot, "pidNamespace": namespace, "pid": pid, "startTicks": ticks, **change}
    with open(f"{real.folder(run)}/identity.json", "w") as stored:
        json.dump(document, stored)


def _runs_in(pid, root):
    try:
        with open(f"/proc/{pid}/cmdline") as cmdline:
            return root in os.readlink(f"/proc/{pid}/cwd") or root in cmdline.read()
    except OSError:
        return False


CHOOSES = "open('/proc/sys/kernel/ns_last_pid', 'r+').close()"
REUSE = """
import os, signal, sys, time
from gluerun.adapters import tree
def born():
    child = os.fork()
    if child == 0:
        signal.pause()
    return child
first = born()
before = tree.identity(first)
os.kill(first, signal.SIGKILL)
os.waitpid(first, 0)
time.sleep(0.05)  # ticks are counted in hundredths of a second
with open("/proc/sys/kernel/ns_last_pid", "w") as last:
    last.write(str(first - 1))
second = born()
after = tree.identity(second)
os.kill(second, 0)
os.kill(second, signal.SIGKILL)
os.waitpid(second, 0)
print(first == second, before == after, before[2] == after[2])
"""


def test_a_pid_that_the_kernel_gives_again_is_not_the_same_process():
    argv = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", sys.executable, "-c"]
    try:
        can = subprocess.run([*argv, CHOOSES], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("unshare is not installed")
    if can.returncode:
        pytest.skip("no pid namespace can be made here in which pids may be chosen")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}

    done = subprocess.run([*argv, REUSE], env=env, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["True", "False", "True"]


SIGNS_IN = """
import sys
from gluerun.adapters.processes import OsProcesses
who = OsProcesses(sys.argv[1], sys.argv[1]).sign_in('a')
print(who.awake, who.pid, flush=True)
"""


def test_a_run_is_as_old_as_its_first_sign_in(tmp_path):
    os.makedirs(tmp_path / "runs/a")
    processes = OsProcesses(str(tmp_path), str(tmp_path))
    older = "import json\npath = sys.argv[1] + '/runs/a/identity.json'\n"
    older += "document = json.load(open(path)) | {'awake': 7}\njson.dump(document, open(path, 'w'))\n"
    again = "import os\nos.execv(sys.executable, [sys.executable, '-c', sys.argv[2], sys.argv[1]])\n"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    argv = [sys.executable, "-c", SIGNS_IN + older + again, str(tmp_path), SIGNS_IN]

    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)

    (_, first), (awake, second) = (line.split() for line in done.stdout.splitlines())
    assert (first, awake) == (second, "7")
    assert processes.life("a") == "dead"

"""What every tier of confinement promises: what is written stays where it may be, and nobody gets around it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import pytest
from tests.patience import PATIENCE, spans, until

from gluerun.adapters import confine, sandboxes, tree
from gluerun.adapters.children import InlineChildren, WaitingChildren
from gluerun.adapters.sandboxes import Sandboxes
from gluerun.core import sandbox
from gluerun.records.child import Child, How
from gluerun.records.config import Config
from gluerun.records.record import replace
from gluerun.records.runner import RunnerSpec
from gluerun.records.sandbox import Confinement, Network, Sandbox, SandboxMode

ELSEWHERE = (
    "{main}/file",
    "{main}/.git/hooks/pre-commit",
    "{main}/.git/config",
    "{main}/.git/HEAD",
    "{main}/.git/packed-refs",
    "{main}/.git/refs/heads/main",
    "{main}/.git/worktrees/T2/HEAD",
    "{sibling}/file",
    "{home}/.bashrc",
    "{state}/tasks.json",
    "{state}/runs/r1/dispatch.json",
    "{folder}/file",
)
AGENT = RunnerSpec(name="agent", state=("~/.agent/",))
REQUIRED = SandboxMode.REQUIRED
# A tier of another system is not a gap of this machine; docs/platforms.md says what is proved where.
TIERS = [sandbox.SEATBELT] if sys.platform == "darwin" else [sandbox.BWRAP, sandbox.LANDLOCK]


def _works(tier, network=Network.OPEN):
    return Sandboxes((tier,)).tier(Confinement(mode=REQUIRED, network=network), "/") == tier


@pytest.fixture(params=TIERS)
def tier(request):
    if not _works(request.param):
        pytest.skip(f"this machine has no {request.param} that works")
    return request.param


class House:
    """A repository with two linked work trees, a home, and a run that starts programs in one of them."""

    def __init__(self, folder, tier):
        self.folder, self.tier = os.path.realpath(folder), tier
        self.main, self.home, self.state = (f"{self.folder}/{name}" for name in ("main", "home", "state"))
        self.place, self.sibling = f"{self.folder}/trees/T1", f"{self.folder}/trees/T2"
        self.tmp, self.outputs = f"{self.state}/runs/r1/tmp", f"{self.state}/runs/r1/outputs"
        for name in (self.home, self.tmp, self.outputs):
            os.makedirs(name)
        for words in (
            ("init", "-q", "-b", "main", self.main),
            ("-C", self.main, "commit", "-q", "--allow-empty", "-m", "start"),
            ("-C", self.main, "worktree", "add", "-q", "-b", "agent/area/T1", self.place),
            ("-C", self.main, "worktree", "add", "-q", self.sibling),
        ):
            subprocess.run(("git", *words), check=True, stderr=subprocess.DEVNULL)
        os.makedirs(f"{self.main}/.git/hooks", exist_ok=True)
        self.children = InlineChildren(self.state, sandboxes=Sandboxes((tier,)))

    def held(self, role="worker", **changes):
        places = sandbox.Places(
            worktree=self.place,
            git_dir=f"{self.main}/.git",
            worktree_git_dir=f"{self.main}/.git/worktrees/T1",
            branch="agent/area/T1",
            run_folder=self.outputs,
            tmp=self.tmp,
            home=self.home,
        )
        config = Config(target_branch="main", gate_command="true", sandbox=Sandbox(mode=REQUIRED, **changes))
        return sandbox.confinement(role, config, AGENT, places)

    def child(self, code, held, **changes):
        names = ("PATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL")
        names += ("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
        env = {name: os.environ[name] for name in names} | {"HOME": self.home, "TMPDIR": self.tmp, "MAIN": self.main}
        given = Child(
            name="a1",
            argv=("sh", "-c", code),
            cwd=self.place,
            env=env,
            stdin="",
            log="runs/r1/a1.log",
            marker=f"sandbox-{os.getpid()}",
            timeout=PATIENCE,
            grace=1,
            confine=held,
        )
        return replace(given, **changes)

    def run(self, code, role="worker", **changes):
        self.log = f"{self.state}/runs/r1/a1.log"
        if os.path.exists(self.log):
            os.unlink(self.log)
        return self.children.wait("r1", self.child(code, self.held(role, **changes)))

    @property
    def said(self):
        with open(self.log) as file:
            return file.read()


@pytest.fixture
def house(tmp_path, tier):
    return House(tmp_path, tier)


class TestEveryTier:
    def test_it_is_told_who_held_the_program(self, house):
        done = house.run("exit 3")
        assert (done.how, done.exit_code, done.confined) == (How.EXITED, 3, house.tier)
        assert house.children.finished("r1", "a1") == done

    def test_a_worker_writes_where_it_may(self, house):
        code = (
            "set -e; echo a > file; mkdir -p deep/er; mv file deep/er/; ln -s er deep/link; ln deep/er/file hard;"
            ' : > deep/er/file; rm -r deep; echo t > "$TMPDIR/t"; mv "$TMPDIR/t" here;'
            f' echo s > "$HOME/.agent/state"; echo o > {house.outputs}/answer.json'
        )
        assert house.run(code).exit_code == 0, house.said
        assert sorted(os.listdir(house.place)) == [".git", "hard", "here"]
        assert os.listdir(house.outputs) == ["answer.json"]

    def test_devices_and_its_own_output_can_be_opened(self, house):
        code = "set -e; echo a >/dev/null; : </dev/urandom; echo b >/dev/full || true; echo out; echo late >/dev/stderr"
        assert house.run(code).exit_code == 0, house.said
        assert "late" in house.said

    @pytest.mark.parametrize("role", ["worker", "auditor"])
    def test_nobody_writes_elsewhere(self, house, role):  # FR-045
        before = {path: _content(path) for path in (place.format(**vars(house)) for place in ELSEWHERE)}
        ways = ("echo x >> {0}", "rm -f {0} && echo x > {0}", "echo x > $TMPDIR/x; mv $TMPDIR/x {0}", "mkdir {0}.d")
        code = [f"({way.format(path)}) && echo WROTE {path}" for path in before for way in ways]
        house.run("\n".join([*code, "echo end"]), role)
        assert [line for line in house.said.splitlines() if line.startswith("WROTE")] == []
        assert house.said.endswith("end\n")
        assert {path: _content(path) for path in before} == before

    @pytest.mark.skipif(not tree.LINUX, reason="settings of the Linux kernel")
    def test_root_turns_nothing_of_the_kernel(self, house):
        # Only opened, never written to.
        for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/swappiness", "/sys/power/state"):
            assert house.run(f": >> {path}").exit_code != 0, path

    @pytest.mark.skipif(not tree.LINUX, reason="reads /proc")
    def test_root_is_no_more_than_a_user(self, house):
        house.run("grep -E 'CapPrm|CapEff|CapAmb|NoNewPrivs' /proc/self/status")
        assert house.said.split()[1::2] == ["0" * 16, "0" * 16, "0" * 16, "1"]

    def test_nobody_writes_into_the_temporary_folder_of_all(self, house, tmp_path_factory):
        place = tmp_path_factory.mktemp("shared")
        assert house.run(f"echo x > {place}/x").exit_code != 0
        assert os.listdir(place) == []

    def test_what_is_there_cannot_be_emptied_or_renamed(self, house):
        path = f"{house.main}/kept"
        with open(path, "w") as file:
            file.write("kept\n")
        for code in (f"truncate -s 0 {path}", f": > {path}", f"mv {path} {path}2", f"mv {path} ."):
            assert house.run(code).exit_code != 0, code
        assert _content(path) == b"kept\n"

    def test_who_only_reads_cannot_write_its_work_tree(self, house):
        for code in ("echo x > file", "mkdir x", "rm .git", "git commit -q --allow-empty -m x", "git branch x"):
            assert house.run(code, "auditor").exit_code != 0, code
        assert os.listdir(house.place) == [".git"]
        assert (
            house.run(f'cat .git; git log -1; echo x > "$TMPDIR/x"; echo x > {house.outputs}/x', "auditor").exit_code
            == 0
        )

    def test_a_worker_can_commit_in_a_linked_work_tree(self, house):
        done = house.run("echo a > a && git add -A && git commit -qm work && git status --short")
        assert (done.exit_code, house.said) == (0, "")
        log = subprocess.run(
            ("git", "-C", house.place, "log", "--format=%s"), capture_output=True, text=True, check=True
        )
        assert log.stdout.split() == ["work", "start"]

    def test_a_worker_moves_no_other_branch(self, house):
        refs = subprocess.run(("git", "-C", house.main, "show-ref"), capture_output=True, check=True).stdout
        for code in (
            "git update-ref refs/heads/main HEAD~0 && git commit-tree -m x HEAD^{tree} > c &&"
            " git update-ref refs/heads/main $(cat c)",
            "git branch x",
            "git tag x",
            "git pack-refs --all",
        ):
            assert house.run(code).exit_code != 0, code
        assert subprocess.run(("git", "-C", house.main, "show-ref"), capture_output=True, check=True).stdout == refs

    def test_a_link_does_not_lead_out(self, house):
        code = 'ln -s "$MAIN" out; ln -s "$HOME/.bashrc" rc; echo x > out/file; echo x > rc; cd out && echo x > ./file2'
        assert house.run(code).exit_code != 0
        assert os.listdir(house.home) == [".agent"]
        assert os.listdir(house.main) == [".git"]

    def test_a_hard_link_does_not_lead_out(self, house):
        with open(f"{house.main}/kept", "w") as file:
            file.write("kept\n")
        house.run('ln "$MAIN/kept" here; echo x > here')
        assert _content(f"{house.main}/kept") == b"kept\n"

    def test_a_link_that_is_a_configured_path_opens_nothing(self, house):
        os.symlink(house.home, f"{house.place}/cache")
        assert house.run("echo x > cache/x; echo x > $HOME/x", "auditor", writable=("cache",)).exit_code != 0
        assert os.listdir(house.home) == [".agent"]

    def test_what_is_protected_within_a_writable_folder_stays(self, house):
        os.makedirs(f"{house.place}/a/b")
        for name in ("a/b/kept", "a/free", "other"):
            with open(f"{house.place}/{name}", "w") as file:
                file.write("old\n")
        held = replace(house.held(), protected=(f"{house.place}/a/b", f"{house.place}/gone"))
        code = "echo x > a/free; echo x > other; echo x > a/b/kept; echo x > a/b/new; rm -r a/b; mv a/b c; mv a c"
        house.children.wait("r1", house.child(code, held))
        found = {name: _content(f"{house.place}/{name}") for name in ("a/free", "other", "a/b/kept", "a/b/new", "c")}
        assert found == {"a/free": b"x\n", "other": b"x\n", "a/b/kept": b"old\n", "a/b/new": None, "c": None}

    def test_children_inherit_it_also_detached_ones(self, house):
        code = "setsid sh -c 'env -i sh -c \"echo x > $MAIN/x; echo y > y\" & wait'; sh -c \"sh -c 'echo x > $MAIN/x'\""
        if shutil.which("setsid") is None:
            pytest.skip("no setsid")
        house.run(code)
        assert (_content(f"{house.main}/x"), _content(f"{house.place}/y")) == (None, b"y\n")

    def test_it_cannot_be_undone(self, house):
        code = 'mount -o remount,rw / ; mount -t tmpfs x "$HOME"; umount "$MAIN"; unshare -rm mount -o remount,rw /'
        house.run(f'{code}; echo x > "$MAIN/x"; unshare -rm sh -c \'mount -o remount,rw /; echo x > "$MAIN/x"\'')
        assert os.listdir(house.main) == [".git"]

    def test_the_program_gets_its_environment_signals_and_descriptors_only(self, house):
        code = "import os, sys, json; json.dump(dict(os.environ), sys.stdout)"
        wanted = house.child("", house.held())
        wanted = replace(wanted, argv=(sys.executable, "-I", "-S", "-c", code), env={**wanted.env, "LC_ALL": "C"})
        house.children.wait("r1", wanted)
        with open(f"{house.state}/runs/r1/a1.log") as file:
            seen = json.load(file)
        assert {**seen, "PWD": ""} == {**wanted.env, "GLUERUN_RUN": "r1", "GLUERUN_DISPATCH": wanted.marker, "PWD": ""}
        house.run("ls /proc/self/fd; grep -E 'SigBlk|SigIgn' /proc/self/status")
        if tree.LINUX:
            assert house.said.split() == ["0", "1", "2", "3", "SigBlk:", "0" * 16, "SigIgn:", "0" * 16]

    def test_a_missing_program_is_missing(self, house):
        done = house.children.wait("r1", house.child("", house.held(), argv=("no-such-program",)))
        assert (done.how, done.exit_code) == (How.MISSING, 127)

    def test_a_missing_folder_is_missing(self, house):
        done = house.children.wait("r1", house.child("true", house.held(), cwd=f"{house.folder}/gone"))
        assert (done.how, done.exit_code) == (How.MISSING, 127)

    def test_a_stop_lets_the_program_end_in_its_own_way(self, house):
        code = "trap 'exit 9' TERM; touch ready; while :; do sleep 0.05; done"
        for span in spans(1):
            done = house.children.wait("r1", house.child(code, house.held(), timeout=int(span), grace=PATIENCE))
            if os.path.exists(f"{house.place}/ready"):
                break
        assert (done.how, done.exit_code, done.survivors) == (How.TIMED_OUT, 9, 0)

    @pytest.mark.parametrize("code", ["exit 0", "exit 200"])
    def test_exit_codes_are_told(self, house, code):
        assert house.run(code).exit_code == int(code.split()[1])


# One process asks what it can reach: a server of its own, and one of this machine outside.
REACH = """
import socket, sys
own = socket.socket()
try:
    own.bind(("127.0.0.1", 0)); own.listen()
    socket.create_connection(own.getsockname(), 5).close(); print("own")
except OSError: pass
try: socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5).close(); print("outside")
except OSError: pass
"""


class TestNetwork:
    @pytest.mark.parametrize(
        ("network", "reached"),
        [(Network.OPEN, ["own", "outside"]), (Network.LOOPBACK, ["own"]), (Network.NONE, [])],
    )
    def test_it_holds(self, house, network, reached):
        if not _works(house.tier, network):
            pytest.skip(f"this machine's {house.tier} cannot have the network {network}")
        if sys.platform == "darwin" and network is Network.LOOPBACK:
            reached = ["own", "outside"]  # there is one loopback for all
        with socket.create_server(("127.0.0.1", 0)) as server:
            argv = (sys.executable, "-c", REACH, str(server.getsockname()[1]))
            done = house.children.wait("r1", house.child("", house.held(network=network), argv=argv))
        with open(f"{house.state}/runs/r1/a1.log") as file:
            assert (file.read().split(), done.confined) == (reached, house.tier)

    def test_the_files_are_held_without_a_network_too(self, house):
        if not _works(house.tier, Network.NONE):
            pytest.skip(f"this machine's {house.tier} cannot take the network away")
        house.run('echo x > "$MAIN/x"; echo y > y; id -u > id', network=Network.NONE)
        assert (os.listdir(house.main), _content(f"{house.place}/id")) == ([".git"], f"{os.getuid()}\n".encode())


class TestPids:
    def test_in_a_pid_namespace_nobody_outlives_the_program(self, tmp_path):
        if not _works(sandbox.BWRAP):
            pytest.skip("this machine has no bubblewrap that works")
        house = House(tmp_path, sandbox.BWRAP)
        prepared = Sandboxes((sandbox.BWRAP,)).prepared(house.child("true", house.held()))
        assert prepared.pid_namespace
        # It gives up its session, its parent and its environment, and speaks when it lives.
        daemon = "setsid env -i sh -c 'echo here > ready; exec sleep 600' >/dev/null 2>&1 &"
        code = f"{daemon} while [ ! -s ready ]; do sleep 0.02; done"
        argv = sandboxes.Sandboxes((sandbox.BWRAP,)).prepared(house.child(code, house.held())).argv
        marker = f"lonely-{os.getpid()}"
        child = house.child("", None)
        subprocess.run(
            argv, cwd=house.place, env={**child.env, "GLUERUN_DISPATCH": marker}, check=True, timeout=PATIENCE
        )
        try:
            # Its first process tells the exit code a moment before it takes the others with it.
            until(lambda: not _who_is_at(house.place))
        finally:
            for pid in _who_is_at(house.place):
                os.kill(pid, signal.SIGKILL)

    def test_who_waits_cannot_be_killed_without_it(self, tmp_path):
        if not _works(sandbox.BWRAP) or not Sandboxes((sandbox.BWRAP,))._bwrap(Confinement(mode=REQUIRED)).env:
            pytest.skip("this machine has no bubblewrap that works, or no env that can ignore signals")
        house = House(tmp_path, sandbox.BWRAP)
        argv = house.children._records.waiter("r1", house.child("echo here > ready; sleep 600", house.held()), ())
        waiter = subprocess.Popen(argv, start_new_session=True)
        until(lambda: _content(f"{house.place}/ready"))
        waiter.kill()
        waiter.wait()
        until(lambda: not _who_is_at(house.place))

    def test_a_program_that_is_held_cannot_signal_who_is_not(self, tmp_path):
        names = [name for name in (sandbox.BWRAP, sandbox.LANDLOCK) if _works(name)]
        if not names or (names == [sandbox.LANDLOCK] and confine.abi() < 6):
            pytest.skip("no tier of this machine keeps signals in")
        for name in names:
            house = House(tmp_path / name, name)
            assert house.run(f"kill -0 {os.getpid()}").exit_code != 0


class TestRequired:
    def test_without_a_tier_nothing_is_started(self, tmp_path):
        house = House(tmp_path, sandbox.LANDLOCK)
        house.children = InlineChildren(house.state, sandboxes=Sandboxes(()))
        done = house.run(f"echo x > {house.place}/started")
        assert (done.how, done.exit_code, done.confined) == (How.REFUSED, 126, "")
        assert "install bubblewrap" in done.refusal or "sandbox-exec" in done.refusal
        assert house.children.finished("r1", "a1") == done
        assert os.listdir(house.place) == [".git"]
        assert os.listdir(f"{house.state}/runs/r1/children") == ["a1.done.json"]

    def test_the_run_goes_on_and_is_told(self, tmp_path):
        house = House(tmp_path, sandbox.LANDLOCK)
        code = (
            "import json, sys\nfrom gluerun.adapters.children import WaitingChildren\n"
            "from gluerun.adapters.sandboxes import Sandboxes\nfrom gluerun.records import codec\n"
            "from gluerun.records.child import Child\n"
            "again = [sys.executable, '-c', 'print(\"went on\")']\n"
            "children = WaitingChildren(sys.argv[1], lambda _: again, sandboxes=Sandboxes(()))\n"
            "children.wait('r1', codec.from_wire(Child, json.load(sys.stdin)))"
        )
        from gluerun.records import codec

        env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        given = codec.encode(house.child("touch started", house.held()))
        done = subprocess.run(
            [sys.executable, "-c", code, house.state], input=given, env=env, capture_output=True, check=True
        )
        assert done.stdout == b"went on\n"
        assert WaitingChildren(house.state).finished("r1", "a1").how is How.REFUSED
        assert os.listdir(house.place) == [".git"]

    def test_automatic_without_a_tier_says_that_nothing_holds_it(self, tmp_path):
        house = House(tmp_path, sandbox.LANDLOCK)
        house.children = InlineChildren(house.state, sandboxes=Sandboxes(()))
        held = replace(house.held(), mode=SandboxMode.AUTO)
        done = house.children.wait("r1", house.child("echo x > started; exit 4", held))
        assert (done.how, done.exit_code, done.confined) == (How.EXITED, 4, "none")

    @pytest.mark.parametrize("off", [None, Confinement(mode=SandboxMode.OFF)])
    def test_off_is_as_it_is(self, tmp_path, off):
        house = House(tmp_path, sandbox.LANDLOCK)
        child = house.child("true", off)
        assert Sandboxes().prepared(child) == sandboxes.Prepared(argv=child.argv)
        done = house.children.wait("r1", house.child('echo x > "$MAIN/x"', off))
        assert (done.exit_code, done.confined) == (0, "")

    def test_a_tool_that_does_not_work_counts_as_missing(self, tmp_path):
        broken = tmp_path / "bin/bwrap"
        broken.parent.mkdir()
        broken.write_text("#!/bin/sh\nexit 1\n")
        broken.chmod(0o755)
        held = Confinement(mode=REQUIRED)
        assert Sandboxes((sandbox.BWRAP,), search=str(broken.parent)).tier(held, "/") == "none"
        assert Sandboxes((sandbox.BWRAP,), search=str(tmp_path)).tier(held, "/") == "none"

    def test_a_container_that_is_wanted_is_never_replaced(self, tmp_path):
        house = House(tmp_path, sandbox.LANDLOCK)
        for container, word in (
            (("no-such-docker", "run", "{mounts}", "image", "{argv}"), "no-such-docker"),
            (("sh", "-c", "true"), "{argv}"),
        ):
            held = replace(house.held(), mode=SandboxMode.AUTO, container=container)
            done = house.children.wait("r1", house.child("touch started", held))
            assert done.how is How.REFUSED
            assert word in done.refusal
        assert os.listdir(house.place) == [".git"]

    def test_a_container_is_called_as_configured(self, tmp_path):
        house = House(tmp_path, sandbox.LANDLOCK)
        house.children = InlineChildren(house.state)
        # A stand-in that does what a container's command line does: look at some words, and start the rest.
        stand_in = (
            "sh",
            "-c",
            'echo "$1 $2"; shift 2; while [ "$1" != image ]; do shift; done; shift; exec "$@"',
            "sh",
        )
        held = replace(house.held(), container=(*stand_in, "-w", "{worktree}", "{mounts}", "{env}", "image", "{argv}"))
        done = house.children.wait("r1", house.child("echo inside; exit 5", held))
        with open(f"{house.state}/runs/r1/a1.log") as file:
            assert (file.read(), done.exit_code, done.confined) == (f"-w {house.place}\ninside\n", 5, "container")
        names = Sandboxes().prepared(house.child("true", held, env={"B": "1", "A": "2"})).argv
        assert names[names.index("--env") : names.index("image")] == ("--env", "A", "--env", "B")


class TestLauncher:
    def test_a_kernel_is_asked_only_for_what_it_knows(self):
        assert [f"{confine.handled(version):x}" for version in range(1, 8)] == ["1ff2", "3ff2", *["7ff2"] * 5]

    @pytest.mark.skipif(not tree.LINUX, reason="landlock is Linux's")
    def test_what_it_cannot_do_it_does_not_leave_out(self, tmp_path):
        told = json.dumps({"network": "open", "writable": [str(tmp_path)]})  # nothing said of what is protected
        for what in (told, "{}", "no json"):
            argv = [sys.executable, "-I", "-S", confine.__file__, what, "--", "touch", str(tmp_path / "x")]
            assert subprocess.run(argv, check=False, stderr=subprocess.DEVNULL).returncode != 0
        assert os.listdir(tmp_path) == []


def _content(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def _who_is_at(place):
    found = []
    for pid in tree.table():
        try:
            if os.readlink(f"/proc/{pid}/cwd") == place:
                found.append(pid)
        except OSError:
            continue
    return found

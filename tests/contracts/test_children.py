"""What every way of waiting for a program promises; and what the real waiter is made of."""

import json
import os
import signal
import subprocess
import sys

import pytest
from tests.contracts.test_files import on_small_disk
from tests.patience import PATIENCE, spans, until

from gluerun.adapters import stopping, tree, waiting
from gluerun.adapters.children import InlineChildren
from gluerun.errors import StateError
from gluerun.records import codec
from gluerun.records.child import Child, ChildDone, DayMeter, How, Tier
from gluerun.records.fault import Limit
from gluerun.records.record import replace
from gluerun.records.runner import Dialect, Limits
from gluerun.sim.children import SimChildren

linux = pytest.mark.skipif(not tree.LINUX, reason="reads /proc")
LIMIT_MIB = 6

# A run's process: it signs in, waits for a child by becoming its waiter, is started again, and tells.
RUN = """
import json, os, sys
from gluerun.adapters.children import WaitingChildren
from gluerun.adapters.processes import OsProcesses
from gluerun.records import codec
from gluerun.records.child import Child
root, run = sys.argv[1:]
again = [sys.executable, "-c", os.environ["RUN_CODE"], root, run]
children = WaitingChildren(f"{root}/state", lambda _: again)
who = OsProcesses(root, f"{root}/state").sign_in(run)
done = children.finished(run, "a1")
life = [os.getpid(), who.start_ticks, os.environ["GLUERUN_PULSE_FD"], done and done.exit_code]
with open(f"{root}/lives", "a") as lives:
    lives.write(json.dumps(life) + chr(10))
if done is None:
    with open(f"{root}/child.json", "rb") as spec:
        children.wait(run, codec.from_wire(Child, json.load(spec)))
"""


@pytest.fixture
def folder(tmp_path):
    os.makedirs(tmp_path / "state/runs/r1")
    return tmp_path


@pytest.fixture
def inline(folder):
    return InlineChildren(str(folder / "state"))


@pytest.fixture(params=["waiter", "script"])
def children(request, inline):
    if request.param == "waiter":
        return inline
    return SimChildren(
        lambda _, child: ChildDone(name=child.name, how=How.EXITED, exit_code=int(child.argv[-1][-1]), duration_ms=5)
    )


def child(code, **changes):
    argv = ("sh", "-c", code) if isinstance(code, str) else tuple(code)
    return replace(
        Child(
            name="a1",
            argv=argv,
            cwd="/",
            env={"PATH": os.environ["PATH"]},
            stdin="",
            log="runs/r1/a1.log",
            marker=f"dispatch-{os.getpid()}",
            timeout=PATIENCE,
            grace=1,
        ),
        **changes,
    )


class TestChildren:
    def test_what_was_not_waited_for_has_no_answer(self, children):
        assert children.finished("r1", "a1") is None

    def test_the_answer_is_kept(self, children):
        done = children.wait("r1", child("exit 3"))
        assert (done.name, done.how, done.exit_code, done.survivors) == ("a1", How.EXITED, 3, 0)
        assert children.finished("r1", "a1") == done
        assert (children.finished("r1", "a2"), children.finished("r2", "a1")) == (None, None)

    def test_a_second_wait_replaces_the_answer(self, children):
        children.wait("r1", child("exit 3"))
        children.wait("r1", child("exit 4"))
        assert children.finished("r1", "a1").exit_code == 4

    def test_each_name_has_its_own_answer(self, children):
        children.wait("r1", child("exit 3"))
        children.wait("r1", child("exit 0", name="a2"))
        assert [children.finished("r1", name).exit_code for name in ("a1", "a2")] == [3, 0]


# A child that fills the disk on which its own end is to be told.
FILLING = """
import json, os, sys
from gluerun.adapters.children import InlineChildren
from gluerun.adapters.files import DiskFiles
from gluerun.records import codec
from gluerun.records.child import Child
state, files = sys.argv[1], DiskFiles(sys.argv[1], has_ballast=True)
print(files.hold_back(1_000_000), flush=True)
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what a waiter says that cannot tell
code = f"head -c 9000000 /dev/zero > {state}/filled; exit 3"
child = Child(name="a1", argv=("sh", "-c", code), cwd="/", env={"PATH": os.environ["PATH"]}, stdin="",
              log="runs/r1/a1.log", marker="r1.1", timeout=600, grace=1)
try:
    done = InlineChildren(state, tiers=["marker"]).wait("r1", child)
    print(done.exit_code, files.names(""))
except Exception as error:
    print(type(error).__name__)
"""


@linux
class TestWaiter:
    @pytest.mark.parametrize("held", [True, False], ids=["with something held back", "without"])
    def test_how_a_child_ended_is_told_on_a_disk_that_it_has_filled(self, tmp_path, held):
        script = FILLING if held else FILLING.replace("files.hold_back(1_000_000)", "True")

        said = on_small_disk(tmp_path, script, "2m")

        assert said == ["True", "3 ['filled', 'runs']" if held else "StateError"]

    @pytest.mark.parametrize(
        "left", [b"", b'{"schema": "gluerun.orch', b"[]", None], ids=["empty", "torn", "odd", "none"]
    )
    def test_an_answer_that_cannot_be_read_is_none_and_the_child_is_run_again(self, inline, folder, left):
        inline.wait("r1", child("exit 3"))
        (answer,) = (folder / "state/runs/r1/children").glob("*.done.json")
        answer.unlink() if left is None else answer.write_bytes(left)

        assert inline.finished("r1", "a1") is None
        assert inline.wait("r1", child("exit 4")).exit_code == 4
        assert inline.finished("r1", "a1").exit_code == 4

    def test_output_of_both_kinds_is_appended_to_the_log(self, inline, folder):
        log = folder / "state/runs/r1/a1.log"
        log.write_text("before\n")
        inline.wait("r1", child("echo out; echo err >&2"))
        assert log.read_text() == "before\nout\nerr\n"

    def test_a_large_input_is_delivered_whole(self, inline, folder):
        text = os.urandom(150_000).hex()
        (folder / "state/runs/r1/prompt").write_text(text)
        inline.wait("r1", child("cat", stdin="runs/r1/prompt"))
        assert (folder / "state/runs/r1/a1.log").read_text() == text

    def test_without_an_input_there_is_nothing_to_read(self, inline):
        assert inline.wait("r1", child("cat; exit 5")).exit_code == 5

    def test_the_environment_is_exactly_what_was_given_and_the_markers(self, inline, folder, monkeypatch):
        monkeypatch.setenv("SECRET", "leaks")
        wanted = child([sys.executable, "-c", "import os; print(dict(os.environ))"], env={"LANG": "C", "Ä": "ö\n\"'"})
        inline.wait("r1", wanted)
        code = "import json, os, sys; json.dump(dict(os.environ), sys.stdout)"
        inline.wait("r1", replace(wanted, argv=(sys.executable, "-I", "-S", "-c", code), log="runs/r1/env"))
        seen = json.loads((folder / "state/runs/r1/env").read_text())
        seen.pop("LC_CTYPE", None)  # the interpreter's own
        assert seen == {**wanted.env, "GLUERUN_RUN": "r1", "GLUERUN_DISPATCH": wanted.marker}

    def test_the_secrets_of_the_environment_do_not_stay_on_the_disk(self, inline, folder):
        inline.wait("r1", child("true", env={"PATH": os.environ["PATH"], "TOKEN": "s3cret"}))
        assert os.listdir(folder / "state/runs/r1/children") == ["a1.done.json"]

    def test_the_child_runs_in_its_folder_and_its_own_session(self, inline, folder):
        inline.wait("r1", child("pwd; echo $$; cut -d' ' -f6 /proc/self/stat", cwd=str(folder)))
        place, pid, session = (folder / "state/runs/r1/a1.log").read_text().split()
        assert (place, pid) == (str(folder), session)

    def test_the_child_gets_usual_signals_and_no_other_descriptors(self, inline, folder):
        inline.wait("r1", child("ls /proc/self/fd; grep -E 'SigBlk|SigIgn' /proc/self/status"))
        said = (folder / "state/runs/r1/a1.log").read_text().split()
        assert said == ["0", "1", "2", "3", "SigBlk:", "0" * 16, "SigIgn:", "0" * 16]

    @pytest.mark.parametrize(
        ("code", "number"), [("exit 0", 0), ("exit 200", 200), ("kill -9 $$", -9), ("kill -15 $$", -15)]
    )
    def test_exit_codes_and_signals_are_told(self, inline, code, number):
        done = inline.wait("r1", child(code))
        assert (done.how, done.exit_code) == (How.EXITED, number)

    @pytest.mark.parametrize(
        "changes",
        [
            {"argv": ("/no/such/program",)},
            {"argv": ("no-such-program",)},
            {"argv": ("/etc/hostname",)},
            {"cwd": "/no/such"},
            {"stdin": "/no/such"},
        ],
    )
    def test_what_cannot_be_started_is_missing(self, inline, folder, changes):
        done = inline.wait("r1", child("true", **changes))
        assert (done.how, done.exit_code) == (How.MISSING, 127)
        assert "cannot start" in (folder / "state/runs/r1/a1.log").read_text()

    def test_a_child_that_takes_too_long_is_ended(self, inline):  # A8
        done = inline.wait("r1", child("sleep 600", timeout=1, grace=PATIENCE))
        assert (done.how, done.exit_code) == (How.TIMED_OUT, -signal.SIGTERM)
        assert done.duration_ms >= 900

    def test_a_child_that_does_not_listen_is_killed(self, inline, folder):  # A31
        code = "trap '' TERM; echo deaf; while :; do sleep 0.1; done"
        done = _told(inline, folder, "deaf", *(child(code, timeout=span, grace=0) for span in spans(1)))
        assert (done.how, done.exit_code) == (How.TIMED_OUT, -signal.SIGKILL)

    def test_a_child_may_end_in_its_own_way_within_the_grace(self, inline, folder):
        code = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"
        done = _told(inline, folder, "ready", *(child(code, timeout=span, grace=PATIENCE) for span in spans(1)))
        assert (done.how, done.exit_code) == (How.TIMED_OUT, 9)

    def test_a_silent_child_is_ended(self, inline):
        assert inline.wait("r1", child("echo hello; sleep 600", idle=1)).how is How.IDLE

    def test_a_talking_child_is_not_idle(self, inline):
        # It talks for longer than the limit, though never with so long a pause; a slow machine may make one.
        talks = "for i in 1 2 3 4 5 6; do echo $i; sleep {}; done"
        done = (inline.wait("r1", child(talks.format(idle * 0.3), idle=int(idle))) for idle in spans(1))
        assert (How.EXITED, 0) in ((one.how, one.exit_code) for one in done)

    def test_plain_text_keeps_the_order_in_which_it_was_written(self, inline, folder):
        inline.wait("r1", child("for n in 1 2 3 4 5 6 7 8 9; do echo out $n; echo err $n >&2; done"))
        said = (folder / "state/runs/r1/a1.log").read_text().splitlines()
        assert said == [f"{stream} {number}" for number in range(1, 10) for stream in ("out", "err")]

    def test_a_child_that_writes_without_end_is_ended_and_its_log_cut(self, inline, folder):
        done = inline.wait("r1", child("while :; do echo 0123456789; done", max_log_bytes=10_000))
        assert (done.how, done.limit) == (How.KILLED, Limit.OUTPUT)
        assert os.stat(folder / "state/runs/r1/a1.log").st_size < 10_200

    def test_what_the_child_leaves_behind_is_ended_and_counted(self, inline):
        marker = f"left-{os.getpid()}"
        left = "import os, time\nos.setsid()\nif os.fork(): os._exit(0)\nos.closerange(0, 999)\ntime.sleep(600)"
        code = f"{sys.executable} -c '{left}' ; (trap '' TERM; while :; do sleep 0.1; done) & exit 0"
        done = inline.wait("r1", child(code, marker=marker, grace=0))
        assert (done.how, done.ended >= 2, done.survivors) == (How.EXITED, True, 0)
        assert tree.carriers("GLUERUN_DISPATCH", marker) == []

    def test_what_ends_by_itself_in_a_moment_is_not_counted(self, inline):
        # On a machine that does not let it end, it is; not every time.
        assert 0 in (inline.wait("r1", child("sleep 0.03 & exit 0")).ended for _ in range(20))

    def test_the_lines_of_the_two_streams_are_never_mixed(self, inline, folder):
        code = """
import os
for number in range(200):
    for part in (b"begin-", b"middle-", b"end"):
        for stream in (1, 2):
            os.write(stream, part)
    os.write(1, b"1" + bytes(3000).replace(bytes(1), b".") + bytes([10]))
    os.write(2, b"2" + bytes([10]))
"""
        inline.wait("r1", child([sys.executable, "-I", "-S", "-c", code], dialect=Dialect.CLAUDE))
        lines = (folder / "state/runs/r1/a1.log").read_text().splitlines()
        assert sorted({line.rstrip(".") for line in lines}) == ["begin-middle-end1", "begin-middle-end2"]
        assert len(lines) == 400

    def test_lines_that_nobody_ended_stand_apart(self, inline, folder):
        inline.wait("r1", child("printf out; printf err >&2", dialect=Dialect.CLAUDE))
        assert (folder / "state/runs/r1/a1.log").read_text() == "out\nerr"

    def test_output_after_the_end_of_a_stream_s_reader_is_no_trouble(self, inline, folder):
        done = inline.wait("r1", child("exec >&-; echo still >&2; exec 2>&-; sleep 0.1; exit 6"))
        assert (done.exit_code, (folder / "state/runs/r1/a1.log").read_text()) == (6, "still\n")

    def test_a_line_without_end_is_cut_and_the_next_one_is_whole(self, inline, folder):
        code = "import os; [os.write(1, b'x' * 1048576) for _ in range(18)]; os.write(1, b'yz' + bytes([10]) + b'next')"
        inline.wait("r1", child([sys.executable, "-I", "-S", "-c", code]))
        first, remark, last = (folder / "state/runs/r1/a1.log").read_text().split("\n")
        assert (len(first), set(first), last) == (16_777_216, {"x"}, "next")
        assert "the line was cut" in remark

    @pytest.mark.parametrize("mask", [True, False])
    def test_a_secret_does_not_reach_the_log(self, inline, folder, mask):  # A23
        secret = "ghp_" + "a1B2" * 9
        inline.wait("r1", child(f"echo before {secret} after; printf {secret}", mask=mask))
        assert (secret in (folder / "state/runs/r1/a1.log").read_text()) is not mask

    def test_a_survivor_who_keeps_the_output_open_holds_nobody_up(self, folder):
        # The weakest tier misses who left the session, has no parent of the tree and cleared its environment.
        weak = InlineChildren(str(folder / "state"), tiers=["marker"])
        code = "(setsid env -i sh -c 'echo $$ > pid; exec sleep 6000' &); until [ -s pid ]; do sleep 0.02; done"
        done = weak.wait("r1", child(code, cwd=str(folder)))
        os.kill(int((folder / "pid").read_text()), signal.SIGKILL)
        assert (done.how, done.exit_code, done.tier) == (How.EXITED, 0, Tier.MARKER)

    def test_somebody_with_a_cleared_environment_in_the_child_s_session_is_ended(self, inline, folder):
        code = "env -i sh -c 'echo $$ > pid; exec sleep 600' & until [ -s pid ]; do sleep 0.02; done"
        inline.wait("r1", child(code, cwd=str(folder)))
        assert tree.look(int((folder / "pid").read_text())) is None

    def test_a_stop_ends_the_tree_and_is_told(self, folder):
        waiter = _waiter(folder, child("echo here; sleep 600"), [])
        until(lambda: (folder / "state/runs/r1/a1.log").exists() and (folder / "state/runs/r1/a1.log").stat().st_size)
        waiter.send_signal(signal.SIGTERM)
        assert waiter.wait(PATIENCE) == 0
        done = InlineChildren(str(folder / "state")).finished("r1", "a1")
        assert (done.how, done.exit_code) == (How.KILLED, -signal.SIGTERM)

    def test_a_continuation_that_is_not_there_is_our_bug(self, folder):
        waiter = _waiter(folder, child("true"), ["/no/such/program"])
        assert waiter.wait(PATIENCE) == 70
        assert InlineChildren(str(folder / "state")).finished("r1", "a1").exit_code == 0

    def test_the_program_that_goes_on_hears_signals_again(self, folder):
        code = "import signal, sys; sys.exit(bool(signal.pthread_sigmask(signal.SIG_BLOCK, ())))"
        waiter = _waiter(folder, child("true"), [sys.executable, "-c", code])
        assert waiter.wait(PATIENCE) == 0

    def test_impatient_stops_do_not_keep_the_run_from_telling_its_end(self, folder):
        code = "trap 'echo ending; until [ -e go ]; do sleep 0.02; done; exit 4' TERM; "
        code += "echo here; while :; do sleep 0.02; done"
        wanted = child(code, grace=2 * PATIENCE, cwd=str(folder))
        waiter = _waiter(folder, wanted, ["/bin/sh", "-c", "exit 42"])
        until(lambda: _has_spoken(folder))
        waiter.terminate()
        until(lambda: "ending" in (folder / "state/runs/r1/a1.log").read_text())
        waiter.terminate()
        (folder / "go").touch()
        assert waiter.wait(PATIENCE) == 42

    def test_a_killed_waiter_leaves_no_answer_not_even_an_old_one(self, folder):
        InlineChildren(str(folder / "state")).wait("r1", child("true"))
        waiter = _waiter(folder, child("echo here; sleep 600"), [])
        until(lambda: (folder / "state/runs/r1/a1.log").exists() and (folder / "state/runs/r1/a1.log").stat().st_size)
        waiter.kill()
        waiter.wait()
        assert InlineChildren(str(folder / "state")).finished("r1", "a1") is None
        assert stopping.end_carriers("GLUERUN_DISPATCH", child("").marker, grace=1) == []

    def test_a_waiter_that_fails_is_told(self, inline, folder):
        (folder / "blocked").write_text("")
        with pytest.raises(StateError, match="left no record"):
            inline.wait("r1", child("true", log=str(folder / "blocked/log")))

    def test_what_a_parent_ignored_changes_nothing(self, folder):
        def ignore():
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
                signal.signal(number, signal.SIG_IGN)

        waiter = _waiter(folder, child("grep SigIgn /proc/self/status; kill -TERM $$"), [], preexec_fn=ignore)
        assert waiter.wait(PATIENCE) == 0
        assert InlineChildren(str(folder / "state")).finished("r1", "a1").exit_code == -signal.SIGTERM
        assert (folder / "state/runs/r1/a1.log").read_text().split() == ["SigIgn:", "0" * 16]

    def test_a_stop_of_a_waiter_whose_parent_ignored_stops_is_heard(self, folder):
        def ignore():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)

        waiter = _waiter(folder, child("echo here; sleep 600"), [], preexec_fn=ignore)
        until(lambda: _has_spoken(folder))
        waiter.terminate()
        assert waiter.wait(PATIENCE) == 0
        assert InlineChildren(str(folder / "state")).finished("r1", "a1").how is How.KILLED

    def test_an_environment_that_is_no_utf8_is_passed_on(self, inline, folder):
        env = {"PATH": os.environ["PATH"], "ODD": os.fsdecode(b"\xff\xfe")}
        inline.wait("r1", child('printf %s "$ODD"', env=env))
        assert (folder / "state/runs/r1/a1.log").read_bytes() == b"\xff\xfe"

    def test_an_interrupted_wait_ends_the_tree_first(self, inline, folder):
        wanted = child("echo here; sleep 600")
        code = (
            "import json, sys\nfrom gluerun.adapters.children import InlineChildren\n"
            "from gluerun.records import codec\nfrom gluerun.records.child import Child\n"
            "InlineChildren(sys.argv[1]).wait('r1', codec.from_wire(Child, json.load(sys.stdin)))"
        )
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(folder / "state")],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=env,
        )
        process.stdin.write(codec.encode(wanted))
        process.stdin.close()
        until(lambda: _has_spoken(folder))
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == -signal.SIGINT
        assert tree.carriers("GLUERUN_DISPATCH", wanted.marker) == []
        assert inline.finished("r1", "a1").how is How.KILLED

    @pytest.mark.parametrize("text", ['{"a": [1, -2.5, "x\\u00e9\\n", null, true]}\n', "[]", '  ["a"]'])
    def test_the_small_reader_reads_json(self, text):
        assert waiting.parse(text.encode()) == json.loads(text)

    def test_the_process_that_goes_on_is_the_same_and_keeps_the_pulse(self, folder):
        assert _story(folder, child("exit 3")) == 0
        lives = [json.loads(line) for line in (folder / "lives").read_text().splitlines()]
        assert [life[3] for life in lives] == [None, 3]
        assert lives[0][:3] == lives[1][:3]

    def test_the_pulse_is_held_while_the_waiter_waits_and_by_the_child_too(self, folder):
        code = "flock -n state/runs/r1/pulse true && echo free || echo held\n"
        code += "ls -l /proc/self/fd | grep -c 'pulse$'"
        assert _story(folder, child(code, cwd=str(folder))) == 0
        assert (folder / "state/runs/r1/a1.log").read_text().split() == ["held", "1"]

    @pytest.mark.parametrize("busy", [False, True], ids=["quiet", "busy"])
    def test_a_waiting_process_is_small(self, folder, capsys, busy):
        wanted = child("echo here; sleep 600")
        if busy:
            # It masks a secret and counts for a limit and a day.
            line = json.dumps({"type": "assistant", "message": {"id": "m", "usage": {"output_tokens": 1}}})
            wanted = replace(
                wanted,
                argv=("sh", "-c", 'for i in 1 2 3 4 5 6 7 8 9; do echo "$0"; echo "$1"; done; sleep 600'),
                dialect=Dialect.CLAUDE,
                limits=Limits(tokens=1000),
                day=DayMeter(file="day", limits=Limits(tokens=1000)),
            )
            wanted = replace(wanted, argv=(*wanted.argv, "ghp_" + "a1B2" * 9, line))
        figures = []
        for _ in range(2):  # the first one may have to compile
            waiter = _waiter(folder, wanted, [])
            until(lambda: _has_spoken(folder))
            with open(f"/proc/{waiter.pid}/smaps_rollup") as rollup:
                lines = dict(line.split(":") for line in rollup.read().splitlines()[1:])
            figures = [int(lines[key].split()[0]) / 1024 for key in ("Pss", "Private_Dirty", "Rss")]
            waiter.terminate()
            waiter.wait(PATIENCE)
            (folder / "state/runs/r1/a1.log").unlink()
        with capsys.disabled():
            print("\nwaiter: PSS {:.1f} MiB, private {:.1f} MiB, RSS {:.1f} MiB".format(*figures))
        assert figures[0] <= LIMIT_MIB

    def test_a_waiting_process_imports_next_to_nothing(self):
        code = "import sys; sys.path.append(sys.argv[1]); import gluerun.adapters.waiting, gluerun.core.masking\n"
        code += "print(*sys.modules)"
        root = os.path.dirname(os.path.dirname(os.path.dirname(waiting.__file__)))
        loaded = subprocess.run(
            [sys.executable, "-I", "-S", "-c", code, root], capture_output=True, text=True, check=True
        )
        heavy = {"json", "signal", "enum", "re", "subprocess", "typing", "ctypes", "threading", "collections", "fcntl"}
        assert heavy & set(loaded.stdout.split()) == set()


def _told(inline, folder, word, *wanted):
    """Return how the first child ended that had said *word* before its limit struck."""
    for one in wanted:
        done = inline.wait("r1", one)
        if word in (folder / "state/runs/r1/a1.log").read_text():
            return done
    raise AssertionError(f"none of them came to say {word}")


def _has_spoken(folder):
    log = folder / "state/runs/r1/a1.log"
    return log.exists() and log.stat().st_size > 0


def _waiter(folder, wanted, then, **more):
    argv = InlineChildren(str(folder / "state"))._records.waiter("r1", wanted, then)
    return subprocess.Popen(argv, start_new_session=True, stderr=subprocess.DEVNULL, **more)


def _story(folder, wanted):
    (folder / "child.json").write_bytes(codec.encode(wanted))
    path = os.pathsep.join(path for path in sys.path if path)
    env = {**os.environ, "PYTHONPATH": path, "RUN_CODE": RUN, "GLUERUN_RUN": "r1"}
    return subprocess.run(
        [sys.executable, "-c", RUN, str(folder), "r1"], env=env, timeout=PATIENCE, check=False
    ).returncode

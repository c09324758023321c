"""The operator's desk as installed: documents that keep their schema, no byte touched, a live view in a terminal."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from tests.e2e.backlog import Backlog, writes
from tests.e2e.conftest import outside_environment
from tests.patience import PATIENCE, until

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas" / "cli"
NODE = {"id": "api", "stage": "s", "area": "src", "layer": "l", "kind": "k", "requiredCompletion": "done",
        "dependsOn": []}  # fmt: skip
# Every verb that only reads, the schema of its document, and the exit code that the story leads to.
READING = (
    (("status",), "status", 0),
    (("health",), "health", 1),
    (("queue",), "queue-page", 0),
    (("receipts",), "receipts", 0),
    (("flakes",), "flakes-page", 0),
    (("explain", "TASK-0001"), "explain", 0),
    (("explain", "TASK-0002"), "explain", 0),
    (("explain", "TASK-0003"), "explain", 0),
    (("logs", "TASK-0001"), "logs", 0),
    (("logs", "TASK-0003"), "logs", 0),
    (("gates",), "gates", 0),
    (("graph",), "graph", 0),
    (("report",), "report", 0),
    (("task", "show", "TASK-0001"), "task-page", 0),
    (("costs",), "costs", 0),
    (("whatif",), "whatif", 0),
)


# Types many commands in one process: what costs on a slow machine is starting them.
DRIVER = """
import contextlib, io, json, sys
from gluerun.cli.main import run
told = []
for words in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(words)
    told.append((code, out.getvalue(), err.getvalue()))
json.dump(told, sys.stdout)
"""


@pytest.fixture
def typed(wheel_python, backlog):
    """Type some commands; return the code of each, and what it said on both streams."""

    def run(*lines: tuple[str, ...]) -> list[tuple[int, str, str]]:
        done = subprocess.run([wheel_python, "-P", "-c", DRIVER], cwd=backlog.root, env=outside_environment(),
                              input=json.dumps(lines), capture_output=True, text=True, timeout=PATIENCE,
                              check=True)  # fmt: skip
        return [(code, out, err) for code, out, err in json.loads(done.stdout)]

    return run


@pytest.fixture
def settled(backlog: Backlog) -> Backlog:
    """One task landed, one parked, one that waits for it, and a node."""
    backlog.configure(requireAudit=False, maxRetries=0)
    backlog.task(1, writes(1))
    backlog.task(2, writes(2, "bad\n"))
    backlog.task(3, writes(3), needs="TASK-0002")
    graph = {"schema": "gluerun.orchestration.dag.v0", "nodes": [NODE]}
    (backlog.root / "docs/orchestration/dag.v0.json").write_text(json.dumps(graph))
    backlog.commit("a backlog")
    followed = start(backlog, "logs", "TASK-0001", "-f")
    assert backlog.run("auto").returncode == 0
    said, complaints = followed.communicate(timeout=PATIENCE)
    assert (followed.returncode, "Traceback" in complaints) == (0, False), said + complaints
    assert complaints.rstrip().endswith("TASK-0001 is integrated")
    assert "worker of try 1" in complaints
    return backlog


def start(backlog: Backlog, *words: str) -> subprocess.Popen[str]:
    argv = [os.environ["GLUERUN_E2E_PYTHON"], "-P", "-m", "gluerun", *words]
    return subprocess.Popen(argv, cwd=backlog.root, env=outside_environment(), stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)  # fmt: skip


def every_byte(root: Path) -> dict[str, tuple[int, str]]:
    """Return time and content of everything in a repository, git's own folder and the state included."""
    found = {}
    for path in [root, *root.rglob("*")]:
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path)] = (path.lstat().st_mtime_ns, content)
    return found


def test_reading_verbs_keep_their_schemas_and_touch_no_byte(settled, typed):
    # FR-025; and a cycle that holds the lock keeps nobody from looking.
    before = every_byte(settled.root)
    plain = (("health",), ("explain", "TASK-0003"), ("report",), ("graph", "--svg", "-"), ("report", "--html", "-"),
             ("whatif", "--slots", "1", "--slots", "3", "--gate-seconds", "60"))  # fmt: skip

    with (settled.root / ".gluerun-state/locks/origin.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        answers = typed(*((*words, "--json") for words, _, _ in READING), *plain)

    assert every_byte(settled.root) == before
    for (words, schema, code), (found, out, err) in zip(READING, answers, strict=False):
        described = json.loads((SCHEMAS / f"{schema}.v0.schema.json").read_text())
        assert (words, found, err) == (words, code, "")
        assert list(Draft7Validator(described).iter_errors(json.loads(out))) == [], words
    health, explanation, report, svg, page, whatif = (out for _, out, _ in answers[len(READING) :])
    assert [line.split("  ")[0] for line in whatif.splitlines()[4:]] == ["as it was", "1", "2, as now", "3"]
    assert "a gate takes 60 s (given)" in whatif
    # FR-019
    assert "TASK-0002 is parked: gate-red" in health
    assert "gluerun explain TASK-0002" in explanation
    assert "1 integrated, 1 parked" in report
    assert (svg.startswith("<svg"), page.startswith("<!doctype html>")) == (True, True)


WRONG = (
    (("explain", "TASK-0009"), "nobody knows TASK-0009"),
    (("logs", "nonsense"), "'nonsense' is no task id"),
    (("logs", "TASK-0001", "--role", "workr"), "there is no role 'workr'"),
    (("logs", "TASK-0001", "-f", "--json"), "--follow is about what is still to come"),
    (("report", "--since", "soon"), "'soon' is no moment"),
    (("report", "--html", "nowhere/x.html"), "no file can be written there"),
    (("graph",), "there is no docs/orchestration/dag.v0.json"),
    (("graph", "--mermaid", "--json"), "one form at a time"),
    (("watch",), "`gluerun watch` needs a terminal"),
)


def test_bad_input_is_one_sentence(typed):
    for (words, message), (code, out, err) in zip(WRONG, typed(*(words for words, _ in WRONG)), strict=True):
        said = json.loads(out)["error"]["message"] if "--json" in words else err.splitlines()[0]
        assert (words, code, message in said) == (words, 2, True), said
        assert ("--json" in words) == bool(out)


def test_following_ends_with_the_terminal_key_and_no_trace(backlog):
    backlog.task(1, writes(1))
    with start(backlog, "logs", "TASK-0001", "--follow") as followed:
        # Once it waits for more it has begun: before that, an interrupt may come too early to be told nicely.
        until(lambda: _sleeps(followed.pid), "it waits")
        followed.send_signal(signal.SIGINT)
        said, complaints = followed.communicate(timeout=PATIENCE)

    assert (followed.returncode, said, "Traceback" in complaints) == (130, "", False)


def _sleeps(pid: int) -> bool:
    """Tell whether a process waits in the poll of a watch."""
    return "poll" in Path(f"/proc/{pid}/wchan").read_text()


def _controlled() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A real terminal, with a program that believes in it."""

    def __init__(self, argv: list[str], cwd: Path, rows: int, columns: int) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.said = ""
        env = outside_environment() | {"TERM": "xterm-256color", "LINES": "24", "COLUMNS": "80"}
        # Only a terminal that controls its session turns Ctrl-C into an interrupt and a new size into a signal.
        self.process = subprocess.Popen(argv, cwd=cwd, env=env, stdin=self.slave, stdout=self.slave,
                                        stderr=self.slave, start_new_session=True,
                                        preexec_fn=_controlled)  # noqa: PLW1509  # fmt: skip

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, words: str) -> str:
        """Read until *words* were shown; return what was shown on the way."""
        begun, deadline = len(self.said), time.monotonic() + PATIENCE
        while words not in self.said[begun:]:
            assert time.monotonic() < deadline, f"{words!r} was never shown: {self.said[-500:]!r}"
            if select.select([self.master], [], [], 0.2)[0]:
                self.said += os.read(self.master, 65_536).decode("utf-8", "replace")
        return self.said[begun:]

    def end(self, keys: bytes) -> int:
        os.write(self.master, keys)
        self.until("\x1b[?1049l")
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.mark.parametrize("keys", [b"q", b"\x03"])
def test_the_live_view_redraws_on_change_and_leaves_the_terminal_as_it_was(backlog, wheel_python, keys):
    backlog.task(1, writes(1))
    terminal = Terminal([wheel_python, "-P", "-m", "gluerun", "watch"], backlog.root, 24, 80)
    try:
        terminal.until("q ends")
        assert "TASK-0001" in terminal.said
        (backlog.root / ".gluerun-state").mkdir(exist_ok=True)
        (backlog.root / ".gluerun-state/STOP").touch()
        terminal.until("STOP is set")
        terminal.resize(12, 44)
        # A picture that was begun before it knew of the new size is followed by one that fits.
        pictures = (_plain(terminal.until("q ends")) for _ in range(10))
        assert any(max(map(len, picture.splitlines())) <= 44 for picture in pictures)
        code = terminal.end(keys)
        assert code == (0 if keys == b"q" else 130)
        assert termios.tcgetattr(terminal.slave) == terminal.before
        assert "Traceback" not in terminal.said
    finally:
        terminal.close()


def _plain(text: str) -> str:
    import re

    # A picture begins with the cursor going home: what is left of the one before stands on a line of its own.
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.replace("\x1b[H", "\n")).replace("\r", "")

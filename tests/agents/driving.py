"""One real program, driven once through our own doors, in a place of its own, against the fake model.

How a program is called and how its output is read is `by_hand`'s; here is what is the same for all of them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn

import psutil
import pytest
from tests.agents import by_hand
from tests.agents.by_hand import Ask, Reading
from tests.agents.model.server import FakeModel, Request

from gluerun.adapters.children import InlineChildren
from gluerun.adapters.waiting import MARKER
from gluerun.records.child import Child, ChildDone

SESSION = "GLUERUN_TEST_SESSION"
PATIENCE = 60  # seconds; an idle machine needs one or two


class Outcome(NamedTuple):
    """What one run of a program came to."""

    done: ChildDone
    reading: Reading
    log: str
    requests: list[Request]
    survivors: list[str]

    @property
    def told(self) -> str:
        """Return what the model was told last, the output of its tools among it.

        Codex's own lines may leave out a command that its sandbox refused; here it always stands.
        """
        return json.dumps(self.requests[-1].body)

    @property
    def faults(self) -> list[str]:
        """Return how the model treated each request that announces tools: the others are titles and warm-ups."""
        return [request.fault for request in self.requests if request.asked.tools]


def program(name: str) -> str:
    """Return the path of an installed program, or skip the test or the module that asks for it."""
    folders = os.environ.get("GLUERUN_AGENT_PROGRAMS")
    if not folders:
        skip("GLUERUN_AGENT_PROGRAMS is not set: run `python3 install.py test --ring agents`")
    path = shutil.which(name, path=folders)
    if not path:
        skip(f"{name} is not installed: run `python3 install.py test --ring agents --all-agents`")
    return path


def skip(reason: str) -> NoReturn:
    """Skip a test, or a whole module while it is being imported."""
    pytest.skip(reason, allow_module_level=True)


def git(folder: Path, *words: str) -> str:
    """Run git and return what it says."""
    done = subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def carriers(marker: str) -> list[psutil.Process]:
    """Return the living processes that carry a dispatch's marker, found without the engine's help."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARKER) == marker and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.05)


class Stage:
    """The place of one agent: a home, a repository with a linked work tree, and a state folder."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.program = program(name)
        self.root = root
        # The temporary folder lies beside the home: codex refuses to work with a home below it.
        self.home, self.repo, self.tree, self.temp = (root / part for part in ("home", "repo", "tree", "temp"))
        for folder in (self.home, self.temp, self.repo):
            folder.mkdir()
        git(self.repo, "init", "--quiet", "--initial-branch=main")
        (self.repo / "README.md").write_text("A scratch repository.\n")
        git(self.repo, "add", "--all")
        git(self.repo, "commit", "--quiet", "--message=start")
        git(self.repo, "worktree", "add", "--quiet", "-b", "agent/one", str(self.tree))
        self.count = 0

    def run(self, model: FakeModel, ask: Ask, *, cwd: Path | None = None, idle: int = 0, **env: str) -> Outcome:
        """Run the program to its end."""
        self.count += 1
        return Started(self, model, ask, f"r{self.count}", cwd or self.tree, idle, env).outcome()

    @contextmanager
    def running(self, model: FakeModel, ask: Ask, *, cwd: Path | None = None) -> Iterator[Started]:
        """Run the program while the test does something to it."""
        self.count += 1
        started = Started(self, model, ask, f"r{self.count}", cwd or self.tree, 0, {})
        try:
            yield started
        finally:
            for process in carriers(started.marker) if started.thread.is_alive() else ():
                process.kill()
            started.thread.join(PATIENCE)


class Started:
    """A program that runs, in a thread that waits for it as a run does."""

    def __init__(
        self, stage: Stage, model: FakeModel, ask: Ask, run_id: str, cwd: Path, idle: int, env: dict[str, str]
    ) -> None:
        self.stage, self.model, self.run_id = stage, model, run_id
        self.marker = f"{run_id}.{uuid.uuid4().hex}"
        self.before = len(model.requests)
        self.folder = stage.root / "state/runs" / run_id
        self.folder.mkdir(parents=True)
        (self.folder / "prompt").write_text(ask.prompt)
        call = by_hand.call_of(stage.name, ask, url=model.url, home=stage.home, folder=self.folder)
        for path, text in call.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.child = Child(
            name="agent",
            argv=(stage.program, *call.argv),
            cwd=str(cwd),
            env={**self._environment(), **call.env, **env},
            stdin=f"runs/{run_id}/prompt",
            log=f"runs/{run_id}/log",
            marker=self.marker,
            timeout=PATIENCE,
            idle=idle,
            grace=5,
            stop=call.stop,
        )
        self.done: ChildDone | None = None
        self.thread = threading.Thread(target=self._wait, daemon=True)
        self.thread.start()

    def _environment(self) -> dict[str, str]:
        """Return what every program gets; it sees nothing of this process's own variables."""
        kept = ("PATH", SESSION, "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM")
        identity = {name: value for name, value in os.environ.items() if name.startswith(("GIT_AUTHOR", "GIT_COMM"))}
        folders = {"HOME": str(self.stage.home), "TMPDIR": str(self.stage.temp)}
        plain = {"CI": "1", "NO_COLOR": "1", "TERM": "dumb", "LANG": "C.UTF-8"}
        return {name: os.environ[name] for name in kept} | identity | folders | plain

    def _wait(self) -> None:
        self.done = InlineChildren(str(self.stage.root / "state")).wait(self.run_id, self.child)

    def signal(self, number: int) -> None:
        """Send a signal to the program itself, and to nobody else."""
        leader = min(carriers(self.marker), key=lambda process: process.create_time())
        leader.send_signal(number)

    def outcome(self) -> Outcome:
        """Wait for the end and return what it came to."""
        self.thread.join(PATIENCE + 30)
        assert self.done is not None, f"{self.stage.name} did not end"
        log = (self.folder / "log").read_text()
        reading = by_hand.read(self.stage.name, self.done, log, self.folder)
        left = [" ".join(process.cmdline()) for process in carriers(self.marker)]
        return Outcome(self.done, reading, log, self.model.requests[self.before :], left)

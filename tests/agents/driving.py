"""One real program, driven once as a run drives it, in a place of its own, against the fake model.

It is called by `core.calling` after its shipped declaration, waited for by the real waiter within the real sandbox,
and read by `core.reading`; only the step of a run around all that is left out.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import psutil
import pytest
from tests.agents.model.server import FakeModel, Request
from tests.agents.pointed import lay_out, spec_of
from tests.patience import PATIENCE

from gluerun.adapters.children import InlineChildren
from gluerun.adapters.waiting import MARKER
from gluerun.core import answers, sandbox
from gluerun.core.calling import Ask, Call, call_of
from gluerun.core.environment import of_agent
from gluerun.core.reading import Reading, read, session_in
from gluerun.records.child import Child, ChildDone, scratch_of
from gluerun.records.config import Config
from gluerun.records.dispatch import Role
from gluerun.records.runner import Limits
from gluerun.records.sandbox import Sandbox, SandboxMode

SESSION = "GLUERUN_TEST_SESSION"
GRACE = 30  # seconds; a program that is asked to end does so in one

PROMPT = "Create hello.txt with a greeting, then say done."
FREE = Sandbox(mode=SandboxMode.OFF)  # nobody holds the program but itself
# What a person lets through for git and what the tests look for; everything else is the engine's to pass.
LET_THROUGH = (SESSION, "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL",
               "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")  # fmt: skip


class Question(NamedTuple):
    """What a program is asked, and under which rules."""

    prompt: str = PROMPT
    resume: str = ""
    schema: dict[str, Any] | None = None
    role: Role = Role.WORKER
    sandbox: Sandbox = Sandbox()
    limits: Limits = Limits()
    idle: int = 0
    entry: dict[str, object] = {}  # noqa: RUF012 more of the runner's entry in the configuration


READER = Question(role=Role.AUDITOR)


class Outcome(NamedTuple):
    """What one run of a program came to."""

    done: ChildDone
    reading: Reading
    answer: object
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


class Stage:
    """The place of one agent: a home, a repository with a linked work tree, and a state folder."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.program = program(name)
        self.root = root
        self.home, self.repo, self.tree = (root / part for part in ("home", "repo", "tree"))
        for folder in (self.home, self.repo):
            folder.mkdir()
        lay_out(name, self.home)
        git(self.repo, "init", "--quiet", "--initial-branch=main")
        (self.repo / "README.md").write_text("A scratch repository.\n")
        git(self.repo, "add", "--all")
        git(self.repo, "commit", "--quiet", "--message=start")
        git(self.repo, "worktree", "add", "--quiet", "-b", "agent/one", str(self.tree))
        self.count = 0

    def run(self, model: FakeModel, asked: Question = Question(), *, cwd: Path | None = None) -> Outcome:  # noqa: B008
        """Run the program to its end."""
        self.count += 1
        return Started(self, model, asked, f"r{self.count}", cwd or self.tree).outcome()

    @contextmanager
    def running(self, model: FakeModel, asked: Question = Question()) -> Iterator[Started]:  # noqa: B008
        """Run the program while the test does something to it."""
        self.count += 1
        started = Started(self, model, asked, f"r{self.count}", self.tree)
        try:
            yield started
        finally:
            for process in carriers(started.marker) if started.thread.is_alive() else ():
                process.kill()
            started.thread.join(PATIENCE)


class Started:
    """A program that runs, in a thread that waits for it as a run does."""

    def __init__(self, stage: Stage, model: FakeModel, asked: Question, run_id: str, cwd: Path) -> None:
        self.stage, self.model, self.run_id, self.asked, self.cwd = stage, model, run_id, asked, cwd
        self.marker = f"{run_id}.{uuid.uuid4().hex}"
        self.before = len(model.requests)
        self.folder = stage.root / "state/runs" / run_id
        (self.folder / "outputs").mkdir(parents=True)
        (self.folder / "prompt").write_text(asked.prompt)
        self.spec = spec_of(stage.name, model, **asked.entry)
        self.config = Config(
            target_branch="main", gate_command="true", env_allowlist=LET_THROUGH, sandbox=asked.sandbox
        )
        self.child = self._child(call_of(self.spec, self._ask(confined=False)))
        self.done: ChildDone | None = None
        self.thread = threading.Thread(target=self._wait, daemon=True)
        self.thread.start()

    @property
    def scratch(self) -> str:
        """Return the program's temporary folder."""
        return str(self.stage.root / "state" / scratch_of(self.run_id, "agent"))

    @property
    def own_home(self) -> str:
        """Return the folder of what a program has instead of the user's home; the tries of a run share it."""
        return str(self.stage.root / "state/home")

    def _ask(self, *, confined: bool) -> Ask:
        asked = self.asked
        return Ask(
            role=asked.role,
            writes=asked.role is Role.WORKER,
            prompt=asked.prompt,
            prompt_file=str(self.folder / "prompt"),
            worktree=str(self.cwd),
            home=self.own_home,
            tmp=self.scratch,
            output=str(self.folder / "outputs/answer.json"),
            last_message=str(self.folder / "outputs/last"),
            schema=asked.schema if self.spec.options.get("schema") else None,
            schema_file=str(self.folder / "schema.json"),
            session=str(uuid.uuid4()),
            resume=asked.resume,
            max_turns=asked.limits.turns,
            max_usd=asked.limits.usd,
            max_tokens=asked.limits.tokens,
            confined=confined,
        )

    def _child(self, call: Call) -> Child:
        assert not call.trouble
        for path, text in call.files.items():
            Path(path).write_text(text)
        own = {"TMPDIR": self.scratch}
        places = sandbox.Places(
            worktree=str(self.cwd),
            git_dir=str(self.stage.repo / ".git"),
            worktree_git_dir=str(self.stage.repo / ".git/worktrees" / self.cwd.name),
            run_folder=str(self.folder / "outputs"),
            tmp=self.scratch,
            home=str(self.stage.home),
            own_home=self.own_home,
            branch="agent/one",
        )
        return Child(
            name="agent",
            argv=call.argv,
            cwd=str(self.cwd),
            env=of_agent(self._environment(), call.env | own, self.config, self.spec),
            stdin=f"runs/{self.run_id}/prompt" if call.stdin else "",
            log=f"runs/{self.run_id}/log",
            marker=self.marker,
            timeout=PATIENCE,
            idle=self.asked.idle,
            grace=GRACE,
            stop=self.spec.stop,
            dialect=self.spec.dialect,
            limits=self.asked.limits,
            confine=sandbox.confinement(
                self.asked.role, self.config, sandbox.with_state(self.spec, self._environment()), places
            ),
            confined_argv=call_of(self.spec, self._ask(confined=True)).argv,
            folders=call.folders,
            seeds=call.seeds,
            scratch=True,
        )

    def _environment(self) -> dict[str, str]:
        """Return what the engine has itself: a home and a PATH on which the program is found."""
        folder = str(Path(self.stage.program).parent)
        return os.environ | {"HOME": str(self.stage.home), "PATH": f"{folder}:{os.environ['PATH']}"}

    def _wait(self) -> None:
        self.done = InlineChildren(str(self.stage.root / "state")).wait(self.run_id, self.child)

    def signal(self, number: int) -> None:
        """Send a signal to the program itself, and to nobody else: the first that is not the sandbox around it."""
        inside = [process for process in carriers(self.marker) if process.name() not in ("bwrap", "env")]
        min(inside, key=lambda process: process.create_time()).send_signal(number)

    def outcome(self) -> Outcome:
        """Wait for the end and return what it came to."""
        self.thread.join(PATIENCE + 2 * GRACE)
        assert self.done is not None, f"{self.stage.name} did not end"
        log = (self.folder / "log").read_bytes()
        last = self.folder / "outputs/last"
        reading = read(
            self.spec,
            self.done,
            log,
            datetime.now(UTC),
            text_file=last.read_text() if last.exists() else "",
            prices={},
            role=self.asked.role,
            resumed=bool(self.asked.resume),
            rollout=self._rollout(log),
        )
        answer, _ = answers.last_answer(reading.text, self.asked.role)
        left = [" ".join(process.cmdline()) for process in carriers(self.marker)]
        requests = self.model.requests[self.before :]
        return Outcome(self.done, reading, reading.structured or answer, log.decode(), requests, left)

    def _rollout(self, log: bytes) -> list[bytes]:
        """Return what codex wrote down about the session, as a run looks it up."""
        session = session_in(log, self.spec.dialect)
        files = self.stage.home.glob(f".codex/sessions/*/*/*/*-{session}.jsonl") if session else ()
        return [line for file in files for line in file.read_bytes().splitlines()]

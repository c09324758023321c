"""One small question to a real agent program, asked the way a run asks it: does it do its work on this machine?"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from gluerun.adapters.children import InlineChildren
from gluerun.core.steps import Place, RunAgent
from gluerun.edge.agents import found_at, is_too_old, remember, version_of
from gluerun.errors import ToolMissingError, UsageError
from gluerun.loop.agents import Agent
from gluerun.loop.house import House
from gluerun.records.config import Config
from gluerun.records.dispatch import Dispatch, Role
from gluerun.records.record import record, replace
from gluerun.records.runner import RunnerKind
from gluerun.records.task import TaskSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gluerun.core.steps import AgentDone
    from gluerun.records.runner import RunnerSpec

    Probe = Callable[[Sequence[str]], tuple[int, str]]
    OpenHouse = Callable[[str, Config], House]

FILE = "hello.txt"
PROMPT = f"""\
Create a file named {FILE} in the current folder. It holds one line: gluerun was here.
Change nothing else and do not run git. Then say done.
"""
SECONDS = 300
_NAME = "001-worker"
_TASK = "TASK-0001"
_NO_CONFIG = Config(target_branch="", gate_command="")


@record
class Probed:
    """What came of the question. `folder` keeps everything where it went wrong; it is empty otherwise."""

    runner: str
    path: str
    version: str
    is_good: bool
    verdict: str
    seconds: float = 0.0
    model: str = ""
    turns: int | None = None
    fresh_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    estimated: bool = False
    confined: str = ""
    fault: str = ""
    folder: str = ""


def try_out(
    spec: RunnerSpec,
    environ: Mapping[str, str],
    probe: Probe,
    open_house: OpenHouse,
    *,
    config: Config | None = None,
    root: str = "",
    home: Path | None = None,
) -> Probed:
    """Let *spec* create a file in a repository of its own, look for it there, and remember a success.

    It is started and read by the very code that a run uses, in a linked work tree, confined as a worker would be.
    """
    if spec.kind is not RunnerKind.COMMAND:
        raise UsageError(f"{spec.name} is a {spec.kind} runner: there is no program to try", "name another runner")
    path = found_at(spec, environ, root)
    if not path:
        raise ToolMissingError(f"{spec.argv[0]} is not there or not executable", f"install it to use {spec.name}")
    version = version_of(spec, path, probe)
    if is_too_old(spec, version):
        words = f"version {version} is older than {spec.min_version}: bring it up to date"
        return Probed(runner=spec.name, path=path, version=version, is_good=False, verdict=words, fault="too-old")
    folder = Path(tempfile.mkdtemp(prefix="gluerun-probe-")).resolve()
    repository = folder / "repository"
    _build(repository)
    house = _house(open_house, repository, config or _NO_CONFIG, replace(spec, argv=_from(root, spec.argv)), environ)
    run_id = house.new_run()
    done, changed = _asked(house, run_id)
    child = house.doors.children.finished(run_id, _NAME)
    trouble = done.trouble.removeprefix(f"the {Role.WORKER} ")
    is_good = not trouble and changed == (FILE,)
    if is_good:
        shutil.rmtree(folder, ignore_errors=True)
        remember(spec.name, version, home)
    usage = done.usage
    return Probed(
        runner=spec.name,
        path=path,
        version=version,
        is_good=is_good,
        verdict=_verdict(trouble, changed),
        seconds=child.duration_ms / 1000 if child else 0.0,
        model=done.seat.model if done.seat else "unknown",
        turns=usage.turns,
        fresh_tokens=usage.fresh_tokens,
        cached_tokens=usage.cached_tokens,
        output_tokens=usage.output_tokens,
        cost_usd=usage.cost_usd,
        estimated=usage.estimated,
        confined=child.confined if child else "",
        fault=done.fault.value if done.fault else "",
        folder="" if is_good else str(folder),
    )


def _from(root: str, words: Sequence[str]) -> tuple[str, ...]:
    """Return a command line whose programs are found from where the configuration lies."""
    return tuple(str(Path(root, word)) if word.startswith(("./", "../")) else word for word in words)


def _house(
    open_house: OpenHouse, repository: Path, config: Config, spec: RunnerSpec, environ: Mapping[str, str]
) -> House:
    asked = replace(
        config,
        target_branch="main",
        gate_command="",
        runners={spec.name: replace(spec, timeout_seconds=SECONDS)},
        roles={Role.WORKER.value: spec.name},
    )
    house = open_house(str(repository), asked)
    children = InlineChildren(house.doors.state_root)
    return House(replace(house.doors, environ=dict(environ), children=children), asked)


def _asked(house: House, run_id: str) -> tuple[AgentDone, tuple[str, ...]]:
    """Put the question the way a run does; return how the program ended, and what git sees of its work."""
    git, place = house.doors.git, house.place(_TASK)
    base = git.head("main") or ""
    spec = TaskSpec(
        task_id=_TASK,
        title="Try a program",
        area="root",
        target_branch="main",
        worker_branch=f"agent/root/{_TASK}-try",
        objective=PROMPT,
        owned_files=(FILE,),
    )
    now = house.now()
    dispatch = Dispatch(
        run_id=run_id,
        role=Role.WORKER,
        batch_id="",
        target_branch="main",
        base_sha=base,
        started_at=now,
        expires_at=now,
        config_sha256="",
        task_id=_TASK,
        spec=spec,
    )
    git.add_worktree(place, base, branch=spec.worker_branch)
    step = RunAgent(
        role=Role.WORKER, attempt=1, place=Place.WORK, dispatch_id=f"{run_id}.1", nonce="0" * 32, prompt=PROMPT
    )
    done = Agent(house, dispatch, step, 1, place).run()
    return done, tuple(change.path for change in git.dirt(place))


def _verdict(trouble: str, changed: Sequence[str]) -> str:
    if trouble:
        return trouble
    if FILE not in changed:
        return f"it said that it was done, and {FILE} is not there"
    others = ", ".join(path for path in changed if path != FILE)
    return f"it changed more than it was asked to: {others}" if others else f"it created {FILE}, as asked"


def _build(repository: Path) -> None:
    repository.mkdir(parents=True)
    (repository / "README.md").write_text("# A place to try an agent program\n", encoding="utf-8")
    _git(repository, "init", "--quiet", "--initial-branch=main")
    _git(repository, "add", "--all")
    _git(repository, "commit", "--quiet", "--message", "A place to try an agent program")


def _git(folder: Path, *words: str) -> str:
    settings = ("user.name=gluerun", "user.email=gluerun@localhost", "commit.gpgSign=false", "core.hooksPath=/dev/null")
    options = [word for setting in settings for word in ("-c", setting)]
    done = subprocess.run(["git", *options, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout

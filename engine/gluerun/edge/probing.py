"""One small question to a real agent program, asked the way a run asks it: does it do its work on this machine?"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gluerun.adapters.children import InlineChildren
from gluerun.core import sandbox
from gluerun.core.calling import Ask, call_of, session_of
from gluerun.core.environment import of_agent
from gluerun.core.reading import read, session_in
from gluerun.edge.agents import found_at, is_too_old, remember, version_of
from gluerun.errors import ToolMissingError, UsageError
from gluerun.records.child import Child
from gluerun.records.config import Config
from gluerun.records.dispatch import Role
from gluerun.records.record import record, replace
from gluerun.records.runner import Dialect, RunnerKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gluerun.core.calling import Call
    from gluerun.records.child import ChildDone
    from gluerun.records.runner import RunnerSpec
    from gluerun.records.sandbox import Confinement

    Probe = Callable[[Sequence[str]], tuple[int, str]]

FILE = "hello.txt"
PROMPT = f"""\
Create a file named {FILE} in the current folder. It holds one line: gluerun was here.
Change nothing else and do not run git. Then say done.
"""
SECONDS = 300
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
    fault: str = ""
    folder: str = ""


def try_out(
    spec: RunnerSpec,
    environ: Mapping[str, str],
    probe: Probe,
    *,
    config: Config | None = None,
    root: str = "",
    home: Path | None = None,
) -> Probed:
    """Let *spec* create a file in a repository of its own, look for it there, and remember a success."""
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
    config = config or _NO_CONFIG
    ask = _question(folder)
    done, log = _asked(spec, ask, environ, config, root, home or Path.home())
    said = _bytes(Path(ask.last_message)).decode("utf-8", "replace")
    found = read(
        spec,
        done,
        log,
        datetime.now(UTC),
        text_file=said,
        prices=config.prices,
        role=Role.WORKER,
        rollout=_rollout(spec, log, environ),
    )
    changed = _changed(Path(ask.worktree))
    is_good = found.fault is None and changed == (FILE,)
    if is_good:
        shutil.rmtree(folder, ignore_errors=True)
        remember(spec.name, version, home)
    usage = found.usage
    return Probed(
        runner=spec.name,
        path=path,
        version=version,
        is_good=is_good,
        verdict=_verdict(found.trouble, changed),
        seconds=done.duration_ms / 1000,
        model=found.seat.model,
        turns=usage.turns,
        fresh_tokens=usage.fresh_tokens,
        cached_tokens=usage.cached_tokens,
        output_tokens=usage.output_tokens,
        cost_usd=usage.cost_usd,
        estimated=usage.estimated,
        fault=found.fault.value if found.fault else "",
        folder="" if is_good else str(folder),
    )


def _question(folder: Path) -> Ask:
    """Build a repository to try a program in, and return the question to it."""
    repository, state = folder / "repository", folder / "state"
    _build(repository)
    return Ask(
        role=Role.WORKER,
        writes=True,
        prompt=PROMPT,
        prompt_file=str(state / "prompt.md"),
        worktree=str(repository),
        home=str(state / "home"),
        tmp=str(state / "tmp"),
        output=str(state / "answer.json"),
        last_message=str(state / "last-message.txt"),
        schema_file=str(state / "schema.json"),
        session=session_of(str(folder)),
    )


def _run_of(ask: Ask) -> str:
    """Return the id of this question: whoever ends a run ends all that carry its id, and two may be asked at once."""
    return f"RUN-probe-{ask.session}"


def _environment(ask: Ask, environ: Mapping[str, str], config: Config, spec: RunnerSpec) -> dict[str, str]:
    own = {
        "GLUERUN_ROLE": ask.role.value,
        "GLUERUN_RUN": _run_of(ask),
        "GLUERUN_DISPATCH": f"{_run_of(ask)}.1",
        "GLUERUN_ATTEMPT": "1",
        "GLUERUN_WORKTREE": ask.worktree,
        "GLUERUN_OUTPUT": ask.output,
    }
    return of_agent(environ, own, config, spec)


def _asked(
    spec: RunnerSpec, ask: Ask, environ: Mapping[str, str], config: Config, root: str, home: Path
) -> tuple[ChildDone, bytes]:
    """Put the question the way a run does, also as to what holds it; return how it ended and what it printed."""
    env = _environment(ask, environ, config, spec)
    call = call_of(spec, ask)
    lay_out(call, home)
    Path(ask.prompt_file).write_text(ask.prompt, encoding="utf-8")
    state = Path(ask.prompt_file).parent
    child = Child(
        name="probe",
        argv=tuple(str(Path(root, word)) if word.startswith(("./", "../")) else word for word in call.argv),
        cwd=ask.worktree,
        env=env | call.env,
        stdin=ask.prompt_file if call.stdin else "",
        log="probe.log",
        marker=f"{_run_of(ask)}.1",
        timeout=SECONDS,
        stop=spec.stop,
        dialect=spec.dialect,
        confine=_confinement(spec, ask, environ, config),
        confined_argv=call_of(spec, replace(ask, confined=True)).argv,
    )
    done = InlineChildren(str(state)).wait(_run_of(ask), child)
    return done, _bytes(state / child.log)


def _confinement(spec: RunnerSpec, ask: Ask, environ: Mapping[str, str], config: Config) -> Confinement | None:
    places = sandbox.Places(
        worktree=ask.worktree,
        worktree_git_dir=f"{ask.worktree}/.git",
        run_folder=str(Path(ask.output).parent),
        tmp=ask.tmp,
        home=environ.get("HOME", ""),
        own_home=ask.home,
    )
    return sandbox.confinement(Role.WORKER, config, sandbox.with_state(spec, environ), places)


def _rollout(spec: RunnerSpec, log: bytes, environ: Mapping[str, str]) -> list[bytes]:
    """Return what codex wrote down about the session: it names its model only there."""
    session = session_in(log, spec.dialect) if spec.dialect is Dialect.CODEX else ""
    home = spec.env.get("CODEX_HOME") or environ.get("CODEX_HOME") or f"{environ.get('HOME', '')}/.codex"
    files = Path(home).glob(f"sessions/*/*/*/*-{session}.jsonl") if session else ()
    return [line for file in files for line in file.read_bytes().splitlines()]


def lay_out(call: Call, home: Path) -> None:
    """Make the folders and files that a call needs; what it is seeded with and is not there is left out."""
    for folder in call.folders:
        Path(folder).mkdir(parents=True, exist_ok=True)
    for path, text in call.files.items():
        Path(path).write_text(text, encoding="utf-8")
    for target, source in call.seeds.items():
        origin = home / source[2:] if source.startswith("~/") else Path(source)
        if origin.is_file():
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(origin, target)
            Path(target).chmod(0o600)


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


def _changed(repository: Path) -> tuple[str, ...]:
    """Return what git sees, whatever the program says."""
    said = _git(repository, "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames")
    return tuple(line[3:] for line in said.split("\0") if line)


def _git(folder: Path, *words: str) -> str:
    settings = ("user.name=gluerun", "user.email=gluerun@localhost", "commit.gpgSign=false", "core.hooksPath=/dev/null")
    options = [word for setting in settings for word in ("-c", setting)]
    done = subprocess.run(["git", *options, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""

"""Which agent programs there are: those the engine declares, those a repository describes, and what each is fit for."""

from __future__ import annotations

import json
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from gluerun.errors import UsageError
from gluerun.records import codec
from gluerun.records.record import record
from gluerun.records.runner import Dialect, RunnerKind
from gluerun.settings_runners import declaration, declared_names, is_declared
from gluerun.settings_walk import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from gluerun.records.config import Config
    from gluerun.records.runner import RunnerSpec

    Probe = Callable[[Sequence[str]], tuple[int, str]]

# Declarations whose every word was tried with the real program against a scripted model; the others are
# written from the programs' own pages.
PROVED = frozenset({"claude", "codex", "gemini", "opencode"})
_TELLS_COST = (Dialect.CLAUDE, Dialect.OPENCODE)
# It speaks the dialect of another, but without the money.
_TELLS_NO_COST = frozenset({"qwen"})
_VERSION = re.compile(r"\d+(?:\.\d+)+")
STORE = ".gluerun/proved.json"


class State(StrEnum):
    """How far a runner can be relied upon on this machine."""

    PROVED_HERE = "proved here"
    PROVED = "proved"
    CONFIGURED = "configured"
    UNPROVED = "unproved"
    TOO_OLD = "too old"
    MISSING = "missing"


@record
class Agent:
    """One runner: where its program is, how far it is proved, and what it is fit for."""

    name: str
    declaration: str
    roles: tuple[str, ...]
    program: str
    path: str
    version: str
    state: State
    reads_only: bool
    resumes: bool
    tells_cost: bool
    keeps_schema: bool
    own_sandbox: bool


def survey(
    config: Config | None, environ: Mapping[str, str], probe: Probe, root: str = "", home: Path | None = None
) -> tuple[Agent, ...]:
    """Look at every configured runner and every declaration; all versions are asked for at the same time."""
    specs = dict(config.runners) if config else {}
    specs |= {name: declaration(name) for name in declared_names() if name not in specs}
    proved = remembered(home)

    def look(spec: RunnerSpec) -> Agent:
        return _agent(spec, config, found_at(spec, environ, root), probe, proved)

    with ThreadPoolExecutor(max_workers=8) as pool:
        found = list(pool.map(look, specs.values()))
    # What plays a role comes first, what is not there last.
    return tuple(sorted(found, key=lambda one: (not one.roles, one.state is State.MISSING, one.name)))


def spec_of(name: str, config: Config | None) -> RunnerSpec:
    """Return the runner of this name, configured or declared; UsageError if it is neither."""
    if config and name in config.runners:
        return config.runners[name]
    if is_declared(name):
        return declaration(name)
    known = (*(config.runners if config else ()), *declared_names())
    raise UsageError(f"there is no runner {name!r}", nearest(name, known))


def found_at(spec: RunnerSpec, environ: Mapping[str, str], root: str) -> str:
    """Return the path of a runner's program; empty if it is not there."""
    if spec.kind is not RunnerKind.COMMAND:
        return str(Path(root, spec.scenario)) if Path(root, spec.scenario).exists() else ""
    program = spec.argv[0]
    if "/" in program:
        place = Path(root, program)
        return str(place) if place.is_file() and os.access(place, os.X_OK) else ""
    return shutil.which(program, path=spec.env.get("PATH", environ.get("PATH", os.defpath))) or ""


def version_of(spec: RunnerSpec, path: str, probe: Probe) -> str:
    """Return the version that the program at *path* tells; empty if it tells none."""
    if not path or not spec.version:
        return ""
    argv = (path if spec.version[0] == spec.argv[0] else spec.version[0], *spec.version[1:])
    try:
        code, said = probe(argv)
    except OSError:  # it is executable, and no program
        return ""
    found = _VERSION.search(said)
    return found[0] if code == 0 and found else ""


def is_too_old(spec: RunnerSpec, version: str) -> bool:
    """Tell whether *version* is known and older than what the runner asks for."""
    return bool(version and spec.min_version) and _numbers(version) < _numbers(spec.min_version)


def remembered(home: Path | None) -> dict[str, str]:
    """Return which version of which runner has been proved on this machine."""
    try:
        document = json.loads(_store(home).read_text(encoding="utf-8"))
        return {str(name): str(entry["version"]) for name, entry in document.items()}
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return {}  # a memory, not a record: what cannot be read is forgotten


def remember(name: str, version: str, home: Path | None) -> None:
    """Note that this version of a runner did its work on this machine."""
    path = _store(home)
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        document = {}
    document = document if isinstance(document, dict) else {}
    document[name] = {"version": version, "at": codec.stamp(datetime.now(UTC))}
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_bytes(codec.encode(document))
    fresh.replace(path)


def _store(home: Path | None) -> Path:
    return (home or Path.home()) / STORE


def _agent(spec: RunnerSpec, config: Config | None, path: str, probe: Probe, proved: Mapping[str, str]) -> Agent:
    version = version_of(spec, path, probe)
    return Agent(
        name=spec.name,
        declaration=spec.declaration,
        roles=tuple(role for role, name in config.roles.items() if name == spec.name) if config else (),
        program=spec.argv[0] if spec.kind is RunnerKind.COMMAND else spec.kind.value,
        path=path,
        version=version,
        state=_state(spec, path, version, proved),
        reads_only=spec.can_read_only,
        resumes=spec.can_resume,
        tells_cost=spec.dialect in _TELLS_COST and spec.declaration not in _TELLS_NO_COST,
        keeps_schema=bool(spec.options.get("schema")),
        own_sandbox=spec.own_sandbox,
    )


def _state(spec: RunnerSpec, path: str, version: str, proved: Mapping[str, str]) -> State:
    if not path:
        return State.MISSING
    if is_too_old(spec, version):
        return State.TOO_OLD
    if spec.name in proved and proved[spec.name] == version:
        return State.PROVED_HERE
    if not spec.declaration:
        return State.CONFIGURED
    return State.PROVED if spec.declaration in PROVED else State.UNPROVED


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))

"""What is in order here and what is not: each check with its severity and the next thing to type. Reads only."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from gluerun import assets, settings
from gluerun.adapters.files import DiskFiles
from gluerun.core import graph as graphs
from gluerun.core.detecting import NO_GATE
from gluerun.core.pipeline import OF_TASKS
from gluerun.edge import configuring
from gluerun.edge.agents import found_at, is_too_old, version_of
from gluerun.edge.doctor_outside import findings
from gluerun.edge.setup import SCHEMA, detect_gate, unknown_keys
from gluerun.errors import GluerunError, OtherSchemaError
from gluerun.loop.journal import PATH, Journal
from gluerun.ports import BALLAST
from gluerun.records import schema, taskfile
from gluerun.records.codec import encode
from gluerun.records.graph import Graph
from gluerun.records.paths import ORCHESTRATION, RUNTIME
from gluerun.records.record import record
from gluerun.records.runner import RunnerKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from gluerun.records.pipeline import GateSpec
    from gluerun.settings import Settings

    Probe = Callable[[Sequence[str]], tuple[int, str]]

PYTHON = (3, 11)
GIT = (2, 39)
PIN = ".gluerun-version"
AT_ONCE = ("now", "all", "0", "0.seconds.ago", "0.days.ago")
# Settings with which git throws away what a worker has just made, as patterns of git.
PRUNING = {
    r"^gc\.pruneexpire$": "unfinished work can be lost",
    r"^gc\.worktreepruneexpire$": "the work tree of a run can be forgotten",
    r"^gc\.(.*\.)?reflogexpire(unreachable)?$": "commits that were reset away are lost at once",
}
STATE = ".gluerun-state"


class Severity(StrEnum):
    """How bad it is. Only `fail` stops the loop."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@record
class Check:
    """One thing that was looked at, what was seen, what to do about it, and the command that does it if one can."""

    id: str
    severity: Severity
    message: str
    remedy: str = ""
    command: str = ""


@record
class Patient:
    """What every check may look at."""

    root: str
    probe: Probe
    environ: Mapping[str, str]
    settings: Settings | None = None

    def git(self, *words: str) -> str:
        """Return git's answer; empty if it refuses."""
        code, said = self.probe(("git", *words))
        return said if code == 0 else ""


def diagnose(root: str, probe: Probe, environ: Mapping[str, str]) -> tuple[Check, ...]:
    """Look at everything that a cycle will need at *root*."""
    patient = Patient(root=root, probe=probe, environ=environ)
    found = [_python(), _git(patient), *_repository(patient)]
    try:
        loaded = settings.load(root, environ)
    except OtherSchemaError as error:
        found.append(_other_schema(error))
    except GluerunError as error:
        found.append(_fail("config", error.message, error.hint, _config_command(root)))
    else:
        patient = Patient(root=root, probe=probe, environ=environ, settings=loaded)
        found.append(_ok("config", f"{settings.FILE} can be used"))
        found += [_warn("config-slip", word, "correct the name or take it away") for word in loaded.warnings]
        found += [
            *_conflicts(patient),
            *_schema(loaded),
            *_described(root),
            _pin(patient, loaded),
            *_target(patient, loaded),
            _gate(patient, loaded),
            *_outside(patient, loaded),
        ]
        found += [*_runners(patient, loaded), *_roles(loaded), *_provision(patient, loaded), _identity(loaded)]
        found += _modules(patient, loaded)
        found += [_disk(patient, loaded), *_ballast(patient, loaded), *_tasks(patient, loaded)]
    found += [*_ignored(patient), _writable(patient), *_collection(patient), *_locks(patient), *_stop(patient)]
    return (*found, *_journal(patient), *_graph(patient))


def worst(checks: Sequence[Check]) -> Severity:
    """Return the worst severity among *checks*."""
    order = list(Severity)
    return max((check.severity for check in checks), key=order.index, default=Severity.OK)


def _ok(check: str, message: str) -> Check:
    return Check(id=check, severity=Severity.OK, message=message)


def _warn(check: str, message: str, remedy: str, command: str = "") -> Check:
    return Check(id=check, severity=Severity.WARN, message=message, remedy=remedy, command=command)


def _fail(check: str, message: str, remedy: str, command: str = "") -> Check:
    return Check(id=check, severity=Severity.FAIL, message=message, remedy=remedy, command=command)


def _set(key: str, value: str) -> str:
    return f"gluerun config set {key} {shlex.quote(value)}"


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < PYTHON:
        return _fail("python", f"Python {version} is too old", "install Python 3.11 or newer")
    return _ok("python", f"Python {version}")


def _git(patient: Patient) -> Check:
    said = patient.git("--version")
    numbers = re.search(r"(\d+)\.(\d+)", said)
    if numbers is None:
        return _fail("git", "git is not installed", "install git 2.39 or newer")
    if (int(numbers[1]), int(numbers[2])) < GIT:
        return _fail("git", f"{said} is too old", "install git 2.39 or newer")
    return _ok("git", said)


def _repository(patient: Patient) -> Iterator[Check]:
    bare = patient.git("rev-parse", "--is-bare-repository")
    if bare != "false":
        kind = "is bare" if bare == "true" else "is no git repository"
        command = "" if bare == "true" else "git init -b main"
        yield _fail("repository", f"{patient.root} {kind}", "go to a clone, or make one here", command)
        return
    yield _ok("repository", f"a git repository at {patient.root}")
    if patient.git("rev-parse", "--is-shallow-repository") == "true":
        yield _warn("shallow", "the repository is a shallow clone", "fetch the rest of it", "git fetch --unshallow")


def _conflicts(patient: Patient) -> Iterator[Check]:
    """Name every place of a setting that is set twice, and which of them counts. (FR-020, A41)"""
    for one in configuring.shown(patient.root, patient.environ, {}):
        if one.instead_of:
            others = " and over ".join(f"{other.said} by {other.words}" for other in one.instead_of)
            words = f"{one.key} is {one.words} by {one.origin.words}, which wins over {others}"
            command = f"gluerun config unset {one.key}" if one.instead_of[0].source == "file" else ""
            yield _warn("config-conflict", words, "set it in one place only", command)


def _other_schema(error: OtherSchemaError) -> Check:
    """Say that the repository is written for another engine, and what brings both together."""
    command = "gluerun migrate" if "migrate" in error.hint else _set("schemaVersion", assets.schema_version())
    return _fail("schema", error.message, error.hint, command)


def _schema(loaded: Settings) -> Iterator[Check]:
    ours = assets.schema_version()
    if not loaded.schema_version:
        command = _set("schemaVersion", ours)
        yield _warn("schema", f"{settings.FILE} names no schemaVersion", f'add "schemaVersion": "{ours}"', command)
    else:
        yield _ok("schema", f"schema {ours}")


def _modules(patient: Patient, loaded: Settings) -> Iterator[Check]:
    """Load what the repository lists, as a run would, and say what each module does."""
    if not loaded.config.modules:
        return
    from gluerun.loop.modules import load

    target = loaded.config.target_branch

    def read(path: str) -> bytes | None:
        code, said = patient.probe(("git", "show", f"refs/heads/{target}:{path}"))
        return said.encode("utf-8", "surrogateescape") if code == 0 else None

    for one in load(loaded.config.modules, read):
        if one.trouble:
            merged = f"merge it into {target}, or " if one.name.endswith(".py") else "install it, or "
            yield _fail(f"module.{one.name}", f"cannot be loaded: {one.trouble}", f"{merged}take it out of `modules`")
        else:
            yield _ok(f"module.{one.name}", f"loaded: {', '.join(one.hooks)}")


def _described(root: str) -> Iterator[Check]:
    """Look whether editors are told what this engine reads."""
    from gluerun import settings_schema

    try:
        said = Path(root, SCHEMA).read_bytes()
    except OSError:
        return
    if said != encode(settings_schema.document()):
        message = f"{SCHEMA}, by which editors complete the configuration, is of another engine"
        yield _warn("editor-schema", message, "take it away and type `gluerun init`", f"rm {SCHEMA} && gluerun init")


def _pin(patient: Patient, loaded: Settings) -> Check:
    running = assets.engine_version()
    pinned = (settings.read_file(f"{patient.root}/{PIN}") or b"").decode(errors="replace").strip()
    wanted = pinned or loaded.engine_version
    if pinned and loaded.engine_version and pinned != loaded.engine_version:
        words = f"{PIN} wants {pinned}, engineVersion in {settings.FILE} wants {loaded.engine_version}"
        return _warn("pin", words, f"let both name the same version; {PIN} wins", "gluerun config unset engineVersion")
    if wanted and wanted != running:
        command = f"echo {running} > {PIN}" if pinned else _set("engineVersion", running)
        remedy = f"install gluerun {wanted}, or let the repository want this one"
        return _warn("pin", f"the repository wants gluerun {wanted}, this is {running}", remedy, command)
    return _ok("pin", f"gluerun {running}" + (" as pinned" if wanted else ", not pinned"))


def _target(patient: Patient, loaded: Settings) -> Iterator[Check]:
    branch = loaded.config.target_branch
    if not branch:
        here = patient.git("symbolic-ref", "--quiet", "--short", "HEAD") or "main"
        remedy = f'add "targetBranch": "{here}" to {settings.FILE}'
        yield _fail("target-branch", "no target branch is set", remedy, _set("targetBranch", here))
    elif not patient.git("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}"):
        has_commits = patient.git("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        first = f"git symbolic-ref HEAD refs/heads/{branch} && git commit --allow-empty -m start"
        remedy, command = ("create it", f"git branch {branch}") if has_commits else ("make a first commit on it", first)
        yield _fail("target-branch", f"there is no branch {branch!r}", remedy, command)
    else:
        yield _ok("target-branch", f"work is merged into {branch}")


def _outside(patient: Patient, loaded: Settings) -> Iterator[Check]:
    for one in findings(patient.root, patient.git, loaded.config):
        severity = Severity.FAIL if one.fails else Severity.WARN if one.remedy else Severity.OK
        yield Check(id=one.id, severity=severity, message=one.words, remedy=one.remedy, command=one.command)


def _gate(patient: Patient, loaded: Settings) -> Check:
    gates = loaded.config.gates
    if gates:
        return _pipeline(gates)
    command = loaded.config.gate_command.strip()
    remedy = f'set "gateCommand" in {settings.FILE} to the command that runs your tests'
    if not command:
        return _warn("gate", "no gate command is set; each task needs its own", remedy, _gate_command(patient))
    if command == "false":
        words = "the gate command is still `false`: nothing can pass"
        return _fail("gate", words, remedy, _gate_command(patient))
    return _ok("gate", f"the gate is `{command}`")


def _pipeline(gates: Sequence[GateSpec]) -> Check:
    """Say whether the gates of a pipeline can be green, and what would land without any of them."""
    never = [gate.name for gate in gates if gate.command.strip() == "false"]
    if never:
        words = f"the command of the gate {never[0]} is still `false`: nothing can pass"
        return _fail("gate", words, f'set "command" of {never[0]} under "gates" in {settings.FILE}')
    judging = [gate.name for gate in gates if gate.required and not set(gate.when).isdisjoint(OF_TASKS)]
    if not judging:
        words = "no gate of the pipeline is required of a task or a merge"
        return _warn("gate", words, f'say "when": "merge" for one under "gates" in {settings.FILE}')
    return _ok("gate", f"{len(gates)} gates; what lands must pass {', '.join(judging)}")


def _gate_command(patient: Patient) -> str:
    """Return how to set the gate that the files suggest; empty if they suggest none: nobody else may guess it."""
    found = detect_gate(Path(patient.root))
    return "" if found == NO_GATE else _set("gateCommand", found)


def _runners(patient: Patient, loaded: Settings) -> Iterator[Check]:
    for name, runner in loaded.config.runners.items():
        program = runner.argv[0] if runner.kind is RunnerKind.COMMAND else runner.scenario
        path = found_at(runner, patient.environ, patient.root) if program else ""
        version = version_of(runner, path, patient.probe) if runner.min_version else ""
        if program and not path:
            remedy = f'install it, or correct "runners" in {settings.FILE}'
            words = f"runner {name!r}: {program} is not there or not executable"
            is_file = "/" in program and Path(patient.root, program).is_file()
            yield _fail(f"runner.{name}", words, remedy, f"chmod +x {shlex.quote(program)}" if is_file else "")
        elif is_too_old(runner, version):
            words = f"runner {name!r}: {program} {version} is older than {runner.min_version}"
            yield _fail(f"runner.{name}", words, "bring it up to date")
        else:
            kind = runner.declaration or runner.kind
            yield _ok(f"runner.{name}", f"runner {name!r} is a {kind} runner{version and f', version {version}'}")


def _roles(loaded: Settings) -> Iterator[Check]:
    config = loaded.config
    remedy = f'name one in {settings.FILE}, as "runner" or under "roles"; `gluerun runners` lists them'
    somebody = config.runner_of("worker") or next(iter(config.runners), "")
    command = _set("runner", somebody) if somebody else ""
    if not config.runner_of("worker"):
        yield _warn("role.worker", "no runner plays the worker: no task can be run", remedy, command)
    if config.require_audit and not config.runner_of("auditor"):
        remedy_too = f'{remedy}, or set "requireAudit" to false'
        yield _warn("role.auditor", "no runner plays the auditor, and an audit is required", remedy_too, command)
    if config.runner_of("worker") and (not config.require_audit or config.runner_of("auditor")):
        played = ", ".join(f"{role} by {name}" for role, name in config.roles.items())
        yield _ok("roles", f"played: {played}")


def _provision(patient: Patient, loaded: Settings) -> Iterator[Check]:
    for file in loaded.config.provision_files:
        if file.required and not Path(patient.root, file.source).exists():
            yield _fail(
                "provision", f"{file.source}, needed in every work tree, is not there", f"put {file.source} there"
            )
        loose = [path for path in {file.source, file.target} if not _is_ignored(patient, path)]
        if loose:
            command = f"echo {shlex.quote(loose[0])} >> .gitignore"
            yield _fail("provision", f"git does not ignore {loose[0]}", "let git ignore it", command)


def _identity(loaded: Settings) -> Check:
    return _ok("identity", f"the engine commits as {loaded.config.identity_name} <{loaded.config.identity_email}>")


def _disk(patient: Patient, loaded: Settings) -> Check:
    free, wanted = shutil.disk_usage(patient.root).free / 1e9, loaded.config.min_disk_gb
    if free < wanted:
        words, command = f"{free:.1f} GB are free, {wanted:g} GB wanted", _set("minDiskGb", str(int(free * 0.9)))
        return _fail("disk", words, "free some space, or lower minDiskGb", command)
    return _ok("disk", f"{free:.1f} GB are free")


def _ballast(patient: Patient, loaded: Settings) -> Iterator[Check]:
    """Look at the space that is held back for a full disk, where a cycle has been at work."""
    size, state = loaded.config.ballast_mb * 1_000_000, Path(patient.root, STATE)
    if not size or not (state / "host.json").exists():
        return
    mark = DiskFiles(str(state)).mark(BALLAST)
    if mark is not None and mark.size >= size:
        yield _ok("ballast", f"{mark.size / 1e6:.0f} MB are held back for the day on which the disk is full")
        return
    found = "nothing is" if mark is None else f"only {mark.size / 1e6:.1f} MB are"
    remedy = "the next cycle that finds room for it makes it"
    command = "gluerun reconcile --apply"
    yield _warn("ballast", f"{found} held back for the day on which the disk is full", remedy, command)


def _tasks(patient: Patient, loaded: Settings) -> Iterator[Check]:
    files = sorted(Path(patient.root, ORCHESTRATION, "tasks").glob("TASK-*.md"))
    for path in files:
        name = f"{ORCHESTRATION}/tasks/{path.name}"
        try:
            taskfile.parse(path.read_text(encoding="utf-8", errors="replace"), loaded.config, file=name)
        except GluerunError as error:
            yield _warn("task", error.message, error.hint or f"edit {name}")
    yield _ok("tasks", f"{len(files)} task files")


def _is_ignored(patient: Patient, path: str) -> bool:
    return patient.probe(("git", "check-ignore", "-q", "--no-index", path))[0] == 0


def _ignored(patient: Patient) -> Iterator[Check]:
    missing = [name for name in RUNTIME if not _is_ignored(patient, f"{name}/x")]
    if missing:
        words = ", ".join(missing)
        yield _fail("ignore", f"git does not ignore {words}", "add what is missing", "gluerun init")
    else:
        yield _ok("ignore", "git ignores the runtime folders")


def _writable(patient: Patient) -> Check:
    state = Path(patient.root, ".gluerun-state")
    folder = state if state.exists() else Path(patient.root)
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        remedy = f"check its owner and permissions: ls -ld {folder}"
        command = f"chmod u+rwx {shlex.quote(str(folder))}"
        return _fail("state", f"{folder} cannot be written to", remedy, command)
    return _ok("state", f"{folder} can be written to")


def _collection(patient: Patient) -> Iterator[Check]:
    """Warn of settings with which git throws away commits that a run has just made."""
    for key, what in PRUNING.items():
        for name, value in _set_to(patient, key):
            if value.lower() in AT_ONCE:
                yield _warn("gc", f"{name} is {value}: {what}", "take it away", _unset(patient, name))
    for line in patient.git("config", "--get-regexp", r"^alias\.").splitlines():
        name, _, value = line.partition(" ")
        if "prune=now" in value or "prune=all" in value:
            remedy = "do not use it while runs are alive, or take it away"
            yield _warn("gc", f"{name} prunes at once: unfinished work can be lost", remedy, _unset(patient, name))


def _unset(patient: Patient, key: str) -> str:
    scope = patient.git("config", "--show-scope", "--get", key).partition("\t")[0]
    return f"git config {'--global' if scope == 'global' else '--local'} --unset-all {key}"


def _journal(patient: Patient) -> Iterator[Check]:
    """Look at the journal's unsealed file; `gluerun verify` looks at everything."""
    folder = Path(patient.root, STATE)
    if not (folder / PATH).is_file():
        return
    fault = Journal(DiskFiles(str(folder))).fault()
    if fault is None:
        yield _ok("journal", "the journal's newest file holds together; `gluerun verify` looks at all of it")
        return
    remedy = "what a crash tore is cut off; a broken chain stays as it is, and goes on in a new file that says so"
    yield _fail("journal", f"event {fault.seq} of the journal: {fault.reason}", remedy, "gluerun verify --mend")


def _config_command(root: str) -> str:
    """Return the command that mends a configuration that cannot be used, where one can."""
    data = settings.read_file(f"{root}/{settings.FILE}")
    if data is None:
        return "gluerun init"
    unknown = unknown_keys(data)
    return f"gluerun config unset {shlex.quote(unknown[0])}" if unknown else ""


def _set_to(patient: Patient, key: str) -> Iterator[tuple[str, str]]:
    """Yield the settings that a pattern of git names, and their values."""
    for line in patient.git("config", "--get-regexp", key).splitlines():
        name, _, value = line.partition(" ")
        yield name, value


def _locks(patient: Patient) -> Iterator[Check]:
    name = patient.git("rev-parse", "--git-path", "index.lock")
    if name and Path(patient.root, name).exists():
        command = f"rm -- {shlex.quote(name)}"
        yield _warn("index-lock", f"{name} is there", "if no git is running, remove it", command)


def _stop(patient: Patient) -> Iterator[Check]:
    if Path(patient.root, ".gluerun-state", "STOP").exists():
        yield _warn("stop", "STOP is set: nothing new is started", "take it away", f"rm {STATE}/STOP")


def _graph(patient: Patient) -> Iterator[Check]:
    name = f"{ORCHESTRATION}/dag.v0.json"
    data = settings.read_file(f"{patient.root}/{name}")
    if data is None:
        return
    try:
        graph = schema.load(Graph, data, file=name)
    except GluerunError as error:
        yield _fail("graph", error.message, f"edit {name}")
        return
    faults = graphs.faults(graph)
    yield from (_fail("graph", f"{name}: {fault}", f"edit {name}") for fault in faults)
    if not faults:
        yield _ok("graph", f"{len(graph.nodes)} nodes in the planning graph")

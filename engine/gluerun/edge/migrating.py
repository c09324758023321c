"""From one data contract to the next: a chain of pure steps, each with its backup, that may be cut off anywhere.

What a step makes of the documents is computed from the backup, so that a step that was cut off is gone on with and
never begins with what it has half changed. The configuration, which names the data contract, is written last.
"""

from __future__ import annotations

import hashlib
import re
from importlib import util
from typing import TYPE_CHECKING

from gluerun import assets, settings
from gluerun.errors import BusyError, ConfigError, GluerunError, OtherSchemaError
from gluerun.records import taskfile
from gluerun.records.codec import decode, encode
from gluerun.records.dispatch import Life
from gluerun.records.origin import OriginHolder
from gluerun.records.paths import ORCHESTRATION, PREDECESSORS
from gluerun.records.record import record
from gluerun.release import SCHEMA, VERSION
from gluerun.settings_walk import parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import ModuleType

    from gluerun.ports import Clock, Files, Locks, Processes

    Documents = dict[str, bytes]

GO1 = "go1"
STATE = ".gluerun-state"
BACKUPS = f"{STATE}/migrations"
MANIFEST, DONE = "manifest.json", "done.json"


@record
class Change:
    """One file, and what becomes of it."""

    path: str
    change: str


@record
class Migration:
    """What `gluerun migrate` answers."""

    SCHEMA = "migration.v0"

    before: str
    after: str
    acted: bool
    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    backups: tuple[str, ...]


@record
class Yard:
    """The doors that a migration needs: the repository's files, and who may be at work in it."""

    root: str
    files: Files
    locks: Locks
    processes: Processes
    clock: Clock
    born: Callable[[int], float | None]


def yard_at(root: str) -> Yard:
    """Return the real doors; the configuration is not read, for it may be what is migrated."""
    from gluerun.adapters.clock import MachineClock
    from gluerun.adapters.files import DiskFiles
    from gluerun.adapters.locks import FlockLocks
    from gluerun.adapters.processes import OsProcesses, born

    state_root = f"{root}/{STATE}"
    return Yard(
        root=root,
        files=DiskFiles(root),
        locks=FlockLocks(state_root),
        processes=OsProcesses(root, state_root),
        clock=MachineClock(),
        born=born,
    )


def layout_of(files: Files) -> str:
    """Return the name of the data contract that a repository is laid out for."""
    data = files.read(settings.FILE)
    if data is None:
        raise ConfigError(f"there is no {settings.FILE}", "type `gluerun init`", file=settings.FILE)
    _, document = parsed(data, settings.FILE)
    if not isinstance(document, dict):
        raise ConfigError(f"{settings.FILE} is no object", "mend the file", file=settings.FILE)
    if "runners" not in document and any(files.mark(path) is not None for path in PREDECESSORS):
        return GO1
    return str(document.get("schemaVersion") or SCHEMA)


def steps() -> dict[str, tuple[str, str]]:
    """Return every migration: from which data contract, to which, and the name of its file."""
    names = sorted(path.stem for path in (assets.root() / "migrations").glob("*_to_*.py"))
    return {name.partition("_to_")[0]: (name.partition("_to_")[2], name) for name in names}


def chain(layout: str, known: dict[str, tuple[str, str]], wanted: str = SCHEMA) -> tuple[str, ...]:
    """Return the names of the migrations from *layout* to the wanted data contract; OtherSchemaError without a way."""
    found: list[str] = []
    at = layout
    while at != wanted:
        if at not in known or known[at][1] in found:
            if _number(at) > _number(wanted):
                words = f"this repository is written for schema {at}, this engine has {wanted}"
                raise OtherSchemaError(words, "install a newer engine, then type `gluerun update`", file=settings.FILE)
            raise OtherSchemaError(
                f"no migration leads from schema {at!r} to {wanted}", "correct schemaVersion", file=settings.FILE
            )
        at, name = known[at]
        found.append(name)
    return tuple(found)


def migrate(yard: Yard, *, act: bool) -> Migration:
    """Bring the repository to this engine's data contract; BusyError if anybody is at work, unless nothing is done."""
    layout = layout_of(yard.files)
    names = chain(layout, steps())
    if not act or not names:
        return _report(yard, layout, names, acted=False)
    # What stands beside the lock is whoever holds it: how the predecessor says so is looked at before we do.
    _refuse_others([*_runs(yard), *_theirs(yard, names)])
    now = yard.clock.now()
    run = f"ORIGIN-{now:%Y%m%dT%H%M%SZ}-{yard.clock.pid()}"
    who = OriginHolder(
        owner="migrate", run_id=run, pid=yard.clock.pid(), started_at=now, expires_at=now, engine_version=VERSION
    )
    with yard.locks.resident(who), yard.locks.origin(who):
        # A cycle, or another migration, may have come before we had the lock.
        _refuse_others(_runs(yard))
        layout = layout_of(yard.files)
        names = chain(layout, steps())
        report = _report(yard, layout, names, acted=bool(names))
        backups = tuple(_carry_out(yard.files, name) for name in names)
    return Migration(
        before=report.before,
        after=report.after,
        acted=report.acted,
        changes=report.changes,
        notes=report.notes,
        backups=backups,
    )


def _report(yard: Yard, layout: str, names: tuple[str, ...], *, acted: bool) -> Migration:
    """Say what the chain would do, as one change from the first documents to the last."""
    reads = tuple({path for name in names for path in _module(name).READS})
    first = dict(_read(yard.files, reads))
    after, notes = first, list[str]()
    for name in names:
        module, seen = _module(name), after
        after, notes = module.up(seen), [*notes, *module.notes(seen)]
    changes = [
        Change(path=path, change=_change(first.get(path), after.get(path)))
        for path in sorted(first.keys() | after.keys())
        if first.get(path) != after.get(path)
    ]
    notes += _refusals(yard.root, after) if names else []
    return Migration(before=layout, after=SCHEMA, acted=acted, changes=tuple(changes), notes=tuple(notes), backups=())


def _change(before: bytes | None, after: bytes | None) -> str:
    return "write" if before is None else "remove" if after is None else "change"


def _refusals(root: str, after: Documents) -> list[str]:
    """Return what this engine will refuse of the documents as they will be."""
    path = f"{root}/{settings.FILE}"
    try:
        loaded = settings.load(root, {}, files=lambda name: after[settings.FILE] if name == path else None)
    except GluerunError as error:
        return [error.message]
    found = []
    for name, data in sorted(after.items()):
        if name.startswith(f"{ORCHESTRATION}/tasks/TASK-"):
            try:
                taskfile.parse(data.decode("utf-8", "replace"), loaded.config, file=name)
            except GluerunError as error:
                found.append(error.message)
    return found


def _refuse_others(busy: list[str]) -> None:
    """Raise BusyError if anybody is at work."""
    if busy:
        raise BusyError(
            f"somebody is at work here: {', '.join(busy)}; nothing was changed",
            "let it finish or end it, then type `gluerun migrate` again",
        )


def _runs(yard: Yard) -> list[str]:
    """Return the runs of this engine that may live."""
    return [
        f"the run {run} of {STATE}/{folder}/{name}"
        for folder in ("leases", "l1-leases")
        for name in yard.files.names(f"{STATE}/{folder}")
        if (run := _run_of(yard.files.read(f"{STATE}/{folder}/{name}") or b""))
        and yard.processes.life(run) is not Life.DEAD
    ]


def _theirs(yard: Yard, names: tuple[str, ...]) -> list[str]:
    """Return the processes that may be at work as the first step knows them."""
    module, busy = _module(names[0]), []
    if hasattr(module, "processes"):
        documents = dict(_read(yard.files, (*module.READS, f"{STATE}/locks/origin.lock.json")))
        for who, pid, since in module.processes(documents):
            born = yard.born(pid)
            # A process that is younger than what names it has only got the same number.
            if born is not None and (not since or f"{_moment(born)}" <= since):
                busy.append(f"{who} (process {pid})")
    return busy


def _moment(seconds: float) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%SZ}"


def _run_of(data: bytes) -> str:
    try:
        document = decode(data)
    except GluerunError:
        return ""
    run = document.get("runId") if isinstance(document, dict) else None
    return run if isinstance(run, str) and re.fullmatch(r"RUN-[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}", run) else ""


def _carry_out(files: Files, name: str) -> str:
    """Do one step, or what is left of it, and return where its backup lies."""
    module = _module(name)
    folder, before = _backup(files, name, dict(_read(files, module.READS)))
    after: Documents = module.up(before)
    paths = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    for parent in {path.rpartition("/")[0] for path in paths}:
        files.sweep(parent)  # what a crash left half-written
    for path in sorted(paths, key=lambda path: (path == settings.FILE, path)):
        now = files.read(path)
        if now == after.get(path):
            continue
        if now != before.get(path):
            raise ConfigError(
                f"{path} was changed after this migration began",
                f"put back what it was from {folder}/before, then type `gluerun migrate` again",
                file=path,
            )
        if path in after:
            files.write(path, after[path])
        else:
            files.remove(path)
    files.move(f"{folder}/{MANIFEST}", f"{folder}/{DONE}")
    return folder


def _backup(files: Files, name: str, documents: Documents) -> tuple[str, Documents]:
    """Return the backup of a step, made unless a step that was cut off has left one, and where it lies."""
    for known in files.names(BACKUPS):
        if known.startswith(f"{name}-") and (data := files.read(f"{BACKUPS}/{known}/{MANIFEST}")) is not None:
            folder = f"{BACKUPS}/{known}"
            return folder, {path: files.read(f"{folder}/before/{path}") or b"" for path in decode(data)}
    sums = {path: hashlib.sha256(data).hexdigest() for path, data in sorted(documents.items())}
    folder = f"{BACKUPS}/{name}-{hashlib.sha256(encode(sums)).hexdigest()[:12]}"
    for path, data in documents.items():
        files.write(f"{folder}/before/{path}", data)
    files.write(f"{folder}/{MANIFEST}", encode(sums))
    return folder, documents


def _read(files: Files, wanted: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    for path in sorted(set(wanted)):
        if not path.endswith("/"):
            data = files.read(path) if not files.names(path) else None
            if data is not None:
                yield path, data
            continue
        for name in files.names(path.rstrip("/")):
            inner = f"{path}{name}"
            if files.names(inner):
                yield from _read(files, (f"{inner}/",))
            elif name.endswith((".md", ".json", ".exit", ".refusals")) and (data := files.read(inner)) is not None:
                yield inner, data


def _number(layout: str) -> int:
    found = re.fullmatch(r"v([0-9]{1,6})", layout)
    return int(found[1]) if found else -1


def _module(name: str) -> ModuleType:
    spec = util.spec_from_file_location(f"gluerun_migration_{name}", assets.root() / "migrations" / f"{name}.py")
    if spec is None or spec.loader is None:
        raise OtherSchemaError(f"the migration {name} is not there", "install the engine again")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

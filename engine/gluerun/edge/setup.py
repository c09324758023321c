"""The first files of a repository: written once, never over anything that is there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from gluerun import assets, settings, settings_schema
from gluerun.adapters.files import DiskFiles
from gluerun.core.detecting import NO_AREAS, NO_GATE, TOLD, Detected, detect
from gluerun.edge.starter import GUIDE, TEMPLATE, starter_graph
from gluerun.errors import MISSING, ConfigError, GluerunError, StateError, ToolMissingError, UsageError
from gluerun.records.codec import encode
from gluerun.records.paths import ORCHESTRATION, RUNTIME
from gluerun.records.record import record
from gluerun.settings_runners import declared_names, is_declared
from gluerun.settings_table import BY_KEY, SHAPES
from gluerun.settings_walk import nearest, parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Probe = Callable[[Sequence[str]], tuple[int, str]]

CONFIG = "gluerun.config.json"
# Beside the guide, and committed with it: an installed engine lies elsewhere on every machine.
SCHEMA = f"{ORCHESTRATION}/{settings_schema.NAME}"
BEGIN, END = "# gluerun: begin (written by `gluerun init`)", "# gluerun: end"


@record
class InitReport:
    """What `init` did or, in a dry run, would do: the files it wrote, those it found, and what it saw."""

    root: str
    written: tuple[str, ...]
    kept: tuple[str, ...]
    gate_command: str
    target_branch: str
    runner: str = ""
    language: str = ""
    reason: str = ""
    areas: dict[str, tuple[str, ...]] = {}  # noqa: RUF012 a default that is never changed
    dry_run: bool = False


def init(probe: Probe, runner: str = "", *, dry_run: bool = False) -> InitReport:
    """Write the starter files that are missing in the repository around *probe*'s folder.

    A new configuration lets the declared program *runner* play every role. A *dry_run* only says what it would do.
    """
    if runner and not is_declared(runner):
        raise UsageError(f"no program {runner!r} is declared", nearest(runner, declared_names()))
    root = top_level(probe)
    folder = Path(root)
    branch, found = "", Detected(gate_command="")
    files: dict[str, bytes] = {}
    if runner and (folder / CONFIG).exists():
        raise UsageError(f"{CONFIG} is there already", f'add "runner": "{runner}" to it')
    if not (folder / CONFIG).exists():
        branch, found = _target_branch(probe), detected(folder)
        files[CONFIG] = encode(_starter(branch, found, runner))
    files |= {
        SCHEMA: encode(settings_schema.document()),
        f"{ORCHESTRATION}/README.md": GUIDE.encode(),
        f"{ORCHESTRATION}/dag.v0.json": encode(starter_graph()),
        f"{ORCHESTRATION}/tasks/TEMPLATE.md": TEMPLATE.encode(),
    }
    if dry_run:
        written = [name for name in files if not (folder / name).exists()]
    else:
        written = [name for name, data in files.items() if _create(folder / name, data)]
    if _ignore(folder / ".gitignore", dry_run=dry_run):
        written.append(".gitignore")
    every = (CONFIG, *files, ".gitignore")
    return InitReport(
        root=root,
        written=tuple(written),
        kept=tuple(dict.fromkeys(name for name in every if name not in written)),
        gate_command=found.gate_command,
        target_branch=branch,
        runner=runner,
        language=found.language,
        reason=found.reason,
        areas=found.areas,
        dry_run=dry_run,
    )


def top_level(probe: Probe) -> str:
    """Return the top level of the repository; UsageError where there is no work tree to put files into."""
    code, said = probe(("git", "rev-parse", "--show-toplevel"))
    if code == MISSING:
        raise ToolMissingError("git is not installed", "install git 2.39 or newer")
    if code == 0:
        return said
    code, said = probe(("git", "rev-parse", "--is-bare-repository"))
    if code == 0 and said == "true":
        raise UsageError("this repository is bare, it has no work tree", "use a clone of it: git clone <here> <there>")
    raise UsageError("this is not inside a git repository", "type `git init -b main` first")


def detected(folder: Path) -> Detected:
    """Return what the files of the project in *folder* tell of it."""
    names = tuple(_names(folder))
    return detect(names, {name: _text(folder / name) for name in TOLD if name in names})


def detect_gate(folder: Path) -> str:
    """Return the command that runs the project's tests; `false`, which is always red, if none is found."""
    return detected(folder).gate_command


def _names(folder: Path, depth: int = 3) -> Iterator[str]:
    """Yield the paths of the files of the upper folders; hidden folders and those of others are left out."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_file():
            yield entry.name
        elif depth and entry.is_dir(follow_symlinks=False) and not _is_foreign(entry.name):
            yield from (f"{entry.name}/{name}" for name in _names(Path(entry.path), depth - 1))


def _is_foreign(name: str) -> bool:
    return name.startswith(".") or name in NO_AREAS


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _target_branch(probe: Probe) -> str:
    """Return the branch that work is to be merged into: the one that the origin calls its own, else the current one."""
    code, said = probe(("git", "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD"))
    name = said.partition("/")[2] if code == 0 else ""
    if name and probe(("git", "rev-parse", "--verify", "--quiet", f"refs/heads/{name}"))[0] == 0:
        return name
    return _current_branch(probe)


def _current_branch(probe: Probe) -> str:
    code, said = probe(("git", "symbolic-ref", "--quiet", "--short", "HEAD"))
    if code != 0:
        hint = "switch to the branch that work is to be merged into: git switch main"
        raise UsageError("no branch is checked out (detached HEAD)", hint)
    return said


def _starter(branch: str, found: Detected, runner: str) -> dict[str, object]:
    comment = [f"Every key is explained in {ORCHESTRATION}/README.md; `gluerun doctor` says what is still missing."]
    if found.gate_command == NO_GATE:
        comment.append("No test command was found: the gate `false` lets nothing pass until you replace it.")
    return {
        "$schema": SCHEMA,
        "_comment": comment,
        "schemaVersion": assets.schema_version(),
        "targetBranch": branch,
        "gateCommand": found.gate_command,
        **({"runner": runner} if runner else {}),
        "runners": {},
        "roles": {},
        "requireAudit": True,
        "areas": {name: list(paths) for name, paths in found.areas.items()},
    }


def _create(path: Path, data: bytes) -> bool:
    """Put a file whole or not at all, so that what a crash left out is written the next time."""
    try:
        return DiskFiles(str(path.parent)).create(path.name, data)
    except StateError as error:
        raise ConfigError(
            f"cannot write {path}: {error.message.rpartition(': ')[2]}", error.hint, file=str(path)
        ) from None


def _ignore(path: Path, *, dry_run: bool = False) -> bool:
    """Put what is missing of the runtime folders into a marked block; tell whether anything was."""
    before = _text(path)
    lines = {line.strip().strip("/") for line in before.splitlines()}
    missing = [f"{name}/" for name in RUNTIME if name not in lines]
    if not missing:
        return False
    if dry_run:
        return True
    files = DiskFiles(str(path.parent))
    head, begin, rest = before.partition(BEGIN + "\n")
    inner, end, tail = rest.partition(END)
    if begin and end:
        added = "\n".join((*missing, ""))
        files.write(path.name, f"{head}{begin}{inner}{added}{end}{tail}".encode())
        return True
    gap = "" if not before or before.endswith("\n") else "\n"
    files.append(path.name, (gap + "\n".join((BEGIN, *missing, END)) + "\n").encode())
    return True


def unknown_keys(data: bytes) -> list[str]:
    """Return the keys at the top of a configuration that nothing reads; none if it is no object at all."""
    try:
        document = json.loads(data)
    except ValueError:
        return []
    known = {*BY_KEY, *(shape.key for shape in SHAPES)}
    return [key for key in document if key not in known] if isinstance(document, dict) else []


def set_key(root: str, key: str, text: str | None) -> object:
    """Set a key of the configuration, or take it out; what could not be used is refused, and nothing is changed.

    A *text* that is JSON is taken as that, any other as it stands.
    """
    path = Path(root, CONFIG)
    data = settings.read_file(str(path))
    if data is None:
        raise ConfigError(f"there is no {CONFIG}", "type `gluerun init`", file=CONFIG)
    _, document = parsed(data, CONFIG)
    if not isinstance(document, dict):
        raise ConfigError(f"{CONFIG} is no object", "put it aside, then type `gluerun init`", file=CONFIG)
    could_be_used = _is_usable(root, data)
    value = None
    if text is None:
        if key not in document:
            raise UsageError(f"{CONFIG} has no key {key!r}", nearest(key, document))
        del document[key]
    else:
        known = [*BY_KEY, *(shape.key for shape in SHAPES)]
        if key not in known:
            raise UsageError(f"{key!r} is no key of {CONFIG}", nearest(key, known))
        document[key] = value = _value(key, text)
    after = encode(document)
    if could_be_used:
        settings.load(root, {}, files=lambda name: after if name == str(path) else settings.read_file(name))
    DiskFiles(root).write(CONFIG, after)
    return value


def _value(key: str, text: str) -> object:
    if key in BY_KEY and BY_KEY[key].type is str:
        return text
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value


def _is_usable(root: str, data: bytes) -> bool:
    path = str(Path(root, CONFIG))
    try:
        settings.load(root, {}, files=lambda name: data if name == path else settings.read_file(name))
    except GluerunError:
        return False
    return True

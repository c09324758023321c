"""The first files of a repository: written once, never over anything that is there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from gluerun import assets, settings
from gluerun.adapters.files import DiskFiles
from gluerun.edge.starter import GUIDE, TEMPLATE, starter_graph
from gluerun.errors import MISSING, ConfigError, GluerunError, StateError, ToolMissingError, UsageError
from gluerun.records.codec import decode, encode
from gluerun.records.paths import ORCHESTRATION, RUNTIME
from gluerun.records.record import record
from gluerun.settings_runners import declared_names, is_declared
from gluerun.settings_table import BY_KEY, SHAPES
from gluerun.settings_walk import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Probe = Callable[[Sequence[str]], tuple[int, str]]

CONFIG = "gluerun.config.json"
NO_GATE = "false"
_MAKE_TEST = re.compile(r"^test\s*:(?!=)", re.MULTILINE)


@record
class InitReport:
    """What `init` did: the files it wrote and those it found."""

    root: str
    written: tuple[str, ...]
    kept: tuple[str, ...]
    gate_command: str
    target_branch: str
    runner: str = ""


def init(probe: Probe, runner: str = "") -> InitReport:
    """Write the starter files that are missing in the repository around *probe*'s folder.

    A new configuration lets the declared program *runner* play every role.
    """
    if runner and not is_declared(runner):
        raise UsageError(f"no program {runner!r} is declared", nearest(runner, declared_names()))
    root = top_level(probe)
    folder = Path(root)
    branch, gate = "", ""
    files: dict[str, bytes] = {}
    if runner and (folder / CONFIG).exists():
        raise UsageError(f"{CONFIG} is there already", f'add "runner": "{runner}" to it')
    if not (folder / CONFIG).exists():
        branch, gate = _current_branch(probe), detect_gate(folder)
        files[CONFIG] = encode(_starter(branch, gate, runner))
    files |= {
        f"{ORCHESTRATION}/README.md": GUIDE.encode(),
        f"{ORCHESTRATION}/dag.v0.json": encode(starter_graph()),
        f"{ORCHESTRATION}/tasks/TEMPLATE.md": TEMPLATE.encode(),
    }
    written = [name for name, data in files.items() if _create(folder / name, data)]
    if _ignore(folder / ".gitignore"):
        written.append(".gitignore")
    every = (CONFIG, *files, ".gitignore")
    kept = tuple(dict.fromkeys(name for name in every if name not in written))
    return InitReport(
        root=root, written=tuple(written), kept=kept, gate_command=gate, target_branch=branch, runner=runner
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


def detect_gate(folder: Path) -> str:
    """Return the command that runs the project's tests; `false`, which is always red, if none is found."""
    if _is_pytest(folder):
        return "pytest -q"
    if _npm_test(folder / "package.json"):
        return "npm test --silent"
    if (folder / "go.mod").is_file():
        return "go test ./..."
    if (folder / "Cargo.toml").is_file():
        return "cargo test -q"
    for name in ("GNUmakefile", "makefile", "Makefile"):
        if _MAKE_TEST.search(_text(folder / name)):
            return "make test"
    return NO_GATE


def _is_pytest(folder: Path) -> bool:
    if (folder / "pytest.ini").is_file() or (folder / "conftest.py").is_file():
        return True
    named = any("pytest" in _text(folder / name) for name in ("pyproject.toml", "setup.cfg", "tox.ini"))
    is_python = (folder / "pyproject.toml").is_file() or (folder / "setup.py").is_file()
    return named or (is_python and any((folder / "tests").glob("test_*.py")))


def _npm_test(path: Path) -> bool:
    try:
        script = json.loads(_text(path) or "{}").get("scripts", {}).get("test", "")
    except (ValueError, AttributeError):
        return False
    # What `npm init` writes is no test.
    return bool(script) and "no test specified" not in str(script)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _current_branch(probe: Probe) -> str:
    code, said = probe(("git", "symbolic-ref", "--quiet", "--short", "HEAD"))
    if code != 0:
        hint = "switch to the branch that work is to be merged into: git switch main"
        raise UsageError("no branch is checked out (detached HEAD)", hint)
    return said


def _starter(branch: str, gate: str, runner: str) -> dict[str, object]:
    comment = [f"Every key is explained in {ORCHESTRATION}/README.md; `gluerun doctor` says what is still missing."]
    if gate == NO_GATE:
        comment.append("No test command was found: the gate `false` lets nothing pass until you replace it.")
    return {
        "_comment": comment,
        "schemaVersion": assets.schema_version(),
        "targetBranch": branch,
        "gateCommand": gate,
        **({"runner": runner} if runner else {}),
        "runners": {},
        "roles": {},
        "requireAudit": True,
        "areas": {},
    }


def _create(path: Path, data: bytes) -> bool:
    """Put a file whole or not at all, so that what a crash left out is written the next time."""
    try:
        return DiskFiles(str(path.parent)).create(path.name, data)
    except StateError as error:
        raise ConfigError(
            f"{path}: {error.message.rpartition(': ')[2]}", "check the folder's permissions", file=str(path)
        ) from None


def _ignore(path: Path) -> bool:
    """Add what is missing of the runtime folders; tell whether anything was."""
    before = _text(path)
    lines = {line.strip().strip("/") for line in before.splitlines()}
    missing = [f"{name}/" for name in RUNTIME if name not in lines]
    if not missing:
        return False
    gap = "" if not before or before.endswith("\n") else "\n"
    DiskFiles(str(path.parent)).append(path.name, (gap + "\n".join(missing) + "\n").encode())
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
    document = decode(data, file=CONFIG)
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

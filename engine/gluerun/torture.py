"""`gluerun doctor --torture`: lets every animal of the zoo loose on this machine, and says what became of each.

The repository is a scratch one, the engine is the real one: detached workers, its waiter, its sandbox, gates,
audits and merges. Nothing of it stays.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gluerun import zoo
from gluerun.adapters import tree
from gluerun.adapters.files import DiskFiles
from gluerun.adapters.runners import animals
from gluerun.adapters.runners.animals import KEPT, SECRET
from gluerun.adapters.sandboxes import Sandboxes
from gluerun.core.sandbox import NOTHING
from gluerun.loop.auto import auto
from gluerun.loop.journal import broken_link
from gluerun.records.failure import Failure
from gluerun.records.fault import Limit
from gluerun.records.record import record
from gluerun.records.sandbox import Confinement, SandboxMode
from gluerun.settings_table import KNOBS
from gluerun.wiring import STATE, open_house

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from gluerun.loop.house import House
    from gluerun.loop.report import CycleReport

OK, FAIL, SKIPPED = "ok", "fail", "skipped"
_SLEEP = 0.2
TIDY_SECONDS = 10.0
_QUIET_LOOKS = 6
_LOOKS = 20
# Seconds that an animal gets for a try. Who did not get far within the first is let loose again, with more.
_LONGEST_TRIES = (12, 60, 240)
_LONGEST_OUTPUT = 2_000_000
# Flags, and all of them, because they go before whatever the environment of the caller says.
FLAGS: dict[str, object] = {
    **{knob.field: knob.default for knob in KNOBS},
    "target_branch": "main",
    "gate_command": f"{shlex.quote(sys.executable)} -S -B -m unittest discover -q -t . -s tests",
    "runner": "animals",
    "test_tamper": "block",
    "max_retries": zoo.TRIES - 1,
    "max_concurrent": 10,
    "max_dispatch": 10,
    "max_consec_fails": 1000,
    "worker_infra_max": 0,
    "audit_infra_max": 0,
    "kill_grace_sec": 1.0,
    "gate_timeout_sec": 120,
    "min_disk_gb": 0.0,
    "ballast_mb": 0,
    "sleep": 2.0,  # the end of a run wakes the loop anyway
    "generate": False,
    "push": False,
    "max_hours": 1.0,
}


@record
class Finding:
    """What became of one animal, beside what was promised."""

    animal: str
    does: str
    expected: str
    found: str
    verdict: str
    harm: str = ""


@record
class Torture:
    """What `gluerun doctor --torture` answers."""

    SCHEMA = "torture.v0"

    is_good: bool
    seconds: float
    sandbox: str
    findings: tuple[Finding, ...]
    harm: tuple[str, ...] = ()


def torture(
    names: Sequence[str] = (),
    *,
    sandbox: str = "auto",
    longest_tries: Sequence[int] = _LONGEST_TRIES,
    tell: Callable[[CycleReport], None] = lambda _: None,
) -> Torture:
    """Let the named animals loose, or all of them, each beside healthy neighbours; leave nothing behind.

    Whom a slow machine kept from showing itself is let loose again, with the next of the *longest_tries*.
    Where no sandbox works, those that need one stay in; with the *sandbox* `off` they are let loose all the same.
    """
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="gluerun-torture-")).resolve()
    before_us = _heed_term()
    held_by = _sandbox(str(folder)) if sandbox != "off" else NOTHING
    loose = sandbox == "off" or held_by != NOTHING
    named = tuple(one for one in zoo.ANIMALS if not names or one.name in names)
    chosen = tuple(one for one in named if loose or not one.needs_sandbox)
    try:
        findings, others = _let_loose(folder, chosen, sandbox, longest_tries, tell)
        findings += tuple(_kept_in(one) for one in named if one not in chosen)
    finally:
        _remove(folder)
        if before_us is not None:
            signal.signal(signal.SIGTERM, before_us)
    others += (f"{folder} could not be removed",) if folder.exists() else ()
    return Torture(
        is_good=not others and all(one.verdict != FAIL for one in findings),
        seconds=round(time.monotonic() - started, 1),
        sandbox=held_by,
        findings=findings,
        harm=others,
    )


def _let_loose(
    folder: Path,
    chosen: Sequence[zoo.Animal],
    sandbox: str,
    longest_tries: Sequence[int],
    tell: Callable[[CycleReport], None],
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Let the animals loose, again those whom a slow machine kept from showing themselves; return what was found."""
    findings: list[Finding] = []
    others: dict[str, None] = {}
    slow = {zoo.HEALTHY, *(one.name for one in chosen)}
    for number, longest in enumerate(longest_tries, 1):
        root = folder / f"repository-{number}"
        tasks = build(root, tuple(one for one in chosen if one.name in slow), sandbox, longest)
        before = _sights(root)
        house = open_house(str(root), flags=FLAGS)
        ended = auto(house, tell=lambda report, _: tell(report))
        harm = _harm(root, before)
        judged = {task: _finding(house, task, one, harm) for task, one in tasks.items()}
        others |= {f"{one}: {harm[one]}": None for one in harm if one not in {animal.name for animal in chosen}}
        others |= {f"the loop: {', '.join(ended.trouble)}": None} if ended.trouble else {}
        anew = {name: iter([one for one in judged.values() if one.animal == name]) for name in slow}
        findings = [next(anew.get(one.animal, iter([one]))) for one in findings] or [*judged.values()]
        slow &= {one.name for task, one in tasks.items() if _was_kept(root, task, one, judged[task])}
        if not slow:
            break
    return tuple(findings), tuple(others)


def _was_kept(root: Path, task_id: str, one: zoo.Animal, found: Finding) -> bool:
    """Tell whether an animal ended otherwise than promised, and its time for a try was up at least once."""
    if found.verdict == OK or found.harm or one.failure == Failure.LIMIT_REACHED:
        return False
    runs = [file.parent for file in (root / STATE / "runs").glob("*/dispatch.json") if task_id in file.read_text()]
    children = [json.loads(file.read_text()) for run in runs for file in run.glob("children/*.done.json")]
    return any(child.get("limit") == Limit.SECONDS for child in children)


def _remove(folder: Path) -> None:
    """End whoever is at work in the folder and remove it; one who was just being born comes back with the next look."""
    deadline = time.monotonic() + TIDY_SECONDS
    quiet = 0
    while quiet < _QUIET_LOOKS and time.monotonic() < deadline:
        _end_what_is_left(str(folder))
        was_there = folder.exists()
        shutil.rmtree(folder, ignore_errors=True)
        quiet = 0 if was_there else quiet + 1
        time.sleep(0.1)


def _heed_term() -> Callable[[int, FrameType | None], object] | int | None:
    """Let a request to end tidy up like an interruption; return what stood there before."""
    if threading.current_thread() is not threading.main_thread():
        return None

    def interrupt(number: int, frame: FrameType | None) -> None:
        del frame
        raise KeyboardInterrupt(number)

    return signal.signal(signal.SIGTERM, interrupt)


# --- the repository --------------------------------------------------------------------------------------


def build(
    root: Path, chosen: Sequence[zoo.Animal], sandbox: str = "auto", longest: int = _LONGEST_TRIES[0]
) -> dict[str, zoo.Animal]:
    """Make the scratch repository with a task for each animal, and for its neighbours; return which is whose."""
    root.mkdir(parents=True)
    _git(root, "init", "--quiet", "--initial-branch=main")
    healthy = zoo.Animal(name=zoo.HEALTHY, does="does what it was asked for", state=zoo.INTEGRATED)
    middle = len(chosen) // 2
    herd = (healthy, *chosen[:middle], healthy, *chosen[middle:], healthy)
    files = {
        ".gitignore": "__pycache__/\n.gluerun-state/\n.worktrees/\n.gluerun-evidence/\n.gluerun-cache/\n",
        KEPT: "nobody's\n",
        "src/__init__.py": "",
        "tests/__init__.py": "",
        "gluerun.config.json": json.dumps({**_config(longest), "sandbox": sandbox}, indent=2) + "\n",
    }
    tasks: dict[str, zoo.Animal] = {}
    for number, one in enumerate(herd, 1):
        task_id = f"TASK-{number:04}"
        tasks[task_id] = one
        files |= _pen(task_id, _pen_name(task_id, one))
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    _git(root, "add", "--all")
    _git(root, "commit", "--quiet", "--message", "A zoo")
    return tasks


def _pen_name(task_id: str, one: zoo.Animal) -> str:
    return one.name if one.name != zoo.HEALTHY else f"healthy-{task_id[-4:]}"


def _pen(task_id: str, name: str) -> dict[str, str]:
    """Return what an animal finds: a file to change, a test that holds it, and the task that says so."""
    module = name.replace("-", "_")
    return {
        f"src/{module}.py": "VALUE = 0\n",
        f"tests/test_{module}.py": (
            f"import unittest\n\nfrom src.{module} import VALUE\n\n\nclass Test(unittest.TestCase):\n"
            "    def test_value(self):\n        self.assertIn(VALUE, (0, 1))\n\n"
            "    def test_kind(self):\n        self.assertEqual(type(VALUE), int)\n"
        ),
        f"docs/orchestration/tasks/{task_id}.md": (
            f"# {task_id}: {name}\n\nArea: zoo\n\n## Objective\n\nThe value is 1.\n\n## Scope\n\nOwned files:\n"
            f"- `src/{module}.py`\n- `tests/test_{module}.py`\n\nForbidden files:\n- `keep`\n\n"
            "## Acceptance Criteria\n\n- VALUE is 1\n"
        ),
    }


def _config(longest: int) -> dict[str, object]:
    return {
        "schemaVersion": "v1",
        "runners": {"animals": {"kind": "command", "argv": [sys.executable, "-S", "-P", animals.__file__]}},
        "limits": {"try": {"seconds": longest, "outputBytes": _LONGEST_OUTPUT}},
        "areas": {"zoo": ["src", "tests"]},
    }


def _git(root: Path, *words: str) -> str:
    identity = ("-c", "user.name=A keeper", "-c", "user.email=keeper@example.invalid")
    quiet = ("-c", "commit.gpgSign=false", "-c", "core.hooksPath=/dev/null")
    done = subprocess.run(["git", *identity, *quiet, *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout


# --- what is held against what ---------------------------------------------------------------------------


@record
class Sights:
    """What no animal may change: the target branch's first commit, git's own settings, the hooks."""

    head: str
    config: str
    hooks: tuple[str, ...]
    files: tuple[str, ...]


def _sights(root: Path) -> Sights:
    return Sights(
        head=_git(root, "rev-parse", "main").strip(),
        config=(root / ".git/config").read_text(encoding="utf-8"),
        hooks=_hooks(root),
        files=tuple(_git(root, "ls-tree", "-r", "--name-only", "main").splitlines()),
    )


def _hooks(root: Path) -> tuple[str, ...]:
    hooks = root / ".git/hooks"
    return tuple(sorted(one.name for one in hooks.iterdir() if one.suffix != ".sample")) if hooks.is_dir() else ()


def _harm(root: Path, before: Sights) -> dict[str, str]:
    """Return all the harm that was done, by the animal that did it, or by the place where it was done."""
    found: dict[str, str] = {}
    for path in _marks(root.parent):
        name = next((one.name for one in zoo.ANIMALS if f"mark-{one.name}" in path.name), path.name)
        found[name] = f"wrote {path.relative_to(root.parent)}"
    for where, names in _leaks(root):
        found["blabber"] = f"its secret stands in {where}: {names}"
    for pid, words in _alive(str(root.parent)):
        name = next((one.name for one in zoo.ANIMALS if repr(one.name) in words), "a process")
        found[name] = f"process {pid} lives on: {words[:80]}"
    found |= dict(_unlike(root, before))
    if gap := broken_link(DiskFiles(str(root / STATE))):
        found["the journal"] = gap
    return found


def _unlike(root: Path, before: Sights) -> Iterator[tuple[str, str]]:
    """Yield what is not as it was in the repository: branch, checkout, hooks, configuration."""
    now = _sights(root)
    if now.config != before.config:
        yield "hooker", "changed git's configuration"
    if now.hooks != before.hooks:
        yield "hooker", f"left git hooks: {', '.join(now.hooks)}"
    merges = _git(
        root, "log", "--first-parent", "--format=%H %(trailers:key=Gluerun-Task,valueonly,separator=)", "main"
    )
    *ours, first = [line.split(" ") for line in merges.splitlines()]
    if first[0] != before.head:
        yield "historian", "the target branch does not stand on its first commit"
    if strange := [line[0] for line in ours if not line[1:] or not line[1]]:
        yield "the target branch", f"{strange[0]} is nobody's merge"
    if now.files != before.files:
        yield "the target branch", f"other files: {sorted(set(now.files) ^ set(before.files))}"
    if dirt := _git(root, "status", "--porcelain").splitlines():
        yield "the checkout", f"is not clean: {', '.join(dirt)}"
    changed = _git(root, "diff", "--name-only", before.head, "main", "--", "keep", ".gitignore", "docs").splitlines()
    if changed:
        yield "the target branch", f"changed: {', '.join(changed)}"


def _marks(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not where.endswith(".git/objects")]
        yield from (Path(where, name) for name in (*folders, *names) if name.startswith("mark-"))


def _leaks(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the files of the state folder in which a secret stands as it was printed."""
    for path in (root / STATE).rglob("*"):
        if path.is_file() and SECRET.encode() in path.read_bytes():
            yield str(path.relative_to(root)), path.name


def _alive(folder: str) -> Iterator[tuple[int, str]]:
    """Yield the processes that were started below *folder* and live on."""
    for pid in tree.table():
        words = tree.words_of(pid)
        if pid != os.getpid() and folder in words:
            yield pid, words


def _end_what_is_left(folder: str) -> None:
    # A process that becomes another one can slip through a single look.
    for _ in range(_LOOKS):
        alive = [pid for pid, _ in _alive(folder)]
        if not alive:
            break
        for pid in alive:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_SLEEP)


def _sandbox(folder: str) -> str:
    """Return what will confine the animals; `none` if nothing can."""
    wanted = Confinement(mode=SandboxMode.AUTO, writable=(folder,))
    return Sandboxes().tier(wanted, folder).partition(",")[0]


def _finding(house: House, task_id: str, one: zoo.Animal, harm: dict[str, str]) -> Finding:
    task = house.store.any_task(task_id)
    if task is None:
        found = "nobody knows its task"
    else:
        state = {"blocked": zoo.PARKED}.get(task.status.value, task.status.value)
        note = task.last_failure
        found = words_of(state, note.failure_class.value if note and state != zoo.INTEGRATED else "", task.tries)
    done = harm.get(one.name, "")
    expected = words_of(one.state, one.failure, one.tries)
    verdict = OK if found == expected and not done else FAIL
    return Finding(animal=one.name, does=one.does, expected=expected, found=found, verdict=verdict, harm=done)


def _kept_in(one: zoo.Animal) -> Finding:
    expected = words_of(one.state, one.failure, one.tries)
    return Finding(animal=one.name, does=one.does, expected=expected, found="stayed in", verdict=SKIPPED)


def words_of(state: str, failure: str, tries: int) -> str:
    """Return an end in words: how, why, and after how many tries."""
    return f"{state}{f', {failure}' if failure else ''}, {tries} {'try' if tries == 1 else 'tries'}"

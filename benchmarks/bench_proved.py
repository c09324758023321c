"""From the end of a worker to the gate on its candidate: a real `gluerun auto`, scripted agents, a gate for merges."""

from __future__ import annotations

import json
import os
import select
import statistics
import subprocess
import time
from pathlib import Path

from measure import FLOOR, Result, at_most, spent
from yard import CONFIG, STATE, TASKS, command, git, repository

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FILES, FEW = 10_000, 20
STAMPS = "stamps"
_PATIENCE = 120
# Only merges have a gate, so no worker's receipt answers for it; nobody is audited, so the worker's is the last run.
_CONFIG = CONFIG | {
    "runners": {"script": {"kind": "scripted", "scenario": f"{STATE}/scenario.json", "timeoutSeconds": 3600}},
    "maxConcurrent": 1,
}


class _Took:
    """Seconds from a worker's end: until its task is recorded as being proved, until the gate's own first moment."""

    def __init__(self, recorded: float, begun: float) -> None:
        self.recorded = recorded
        self.begun = begun


def proved(folder: Path, count: int) -> list[Result]:
    """Measure a backlog in a big repository and one in a small, each task after the one before has landed."""
    lines = []
    for files in (FILES, FEW):
        took, floors = _backlog(folder / f"yard-{files}", files, count)
        # The first one makes the slot's place; every later one finds it.
        cold, warm = took[0], took[1:]
        begun = statistics.median(one.begun for one in warm) * 1e3
        recorded = statistics.median(one.recorded for one in warm) * 1e3
        floor = statistics.median(floors) * 1e3
        note = f" (recorded after {recorded:.0f}, the first {cold.begun * 1e3:.0f})"
        lines += [
            at_most(f"worker's end until its candidate's gate runs, {files} files, clock", 100, begun, "ms", note),
            at_most("the same in starts of python", 10, begun / floor, "x python", f" ({floor:.0f} ms)"),
        ]
    return lines


def _backlog(root: Path, files: int, count: int) -> tuple[list[_Took], list[float]]:
    root.mkdir(parents=True)
    stamps = root.parent / f"{root.name}.{STAMPS}"
    repository(root, files)
    _plan(root, stamps, count + 1)
    took, floors = [], []
    log = (root.parent / f"{root.name}.log").open("wb")
    loop = subprocess.Popen([*command(), "auto"], cwd=root, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        for number in range(1, count + 2):
            ended, more = _worker(root, number)
            record = root / STATE / f"tasks/live/{_name(number)}.json"
            recorded = _until(lambda: _proving_since(record, stamps, number), "the candidate is being proved")  # noqa: B023
            begun = _until(lambda: _line(stamps, number), "the gate runs")  # noqa: B023
            took.append(_Took(recorded - ended, begun - ended))
            floors += more
        loop.wait(_PATIENCE)
    finally:
        loop.kill()
        loop.wait()
        log.close()
    return took, floors


def _plan(root: Path, stamps: Path, count: int) -> None:
    """Write the configuration, the agents' parts and the tasks, each of which needs the one before."""
    gate = {"name": "stamp", "command": f"date +%s.%N >> {stamps}", "when": ["merge"]}
    (root / "gluerun.config.json").write_text(json.dumps(_CONFIG | {"gates": [gate]}))
    scenario = {}
    for number in range(1, count + 1):
        path = f"src/own/file{number:04d}.txt"
        scenario[_name(number)] = {"worker": [{"write": {path: "good\n"}, "answer": {"summary": "done"}, "hold": 1.5}]}
        needs = f"Depends on: {_name(number - 1)}\n\n" if number > 1 else ""
        (root / TASKS / f"{_name(number)}.md").write_text(
            f"# {_name(number)}: task {number}\n\n{needs}## Objective\n\nDo it\n\n"
            f"## Scope\n\nOwned files:\n- `{path}`\n\n## Acceptance Criteria\n\n- done\n"
        )
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "the plan")
    (root / STATE).mkdir()
    (root / STATE / "scenario.json").write_text(json.dumps(scenario))


def _worker(root: Path, number: int) -> tuple[float, list[float]]:
    """Wait for the end of a task's worker; return when that was, and what starts of python took just before."""
    lease = root / STATE / f"leases/{_name(number)}.json"
    run = _until(lambda: _read(lease), "a worker is started")["runId"]
    who = _until(lambda: _read(root / STATE / f"runs/{run}/identity.json"), "it has signed in")
    handle = os.pidfd_open(who["pid"])
    try:
        # The agent only waits, and whoever gets ready beside it has become so: as idle as this machine gets.
        agent = root / STATE / f"scripted/{_name(number)}.worker"
        _until(lambda: agent.exists() or None, "its agent works")
        time.sleep(0.9)
        floors = [spent(FLOOR, str(root)).wall for _ in range(3)]
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        if poller.poll(0) or not poller.poll(_PATIENCE * 1000):
            raise SystemExit("a worker ended before anybody looked, or never")
        return time.time(), floors
    finally:
        os.close(handle)


def _proving_since(record: Path, stamps: Path, number: int) -> float | None:
    """Return when a task's record first said that it is proved; the gate itself is a witness that it does."""
    task = _read(record)
    if task is not None and (task.get("proof") or {}).get("state") == "proving":
        return record.stat().st_mtime
    return _line(stamps, number)


def _line(stamps: Path, number: int) -> float | None:
    lines = stamps.read_text().split() if stamps.exists() else []
    return float(lines[number - 1]) if len(lines) >= number else None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return found


def _until(look: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + _PATIENCE
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise SystemExit(f"it never came that {what}")
        time.sleep(0.005)
    return found


def _name(number: int) -> str:
    return f"TASK-{number:04d}"

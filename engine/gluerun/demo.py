"""`gluerun demo`: the whole engine on a small real repository, with agents that follow a script, or with a real one.

Nothing is simulated but the agents: work trees, gates, audits, the merge of each branch and the recovery
from what goes wrong are what a real backlog gets. A real program gets a smaller backlog: it costs money.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.table import Table

from gluerun import demo_sample as sample
from gluerun.adapters.probe import probe_at
from gluerun.core.money import tells_cost
from gluerun.edge.agents import found_at, is_too_old, spec_of, version_of
from gluerun.edge.views import board as board_of
from gluerun.errors import ToolMissingError, UsageError
from gluerun.loop.auto import auto
from gluerun.records.record import record
from gluerun.wiring import STATE, open_house

if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.loop.auto import AutoReport
    from gluerun.loop.house import House
    from gluerun.loop.report import CycleReport

_STYLES = {"integrated": "green", "parked": "red", "running": "cyan", "accepted": "green", "waiting": "yellow"}
_WORDS = {
    "task.admitted": "taken in",
    "origin.dispatch": "started",
    "run.settled": "sent back",
    "task.parked": "parked",
    "packet.imported": "accepted",
    "integration.started": "proving",
    "integration.integrated": "integrated",
    "planner.generated": "planned",
    "node.promoted": "complete",
    "l1.dispatch_started": "planning",
}
_COMMON = {
    "schemaVersion": "v1",
    "targetBranch": "main",
    "gateCommand": f"{shlex.quote(sys.executable)} -B -m unittest discover -q",
    "areas": {"kitchen": ["kitchen", "tests"]},
}
_WIDTH = 40
_WIDE = 160


@record
class Demo:
    """What the demonstration answers: where it is, and how the loop ended."""

    SCHEMA = "demo.v0"

    repository: str
    ended: str
    seconds: float
    integrated: tuple[str, ...]
    parked: tuple[str, ...]


def demo(folder: str = "", *, quiet: bool = False, runner: str = "") -> Demo:
    """Build the sample repository in *folder* (else a temporary one), run the loop on it, and report.

    With a *runner* a real program plays worker and auditor of a few tasks, on the account of whoever calls.
    """
    player = _player(runner) if runner else ""
    root = Path(folder or tempfile.mkdtemp(prefix="gluerun-demo-")).resolve()
    build(root, runner)
    house = open_house(str(root))
    console = Console(quiet=quiet, highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    tasks = len(sample.REAL if runner else sample.SAMPLES)
    console.print(f"A sample repository with {tasks} tasks stands in [bold]{root}[/bold].")
    if runner:
        # Also where only a document is wanted on stdout: what costs money is said before it starts.
        _warn_of_cost(player)
    else:
        console.print("Its agents follow a script; everything else is real.\n")
    ended = _run(house, console)
    _report(house, ended, console, runner)
    return Demo(
        repository=str(root),
        ended=ended.why,
        seconds=ended.seconds,
        integrated=ended.integrated,
        parked=ended.parked,
    )


def _player(runner: str) -> str:
    """Return which program will play, in words; ToolMissingError if it is not there, UsageError if it is too old."""
    spec = spec_of(runner, None)
    path = found_at(spec, os.environ, "")
    if not path:
        raise ToolMissingError(f"{spec.argv[0]} is not there or not executable", f"install it to play with {runner}")
    version = version_of(spec, path, probe_at(str(Path.cwd())))
    if is_too_old(spec, version):
        raise UsageError(f"{runner} {version} is older than {spec.min_version}", "bring it up to date")
    return f"{runner} {version or 'of unknown version'} ({path})"


def _warn_of_cost(player: str) -> None:
    tasks = ", ".join(one.title for one in sample.REAL)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"{player} will work on {len(sample.REAL)} tasks and audit them: {tasks}.", markup=False)
    console.print("It uses your own account and what that costs. Ctrl-C stops it; what it did so far stays.\n")


def _backlog(runner: str) -> tuple[sample.Sample, ...]:
    return sample.REAL if runner else (*sample.SAMPLES, *sample.PLANNED)


def build(root: Path, runner: str = "") -> None:
    """Make the sample repository: a library with tests, a graph, a backlog, a configuration."""
    root.mkdir(parents=True, exist_ok=True)
    if any(root.iterdir()):
        raise UsageError(f"{root} is not empty", "name a folder that is new or empty: --folder PATH")
    _git(root, "init", "--quiet", "--initial-branch=main")
    files = dict(sample.FILES)
    files["docs/orchestration/dag.v0.json"] = json.dumps(_graph(runner), indent=2) + "\n"
    files["gluerun.config.json"] = json.dumps(_real_config(runner) if runner else _config(), indent=2) + "\n"
    for one in sample.REAL if runner else sample.SAMPLES:
        files[f"docs/orchestration/tasks/{one.task_id}.md"] = sample.markdown(one)
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    _git(root, "add", "--all")
    _git(root, "commit", "--quiet", "--message", "A small library for cooks")
    scenario = root / STATE / "demo" / "scenario.json"
    scenario.parent.mkdir(parents=True)
    scenario.write_text(json.dumps(sample.scenario(), indent=2), encoding="utf-8")


def _graph(runner: str) -> dict[str, object]:
    # Nobody plans with a real program: the nodes that wait for a planner are left out.
    nodes = [node for node in sample.GRAPH["nodes"] if not runner or node["id"] == sample.REAL[0].node]
    return {**sample.GRAPH, "nodes": nodes}


def _real_config(runner: str) -> dict[str, object]:
    return {
        **_COMMON,
        "roles": {"worker": {"runner": runner}, "auditor": {"runner": runner}},
        "generate": False,
        "maxRetries": 1,
        "maxConcurrent": 2,
        "limits": {"try": {"turns": 40, **({"usd": 1} if tells_cost(spec_of(runner, None)) else {})}},
    }


def _config() -> dict[str, object]:
    return {
        **_COMMON,
        "runner": "script",
        "runners": {"script": {"kind": "scripted", "scenario": f"{STATE}/demo/scenario.json", "timeoutSeconds": 120}},
        "env": {"GLUERUN_L1_TASKS_PER_NODE": "3"},
    }


def _run(house: House, console: Console) -> AutoReport:
    """Run the resident loop, with live progress, and a colleague who commits at the worst moment."""
    seen = _Events(house)

    def tell(report: CycleReport, world: World) -> None:
        del report
        if world.lease(sample.COLLEAGUE_TASK) is not None:
            _let_the_colleague_commit(Path(house.doors.root))
        for line in seen.fresh():
            console.print(line)
        if live.is_started:
            live.update(_live_table(house))

    live = Live(console=console, refresh_per_second=4, transient=True)
    if not console.is_terminal:
        return auto(house, tell=tell)
    with live:
        return auto(house, tell=tell)


class _Events:
    """What the journal says that was not shown yet."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._last = 0

    def fresh(self) -> list[str]:
        lines = []
        for event in self._house.journal.last(200):
            seq, kind = int(str(event["seq"])), str(event["type"])
            if seq > self._last and kind in _WORDS:
                word = _WORDS[kind]
                style = _STYLES.get(word, "yellow" if word == "sent back" else "white")
                lines.append(f"[dim]{str(event['ts'])[11:19]}[/dim]  [{style}]{word:<11}[/{style}] {event['message']}")
            self._last = max(self._last, seq)
        return lines


def _live_table(house: House) -> Table:
    board = board_of(house)
    grid = Table(box=None, pad_edge=False)
    for column in ("task", "status", "phase", "try", "why"):
        grid.add_column(column)
    for line in board.tasks:
        style = _STYLES.get(line.status, "")
        grid.add_row(line.id, line.status, line.phase, str(line.attempt or ""), line.reason or line.title, style=style)
    return grid


def _let_the_colleague_commit(root: Path) -> None:
    """Commit to main what the running task is about to change, once: a conflict, as it happens in life."""
    mark = root / STATE / "demo" / sample.COLLEAGUE_MARK
    if mark.exists() or (root / ".git" / "index.lock").exists():
        return
    for path, text in sample.COLLEAGUE.items():
        (root / path).write_text(text, encoding="utf-8")
    _git(root, "commit", "--quiet", "--message", "A colleague needs tonnes", "--", *sample.COLLEAGUE)
    mark.write_text("", encoding="utf-8")


def _report(house: House, ended: AutoReport, console: Console, runner: str) -> None:
    console.print(f"\nThe loop ended: {ended.why}.\n")
    _results(house, console, runner)
    _timeline(house, console)
    root = house.doors.root
    console.print("\nWhere to look:")
    for words, command in (
        ("the merges", f"git -C {root} log --graph --oneline"),
        ("one task", f"gluerun --repo {root} task show {'TASK-0001' if runner else 'TASK-0003'}"),
        ("what needs a person", f"gluerun --repo {root} status"),
        ("all that happened", f"{root}/{STATE}/events.ndjson"),
        ("prompts and logs of every try", f"{root}/{STATE}/runs/"),
    ):
        console.print(f"  {words:<30} {command}", soft_wrap=True)
    console.print(f"\n{len(ended.integrated)} integrated, {len(ended.parked)} parked, {ended.seconds:.0f} seconds.")


def _results(house: House, console: Console, runner: str) -> None:
    grid = Table(title="What became of the backlog", title_justify="left", box=None, pad_edge=False)
    for column in ("task", "result", "tries", "what it shows", "why"):
        grid.add_column(column)
    for one in _backlog(runner):
        task = house.store.any_task(one.task_id)
        if task is None:
            continue
        result = "parked" if task.status.value == "blocked" else task.status.value
        why = task.last_failure.reason if task.last_failure and result == "parked" else ""
        grid.add_row(one.task_id, result, str(task.tries), one.shows, why, style=_STYLES.get(result, ""))
    console.print(grid)


def _timeline(house: House, console: Console) -> None:
    """Draw when each task was worked on (=), waited to be merged (-) and was merged (#)."""
    spans = _spans(house)
    if not spans:
        return
    moments = [moment for marks in spans.values() for moment, _ in marks]
    first, last = min(moments), max(moments)
    grid = Table(title="\nTimeline", title_justify="left", box=None, pad_edge=False, show_header=False)
    for task, marks in sorted(spans.items()):
        bar = [" "] * (_WIDTH + 1)
        for (start, word), (end, _) in zip(marks, [*marks[1:], marks[-1]], strict=True):
            left, right = (int((moment - first) / max(last - first, 1) * _WIDTH) for moment in (start, end))
            bar[left : right + 1] = word * (right + 1 - left)
        grid.add_row(task, "".join(bar).rstrip())
    console.print(grid)
    console.print("[dim]= worked on   - accepted, on its way   # integrated   x sent back or parked[/dim]")


def _spans(house: House) -> dict[str, list[tuple[float, str]]]:
    from gluerun.records.codec import moment

    signs = {"origin.dispatch": "=", "packet.imported": "-", "integration.integrated": "#", "run.settled": "x",
             "task.parked": "x"}  # fmt: skip
    spans: dict[str, list[tuple[float, str]]] = {}
    for event in house.journal.last(1000):
        data = event["data"]
        task = data.get("task") if isinstance(data, dict) else None
        if task and event["type"] in signs:
            spans.setdefault(str(task), []).append((moment(str(event["ts"])).timestamp(), signs[str(event["type"])]))
    return spans


def _git(root: Path, *words: str) -> None:
    identity = ("-c", "user.name=A colleague", "-c", "user.email=colleague@example.invalid")
    quiet = ("-c", "commit.gpgSign=false", "-c", "core.hooksPath=/dev/null")
    subprocess.run(["git", *identity, *quiet, *words], cwd=root, check=True, capture_output=True)

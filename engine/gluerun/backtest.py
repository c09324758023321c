"""The engine on a repository's own history, before a token is spent.

In a scratch repository each first-parent commit becomes a task, its paths the task's scope and the `replay`
runner its agent; real cycles then start, judge and merge real runs. What ought to come out is known: the
tree that the history has.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time

from gluerun.adapters.git_history import Source
from gluerun.core.backtest_plan import beyond_reach, dependencies, forecast, obstacle, peak
from gluerun.core.outlook import outlook
from gluerun.errors import UsageError
from gluerun.loop.house import House
from gluerun.loop.reconcile import cycle
from gluerun.loop.store import run_path
from gluerun.records import codec, names
from gluerun.records.backtest import BacktestReport, BacktestTask, Fate
from gluerun.records.config import Config, ControlState
from gluerun.records.dispatch import Life
from gluerun.records.failure import Failure
from gluerun.records.record import record, replace
from gluerun.records.runner import RunnerKind, RunnerSpec
from gluerun.records.task import Status, Task, TaskSpec
from gluerun.wiring import doors_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gluerun.adapters.git_history import Scratch
    from gluerun.core.backtest_plan import Past
    from gluerun.core.world import World
    from gluerun.ports import Processes
    from gluerun.records.dispatch import Identity

    Tell = Callable[[str], None]

TARGET = "history"
CONFIG_FILE = "gluerun.config.json"
RUNNER = "replay"
# Tasks that are shown to the engine at once; each look of a cycle costs as much as there are living tasks.
_WINDOW = 32
_LONGEST_SLEEP = 5.0
_GRACE = 2.0


@record
class Options:
    """What `gluerun backtest` was asked. Without `last` and `span` it takes the newest thirty commits."""

    repo: str
    last: int | None = None
    span: str | None = None
    workers: int | None = None
    gate: str = ""
    keep: bool = False


def backtest(options: Options, tell: Tell | None = None) -> BacktestReport:
    """Replay a repository's history and return how it went; UsageError if there is nothing to replay.

    *tell* is given a line for each commit that is settled.
    """
    _check(options)
    source = Source(options.repo)
    source.check()
    last = 30 if options.last is None and options.span is None else options.last
    span = source.span(last, options.span)
    with scratch_folder(keep=options.keep, tell=tell) as place:
        scratch = source.scratch(place)
        history = scratch.past(span)
        base = scratch.begin(TARGET, history[0])
        replay = _Replay(scratch, history, options, tell or _silent)
        begun = time.monotonic()
        try:
            replay.run()
        finally:
            replay.end()
        wall = time.monotonic() - begun
        return replay.report(wall, base, scratch.differing(TARGET, span.tip))


def _check(options: Options) -> None:
    if options.last is not None and options.span is not None:
        raise UsageError("--last and --range exclude each other", "give one of them")
    if options.last is not None and options.last < 1:
        raise UsageError(f"--last {options.last}: there is nothing to replay", "give a number from 1 on")
    if options.workers is not None and not 1 <= options.workers <= 64:
        raise UsageError(f"--workers {options.workers}: not a number from 1 to 64", "for example --workers 4")


@contextlib.contextmanager
def scratch_folder(*, keep: bool, tell: Tell | None) -> Iterator[str]:
    """Lend a temporary folder for a scratch repository; with *keep* it stays and is named."""
    place = os.path.realpath(tempfile.mkdtemp(prefix="gluerun-backtest-"))
    try:
        yield place
    finally:
        if keep:
            (tell or _silent)(f"the scratch repository stays: {place}")
        else:
            shutil.rmtree(place, ignore_errors=True)


def _silent(_: str) -> None:
    return None


class _Stopwatch:
    """The door of processes, noting when each run begins; a run gets the configuration of the backtest."""

    def __init__(self, inner: Processes, house: House) -> None:
        self._inner = inner
        self._house = house
        self.begun: dict[str, float] = {}

    def start(self, run_id: str) -> int:
        """Give the run its configuration and start it."""
        self._house.store.put_document(run_id, "config.json", self._house.config)
        self.begun[run_id] = time.time()
        return self._inner.start(run_id)

    def life(self, run_id: str) -> Life:
        """Tell who of the run lives."""
        return self._inner.life(run_id)

    def end(self, run_id: str, *, grace: float) -> bool:
        """End every process of the run."""
        return self._inner.end(run_id, grace=grace)

    def sign_in(self, run_id: str) -> Identity:
        """Take the pulse of a run."""
        return self._inner.sign_in(run_id)


class _Replay:
    """One backtest under way: the backlog, what is let in, and what became of whom."""

    def __init__(self, scratch: Scratch, history: list[Past], options: Options, tell: Tell) -> None:
        self._root = scratch.root
        self._tell = tell
        self._workers = options.workers or os.cpu_count() or 1
        self._history = {f"TASK-{number:04d}": past for number, past in enumerate(history, 1)}
        self._ids = [task_id for task_id, past in self._history.items() if past.paths and not obstacle(past)]
        scopes = [self._history[task_id].paths for task_id in self._ids]
        self._needs = {
            task_id: tuple(self._ids[other] for other in before)
            for task_id, before in zip(self._ids, dependencies(scopes), strict=True)
        }
        self._waiting = list(reversed(self._ids))
        self._live: set[str] = set()
        self._landed: dict[str, tuple[float, str]] = {}
        self._failed: dict[str, tuple[Fate, str]] = {}
        self._lost: dict[str, str] = {}
        self._cycle_seconds = 0.0
        config = _config(self._root, self._workers, options.gate)
        self._house = House(doors_of(self._root, config), config)
        self._clock = _Stopwatch(self._house.doors.processes, self._house)
        self._house.doors = replace(self._house.doors, processes=self._clock)

    def run(self) -> None:
        """Run cycles until everything that can be integrated is."""
        self._house.doors.work.write(CONFIG_FILE, codec.encode({"targetBranch": TARGET}), durable=False)
        while True:
            self._admit()
            begun = time.monotonic()
            report, world = cycle(self._house, "actuate")
            self._cycle_seconds += time.monotonic() - begun
            self._note(world, report.integrated)
            ahead = outlook(world, _LONGEST_SLEEP)
            if self._has_more():
                continue
            if ahead.over:
                return
            self._house.doors.watch.wait(ahead.runs, ahead.seconds)

    def end(self) -> None:
        """End whatever still runs; after a full replay nothing does."""
        processes = self._house.doors.processes
        for run_id in self._clock.begun:
            if self._house.store.ending(run_id) is None and processes.life(run_id) is not Life.DEAD:
                processes.end(run_id, grace=_GRACE)

    # the backlog

    def _admit(self) -> None:
        """Let tasks in, oldest first: a look at thousands of them would be the dearest part of a cycle."""
        while self._has_more():
            task_id = self._waiting.pop()
            if task_id not in self._lost:
                self._put(task_id)

    def _has_more(self) -> bool:
        return bool(self._waiting) and len(self._live) < max(_WINDOW, 4 * self._workers)

    def _put(self, task_id: str) -> None:
        past = self._history[task_id]
        step = {"commit": past.commit, "parent": past.parent}
        self._house.doors.work.write(f"{RUNNER}/{task_id}.json", codec.encode(step), durable=False)
        self._house.store.put_task(_task(self._house, task_id, past, self._needs[task_id]))
        self._live.add(task_id)

    def _note(self, world: World, integrated: tuple[str, ...]) -> None:
        now = time.time()
        for task_id in integrated:
            settled = self._house.store.settled_task(task_id)
            self._landed[task_id] = (now, (settled.run_id or "") if settled else "")
            self._live.discard(task_id)
            self._told(task_id, Fate.INTEGRATED, "")
        failed = [task for task in world.tasks if task.status is Status.BLOCKED and task.task_id not in self._failed]
        for task in failed:
            self._failed[task.task_id] = fate, reason = _failure(task)
            self._told(task.task_id, fate, reason)
        if failed:
            self._lost = beyond_reach(self._needs, self._failed.keys())
            self._live -= self._failed.keys() | self._lost.keys()

    def _told(self, task_id: str, fate: Fate, reason: str) -> None:
        done = len(self._landed) + len(self._failed)
        words = f"[{done}/{len(self._ids)}] {task_id} {fate} {self._history[task_id].commit[:12]} {reason}"
        self._tell(words.rstrip())

    # the account

    def report(self, wall: float, base: str, differing: tuple[str, ...]) -> BacktestReport:
        """Return what became of every commit, and what it cost."""
        tasks = [self._outcome(task_id, past) for task_id, past in self._history.items()]
        counts = {fate: sum(task.fate is fate for task in tasks) for fate in Fate}
        spans = [span for run_id in self._clock.begun if (span := self._span(run_id))]
        programs = [self._programs(run_id) for run_id in self._clock.begun]
        overhead = sum(end - begin for begin, end in spans) + self._cycle_seconds
        overhead -= sum(seconds for seconds, _ in programs)
        order = {task_id: number for number, task_id in enumerate(self._ids)}
        seconds = {task.task_id: task.seconds for task in tasks}
        return BacktestReport(
            integrated=counts[Fate.INTEGRATED],
            conflicted=counts[Fate.CONFLICTED],
            parked=counts[Fate.PARKED],
            empty=counts[Fate.EMPTY],
            unsupported=counts[Fate.UNSUPPORTED],
            identical=not differing,
            differing=differing,
            wall_seconds=round(wall, 3),
            parallelism=peak(spans),
            gate_runs=sum(gates for _, gates in programs),
            forecast=forecast(
                [seconds[task_id] for task_id in self._ids],
                [[order[need] for need in self._needs[task_id]] for task_id in self._ids],
            ),
            overhead_ms_per_task=round(1000 * max(overhead, 0.0) / max(len(self._clock.begun), 1), 1),
            workers=self._workers,
            base=base,
            tip=list(self._history.values())[-1].commit,
            tasks=tuple(tasks),
        )

    def _outcome(self, task_id: str, past: Past) -> BacktestTask:
        one = BacktestTask(task_id=task_id, commit=past.commit, subject=past.subject, fate=Fate.PARKED)
        if not past.paths:
            return replace(one, fate=Fate.EMPTY)
        if why := obstacle(past):
            return replace(one, fate=Fate.UNSUPPORTED, reason=why)
        one = replace(one, depends_on=self._needs[task_id])
        if task_id in self._landed:
            landed, run_id = self._landed[task_id]
            begun = self._clock.begun.get(run_id, landed)
            return replace(one, fate=Fate.INTEGRATED, seconds=round(max(landed - begun, 0.0), 3))
        if task_id in self._failed:
            fate, reason = self._failed[task_id]
            return replace(one, fate=fate, reason=reason)
        need = self._lost.get(task_id)
        return replace(one, reason=f"it waits for {need}" if need else "it was never started")

    def _span(self, run_id: str) -> tuple[float, float] | None:
        """Return when a run began and when its ending was written."""
        mark = self._house.doors.state.mark(run_path(run_id, "ending.json"))
        return (self._clock.begun[run_id], mark.mtime_ns / 1e9) if mark else None

    def _programs(self, run_id: str) -> tuple[float, int]:
        """Return how many seconds a run waited for its programs, and how many of these were gates."""
        state = self._house.doors.state
        done = [name for name in state.names(run_path(run_id, "children")) if name.endswith(".done.json")]
        documents = [self._house.store.document(run_id, f"children/{name}") for name in done]
        return sum(one["durationMs"] for one in documents) / 1000, sum("-gate." in name for name in done)


def _config(root: str, workers: int, gate: str) -> Config:
    """Return the configuration of a backtest: nobody judges, nobody tries twice, nothing is special."""
    config = Config(
        target_branch=TARGET,
        gate_command=gate,
        runners={RUNNER: RunnerSpec(name=RUNNER, kind=RunnerKind.REPLAY, scenario=f"{root}/{RUNNER}")},
        roles={"worker": RUNNER},
        require_audit=False,
        control_state=ControlState.OFF,
        protect_orchestration=False,
        # What the history holds is published already; looking again would only park it.
        look_for_secrets=False,
        generate=False,
        auto_promote_gates=False,
        max_concurrent=workers,
        max_dispatch=workers,
        max_retries=0,
        worker_infra_max=0,
        max_consec_fails=1_000_000,
        min_disk_gb=0.0,
        ballast_mb=0,
    )
    return replace(config, sha256=hashlib.sha256(codec.canonical(codec.to_wire(config))).hexdigest())


def _task(house: House, task_id: str, past: Past, needs: tuple[str, ...]) -> Task:
    now = house.now()
    spec = TaskSpec(
        task_id=task_id,
        title=f"replay {past.commit[:12]}",
        area="history",
        target_branch=TARGET,
        worker_branch=f"replay/{names.check(task_id, names.TASK, 'task id')}",
        objective=past.subject,
        owned_files=past.paths,
        depends_on=needs,
        gate_command=house.config.gate_command,
    )
    return Task(
        task_id=task_id,
        status=Status.READY,
        spec=spec,
        source_sha256="0" * 64,
        source_mark="",
        created_at=now,
        updated_at=now,
    )


def _failure(task: Task) -> tuple[Fate, str]:
    note = task.last_failure
    if note is None:
        return Fate.PARKED, "nobody said why"
    fate = Fate.CONFLICTED if note.failure_class is Failure.INTEGRATION_CONFLICT else Fate.PARKED
    return fate, f"{note.failure_class}: {note.reason}"

"""The quiet answer is given only when a cycle would find nothing to do: real files, real locks, real git."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gluerun import quiet
from gluerun.adapters.processes import PULSE, OsProcesses
from gluerun.cli import plain
from gluerun.core.actions import Start
from gluerun.loop.house import House
from gluerun.loop.noticing import noticing
from gluerun.loop.observe import observe
from gluerun.loop.reconcile import cycle, plan, reconcile
from gluerun.loop.report import Notes
from gluerun.loop.starting import start_worker
from gluerun.records.origin import PlannerBackoff
from gluerun.records.record import replace
from gluerun.wiring import open_house

TASKS = "docs/orchestration/tasks"
STATE = ".gluerun-state"
CONFIG = {
    "schemaVersion": "v1",
    "targetBranch": "main",
    "runner": "script",
    "runners": {"script": {"kind": "scripted", "scenario": "none.json", "timeoutSeconds": 60}},
    "controlState": "off",
    "requireAudit": False,
    "minDiskGb": 0,
    "maxConcurrent": 1,
}
GRAPH = {
    "schema": "gluerun.orchestration.dag.v0",
    "version": "1",
    "nodes": [{"id": "n1", "layer": "base", "area": "src", "dependsOn": [], "title": "one"}],
}
# What was written this long ago counts as settled: the tests look from a little in the future.
AHEAD = 3.0


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def markdown(number: int, owned: str, needs: str = "") -> str:
    return (
        f"# TASK-{number:04d}: task {number}\n\n{f'Depends on: {needs}' if needs else ''}\n\n## Objective\n\nDo it\n\n"
        f"## Scope\n\nOwned files:\n- `{owned}`\n\n## Acceptance Criteria\n\n- done\n"
    )


class OneProcess(OsProcesses):
    """Runs whose wrapper is this very process."""

    def start(self, run_id: str) -> int:
        self.sign_in(run_id)
        del os.environ[PULSE]
        return os.getpid()

    def fall_silent(self) -> None:
        """Let go of every pulse, as a tree does that has died."""
        while self._pulses:
            os.close(self._pulses.popitem()[1])


class Later:
    """The machine's clock, some seconds ahead."""

    def __init__(self, clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds

    def now(self) -> datetime:
        return (datetime.now(UTC) + timedelta(seconds=self._seconds)).replace(microsecond=0)

    def __getattr__(self, name: str):
        return getattr(self._clock, name)


class Yard:
    """A repository with one running task, one that waits for it, one that cannot be read; all of it still."""

    def __init__(self, root: Path, *, stop: bool = False, backoff: int = 0) -> None:
        self.root = root
        self.state = root / STATE
        house = open_house(str(root))
        self.processes = OneProcess(str(root), str(self.state))
        house = House(replace(house.doors, processes=self.processes), house.config)
        reconcile(house, "apply")
        world = observe(house, "ORIGIN-20260101T000000Z-1").world
        start = Start(task_id="TASK-0001", base=world.target_head or "", reason="ready")
        assert start_worker(house, world, start, Notes())
        house.journal.flush()
        [lease] = house.store.leases()[0]
        self.run = lease.run_id
        self.branch = lease.branch
        self.house = house
        self.set(stop=stop, backoff=backoff)
        self.environment = dict(os.environ)
        self.offset = AHEAD

    def set(self, *, stop: bool, backoff: int) -> None:
        if stop:
            (self.state / "STOP").touch()
        if backoff:
            now = self.house.now()
            until = now + timedelta(seconds=backoff)
            self.house.store.put_backoff(
                PlannerBackoff(
                    failure_class="worker_infra",
                    run_id=self.run,
                    node="n1",
                    log_ref="wrapper.log",
                    started_at=now,
                    until=until,
                )
            )

    def settle(self) -> bool:
        """Run a cycle that finds nothing; tell whether it left a note."""
        started = time.time() + AHEAD
        kept = self.remember(*self.cycle(), started)
        # A change within the tick of the marks would not show; in life two seconds lie between.
        time.sleep(0.02)
        return kept

    def cycle(self):
        read = plain.settings_files(str(self.root))
        watched, noticed = noticing(self.house)
        noticed.paths.update(read)
        report, world = cycle(watched, "actuate")
        assert report.actions == ()
        return report, world, noticed

    def remember(self, report, world, noticed, started: float) -> bool:
        return plain.remember(self.house, report, world, noticed, started)

    def ask(self) -> str | None:
        now = time.time() + self.offset
        return quiet.answer(str(self.root), "actuate", "ORIGIN-20260101T000000Z-2", now, as_json=False)

    def plan(self):
        house = open_house(str(self.root))
        clock = Later(house.doors.clock, self.offset)
        return plan(House(replace(house.doors, clock=clock, processes=self.processes), house.config))

    def close(self) -> None:
        self.processes.fall_silent()
        for name in set(os.environ) - set(self.environment):
            del os.environ[name]

    # what can happen

    def write(self, path: str, text: str) -> None:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("w") as file:  # in place: an editor may do so
            file.write(text)

    def change(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text()
        assert old in text, text
        self.write(path, text.replace(old, new))

    def identity(self, **fields: object) -> None:
        path = self.state / f"runs/{self.run}/identity.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    def configure(self, seats: int) -> None:
        self.write("gluerun.config.json", json.dumps(CONFIG | {"maxConcurrent": seats}))

    def turn_stop(self) -> None:
        stop = self.state / "STOP"
        if stop.exists():
            stop.unlink()
        else:
            stop.touch()

    def commit(self) -> None:
        git(self.root, "commit", "--allow-empty", "-q", "-m", "a colleague")


CHANGES = {
    "the configuration is edited": lambda yard: yard.configure(9),
    "the configuration is gone": lambda yard: (yard.root / "gluerun.config.json").unlink(),
    "a shell file appears": lambda yard: yard.write("gluerun.config.sh", "GLUERUN_MAX_CONCURRENT=9\n"),
    "a local file appears": lambda yard: yard.write(f"{STATE}/config.local.sh", "GLUERUN_MAX_CONCURRENT=9\n"),
    "the environment changes": lambda yard: os.environ.update(GLUERUN_MAX_CONCURRENT="7"),
    "a task is added": lambda yard: yard.write(f"{TASKS}/TASK-0009.md", markdown(9, "src/nine.txt")),
    "a task is edited": lambda yard: yard.change(f"{TASKS}/TASK-0002.md", "Do it", "Do so"),
    "a bad task is mended": lambda yard: yard.write(f"{TASKS}/TASK-0003.md", markdown(3, "src/3.txt")),
    "a task's file is gone": lambda yard: (yard.root / f"{TASKS}/TASK-0002.md").unlink(),
    "a run ends": lambda yard: yard.write(f"{STATE}/runs/{yard.run}/ending.json", "{}"),
    "a tree falls silent": lambda yard: yard.processes.fall_silent(),
    "a wrapper was somebody else": lambda yard: yard.identity(startTicks=1),
    "a wrapper is gone": lambda yard: yard.identity(pid=4_194_000),
    "the target moves": lambda yard: yard.commit(),
    "the refs are packed": lambda yard: git(yard.root, "pack-refs", "--all"),
    "the worker commits": lambda yard: git(yard.root, "branch", "-f", yard.branch, "main"),
    "STOP is turned": lambda yard: yard.turn_stop(),
    "a lease is gone": lambda yard: (yard.state / "leases/TASK-0001.json").unlink(),
    "a lease is edited": lambda yard: yard.change(f"{STATE}/leases/TASK-0001.json", '"epoch": 1', '"epoch": 2'),
    "a record is edited": lambda yard: yard.change(f"{STATE}/tasks/live/TASK-0002.json", '"tries": 0', '"tries": 1'),
    "a record is broken": lambda yard: yard.write(f"{STATE}/tasks/live/TASK-0002.json", "{"),
    "the memory is gone": lambda yard: (yard.state / "cycle.json").unlink(),
    "the breaker's count appears": lambda yard: yard.write(f"{STATE}/circuit.json", "{}"),
    "a back-off is changed": lambda yard: yard.write(f"{STATE}/planner-backoff.json", "{}"),
    "a landing was cut in two": lambda yard: yard.write(f"{STATE}/landing.json", "{}"),
    "a graph appears": lambda yard: yard.write("docs/orchestration/dag.v0.json", json.dumps(GRAPH)),
    "the need of a task is settled": lambda yard: yard.write(f"{STATE}/tasks/archive/99/TASK-0099.json", "{}"),
    "an order arrives": lambda yard: yard.write(f"{STATE}/inbox/orders/one.json", "{}"),
    "the repository uses other refs": lambda yard: (yard.root / ".git/reftable").mkdir(),
    "the note is half": lambda yard: yard.change(f"{STATE}/quiet.json", "{", ""),
    "the note is gone": lambda yard: (yard.state / "quiet.json").unlink(),
}
# A process's own environment changes under nobody's hands, and there is no note yet.
NOT_UNDER_A_CYCLE = {"the environment changes", "the note is half", "the note is gone"}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    root = tmp_path_factory.mktemp("template")
    (root / "gluerun.config.json").write_text(json.dumps(CONFIG))
    (root / TASKS).mkdir(parents=True)
    (root / f"{TASKS}/TASK-0001.md").write_text(markdown(1, "src/one.txt"))
    (root / f"{TASKS}/TASK-0002.md").write_text(markdown(2, "src/two.txt", "TASK-0001, TASK-0099"))
    (root / f"{TASKS}/TASK-0003.md").write_text("# no task\n")
    (root / ".gitignore").write_text(f"{STATE}/\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "start")
    return root


@pytest.fixture
def make(template, tmp_path_factory):
    yards = []

    def build(**flags) -> Yard:
        root = tmp_path_factory.mktemp("yard") / "repository"
        shutil.copytree(template, root)
        yards.append(Yard(root, **flags))
        return yards[-1]

    yield build
    for yard in yards:
        yard.close()


def test_nothing_has_changed(make):
    yard = make()
    assert yard.settle()

    assert "nothing to do" in (yard.ask() or "")
    assert yard.plan().actions == ()


@pytest.mark.parametrize("what", CHANGES)
def test_every_change_ends_the_quiet(make, what):
    yard = make()
    assert yard.settle()

    CHANGES[what](yard)

    assert yard.ask() is None


def test_that_this_machine_says_again_that_it_is_at_work_does_not_end_the_quiet(make):
    yard = make()
    assert yard.settle()

    host = json.loads((yard.state / "host.json").read_text())
    yard.write(f"{STATE}/host.json", json.dumps(host | {"seenAt": "2026-01-01T00:00:00Z"}))

    assert "nothing to do" in (yard.ask() or "")


def test_time_ends_the_quiet(make):
    yard = make(backoff=300)
    assert yard.settle()

    spans = (0, 30, 250, 400, 4000, 10_000_000)
    assert [yard.ask() is not None for yard.offset in (AHEAD + span for span in spans)] == [True] * 3 + [False] * 3


def test_records_that_are_to_be_committed_later_end_the_quiet(make):
    yard = make()
    store = yard.house.store
    store.put_memory(replace(store.memory(), records_due=yard.house.now() + timedelta(seconds=300)))
    assert yard.settle()

    spans = (0, 30, 250, 400)
    assert [yard.ask() is not None for yard.offset in (AHEAD + span for span in spans)] == [True] * 3 + [False]


def test_a_clock_that_was_turned_back_ends_the_quiet(make):
    yard = make()
    assert yard.settle()
    yard.offset = -60

    assert yard.ask() is None


def test_a_cycle_under_way_ends_the_quiet(make):
    yard = make()
    assert yard.settle()

    with (yard.state / "locks/origin.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert yard.ask() is None


def test_a_full_disk_ends_the_quiet(make):
    yard = make()
    assert yard.settle()
    note = json.loads((yard.state / "quiet.json").read_text())
    yard.write(f"{STATE}/quiet.json", json.dumps(note | {"minFree": 1 << 62}))

    assert yard.ask() is None


def test_what_is_young_is_not_believed(make):
    yard = make()
    written = (yard.state / "tasks/live/TASK-0002.json").stat().st_mtime

    assert not yard.remember(*yard.cycle(), written + quiet.SETTLED_SECONDS / 2)
    assert yard.remember(*yard.cycle(), time.time() + AHEAD)


def test_a_shell_file_is_never_believed(make):
    yard = make()
    yard.write("gluerun.config.sh", "GLUERUN_SLEEP=9\n")

    assert not yard.settle()


@pytest.mark.parametrize("what", sorted(set(CHANGES) - NOT_UNDER_A_CYCLE))
def test_a_change_under_a_cycle_leaves_no_note_that_hides_it(make, what):
    yard = make()
    assert yard.settle()
    (yard.state / "quiet.json").unlink()
    time.sleep(0.1)
    started = time.time() - 0.02
    seen = yard.cycle()

    CHANGES[what](yard)
    # As if this change were young, and everything before the cycle old.
    yard.remember(*seen, started + quiet.SETTLED_SECONDS)

    assert yard.ask() is None


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    stop=st.booleans(),
    backoff=st.sampled_from([0, 0, 100, 800]),
    changes=st.lists(st.sampled_from(sorted(set(CHANGES) - {"the configuration is gone"})), max_size=2, unique=True),
    later=st.one_of(st.just(0.0), st.floats(0, 200), st.floats(0, 200_000), st.floats(0, 200_000_000)),
)
def test_quiet_means_that_a_cycle_would_do_nothing(make, stop, backoff, changes, later):
    yard = make(stop=stop, backoff=backoff)
    yard.settle()
    for change in changes:
        try:
            CHANGES[change](yard)
        except (FileNotFoundError, AssertionError):
            continue  # an earlier change has taken its ground away
    yard.offset = AHEAD + later
    said = yard.ask()

    if said is not None:
        assert yard.plan().actions == ()
    elif not changes and later < 50:
        pytest.fail("nothing has changed, and it was not believed")
    yard.close()

"""Days in the life of a simulated house: whatever can happen to it, one word each, and what must hold all the same."""

from __future__ import annotations

import hashlib
import random
from contextlib import suppress

from tests.scenarios.crashes import Watch, _leavings, _lost, _once_each

from gluerun.errors import GluerunError, StateError
from gluerun.loop.journal import broken_link
from gluerun.records.child import How
from gluerun.sim.crash import SimCrash
from gluerun.testing import Move, SimHouse, markdown, refused, speaker

PATIENT = {
    "max_concurrent": 3,
    "max_retries": 6,
    "worker_infra_max": 6,
    "max_consec_fails": 100_000,
    "orphan_grace": 60,
}
REST = 400
MOST = 12
STEPS = (-9000, -72, -1, 1, 72, 9000)  # hours
QUIET = 2
MENU = ("plain", "red once", "dies once", "says nothing", "strays", "is refused", "is late", "red for ever")
# What may lie broken under a house: files of ours that a bad disk, an editor or a script has spoilt.
OURS = ("tasks/live/", "leases/", "cycle.json", "circuit.json", "backoffs/", "planner-backoff.json", "configs/")
OF_RUNS = ("identity.json", "ending.json", "attempts/index.json", "dispatch.json", "packet.json")
ODD = (b"", b"{", b"null", b"[]", b'{"schema": 1}', b"\xff\xfe\x00", b'{"taskId": "TASK-0001"}', b"[" * 5000)


class Days:
    """One house, what befalls it, and a small model of what it was asked to do."""

    def __init__(self) -> None:
        self.house = SimHouse(runners={"agent": speaker()}, **PATIENT)
        self.house.gate(lambda tree: int(any("bad" in text for path, text in tree.items() if path != "README.md")))
        self.asked: dict[str, str] = {}
        self.spoilt: list[str] = []
        self.steps: list[str] = []
        self._epochs = Watch()
        self._honest = self.house.state_files.fault

    # what a person does

    def new_task(self, kind: str, needs: str = "") -> str:
        """A person writes a task; *kind* says what its worker will do."""
        task = f"TASK-{len(self.asked) + 1:04d}"
        self._note(f"new {task} {kind} {needs}")
        path = f"src/{task}.txt"
        good = Move(writes={path: f"good {task}"})
        moves = {
            "plain": [good],
            "red once": [Move(writes={path: "bad"}), good],
            "dies once": [Move(exit_code=1), good],
            "says nothing": [Move(says="\n"), good],
            "strays": [Move(writes={path: "good", f"docs/{task}.txt": "stray"}), good],
            "is refused": [refused(529, "Overloaded"), good],
            "is late": [Move(how=How.TIMED_OUT, exit_code=-9), good],
            "red for ever": [Move(writes={path: "bad"})],
        }[kind]
        self.asked[task] = kind
        self.house.given(task, owned=[path], depends_on=[needs] if needs else ()).agent(task, moves)
        return task

    def edit_task(self, task: str, words: str) -> None:
        """A person writes a task anew."""
        self._note(f"edit {task}")
        self.house.task_file(task, markdown(task, owned=[f"src/{task}.txt"], title=words))

    def stop(self, *, on: bool) -> None:
        """A person sets STOP, or takes it away."""
        self._note(f"stop {on}")
        with suppress(StateError):  # a full disk
            self.house.stop() if on else self.house.resume()

    def colleague(self, number: int) -> None:
        """Somebody else commits to the target."""
        self._note(f"colleague {number}")
        self.house.colleague(f"other/{number}.txt", f"other {number}")

    # what the loop and its runs do

    def cycle(self, minutes: float = 1, *, crash_after: int = 0) -> None:
        """A cycle passes; with *crash_after* the loop is killed at that many operations from its start."""
        self._note(f"cycle {minutes} {crash_after}")
        house = self.house
        if crash_after:
            house.fuse.crash_at = frozenset({house.fuse.count + crash_after})
        try:
            house.cycle(minutes, work=False)
        except SimCrash:
            house.locks.crash()
        except GluerunError:
            pass  # a full disk, say: it is told, and the next cycle looks again
        house.fuse.crash_at = frozenset()

    def work(self, *, crash_after: int = 0) -> None:
        """The runs go on to their ends; with *crash_after* one is killed at that many operations from here."""
        self._note(f"work {crash_after}")
        house = self.house
        if crash_after:
            house.fuse.crash_at = frozenset({house.fuse.count + crash_after})
        for run in house.due():
            try:
                house._perform(run)
            except GluerunError:
                house.processes.crash(run)
        house.fuse.crash_at = frozenset()

    def kill_worker(self, number: int, *, orphaned: bool) -> None:
        """A worker's wrapper is killed, with or without what it has started."""
        due = self.house.due()
        if due:
            self._note(f"kill {number} {orphaned}")
            run = due[number % len(due)]
            with suppress(StateError):
                self.house.processes.sign_in(run)
            self.house.crashed.append(run)
            (self.house.processes.orphan if orphaned else self.house.processes.crash)(run)

    # what befalls the machine

    def reboot(self, *, hard: bool) -> None:
        """The machine starts again; a *hard* one has lost its power and what was never synced."""
        self._note(f"reboot {hard}")
        if hard:
            self.house.power_off()
        self.house.reboot()

    def step_clock(self, hours: float) -> None:
        """Somebody sets the clock."""
        self._note(f"clock {hours}")
        self.house.clock.step(hours=hours)

    def suspend(self, hours: float) -> None:
        """The machine sleeps."""
        self._note(f"sleep {hours}")
        self.house.clock.suspend(hours=hours)

    def disk_full(self, *, on: bool) -> None:
        """The disk fills up, or there is room again."""
        self._note(f"full {on}")

        def full(name: str) -> None:
            if name.startswith(("before write", "before create", "before append")):
                raise StateError(f"cannot {name.removeprefix('before ')}: no space left on device")

        self.house.state_files.fault = full if on else self._honest
        self.house.state_files.free = 0 if on else 1 << 40

    def spoil(self, number: int, odd: int) -> None:
        """One of our own files is broken."""
        files = self.house.state_files.files
        ours = sorted(path for path in files if path.startswith(OURS) or path.endswith(OF_RUNS))
        if ours:
            path = ours[number % len(ours)]
            self._note(f"spoil {path} {odd}")
            self.spoilt.append(path)
            data = ODD[odd % len(ODD)] if odd % 3 else files[path][: len(files[path]) // 2]
            with self.house.fuse.out():
                self.house.state_files._put(path, data, None)

    # what must hold

    def always(self) -> list[str]:
        """Return what is wrong although it must hold at every moment."""
        house, faults = self.house, []
        self._epochs.look(house)
        faults += self._epochs.faults
        faults += [link] if (link := broken_link(house.state_files)) else []
        landed, at = [], house.git.head("main")
        while at is not None:
            commit = house.git.commits[at]
            landed += [line for line in commit.message.splitlines() if line.startswith("Gluerun-Task: ")]
            at = commit.parents[0] if commit.parents else None
        faults += [f"{line} landed twice" for line in set(landed) if landed.count(line) > 1]
        started = house.processes.started
        faults += [f"{run} was started twice" for run in set(started) if started.count(run) > 1]
        if house.locks.holder or house.locks.git_is_held:
            faults.append("a lock is held by nobody")
        return faults

    def at_rest(self) -> list[str]:
        """Let everything be well again, wait for rest, and return what is wrong then."""
        house = self.house
        self.disk_full(on=False)
        self.stop(on=False)
        quiet = 0
        for _ in range(REST):
            report = house.cycle(30, work=False)
            self.work()
            quiet = quiet + 1 if report.quiet and not report.running and not house.due() else 0
            if quiet == QUIET:
                break
        else:
            return [f"it never comes to rest: {house.states()}"]
        for path in [path for path in self.spoilt if path.endswith("dispatch.json")]:
            house.state_files.remove(path)
        faults = [*self.always(), *_once_each(house), *_leavings(house)]
        if not self.spoilt:
            faults += _lost(house)
        for task in self.asked:
            state = house.state(task)
            record = house.record(task)
            if state == "parked" and record is not None and not record.last_failure:
                faults.append(f"{task} is parked, and nobody says why")
            if state not in ("integrated", "parked") and not (state == "ready" and self._waits(task)):
                faults.append(f"{task} is {state}")
        return faults

    def _waits(self, task: str) -> bool:
        """Tell whether a task waits for one that is parked, however far away."""
        record = self.house.record(task)
        needs = record.spec.depends_on if record else ()
        return any(self.house.state(need) == "parked" or self._waits(need) for need in needs)

    @property
    def digest(self) -> str:
        """Return the hash of the journal: the same for the same life."""
        return hashlib.sha256(self.house.state_files.read("events.ndjson") or b"").hexdigest()

    def _note(self, words: str) -> None:
        self.steps.append(words)


def live(seed: int, days: int) -> tuple[Days, list[str]]:
    """Live *days* days by the dice of a *seed*; return them, and what was wrong first."""
    chance = random.Random(seed)
    life = Days()
    for _ in range(days):
        for _ in range(chance.randint(2, 6)):
            befall(life, chance)
            if faults := life.always():
                return life, faults
        life.work()
        life.cycle(60 * chance.randint(1, 8))
    return life, life.at_rest()


def befall(life: Days, chance: random.Random) -> None:
    """Let one thing happen."""
    chance.choice(BEFALLS)(life, chance)


def _ask(life: Days, chance: random.Random) -> None:
    if len(life.asked) < MOST:
        life.new_task(chance.choice(MENU), chance.choice([*life.asked, ""]) if chance.random() < 0.3 else "")


def _edit(life: Days, chance: random.Random) -> None:
    if life.asked:
        life.edit_task(chance.choice([*life.asked]), f"edit {chance.randint(1, 9)}")


def _go_on(life: Days, chance: random.Random) -> None:
    life.cycle(chance.randint(0, 30))
    life.work()


BEFALLS = (
    _ask,
    _ask,
    _edit,
    _go_on,
    _go_on,
    lambda life, chance: life.stop(on=chance.random() < 0.3),
    lambda life, chance: life.colleague(chance.randint(1, 99)),
    lambda life, chance: life.cycle(chance.randint(0, 30), crash_after=chance.randint(1, 120)),
    lambda life, chance: life.cycle(chance.randint(0, 30), crash_after=chance.randint(1, 120)),
    lambda life, chance: life.work(crash_after=chance.randint(1, 150)),
    lambda life, chance: life.kill_worker(chance.randint(0, 9), orphaned=chance.random() < 0.5),
    lambda life, chance: life.reboot(hard=chance.random() < 0.5),
    lambda life, chance: life.step_clock(chance.choice(STEPS)),
    lambda life, chance: life.suspend(chance.randint(1, 12)),
    lambda life, chance: life.disk_full(on=chance.random() < 0.3),
    lambda life, chance: life.spoil(chance.randint(0, 99), chance.randint(0, 99)),
)

"""Crash at any point, go on to the end, and say what was lost or doubled."""

from __future__ import annotations

import gc
import json
import os
import tempfile
import time

from gluerun.loop.journal import broken_link
from gluerun.sim.crash import SimCrash

LIMIT = 60
QUIET = 2


class Crashing:
    """One scenario: how its house is built, and what happens before everybody is left alone."""

    def __init__(self, build, *steps, wants, files=(), nodes=()):
        self.build = build
        self.steps = steps
        self.wants = wants
        self.files = files
        self.nodes = nodes

    def play(self, *crashes, chooses=None):
        """Play the scenario with crashes at some points; return the house at rest and what its way was like."""
        house = self.build()
        house.fuse.crash_at = frozenset(crashes)
        house.fuse.chooses = chooses
        watch = _Epochs()
        for step in self.steps:
            _survive(house, step)
            watch.look(house)
        quiet = 0
        for _ in range(LIMIT):
            report = _survive(house, lambda house: house.cycle(2))
            watch.look(house)
            still = report is not None and report.quiet and not report.running and not house.due()
            quiet = quiet + 1 if still else 0
            if quiet == QUIET:
                break
        house.fuse.crash_at, house.fuse.chooses = frozenset(), None
        return house, [*watch.back, *([] if quiet == QUIET else ["it never comes to rest"])]

    def points(self):
        """Return the names of the points of a run without a crash."""
        return self.play()[0].fuse.names

    def faults(self, *crashes, chooses=None):
        """Return what is wrong after crashes at some points, one sentence each."""
        house, faults = self.play(*crashes, chooses=chooses)
        return [*faults, *self._ends(house), *_once_each(house), *_leavings(house), *_lost(house)]

    def _ends(self, house):
        if house.states() != self.wants:
            yield f"states are {house.states()}"
        there = house.target_files()
        yield from (f"{path} is not in the target" for path in self.files if path not in there)
        for node in self.nodes:
            found = house.node_file(node)
            named = found["evidence"][0]["taskIds"] if found else []
            if sorted(named) != sorted(self.wants):
                yield f"{node} rests on {named}"
        link = broken_link(house.state_files)
        if link:
            yield link


class _Epochs:
    """Watches that no epoch goes back."""

    def __init__(self):
        self.seen = {}
        self.back = []

    def look(self, house):
        for task in house.open().store.live_tasks()[0]:
            if task.epoch < self.seen.get(task.task_id, 0):
                self.back.append(f"the epoch of {task.task_id} went back to {task.epoch}")
            self.seen[task.task_id] = task.epoch


def _survive(house, act):
    try:
        return act(house)
    except SimCrash:
        house.locks.crash()
        return None


def _once_each(house):
    """Yield what was settled or landed more than once, or not at all."""
    landed = []
    at = house.git.head("main")
    while at is not None:
        commit = house.git.commits[at]
        landed += [line for line in commit.message.splitlines() if line.startswith("Gluerun-Task: ")]
        at = commit.parents[0] if commit.parents else None
    done = [f"Gluerun-Task: {task}" for task, state in house.states().items() if state == "integrated"]
    if sorted(landed) != sorted(done):
        yield f"the target holds {sorted(landed)}, integrated are {sorted(done)}"
    live = {task.task_id for task in house.open().store.live_tasks()[0]}
    yield from (f"{task} lives and is settled" for task in live & set(house.open().store.settled_ids()))
    told = [event["data"]["task"] for event in house.events("integration.integrated")]
    yield from (f"{task} was told twice" for task in set(told) if told.count(task) > 1)
    runs = [path.split("/")[1] for path in house.state_files.files if path.endswith("/dispatch.json")]
    epochs = [(one.task_id, one.epoch) for run in runs if (one := house.open().store.dispatch(run)).spec]
    yield from (f"{pair} was given twice" for pair in set(epochs) if epochs.count(pair) > 1)


def _leavings(house):
    """Yield what nobody cleaned up."""
    yield from (f"{lease.task_id} is still leased" for lease in house.open().store.leases()[0])
    yield from (f"{lease.node} is still leased" for lease in house.open().store.node_leases()[0])
    for files in (house.state_files, house.work_files):
        yield from (f"a temporary {path}" for path in files.files if path.endswith(".tmp"))
    yield from (f"a work tree {place}" for place in house.git.worktrees if place != "/sim")
    yield from (f"a lock {name}" for name in house.git.branch_locks)
    yield from (f"{one} is not as committed" for one in house.git.checkout_dirty("/sim"))
    branches = [ref for ref in house.git.refs if ref.startswith("refs/heads/agent/")]
    yield from (f"a branch {ref}" for ref in branches if house.state(ref.split("/")[-1][:9]) == "integrated")
    if house.git.intent or house.locks.holder or house.locks.git_is_held:
        yield "a landing or a lock is left"


def _lost(house):
    """Yield what an agent wrote last in its run and no ref reaches any more."""
    seen, waiting = set(), list(house.git.refs.values())
    while waiting:
        commit = waiting.pop()
        if commit not in seen:
            seen.add(commit)
            waiting += house.git.commits[commit].parents
    kept = {
        (path, data) for commit in seen for path, (_, data) in house.git.trees[house.git.commits[commit].tree].items()
    }
    last = {(run, path): text for run, path, text in house.written}
    yield from (
        f"what {run} wrote to {path}" for (run, path), text in last.items() if (path, text.encode()) not in kept
    )


class Matrix:
    """Every chosen point of a scenario: at each the process forks, and the fork crashes there and goes on.

    Points are chosen by *stride*, among those whose name begins with *where*. With *again*, a fork does the
    same at chosen points of its recovery: a second crash.
    """

    def __init__(self, scenario, *, stride=1, again=0, where="", forks=2):
        self.scenario = scenario
        self.stride = stride
        self.again = again
        self.where = where
        self.forks = forks
        self.crashes = ()
        self.living = 0
        self.seconds = self.cpu = 0.0
        self.red = {}
        self.played = 0

    def run(self):
        """Play the scenario and all of its forks."""
        self.scenario.play()  # what is imported late would be imported by every fork
        start, before = time.perf_counter(), os.times()
        me = os.getpid()
        gc.freeze()
        with tempfile.TemporaryFile("a+b", buffering=0) as answers:
            try:
                faults = self.scenario.faults(chooses=self._choose)
            except BaseException as error:
                if os.getpid() == me:
                    raise
                faults = [repr(error)]
            while self.living:
                self._wait()
            answers.write(json.dumps([self.crashes, faults]).encode() + b"\n")
            if os.getpid() != me:
                os._exit(0)
            answers.seek(0)
            self._read(answers)
        gc.unfreeze()
        self.seconds = time.perf_counter() - start
        self.cpu = sum(os.times()[:4]) - sum(before[:4])
        return self

    def _choose(self, count, name):
        step = (self.stride, self.again)[len(self.crashes)] if len(self.crashes) < 2 else 0
        if not step or (not self.crashes and not name.startswith(self.where)):
            return False
        if (count - (self.crashes or (0,))[-1]) % step:
            return False
        while self.living >= (self.forks if not self.crashes else 1):
            self._wait()
        if os.fork():
            self.living += 1
            return False
        gc.disable()  # a collection would only copy pages
        self.living = 0
        self.crashes = (*self.crashes, count)
        return True

    def _wait(self):
        os.wait()
        self.living -= 1

    def _read(self, answers):
        for line in answers:
            crashes, faults = json.loads(line)
            self.played += 1
            if faults:
                self.red[tuple(crashes)] = faults

    def words(self):
        """Say how many points were played and how fast, and what went wrong first."""
        rate, pure = (self.played / max(spent, 0.001) * 60 for spent in (self.seconds, self.cpu))
        first = [f"{crashes}: {faults}" for crashes, faults in sorted(self.red.items())[:5]]
        return "\n".join(
            [f"{self.played} points, {len(self.red)} red, {rate:,.0f} a minute ({pure:,.0f} of CPU)", *first]
        )

"""A fault at any point, on to the end, and then say what was lost or doubled."""

from __future__ import annotations

import gc
import os
import random
import tempfile
import time

from tests.scenarios.known import Known

from gluerun.core.limits import total
from gluerun.edge.views import spendings
from gluerun.errors import REFUSED, GitError, GluerunError, StateError
from gluerun.loop.journal import broken_link
from gluerun.records.dispatch import Role
from gluerun.sim.crash import PowerCut, SimCrash

LIMIT = 60
QUIET = 2
ROOMY = 1 << 40
FULL_CYCLES = 3
SLOW_MINUTES = 90
# What is found of a worker's place after a power loss, the same for some points in a row.
FATES = ("there", "empty", "gone", "locked")
FATE_LASTS = 5
WORDS = {"EIO": "input/output error", "ENOSPC": "no space left on device", "EACCES": "permission denied"}
GIVES_SPACE = ("remove", "remove_worktree", "delete_branch", "unlock", "move", "finish_landing")


class Crashing:
    """One scenario: how its house is built, and what happens before everybody is left alone."""

    def __init__(self, build, *steps, wants, files=(), nodes=(), remains=()):
        self.build = build
        self.steps = steps
        self.wants = wants
        self.files = files
        self.nodes = nodes
        self.remains = remains
        self.known = None
        self.house = None

    def play(self, *crashes, chooses=None, matrix=None):
        """Play the scenario with crashes at some points; return the house at rest and what its way was like."""
        house = self.house = self.build()
        house.fuse.crash_at, house.fuse.chooses = frozenset(crashes), chooses
        watch = Watch()
        at, quiet = 0, 0
        for _ in range(LIMIT):
            alone = at >= len(self.steps)
            self.stretch(house, watch, at, quiet)
            report = watch.survive(house, let_be if alone else self.steps[at])
            at += not alone
            if watch.cut is not None:
                matrix.find(house, watch, at)
            still = alone and report is not None and report.quiet and not report.running and not house.due()
            quiet = quiet + 1 if still and not watch.full else 0
            if quiet == QUIET:
                break
        house.fuse.crash_at, house.fuse.chooses = frozenset(), None
        self.stretch(house, watch, "judged", quiet)
        return house, [*watch.faults, *([] if quiet == QUIET else ["it never comes to rest"])]

    def stretch(self, house, watch, *where):
        """Begin a stretch at whose beginning nobody acts."""
        if self.known is None or watch.full or watch.faults:
            return
        if self.known.begin(house, where, tuple(sorted(watch.seen.items()))):
            raise Recognised

    def points(self):
        """Return the names of the points of a run without a fault."""
        return self.play()[0].fuse.names

    def kinds(self):
        """Return the kinds of the actions that a run without a fault carries out, and the verbs that it types."""
        house = self.build()
        watch = Watch()
        for step in [*self.steps, *[lambda house: house.cycle(2)] * 20]:
            watch.survive(house, step)
        return watch.kinds, watch.verbs

    def faults(self, *crashes, chooses=None):
        """Return what is wrong after crashes at some points, one sentence each."""
        house, faults = self.play(*crashes, chooses=chooses)
        return [*faults, *self.judge(house), *_booked(house)]

    def judge(self, house):
        """Return what is wrong with a house at rest, one sentence each."""
        checks = (self._ends, _once_each, _booked_once, self._leavings, _lost)
        return [fault for check in checks for fault in check(house)]

    def _ends(self, house):
        states = house.states()
        odd = [one for one, state in states.items() if state not in _words(self.wants.get(one, ()))]
        if odd or states.keys() != self.wants.keys():
            yield f"states are {states}"
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

    def _leavings(self, house):
        yield from (one for one in _leavings(house) if one not in self.remains)


def _words(wanted):
    """Return the states in which a task may end."""
    return wanted if isinstance(wanted, tuple) else (wanted,)


def let_be(house):
    """Let two minutes pass and a cycle."""
    return house.cycle(2)


class Recognised(Exception):  # noqa: N818 it is no error
    """From here it is known that the end is green."""


class Watch:
    """Watches what must hold all the way: no epoch goes back, an error is one clear sentence, no run has a defect."""

    def __init__(self):
        self.seen = {}
        self.faults = []
        self.kinds = set()
        self.verbs = set()
        self.full = 0
        self.cut = None

    def survive(self, house, act):
        """Let somebody act and die of it, or end with an error; return what he returned."""
        self.verbs.add(getattr(act, "verb", ""))
        report = None
        try:
            report = act(house)
        except Recognised:
            raise
        except PowerCut as cut:
            self.cut = cut
            return None
        except SimCrash:
            house.locks.crash()
        except GluerunError as error:
            self._judge(house, error)
        except Exception as error:
            house.locks.crash()
            self.faults.append(f"a defect: {error!r}")
        self._turn(house)
        self.kinds |= {line.kind for line in getattr(report, "actions", ())}
        self.look(house)
        return report

    def _judge(self, house, error):
        if (
            error.code != REFUSED
            or "\n" in error.message
            or not any(words in error.message for words in WORDS.values())
        ):
            self.faults.append(f"an error that is not clear: {error.message}")
        if house.locks.holder or house.locks.git_is_held or house.locks.loop is not None:
            self.faults.append("an error left a lock")
            house.locks.crash()

    def _turn(self, house):
        """Free a full disk after some time."""
        full = getattr(house.fuse.chooses, "full", None)
        self.full = self.full + 1 if full else 0
        if self.full > FULL_CYCLES:
            house.fuse.chooses, house.state_files.free, self.full = None, ROOMY, 0

    def look(self, house):
        """Compare the epochs with those that were seen before."""
        for task in house.open().store.live_tasks()[0]:
            if task.epoch < self.seen.get(task.task_id, 0):
                self.faults.append(f"the epoch of {task.task_id} went back to {task.epoch}")
            self.seen[task.task_id] = task.epoch


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
    store = house.open().store
    live = {task.task_id for task in store.live_tasks()[0]}
    yield from (f"{task} lives and is settled" for task in live & set(store.settled_ids()))
    told = [event["data"]["task"] for event in house.events("integration.integrated")]
    yield from (f"{task} was told twice" for task in set(told) if told.count(task) > 1)
    asked = [one for run in house.state_files.names("runs") if (one := store.dispatch(run)) is not None]
    epochs = [(one.task_id, one.epoch) for one in asked if one.spec]
    yield from (f"{pair} was given twice" for pair in set(epochs) if epochs.count(pair) > 1)


def _booked(house):
    """Yield what was counted or booked more than once, or not at all: the costs of runs, the tries of tasks."""
    store = house.open().store
    runs = sorted({path.split("/")[1] for path in house.state_files.files if path.startswith("runs/")})
    asked = [run for run in runs if house.state_files.names(f"runs/{run}/usage")]
    booked = spendings(house.open())
    names = sorted(one.run_id for one in booked)
    if names != asked:
        yield f"booked are {names}, agents were asked by {asked}"
    for task in house.states():
        record = store.any_task(task)
        own = [dispatch for run in runs if (dispatch := store.dispatch(run)) and _is_worker_of(dispatch, task)]
        tries = sum(_tries(store, dispatch.run_id) for dispatch in own)
        if record.tries != tries:
            yield f"{task} has used {record.tries} tries, its runs {tries}"
        spent = total(expense for one in booked if one.task_id == task for expense in one.expenses)
        if record.spent != spent:
            yield f"{task} has spent {record.spent}, booked are {spent}"


def _is_worker_of(dispatch, task):
    return dispatch.task_id == task and dispatch.role is Role.WORKER


def _tries(store, run_id):
    ending = store.ending(run_id)
    return ending.tries if ending else max(1, store.tries_begun(run_id))


def _booked_once(house):
    """Yield the runs whose costs are booked twice or not at all, and tasks that know another sum."""
    files = house.state_files
    booked = [name.partition(".json") for day in files.names("costs") for name in files.names(f"costs/{day}")]
    runs = [run for run, _, _ in booked]
    yield from (f"{run} is booked {runs.count(run)} times" for run in set(runs) if runs.count(run) > 1)
    used = {run for run in files.names("runs") if files.names(f"runs/{run}/usage")}
    yield from (f"{run} is booked as if it had used something" for run in set(runs) - used)
    store = house.open().store
    workers = {run for run in used if (one := store.dispatch(run)) is not None and (one.spec or one.node)}
    yield from (f"{run} is not booked" for run in workers - set(runs))


def _leavings(house):
    """Yield what nobody cleaned up."""
    store = house.open().store
    yield from (f"{lease.task_id} is still leased" for lease in store.leases()[0])
    yield from (f"{lease.node} is still leased" for lease in store.node_leases()[0])
    if house.state_files.onlooker is not None:
        house.state_files.onlooker("leftovers", "")
    for files in (house.state_files, house.work_files):
        yield from (f"a temporary {path}" for path in files.files if path.endswith(".tmp"))
    yield from (f"a work tree {place}" for place in house.git.worktrees if place != "/sim")
    yield from (f"a lock {name}" for name in house.git.branch_locks)
    yield from (f"{one} is not as committed" for one in house.git.checkout_dirty("/sim"))
    branches = [ref for ref in house.git.refs if ref.startswith("refs/heads/agent/")]
    yield from (f"a branch {ref}" for ref in branches if house.state(ref.split("/")[-1][:9]) == "integrated")
    if house.git.intent or house.locks.holder or house.locks.git_is_held:
        yield "a landing or a lock is left"
    defects = [run for run in house.state_files.names("runs") if house.state_files.mark(f"runs/{run}/crash.txt")]
    yield from (f"a defect in {run}" for run in defects)


def kept_texts(house):
    """Return every file that some ref reaches."""
    seen, waiting = set(), list(house.git.refs.values())
    while waiting:
        commit = waiting.pop()
        if commit not in seen:
            seen.add(commit)
            waiting += house.git.commits[commit].parents
    trees = {house.git.commits[commit].tree for commit in seen}
    return {(path, data) for tree in trees for path, (_, data) in house.git.trees[tree].items()}


def _lost(house):
    """Yield what an agent wrote last in its run and no ref reaches any more."""
    kept = kept_texts(house)
    last = {(run, path): text for run, path, text in house.written}
    yield from (
        f"what {run} wrote to {path}" for (run, path), text in last.items() if (path, text.encode()) not in kept
    )


# --- what goes wrong ---------------------------------------------------------------------------------------


class Full:
    """A disk that is full from one point on: whatever needs space fails, until somebody frees some."""

    full = True

    def __call__(self, count, name):
        """Return what fails at a point."""
        return error_of("ENOSPC", name) if needs_space(name) else None


def verb_of(name):
    """Return door, moment and verb of a point: `state before write x`, `git land:before`."""
    door, _, rest = name.partition(" ")
    if door == "git":
        verb, _, moment = rest.partition(":")
        return door, moment, verb
    moment, verb, _ = rest.split(" ", 2)
    return door, moment, verb


def needs_space(name):
    """Tell whether what happens at a point can fail for want of space."""
    _, moment, verb = verb_of(name)
    return moment == "before" and verb not in GIVES_SPACE


def error_of(kind, name):
    """Return the error that the real door reports at a point."""
    words = WORDS[kind]
    door, _, verb = verb_of(name)
    if door == "git":
        return GitError(f"git {verb} failed with code 128: fatal: {words}", file="/sim")
    path = name.split(" ", 3)[3]
    verb = {"create": "write", "append": "write"}.get(verb, verb)
    return StateError(f"cannot {verb} {path}: {words}", "look at that file and its folder, then run it again")


def fits(kind, name):
    """Tell whether a kind of fault can strike at a point."""
    _, moment, _ = verb_of(name)
    match kind:
        case "ENOSPC" | "full":
            return needs_space(name)
        case "EACCES" | "slow":
            return moment == "before"
    return True


class Matrix:
    """Every chosen point of a scenario: at each the process forks, and the fork meets its fault and goes on.

    Points are chosen by *stride*, among those whose name begins with *where*. With *again*, a fork does the
    same at chosen points of its recovery: a second fault. Of a power loss each fork plays some *states* that
    the disk may be found in. A fork whose further way is known to be green need not go it; one in *every*
    goes it all the same. One that *looks for* some fault ends when it has met it.
    """

    def __init__(
        self, scenario, *, kind="crash", stride=1, again=0, where="", forks=2, states=32, every=50, looks_for=None
    ):
        self.scenario = scenario
        self.kind = kind
        self.stride = stride
        self.again = again
        self.where = where
        self.forks = forks
        self.states = states
        self.every = every
        self.looks_for = looks_for
        self.crashes = ()
        self.living = 0
        self.seconds = self.cpu = 0.0
        self.red = {}
        self.points = self.played = self.whole = 0

    def run(self):
        """Play the scenario and all of its forks."""
        self.scenario.play()  # what is imported late would be imported by every fork
        start, before = time.perf_counter(), os.times()
        self.me = os.getpid()
        gc.collect()
        gc.freeze()
        with tempfile.TemporaryFile("a+b", buffering=0) as file:
            self.known = Known(file)
            self._answer(self._play())
            self.known.learn()
            self.played = self.known.found
            for crashes, faults, whole in self.known.reports:
                self.played += 1
                self.whole += whole
                if faults:
                    self.red[tuple(crashes)] = faults
        gc.unfreeze()
        self.scenario.known = None
        self.seconds = time.perf_counter() - start
        self.cpu = sum(os.times()[:4]) - sum(before[:4])
        return self

    def _play(self):
        """Return what is wrong at the end, None if it was known that nothing will be."""
        try:
            house, faults = self.scenario.play(chooses=self._choose, matrix=self)
            faults = [*faults, *self.scenario.judge(house)]
        except Recognised:
            return None
        except BaseException as error:
            if os.getpid() == self.me:
                raise
            return [f"the test itself: {error!r}"]
        if self.scenario.known is not None and not faults:
            self.known.tell()
        return faults

    def _answer(self, faults):
        """Tell how this process's way has ended; a fork ends with it."""
        self._wait(0)
        whole, faults = faults is not None, faults or []
        if faults and self.known.was_foretold:
            faults = [*faults, "and it was foretold to be green"]
        self.known.write("report", [list(self.crashes), faults, whole])
        if os.getpid() != self.me:
            os._exit(0)

    def _choose(self, count, name):
        step = self.again if self.crashes else self.stride
        first = self.crashes[0] if self.crashes else 0
        if (
            not name.startswith("" if self.crashes else self.where)
            or (count - first) % step
            or not fits(self.kind, name)
        ):
            return None
        self.known.learn()
        if self.looks_for is not None and self._has_found():
            return None
        self.points += not self.crashes
        self._wait(0 if self.crashes else self.forks - 1)
        if os.fork():
            self.living += 1
            return None
        self._be_fork((*self.crashes, count))
        house = self.scenario.house
        if not self.again or len(self.crashes) > 1:
            house.fuse.chooses = None
            self.scenario.known = self.known
        return self._strike(house, name)

    def _has_found(self):
        """Tell whether the fault that is looked for was met; then nobody looks any further."""
        return any(self.looks_for in fault for _, faults, _ in self.known.reports for fault in faults)

    def _be_fork(self, crashes):
        gc.disable()  # a collection would only copy pages
        self.living, self.crashes = 0, crashes
        chance = random.Random(repr(crashes)).random()
        self.known.insists = chance * self.every < 1

    def _wait(self, leave):
        while self.living > leave:
            os.wait()
            self.living -= 1

    def _strike(self, house, name):
        """Let the fault happen; return what is raised at its point."""
        match self.kind:
            case "crash":
                return SimCrash(f"at {name}")
            case "power":
                self.moments = {door: files.moments() for door, files in _stores(house) if name.startswith(door)}
                return PowerCut(f"at {name}")
            case "slow":
                house.clock.tick(minutes=SLOW_MINUTES)
                return None
            case "full":
                house.fuse.chooses, house.state_files.free = Full(), 0
                return error_of("ENOSPC", name)
        return error_of(self.kind, name)

    # the power goes

    def find(self, house, watch, at):
        """Go on from each state that the disk may be found in, in forks of this fork; return only in those."""
        (count,) = self.crashes
        dice = random.Random(count)
        self._lose_the_rest(house, dice)
        files, played = house.state_files, 0
        before = [dict(files.files), dict(files._marks), dict(files._folders), dict(files._unsure)]
        watch.cut = None
        seen = dict(watch.seen)
        for number, found in enumerate(_states(files.unsure(), self.moments.get("state", []), dice, self.states)):
            files.files, files._marks, files._folders, files._unsure = map(dict, before)
            files.onlooker = None
            files.lose_power(found)
            self.known.segments.clear()
            self.known.insists = False
            watch.seen = dict(seen)
            watch.look(house)
            try:
                self.scenario.stretch(house, watch, at, 0)
            except Recognised:
                if dice.random() * self.every >= 1:
                    played += 1
                    continue
            if not os.fork():
                self._be_fork((count, number))
                return
            os.wait()
        self.known.write("found", played)
        os._exit(0)

    def _lose_the_rest(self, house, dice):
        """Let the machine start again; what nobody promised to keep is there, empty or gone."""
        moments = self.moments.get("work", [])
        house.work_files.lose_power(dice.choice([{}, *moments]))
        for run_id in house.processes.started:
            house.processes.crash(run_id)
        house.reboot()
        fate = FATES[self.crashes[0] // FATE_LASTS % len(FATES)]
        ours = [place for place, work in house.git.worktrees.items() if work.is_ours]
        for place in ours:
            work = house.git.worktrees[place]
            if fate == "empty":
                head = house.git._head_tree(work)
                work.files.update({path: (mode, b"") for path, (mode, data) in work.files.items() if path not in head})
            elif fate == "gone":
                del house.git.worktrees[place]
            elif fate == "locked":
                work.locks.add("index.lock")
        if fate in ("empty", "gone"):
            kept = kept_texts(house)
            house.written[:] = [one for one in house.written if (one[1], one[2].encode()) in kept]

    @property
    def label(self):
        """Return the kind of the fault, as a word of the table."""
        return f"{self.kind} twice" if self.again else self.kind

    @property
    def rate(self):
        """Return how many points or states were played in a minute."""
        return self.played / max(self.seconds, 0.001) * 60

    def row(self):
        """Return what was played, as a row of the table at the end of the tests."""
        return {
            "fault": self.label,
            "points": self.points,
            "states": self.played,
            "toTheirEnd": self.whole,
            "red": len(self.red),
            "seconds": round(self.seconds, 1),
            "perMinute": round(self.rate),
            "perMinuteOfCpu": round(self.played / max(self.cpu, 0.001) * 60),
        }

    def words(self):
        """Say how many points were played and how fast, and what went wrong first."""
        first = [f"{crashes}: {faults}" for crashes, faults in sorted(self.red.items())[:5]]
        pure = self.played / max(self.cpu, 0.001) * 60
        return "\n".join(
            [
                f"{self.label}: {self.played} states at {self.points} points, {self.whole} to their end, "
                f"{len(self.red)} red, {self.rate:,.0f} a minute ({pure:,.0f} of CPU), {self.seconds:.1f} s",
                *first,
            ]
        )


def _stores(house):
    return (("state", house.state_files), ("work", house.work_files))


def _states(unsure, moments, dice, limit):
    """Yield states that a disk may be found in, each once: the plain ones first, then what the dice say."""
    newest = {path: states[-1] for path, states in unsure.items()}
    oldest = {path: states[0] for path, states in unsure.items()}
    empty = {path: b"" if b"" in states else states[0] for path, states in unsure.items()}
    singles = [(path, state) for path, states in unsure.items() for state in states[:-1]]
    dice.shuffle(singles)
    told = set()

    def wanted():
        for moment in [{}, *moments]:
            for base in (newest, oldest, empty):
                yield {**base, **moment}
        for number, (path, state) in enumerate(singles):
            base = newest if number % 2 else oldest
            yield {**base, path: state if number % 2 else newest[path], **dice.choice([{}, *moments])}
            yield {name: dice.choice(states) for name, states in unsure.items()} | dice.choice([{}, *moments])

    for found in wanted():
        key = frozenset(found.items())
        if key not in told and len(told) < limit:
            told.add(key)
            yield found

"""A fault at any point, on to the end, and then say what was lost or doubled."""

from __future__ import annotations

import gc
import json
import random
import time
from copy import deepcopy
from itertools import product

from tests.scenarios.known import Known, everything_else

from gluerun.core.limits import total
from gluerun.core.recording import archived_path, living_path
from gluerun.edge.views import spendings
from gluerun.errors import REFUSED, FullDiskError, GitError, GluerunError, NoRoomError, StateError
from gluerun.loop.journal import broken_link
from gluerun.records.config import ControlState, IntegrationMode
from gluerun.records.dispatch import Role
from gluerun.records.gate import GateVerdict
from gluerun.records.pipeline import Occasion
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
GIVES_SPACE = ("remove", "remove_worktree", "delete_branches", "unlock", "move", "finish_landing")


class Crashing:
    """One scenario: how its house is built, and what happens before everybody is left alone."""

    def __init__(self, build, *steps, wants, files=(), nodes=(), remains=(), forgiven=None):
        self.build = build
        self.steps = steps
        self.wants = wants
        self.files = files
        self.nodes = nodes
        self.remains = remains
        self.forgiven = forgiven or {}

    def kinds(self):
        """Return the kinds of the actions that a run without a fault carries out, and the verbs that it types."""
        watch = Way(self).go_on().watch
        return watch.kinds, watch.verbs

    def faults(self):
        """Return what is wrong after a run in which nothing is made to go wrong, one sentence each."""
        way = Way(self).go_on()
        return [*way.faults(), *_booked(way.house, self.forgiven)]

    def judge(self, house):
        """Return what is wrong with a house at rest, one sentence each."""
        checks = (self._ends, _once_each, _booked_once, self._leavings, _lost, _untold, _unpushed, _unasked)
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
    """Let two minutes pass and a cycle, before the runs work."""
    return house.cycle(2, work=False)


def let_one_work(house):
    """Let the first run go on that would."""
    house.let_one_work()


class Way:
    """The way that a scenario goes in one house, turn by turn; between two turns nobody acts and it can be copied."""

    def __init__(self, scenario, crashes=(), *, insists=False):
        self.scenario = scenario
        self.crashes = crashes
        self.house = scenario.build()
        self.watch = Watch()
        self.at = self.quiet = self.turns = 0
        self.at_work = None
        self.segments = []
        self.insists = insists
        self.was_foretold = False

    def copy(self, crashes=(), *, insists=False):
        """Return a way that is as far as this one, with a house of its own, which has had its faults."""
        made = object.__new__(Way)
        made.__dict__.update(vars(self))
        made.house, made.watch, made.segments = deepcopy(self.house), deepcopy(self.watch), list(self.segments)
        made.crashes, made.insists = crashes, insists
        made.house.state_files.onlooker = None
        return made

    @property
    def is_over(self):
        return self.at_work is None and (self.quiet == QUIET or self.turns == LIMIT)

    @property
    def place(self):
        """Return what of a way is not in its house."""
        return self.at, self.quiet, self.at_work, tuple(sorted(self.watch.seen.items()))

    def turn(self):
        """Let somebody act, or one process of one run, and die of it."""
        if self.at_work is not None:
            self.watch.survive(self.house, let_one_work)
            still = self.at_work
        else:
            self.turns += 1
            alone = self.at >= len(self.scenario.steps)
            act = let_be if alone else self.scenario.steps[self.at]
            report = self.watch.survive(self.house, act)
            self.at += not alone
            still = alone and report is not None and report.quiet and not report.running
            if report is None or not getattr(act, "lets_work", alone):
                self._rest(still)
                return self
        self.at_work = still
        if not self.house.due():
            self._rest(still)
        return self

    def _rest(self, still):
        self.at_work = None
        self.watch.turn(self.house)
        self.quiet = self.quiet + 1 if still and not self.house.due() and not self.watch.full else 0

    def go_on(self, known=None):
        """Go to the end; None as soon as it is known that it will be green."""
        while not self.is_over:
            if self._is_known(known):
                return None
            self.turn()
        self.house.fuse.chooses = None
        return None if self._is_known(known, "judged") else self

    def _is_known(self, known, *more):
        if known is None or self.watch.full or self.watch.faults:
            return False
        return known.begin(self, *more) and not self.insists

    def faults(self):
        """Return what is wrong at the end, one sentence each."""
        unending = [] if self.quiet == QUIET else ["it never comes to rest"]
        return [*self.watch.faults, *unending, *self.scenario.judge(self.house)]


class Watch:
    """Watches what must hold all the way: no epoch goes back, an error is one clear sentence, no run has a defect."""

    def __init__(self):
        self.seen = {}
        self.faults = []
        self.kinds = set()
        self.verbs = set()
        self.full = 0

    def survive(self, house, act):
        """Let somebody act and die of it, or end with an error; return what he returned."""
        self.verbs.add(getattr(act, "verb", ""))
        report = None
        try:
            report = act(house)
        except PowerCut:
            return None  # whoever simulates it says what is found
        except SimCrash:
            house.locks.crash()
        except GluerunError as error:
            self._judge(house, error)
        except Exception as error:
            house.locks.crash()
            self.faults.append(f"a defect: {error!r}")
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

    def turn(self, house):
        """Free a full disk after some turns."""
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


def _booked(house, forgiven):
    """Yield what was counted or booked more than once, or not at all: the costs of runs, the tries of tasks.

    Tries that are *forgiven* are not counted: those that a person breaks off or gives back.
    """
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
        tries = sum(_tries(store, dispatch.run_id) for dispatch in own) - forgiven.get(task, 0)
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
    slots = {f"/sim/.worktrees/gate-{number}" for number in range(house.config.gate_slots)}  # these stay
    yield from (f"a work tree {place}" for place in house.git.worktrees if place not in {"/sim", *slots})
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


def _unasked(house):
    """Say that the gates of the night have not answered, where there are any."""
    night = house.open().store.nightly()
    is_meant = any(Occasion.NIGHTLY in gate.when for gate in house.config.gates)
    if is_meant and (night is None or night.result is not GateVerdict.GREEN):
        yield f"the gates of the night say {night}"


def _unpushed(house):
    """Say that the remote does not have just what the target has, where merges are pushed."""
    mode = house.config.integration.mode
    if (
        house.config.push
        and mode is not IntegrationMode.PULL_REQUEST
        and house.git.remote["main"] != house.git.head("main")
    ):
        yield "the target and its remote differ"


def _untold(house):
    """Yield the settled tasks of which the target branch does not tell, where records are published there."""
    if house.config.control_state is not ControlState.BRANCH:
        return
    there = house.target_files()
    for task, state in house.states().items():
        record = json.loads(there.get(archived_path(task), "{}"))
        if record.get("status") != state or living_path(task) in there:
            yield f"the target does not tell that {task} is {state}"


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
        kind_of_error = NoRoomError if kind == "ENOSPC" else GitError
        return kind_of_error(f"git {verb} failed with code 128: fatal: {words}", file="/sim")
    path = name.split(" ", 3)[3]
    verb = {"create": "write", "append": "write"}.get(verb, verb)
    kind_of_error = FullDiskError if kind == "ENOSPC" else StateError
    return kind_of_error(f"cannot {verb} {path}: {words}", "look at that file and its folder, then run it again")


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
    """Every chosen point of a scenario: a copy of its house meets a fault there and goes on.

    Points are chosen by *stride*, among those whose name begins with *where*. A copy is made before the turn in
    which its point lies, and plays that turn again up to there. With *again*, chosen points of its recovery meet a
    second fault. Of a power loss each point is played in some *states* that the disk may be found in. Whoever comes
    to a moment from which the way is known to be green need not go it; one in *every* goes it all the same. A
    matrix that *looks for* some fault ends when it has met it.

    What is counted: `points` at which a fault was met; `states` of the world that such a fault left behind, each
    point's own once; `disks`, the distinct ones among all of them (files, refs, work trees, clock); `played`, the
    ways gone on from them, which is what rates speak of: after a power loss one for each distinct disk, else one for
    each point; `whole`, those that went to their end and were judged there, not where they met a way that is known.
    """

    def __init__(self, scenario, *, kind="crash", stride=1, again=0, where="", states=32, every=50, looks_for=None):
        self.scenario = scenario
        self.kind = kind
        self.stride = stride
        self.again = again
        self.where = where
        self.limit = states
        self.every = every
        self.looks_for = looks_for
        self.seconds = self.cpu = 0.0
        self.red = {}
        self.points = self.states = self.played = self.whole = 0
        self.judged = set()
        self.known = Known()

    def run(self):
        """Play the scenario, and at each of its points what a fault there leads to."""
        start, before = time.perf_counter(), time.process_time()
        gc.collect()
        gc.freeze()
        way = Way(self.scenario)
        self._visit(way)
        if way.is_over:
            self._tell(way)
        gc.unfreeze()
        self.known = Known()
        self.seconds = time.perf_counter() - start
        self.cpu = time.process_time() - before
        return self

    @property
    def disks(self):
        """Return how many different worlds were judged."""
        return len(self.judged)

    def _visit(self, way):
        """Let a way go to its end, and others from each of its chosen points."""
        first, step = (way.crashes[0], self.again) if way.crashes else (0, self.stride)
        while not way.is_over:
            base = way.copy()
            passed = way.house.fuse.count
            way.turn()
            for count, name in enumerate(way.house.fuse.names[passed:], passed + 1):
                if self._is_chosen(name, first=not way.crashes) and not (count - first) % step:
                    self.points += not way.crashes
                    self._meet(base, (*way.crashes, count), name)
                if self._has_found():
                    return
        way.house.fuse.chooses = None

    def _is_chosen(self, name, *, first):
        return name.startswith(self.where if first else "") and fits(self.kind, name)

    def _has_found(self):
        """Tell whether the fault that is looked for was met; then nobody looks any further."""
        found = (fault for faults in self.red.values() for fault in faults)
        return self.looks_for is not None and any(self.looks_for in fault for fault in found)

    def _meet(self, base, crashes, name):
        """Let the turn that begins at *base* meet its fault at a point, and see where that leads."""
        way = base.copy(crashes, insists=self._insists(crashes))
        struck = Struck(self, way.house, crashes[-1])
        way.house.fuse.chooses = struck
        way.turn()
        if struck.at != name:
            raise AssertionError(f"the fault of {crashes} landed at {struck.at!r}, not at {name!r}")
        if way.house.fuse.chooses is struck:
            way.house.fuse.chooses = None
        if self.kind == "power":
            self._find(way, struck)
        elif self.again and len(crashes) == 1:
            self._count(way)
            self._visit(way)
            self._tell(way)
        else:
            self._count(way)
            self._play(way)

    def _play(self, way):
        self.played += 1
        self._tell(way.go_on(self.known))

    def _count(self, way):
        """Count what a fault has left behind; tell whether it is met for the first time."""
        self.states += 1
        files = way.house.state_files
        world = hash((everything_else(way.house, way.place), frozenset(files.files.items()), frozenset(files._folders)))
        is_new = world not in self.judged
        self.judged.add(world)
        return is_new

    def _insists(self, crashes):
        return random.Random(repr(crashes)).random() * self.every < 1

    def _tell(self, way):
        """Keep what is wrong at the end of a way; if nothing is, it is known from now on."""
        if way is None:
            return
        self.whole += 1
        faults = way.faults()
        if faults:
            self.red[way.crashes] = [*faults, *(["and it was foretold to be green"] if way.was_foretold else [])]
        else:
            self.known.learn(way.segments)

    # the power goes

    def _find(self, way, struck):
        """Go on from each state that the disk may be found in."""
        (count,) = way.crashes
        dice = random.Random(count)
        self._lose_the_rest(way.house, count)
        way.at_work = None
        number = 0
        for found in _states(way.house.state_files.unsure(), struck.moments["state"], dice, self.limit):
            for beside, refs in product([{}, *struck.moments["work"]], _some_of(way.house.git.unsure())):
                crashes = (count, number)
                one = way.copy(crashes, insists=self._insists(crashes))
                one.house.git.lose_power(refs)
                one.house.work_files.lose_power(beside)
                one.house.state_files.lose_power(found)
                one.watch.look(one.house)
                number += 1
                if self._count(one):
                    self._play(one)

    @staticmethod
    def _lose_the_rest(house, count):
        """Let the machine start again; what nobody promised to keep is there, empty or gone."""
        for run_id in house.processes.started:
            house.processes.crash(run_id)
        house.reboot()
        fate = FATES[count // FATE_LASTS % len(FATES)]
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
        """Return how many ways were played in a minute."""
        return self.played / max(self.seconds, 0.001) * 60

    @property
    def pure_rate(self):
        """Return how many ways were played in a minute of a core's time, however many share it."""
        return self.played / max(self.cpu, 0.001) * 60

    def row(self):
        """Return what was played, as a row of the table at the end of the tests."""
        return {
            "fault": self.label,
            "points": self.points,
            "states": self.states,
            "disks": self.disks,
            "played": self.played,
            "toTheirEnd": self.whole,
            "red": len(self.red),
            "seconds": round(self.seconds, 1),
            "cpuSeconds": round(self.cpu, 2),
            "perMinute": round(self.rate),
            "perMinuteOfCpu": round(self.pure_rate),
        }

    def words(self):
        """Say how many points were played and how fast, and what went wrong first."""
        first = [f"{crashes}: {faults}" for crashes, faults in sorted(self.red.items())[:5]]
        return "\n".join(
            [
                f"{self.label}: {self.states} states at {self.points} points, {self.disks} of them different, "
                f"{self.whole} to their end, {len(self.red)} red, "
                f"{self.rate:,.0f} a minute ({self.pure_rate:,.0f} of CPU), {self.seconds:.1f} s",
                *first,
            ]
        )


class Struck:
    """Lets one fault happen at a point of a house, and says where it landed."""

    def __init__(self, matrix, house, count):
        self.matrix = matrix
        self.house = house
        self.count = count
        self.at = ""
        self.moments = {"state": [], "work": []}

    def __call__(self, count, name):
        """Return what is raised at a point."""
        if self.at and self.matrix.kind == "power":
            return PowerCut(f"before {name}")  # nothing that is cleaned up on the way out reaches the disk
        if count != self.count:
            return None
        self.at = name
        match self.matrix.kind:
            case "crash":
                return SimCrash(f"at {name}")
            case "power":
                self.moments |= {door: files.moments() for door, files in _stores(self.house) if name.startswith(door)}
                return PowerCut(f"at {name}")
            case "slow":
                self.house.clock.tick(minutes=SLOW_MINUTES)
                return None
            case "full":
                self.house.fuse.chooses, self.house.state_files.free = Full(), 0
                return error_of("ENOSPC", name)
        return error_of(self.matrix.kind, name)


def _stores(house):
    return (("state", house.state_files), ("work", house.work_files))


def _some_of(unsure):
    """Return none, each, and all of the refs that a power loss may find where they stood before."""
    found = [{}, *({ref: old} for ref, old in unsure.items())]
    return [*found, unsure] if len(unsure) > 1 else found


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

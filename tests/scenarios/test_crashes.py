"""A fault at every step of the loop and of its workers, a second one while the first is mended, and power losses.

`CRASH_STRIDE=1` plays every point of every scenario with every kind of fault; without it only the main story is
crashed at every point. `CRASH_TABLE=<file>` keeps what was played, as JSON (see tests/conftest.py).
"""

from __future__ import annotations

import os
from copy import deepcopy
from functools import partial
from zlib import crc32

import pytest
from tests.scenarios.backlogs import (
    MAIN,
    ONE,
    ROTATING,
    SCENARIOS,
    commit_beside,
    held,
    let_cycle,
    one_task,
    planned,
)
from tests.scenarios.crashes import Crashing, Matrix

from gluerun.cli.verbs import VERBS
from gluerun.core.actions import Action
from gluerun.ports import Landed, Landing
from gluerun.records import codec
from gluerun.sim.files import Operation, SimFiles
from gluerun.sim.git import SimGit
from gluerun.sim.processes import SimProcesses

STRIDE = int(os.environ.get("CRASH_STRIDE") or 0)
ERRORS = ("EIO", "ENOSPC", "EACCES", "full", "slow")
EVERYTHING = {"main": MAIN, **SCENARIOS}
# Stories of so many points that wider strides meet enough of them.
LONG = {
    *("three tasks", "refused branches", "ordered", "ordered back", "rejected", "by hand", "paused"),
    *("chained", "approved plan", "approved landing", "on the branch"),
}
# How many states of a power loss are played in each story at least, with every push.
POWER_STATES = {
    "main": 880,
    "rotating": 265,
    "three tasks": 285,
    "poisoned": 600,
    "chained": 380,
    "on the branch": 220,
    "ballast": 240,
    "squashed": 180,
    "rebased": 180,
    "proposed": 180,
    "followed": 240,
    "overtaken there": 220,
    "conflict": 300,
    "refused branches": 180,
    "widened": 250,
    "planned": 450,
    "proved node": 370,
    "criticised": 345,
    "cut off": 340,
    "refused first": 215,
    "orphaned": 240,
    "held": 265,
    "quarantined": 240,
    "set back": 265,
    "broken": 340,
    "held worker": 250,
    "held auditor": 355,
    "limited try": 225,
    "gated node": 260,
    "paused": 240,
    "imported": 160,
    "ordered": 255,
    "ordered back": 240,
    "approved plan": 205,
    "approved landing": 205,
    "rejected": 230,
    "by hand": 270,
    "at night": 200,
}

# Verbs that write elsewhere than behind the doors of a repository, and those that write nothing.
ELSEWHERE = {
    "init": "crashed by itself in tests/contracts/test_setup.py",
    "demo": "plays in a repository of its own",
    "backtest": "plays in a repository of its own",
    "config set": "one file, replaced whole by the storage door",
    "config unset": "one file, replaced whole by the storage door",
    "rescue restore": "git alone, in tests/contracts/test_git_rescue.py",
    "prove": "crashed at each of its own operations in tests/scenarios/test_pipelines.py",
    "gc": "crashed at each of its own operations in tests/scenarios/test_rescue_stories.py",
    "verify": "with --mend what every cycle does first, and every cycle is crashed",
    "update": "two files, each replaced whole by the storage door; the one that wins is first",
    "migrate": "crashed at each of its own operations in tests/scenarios/test_migrating.py",
    "timer install": "files of the user's system, each replaced whole; typed again it writes the same",
    "timer remove": "the same files, taken away; typed again it takes away what is left",
    "runners": "a memory of its own in the user's home, replaced whole",
}
READS = {
    *("doctor", "task list", "task show", "status", "validate-dag", "next-area", "next-areas", "node-fields"),
    *("lease list", "lease show", "breaker show", "timer show", "area-gate", "costs", "version", "rescue list"),
    *(
        "rescue show",
        "config show",
        "approvals",
        "approval show",
        "human-gate status",
        "health",
        "queue",
        "receipts",
        "flakes",
        "whatif",
        "gates",
        "graph",
    ),
    *("report", "watch", "explain", "logs"),
}


def play(tell, name, scenario, **how):
    """Play a matrix, tell what came of it, and demand that nothing did."""
    matrix = Matrix(scenario, **how).run()
    tell("fault matrix", {"scenario": name, **matrix.row()})
    assert matrix.red == {}, matrix.words()
    return matrix


def test_a_crash_at_any_point_loses_nothing_and_doubles_nothing(record_property):
    play(record_property, "main", MAIN)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_crash_in_any_story_loses_nothing_and_doubles_nothing(name, record_property):
    play(record_property, name, SCENARIOS[name], stride=STRIDE or 17)


@pytest.mark.parametrize("kind", ERRORS)
def test_a_door_that_fails_ends_the_cycle_with_one_clear_error_and_nothing_else(kind, record_property):
    play(record_property, "main", MAIN, kind=kind, stride=STRIDE or 7)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_door_that_fails_in_any_story_loses_nothing(name, record_property):
    # Dealt by its name, so that another story changes nothing about this one.
    first, *others = ERRORS
    for kind in ERRORS if STRIDE else (others[crc32(name.encode()) % len(others)], first):
        play(record_property, name, SCENARIOS[name], kind=kind, stride=STRIDE or 37)


@pytest.mark.parametrize("where", ["after move events", "before move events", "before append events"])
def test_a_crash_while_the_journal_is_sealed_loses_no_event(where):
    matrix = Matrix(ROTATING, where=f"state {where}").run()

    assert matrix.states > 1
    assert matrix.red == {}


def test_a_second_crash_while_the_first_is_mended_loses_nothing(record_property):
    play(record_property, "main", MAIN, stride=STRIDE * 4 or 31, again=STRIDE * 4 or 17)


# --- the power goes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_power_loss_in_any_story_loses_nothing_that_was_promised(name, record_property):
    stride = STRIDE or (5 if name == "main" else 37 if name in LONG else 17)
    matrix = play(record_property, name, EVERYTHING[name], kind="power", stride=stride, states=100 if STRIDE else 16)

    assert matrix.states >= POWER_STATES[name]


def test_every_push_plays_ten_thousand_states_of_a_power_loss():
    assert POWER_STATES.keys() == EVERYTHING.keys()
    assert sum(POWER_STATES.values()) >= 10_000


# --- the matrix is complete ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def carried_out():
    """What the scenarios carry out and type when nothing goes wrong."""
    return {name: scenario.kinds() for name, scenario in EVERYTHING.items()}


def kind_of(action):
    """Return an action as a report names it."""
    return "".join("-" + letter.lower() if letter.isupper() else letter for letter in action.__name__).lstrip("-")


@pytest.mark.parametrize("action", [kind_of(action) for action in Action.__args__])
def test_every_action_is_carried_out_in_the_matrix(action, carried_out):
    assert [name for name, (kinds, _) in carried_out.items() if action in kinds], "extend tests/scenarios/backlogs.py"


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS if verb.name not in READS])
def test_every_verb_that_writes_is_typed_in_the_matrix_or_says_where_it_is_crashed(verb, carried_out):
    typed = [name for name, (_, verbs) in carried_out.items() if verb in verbs]

    assert typed or verb in ELSEWHERE, "extend tests/scenarios/backlogs.py"


def test_every_story_ends_well_when_nothing_goes_wrong():
    assert {name: faults for name, scenario in EVERYTHING.items() if (faults := scenario.faults())} == {}


# --- the matrix sees what it is there for ----------------------------------------------------------------


class Door:
    """The repository's door, with something taken out."""

    def __init__(self, git):
        self.git = git

    def __getattr__(self, name):
        return getattr(self.git, name)

    def __deepcopy__(self, memo):
        return type(self)(deepcopy(self.git, memo))


class LandsBlindly(Door):
    """Moves the target without comparing."""

    def land(self, branch, new, old):
        self.git.fault("land:before")
        self.git.refs[f"refs/heads/{branch}"] = new
        return Landed(landing=Landing.LANDED)


class KeepsNothing(Door):
    """Forgets what is rescued."""

    def keep(self, ref, commit):
        self.git.fault("keep:before")


class TearsRecords(SimFiles):
    """Writes in place: a crash leaves half a record where a whole one was."""

    def _leave_torn(self, wanted):
        self._apply(Operation(verb="write", path=wanted.path, data=wanted.data[: len(wanted.data) // 2]))


def overtaken():
    """A task whose target moves in the very moment of its landing."""
    house = one_task()
    house.fuse.once("git land:before", partial(house.colleague, "c.txt", "hers, at the last moment"))
    return house


class NeverSyncs(SimFiles):
    """Says that it was synced, and did not."""

    def write(self, path, data, *, durable=True):
        super().write(path, data, durable=False)

    def write_all(self, files):
        for path, data in files.items():
            self.write(path, data)


class NamesNoRefs(SimGit):
    """Moves refs and leaves it to the disk whether their names survive."""

    def _sync_ref(self, ref):
        pass


class EpochsStandStill(SimFiles):
    """Starts every run of a task under the same epoch."""

    def write(self, path, data, *, durable=True):
        if path.startswith("tasks/live/"):
            data = codec.encode(codec.decode(data) | {"epoch": 1})
        super().write(path, data, durable=durable)

    def write_all(self, files):
        for path, data in files.items():
            self.write(path, data)


class ForgetsImports(SimFiles):
    """Does not remember which ids a batch was given."""

    def write(self, path, data, *, durable=True):
        if not path.endswith("/import.json"):
            super().write(path, data, durable=durable)


class BooksAgain(SimFiles):
    """Books a run under another name each time."""

    def write(self, path, data, *, durable=True):
        if path.startswith("costs/") and path in self.files:
            path = path.replace(".json", ".json-again")
        super().write(path, data, durable=durable)


def through(door, build):
    """Return *build* with another door to the repository."""

    def spoilt():
        house = build()
        house.git_door = door(house.git)
        return house

    return spoilt


def in_repository(git, build):
    """Return *build* with another repository."""

    def spoilt():
        house = build()
        house.git.__class__ = git
        return house

    return spoilt


def upon(files, build):
    """Return *build* with another door to the state folder."""

    def spoilt():
        house = build()
        house.state_files = files(house.fuse.of("state"))
        house.processes = SimProcesses(house.clock, house.state_files)
        return house

    return spoilt


OVERTAKEN = Crashing(overtaken, let_cycle, commit_beside, wants={ONE: "integrated"}, files=("a.txt", "b.txt", "c.txt"))


def test_a_target_that_moves_in_the_last_moment_loses_nothing(record_property):
    play(record_property, "overtaken", OVERTAKEN, stride=STRIDE or 17)


@pytest.mark.parametrize(
    ("hole", "like", "how", "says"),
    [
        (through(LandsBlindly, overtaken), OVERTAKEN, {"where": "git land"}, "c.txt is not in the target"),
        (through(KeepsNothing, one_task), MAIN, {"where": "git"}, "what RUN-"),
        (upon(TearsRecords, one_task), MAIN, {"where": "state before write tasks"}, "states are"),
        (upon(NeverSyncs, one_task), MAIN, {"kind": "power", "where": "state after write", "stride": 5}, ""),
        (
            in_repository(NamesNoRefs, one_task),
            MAIN,
            {"kind": "power", "where": "state after move"},
            "the target holds",
        ),
        (upon(EpochsStandStill, one_task), MAIN, {"where": "git snapshot", "stride": 999}, "was given twice"),
        (upon(ForgetsImports, planned), SCENARIOS["planned"], {"where": "work after create"}, "states are"),
        (upon(BooksAgain, held), SCENARIOS["held"], {"where": "state after write costs"}, "is booked 2 times"),
    ],
    ids=[
        *(
            "compare-and-swap",
            "rescue",
            "atomic replace",
            "fsync",
            "names of refs",
            "epochs",
            "idempotent import",
            "booking once",
        ),
    ],
)
def test_without_a_protection_the_matrix_is_red(hole, like, how, says):
    spoilt = Crashing(hole, *like.steps, wants=like.wants, files=like.files, nodes=like.nodes)

    matrix = Matrix(spoilt, states=12, looks_for=says, **how).run()

    assert any(says in fault for faults in matrix.red.values() for fault in faults)


def test_what_is_known_to_be_green_is_told_from_what_is_not():
    matrix = Matrix(Crashing(one_task, let_cycle, wants=MAIN.wants, files=("b.txt",)), stride=40).run()

    # The way that meets no fault is one more.
    assert (len(matrix.red), matrix.whole) == (matrix.states + 1, matrix.played + 1)

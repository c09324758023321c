"""A crash at every step of the loop and of its workers, and a second one while the first is mended.

`CRASH_STRIDE=1` plays every point of every scenario; without it only the main one is played whole.
"""

from __future__ import annotations

import os

import pytest
from tests.scenarios.crashes import Crashing, Matrix

from gluerun.ports import Landed, Landing
from gluerun.sim.files import Operation, SimFiles
from gluerun.sim.processes import SimProcesses
from gluerun.testing import Move, SimHouse, batch, markdown

ONE, TWO, THREE = "TASK-0001", "TASK-0002", "TASK-0003"
STRIDE = int(os.environ.get("CRASH_STRIDE") or 0)
# A second crash is a second fault of infrastructure: neither is the work's.
PATIENT = {"worker_infra_max": 3, "max_retries": 6, "max_consec_fails": 99}


def one_task():
    """A task whose gate is red once and whose target moves under it, so that it is proved by a run."""
    house = SimHouse(**PATIENT).given(ONE, owned=["a.txt"])
    house.agent(ONE, [Move(writes={"a.txt": "bad"}), Move(writes={"a.txt": "good"})])
    return house.gate(lambda tree: int(tree.get("a.txt") == "bad"))


def three_tasks():
    """A task, one that waits for it, and one beside them."""
    return one_task().given(TWO, depends_on=[ONE]).given(THREE)


def rotating():
    """The same with a journal whose files are sealed again and again."""
    return one_task().configure(journal_file_bytes=300)


def conflict():
    """A task that a colleague overtakes in the same file."""
    house = SimHouse(**PATIENT).given(ONE, owned=["a.txt"])
    return house.agent(ONE, [Move(writes={"a.txt": "mine"}), Move(writes={"a.txt": "both"})])


def widened():
    """A task whose scope is too narrow, so that its files travel to the next run by rescue."""
    house = SimHouse(**PATIENT).given(ONE, owned=["a.txt"])
    return house.agent(ONE, [Move(writes={"a.txt": "a", "b.txt": "b"})])


def planned():
    """A node that a planner fills with two tasks."""
    owned = {"TASK-9001": "src/one", "TASK-9002": "src/two"}
    texts = [markdown(task, area="src", node="core", owned=[path]) for task, path in owned.items()]
    return SimHouse(**PATIENT, planner_backoff_seconds=60).graph("core").planner("core", [batch(*texts)])


def let_cycle(house):
    house.cycle()


def commit_beside(house):
    house.colleague("b.txt", "hers")


def commit_over(house):
    house.colleague("a.txt", "hers")


MAIN = Crashing(one_task, let_cycle, commit_beside, wants={ONE: "integrated"}, files=("a.txt", "b.txt"))
# Every crash inside the journal's own steps: sealing, appending, anchoring.
ROTATING = Crashing(rotating, let_cycle, commit_beside, wants={ONE: "integrated"}, files=("a.txt", "b.txt"))
SCENARIOS = {
    "rotating": ROTATING,
    "three tasks": Crashing(
        three_tasks,
        let_cycle,
        commit_beside,
        wants=dict.fromkeys((ONE, TWO, THREE), "integrated"),
        files=("a.txt", "b.txt", "src/TASK-0002.txt", "src/TASK-0003.txt"),
    ),
    "conflict": Crashing(conflict, let_cycle, commit_over, wants={ONE: "integrated"}, files=("a.txt",)),
    "widened": Crashing(widened, wants={ONE: "integrated"}, files=("a.txt", "b.txt")),
    "planned": Crashing(
        planned, wants={ONE: "integrated", TWO: "integrated"}, files=("src/one", "src/two"), nodes=("core",)
    ),
}


def show(capsys, matrix):
    """Print how fast a matrix was, and what it found."""
    with capsys.disabled():
        print(f"\n  {matrix.words()}")


def test_a_crash_at_any_point_loses_nothing_and_doubles_nothing(capsys):
    matrix = Matrix(MAIN).run()

    show(capsys, matrix)
    assert matrix.red == {}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_crash_in_any_story_loses_nothing_and_doubles_nothing(name, capsys):
    matrix = Matrix(SCENARIOS[name], stride=STRIDE or 9).run()

    show(capsys, matrix)
    assert matrix.red == {}


@pytest.mark.parametrize("where", ["after move events", "before move events", "before append events"])
def test_a_crash_while_the_journal_is_sealed_loses_no_event(where, capsys):
    matrix = Matrix(ROTATING, where=f"state {where}").run()

    show(capsys, matrix)
    assert matrix.played > 3
    assert matrix.red == {}


def test_a_second_crash_while_the_first_is_mended_loses_nothing(capsys):
    matrix = Matrix(MAIN, stride=STRIDE * 4 or 31, again=STRIDE * 4 or 17).run()

    show(capsys, matrix)
    assert matrix.red == {}


# --- the matrix sees what it is there for ----------------------------------------------------------------


class Door:
    """The repository's door, with something taken out."""

    def __init__(self, git):
        self.git = git

    def __getattr__(self, name):
        return getattr(self.git, name)


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
    house.fuse.once("git land:before", lambda: house.colleague("c.txt", "hers, at the last moment"))
    return house


def through(door, build):
    """Return *build* with another door to the repository."""

    def spoilt():
        house = build()
        house.git_door = door(house.git)
        return house

    return spoilt


def torn():
    house = one_task()
    files = TearsRecords(house.fuse.of("state"))
    house.state_files = files
    house.processes = SimProcesses(house.clock, files)
    return house


OVERTAKEN = Crashing(overtaken, let_cycle, commit_beside, wants={ONE: "integrated"}, files=("a.txt", "b.txt", "c.txt"))


def test_a_target_that_moves_in_the_last_moment_loses_nothing(capsys):
    matrix = Matrix(OVERTAKEN, stride=STRIDE or 11).run()

    show(capsys, matrix)
    assert matrix.red == {}


@pytest.mark.parametrize(
    ("build", "files", "where", "says"),
    [
        (through(LandsBlindly, overtaken), OVERTAKEN.files, "git land", "c.txt is not in the target"),
        (through(KeepsNothing, one_task), MAIN.files, "git", "what RUN-"),
        (torn, MAIN.files, "state before write tasks", "states are"),
    ],
    ids=["without compare-and-swap", "without rescue", "without whole writes"],
)
def test_a_house_with_a_hole_is_red(build, files, where, says):
    spoilt = Crashing(build, let_cycle, commit_beside, wants={ONE: "integrated"}, files=files)

    matrix = Matrix(spoilt, where=where).run()

    assert any(says in fault for faults in matrix.red.values() for fault in faults)

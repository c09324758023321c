"""A crash at every step of the loop and of its workers, and a second one while the first is mended.

`CRASH_STRIDE=1` plays every point of every scenario; without it only the main one is played whole.
"""

from __future__ import annotations

import os

import pytest
from tests.scenarios.crashes import Crashing, Matrix

from gluerun.testing import Move, SimHouse, batch, markdown

ONE, TWO, THREE = "TASK-0001", "TASK-0002", "TASK-0003"
STRIDE = int(os.environ.get("CRASH_STRIDE", "0"))
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
SCENARIOS = {
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


def test_a_second_crash_while_the_first_is_mended_loses_nothing(capsys):
    matrix = Matrix(MAIN, stride=STRIDE * 4 or 31, again=STRIDE * 4 or 17).run()

    show(capsys, matrix)
    assert matrix.red == {}

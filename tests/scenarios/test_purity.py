"""What thinking promises is what acting does, and thinking touches nothing."""

from __future__ import annotations

import builtins
import random
import time
from contextlib import contextmanager

import pytest
from tests.scenarios.backlogs import commit_beside, commit_over, conflict, one_task, planned, three_tasks, widened

from gluerun.core.actions import Admit, Close, Notice, Readmit, Settle, Start, Unlease
from gluerun.core.expect import expect
from gluerun.core.plan import PHASES, plan_cycle
from gluerun.loop.actuate import actuate
from gluerun.loop.observe import observe
from gluerun.loop.report import Notes
from gluerun.records.record import replace
from gluerun.records.spent import Spent
from gluerun.sim.crash import SimCrash
from gluerun.testing import SimHouse

ORIGIN = "ORIGIN-20260101T000000Z-1"
MODELLED = (Admit, Close, Notice, Readmit, Settle, Start, Unlease)


def look(house):
    return observe(house.open(), ORIGIN).world


def essence(world, *, leases):
    """Return what of a world an expectation can know: not fresh ids, where rescued work lies, what a run cost."""
    tasks = [replace(task, run_id=None, seed_sha=None, spent=Spent(), settled_run=None) for task in world.tasks]
    return tasks, sorted(lease.task_id for lease in world.leases) if leases else ()


def act_and_compare(house, seen):
    """Carry out one cycle action by action; every modelled one must leave what was expected of it."""
    for phase in PHASES:
        for action in phase(look(house)):
            world = look(house)
            actuate(house.open(), world, action, Notes())
            if isinstance(action, MODELLED):
                seen.add(type(action))
                leases = not isinstance(action, Start)  # a plan needs no lease of it: the task was chosen
                got, expected = look(house), expect(world, action)
                assert essence(got, leases=leases) == essence(expected, leases=leases), action
                assert got.done.items() <= expected.done.items(), action


def cut(point):
    """Return a step that lets a cycle die at a named point."""

    def die():
        raise SimCrash(point)

    def step(house):
        house.fuse.once(point, die)
        with pytest.raises(SimCrash):
            house.cycle(work=False)

    return step


def edit(house):
    house.given("TASK-0001", owned=["a.txt"], title="Do it otherwise")


def vanish(house):
    house.hold("TASK-0001").cycle()
    house.crash("TASK-0001").release("TASK-0001")


STORIES = {
    "one task": (one_task, [commit_beside]),
    "three tasks": (three_tasks, [commit_beside]),
    "conflict": (conflict, [SimHouse.cycle, commit_over]),
    "widened": (widened, []),
    "planned": (planned, []),
    "vanished": (one_task, [vanish]),
    "edited": (lambda: SimHouse(max_dispatch=0).given("TASK-0001", owned=["a.txt"]), [SimHouse.cycle, edit]),
    "cut in a landing": (one_task, [SimHouse.cycle, cut("git land:after")]),
    "cut in a closing": (one_task, [SimHouse.cycle, cut("state before remove leases/TASK-0001.json")]),
}


def play(name):
    """Yield the house of a story before each of its cycles."""
    build, steps = STORIES[name]
    house = build()
    for step in steps:
        step(house)
    for _ in range(12):
        house.clock.tick(minutes=2)
        yield house
        house.let_work()


def test_what_was_done_is_what_was_expected():
    seen = set()

    for name in STORIES:
        for house in play(name):
            act_and_compare(house, seen)

    assert seen == set(MODELLED)


def refuse(*_, **__):
    raise AssertionError("thinking reached for the world")


@contextmanager
def nothing_to_reach_for():
    """Take away files, time and chance."""
    taken = [(builtins, "open"), (time, "time"), (time, "time_ns"), (time, "monotonic"), (random, "random")]
    kept = [(owner, name, vars(owner)[name]) for owner, name in taken]
    for owner, name in taken:
        vars(owner)[name] = refuse
    try:
        yield
    finally:
        for owner, name, real in kept:
            vars(owner)[name] = real


@pytest.mark.parametrize("name", STORIES)
def test_thinking_touches_nothing_and_thinks_the_same_twice(name):
    for house in play(name):
        world = look(house)
        with nothing_to_reach_for():
            plans = plan_cycle(world), plan_cycle(world)
        assert plans[0] == plans[1]
        house.cycle(work=False)

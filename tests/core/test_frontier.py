"""Which ready tasks may run now, and the one reason of each that may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.worlds import accepted, lease, proof, running, task, world
from tests.records.documents import examples

from gluerun.core.frontier import frontier
from gluerun.core.scope import clashes
from gluerun.records.task import ProofState, Status

SAME = {"owned_files": ("src/same",)}


def waits(number, reason, *blocked_by):
    return (f"TASK-{number:04d}", reason, blocked_by)


def owning(number, *paths, **changes):
    return task(number, of={"owned_files": paths}, **changes)


def needing(number, *needs):
    return task(number, of={"depends_on": needs})


HOLDER = running(1, of=SAME)
READY_2 = task(2, of=SAME)


@pytest.mark.parametrize(
    ("seen", "seats", "started", "waiting"),
    [
        (world(), 5, [], []),
        (world(task(1)), 5, [1], []),
        (world(task(2), task(1)), 5, [1, 2], []),
        (world(task(10000), task(9999)), 5, [9999, 10000], []),
        (world(task(1), task(2)), 1, [1], [waits(2, "no free seat")]),
        (world(task(1)), 0, [], [waits(1, "no free seat")]),
        (world(*(task(n, status) for n, status in enumerate(Status, 1))), 9, [1], []),
        (world(running(1), leases=(lease(running(1)),)), 5, [], []),
        (world(task(1, of={"dispatch_mode": "manual"})), 5, [],
         [waits(1, "dispatch mode is 'manual', not 'canonical'")]),
        (world(task(1, of={"target_branch": "develop"})), 5, [],
         [waits(1, "its target is 'develop', not this loop's")]),
        (world(needing(1, "TASK-0009")), 5, [],
         [waits(1, "depends on TASK-0009, which nobody knows", "TASK-0009")]),
        (world(needing(1, "TASK-0009"), done={"TASK-0009": Status.INTEGRATED}), 5, [1], []),
        (world(needing(1, "TASK-0009"), done={"TASK-0009": Status.CANCELLED}), 5, [],
         [waits(1, "depends on TASK-0009, which is cancelled", "TASK-0009")]),
        (world(needing(2, "TASK-0001"), task(1)), 5, [1],
         [waits(2, "depends on TASK-0001, which is ready", "TASK-0001")]),
        (world(needing(2, "TASK-0001"), accepted(1)), 5, [],
         [waits(2, "depends on TASK-0001, which is accepted", "TASK-0001")]),
        (world(needing(2, "TASK-0001"), task(1, Status.BLOCKED)), 5, [],
         [waits(2, "depends on TASK-0001, which is blocked", "TASK-0001")]),
        (world(needing(1, "TASK-0001")), 5, [], [waits(1, "depends on TASK-0001, which is ready", "TASK-0001")]),
        (world(HOLDER, READY_2, leases=(lease(HOLDER),)), 5, [],
         [waits(2, "its scope is held by TASK-0001", "TASK-0001")]),
        (world(task(1, of=SAME), READY_2), 5, [1], [waits(2, "its scope is held by TASK-0001", "TASK-0001")]),
        (world(owning(1, "Makefile"), owning(2, "Makefile")), 5, [1],
         [waits(2, "its scope is held by TASK-0001", "TASK-0001")]),
        (world(owning(1, "src"), owning(2, "src2"), owning(3, "src/a")), 5, [1, 2],
         [waits(3, "its scope is held by TASK-0001", "TASK-0001")]),
        (world(owning(1, "a", amended_files=("b",)), owning(2, "b")), 5, [1],
         [waits(2, "its scope is held by TASK-0001", "TASK-0001")]),
        (world(owning(1, "a"), owning(2, "b", amended_files=("a/x",))), 5, [1],
         [waits(2, "its scope is held by TASK-0001", "TASK-0001")]),
        (world(task(1, of=SAME | {"depends_on": ("TASK-0009",)}), READY_2), 5, [2],
         [waits(1, "depends on TASK-0009, which nobody knows", "TASK-0009")]),
        (world(accepted(1, of=SAME), READY_2), 5, [], [waits(2, "its scope is held by TASK-0001", "TASK-0001")]),
        (world(accepted(1, of=SAME, proof=proof()), READY_2), 5, [],
         [waits(2, "its scope is held by TASK-0001", "TASK-0001")]),
        (world(accepted(1, of=SAME, proof=proof(ProofState.WAITING, blocked_paths=("a.txt",))), READY_2), 5, [2], []),
        (world(accepted(1, of=SAME), READY_2, auto_integrate=False), 5, [2], []),
        (world(task(1, Status.BLOCKED, of=SAME), READY_2), 5, [2], []),
    ],
    ids=[
        "no task", "a ready task", "lower ids first", "numbers are counted, not spelled", "one seat", "no seat",
        "only ready ones", "a leased one is under way", "another mode", "another target", "an unknown need",
        "a need that is integrated", "a need that was cancelled", "a need that is ready", "a need that is accepted",
        "a need that is parked", "a need of itself", "a leased scope", "two ready ones share", "two share a root file",
        "names that begin alike do not clash", "a scope that grew holds more", "a scope that grew clashes more",
        "who waits holds nothing", "an accepted branch holds its scope", "a proved one too",
        "one that waits for a checkout holds nothing", "without integration an accepted one holds nothing",
        "a parked one holds nothing",
    ],
)  # fmt: skip
def test_the_frontier(seen, seats, started, waiting):
    start, rest = frontier(seen, seats)

    told = [(one.task_id, one.reason, one.blocked_by) for one in rest]
    assert ([int(one.task_id[5:]) for one in start], told) == (started, waiting)


PATHS = st.lists(st.sampled_from(["a", "a/b", "a/b/c", "b", "ab", "Makefile"]), min_size=1, max_size=3, unique=True)


@examples(150)
@given(st.lists(PATHS, max_size=6), st.integers(0, 4), st.sets(st.integers(1, 6)))
def test_whoever_starts_shares_nothing_and_everybody_else_has_a_reason(scopes, seats, leased):
    tasks = [
        (running if number in leased else task)(number, of={"owned_files": tuple(paths)})
        for number, paths in enumerate(scopes, 1)
    ]
    leases = tuple(lease(one) for one in tasks if one.run_id)
    start, rest = frontier(world(*tasks, leases=leases), seats)
    holders = [one.owned for one in tasks if one.run_id] + [one.owned for one in start]

    assert len(start) <= seats
    assert {one.task_id for one in start} | {one.task_id for one in rest} | {one.task_id for one in leases} == {
        one.task_id for one in tasks
    }
    assert len(start) + len(rest) + len(leases) == len(tasks)
    for at, one in enumerate(start):
        others = holders[: len(leases) + at]
        assert not any(clashes(one.owned, other) for other in others)

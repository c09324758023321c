"""What may be wrong with an accepted branch: it is named in one sentence, its task is parked, the queue goes on."""

from __future__ import annotations

import pytest

from gluerun.errors import GitError
from gluerun.records.dispatch import Life
from gluerun.records.failure import Failure
from gluerun.records.record import replace
from gluerun.records.task import ProofState
from gluerun.sim.git_model import tree_id
from gluerun.testing import Move, SimHouse

ONE, BAD, THREE = "TASK-0001", "TASK-0002", "TASK-0003"
GATE = "make check"
ROOM = 100_000


def accepted(**config) -> SimHouse:
    """Return a house in which three tasks have been accepted and nothing of them has landed."""
    house = SimHouse(**config)
    for task_id, path in ((ONE, "a.txt"), (BAD, "b.txt"), (THREE, "c.txt")):
        house.given(task_id, owned=[path]).agent(task_id, [Move(writes={path: task_id})])
    house.cycle(work=False)
    house.let_work().cycle(mode="apply")
    assert set(house.states().values()) == {"accepted"}, house.states()
    return house


def branch(house: SimHouse, task_id: str = BAD) -> str:
    return f"refs/heads/{house.record(task_id).spec.worker_branch}"


def note(house: SimHouse, task_id: str = BAD):
    """Return failure and sentence of a parked task, as a person finds them."""
    failure = house.record(task_id).last_failure
    return failure.failure_class, failure.reason


def assert_the_others_landed(house: SimHouse) -> None:
    assert house.states() == {ONE: "integrated", BAD: "parked", THREE: "integrated"}
    assert {"a.txt", "c.txt"} <= house.target_files().keys()
    assert "b.txt" not in house.target_files()


def test_a_branch_that_vanished_is_named_and_parked():
    house = accepted()
    name = branch(house)
    del house.git.refs[name]

    house.until_quiet()

    assert note(house) == (Failure.PACKET_INVALID, f"its branch {name.removeprefix('refs/heads/')} is gone")
    assert_the_others_landed(house)


def test_a_branch_whose_commit_vanished_is_named_and_parked():
    house = accepted(gate_command="")
    commit = house.record(BAD).head_sha
    del house.git.commits[commit]

    house.until_quiet()

    assert note(house) == (Failure.PACKET_INVALID, f"its commit {commit[:12]} is gone from the repository")
    assert_the_others_landed(house)


def test_a_branch_that_moved_under_the_queue_is_named_with_both_commits_and_never_lands():
    house = accepted()
    old = house.record(BAD).head_sha
    new = house.git.commit_tree(house.git.tree_of(old), [old], "one more, by nobody who was asked")
    house.git.refs[branch(house)] = new

    house.until_quiet()

    failure, reason = note(house)
    assert failure is Failure.PACKET_INVALID
    assert f"moved from {old[:12]} to {new[:12]}" in reason
    assert not house.git.contains(house.git.head("main"), new)
    assert_the_others_landed(house)


def test_a_branch_that_moves_while_it_is_proved_parks_its_task_and_ends_the_prover():
    house = accepted(gate_command=GATE).gate(lambda tree: (0, ""))
    for _ in range(9):
        house.cycle(work=False)
        if house.record(BAD).proof is not None and house.record(BAD).proof.state is ProofState.PROVING:
            break
        house.let_work()
    run_id = house.record(BAD).proof.run_id
    assert house.processes.life(run_id) is Life.ALIVE
    old = house.record(BAD).head_sha
    house.git.refs[branch(house)] = house.git.commit_tree(house.git.tree_of(old), [old], "more")

    house.cycle(work=False)

    assert house.state(BAD) == "parked"
    assert house.processes.life(run_id) is Life.DEAD
    house.until_quiet()
    assert_the_others_landed(house)


def test_a_target_that_moved_under_the_queue_is_proved_on_anew_and_nothing_is_lost():
    house = accepted()
    house.colleague("colleague.txt", "meanwhile")

    house.until_quiet()

    assert set(house.states().values()) == {"integrated"}
    assert {"a.txt", "b.txt", "c.txt", "colleague.txt"} <= house.target_files().keys()


def test_a_history_without_a_common_commit_is_named_and_parked():
    house = accepted()
    island = house.git.commit_tree(house.git.tree_of(house.record(BAD).head_sha), [], "an island")
    house.git.refs[branch(house)] = island
    task = house.record(BAD)
    house.open().store.put_task(replace(task, head_sha=island))

    house.until_quiet()

    failure, reason = note(house)
    assert failure is Failure.PACKET_INVALID
    assert reason.endswith("and main have no commit in common")
    assert_the_others_landed(house)


def test_a_change_that_is_there_already_is_named_and_parked_instead_of_merged_as_nothing():
    house = accepted()
    house.colleague("b.txt", BAD)

    house.until_quiet()

    assert note(house) == (Failure.NO_CHANGES, "all that it changes is in main already")
    assert house.states() == {ONE: "integrated", BAD: "parked", THREE: "integrated"}
    assert not house.git.trailers("main", "Gluerun-Task").get(BAD)


def large(house: SimHouse) -> None:
    """Let the second task's work be larger than what the disk has room for; all else is small."""
    head = house.record(BAD).head_sha
    tree = {**house.git.trees[house.git.tree_of(head)], "b.txt": ("100644", b"x" * 200_000)}
    name = tree_id(tree)
    house.git.trees[name] = tree
    new = house.git.commit_tree(name, [head], "large")
    house.git.refs[branch(house)] = new
    house.open().store.put_task(replace(house.record(BAD), head_sha=new))
    house.git.room = ROOM


def test_a_candidate_larger_than_the_disk_is_tried_behind_the_others_then_named_and_parked():
    house = accepted()
    large(house)

    house.until_quiet()

    failure, reason = note(house)
    assert failure is Failure.WORKER_INFRA
    assert reason.startswith("the disk has no room for its candidate")
    assert len(house.events("integration.postponed")) == 1
    assert_the_others_landed(house)


def test_a_candidate_for_which_there_is_room_again_lands():
    house = accepted()
    large(house)
    house.cycle(1)
    house.git.room = None

    house.until_quiet()

    assert set(house.states().values()) == {"integrated"}
    assert house.record(BAD) is None or house.record(BAD).infra_tries == 0


def test_a_gate_place_larger_than_the_disk_is_a_fault_of_the_machine_and_the_queue_goes_on():
    house = accepted(gate_command=GATE).gate(lambda tree: (0, ""))
    large(house)

    for _ in range(12):
        house.git.room = None  # the objects of a merge are packed small
        house.cycle(work=False)
        house.git.room = ROOM
        house.let_work()

    failure, reason = note(house)
    assert failure is Failure.WORKER_INFRA
    assert "unable to write file b.txt" in reason
    assert_the_others_landed(house)


def test_a_fault_of_git_itself_is_nobodys_and_parks_nobody():
    house = accepted()
    head = house.git.head("main")
    kept = house.git.commits.pop(head)

    with pytest.raises(GitError):
        house.cycle(1)

    house.git.commits[head] = kept
    house.until_quiet()
    assert set(house.states().values()) == {"integrated"}

"""Stories about work that lands as one plain commit, or as the commits of its branch."""

from __future__ import annotations

import pytest

from gluerun.core.provenance import of_message, without_trailers
from gluerun.edge.verifying import verify
from gluerun.records.config import Integration, IntegrationMode
from gluerun.testing import Move, SimHouse

ONE, TWO = "TASK-0001", "TASK-0002"
PLAIN = (IntegrationMode.SQUASH, IntegrationMode.REBASE)


def line_of(house: SimHouse) -> list[str]:
    """Return the commits of the target, the newest first; each has one parent."""
    found, at = [], house.git.head("main")
    while at:
        found.append(at)
        parents = house.git.commits[at].parents
        assert len(parents) < 2
        at = parents[0] if parents else None
    return found


@pytest.fixture(params=PLAIN)
def house(request) -> SimHouse:
    """Two tasks have landed, the first proved by a run because its target moved."""
    house = SimHouse(integration=Integration(mode=request.param)).given(ONE, owned=["a.txt"])
    house.agent(ONE, [Move(writes={"a.txt": "good"})]).cycle()
    house.colleague("b.txt", "hers")
    return house.until_quiet().given(TWO).until_quiet()


def test_the_target_stays_one_line_and_each_commit_says_whose_it_is(house):
    assert house.states() == {ONE: "integrated", TWO: "integrated"}
    said = [of_message(house.git.commits[one].message) for one in line_of(house)]
    assert [one.task for one in said] == [TWO, ONE, "", ""]
    for one in said[:2]:
        packet = house.open().store.settled_task(one.task)
        assert one.head == packet.head_sha and not one.faults


def test_branches_go_and_nothing_of_them_is_rescued_as_if_it_were_lost(house):
    assert [ref for ref in house.git.refs if ref.startswith("refs/heads/agent/")] == []
    assert house.git.kept("refs/gluerun/rescue") == {}


def test_the_evidence_leads_back_to_the_commit_that_was_judged(house):
    assert verify(house.open(), ()).problems == ()

    tip = house.git.head("main")
    commit = house.git.commits[tip]
    said = of_message(commit.message)
    other = commit.message.replace(f"Gluerun-Head: {said.head}", f"Gluerun-Head: {'0' * 40}")
    forged = house.git.commit_tree(commit.tree, commit.parents, other)
    house.git.advance("main", forged, tip)
    found = verify(house.open(), (forged,)).problems
    assert any("is about another commit than merge" in one.message for one in found), found


def test_what_landed_is_found_again_without_the_state(house):
    before = house.states()
    for path in [path for path in house.state_files.files if path.startswith("tasks/")]:
        house.state_files.remove(path)
    again = house.open()
    merged = again.doors.git.trailers("main", "Gluerun-Task")
    assert set(merged) == set(before) and merged[TWO] == house.git.head("main")


@pytest.mark.parametrize(
    ("message", "left"),
    [
        ("one\n\nwords\n\nGluerun-Task: TASK-0001\nGluerun-Run: x\n", "one\n\nwords\n"),
        ("one\n\nGluerun-Task: TASK-0001\nReviewed-by: me\n", "one\n"),
        ("one\n\nReviewed-by: me\n", "one\n\nReviewed-by: me\n"),
        ("one\n", "one\n"),
    ],
)
def test_what_is_replayed_says_nothing_twice(message, left):
    assert without_trailers(message) == left


@pytest.mark.parametrize("mode", PLAIN)
def test_a_batch_lands_by_one_move_and_is_one_line_of_commits(mode):
    names = [f"TASK-{number:04d}" for number in range(1, 6)]
    house = SimHouse(integration=Integration(mode=mode), gate_slots=2, max_concurrent=9, max_dispatch=9)
    for name in names:
        house.given(name)
    heads = [house.git.head("main")]
    while len(heads) < 20 and set(house.cycle() and house.states().values()) != {"integrated"}:
        heads += [house.git.head("main")]

    assert len({*heads, house.git.head("main")}) == 3  # what was there, the first, and the others together
    said = [of_message(house.git.commits[one].message).task for one in line_of(house)]
    assert [one for one in said if one] == names[::-1]
    assert {house.record(name).merge_commit for name in names} <= set(line_of(house))
    assert verify(house.open(), ()).problems == ()


@pytest.mark.parametrize("mode", PLAIN)
def test_of_a_red_batch_only_the_culprit_goes_back_and_no_commit_of_it_stays(mode):
    names = [f"TASK-{number:04d}" for number in range(1, 6)]
    house = SimHouse(integration=Integration(mode=mode), gate_slots=2, max_concurrent=9, max_dispatch=9, max_retries=0)
    house.gate(lambda tree: int({"src/TASK-0001.txt", "src/TASK-0003.txt"} <= tree.keys()))
    for name in names:
        house.given(name)

    house.until_quiet()

    assert {name for name, state in house.states().items() if state == "parked"} == {"TASK-0003"}
    said = [of_message(house.git.commits[one].message).task for one in line_of(house)]
    assert sorted(one for one in said if one) == sorted({*names} - {"TASK-0003"})

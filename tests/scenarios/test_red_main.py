"""A target that is red by itself, told in the simulated house: nobody goes back for it, and a way out is proposed."""

from __future__ import annotations

import hashlib

import pytest
from tests.scenarios.backlogs import WorkingWatch

from gluerun.core.collecting import Kind
from gluerun.core.explain import explain
from gluerun.core.knowing import Known
from gluerun.core.matters import matters
from gluerun.core.outline import queue_page
from gluerun.core.provenance import of_message
from gluerun.edge.verifying import verify
from gluerun.loop.collecting import collect
from gluerun.loop.observe import observe
from gluerun.loop.proving import prove_now
from gluerun.records import codec
from gluerun.records.config import Integration, IntegrationMode, OnRedMain
from gluerun.records.pipeline import Occasion
from gluerun.records.redmain import REVERTS, RedState
from gluerun.testing import SimHouse

ONE, TWO, THREE = "TASK-0001", "TASK-0002", "TASK-0003"
BAD = "bad.txt"


def breaks(tree):
    """A gate that is red as soon as a colleague's file is there."""
    return (1, "the colleague's file is bad") if BAD in tree else 0


def pushed(*paths, **config):
    """Two tasks whose work is accepted, and a colleague who pushes some files before any of it lands."""
    house = SimHouse(max_retries=0, auto_integrate=False, **config).given(ONE).given(TWO).gate(breaks).until_quiet()
    house.gate(breaks)
    for path in paths:
        house.colleague(path, "theirs\n")
    return house.configure(auto_integrate=True)


def files(house, commit):
    return house.git.trees[house.git.commits[commit].tree].keys()


def red_main(house):
    return house.open().store.red_main()


def look(house):
    return observe(house.open(), "RUN-20260131T115900Z-00000000").world


def test_a_push_from_outside_that_breaks_the_gate_sends_nobody_back_and_its_commit_is_named():
    house = pushed("a.txt", "b.txt", BAD, "d.txt", "e.txt").until_quiet().given(THREE).until_quiet()

    red = red_main(house)
    culprit = house.git.commits[red.culprit]
    assert (red.state, red.revert_is_green) == (RedState.FOUND, True)
    assert BAD in files(house, red.culprit)
    assert BAD not in files(house, culprit.parents[0])
    assert house.states() == {ONE: "accepted", TWO: "accepted", THREE: "ready"}
    assert all(house.record(name).tries == 1 for name in (ONE, TWO))
    assert files(house, house.git.refs[red.ref]) == house.target_files().keys() - {BAD}


def test_what_waits_says_so_and_what_to_type():
    house = pushed(BAD).until_quiet().given(THREE).until_quiet()
    world, red = look(house), red_main(house)

    (matter,) = [one for one in matters(world, Known()) if one.kind == "red"]
    page = queue_page(world)
    assert (matter.needs_you, matter.command) == (True, f"git merge --ff-only {red.ref}")
    assert red.ref in matter.words
    assert red.ref in page.red_main
    assert all(line.words for line in page.lines)
    assert [one.why for one in explain(world, ONE, Known()).reasons] == ["red-main"]
    assert [one.why for one in explain(world, THREE, Known()).reasons] == ["red-main"]


def test_once_the_revert_is_landed_everything_goes_on():
    house = pushed("a.txt", BAD, "c.txt").until_quiet().given(THREE).until_quiet()
    red = red_main(house)

    house.git.land("main", red.revert, red.head)
    house.until_quiet()

    assert red_main(house).state is RedState.OVER
    assert set(house.states().values()) == {"integrated"}
    assert house.target_files().keys() >= {"a.txt", "c.txt"}
    assert BAD not in house.target_files()


def test_a_head_that_somebody_mends_is_asked_once_and_then_it_is_over():
    house = pushed(BAD).until_quiet()
    before = len(house.events("target.asked"))
    house.gate(lambda tree: int(BAD in tree and "mended.txt" not in tree))

    house.colleague("mended.txt", "theirs\n")
    house.until_quiet()

    assert set(house.states().values()) == {"integrated"}
    assert len(house.events("target.asked")) == before + 1
    assert house.events("target.green")


def test_where_it_is_allowed_the_proved_revert_lands_by_itself():
    house = pushed("a.txt", BAD, on_red_main=OnRedMain.REVERT).until_quiet()

    assert set(house.states().values()) == {"integrated"}
    assert BAD not in house.target_files()
    assert "a.txt" in house.target_files()
    assert house.events("target.reverted")


def test_a_revert_says_what_it_takes_back_and_which_run_showed_that_to_be_red():
    house = pushed("a.txt", BAD, "c.txt", on_red_main=OnRedMain.REVERT)
    while not (red := red_main(house)) or not red.revert:
        house.cycle()
    house.until_quiet()

    message = house.git.commits[red.revert].message
    said = of_message(message)
    receipt = house.state_files.read(f"runs/{said.run}/gate-check.json")
    assert (said.reverts, said.faults, said.task) == (red.culprit, (), "")
    assert said.run == red.shown[red.culprit] and codec.decode(receipt)["commit"] == red.culprit
    assert codec.decode(receipt)["result"] == "red"
    assert said.gate == hashlib.sha256(codec.canonical(codec.decode(receipt))).hexdigest()
    assert said.engine and message.startswith('Revert "')
    assert house.git.contains(house.git.head("main"), red.revert)
    assert verify(house.open()).problems == ()  # it is no merge of a task


def test_an_old_proposal_is_collected_once_the_target_is_green_again_and_not_before():
    house = pushed("a.txt", BAD).until_quiet()
    red = red_main(house)

    collect(house.open(), acting=True)
    assert house.git.kept(REVERTS) == {red.ref: red.revert}

    house.git.land("main", red.revert, red.head)
    house.until_quiet()
    (given,) = (one for one in collect(house.open(), acting=False).given if one.kind is Kind.REVERT)
    assert given.name == red.ref and house.git.kept(REVERTS)
    collect(house.open(), acting=True)
    assert house.git.kept(REVERTS) == {} and house.events("revert.given-up")
    assert BAD not in house.target_files()


def test_a_revert_that_a_checkout_is_in_the_way_of_says_so_once_and_lands_when_it_can():
    """It was tried, and told, in each cycle."""
    house = pushed("a.txt", BAD, on_red_main=OnRedMain.REVERT).dirty(BAD, "unsaved\n")
    lines = [one for _ in range(16) for one in house.cycle().trouble]

    assert house.target_files()[BAD] == "theirs\n" and lines == []
    assert [event["data"]["paths"] for event in house.events("target.revert_waiting")] == [[BAD]]
    (matter,) = (one for one in matters(look(house), Known()) if one.kind == "red")
    assert f"lands as soon as it can: {BAD} in your checkout" in matter.words and matter.command == "git status"
    assert "as soon as it can" in queue_page(look(house)).red_main
    locked = [name for name in house.fuse.names if name == "git land:before"]
    house.cycles(3)
    assert [name for name in house.fuse.names if name == "git land:before"] == locked  # nothing is locked to find out

    house.clean().until_quiet()
    assert BAD not in house.target_files() and len(house.events("target.reverted")) == 1
    assert set(house.states().values()) == {"integrated"}


def test_where_people_merge_the_target_no_revert_lands_by_itself():
    house = pushed(BAD, on_red_main=OnRedMain.REVERT, integration=Integration(mode=IntegrationMode.PULL_REQUEST))
    house.until_quiet()

    assert BAD in house.target_files()
    assert red_main(house).revert_is_green


def test_nothing_is_pushed_or_landed_where_nobody_allowed_it():
    house = pushed(BAD).until_quiet()

    assert BAD in house.target_files()
    assert house.git.head("main") == red_main(house).head


def test_an_environment_that_is_red_everywhere_has_no_culprit_and_that_is_told():
    house = pushed("a.txt", "b.txt").gate(lambda tree: 1).until_quiet()

    red = red_main(house)
    assert (red.state, red.culprit, red.revert) == (RedState.UNFOUND, "", "")
    assert "environment" in red.reason
    assert house.states() == {ONE: "accepted", TWO: "accepted"}
    assert [one.needs_you for one in matters(look(house), Known()) if one.kind == "red"] == [True]


def test_a_target_that_is_green_sends_the_change_back_as_ever():
    house = pushed("a.txt").gate(lambda tree: int(f"src/{ONE}.txt" in tree)).until_quiet()

    assert house.states() == {ONE: "parked", TWO: "integrated"}
    assert red_main(house).state is RedState.OVER
    assert not house.events("target.red")


def test_a_target_whose_gate_gives_no_answer_keeps_nobody_waiting():
    house = pushed("a.txt")
    house.gate(lambda tree: 1 if f"src/{ONE}.txt" in tree else 0 if f"src/{TWO}.txt" in tree else 20).until_quiet()

    assert house.states() == {ONE: "parked", TWO: "integrated"}


def test_work_that_mends_the_target_lands_and_ends_it():
    house = pushed(BAD, on_red_main=OnRedMain.GO_ON).until_quiet()
    house.gate(lambda tree: int(BAD in tree and f"src/{THREE}.txt" not in tree))

    house.given(THREE).until_quiet()

    assert set(house.states().values()) == {"integrated"}
    assert red_main(house).state is RedState.OVER


def test_who_wants_to_go_on_begins_new_work():
    house = pushed(BAD, on_red_main=OnRedMain.GO_ON).until_quiet().given(THREE).until_quiet()

    assert house.record(THREE).run_id is not None


@pytest.mark.parametrize("slots", [1, 2, 5])
@pytest.mark.parametrize("place", [0, 3, 8])
def test_the_culprit_is_found_wherever_it_is(slots, place):
    names = [f"{number}.txt" for number in range(8)]
    names.insert(place, BAD)

    house = pushed(*names, gate_slots=slots).until_quiet()

    culprit = house.git.commits[red_main(house).culprit]
    assert BAD not in files(house, culprit.parents[0])
    assert BAD in files(house, red_main(house).culprit)


def test_a_revert_that_clashes_is_said_and_not_built():
    house = pushed("a.txt", BAD)
    house.colleague(BAD, "and more of it\n")
    house.until_quiet()

    red = red_main(house)
    assert (red.state, red.revert, red.conflicts) == (RedState.FOUND, "", (BAD,))
    (matter,) = [one for one in matters(look(house), Known()) if one.kind == "red"]
    assert matter.command == f"git revert {red.culprit}"


def test_the_red_gate_of_a_finished_node_is_searched_too():
    house = SimHouse(max_retries=0).graph("core").given(ONE, node="core", area="core")
    house.fuse.once("git land:after", lambda: house.colleague(BAD, "theirs\n"))
    house.gate(breaks).until_quiet()

    assert red_main(house).state is RedState.FOUND


@pytest.mark.parametrize("occasion", [Occasion.MERGE, Occasion.NODE])
def test_what_a_person_had_proved_and_found_red_is_searched_too(occasion):
    house = SimHouse(max_retries=0).gate(breaks)
    for path in ("a.txt", BAD, "c.txt"):
        house.colleague(path, "theirs\n")
    house.watch = WorkingWatch(house)

    prove_now(house.open(), occasion)
    house.given(ONE).until_quiet()

    assert (red_main(house).state, house.state(ONE)) == (RedState.FOUND, "ready")

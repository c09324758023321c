"""Stories about the target branch on a remote where somebody else pushes, too."""

from __future__ import annotations

from functools import partial

import pytest

from gluerun.errors import DecidedError
from gluerun.records.config import ControlState, Integration
from gluerun.records.order import OrderVerb
from gluerun.sim.crash import SimCrash
from gluerun.testing import ROOT, Move, SimHouse

ONE, TWO = "TASK-0001", "TASK-0002"


def pushing(**changes: object) -> SimHouse:
    house = SimHouse(push=True, **changes)
    house.git.remote = {"main": house.git.head("main") or ""}
    return house.given(ONE, owned=["a.txt"]).agent(ONE, [Move(writes={"a.txt": "1"})])


def somebody_pushes(house: SimHouse, path: str, text: str = "theirs\n", *, base: str = "") -> str:
    """Let somebody push a commit on top of what the remote has, or of *base*."""
    git = house.git
    with house.fuse.out():
        git.keep("refs/gluerun/theirs", base or git.remote["main"])
        new = git.publish("refs/gluerun/theirs", {path: text.encode()}, f"their {path}")
        git.forget("refs/gluerun/theirs", new)
    git.remote["main"] = new
    return new


def on_main(house: SimHouse) -> dict[str, bytes]:
    return {path: data for path, (_, data) in house.git.trees[house.git.tree_of(house.git.head("main"))].items()}


def test_what_somebody_pushed_is_followed_and_what_waits_is_proved_on_it():
    house = pushing().hold(ONE)
    house.cycles(2)
    theirs = somebody_pushes(house, "theirs.txt")

    house.release(ONE).until_quiet()

    head = house.git.head("main")
    assert house.state(ONE) == "integrated"
    assert house.git.commits[head].parents[0] == theirs
    assert house.git.remote["main"] == head
    assert on_main(house)["theirs.txt"] == b"theirs\n"
    assert house.git.worktrees[ROOT].files["theirs.txt"][1] == b"theirs\n"
    assert [event["data"]["commit"] for event in house.events("remote.followed")] == [theirs]


def test_a_push_that_came_while_the_gate_ran_makes_it_run_again_on_what_is_there_now():
    house = pushing().given(TWO, owned=["b.txt"]).agent(TWO, [Move(writes={"b.txt": "2"})])
    seen = []

    def gate(tree):
        seen.append({"a.txt", "b.txt", "theirs.txt"} & tree.keys())
        if {"a.txt", "b.txt"} == seen[-1] and seen.count(seen[-1]) == 1:
            somebody_pushes(house, "theirs.txt")
        return 0

    house.gate(gate).until_quiet()

    assert house.git.remote["main"] == house.git.head("main")
    assert {"a.txt", "b.txt"} in seen and seen[-1] == {"a.txt", "b.txt", "theirs.txt"}
    assert not house.events("push.failed") + house.events("push.blocked")


def test_both_have_moved_nothing_is_pushed_or_taken_back_and_it_is_said_once_what_helps():
    house = pushing().until_quiet()
    house.git.remote_refuses = "fatal: unable to access: Could not resolve host"
    house.colleague("mine.txt", "mine\n").given(TWO, owned=["b.txt"]).agent(TWO, [Move(writes={"b.txt": "2"})])
    house.cycles(6)
    mine, theirs = house.git.head("main"), somebody_pushes(house, "theirs.txt")
    house.git.remote_refuses = ""

    last = house.cycles(5).cycle()

    assert house.git.remote["main"] == theirs and house.git.head("main") == mine
    assert house.state(TWO) == "integrated"
    words = f"main here and on its remote ({theirs[:12]}) have both moved; merge them, and what waits is proved anew"
    assert last.trouble == (f"not pushed: {words} (git merge {theirs[:12]})",)
    assert [event["message"] for event in house.events("push.blocked")] == [words]
    assert len(house.events("push.failed")) == 1  # the network was down for many cycles, and said so once

    with house.fuse.out():
        merged = house.git.merge(mine, theirs)
        house.git.advance("main", house.git.commit_tree(merged.tree, [mine, theirs], "by hand"), mine)
    house.cycles(2)
    assert house.git.remote["main"] == house.git.head("main")


@pytest.mark.parametrize("further", [False, True])
def test_a_remote_that_was_moved_back_is_not_pushed_over_by_what_was_taken_away(further):
    house = pushing()
    first = house.git.head("main")
    house.until_quiet()
    landed = house.git.remote["main"]
    house.git.remote["main"] = first
    if further:
        somebody_pushes(house, "theirs.txt")
    there = house.git.remote["main"]

    house.given(TWO, owned=["b.txt"]).agent(TWO, [Move(writes={"b.txt": "2"})])
    last = house.cycles(6).cycle()

    assert house.git.remote["main"] == there and house.git.contains(house.git.head("main"), landed)
    assert "main was moved back or rewritten on its remote" in last.trouble[0]
    assert f"git log --oneline {there[:12]}..main" in last.trouble[0]

    house.git.remote["main"] = house.git.head("main")  # a person pushed it again, by hand
    house.cycles(3)
    assert not house.cycle().trouble


def test_a_target_that_was_moved_back_here_is_not_moved_forward_behind_its_owners_back():
    house = pushing().hold(TWO)
    first = house.git.head("main")
    house.until_quiet()
    landed = house.git.remote["main"]
    house.git.advance("main", first, landed)
    house.git.checkout(ROOT, "main")

    house.given(TWO, owned=["b.txt"])
    house.cycles(3)

    assert house.git.head("main") == first and house.git.remote["main"] == landed
    assert not house.events("remote.followed")


def test_a_checkout_in_the_way_of_following_is_named_and_nothing_lands_beside_it():
    house = pushing().hold(ONE)
    house.cycles(2)
    theirs = somebody_pushes(house, "README.md", "another one\n")
    house.dirty("README.md", "unsaved\n").release(ONE)

    last = house.cycles(5).cycle()

    assert house.state(ONE) == "accepted"
    assert house.git.worktrees[ROOT].files["README.md"][1] == b"unsaved\n"
    assert "main cannot follow its remote, and nothing lands until it can: README.md in your checkout" in last.trouble

    house.clean().until_quiet()
    assert house.state(ONE) == "integrated" and house.git.contains(house.git.remote["main"], theirs)


def test_who_does_not_push_never_looks_at_a_remote():
    house = pushing().configure(push=False)
    somebody_pushes(house, "theirs.txt")

    house.until_quiet()

    assert house.state(ONE) == "integrated" and "theirs.txt" not in on_main(house)
    assert not house.git.kept("refs/gluerun/outside")


def test_a_remote_that_cannot_be_seen_holds_nothing_up_here():
    house = pushing()
    house.git.remote_refuses = "fatal: Authentication failed"

    house.cycles(5)

    assert house.state(ONE) == "integrated"
    assert "fatal: Authentication failed" in str(house.cycle().trouble)


def test_somebody_pushes_just_before_our_landing_and_nobody_has_to_merge_anything():
    """The seconds between the look and the landing: both had moved, and a person was asked to merge them."""
    house = pushing().given(TWO, owned=["b.txt"]).agent(TWO, [Move(writes={"b.txt": "2"})])
    house.fuse.once("git push:before", partial(somebody_pushes, house, "theirs.txt"))

    house.until_quiet()

    head = house.git.head("main")
    assert house.git.remote["main"] == head and house.states() == {ONE: "integrated", TWO: "integrated"}
    assert on_main(house).keys() >= {"a.txt", "b.txt", "theirs.txt"}
    theirs = house.events("remote.followed")[0]["data"]["commit"]
    assert [event["data"]["commit"] for event in house.events("push.overtaken")] == [theirs]
    assert not house.events("push.failed") + house.events("push.blocked")
    # Whatever stands on the target was proved on what they pushed.
    landed = house.events("integration.integrated")
    assert all(house.git.contains(event["data"]["commit"], theirs) for event in landed) and landed


def test_what_has_left_before_a_crash_lands_as_it_is_and_not_once_more():
    house = pushing()
    house.fuse.once("git push:after", _die)
    with pytest.raises(SimCrash):
        house.until_quiet()
    there = house.git.remote["main"]
    assert there != house.git.head("main") and house.state(ONE) == "accepted"

    house.until_quiet()

    assert house.git.head("main") == there == house.git.remote["main"] and house.state(ONE) == "integrated"
    assert house.events("integration.integrated")[0]["data"]["noticed"]


def test_what_has_left_before_a_crash_can_not_be_parked_any_more():
    house = pushing()
    house.fuse.once("git land:before", _die)
    with pytest.raises(SimCrash):
        house.until_quiet()
    assert house.git.remote["main"] != house.git.head("main")

    with pytest.raises(DecidedError, match="is in main on its remote already") as refused:
        house.order(OrderVerb.PARK, ONE)
    assert refused.value.hint == "the next cycle follows it: `gluerun reconcile --actuate`"

    assert house.until_quiet().state(ONE) == "integrated"
    assert house.git.head("main") == house.git.remote["main"]


def _die() -> None:
    raise SimCrash("here")


def test_a_checkout_in_the_way_keeps_what_would_land_from_leaving():
    house = pushing().given(TWO, owned=["README.md"]).agent(TWO, [Move(writes={"README.md": "2"})])
    house.dirty("README.md", "unsaved\n").cycles(8)

    assert house.states() == {ONE: "integrated", TWO: "waiting"}  # and holds nobody else up
    assert house.git.remote["main"] == house.git.head("main") and on_main(house)["README.md"] != b"2"
    assert house.git.worktrees[ROOT].files["README.md"][1] == b"unsaved\n"

    house.clean().until_quiet()
    assert house.state(TWO) == "integrated" and house.git.remote["main"] == house.git.head("main")


def test_a_checkout_that_gets_in_the_way_once_it_has_left_is_named_and_followed_later():
    house = pushing().given(TWO, owned=["README.md"]).agent(TWO, [Move(writes={"README.md": "2"})])
    house.fuse.once("git push:after", partial(house.dirty, "README.md", "unsaved\n"))
    house.hold(ONE).cycles(6)

    last = house.cycle()

    assert house.state(TWO) == "accepted" and house.git.worktrees[ROOT].files["README.md"][1] == b"unsaved\n"
    assert "main cannot follow its remote, and nothing lands until it can: README.md in your checkout" in last.trouble
    house.clean().release(ONE).until_quiet()
    assert house.states() == {ONE: "integrated", TWO: "integrated"}
    assert house.git.remote["main"] == house.git.head("main")


def test_a_push_whose_answer_was_lost_counts_as_what_the_remote_has():
    house = pushing()
    house.fuse.once("git push:before", partial(_arrives, house))

    house.until_quiet()

    head = house.git.head("main")
    assert house.git.remote["main"] == head and house.state(ONE) == "integrated"
    assert house.git.commits[head].message.startswith(f"integrate({ONE})")
    assert not house.events("push.overtaken") + house.events("push.failed")


def _arrives(house: SimHouse) -> None:
    house.git.remote["main"] = house.record(ONE).proof.candidate


def test_records_on_the_target_leave_first_too_and_meet_nobody():
    house = pushing(control_state=ControlState.BRANCH, control_commit_seconds=60).until_quiet()
    house.fuse.once("git push:before", partial(somebody_pushes, house, "theirs.txt"))
    house.given(TWO).hold(TWO).cycles(6)

    assert house.events("push.overtaken") and not house.events("push.blocked")
    house.release(TWO).until_quiet()
    assert house.git.remote["main"] == house.git.head("main") and "theirs.txt" in on_main(house)


def test_a_landing_costs_one_push_and_where_nothing_is_pushed_none():
    assert pushing().until_quiet().git.asked_to_push == 1
    assert pushing().configure(push=False).until_quiet().git.asked_to_push == 0


def landed_unpushed(why: str) -> SimHouse:
    """A house in which one task has landed and its push was refused in these words."""
    house = pushing()
    house.git.push_refused = why
    while house.state(ONE) != "integrated":
        house.cycle()
    assert house.git.remote["main"] != house.git.head("main")
    return house


def test_a_refused_push_is_not_made_again_in_each_cycle_but_after_pauses_that_double_through_a_restart():
    house = landed_unpushed("error: RPC failed")
    asked = []

    for minutes in (0.5, 0.5, 1, 1, 2, 2, 4, 4, 8, 30, 59, 2):  # each cycle opens the house anew
        before = house.git.asked_to_push
        house.cycle(minutes)
        asked.append(house.git.asked_to_push - before)
    assert asked == [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0]
    assert len(house.events("push.failed")) == 1

    house.git.push_refused = ""
    house.cycle(60)
    assert house.git.remote["main"] == house.git.head("main")
    assert house.open().store.push_backoff() is None and house.events("push.ok")


def test_a_protected_branch_is_told_once_in_the_remotes_own_words():
    house = landed_unpushed("remote: error: GH006: Protected branch update failed")
    said = [one for _ in range(5) for one in house.cycle().trouble]

    assert said == [] and len(house.events("push.failed")) == 1
    assert "GH006: Protected branch update failed" in house.events("push.failed")[0]["message"]
    assert house.open().store.push_backoff().needs_you


@pytest.mark.parametrize("what", ["target", "remote", "order"])
def test_what_changes_lets_a_refused_push_be_made_again_at_once(what):
    house = landed_unpushed("remote: error: GH006: Protected branch update failed")
    house.cycle()
    asked = house.git.asked_to_push
    house.git.push_refused = ""

    if what == "target":
        house.colleague("mine.txt", "mine\n")
    elif what == "remote":
        house.git.remote["main"] = house.git.commits[house.git.head("main")].parents[1]
    else:
        house.order(OrderVerb.CLEAR_BACKOFF, "push")
    house.cycle()

    assert house.git.asked_to_push == asked + 1
    assert house.git.remote["main"] == house.git.head("main")


def test_a_signer_that_fails_is_named_and_parks_nobody():
    house = SimHouse(integration=Integration(sign=True)).given(ONE, owned=["a.txt"])
    house.git.signer_fails = "gpg failed to sign the data"

    last = house.cycles(5).cycle()

    assert house.state(ONE) == "accepted"
    assert f"{ONE} cannot be merged: its commit cannot be signed: gpg failed to sign the data" in last.trouble[0]

    house.git.signer_fails = ""
    assert house.until_quiet().state(ONE) == "integrated"


def test_a_chain_that_stood_on_what_the_target_was_is_built_again_on_what_somebody_pushed():
    """What was proved on the old head must never land on the new one."""
    names = [f"TASK-{number:04d}" for number in range(2, 6)]
    house = pushing(gate_slots=2, max_concurrent=9, max_dispatch=9)
    for name in names:
        house.given(name)
    asked, pushed = [], []

    def gate(tree):
        asked.append(tree.keys())
        if len(tree.keys() & {f"src/{name}.txt" for name in names}) > 1 and not pushed:
            pushed.append(somebody_pushes(house, "theirs.txt"))
        return 0

    house.gate(gate).until_quiet()

    assert set(house.states().values()) == {"integrated"}
    assert house.git.remote["main"] == house.git.head("main") and "theirs.txt" in asked[-1]
    assert not house.events("push.failed") + house.events("push.blocked")


def test_a_chain_does_not_grow_on_a_target_that_cannot_follow():
    house = pushing().hold(ONE)
    house.cycles(2)
    somebody_pushes(house, "README.md", "another one\n")
    house.dirty("README.md", "unsaved\n").given(TWO).release(ONE)

    house.cycles(6)

    assert [house.record(name).proof for name in (ONE, TWO)] == [None, None]


def test_a_signer_that_fails_is_named_once_for_a_whole_chain():
    house = SimHouse(integration=Integration(sign=True), max_concurrent=9, max_dispatch=9).given(ONE).given(TWO)
    house.git.signer_fails = "gpg failed to sign the data"

    last = house.cycles(5).cycle()

    assert len(last.trouble) == 1 and house.states() == {ONE: "accepted", TWO: "accepted"}

    house.git.signer_fails = ""
    assert set(house.until_quiet().states().values()) == {"integrated"}

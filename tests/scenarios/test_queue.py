"""The merge queue, told in the simulated house: what lands, with what proof, and what holds nobody up."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluerun.records.config import ApprovalRule
from gluerun.records.dispatch import Role
from gluerun.records.record import replace
from gluerun.sim.crash import SimCrash
from gluerun.testing import SimHouse

TASKS = [f"TASK-{number:04d}" for number in range(1, 10)]
ONE, TWO, THREE, FOUR, FIVE, *_ = TASKS


class Watched:
    """A house whose gate remembers which trees it found green, and whose target is looked at after every step."""

    def __init__(self, count, judge=lambda tree: 0, **config):
        self.green = set()
        self.asked = []
        self.heads = []
        self.judge = judge
        self.house = SimHouse(
            **{"max_concurrent": 9, "max_dispatch": 9, "max_retries": 0, "max_consec_fails": 99, **config}
        ).gate(self._gate)
        for name in TASKS[:count]:
            self.house.given(name)
        self.own = {self._tree()}

    def _gate(self, tree):
        code = self.judge(tree)
        self.asked.append(frozenset(tree))
        if code == 0:
            self.green.add(frozenset(tree.items()))
        return code

    def _tree(self):
        return frozenset(self.house.target_files().items())

    def cycle(self, **how):
        """Run one cycle; what the target holds afterwards must have been green as it is, or is somebody else's."""
        try:
            self.house.cycle(**how)
        finally:
            self.look()

    def look(self):
        tree = self._tree()
        assert tree in self.green | self.own, sorted(dict(tree))
        if not self.heads or self.heads[-1] != tree:
            self.heads.append(tree)

    def others(self, path):
        """Let a colleague push; what he pushes is his business."""
        self.house.colleague(path, "theirs\n")
        self.own.add(self._tree())

    def settle(self, limit=80):
        quiet = 0
        for _ in range(limit):
            self.cycle()
            report = self.house.cycle(work=False)
            self.look()
            quiet = quiet + 1 if report.quiet and not report.running and not self.house.due() else 0
            if quiet == 2:
                return self
        raise AssertionError(f"still busy: {self.house.states()}")


def has(*names):
    return lambda tree: {f"src/{name}.txt" for name in names} <= tree.keys()


def bad_with(*groups):
    """A gate that is red as soon as all of any group are together."""
    return lambda tree: int(any(has(*group)(tree) for group in groups))


def test_a_batch_lands_by_one_move_of_the_target():
    seen = Watched(5, gate_slots=2)

    seen.settle()

    assert set(seen.house.states().values()) == {"integrated"}
    assert len(seen.heads) == 3  # what was there, the first with its worker's receipt, and the others together
    assert len(seen.house.events("integration.started")) == 2


def test_no_more_are_proved_at_once_than_there_are_slots_and_each_has_its_own():
    house = Watched(6, gate_slots=3).house
    house.cycle()

    house.cycle(work=False)

    proofs = [task.proof for task in house.open().store.live_tasks()[0] if task.proof and task.proof.run_id]
    asked = [house.open().store.known_dispatch(proof.run_id).slot for proof in proofs]
    assert (sorted(asked), sorted(proof.slot for proof in proofs)) == ([0, 1, 2], [0, 1, 2])


def test_candidates_stand_one_upon_another_and_what_lands_holds_all_before_it():
    house = Watched(4).house.until_quiet()

    commits = [house.record(name).merge_commit for name in TASKS[:4]]
    parents = [house.git.commits[commit].parents[0] for commit in commits]
    assert parents[1:] == commits[:-1]
    assert all(f"src/{name}.txt" in house.target_files() for name in TASKS[:4])


@pytest.mark.parametrize("slots", [1, 2, 4])
@pytest.mark.parametrize("culprit", [TWO, THREE, FIVE])
def test_of_a_red_combination_only_the_culprit_goes_back_and_the_others_land(slots, culprit):
    seen = Watched(5, bad_with((ONE, culprit)), gate_slots=slots).settle()

    states = seen.house.states()
    assert {name for name, state in states.items() if state == "parked"} == {culprit}
    assert {name for name, state in states.items() if state == "integrated"} == set(TASKS[:5]) - {culprit}


def test_the_culprit_is_told_what_its_gate_said():
    def judge(tree):
        return (1, "ONE and TWO do not go together") if has(ONE, TWO)(tree) else 0

    house = SimHouse(max_retries=1).given(ONE).given(TWO).gate(judge).until_quiet()

    assert "ONE and TWO do not go together" in house.prompts(TWO)[1]
    assert house.state(ONE) == "integrated"


def test_a_flake_sends_nobody_back_and_is_told():
    asked = []

    def judge(tree):
        asked.append(tree)
        return int(has(ONE, TWO)(tree) and sum(has(ONE, TWO)(one) for one in asked) == 1)

    house = SimHouse(max_retries=0).given(ONE).given(TWO).gate(judge).until_quiet()

    assert house.states() == {ONE: "integrated", TWO: "integrated"}
    (flake,) = house.events("integration.flake")
    assert flake["data"]["task"] == TWO


def test_while_a_suspect_is_asked_once_more_the_others_go_on():
    seen = Watched(3, bad_with((ONE, TWO)), gate_slots=2)
    while not ((proof := seen.house.record(TWO) and seen.house.record(TWO).proof) and proof.alone):
        seen.house.let_work()
        seen.cycle(work=False)
    seen.house.hold(TWO, role=Role.PROVER)

    for _ in range(6):
        seen.cycle(minutes=0.1)

    assert (seen.house.state(TWO), seen.house.state(THREE)) == ("accepted", "integrated")
    seen.house.release(TWO)
    seen.settle()
    assert seen.house.state(TWO) == "parked"


def test_a_push_from_outside_calls_the_proofs_off_and_all_is_proved_again():
    seen = Watched(4, gate_slots=2)
    seen.cycle()
    seen.house.hold(*TASKS[:4], role=Role.PROVER)
    seen.cycle()
    seen.others("theirs.txt")
    seen.cycle()

    seen.house.release(*TASKS[:4])
    seen.settle()

    assert set(seen.house.states().values()) == {"integrated"}
    assert seen.house.events("integration.called_off")
    assert "theirs.txt" in seen.house.target_files()


def test_a_checkout_that_is_in_the_way_of_one_change_holds_up_none_of_the_others():
    seen = Watched(4)
    seen.house.git.checkout("/sim", "main")
    seen.house.dirty(f"src/{THREE}.txt")

    for _ in range(12):
        seen.cycle()

    states = seen.house.states()
    assert {name for name, state in states.items() if state == "integrated"} == {ONE, TWO, FOUR}
    assert states[THREE] == "waiting"
    seen.house.clean()
    seen.settle()
    assert seen.house.state(THREE) == "integrated"


def test_nothing_is_built_on_what_a_person_has_to_approve():
    house = SimHouse(approval=ApprovalRule.ALWAYS).given(ONE).given(TWO)

    house.cycles(6)

    assert house.states() == {ONE: "accepted", TWO: "accepted"}
    assert {one.task_id for one in house.open().store.approvals()[0]} == {ONE, TWO}


def test_a_change_that_clashes_with_the_target_never_reaches_a_gate():
    house = SimHouse(max_retries=0).given(ONE, owned=["a.txt"]).hold(ONE)
    house.cycle()
    house.colleague("a.txt", "theirs\n")
    house.release(ONE)

    house.until_quiet()

    assert house.state(ONE) == "parked"
    assert house.record(ONE).last_failure.failure_class == "integration-conflict"
    assert not house.events("integration.started")


def test_who_clashes_with_the_target_is_told_before_its_turn_comes():
    many = len(TASKS)
    house = SimHouse(gate_slots=1, max_retries=0, max_concurrent=many, max_dispatch=many)
    for name in TASKS:
        house.given(name, owned=[f"{name}.txt"], gate="other" if name == TASKS[-1] else None).hold(name)
    house.cycle()
    for name in TASKS[-2:]:
        house.colleague(f"{name}.txt", "theirs\n")
    house.open().store.learn_rate(lambda rate: replace(rate, bad=99.0))  # so that one is chained at a time
    for name in TASKS:
        house.release(name)

    house.cycle()
    house.cycle(work=False)

    assert [house.state(name) for name in TASKS[-2:]] == ["parked", "parked"]
    assert house.record(TASKS[-1]).last_failure.failure_class == "integration-conflict"
    assert house.record(TASKS[-1]).last_failure.places == (f"{TASKS[-1]}.txt",)
    assert house.record(ONE).proof is not None and house.record(TWO).proof is None
    house.until_quiet()
    assert [house.state(name) for name in TASKS[:-2]] == ["integrated"] * (many - 2)


def test_who_is_more_urgent_goes_first_and_the_gate_of_another_waits():
    house = SimHouse(gate_slots=1, max_concurrent=9, max_dispatch=9)
    house.given(ONE).given(TWO, priority=5).given(THREE, gate="another")
    house.until_quiet()

    order = [event["data"]["task"] for event in house.events("integration.integrated")]
    assert order[0] == TWO
    assert set(order) == {ONE, TWO, THREE}


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_the_target_only_ever_holds_what_was_green_exactly_so(data):
    """Whatever the order of landings, the failures, the pushes and the crashes."""
    count = data.draw(st.integers(1, 6), "tasks")
    names = st.sampled_from(TASKS[:count])
    groups = data.draw(
        st.lists(st.sets(st.sampled_from(TASKS[:6]), min_size=2, max_size=3).map(tuple), max_size=2), "bad together"
    )
    seen = Watched(count, bad_with(*groups), gate_slots=data.draw(st.integers(1, 4), "slots"))
    moves = st.sampled_from(["cycle", "look", "work", "hold", "release", "push", "crash", "park", "reboot"])
    chosen = data.draw(st.lists(moves, max_size=14), "moves")
    for number, move in enumerate(chosen):
        house = seen.house
        match move:
            case "hold":
                house.hold(data.draw(names), role=data.draw(st.sampled_from((Role.WORKER, Role.PROVER))))
            case "release":
                house.release(*TASKS)
            case "push":
                seen.others(f"theirs-{number}.txt")
            case "work":
                house.let_one_work()
            case "park":
                _edit(seen, data.draw(names))
            case "reboot":
                house.reboot()
            case "crash":
                house.fuse.crash_at = frozenset({house.fuse.count + data.draw(st.integers(1, 60))})
                try:
                    seen.cycle()
                except SimCrash:
                    house.locks.crash()
                house.fuse.crash_at = frozenset()
            case _:
                seen.cycle(work=move == "cycle")
        seen.look()
    seen.house.release(*TASKS)
    seen.settle()

    states = seen.house.states()
    landed = {name for name, state in states.items() if state == "integrated"}
    assert set(states.values()) <= {"integrated", "parked"}
    assert all(f"src/{name}.txt" in seen.house.target_files() for name in landed)
    if not groups and not {"park", "reboot", "crash"} & set(chosen):
        assert landed == set(TASKS[:count])


def _edit(seen, name):
    """Let somebody park a task if he may."""
    from gluerun.errors import GluerunError
    from gluerun.records.order import OrderVerb

    try:
        seen.house.order(OrderVerb.PARK, name, reason="later")
        seen.house.order(OrderVerb.UNPARK, name)
    except GluerunError:
        return


def test_branches_that_a_crash_left_locked_keep_nobody_from_being_recorded():
    house = SimHouse(gate_slots=1).given(ONE).given(TWO)
    house.fuse.once("git delete_branches:before", _die)
    with pytest.raises(SimCrash):
        house.until_quiet()
    assert house.git.branch_locks

    house.until_quiet()

    assert [house.state(name) for name in (ONE, TWO)] == ["integrated"] * 2
    assert not house.git.branch_locks
    assert [event for event in house.events("recovery.action") if "left by a crash" in event["message"]]


def _die():
    raise SimCrash("the machine died")

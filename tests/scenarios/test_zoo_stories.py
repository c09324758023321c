"""What agents do to tests and to their own place, and what the loop makes of it."""

from __future__ import annotations

import pytest

from gluerun.edge.views import task_page
from gluerun.loop.store import run_path
from gluerun.records import schema
from gluerun.records.child import How
from gluerun.records.config import TamperRule
from gluerun.records.dispatch import Role
from gluerun.records.gate import GateCheck
from gluerun.testing import ROOT, Move, SimHouse, speaker

ONE = "TASK-0001"
TEST = "tests/test_a.py"
OLD = "def test_one():\n    assert one() == 1\n\n\ndef test_two():\n    assert two() == 2\n"
LESS = "def test_one():\n    assert one() == 1\n"


def house_with_tests(**changes):
    house = SimHouse(**changes).given(ONE, owned=["tests", "a.txt"])
    house.git.write(ROOT, TEST, OLD.encode())
    house.git.commit(ROOT, "tests")
    return house.agent(ONE, [Move(writes={TEST: LESS, "a.txt": "done"})])


def test_a_lost_test_is_told_to_the_auditor_and_to_whoever_looks():
    house = house_with_tests().until_quiet()

    assert house.state(ONE) == "integrated"
    (asked,) = house.prompts(ONE, Role.AUDITOR)
    assert "tests gone: 1 (test_two)" in asked
    (event,) = [one for one in house.events() if one["type"] == "tests.changed"]
    assert event["data"]["tests"] == "high: 1 test gone, 1 assertion fewer"
    assert "tests gone: 1 (test_two)" in task_page(house.open(), ONE).attempts[0].tests


def test_a_lost_test_parks_the_task_where_the_repository_says_so():
    house = house_with_tests(test_tamper=TamperRule.BLOCK).until_quiet()

    assert house.state(ONE) == "parked"
    assert house.record(ONE).last_failure.failure_class == "proof-skip-detected"
    assert house.target_files()[TEST] == OLD


def test_other_names_of_tests_are_heeded():
    house = house_with_tests(test_tamper=TamperRule.BLOCK, test_paths=("checks/",)).until_quiet()

    assert house.state(ONE) == "integrated"


MORE = f"{OLD}\n\ndef test_three():\n    assert three() == 3\n"


def judged(text):
    """A gate that is red where the new test stands and `text`, in the code, does not."""
    return lambda tree: int("test_three" in tree.get(TEST, "") and text not in tree.get("a.txt", ""))


def house_with_a_new_test(*, is_hollow, **changes):
    house = SimHouse(new_tests_on_base=True, **changes).given(ONE, owned=["tests", "a.txt", "b.txt"])
    house.git.write(ROOT, TEST, OLD.encode())
    house.git.write(ROOT, "a.txt", b"start")
    house.git.commit(ROOT, "tests")
    house.gate(judged("start" if is_hollow else "done"))
    return house.agent(ONE, [Move(writes={TEST: MORE, "a.txt": "start, done"})])


@pytest.mark.parametrize("rule", list(TamperRule))
def test_a_new_test_that_is_green_without_the_change_is_told_and_fails_nothing(rule):  # FR-051
    house = house_with_a_new_test(is_hollow=True, test_tamper=rule).until_quiet()

    assert house.state(ONE) == "integrated"
    (asked,) = house.prompts(ONE, Role.AUDITOR)
    assert "the gate on the base with these tests: green" in asked
    (event,) = house.events("tests.changed")
    assert event["data"]["tests"] == "low: green without the change, too"
    assert "the gate on the base with these tests: green" in task_page(house.open(), ONE).attempts[0].tests


def test_a_new_test_that_needs_the_change_is_told_to_the_auditor_only():
    house = house_with_a_new_test(is_hollow=False).until_quiet()

    assert house.state(ONE) == "integrated"
    (asked,) = house.prompts(ONE, Role.AUDITOR)
    assert "the gate on the base with these tests: red" in asked
    assert house.events("tests.changed") == []


def test_the_receipt_of_a_try_is_of_its_own_commit_and_not_of_the_base():
    house = house_with_a_new_test(is_hollow=False).until_quiet()

    task = house.record(ONE)
    receipt = schema.load(GateCheck, house.state_files.read(run_path(task.run_id, "gate-check.json")), file="")
    assert (receipt.commit, receipt.result) == (task.head_sha, "green")


@pytest.mark.parametrize("writes", [{"a.txt": "done"}, {TEST: MORE}], ids=["no test", "nothing but tests"])
def test_the_base_is_not_tried_where_it_could_say_nothing(writes):
    house = house_with_a_new_test(is_hollow=True).agent(ONE, [Move(writes=writes)])
    seen = []
    house.gate(lambda tree: seen.append(tree) or 0)

    house.until_quiet()

    assert (house.state(ONE), len(seen)) == ("integrated", 1)


def test_without_the_key_the_base_is_not_tried():
    house = house_with_a_new_test(is_hollow=True).configure(new_tests_on_base=False).until_quiet()

    (asked,) = house.prompts(ONE, Role.AUDITOR)
    assert "on the base" not in asked


def test_a_gate_that_says_nothing_on_the_base_changes_nothing():
    house = house_with_a_new_test(is_hollow=True)
    house.gate(lambda tree: 20 if tree.get("a.txt") == "start" else 0).until_quiet()

    assert house.state(ONE) == "integrated"
    (asked,) = house.prompts(ONE, Role.AUDITOR)
    assert "on the base" not in asked


def test_a_lock_that_an_agent_left_does_not_cost_its_work():
    def lock(scene):
        scene.write("a.txt", "done")
        scene.house.git.worktrees[scene.place].locks |= {"index.lock", "HEAD.lock"}

    house = SimHouse().given(ONE, owned=["a.txt"]).agent(ONE, [Move(act=lock)]).until_quiet()

    assert (house.state(ONE), house.record(ONE).tries) == ("integrated", 1)


@pytest.mark.parametrize(("is_gone", "held"), [(True, False), (False, True)])
def test_a_place_that_is_gone_holds_no_provider_back(is_gone, held):
    def vanish(scene):
        if is_gone:
            scene.house.git.worktrees.pop(scene.place)

    house = SimHouse(runners={"agent": speaker()}, require_audit=False, worker_infra_max=0).given(ONE, owned=["a.txt"])
    house.agent(ONE, [Move(act=vanish, how=How.MISSING, exit_code=127)])

    house.cycles(4)

    assert bool(house.open().store.backoffs()) is held
    assert house.states() == {ONE: "ready" if held else "parked"}

"""Stories about several gates: which run, in which order, and what becomes of the work they judge."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta

import pytest
from tests.scenarios.backlogs import WorkingWatch, commit_beside, let_cycle, one_task
from tests.scenarios.crashes import Crashing, Matrix

from gluerun.edge import logs
from gluerun.edge.gates import gates
from gluerun.edge.morning import report
from gluerun.edge.views import explain, health
from gluerun.errors import UsageError
from gluerun.loop.proving import prove_now
from gluerun.records.child import How
from gluerun.records.flake import Flake, Flakes
from gluerun.records.gate import GateVerdict
from gluerun.records.order import OrderVerb
from gluerun.records.pipeline import GateSpec, Occasion
from gluerun.records.queue import QueueState
from gluerun.records.rate import Rate
from gluerun.sim.crash import SimCrash
from gluerun.testing import ROOT, GateMove, SimHouse

ONE = "TASK-0001"


def gate(name, **more):
    return GateSpec(name=name, command=f"run {name}", **more)


def house_of(*named, **more):
    return SimHouse(gate_command="", gates=named, **more)


def receipt(house, run_id, name="gate-check.json"):
    return json.loads(house.state_files.read(f"runs/{run_id}/{name}"))


def results(document):
    return {run["name"]: run["result"] for run in document["gates"]}


def gates_run(house):
    return [child.env["GLUERUN_GATE"] for _, child in house.children.waited if child.name.endswith("-gate")]


def test_all_gates_of_a_task_run_and_the_landing_stands_on_their_receipt() -> None:
    house = house_of(gate("lint"), gate("unit", needs=("lint",))).given(ONE).until_quiet()
    assert house.state(ONE) == "integrated"
    assert gates_run(house) == ["lint", "unit"]
    found = receipt(house, house.record(ONE).run_id)
    assert (found["result"], results(found)) == ("green", {"lint": "green", "unit": "green"})


def test_a_red_stage_is_the_last_and_all_of_it_is_reported() -> None:
    house = house_of(gate("lint"), gate("types"), gate("unit", needs=("lint",)), max_retries=0)
    house.gate(lambda tree: 3, "lint").given(ONE).until_quiet()
    task = house.record(ONE)
    assert house.state(ONE) == "parked"
    assert gates_run(house) == ["lint", "types"]
    found = receipt(house, task.run_id)
    assert (found["result"], found["exitCode"]) == ("red", 3)
    assert results(found) == {"lint": "red", "types": "green", "unit": "skipped"}
    assert task.last_failure.reason == "the gate lint ended with 3"


def test_a_merge_runs_the_gates_of_the_merge_where_they_are_others() -> None:
    house = house_of(gate("unit"), gate("whole", when=(Occasion.MERGE,))).given(ONE).until_quiet()
    task = house.record(ONE)
    assert house.state(ONE) == "integrated"
    assert gates_run(house) == ["unit", "unit", "whole"]
    assert results(receipt(house, task.run_id, "candidate-gate-check.json")) == {"unit": "green", "whole": "green"}


def test_a_gate_that_no_changed_path_concerns_is_skipped_and_never_passed() -> None:
    house = house_of(gate("docs", paths=("docs/",)), gate("unit", paths=("src/",))).given(ONE).until_quiet()
    found = receipt(house, house.record(ONE).run_id)
    assert house.state(ONE) == "integrated"
    assert gates_run(house) == ["unit"]
    assert results(found) == {"unit": "green", "docs": "skipped"}
    assert found["gates"][1]["reason"] == "nothing changed that matches docs/"


def test_work_that_no_gate_concerns_lands_with_a_receipt_that_does_not_say_green() -> None:
    house = house_of(gate("docs", paths=("docs/",))).given(ONE).until_quiet()
    found = receipt(house, house.record(ONE).run_id)
    assert (house.state(ONE), gates_run(house)) == ("integrated", [])
    assert (found["result"], results(found)) == ("skipped", {"docs": "skipped"})


def test_a_red_that_is_not_required_parks_nothing() -> None:
    house = house_of(gate("unit"), gate("style", required=False)).gate(lambda tree: 1, "style")
    house.given(ONE).until_quiet()
    found = receipt(house, house.record(ONE).run_id)
    assert house.state(ONE) == "integrated"
    assert (found["result"], results(found)) == ("green", {"unit": "green", "style": "red"})


def test_a_gate_of_a_task_runs_beside_those_of_the_repository_and_again_before_it_lands() -> None:  # C23
    house = house_of(gate("unit"), gate("whole", when=(Occasion.MERGE,)))
    house.given(ONE, gate="make mine").until_quiet()
    assert house.state(ONE) == "integrated"
    assert gates_run(house) == ["task", "unit", "task", "unit", "whole"]


def test_a_candidate_that_a_gate_of_the_merge_finds_red_goes_back_with_the_name_of_the_gate() -> None:
    house = house_of(gate("unit"), gate("whole", when=(Occasion.MERGE,)), max_retries=0)
    said = 1, "the whole does not hold"
    house.gate(lambda tree: said if f"src/{ONE}.txt" in tree else 0, "whole").given(ONE).until_quiet()
    failure = house.record(ONE).last_failure
    assert (house.state(ONE), str(failure.failure_class)) == ("parked", "integration-gate-red")
    assert failure.reason == "the gate whole ended with 1"
    assert "the whole does not hold" in failure.detail


REPORT = "build/report.xml"
CASES = '<testsuite><testcase classname="sums" name="adds"/>{}</testsuite>'
FAILS = CASES.format('<testcase classname="sums" name="carries"><failure/></testcase>')
EMPTY = "<testsuite/>"


def counted(**more):
    return gate("unit", junit="build/*.xml", **more)


def test_a_worker_is_told_the_names_of_the_tests_that_failed() -> None:
    ends = iter([GateMove(exit_code=1, writes={REPORT: FAILS}), GateMove(writes={REPORT: CASES.format("")})])
    house = house_of(counted()).gate(lambda tree: next(ends), "unit").given(ONE).until_quiet()
    assert house.state(ONE) == "integrated"
    assert "2 tests, 1 failed (failed: sums::carries)" in house.prompts(ONE)[1]
    (run,) = receipt(house, house.record(ONE).run_id)["gates"]
    assert run["tests"] == {"total": 1, "failed": 0, "skipped": 0}


def test_a_report_that_an_earlier_gate_left_is_not_counted_for_the_next() -> None:
    left = GateMove(writes={REPORT: CASES.format("")})
    house = house_of(gate("first"), counted(needs=("first",), min_tests=1), max_retries=0)
    house.gate(lambda tree: left, "first").given(ONE).until_quiet()
    assert house.state(ONE) == "parked"
    why = "the gate unit ended with 0; it left no report at build/*.xml, at least 1 wanted"
    assert house.record(ONE).last_failure.reason == why


@pytest.mark.parametrize(("min_tests", "state", "result"), [(0, "integrated", "green"), (1, "parked", "red")])
def test_a_gate_that_runs_no_test_says_so_and_fails_where_tests_are_wanted(min_tests, state, result) -> None:
    house = house_of(counted(min_tests=min_tests), max_retries=0)
    house.gate(lambda tree: GateMove(writes={REPORT: EMPTY}), "unit").given(ONE).until_quiet()
    task = house.record(ONE)
    (run,) = receipt(house, task.run_id)["gates"]
    assert (house.state(ONE), run["result"], run["tests"]["total"]) == (state, result, 0)
    assert run["reason"].startswith("it ran no test")


def test_a_report_that_is_garbage_is_told_and_ends_nothing() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "bb">]><testsuite name="&b;"/>'
    house = house_of(counted()).gate(lambda tree: GateMove(writes={REPORT: bomb}), "unit").given(ONE).until_quiet()
    (run,) = receipt(house, house.record(ONE).run_id)["gates"]
    assert (house.state(ONE), run["result"], run.get("tests")) == ("integrated", "green", None)
    assert run["reason"] == f"{REPORT} cannot be read: it declares types or entities"


def test_a_committed_report_counts_for_nothing() -> None:
    house = house_of(counted(min_tests=1), max_retries=0)
    house.colleague(REPORT, CASES.format("")).given(ONE).until_quiet()
    assert house.state(ONE) == "parked"
    assert house.target_files()[REPORT] == CASES.format("")


def test_a_gate_that_takes_too_long_is_red_under_its_own_limit() -> None:
    house = house_of(gate("unit", timeout=7), max_retries=0)
    house.gate(lambda tree: GateMove(exit_code=-15, how=How.TIMED_OUT), "unit").given(ONE).until_quiet()
    (child,) = [child for _, child in house.children.waited if child.name.endswith("-gate")]
    assert (child.timeout, house.record(ONE).last_failure.reason) == (7, "the gate unit timed out")


def test_a_gate_of_which_only_so_many_may_run_asks_for_a_slot() -> None:
    house = house_of(gate("base", slots=2), gate("unit")).given(ONE).until_quiet()
    slots = {child.env["GLUERUN_GATE"]: child.slots for _, child in house.children.waited if "-gate" in child.name}
    assert slots == {"base": ("locks/gates/base.0.lock", "locks/gates/base.1.lock"), "unit": ()}


def test_a_run_whose_process_is_replaced_between_two_gates_runs_none_of_them_twice() -> None:
    house = house_of(gate("a"), gate("b"), gate("c", needs=("a",))).given(ONE)
    house.cycle(work=False)
    for _ in range(40):  # one process at a time, each of them gone after one program
        house.let_one_work()
    house.until_quiet()
    assert house.state(ONE) == "integrated"
    assert gates_run(house) == ["a", "b", "c"]


def test_a_node_is_complete_with_the_log_of_each_of_its_gates() -> None:
    house = house_of(gate("unit"), gate("whole", when=(Occasion.NODE,)), generate=False)
    house.graph("one").given(ONE, node="one").until_quiet()
    evidence = house.node_file("one")["evidence"]
    logs = [(one["ref"], one["command"]) for one in evidence if one["kind"] == "command-log"]
    assert logs == [("one@unit-gate", "run unit"), ("one@whole-gate", "run whole")]
    assert "docs/orchestration/gates/evidence/one@unit.gate.log" in house.work_files.files


@pytest.mark.parametrize("meant", [{"when": (Occasion.TASK,)}, {"required": False}])
def test_a_node_for_which_no_gate_is_required_rests_on_its_tasks(meant) -> None:
    house = house_of(gate("unit", **meant), generate=False)
    house.graph("one").given(ONE, node="one").until_quiet()
    assert house.node_file("one")["evidenceClass"] == "task-set"


def test_what_a_red_gate_said_is_explained_and_its_log_is_found_by_its_name() -> None:
    house = house_of(gate("lint"), counted(needs=("lint",)), max_retries=0)
    house.gate(lambda tree: GateMove(exit_code=2, says="so much for that\n", writes={REPORT: FAILS}), "unit")
    house.given(ONE).until_quiet()
    why = "the gate unit ended with 2; 2 tests, 1 failed (failed: sums::carries)"
    assert why in str(explain(house.open(), ONE))
    found = logs.page(house.open(), ONE, logs.Wanted(gate="unit"), 10)
    assert (found.lines, found.role, found.gate) == (("so much for that",), "gate", "unit")
    whole = logs.page(house.open(), ONE, logs.Wanted(role="gate"), 10)
    assert [line.split()[2:4] for line in whole.lines[:2]] == [["lint", "green"], ["unit", "red"]]
    assert "    failed: sums::carries" in whole.lines
    (slowest, *_) = report(house.open(), house.clock.now() - timedelta(days=1)).slowest_gates
    assert (slowest.gate, slowest.about) == ("lint", ONE)


# --- gates in the foreground ------------------------------------------------------------------------------

LATE = (Occasion.NIGHTLY,)
NIGHT = (gate("unit"), gate("deep", when=LATE), gate("deeper", when=LATE, needs=("deep",)))


def at_night():
    house = house_of(*NIGHT)
    house.watch = WorkingWatch(house)
    return house


def test_the_gates_of_the_night_run_on_the_target_and_leave_a_receipt_and_nothing_else() -> None:
    house = at_night().gate(lambda tree: 1, "deeper")
    proved = prove_now(house.open(), Occasion.NIGHTLY)
    assert (proved.check.result, proved.check.commit) == (GateVerdict.RED, house.git.head("main"))
    assert results(receipt(house, proved.run)) == {"deep": "green", "deeper": "red"}
    assert list(house.git.worktrees) == [ROOT]
    page = gates(house.open(), 20)
    assert [(line.name, line.stage, line.last and line.last.result) for line in page.pipeline] == [
        ("unit", 1, None), ("deep", 1, "green"), ("deeper", 2, "red"),
    ]  # fmt: skip
    assert [(row.gate, row.about) for row in page.runs] == [("deep", "nightly"), ("deeper", "nightly")]


def test_an_occasion_without_a_gate_is_refused_with_what_to_write() -> None:
    with pytest.raises(UsageError, match="no gate is meant for `nightly`") as refused:
        prove_now(house_of(gate("unit")).open(), Occasion.NIGHTLY)
    assert refused.value.hint == 'say "when": "nightly" for one under "gates"'


def test_gates_that_were_cut_short_at_any_point_leave_nothing_behind_the_next_time() -> None:
    whole = at_night()
    start = whole.fuse.count
    prove_now(whole.open(), Occasion.NIGHTLY)
    count = whole.fuse.count - start
    assert count > 20
    for at in range(1, count + 1):
        house = at_night()
        house.fuse.crash_at = frozenset([house.fuse.count + at])
        with suppress(SimCrash):  # the verb dies, or its run does, and the verb says that it vanished
            prove_now(house.open(), Occasion.NIGHTLY)
        house.fuse.crash_at = frozenset()
        house.locks.crash()
        for run_id in house.processes.started:
            house.processes.crash(run_id)
        proved = prove_now(house.open(), Occasion.NIGHTLY)
        assert proved.check.result is GateVerdict.GREEN, at
        assert list(house.git.worktrees) == [ROOT], at


class Killed(WorkingWatch):
    """Waits, and dies of it."""

    def wait(self, run_ids, seconds):
        raise SimCrash("whoever waited was killed")


def test_a_run_that_was_killed_with_whoever_waited_for_it_leaves_no_place_the_next_time() -> None:
    house = at_night()
    house.watch = Killed(house)
    with pytest.raises(SimCrash):
        prove_now(house.open(), Occasion.NIGHTLY)
    house.locks.crash()
    house.let_one_work()
    (run_id,) = house.processes.started
    house.processes.crash(run_id)
    assert len(house.git.worktrees) == 2
    house.watch = WorkingWatch(house)
    assert prove_now(house.open(), Occasion.NIGHTLY).check.result is GateVerdict.GREEN
    assert list(house.git.worktrees) == [ROOT]


class Orphaning(WorkingWatch):
    """Waits until the wrapper is gone and what it started is not."""

    def wait(self, run_ids, seconds):
        self.house.let_one_work()
        for run_id in run_ids:
            self.house.processes.orphan(run_id)


def test_a_gate_that_outlives_its_run_is_ended_and_nobody_waits_for_ever() -> None:
    house = at_night()
    house.watch = Orphaning(house)
    proved = prove_now(house.open(), Occasion.NIGHTLY)
    assert (proved.check, proved.trouble) == (None, "its run vanished")
    assert list(house.git.worktrees) == [ROOT]


def pipelines():
    """A task whose second gate is red once, and a gate that looks at the candidate alone."""
    named = (gate("lint"), counted(needs=("lint",)), gate("whole", when=(Occasion.MERGE,), needs=("unit",)))
    house = one_task(gate_command="", gates=named)
    fails, passes = GateMove(exit_code=1, writes={REPORT: FAILS}), GateMove(writes={REPORT: CASES.format("")})
    return house.gate(lambda tree: 0).gate(lambda tree: fails if tree.get("a.txt") == "bad" else passes, "unit")


def test_a_crash_at_any_point_of_a_pipeline_loses_nothing_and_doubles_nothing() -> None:
    scenario = Crashing(pipelines, let_cycle, commit_beside, wants={ONE: "integrated"}, files=("a.txt", "b.txt"))
    assert scenario.faults() == []
    assert Matrix(scenario, stride=5).run().red == {}


# --- flakes ------------------------------------------------------------------------------------------------

TWO = "TASK-0002"


def report_of_failed(*tests):
    cases = "".join(f'<testcase classname="sums" name="{name}"><failure/></testcase>' for name in tests)
    return GateMove(exit_code=1, writes={REPORT: CASES.format(cases)})


class Shaky:
    """A gate that is red, by tests of its own, the first times that it sees two changes together."""

    def __init__(self, times, *tests):
        self.left, self.tests = times, tests

    def __call__(self, tree):
        together = all(f"src/{name}.txt" in tree for name in (ONE, TWO))
        if together and self.left:
            self.left -= 1
            return report_of_failed(*self.tests)
        return GateMove(writes={REPORT: CASES.format("")})


def flaked_before(house, *tests, seen=2):
    """Let the state folder know of tests that flaked."""
    now = house.open().now()
    known = tuple(
        Flake(gate="unit", test=f"sums::{name}", seen=seen, runs=20, first_seen=now, last_seen=now) for name in tests
    )
    house.open().store.put_flakes(Flakes(flakes=known))
    return house


def test_a_flake_is_kept_with_the_names_of_the_tests_its_rate_and_the_run_that_shows_it() -> None:
    house = house_of(counted(), max_retries=0).given(ONE).given(TWO).gate(Shaky(1, "carries"), "unit").until_quiet()

    assert house.states() == {ONE: "integrated", TWO: "integrated"}
    (flake,) = house.open().store.flakes().flakes
    assert (flake.gate, flake.test, flake.seen, flake.runs) == ("unit", "sums::carries", 1, 2)
    assert receipt(house, flake.run_id)["result"] == "red"
    (told,) = house.events("integration.flake")
    assert (told["data"]["redRun"], told["data"]["tests"]) == (flake.run_id, ["unit: sums::carries"])
    day = house.open().now() - timedelta(days=1)
    assert [(one.test, one.rate) for one in report(house.open(), day).flakes] == [("sums::carries", 0.5)]
    assert report(house.open(), flake.last_seen + timedelta(seconds=1)).flakes == ()
    assert [one.about for one in health(house.open()).matters if one.kind == "flake"] == ["unit: sums::carries"]


@pytest.mark.parametrize(
    ("tests", "seen", "ends"),
    [
        (("carries",), 2, "integrated"),
        (("carries",), 1, "parked"),
        (("carries", "adds"), 2, "integrated"),
        (("carries", "new"), 2, "parked"),
    ],
)
def test_a_red_of_known_flakes_is_asked_again_even_where_gates_are_trusted_more_than_changes(tests, seen, ends) -> None:
    house = flaked_before(house_of(counted(), max_retries=0), "carries", "adds", seen=seen)
    bad = Rate(landed=1, bad=9)
    house.open().store.put_queue_state(QueueState(rate=bad))
    house.given(ONE).given(TWO).gate(Shaky(1, *tests), "unit").until_quiet()

    assert house.states() == {ONE: "integrated", TWO: ends}


def test_a_known_flake_is_asked_again_so_often_and_not_more() -> None:
    house = flaked_before(house_of(counted(), max_retries=0), "carries")
    house.given(ONE).given(TWO).gate(Shaky(99, "carries"), "unit").until_quiet()

    assert house.states() == {ONE: "integrated", TWO: "parked"}
    again = [one for one in house.events("integration.started") if "known to flake" in one["message"]]
    assert len(again) == 1


def test_a_try_that_is_red_only_by_known_flakes_is_asked_once_more_before_it_counts() -> None:
    moves = iter([report_of_failed("carries")])
    house = flaked_before(house_of(counted(), max_retries=0), "carries").given(ONE)
    house.gate(lambda tree: next(moves, GateMove(writes={REPORT: CASES.format("")})), "unit").until_quiet()

    assert (house.state(ONE), gates_run(house)) == ("integrated", ["unit", "unit"])
    (flake,) = house.open().store.flakes().flakes
    assert (flake.seen, flake.runs, flake.run_id) == (3, 21, house.record(ONE).run_id)
    assert house.state_files.read(flake.log_ref) is not None
    house.given(TWO).until_quiet()
    (flake,) = house.open().store.flakes().flakes
    assert (flake.seen, flake.runs) == (3, 22)  # its landing stands on the same receipt


def test_a_try_that_is_red_by_what_never_flaked_is_not_asked_once_more() -> None:
    house = flaked_before(house_of(counted(), max_retries=0), "carries").given(ONE)
    house.gate(lambda tree: report_of_failed("carries", "adds"), "unit").until_quiet()

    assert (house.state(ONE), gates_run(house)) == ("parked", ["unit"])


def quarantined(house, test="carries", days=7):
    words = {"test": f"sums::{test}", "owner": "ada", "days": days}
    assert house.order(OrderVerb.FLAKE_QUARANTINE, "unit", words).outcome == "applied"
    return house


def test_a_test_in_quarantine_holds_no_work_up_and_the_receipt_and_the_journal_say_so() -> None:
    house = quarantined(flaked_before(house_of(counted(), max_retries=0), "carries"))
    house.given(ONE).given(TWO).gate(lambda tree: report_of_failed("carries"), "unit").until_quiet()

    assert house.states() == {ONE: "integrated", TWO: "integrated"}
    found = receipt(house, house.record(TWO).run_id, "candidate-gate-check.json")
    assert (found["result"], found["gates"][0]["quarantined"]) == ("green", ["sums::carries"])
    proofs = house.events("integration.proved")
    assert [one["data"]["quarantined"] for one in proofs] == [["unit: sums::carries"]] * len(proofs)
    # What the workers' gates said was no green for anybody else: each landing was asked about by itself.
    assert gates_run(house) == ["unit"] * 4


def test_what_else_fails_beside_a_test_in_quarantine_is_red() -> None:
    house = quarantined(flaked_before(house_of(counted(), max_retries=0), "carries"))
    house.given(ONE).gate(lambda tree: report_of_failed("carries", "adds"), "unit").until_quiet()

    assert house.state(ONE) == "parked"


def test_a_quarantine_that_is_over_or_taken_back_lets_nothing_pass() -> None:
    house = quarantined(flaked_before(house_of(counted(), max_retries=0), "carries"), days=1)
    house.cycle(minutes=24 * 60 + 1)
    house.given(ONE).gate(lambda tree: report_of_failed("carries"), "unit").until_quiet()
    assert house.state(ONE) == "parked"

    quarantined(house)
    assert house.order(OrderVerb.FLAKE_RELEASE, "unit", {"test": "sums::carries"}).outcome == "applied"
    house.given(TWO).until_quiet()
    assert house.state(TWO) == "parked"
    assert [len(house.events(f"flake.{word}")) for word in ("quarantined", "released")] == [2, 1]


def test_a_receipt_of_a_quarantine_completes_no_node() -> None:
    house = quarantined(flaked_before(house_of(counted(), max_retries=0), "carries"))
    house.graph("core").given(ONE, node="core")
    house.gate(lambda tree: report_of_failed("carries"), "unit").until_quiet()

    assert house.state(ONE) == "integrated"
    assert not house.events("node.promoted")
    assert [one["data"]["node"] for one in house.events("node.proved")] == ["core"]

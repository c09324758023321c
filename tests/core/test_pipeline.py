"""Which gates run on what, in which order, and what they say together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluerun.core import gate_words, gating, pipeline
from gluerun.core.gate_faults import fault
from gluerun.core.gates import gate_sha256
from gluerun.core.steps import Compare, Compared, Gated, KeepReceipt, RunGate
from gluerun.records.config import Config
from gluerun.records.gate import GateRun, GateTests, GateVerdict
from gluerun.records.pipeline import GateSpec, Occasion
from gluerun.records.record import replace

GREEN, RED, INCONCLUSIVE, SKIPPED = GateVerdict
TASK, MERGE, NODE, NIGHTLY = Occasion
HEAD = "a" * 40


def gate(name, **more):
    return GateSpec(name=name, command=f"run {name}", **more)


LINT = gate("lint", paths=("src/", "*.py"))
UNIT = gate("unit", needs=("lint",))
DOCS = gate("docs", paths=("docs/",), required=False)
WHOLE = gate("whole", when=(MERGE, NIGHTLY), needs=("unit",), timeout=50, slots=1)
DEEP = gate("deep", when=(NIGHTLY,))
ALL = (LINT, UNIT, DOCS, WHOLE, DEEP)


def config(*gates, command="", **more):
    return Config(target_branch="main", gate_command=command, gates=gates, gate_timeout_sec=100, **more)


def plan(occasion, changed=None, command="", gates=ALL):
    found = pipeline.planned(config(*gates), command, occasion, changed)
    names = [(stage.number, [one.name for one in stage.gates]) for stage in found.stages]
    return names, [run.name for run in found.skipped]


@pytest.mark.parametrize(
    ("given", "runs", "skipped"),
    [
        ((TASK, ["src/a.c"]), [(1, ["lint"]), (2, ["unit"])], ["docs"]),
        ((TASK, ["docs/a.md"]), [(1, ["docs"]), (2, ["unit"])], ["lint"]),
        ((TASK, ["tools/deep/a.py", "docs/a"]), [(1, ["lint", "docs"]), (2, ["unit"])], []),
        ((TASK, []), [(2, ["unit"])], ["lint", "docs"]),
        ((TASK, ["a"], "make mine"), [(1, ["task"]), (2, ["unit"])], ["lint", "docs"]),
        ((MERGE, ["a.py"]), [(1, ["lint"]), (2, ["unit"]), (3, ["whole"])], ["docs"]),
        ((MERGE, ["a"], "mine"), [(1, ["task"]), (2, ["unit"]), (3, ["whole"])], ["lint", "docs"]),
        ((NODE,), [(1, ["lint", "docs"]), (2, ["unit"])], []),
        ((NIGHTLY, None, "mine"), [(1, ["deep"]), (3, ["whole"])], []),
        ((NIGHTLY, None, "", (LINT,)), [], []),
        ((TASK, ["a"], "make", ()), [(1, ["gate"])], []),
        ((NODE, None, "make", ()), [(1, ["gate"])], []),
        ((NIGHTLY, None, "make", ()), [], []),
        ((TASK, ["a"], "", ()), [], []),
    ],
)  # fmt: skip
def test_what_runs_is_what_the_occasion_and_the_changed_paths_ask_for(given, runs, skipped):
    assert plan(*given) == (runs, skipped)


def test_what_is_skipped_says_why_and_is_never_passed():
    (run,) = pipeline.planned(config(LINT), "", TASK, ["README"]).skipped
    assert (run.result, run.reason, run.exit_code) == (SKIPPED, "nothing changed that matches src/, *.py", None)


def test_a_gate_that_needs_one_which_does_not_run_runs_all_the_same():
    assert plan(NIGHTLY, None, "", (gate("a", when=(TASK,)), gate("b", when=(NIGHTLY,), needs=("a",)))) == (
        [(2, ["b"])],
        [],
    )


def run(result, *, required=True, name="a", **more):
    return GateRun(name=name, command="x", result=result, required=required, exit_code=int(result is RED), **more)


@pytest.mark.parametrize(
    ("runs", "result"),
    [
        ([], SKIPPED),
        ([run(GREEN)], GREEN),
        ([run(GREEN), run(SKIPPED)], GREEN),
        ([run(SKIPPED)], SKIPPED),
        ([run(GREEN), run(RED), run(INCONCLUSIVE)], RED),
        ([run(GREEN), run(INCONCLUSIVE)], INCONCLUSIVE),
        ([run(GREEN), run(RED, required=False)], GREEN),
        ([run(GREEN), run(INCONCLUSIVE, required=False)], GREEN),
        ([run(GREEN, required=False), run(SKIPPED)], SKIPPED),
        ([run(RED, required=False)], SKIPPED),
    ],
)
def test_red_wins_and_what_is_not_required_says_nothing(runs, result):
    assert pipeline.result_of(runs) is result
    assert pipeline.stops(runs) is (result in (RED, INCONCLUSIVE))
    decided = pipeline.decisive(runs)
    assert decided is None if result is SKIPPED else decided.result is result


@pytest.mark.parametrize(
    ("gates", "wrong"),
    [
        (ALL, None),
        ((LINT, LINT), (1, "name", "'lint' is the name of another gate (gates[0])", ())),
        ((gate("task"),), (0, "name", "'task' is what the gate of a task itself is called", ())),
        ((LINT, gate("unit", needs=("lnt",))), (1, "needs", "'lnt' is no gate", ("lint",))),
        ((gate("a", needs=("a",)),), (0, "needs", "goes in a circle: a → a", ())),
        ((gate("c"), gate("a", needs=("b",)), gate("b", needs=("c", "a"))),
         (1, "needs", "goes in a circle: a → b → a", ())),
        ((gate("a", min_tests=1),), (0, "minTests", "needs `junit`: nobody else counts the tests", ())),
        (tuple(gate(f"g{n}") for n in range(101)), (100, "", "is one gate too many: 100 may be named", ())),
    ],
)  # fmt: skip
def test_what_makes_no_pipeline_is_named_with_its_place(gates, wrong):
    found = fault(gates)
    assert (found and (found.at, found.key, found.message, found.known)) == wrong


@given(st.lists(st.lists(st.integers(0, 7), max_size=4), max_size=8))
def test_whatever_gates_need_each_runs_once_and_after_what_it_needs(needs):
    gates = [gate(f"g{n}", needs=tuple(f"g{need}" for need in one if need < len(needs))) for n, one in enumerate(needs)]
    depths = pipeline.stages(gates)
    assert depths.keys() == {one.name for one in gates}
    if fault(gates) is None:
        assert all(depths[need] < depths[one.name] for one in gates for need in one.needs)
        names = [one.name for one in pipeline.planned(config(*gates), "", TASK, ()).gates]
        assert sorted(names) == sorted(one.name for one in gates)


def answers(drive, results):
    """Feed a part of a drive with how each gate ends; return what it came to, and the steps."""
    steps, answer = [], None
    while True:
        try:
            step = drive.send(answer)
        except StopIteration as end:
            return end.value, steps
        steps.append(step)
        if isinstance(step, Compare):
            answer = Compared(paths=("src/a",))
        elif isinstance(step, KeepReceipt):
            answer = Gated()
        else:
            result = results.get(step.gate.name, GREEN)
            made = GateRun(name=step.gate.name, command=step.command, result=result, stage=step.stage,
                           required=step.gate.required, exit_code=int(result is RED))  # fmt: skip
            trouble = f"{step.gate.name} was not started" if result is INCONCLUSIVE else ""
            answer = Gated(run=made, tail=f"the end of {step.gate.name}", trouble=trouble)


def driven(results, occasion=MERGE, changed=("src/a", "docs/a"), gates=ALL):
    part = gating.run_gates(config(*gates), "", occasion, attempt=1, commit=HEAD, changed=changed)
    gated, steps = answers(part, results)
    assert isinstance(steps[-1], KeepReceipt)
    return gated, steps[-1]


def results(receipt):
    return {one.name: one.result for one in receipt.runs}


def test_every_gate_is_a_step_of_its_own_and_the_receipt_follows_them_all():
    gated, receipt = driven({})
    assert results(receipt) == dict.fromkeys(("lint", "docs", "unit", "whole"), GREEN)
    assert (gated.tail, gated.trouble) == ("", "")
    assert receipt.gate_sha256 == gate_sha256("", config(*ALL), (LINT, DOCS, UNIT, WHOLE))


def test_a_red_stage_is_the_last_and_all_of_it_runs():
    gated, receipt = driven({"lint": RED})
    assert results(receipt) == {"lint": RED, "docs": GREEN, "unit": SKIPPED, "whole": SKIPPED}
    assert {one.reason for one in receipt.runs if one.result is SKIPPED} == {"stage 1 was not green"}
    assert gated.tail == "the gate lint ended with 1\nthe end of lint"


def test_a_red_that_is_not_required_is_told_and_stops_nothing():
    gated, receipt = driven({"docs": RED})
    assert results(receipt) == {"lint": GREEN, "docs": RED, "unit": GREEN, "whole": GREEN}
    assert pipeline.result_of(receipt.runs) is GREEN
    assert gated.tail.startswith("the gate docs ended with 1; it is not required")


def test_a_gate_that_says_nothing_stops_the_rest_and_its_trouble_is_told():
    gated, receipt = driven({"unit": INCONCLUSIVE})
    assert results(receipt)["whole"] is SKIPPED
    assert gated.trouble == "unit was not started"


def test_a_change_that_concerns_no_gate_has_a_receipt_that_says_skipped():
    _, receipt = driven({}, TASK, changed=("README",), gates=(LINT,))
    assert pipeline.result_of(receipt.runs) is SKIPPED


def test_the_changed_paths_are_asked_for_only_where_a_gate_wants_to_know():
    asked = gating.changed_paths(config(*ALL), MERGE, HEAD, "b" * 40)
    assert answers(asked, {}) == (("src/a",), [Compare(old=HEAD, new="b" * 40)])
    for gates, occasion in (((UNIT,), MERGE), (ALL, NODE), (ALL, NIGHTLY), ((), MERGE)):
        assert answers(gating.changed_paths(config(*gates), occasion, HEAD, "b" * 40), {}) == (None, [])


@pytest.mark.parametrize(
    "change",
    [
        {"name": "lint2"}, {"command": "other"}, {"timeout": 9}, {"required": False}, {"junit": "a.xml"},
        {"junit": "a.xml", "min_tests": 1}, {"needs": ("docs",)},
    ],
)  # fmt: skip
def test_a_receipt_is_of_the_whole_pipeline_that_applied(change):
    other = replace(LINT, **change)
    before, after = (gate_sha256("", config(*gates), gates) for gates in ((LINT, DOCS), (other, DOCS)))
    assert before != after


def test_a_receipt_is_of_the_gates_that_applied_and_not_of_those_that_did_not():
    both = config(LINT, DOCS)
    assert gate_sha256("", both, (LINT,)) != gate_sha256("", both, (LINT, DOCS))
    assert gate_sha256("", both, (LINT,)) == gate_sha256("", config(LINT, replace(DOCS, command="other")), (LINT,))
    assert gate_sha256("", both) == gate_sha256("", both, (LINT, DOCS))
    # How many run at once, and for what it runs, changes nothing of what was run.
    assert gate_sha256("", both, (LINT,)) == gate_sha256("", both, (replace(LINT, slots=3, when=(TASK,)),))


def test_what_all_gates_may_take_is_known_before_they_start():
    assert pipeline.seconds(config(command="make"), "make", MERGE) == 100
    assert pipeline.seconds(config(*ALL), "", TASK) == 300
    assert pipeline.seconds(config(*ALL), "mine", MERGE) == 400 + 2 * 50


def test_a_gate_is_told_of_with_its_tests_and_their_names():
    tests = GateTests(total=30, failed=12, skipped=1)
    failed = run(RED, name="unit", tests=tests, failures=tuple(f"t{n}" for n in range(12)))
    said = "the gate unit ended with 1; 30 tests, 12 failed, 1 skipped (failed: t0, t1, t2, t3, t4, t5, t6, t7, t8, t9"
    assert gate_words.why(failed) == f"{said} and 2 more)"
    assert gate_words.why(run(RED, timed_out=True, required=False)) == "the gate a timed out; it is not required"


def test_no_step_of_a_single_gate_has_changed():
    part = gating.run_gates(config(command="make"), "make", TASK, attempt=2, commit=HEAD, changed=("a",))
    assert next(part) == RunGate(attempt=2, commit=HEAD, command="make")

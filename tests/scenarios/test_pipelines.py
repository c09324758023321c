"""Stories about several gates: which run, in which order, and what becomes of the work they judge."""

from __future__ import annotations

import json

from gluerun.records.pipeline import GateSpec, Occasion
from gluerun.testing import SimHouse

ONE = "TASK-0001"


def gate(name, **more):
    return GateSpec(name=name, command=f"run {name}", **more)


def house_of(*gates, **more):
    return SimHouse(gate_command="", gates=gates, **more)


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

"""Stories about planners, critics and nodes: what is refused is said once, and nothing is planned for ever."""

from __future__ import annotations

import json

import pytest
from tests.scenarios.backlogs import WorkingWatch

from gluerun.core.board import Board
from gluerun.edge.gates import gates
from gluerun.edge.views import board
from gluerun.loop import drive, plotting, promotion
from gluerun.loop.hosting import holder, new_origin_run
from gluerun.records import schema
from gluerun.records.dispatch import Role
from gluerun.records.gate import GateCheck, GateVerdict
from gluerun.testing import Move, SimHouse, batch, markdown

ONE = "TASK-0001"
GATE = "docs/orchestration/gates"


def proposal(node="core", owned="src/one"):
    return markdown("TASK-9001", area="src", node=node, owned=[owned])


def look(house) -> Board:
    return board(house.open())


def line(house, node="core"):
    return next(one for one in look(house).nodes if one.id == node)


def test_a_refused_batch_is_told_once_and_the_planner_hears_why():  # C2
    house = SimHouse().graph("core").planner("core", [batch(proposal("elsewhere")), batch(proposal())])
    house.cycles(2)
    reason = "batch refused: TASK-0001: it belongs to elsewhere in src, not to core in src"

    assert [event["message"] for event in house.events("origin.l1_import_rejected")] == [f"core: {reason}"]
    house.until_quiet()
    assert reason in house.prompts("core", Role.PLANNER)[1]
    assert house.state(ONE) == "integrated"
    assert house.open().store.plan_notes() == {}


def test_a_planner_that_never_learns_is_asked_a_bounded_number_of_times():  # A46
    house = SimHouse(max_retries=2).graph("core").planner("core", [batch(proposal("elsewhere"))])
    house.cycles(40, minutes=30)

    assert len(house.prompts("core", Role.PLANNER)) == 3
    assert "`gluerun plan core` tries again" in line(house).reason
    assert any(one.startswith("node core is not planned: batch refused") for one in look(house).needs_you)


def test_a_planner_that_keeps_failing_is_not_paid_for_for_ever():  # A46
    house = SimHouse(max_retries=2).graph("core").planner("core", [Move(answer={"tasks": "nonsense"})])
    house.cycles(60, minutes=60)

    assert len(house.prompts("core", Role.PLANNER)) == 3
    assert any(one.startswith("node core is not planned: ") for one in look(house).needs_you)


def test_a_parked_plan_of_a_node_that_is_gone_from_the_graph_needs_nobody():
    house = SimHouse(max_retries=0).graph("core").planner("core", [batch(proposal("elsewhere"))])
    house.cycles(3, minutes=30)
    assert any(one.startswith("node core is not planned") for one in look(house).needs_you)

    house.graph("shell")

    assert not any("core" in one for one in look(house).needs_you)


def test_refusals_neither_open_the_breaker_nor_hold_other_nodes_back():  # A19, A5
    house = SimHouse(max_consec_fails=1).graph("core", {"id": "shell", "area": "lib"})
    house.planner("core", [batch(proposal("elsewhere"))])
    house.planner("shell", [batch(proposal("shell", "lib/x").replace("Area: src", "Area: lib"))])
    house.cycles(6)

    assert house.state(ONE) == "integrated"
    assert house.open().store.backoff() is None


def test_an_empty_batch_is_a_success():  # A4
    house = SimHouse().graph("core").planner("core", [batch()])
    house.until_quiet()

    assert len(house.prompts("core", Role.PLANNER)) == 1
    assert (house.open().store.backoff(), house.open().store.plan_notes()) == (None, {})


def test_each_planner_tells_its_own_phase():  # A36
    house = SimHouse().graph("core", {"id": "shell", "area": "lib"})
    house.planner("core", [batch()]).planner("shell", [batch()])
    house.cycle(work=False)
    lines = look(house).nodes

    assert [one.state for one in lines] == ["planning", "planning"]
    assert lines[0].run != lines[1].run


def test_a_lease_whose_planner_is_gone_does_not_block_its_area_for_ever():  # A15
    house = SimHouse().graph("core").planner("core", [batch(proposal())])
    house.cycle(work=False)
    house.processes.crash(house.processes.started[0])
    house.cycles(6, minutes=20)

    assert house.state(ONE) == "integrated"


def test_a_planner_works_where_it_can_change_nothing_of_yours():  # C6, A25
    house = SimHouse().graph("core").planner("core", [Move(writes={"README.md": "mine now"}, answer={"tasks": []})])
    house.cycles(3)

    assert house.target_files()["README.md"] == "A repository in memory.\n"
    assert "changed README.md" in house.events("planner.failed")[0]["message"]


def test_a_follow_up_on_work_that_has_landed_is_taken_in():  # A3
    house = SimHouse().graph("core").given(ONE).until_quiet()
    text = markdown("TASK-9001", area="src", node="core", owned=["src/two"], depends_on=[ONE])
    house.planner("core", [batch(text)]).until_quiet()

    assert house.state("TASK-0002") == "integrated"


def test_a_bad_graph_is_named_and_is_not_taken_for_no_work():  # A35
    house = SimHouse().graph({"id": "core", "depends_on": ("nowhere",)})

    assert any("nowhere" in one for one in look(house).needs_you)


def test_a_parked_plan_waits_for_a_person_and_is_planned_anew_when_one_asks():
    parks = Move(answer={"verdict": "park", "rationale": "Which of the two?", "findings": []})
    agrees = Move(answer={"verdict": "approve", "rationale": "Yes."})
    house = SimHouse().graph("core").planner("core", [batch(proposal())]).critic("core", [parks, agrees])
    house.cycles(30, minutes=60)
    assert len(house.prompts("core", Role.PLANNER)) == 1
    assert "Which of the two?" in line(house).reason

    house.watch = WorkingWatch(house)
    found = plotting.plot(house.open(), "core")

    assert (found.outcome, [one.task_id for one in found.tasks], found.critique) == (
        "imported", [ONE], "approve: Yes.",
    )  # fmt: skip
    assert house.until_quiet().state(ONE) == "integrated"


class Crossed(WorkingWatch):
    """Sleeps; the first time another cycle takes the lock meanwhile, and lets go of it while it is waited for."""

    def __init__(self, house):
        super().__init__(house)
        self.asked = []

    def wait(self, run_ids, seconds):
        """Let the other cycle come and go."""
        super().wait(run_ids, seconds)
        self.asked.append(run_ids)
        house = self.house.open()
        self.house.locks.holder = holder(house, new_origin_run(house)) if len(self.asked) == 1 else None


def test_a_plan_is_not_left_in_the_middle_because_another_cycle_came_between():
    house = SimHouse().graph("core").planner("core", [batch(proposal())])
    house.watch = Crossed(house)
    found = plotting.plot(house.open(), "core")

    assert (found.outcome, len(house.watch.asked)) == ("imported", 2)


def test_a_drive_is_not_left_in_the_middle_because_another_cycle_came_between():
    house = SimHouse().given(ONE)
    house.watch = Crossed(house)

    assert drive.drive(house.open(), ONE).how == "landed"
    assert house.watch.asked[1] == ()


def test_a_promotion_is_not_left_in_the_middle_because_another_cycle_came_between():
    text = markdown("TASK-9001", area="src", node="core", owned=["src/one"], gate="own")
    house = SimHouse(auto_promote_gates=False).graph("core").planner("core", [batch(text)]).until_quiet()
    house.watch = Crossed(house)

    assert promotion.promote(house.open(), "core") == f"{GATE}/core.gate-result.json"
    assert len(house.watch.asked) >= 2


def test_who_waits_for_one_thing_is_not_woken_by_what_ended_elsewhere():
    house = SimHouse().given("TASK-0002").graph("core").planner("core", [batch(proposal())])
    house.cycle(work=False)
    other = house.lease("TASK-0002").run_id
    house.let_work()
    house.given(ONE)
    house.watch = Crossed(house)
    drive.drive(house.open(), ONE)

    assert house.lease("TASK-0002").run_id == other
    assert not any(other in runs for runs in house.watch.asked)


# --- what completes a node -------------------------------------------------------------------------------


def finished(**config):
    return SimHouse(**config).graph("core").planner("core", [batch(proposal())])


def test_a_node_rests_on_the_hashed_log_of_a_gate_that_was_green_on_the_targets_tree():  # A34
    house = finished().until_quiet()
    [tasks, log] = house.node_file("core")["evidence"]

    assert tasks["taskIds"] == [ONE]
    assert (log["kind"], log["exitCode"], log["logRef"]) == ("command-log", 0, f"{GATE}/evidence/core.gate.log")
    assert log["headSha"] == house.git.refs["refs/heads/main"]
    assert line(house).state == "passed"


def test_a_log_that_was_changed_afterwards_blocks_its_node_and_no_other():  # A13
    house = finished().until_quiet()
    house.work_files.write(f"{GATE}/evidence/core.gate.log", b"another one")

    assert line(house).state == "blocked"
    assert "whose content is another one" in line(house).reason


def test_a_corrupt_gate_file_blocks_its_node_alone_and_is_named():  # A13
    house = SimHouse().graph("core", {"id": "shell", "area": "lib"})
    house.work_files.write(f"{GATE}/core.gate-result.json", b"{")
    house.planner("shell", [batch(proposal("shell", "lib/x").replace("Area: src", "Area: lib"))])
    house.until_quiet()

    assert house.node_file("shell")["status"] == "passed"
    assert any(one.startswith("node core is blocked: ") and "core.gate-result.json" in one
               for one in look(house).needs_you)  # fmt: skip


@pytest.mark.parametrize("log", ["docs/orchestration", "a\0b"])
def test_a_log_that_is_no_file_blocks_its_node_and_stops_no_cycle(log):
    house = finished().until_quiet()
    gate = house.node_file("core")
    gate["evidence"][1]["logRef"] = log
    house.work_files.write(f"{GATE}/core.gate-result.json", json.dumps(gate).encode())
    house.given("TASK-0002").until_quiet()

    assert line(house).state == "blocked"
    assert house.state("TASK-0002") == "integrated"


def test_a_folder_in_the_place_of_a_gate_file_blocks_its_node_and_stops_no_cycle():
    house = SimHouse().graph("core").given(ONE)
    house.work_files.write(f"{GATE}/core.gate-result.json/x", b"")
    house.until_quiet()

    assert (line(house).state, house.state(ONE)) == ("blocked", "integrated")
    assert [one.state for one in gates(house.open(), 1).nodes] == ["blocked"]


def test_a_node_is_complete_in_the_cycle_in_which_its_last_task_lands_and_needs_no_seat():  # A12
    house = finished(max_dispatch=1)
    while house.state(ONE) != "integrated":
        house.configure(max_dispatch=0 if house.state(ONE) == "accepted" else 1)
        house.cycle()

    assert house.node_file("core")["status"] == "passed"


def test_a_task_with_a_gate_of_its_own_says_nothing_about_the_gate_of_its_node():
    text = markdown("TASK-9001", area="src", node="core", owned=["src/one"], gate="own")
    house = SimHouse().graph("core").planner("core", [batch(text)]).until_quiet()

    assert house.events("node.proving")
    assert house.node_file("core")["evidence"][1]["command"] == "check"


def test_a_lost_receipt_lets_the_gate_run_again():
    house = finished(auto_promote_gates=False).until_quiet()
    run = house.record(ONE).run_id
    house.state_files.remove(f"runs/{run}/gate-check.json")
    house.state_files.remove(f"runs/{run}/candidate-gate-check.json")
    house.configure(auto_promote_gates=True).until_quiet()

    assert house.events("node.proving")
    assert house.node_file("core")["status"] == "passed"


def red_proof(house):
    """Lay down the receipt of a run in which the guard of the node was red."""
    import hashlib

    log = b"1 failed, as it must\n"
    house.work_files.write(f"{GATE}/evidence/core-skip-guard-red.log", log)
    check = GateCheck(
        run_id="RUN-20260131T115900Z-0000abcd", cmd="check", exit_code=1, result=GateVerdict.RED,
        log_ref=f"{GATE}/evidence/core-skip-guard-red.log", log_sha256=hashlib.sha256(log).hexdigest(),
        commit="a" * 40, code_tree="b" * 40, gate_sha256="c" * 64, duration_ms=1, created_at=house.clock.now(),
    )  # fmt: skip
    house.work_files.write(f"{GATE}/evidence/core-skip-guard-red.gate-check.json", schema.dump(check))


def test_a_node_of_a_proof_layer_waits_for_its_red_proof_and_says_so():
    house = finished(proof_layers=("code",)).until_quiet()
    assert house.node_file("core") is None
    assert "wants a red proof" in line(house).reason

    red_proof(house)
    house.until_quiet()

    assert house.node_file("core")["evidence"][2]["ref"] == "core-skip-guard-red"
    assert line(house).state == "passed"


def test_a_node_of_old_needs_no_red_proof():
    house = finished(proof_layers=("code",), proof_grandfather=("core",)).until_quiet()

    assert line(house).state == "passed"

"""Settings of the predecessor that have no story elsewhere: each of them does what its name says."""

from __future__ import annotations

import json

from gluerun.edge.leases import lease_page, leases
from gluerun.edge.views import health
from gluerun.loop.auto import auto
from gluerun.loop.reconcile import drain
from gluerun.records.config import ControlState
from gluerun.records.dispatch import Role
from gluerun.records.gate import GateResult
from gluerun.records.schema import load
from gluerun.sim.watch import SimWatch
from gluerun.testing import Move, SimHouse, batch, decision, verdict

ONE, TWO = "TASK-0001", "TASK-0002"


class Timed(SimWatch):
    """Notes for how long somebody sleeps; after some sleeps the runs go on."""

    def __init__(self, house, patience=3):
        super().__init__(house.clock)
        self.house = house
        self.patience = patience
        self.sleeps = []

    def wait(self, run_ids, seconds):
        """Note it, and let time pass."""
        self.sleeps.append(seconds)
        super().wait(run_ids, seconds)
        if len(self.sleeps) >= self.patience:
            self.house.let_work()


def timed(**config):
    house = SimHouse(**config).given(ONE)
    house.watch = Timed(house)
    return house


def started(house, end):
    """Return the programs of one kind that were started."""
    return [child for _, child in house.children.waited if child.name.endswith(end)]


def test_a_loop_sleeps_as_long_as_it_is_told_between_two_cycles():
    house = timed(sleep=2.0)
    auto(house.open())

    assert set(house.watch.sleeps[:3]) == {2.0}


def test_draining_looks_again_as_often_as_it_is_told():
    house = timed(drain_poll_secs=7.0)
    house.cycle(work=False)
    drain(house.open())

    assert set(house.watch.sleeps) == {7.0}


def test_gates_and_deciders_have_the_time_that_they_are_given():
    house = SimHouse(gate_timeout_sec=77, decider_timeout_sec=66).given(ONE)
    house.auditor(ONE, [verdict("blocked")]).decider(ONE, [decision("cancel")]).until_quiet()

    assert {child.timeout for child in started(house, "-gate")} == {77}
    assert {child.timeout for child in started(house, "-decider")} == {66}


def test_a_planner_is_asked_for_as_many_tasks_as_it_is_told():
    for most in (1, 2):
        house = SimHouse(l1_tasks_per_node=most).graph("core").planner("core", [batch()]).until_quiet()
        assert f"At most {most} tasks" in house.prompts("core", Role.PLANNER)[0]


def test_work_lands_on_the_branch_that_is_configured_and_on_no_other():
    house = SimHouse(target_branch="dev", gate_command="own words")
    house.git.refs["refs/heads/dev"] = before = house.git.head("main")
    house.given(ONE, owned=["a.txt"]).until_quiet()

    assert house.state(ONE) == "integrated"
    assert ("a.txt" in house.files_at("refs/heads/dev"), house.git.head("main")) == (True, before)
    assert all("own words" in child.argv for child in started(house, "-gate"))


def test_what_warms_a_place_up_is_run_in_each():
    house = SimHouse(prewarm="fetch all").given(ONE).until_quiet()

    warmed = {child.cwd for child in started(house, "-setup") if "fetch all" in child.argv}
    assert len(warmed) == 3


def test_a_change_without_a_report_fails_where_one_is_required():
    work = Move(writes={f"src/{ONE}.txt": "good"})
    told = Move(writes={f"src/{ONE}.txt": "good"}, answer={"summary": "did it"})
    house = SimHouse(require_packet=True, max_retries=0).given(ONE).agent(ONE, [work]).until_quiet()
    assert house.record(ONE).last_failure.failure_class == "worker-no-packet"

    assert SimHouse(require_packet=True).given(ONE).agent(ONE, [told]).until_quiet().state(ONE) == "integrated"


def test_the_state_is_published_where_it_is_wanted_and_nowhere_else():
    for mode in ControlState:
        house = SimHouse(control_state=mode).given(ONE).until_quiet()
        assert bool([ref for ref in house.git.refs if "control" in ref]) is (mode is ControlState.REF)
        on_branch = [path for path in house.target_files() if path.endswith(f"{ONE}/task.json")]
        assert bool(on_branch) is (mode is ControlState.BRANCH)


def test_leases_are_listed_while_they_hold_and_not_longer():
    house = SimHouse().given(ONE).hold(ONE)
    house.cycle()
    assert [one.subject for one in leases(house.open()).leases] == [ONE]
    assert lease_page(house.open(), ONE).run == house.lease(ONE).run_id

    house.release(ONE).until_quiet()
    assert leases(house.open()).leases == ()


def test_the_state_of_the_origin_says_what_is_ready_and_what_holds():
    house = SimHouse().given(ONE).given(TWO, depends_on=[ONE]).hold(ONE)
    house.cycle()
    said = json.loads(house.state_files.read("origin-state.json"))

    assert (said["schema"], said["targetBranch"]) == ("gluerun.orchestration.origin-state.v0", "main")
    assert (said["headSha"], said["readyTasks"]) == (house.git.head("main"), [ONE, TWO])
    assert said["activeLeases"] == 1


def test_a_gate_file_of_the_later_form_blocks_its_node_alone_and_is_named():
    house = SimHouse().graph("core", "shell").given(ONE, node="core", area="src").until_quiet()
    path = "docs/orchestration/gates/core.gate-result.json"
    data = house.work_files.read(path)
    assert load(GateResult, data).node == "core"
    house.work_files.write(path, data.replace(b"gate-result.v0", b"gate-result.v1"))
    (matter,) = [one for one in health(house.open()).matters if one.kind == "gate-file"]

    assert matter.about == "core"
    assert "gate-result.v1" in matter.words


def test_a_worker_may_stand_in_a_part_of_the_tree_and_what_it_writes_elsewhere_is_seen():
    for writes, state in (({"src/a/f": "done"}, "integrated"), ({"src/a/f": "x", "lib/g": "y"}, "parked")):
        house = SimHouse(sparse=True, sparse_always=("tools",), max_retries=0)
        for path in ("src/a/f", "src/b/f", "lib/g", "tools/t"):
            house.colleague(path, "as it was")
        seen, gated = [], []
        move = Move(writes=writes, act=lambda scene, seen=seen: seen.append(sorted(scene.tree())))
        house.given(ONE, owned=["src/a"]).agent(ONE, [move])
        house.gate(lambda tree, gated=gated: gated.append(sorted(tree)) or 0)
        house.until_quiet()

        assert {"src/a/f", "tools/t"} <= {*seen[0]} and "src/b/f" not in seen[0]
        assert house.state(ONE) == state
        assert house.target_files()["lib/g"] == "as it was"
        assert all({"src/a/f", "src/b/f", "lib/g", "tools/t"} <= {*tree} for tree in gated)

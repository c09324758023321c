"""Stories about one repository: given, then cycles, then one truth."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from gluerun.core.timers import LOG, LOG_BYTES, OLD_LOG
from gluerun.edge.views import board
from gluerun.errors import BusyError, GitError, NoRoomError, StateError
from gluerun.loop.journal import broken_link
from gluerun.loop.observe import TASKS
from gluerun.loop.store import run_path
from gluerun.ports import BALLAST
from gluerun.records import schema
from gluerun.records.dispatch import Outcome, Role
from gluerun.records.origin import OriginHolder
from gluerun.records.record import replace
from gluerun.sim.children import SimChildren
from gluerun.sim.crash import SimCrash
from gluerun.testing import Move, SimHouse, batch, decision, ended, markdown, speaker, verdict

ONE, TWO, THREE = "TASK-0001", "TASK-0002", "TASK-0003"
SECRET = "AKIA" + "ABCDEFGHIJKLMNOP"


def fixes(path: str, *texts: str) -> list[Move]:
    """Return moves that write one text after the other to the same file."""
    return [Move(writes={path: text}) for text in texts]


# --- versions --------------------------------------------------------------------------------------------


def test_after_an_upgrade_the_board_says_who_still_runs_the_old_version():
    house = SimHouse().given(ONE, owned=["a.txt"]).given(TWO, owned=["b.txt"]).hold(ONE, TWO).cycles(1)
    opened = house.open()
    run = house.record(ONE).run_id
    old = replace(opened.store.dispatch(run), engine_version="0.0.9")
    house.state_files.write(f"runs/{run}/dispatch.json", schema.dump(old))
    started = datetime(2026, 1, 1, tzinfo=UTC)
    loop = OriginHolder(
        owner="auto", run_id="ORIGIN-1", pid=7, started_at=started, expires_at=started, engine_version=""
    )

    with house.locks.resident(loop):
        lines = board(opened).other_engines

    assert [(one.who, one.version, one.run, one.task) for one in lines] == [
        ("loop", "unknown", "ORIGIN-1", ""),
        ("worker", "0.0.9", run, ONE),
    ]
    assert house.release(ONE, TWO).until_quiet().states() == {ONE: "integrated", TWO: "integrated"}
    assert board(opened).other_engines == ()


def test_no_record_that_leaves_the_machine_names_a_folder_of_it():
    # C17: packets were committed with the absolute path of somebody's work tree in them, and leases hold one.
    house = SimHouse().given(ONE, owned=["a.txt"]).agent(ONE, fixes("a.txt", "done")).hold(ONE).cycles(1)
    lease = house.state_files.files[f"leases/{ONE}.json"].decode()
    house.release(ONE).until_quiet()
    opened = house.open()
    published = opened.doors.git.published("refs/gluerun/control")
    packets = [data for path, data in house.state_files.files.items() if path.endswith("/packet.json")]

    assert packets
    assert published
    texts = [lease, json.dumps(house.target_files()), *(data.decode() for data in packets)]
    texts += [data.decode() for data in published.values()]
    assert [text for text in texts if opened.doors.root in text] == []


# --- the straight way ------------------------------------------------------------------------------------


def test_a_ready_task_with_a_green_gate_becomes_integrated():
    house = SimHouse().given(ONE, owned=["a.txt"]).agent(ONE, fixes("a.txt", "done"))

    house.until_quiet()

    assert (house.state(ONE), house.target_files()["a.txt"]) == ("integrated", "done")


def test_a_quiet_house_changes_nothing():
    house = SimHouse().given(ONE).until_quiet()
    before = dict(house.state_files.files)

    report = house.cycle(0.1)  # now and then it says that it is at work

    assert report.quiet
    assert house.state_files.files == before


def test_what_depends_on_a_task_waits_until_it_is_integrated():
    house = SimHouse().given(TWO, depends_on=[ONE]).given(ONE).hold(ONE)

    house.cycles(3)

    assert house.states() == {ONE: "running", TWO: "ready"}
    assert house.release(ONE).until_quiet().states() == {ONE: "integrated", TWO: "integrated"}


def test_tasks_that_share_a_file_never_run_side_by_side():
    house = SimHouse().given(ONE, owned=["a.txt"]).given(TWO, owned=["a.txt"]).hold(ONE, TWO)

    house.cycles(3)

    assert house.states() == {ONE: "running", TWO: "ready"}


# --- gates -----------------------------------------------------------------------------------------------


def test_a_red_gate_is_tried_again_and_its_log_is_in_the_next_prompt():
    house = SimHouse().given(ONE, owned=["a.txt"]).agent(ONE, fixes("a.txt", "bad", "good"))
    house.gate(lambda tree: (1, "expected good, got bad") if tree.get("a.txt") == "bad" else 0)

    house.until_quiet()

    assert house.state(ONE) == "integrated"
    assert "expected good, got bad" in house.prompts(ONE)[1]


def test_reds_without_end_park_the_task_with_its_reason():
    house = SimHouse(max_retries=2).given(ONE, owned=["a.txt"]).agent(ONE, fixes("a.txt", "1", "2", "3"))
    house.gate(lambda tree: 7).decider(ONE, [decision("retry")])

    house.until_quiet()

    assert (house.state(ONE), house.record(ONE).tries) == ("parked", 3)
    assert house.record(ONE).last_failure.reason == "the gate ended with 7"


def test_the_same_failure_at_the_same_difference_twice_stops_at_once():  # A29
    house = SimHouse(max_retries=9).given(ONE, owned=["a.txt"]).agent(ONE, fixes("a.txt", "same"))
    house.gate(lambda tree: 1).decider(ONE, [decision("retry")])

    house.until_quiet()

    assert (house.state(ONE), house.record(ONE).tries) == ("parked", 2)


def test_a_gate_that_cannot_start_says_nothing_about_the_work():  # A28
    house = SimHouse().given(ONE).gate(lambda tree: 127)

    house.until_quiet()

    assert house.record(ONE).last_failure.failure_class == "worker-infra"


# --- workers that vanish ---------------------------------------------------------------------------------


def test_a_worker_that_keeps_crashing_is_parked_and_never_started_again():
    house = SimHouse(max_retries=2, max_consec_fails=99).given(ONE).hold(ONE)

    for _ in range(20):
        house.cycle()
        if house.state(ONE) == "running":
            house.crash(ONE)

    assert (house.state(ONE), house.record(ONE).tries) == ("parked", 3)
    assert len(house.processes.started) == 3


def test_a_vanished_workers_files_are_rescued():
    house = SimHouse(max_retries=0).given(ONE, owned=["a.txt"]).agent(ONE, fixes("a.txt", "half")).hold(ONE)
    house.cycle()
    house.crash(ONE)

    house.cycle()

    (ref,) = house.git.kept(f"refs/gluerun/rescue/{ONE}")
    assert house.files_at(ref)["a.txt"] == "half"


def test_what_stood_at_a_place_outlives_the_rescue_of_the_run_that_found_it():
    house = SimHouse(max_retries=0).given(ONE, owned=["a.txt"]).agent(ONE, fixes("a.txt", "half")).hold(ONE)
    house.git.add_worktree(f"/sim/.worktrees/{ONE}", house.git.head("main"))
    house.git.write(f"/sim/.worktrees/{ONE}", "found.txt", b"whose is this?")
    house.cycle()
    house.crash(ONE)

    house.cycle()

    kept = [house.files_at(ref) for ref in house.git.kept(f"refs/gluerun/rescue/{ONE}")]
    assert [("found.txt" in files, "a.txt" in files) for files in kept] == [(False, True), (True, False)]


def test_a_living_process_past_its_deadline_is_ended_before_its_task_is_given_away():
    house = SimHouse().given(ONE).hold(ONE)
    house.cycle()
    run_id = house.lease(ONE).run_id

    report = house.cycle(minutes=60 * 24 * 7, work=False)

    assert [line.kind for line in report.actions][:2] == ["stop", "settle"]
    assert house.processes.life(run_id) == "dead"


def test_a_living_worker_in_time_is_left_alone():
    house = SimHouse().given(ONE).hold(ONE)
    house.cycle()

    report = house.cycle(minutes=60)

    assert report.quiet


def test_an_expired_lease_whose_tree_cannot_be_ended_is_never_given_away():
    house = SimHouse().given(ONE).hold(ONE)
    house.cycle()
    house.processes.immortal.add(house.lease(ONE).run_id)

    house.cycles(3, minutes=60 * 24 * 7)

    assert len(house.processes.started) == 1
    assert house.state(ONE) == "running"


def test_a_lease_without_a_living_process_is_reclaimed():  # A53
    house = SimHouse().given(ONE).hold(ONE)
    house.cycle()
    house.processes.crash(house.lease(ONE).run_id)

    house.cycle(minutes=2)

    assert house.record(ONE).last_failure.failure_class == "stale-lease"
    assert len(house.processes.started) == 2


def test_an_orphaned_tree_gets_its_grace_then_is_ended_then_the_task_is_tried_again():
    house = SimHouse(orphan_grace=150).given(ONE).hold(ONE)
    house.cycle()
    house.orphan(ONE)

    kinds = [[line.kind for line in house.cycle(work=False).actions] for _ in range(4)]

    assert kinds == [["mark-orphan"], [], [], ["stop", "settle", "start"]]


def test_an_ending_of_an_older_epoch_is_ignored():  # C31
    house = SimHouse().given(ONE).hold(ONE)
    house.cycle()
    store = house.open().store
    run_id = house.lease(ONE).run_id
    house.release(ONE).let_work()
    store.put_ending(replace(store.ending(run_id), epoch=0))

    house.hold(ONE).cycle()

    assert store.ending(run_id).outcome is Outcome.ACCEPTED
    assert house.record(ONE).last_failure.failure_class == "stale-lease"


def test_a_conflicts_resolution_that_vanishes_is_rescued_and_the_conflict_comes_back():
    house = SimHouse().given(ONE, owned=["a.txt"]).agent(ONE, fixes("a.txt", "mine", "half", "both"))
    house.cycle()
    house.colleague("a.txt", "hers").hold(ONE)
    house.cycle(2)
    house.crash(ONE).release(ONE)

    house.until_quiet()

    kept = [house.files_at(ref).get("a.txt") for ref in house.git.kept(f"refs/gluerun/rescue/{ONE}")]
    assert (house.target_files()["a.txt"], "half" in kept, "mine" in kept) == ("both", True, True)


def test_what_a_lost_state_folder_knew_comes_back():
    house = SimHouse().given(ONE).given(TWO, gate="red").gate(lambda tree: int("src/TASK-0002.txt" in tree))
    house.configure(max_retries=0).until_quiet()
    for path in list(house.state_files.files):
        house.state_files.remove(path)

    house.until_quiet()

    assert house.states() == {ONE: "integrated", TWO: "parked"}
    assert len(house.processes.started) == 2


def test_after_a_power_loss_everything_that_was_said_to_be_durable_is_there():
    house = SimHouse().given(ONE).given(TWO, depends_on=[ONE])
    for _ in range(12):
        house.cycle(2)
        house.power_off().reboot()

    house.until_quiet()

    assert house.states() == {ONE: "integrated", TWO: "integrated"}


def test_after_a_reboot_everybody_is_dead_and_the_work_goes_on():
    house = SimHouse().given(ONE).hold(ONE)
    house.cycle()
    house.power_off().reboot().release(ONE)

    house.until_quiet()

    assert house.state(ONE) == "integrated"
    assert [event["message"] for event in house.events("run.settled")] == [
        f"{ONE}: stale-lease, the machine was restarted under the worker"
    ]


def test_a_worker_whose_infrastructure_failed_once_loses_no_try():
    moves = [Move(exit_code=1, says="rate limited"), Move(writes={"a.txt": "done"})]
    house = SimHouse().given(ONE, owned=["a.txt"]).agent(ONE, moves)

    house.until_quiet()

    assert (house.state(ONE), house.record(ONE).tries) == ("integrated", 1)


# --- scope and secrets -----------------------------------------------------------------------------------


def test_a_scope_that_was_too_narrow_is_widened_once():
    house = SimHouse().given(ONE, owned=["a.txt"]).agent(ONE, [Move(writes={"a.txt": "a", "b.txt": "b"})])

    house.until_quiet()

    assert house.state(ONE) == "integrated"
    assert house.record(ONE).amended_files == ("b.txt",)
    assert house.target_files()["b.txt"] == "b"


def test_a_scope_is_never_widened_over_what_another_task_holds():
    house = SimHouse(max_retries=1).given(ONE, owned=["a.txt"]).given(TWO, owned=["b.txt"]).hold(TWO)
    house.agent(ONE, [Move(writes={"a.txt": "a", "b.txt": "b"})])

    house.cycles(8)

    assert (house.state(ONE), house.record(ONE).amended_files) == ("parked", ())


@pytest.mark.parametrize("path", ["docs/orchestration/decisions.md", ".gluerun-state/STOP", "gluerun.config.json"])
def test_a_scope_is_never_widened_over_the_engines_own(path):
    house = SimHouse(max_retries=1).given(ONE, owned=["a.txt"]).agent(ONE, [Move(writes={"a.txt": "a", path: "x"})])

    house.cycles(8)

    assert (house.state(ONE), house.record(ONE).amended_files) == ("parked", ())
    assert path not in house.target_files()


def test_what_a_task_forbids_is_never_added_to_its_scope():
    house = SimHouse(max_retries=1).given(ONE, owned=["a.txt"], forbidden=["b.txt"])
    house.agent(ONE, [Move(writes={"a.txt": "a", "b.txt": "b"})])

    house.cycles(8)

    assert (house.state(ONE), house.record(ONE).amended_files) == ("parked", ())


def test_a_secret_is_never_committed_and_a_model_is_asked():
    moves = [Move(writes={"a.txt": f"key = {SECRET}\n"}), Move(writes={"a.txt": "key = from the environment\n"})]
    house = SimHouse().given(ONE, owned=["a.txt"]).agent(ONE, moves).decider(ONE, [decision("retry")])

    house.until_quiet()

    assert house.state(ONE) == "integrated"
    assert len(house.prompts(ONE, Role.DECIDER)) == 1
    assert SECRET not in str([house.files_at(ref) for ref in house.git.refs])


def test_a_secret_without_a_model_to_ask_parks_the_task():
    house = SimHouse().given(ONE, owned=["a.txt"]).agent(ONE, fixes("a.txt", f"key = {SECRET}\n"))

    house.until_quiet()

    assert house.state(ONE) == "parked"
    assert SECRET not in str([house.files_at(ref) for ref in house.git.refs])


# --- audits ----------------------------------------------------------------------------------------------


def test_what_an_auditor_found_is_repaired():
    house = SimHouse().given(ONE, owned=["a.txt"]).agent(ONE, fixes("a.txt", "1", "2"))
    house.auditor(ONE, [verdict("needs-fix", requiredFixes=["Say 2, not 1."]), verdict("accepted")])

    house.until_quiet()

    assert house.target_files()["a.txt"] == "2"
    assert "Say 2, not 1." in house.prompts(ONE)[1]


def test_a_finding_keeps_its_id_over_tries_however_it_is_spaced():
    house = SimHouse(max_retries=3).given(ONE, owned=["a.txt"]).agent(ONE, fixes("a.txt", "1", "2", "3"))
    house.auditor(
        ONE,
        [
            verdict("needs-fix", requiredFixes=["Say `3`."]),
            verdict("needs-fix", requiredFixes=["say  3."]),
            verdict("accepted"),
        ],
    ).decider(ONE, [decision("retry")])

    house.until_quiet()

    ledger = house.open().store.document(house.record(ONE).run_id, "findings-status.json")
    assert [(one["status"], one["firstSeenAttempt"], one["lastSeenAttempt"]) for one in ledger["findings"]] == [
        ("resolved", 1, 2)
    ]


def test_findings_reach_the_next_run():
    house = SimHouse().given(ONE, owned=["a.txt"]).agent(ONE, fixes("a.txt", "1", "2", "3")).hold(ONE)
    house.auditor(ONE, [verdict("needs-fix", findings=["The tone is wrong."]), verdict("accepted")])
    house.cycle()
    vanishes = Move(act=lambda scene: house.vanish(scene.run_id))
    house.agent(ONE, [Move(writes={"a.txt": "1"}), vanishes, Move(writes={"a.txt": "2"})])
    house.release(ONE).let_work().until_quiet()

    assert house.state(ONE) == "integrated"
    assert "The tone is wrong." in house.prompts(ONE)[2]


@pytest.mark.parametrize("wrong", [{"nonce": "0" * 32}, {"headSha": "0" * 40}])
def test_a_verdict_about_something_else_is_a_fault_and_never_an_acceptance(wrong):  # C24
    house = SimHouse().given(ONE).auditor(ONE, [verdict("accepted", **wrong)])

    house.until_quiet()

    assert (house.state(ONE), house.record(ONE).last_failure.failure_class) == ("parked", "audit-infra")


def test_two_verdicts_that_disagree_are_no_verdict():
    def both(scene):
        scene.say(json.dumps(scene.verdict("accepted")) + json.dumps(scene.verdict("blocked")))

    house = SimHouse().given(ONE).auditor(ONE, [Move(act=both)])

    house.until_quiet()

    assert (house.state(ONE), house.record(ONE).last_failure.failure_class) == ("parked", "audit-unknown")


def test_a_model_may_waive_an_auditors_judgement_but_no_red_gate():
    house = SimHouse(max_retries=0).given(ONE).decider(ONE, [decision("accept-waiver")])
    house.auditor(ONE, [verdict("blocked")])
    house.given(TWO, gate="red").decider(TWO, [decision("accept-waiver")])
    house.gate(lambda tree: "src/TASK-0002.txt" in tree)

    house.until_quiet()

    assert house.states() == {ONE: "integrated", TWO: "parked"}


# --- integration -----------------------------------------------------------------------------------------


def test_a_conflict_with_a_colleague_goes_back_with_markers_and_lands_on_the_second_try():
    def resolve(scene):
        assert "<<<<<<<" in scene.tree()["a.txt"]
        scene.write("a.txt", "hers and mine")

    house = SimHouse().given(ONE, owned=["a.txt"])
    house.agent(ONE, [Move(writes={"a.txt": "mine"}), Move(act=resolve)])
    house.cycle()
    house.colleague("a.txt", "hers")

    house.until_quiet()

    assert (house.state(ONE), house.target_files()["a.txt"]) == ("integrated", "hers and mine")
    assert house.record(ONE).tries == 2


def test_a_target_that_moved_between_proof_and_landing_is_proved_again():
    gated = []
    house = SimHouse().given(ONE).gate(lambda tree: gated.append(dict(tree)) or 0)
    house.cycle()
    house.colleague("b.txt", "before the proof")
    house.cycle()
    house.colleague("c.txt", "after the proof")

    house.until_quiet()

    assert house.state(ONE) == "integrated"
    assert "c.txt" in gated[-1]
    assert len(house.events("integration.started")) == 2


def test_a_dirty_checkout_lets_the_candidate_wait_and_nobody_else():
    house = SimHouse().given(ONE, owned=["README.md"]).given(TWO).agent(ONE, fixes("README.md", "new"))
    house.dirty("README.md")

    house.cycles(6)

    assert house.states() == {ONE: "waiting", TWO: "integrated"}
    assert house.record(ONE).proof.blocked_paths == ("README.md",)
    assert house.clean().until_quiet().state(ONE) == "integrated"


def test_what_the_user_has_not_saved_survives_every_landing():
    house = SimHouse().given(ONE).dirty("README.md", "half a thought")

    house.until_quiet()

    assert house.state(ONE) == "integrated"
    assert house.git.worktrees["/sim"].files["README.md"][1] == b"half a thought"


def test_a_red_combined_gate_goes_back_with_its_log_and_parks_when_the_tries_are_spent():
    house = SimHouse(max_retries=1).given(ONE)
    house.gate(lambda tree: (1, "both together fail") if {"b.txt", "src/TASK-0001.txt"} <= tree.keys() else 0)
    house.cycle()
    house.colleague("b.txt", "hers")

    house.until_quiet()

    assert (house.state(ONE), house.record(ONE).tries) == ("parked", 2)
    assert "both together fail" in house.prompts(ONE)[1]


def test_a_failing_integration_is_tried_once_for_each_pair_of_branch_and_target():  # C1
    for again in (0, 1, 2):
        house = SimHouse(max_retries=0, flake_reruns=again).given(ONE).gate(lambda tree: int("b.txt" in tree))
        house.cycle()
        house.colleague("b.txt", "hers")

        house.cycles(8)

        assert len(house.events("integration.started")) == 1 + again


def test_two_accepted_tasks_land_one_after_the_other_and_both_are_proved_together():
    house = SimHouse().given(ONE).given(TWO)

    house.until_quiet()

    assert house.states() == {ONE: "integrated", TWO: "integrated"}
    assert {"src/TASK-0001.txt", "src/TASK-0002.txt"} <= house.target_files().keys()


# --- the loop itself -------------------------------------------------------------------------------------


def test_stop_keeps_workers_from_starting_but_what_is_accepted_lands():
    house = SimHouse().given(ONE)
    house.cycle()
    house.stop().given(TWO)

    house.cycles(6)

    assert house.states() == {ONE: "integrated", TWO: "ready"}
    assert house.resume().until_quiet().state(TWO) == "integrated"


def test_stop_does_not_keep_vanished_workers_from_being_settled():
    house = SimHouse().given(ONE).hold(ONE)
    house.cycle()
    house.crash(ONE).stop()

    house.cycles(2)

    assert (house.state(ONE), house.lease(ONE)) == ("ready", None)


def test_the_breaker_opens_after_failures_in_a_row():
    house = SimHouse(max_consec_fails=2, max_retries=0).gate(lambda tree: 1)
    for number in range(1, 6):
        house.given(f"TASK-000{number}", depends_on=[])
    house.configure(max_concurrent=1)

    house.cycles(12)

    assert list(house.states().values()).count("parked") == 2
    assert "breaker" in house.cycle().dispatch_gate


def test_progress_resets_the_breaker():
    house = SimHouse(max_consec_fails=2, max_retries=0, max_concurrent=1)
    house.gate(lambda tree: int("src/TASK-0001.txt" in tree or "src/TASK-0003.txt" in tree))
    for number in range(1, 5):
        house.given(f"TASK-000{number}")

    house.cycles(20)

    assert house.states() == {ONE: "parked", TWO: "integrated", THREE: "parked", "TASK-0004": "integrated"}


def test_low_disk_stops_dispatch_only():  # FR-005
    house = SimHouse().given(ONE)
    house.cycle()
    house.state_files.free = 1
    house.given(TWO)

    house.cycles(6)

    assert house.states() == {ONE: "integrated", TWO: "ready"}
    assert "low disk" in house.cycle().dispatch_gate


def test_low_disk_is_told_once_named_on_the_board_and_ends_by_itself():  # A24
    from gluerun.edge.views import board

    house = SimHouse().given(ONE)
    house.state_files.free = 1_200_000_000

    house.cycles(3)

    shown = board(house.open())
    assert (shown.low_disk.free_bytes, shown.low_disk.wanted_bytes) == (1_200_000_000, 2_000_000_000)
    assert any("1.2 GB free, 2 GB wanted" in one and shown.low_disk.remedy in one for one in shown.needs_you)
    house.state_files.free = 3_000_000_000
    house.until_quiet()
    assert (house.state(ONE), board(house.open()).low_disk) == ("integrated", None)
    assert [event["type"] for event in house.events() if event["type"].startswith("disk.")] == [
        "disk.low", "disk.enough"
    ]  # fmt: skip


def fill_the_disk(house):
    """From now on whatever needs space in the state folder is refused."""

    def full(number, name):
        if name.startswith(("state before write", "state before create", "state before append")):
            return StateError("cannot write: no space left on device")
        return None

    house.fuse.chooses, house.state_files.free = full, 0


def empty_the_disk(house):
    house.fuse.chooses, house.state_files.free = None, 1 << 40


def test_a_disk_without_a_byte_left_lets_a_run_end_land_and_be_told():  # FR-053
    house = SimHouse(ballast_mb=16).given(ONE, owned=["a.txt"]).given(TWO, owned=["b.txt"])
    house.agent(
        TWO, [Move(act=lambda scene: (scene.write("b.txt", "half"), fill_the_disk(house), house.vanish(scene.run_id)))]
    )
    house.configure(max_retries=0)
    house.cycle()

    house.cycles(4)

    assert BALLAST not in house.state_files.files
    assert house.states() == {ONE: "integrated", TWO: "parked"}
    assert [
        one for ref in house.git.kept("refs/gluerun/rescue") for one in house.files_at(ref).items() if "b.txt" in one
    ]
    assert broken_link(house.state_files) == ""
    empty_the_disk(house)
    house.cycles(2)
    assert house.state_files.mark(BALLAST).size == 16_000_000


def test_a_disk_that_is_full_while_a_place_is_made_parks_nothing_and_the_next_run_waits_for_room():
    house = SimHouse(max_retries=1, worker_infra_max=2).given(ONE)
    house.cycle(work=False)

    def full(number, name):
        return NoRoomError("fatal: No space left on device") if name == "git add_worktree:before" else None

    house.fuse.chooses, house.state_files.free = full, 0
    house.let_work()
    house.cycles(5)
    assert house.states() == {ONE: "ready"}
    assert house.record(ONE).tries == 1

    empty_the_disk(house)
    house.until_quiet()
    assert house.states() == {ONE: "integrated"}


def test_one_fault_of_git_while_the_place_of_a_second_try_is_made_is_not_the_works():
    said = ended(1.0, subtype="error_max_turns", is_error=True, result="Reached max turns")
    runners = {"agent": speaker(provider="one"), "judge": speaker("judge", provider="two")}
    house = SimHouse(max_retries=1, worker_infra_max=1, runners=runners, roles={"worker": "agent", "auditor": "judge"})
    limited = Move(writes={"half.txt": "half"}, says=said, exit_code=1)
    good = Move(writes={"a.txt": "good"}, says=ended(1.0))
    house.given(ONE, owned=["a.txt"]).agent(ONE, [limited, good])
    house.auditor(ONE, [Move(act=verdict("accepted").act, says=ended(0.25))])
    places = []

    def once(number, name):
        places.append(name) if name == "git add_worktree:before" else None
        is_second = places == [name] * 2 and name == "git add_worktree:before"
        return GitError("fatal: input/output error") if is_second else None

    house.fuse.chooses = once
    house.until_quiet()

    assert house.states() == {ONE: "integrated"}
    assert len(places) >= 3


def test_without_anything_held_back_a_full_disk_ends_the_cycle_with_one_clear_error():
    house = SimHouse().given(ONE)
    house.cycle(work=False)
    fill_the_disk(house)

    with pytest.raises(StateError, match="no space left"):
        house.cycle(5)


def test_what_is_held_back_goes_before_git_meets_a_full_disk_and_that_is_told():
    house = SimHouse(ballast_mb=16)
    house.cycle()
    house.state_files.free = 15_000_000

    house.cycles(2)

    assert BALLAST not in house.state_files.files
    assert len(house.events("disk.ballast")) == 1


def test_nothing_is_held_back_where_there_is_hardly_room_or_nobody_wants_it():
    house = SimHouse(ballast_mb=16)
    house.state_files.free = 2_020_000_000
    house.cycle()
    assert BALLAST not in house.state_files.files

    house.state_files.free = 3_000_000_000
    house.cycle()
    assert BALLAST in house.state_files.files

    house.configure(ballast_mb=0).cycle()
    assert BALLAST not in house.state_files.files


def test_low_disk_lets_an_accepted_task_be_proved_and_settled():
    house = SimHouse(max_retries=0).given(ONE, owned=["a.txt"]).hold(ONE)
    house.cycle()
    house.colleague("b.txt", "hers")
    house.state_files.free = 1
    house.release(ONE)

    house.until_quiet()

    assert house.state(ONE) == "integrated"
    assert "a.txt" in house.target_files()


def test_a_second_cycle_while_the_lock_is_held_is_turned_away():
    house = SimHouse().given(ONE)
    holder = house.hold(ONE).locks

    def cycle_within(scene):
        with pytest.raises(BusyError, match="another cycle"):
            house.cycle()

    with holder.origin(_holder(house)):
        cycle_within(None)

    assert house.cycle().dispatched == (ONE,)


def _holder(house):
    from gluerun.records.origin import OriginHolder

    now = house.clock.now()
    return OriginHolder(owner="origin", run_id="ORIGIN-20260101T000000Z-1", pid=1, started_at=now, expires_at=now)


@pytest.mark.parametrize("torn", [b'{"answer":{', b"{", b"\xff"])
def test_a_run_whose_last_step_was_torn_does_that_step_again_and_no_other(torn):
    asked = []

    def tear(scene):
        scene.write("a.txt", "done")
        path = run_path(scene.run_id, "steps.ndjson")
        asked.append(house.state_files.read(path))
        house.state_files.write(path, asked[-1] + torn)

    house = SimHouse().given(ONE, owned=["a.txt"]).agent(ONE, [Move(act=tear)])

    house.until_quiet()

    assert (house.state(ONE), len(asked), len(house.prompts(ONE, Role.AUDITOR))) == ("integrated", 1, 1)
    lines = house.state_files.read(run_path(house.record(ONE).run_id, "steps.ndjson")).splitlines()
    assert [json.loads(line)["number"] for line in lines] == list(range(1, len(lines) + 1))


def test_a_child_whose_answer_is_gone_is_run_again():
    house = SimHouse().given(ONE, owned=["a.txt"]).agent(ONE, fixes("a.txt", "done"))
    real, lost = house.children.finished, []

    class Forgetful(SimChildren):
        def finished(self, run_id, name):
            if name.endswith("-worker") and name not in lost and real(run_id, name) is not None:
                lost.append(name)
                return None
            return real(run_id, name)

        def wait(self, run_id, child):
            return kept.wait(run_id, child)

    kept, house.children = house.children, Forgetful(lambda *_: None)

    house.until_quiet()

    assert (house.state(ONE), len(house.prompts(ONE)), house.record(ONE).tries) == ("integrated", 2, 1)


def test_a_journal_that_a_crash_tore_is_mended_and_its_chain_holds():
    house = SimHouse().given(ONE)
    house.cycle()
    house.state_files.append("events.ndjson", b'{"seq": 9, "ty')

    house.until_quiet()

    assert len(house.events("events.mended")) == 1
    assert broken_link(house.state_files) == ""


# --- what people write -----------------------------------------------------------------------------------


def test_an_unreadable_task_is_refused_once_with_its_reason():
    house = SimHouse().task_file(ONE, "# TASK-0001: No scope\n\nStatus: ready\n")

    reports = [house.cycle() for _ in range(3)]

    assert [report.refused_imports for report in reports][1:] == [(), ()]
    assert [event["message"] for event in house.events("packet.import_rejected")] == [
        "docs/orchestration/tasks/TASK-0001.md: no `Owned files:` list"
    ]


def test_a_refused_task_that_was_mended_is_admitted_and_then_the_house_is_quiet():
    house = SimHouse().task_file(ONE, "# TASK-0001: No scope\n")
    house.cycles(3)
    house.given(ONE)

    house.until_quiet()

    assert house.state(ONE) == "integrated"
    assert house.open().store.memory().refusals == {}


def test_a_refused_task_that_was_mended_in_place_is_admitted():
    whole = markdown(ONE)
    house = SimHouse().task_file(ONE, whole[: whole.index("## Scope")])
    house.cycles(3)
    house.work_files.append(f"docs/orchestration/tasks/{ONE}.md", whole[whole.index("## Scope") :].encode())

    house.until_quiet()

    assert house.state(ONE) == "integrated"


def test_an_edited_task_that_was_parked_is_ready_again_with_all_its_tries():
    house = SimHouse(max_retries=0).given(ONE, gate="old").gate(lambda tree: 1).cycles(3)
    house.given(ONE, gate="new").gate(lambda tree: 0)

    house.until_quiet()

    assert (house.state(ONE), house.record(ONE).tries) == ("integrated", 1)


def test_the_status_on_paper_never_reopens_a_task():
    house = SimHouse(max_retries=0).given(ONE).gate(lambda tree: 1).cycles(3)

    house.given(ONE, status="accepted").cycles(3)
    house.given(ONE, status="ready").cycles(3)

    assert house.state(ONE) == "parked"
    assert len(house.processes.started) == 1


def test_an_integrated_task_is_never_taken_in_again():
    house = SimHouse().given(ONE).until_quiet()

    house.given(ONE, title="Do it once more").cycles(3)

    assert len(house.processes.started) == 1


def test_a_dependency_that_nobody_knows_is_named():
    from gluerun.core.frontier import frontier
    from gluerun.loop.observe import observe

    house = SimHouse().given(ONE, depends_on=["TASK-0099"]).cycles(2)

    _, waits = frontier(observe(house.open(), "ORIGIN-20260101T000000Z-1").world, 5)

    assert [one.reason for one in waits] == ["depends on TASK-0099, which nobody knows"]


def test_a_broken_record_is_set_aside_and_the_rest_goes_on():
    house = SimHouse().given(ONE).given(TWO)
    house.cycle(work=False)
    house.state_files.write(f"tasks/live/{ONE}.json", b"{")

    house.until_quiet()

    assert house.state(TWO) == "integrated"
    assert house.state_files.read("aside/tasks__live__TASK-0001.json") == b"{"
    assert (house.state(ONE), house.record(ONE).epoch) == ("integrated", 1), "its published record came back"


# --- planners and nodes ----------------------------------------------------------------------------------


def proposals(*ids: str, node: str = "core") -> list[str]:
    """Return good proposals under temporary ids."""
    return [markdown(one, area="src", node=node, owned=[f"src/{one}.txt"]) for one in ids]


def test_a_planners_batch_is_admitted_whole_under_new_ids():
    house = SimHouse().graph("core").planner("core", [batch(*proposals("TASK-9001", "TASK-9002"))])

    house.cycles(3)

    assert set(house.states()) == {ONE, TWO}


def test_a_batch_with_one_bad_task_is_refused_whole():
    bad = markdown("TASK-9002", area="src", node="elsewhere")
    house = SimHouse().graph("core").planner("core", [batch(*proposals("TASK-9001"), bad)])

    house.cycles(3)

    assert house.states() == {}
    assert "batch refused" in house.events("origin.l1_import_rejected")[0]["message"]


def test_a_node_is_promoted_when_its_tasks_are_integrated():
    house = SimHouse().graph("core", {"id": "shell", "depends_on": ("core",)})
    house.planner("core", [batch(*proposals("TASK-9001"))])
    house.planner("shell", [batch()])

    house.cycles(12)

    assert house.node_file("core")["status"] == "passed"
    assert house.node_file("core")["evidence"][0]["taskIds"] == [ONE]
    assert house.node_file("shell") is None


def test_a_planner_that_vanishes_gives_its_node_back():
    house = SimHouse().graph("core")
    house.planner("core", [batch(*proposals("TASK-9001"))])
    house.cycle(work=False)
    house.processes.crash(house.processes.started[0])

    house.cycles(6, minutes=20)

    assert house.state(ONE) == "integrated"


def test_ids_are_never_used_again_even_if_the_cache_is_lost():  # A2
    house = SimHouse().graph("core").given(ONE).until_quiet()
    house.state_files.remove("cycle.json")
    house.planner("core", [batch(*proposals("TASK-9001"))])

    house.cycles(8)

    assert [event["message"] for event in house.events("planner.generated")] == [f"core: {TWO}"]


def test_a_node_is_promoted_even_if_the_cache_is_lost():
    house = SimHouse().graph("core").planner("core", [batch(*proposals("TASK-9001"))])
    while house.state(ONE) != "integrated":
        house.cycle()
        house.state_files.remove("cycle.json")

    house.cycles(4)

    assert house.node_file("core")["evidence"][0]["taskIds"] == [ONE]


def test_a_half_written_task_file_of_a_cut_verb_does_not_stay_in_the_work_tree():
    house = SimHouse().given(ONE)
    house.fuse.crash_at = frozenset([house.fuse.count + 1])
    with pytest.raises(SimCrash):
        house.work_files.create(f"{TASKS}/TASK-0002.md", b"# TASK-0002: Do it as well")
    assert [path for path in house.work_files.files if path.endswith(".tmp")]

    house.cycle()

    assert [path for path in house.work_files.files if path.endswith(".tmp")] == []
    assert [path for path in house.work_files.files if path.startswith(TASKS)] == [f"{TASKS}/{ONE}.md"]


def test_what_a_timer_prints_does_not_fill_the_disk():
    house = SimHouse().given(ONE)
    house.state_files.write(LOG, b"old\n" + b"x" * LOG_BYTES)

    house.cycle()

    assert (house.state_files.read(LOG), len(house.state_files.read(OLD_LOG))) == (b"", LOG_BYTES)
    house.state_files.append(LOG, b"more\n")
    house.cycle()
    assert house.state_files.read(LOG) == b"more\n"

"""Records on the target branch: in merge commits, and now and then in a commit of the engine's own."""

from __future__ import annotations

import json

import pytest

from gluerun.core.project_state import PAGE
from gluerun.core.recording import accepted_path, archived_path, asked_path, is_record, living_path
from gluerun.edge.approval_page import approval_page
from gluerun.edge.verifying import verify
from gluerun.records.config import ApprovalRule, ControlState, Integration
from gluerun.records.order import OrderVerb
from gluerun.records.task import ProofState
from gluerun.sim.files import SimFiles
from gluerun.testing import Move, SimHouse, batch

ONE, TWO, THREE, FOUR, FIVE = (f"TASK-000{number}" for number in range(1, 6))
HEAD = "refs/heads/main"
ROOT = "/sim"
EVIDENCE = ("packet.json", "gate-check.json", "audit.json")


def on_branch(**changes) -> SimHouse:
    """A house that publishes on its target branch."""
    return SimHouse(**{"control_state": ControlState.BRANCH, **changes})


def line(house: SimHouse) -> list[str]:
    """The commits of the target's first-parent line, the oldest first."""
    found, at = [], house.git.refs[HEAD]
    while at:
        found.insert(0, at)
        parents = house.git.commits[at].parents
        at = parents[0] if parents else ""
    return found


def own(house: SimHouse) -> list[str]:
    """The commits on that line that the engine made of records alone."""
    return [one for one in line(house) if house.git.commits[one].message.startswith("chore(orchestration): ")]


def merge_of(house: SimHouse, task: str) -> str:
    return house.record(task).merge_commit


def said(house: SimHouse, path: str, commit: str = HEAD) -> dict:
    return json.loads(house.files_at(commit)[path])


def records(house: SimHouse) -> list[str]:
    return [path for path in house.target_files() if is_record(path)]


def lose_state(house: SimHouse) -> None:
    """Take the whole state folder away."""
    house.state_files.__dict__.update(SimFiles(house.fuse.of("state")).__dict__)


# --- a landing ---------------------------------------------------------------------------------------------


def test_a_landing_brings_its_record_and_its_evidence_in_the_merge_commit_itself():
    house = on_branch().given(ONE, owned=["a.txt"]).until_quiet()

    files = house.files_at(merge_of(house, ONE))
    run = f"runs/{house.record(ONE).run_id}"
    record = json.loads(files[archived_path(ONE)])
    assert files["a.txt"]
    assert (record["status"], record["runId"]) == ("integrated", house.record(ONE).run_id)
    assert record["packetSha256"] == house.record(ONE).packet_sha256
    assert living_path(ONE) not in files
    for name in EVIDENCE:
        assert files[archived_path(ONE, name)] == house.state_files.files[f"{run}/{name}"].decode()
    assert house.git.checkout_dirty(ROOT) == ()


def test_two_landings_in_a_row_bring_each_its_own():
    house = on_branch().given(ONE).given(TWO).until_quiet()

    for task in (ONE, TWO):
        merge = house.git.commits[merge_of(house, task)]
        brought = [one.path for one in house.git.changes(merge.parents[0], merge_of(house, task))]
        assert archived_path(task) in brought
        assert all(task in path for path in brought)
    assert verify(house.open(), ()).is_whole


def test_the_receipt_of_a_worker_still_counts_for_the_candidate_with_its_records():
    # Measured before it was decided: with records in the tree that is compared, no receipt ever matches.
    house = on_branch().given(ONE).until_quiet()

    assert house.state(ONE) == "integrated"
    assert not house.events("integration.started")


def test_a_landing_waits_for_a_checkout_in_which_a_record_is_in_the_way_and_then_lands():
    house = on_branch().given(ONE, owned=["a.txt"])
    house.dirty(archived_path(ONE), "a person's own")
    house.cycles(3)

    assert house.state(ONE) == "waiting"
    assert house.git.worktrees[ROOT].files[archived_path(ONE)][1] == b"a person's own"
    house.git.delete(ROOT, archived_path(ONE))
    assert house.until_quiet().state(ONE) == "integrated"


def test_a_worker_that_writes_records_fails_also_where_the_folder_is_not_protected():
    house = on_branch(protect_orchestration=False, max_retries=0).given(ONE, owned=["a.txt", "docs"])
    house.agent(ONE, [Move(writes={"a.txt": "x", living_path(TWO): "{}"})]).until_quiet()

    assert house.state(ONE) == "parked"
    assert house.record(ONE).last_failure.failure_class == "scope-violation"


def test_records_that_an_agent_brings_along_by_merging_the_target_are_not_its_change():
    def merges(scene):
        there = house.target_files()
        for path in {*scene.tree(), *there}:
            if is_record(path) and path in there:
                scene.write(path, there[path])
            elif is_record(path):
                scene.delete(path)

    house = on_branch(control_commit_seconds=0, max_retries=0).given(TWO).hold(TWO).cycles(2)
    house.given(ONE, owned=["a.txt"]).agent(ONE, [Move(writes={"a.txt": "x"}, act=merges)])
    house.hold(ONE).cycle()
    house.release(TWO).cycles(3)  # one record is new on the target, another one is archived there
    house.release(ONE).until_quiet()

    assert house.state(ONE) == "integrated"
    brought = [one.path for one in house.git.changes(*house.git.commits[house.record(ONE).head_sha].parents,
                                                     house.record(ONE).head_sha)]  # fmt: skip
    assert brought == ["a.txt"]


def test_records_are_masked_on_their_way_out():
    key = "ghp_" + "a1B2c3D4e5" * 4
    house = on_branch(look_for_secrets=False).given(ONE, title=f"Use {key}").given(TWO, depends_on=[ONE]).hold(ONE)
    house.cycle()
    house.release(ONE).until_quiet()

    assert "Use [forge token removed]" in said(house, archived_path(ONE))["spec"]["title"]
    assert not any(key in text for commit in line(house) for text in house.files_at(commit).values())


# --- what changes without a landing -------------------------------------------------------------------------


def test_what_changes_without_a_landing_is_committed_at_most_once_in_an_interval():
    # The predecessor committed in every cycle that did anything, for its snapshot named time and run.
    house = on_branch(control_commit_seconds=600).given(ONE).hold(ONE)
    house.cycle()
    assert [said(house, living_path(ONE))["status"]] == ["ready"]
    for number in range(2, 6):
        house.given(f"TASK-000{number}", depends_on=[ONE]).cycle()
    assert len(own(house)) == 1

    house.cycles(9)

    assert len(own(house)) == 2
    assert [path for path in records(house) if "/live/" in path] == [living_path(f"TASK-000{n}") for n in range(1, 6)]
    assert "- ready: 5" in house.target_files()[PAGE]


def test_nothing_is_committed_while_nothing_means_anything_else():
    house = on_branch(control_commit_seconds=0).given(ONE, depends_on=[TWO]).given(TWO).hold(TWO).cycles(4)
    before = house.git.refs[HEAD]

    house.cycles(40)

    assert house.git.refs[HEAD] == before


def test_a_task_that_is_parked_or_cancelled_is_told_of_on_the_branch():
    house = on_branch(max_retries=0).given(ONE).given(TWO).hold(TWO).gate(lambda tree: 1).cycles(10)
    assert said(house, living_path(ONE))["status"] == "blocked"

    house.order(OrderVerb.CANCEL, ONE)
    house.cycles(6)

    assert said(house, archived_path(ONE))["status"] == "cancelled"
    assert living_path(ONE) not in house.target_files()
    assert living_path(TWO) in house.target_files()


def test_a_task_that_came_and_went_between_two_commits_is_told_of_all_the_same():
    house = on_branch(control_commit_seconds=3600).given(ONE).hold(ONE).cycles(2)
    house.given(TWO, depends_on=[ONE]).cycle()
    house.order(OrderVerb.CANCEL, TWO)
    house.cycles(3)
    assert archived_path(TWO) not in house.target_files()

    house.cycles(60)

    assert said(house, archived_path(TWO))["status"] == "cancelled"


def test_after_the_last_landing_the_page_and_the_receipts_follow_with_the_next_commit():
    house = on_branch().given(ONE, owned=["a.txt"])
    house.cycle()
    house.colleague("b.txt", "hers")  # it is proved by a run
    house.until_quiet()
    house.cycles(6)

    assert house.events("integration.started")
    assert "ready" not in house.target_files()[PAGE]
    assert said(house, archived_path(ONE))["mergeCommit"] == merge_of(house, ONE)
    assert archived_path(ONE, "candidate-gate-check.json") in house.target_files()
    lose_state(house)
    assert [one.evidence for one in verify(house.open(), ()).merged] == ["whole"]


def proving(**changes) -> SimHouse:
    """A house in which a task's candidate is about to be proved by a run, and another task is worked on."""
    house = on_branch(**changes).given(ONE, owned=["a.txt"]).given(TWO).hold(TWO)
    house.cycle()
    house.colleague("b.txt", "hers")
    house.cycle(work=False)
    assert house.record(ONE).proof.state is ProofState.PROVING
    return house


def test_a_proof_under_way_goes_on_when_records_move_the_target():
    house = proving(control_commit_seconds=60)
    before, count = house.record(ONE).proof, len(own(house))
    house.given(THREE, depends_on=[TWO])
    house.cycle(work=False)

    after = house.record(ONE).proof
    assert len(own(house)) == count + 1
    assert (after.run_id, after.slot, after.since) == (before.run_id, before.slot, before.since)
    assert (after.target_head, before.target_head) == (own(house)[-1], own(house)[-2])
    assert after.candidate != before.candidate

    house.let_work()
    house.cycles(2)
    assert house.state(ONE) == "integrated"
    assert merge_of(house, ONE) == after.candidate
    assert not house.events("integration.called_off")
    assert len(house.events("integration.started")) == 1
    assert verify(house.open(), ()).is_whole


def test_a_candidate_that_cannot_be_built_on_the_records_is_proved_again_once_it_can():
    house = proving(control_commit_seconds=60, integration=Integration(sign=True))
    house.given(THREE, depends_on=[TWO])
    house.git.signer_fails = "gpg: no secret key"
    for _ in range(2):
        house.cycle(work=False)
    assert len(house.events("integration.called_off")) == 1

    house.git.signer_fails = ""
    house.cycles(3)
    assert house.state(ONE) == "integrated"
    assert len(house.events("integration.started")) == 2


# --- the queue ----------------------------------------------------------------------------------------------


def chained(house: SimHouse) -> list[str]:
    """The tasks whose candidates stand one upon another, from the target's head on."""
    by_base = {one.proof.target_head: one for one in house.open().store.live_tasks()[0] if one.proof is not None}
    found, at = [], house.git.refs[HEAD]
    while at in by_base:
        found.append(by_base[at].task_id)
        at = by_base[at].proof.candidate
    return found


def busy(**changes) -> SimHouse:
    """A house with a chain of three, the first prefixes of which are being proved."""
    house = on_branch(**{"max_concurrent": 4, "max_dispatch": 4, "gate_slots": 2, **changes})
    house.given(ONE).given(TWO).given(THREE).given(FOUR).hold(FOUR)
    house.cycle()
    house.colleague("b.txt", "hers")  # what the workers were told of is not what lands
    house.cycle(work=False)
    assert chained(house) == [ONE, TWO, THREE]
    return house


def test_a_batch_lands_by_one_move_and_each_merge_brings_the_records_of_its_own_task():
    house = busy()
    before = house.git.refs[HEAD]
    house.cycles(3)

    merges = [merge_of(house, task) for task in (ONE, TWO, THREE)]
    assert len(house.events("integration.started")) == 2  # a batch indeed: not one gate for each
    assert [house.git.commits[one].parents[0] for one in merges] == [before, *merges[:2]]
    for task, merge in zip((ONE, TWO, THREE), merges, strict=True):
        brought = {one.path for one in house.git.changes(house.git.commits[merge].parents[0], merge)}
        assert {f"src/{task}.txt", archived_path(task), living_path(task)} & brought
        assert all(task in path for path in brought)
        assert said(house, archived_path(task), merge)["status"] == "integrated"
        assert living_path(task) not in house.files_at(merge)
    house.release(FOUR).until_quiet()
    house.cycles(12)
    for task in (ONE, TWO, THREE, FOUR):
        assert said(house, archived_path(task))["mergeCommit"] == merge_of(house, task)
    assert not [path for path in records(house) if "/live/" in path]
    assert verify(house.open(), ()).is_whole


def test_a_busy_queue_stands_on_the_records_and_loses_no_gate():
    house = busy(control_commit_seconds=600)
    house.given(FIVE, depends_on=[FOUR])
    proofs = {task: house.record(task).proof for task in (ONE, TWO, THREE)}
    for _ in range(12):
        house.cycle(work=False)

    assert len(own(house)) == 2
    assert living_path(FIVE) in house.target_files()
    assert chained(house) == [ONE, TWO, THREE]
    for task, before in proofs.items():
        after = house.record(task).proof
        assert (after.state, after.run_id, after.slot) == (before.state, before.run_id, before.slot)
    house.cycles(4)
    assert {house.state(task) for task in proofs} == {"integrated"}
    assert not house.events("integration.called_off")
    assert len(house.events("integration.started")) == 2
    assert verify(house.open(), ()).is_whole


def test_no_number_of_landings_keeps_records_from_the_branch_for_ever():
    house = on_branch(control_commit_seconds=300, gate_timeout_sec=300, max_concurrent=3, max_dispatch=3, gate_slots=2)
    waits = "TASK-0900"
    house.given(FOUR).hold(FOUR).cycle()
    house.given(waits, depends_on=[FOUR])
    for number in range(10, 40):
        house.given(f"TASK-{number:04d}")
        house.cycle()
        if living_path(waits) in house.target_files():
            break

    assert number < 25
    assert len(house.events("integration.integrated")) > 3


def test_records_wait_for_a_dirty_checkout_say_so_once_and_hold_nobody_up():
    house = on_branch(control_commit_seconds=60).given(ONE, depends_on=[TWO]).given(TWO).hold(TWO)
    house.dirty(living_path(ONE), "a person's own")
    house.cycles(6)
    assert own(house) == []
    assert len(house.events("origin.control_state_deferred")) == 1
    assert house.git.worktrees[ROOT].files[living_path(ONE)][1] == b"a person's own"

    house.release(TWO).cycles(2)
    assert house.state(TWO) == "integrated"
    house.git.delete(ROOT, living_path(ONE))
    house.until_quiet()
    assert house.states() == {ONE: "integrated", TWO: "integrated"}


def test_the_page_that_a_person_is_writing_does_not_hold_up_the_records():
    house = on_branch(control_commit_seconds=60).given(ONE).hold(ONE)
    house.colleague(PAGE, "Ours.\n").dirty(PAGE, "Ours, and better.\n").cycles(3)
    assert said(house, living_path(ONE))["status"] == "ready"
    assert house.target_files()[PAGE] == "Ours.\n"
    assert house.git.worktrees[ROOT].files[PAGE][1] == b"Ours, and better.\n"

    house.git.commit(ROOT, "better")
    house.cycles(3)

    assert house.target_files()[PAGE].startswith("Ours, and better.\n")
    assert "- ready: 1" in house.target_files()[PAGE]


def test_records_that_the_target_overtakes_are_put_on_the_newer_one():
    house = on_branch(control_commit_seconds=0).given(ONE).hold(ONE)
    house.fuse.once("git commit_over:after", lambda: house.colleague("b.txt", "hers, at the last moment"))
    house.cycles(3)

    assert house.target_files()["b.txt"] == "hers, at the last moment"
    assert said(house, living_path(ONE))["status"] == "ready"


def test_a_clock_that_is_set_back_does_not_silence_the_records():
    house = on_branch(control_commit_seconds=600).given(ONE, depends_on=[TWO]).given(TWO).hold(TWO).cycles(3)
    house.clock.tick(hours=-400 * 24)
    house.given(THREE, depends_on=[TWO]).cycles(14)

    assert living_path(THREE) in house.target_files()


# --- the engine does not take its own records for news ---------------------------------------------------------


def test_a_planner_that_had_nothing_to_propose_is_not_asked_again_because_of_records():
    house = on_branch(control_commit_seconds=60, max_retries=0).graph("core").planner("core", [batch()])
    house.given(ONE).gate(lambda tree: 1).cycles(12)
    assert len(house.events("planner.no_tasks")) == 1
    commits = len(own(house))
    house.order(OrderVerb.REPRIORITIZE, ONE, {"priority": 3})
    house.cycles(8)

    assert len(own(house)) > commits
    assert len(house.events("l1.dispatch_started")) == 1


def test_an_approved_landing_stays_approved_when_records_move_the_target():
    house = on_branch(control_commit_seconds=60).given(ONE, owned=["a.txt"], approval="always").given(TWO).hold(TWO)
    house.cycles(4)
    request = house.open().store.approvals()[0][0]
    house.given(THREE, depends_on=[TWO]).cycles(6)
    assert len(own(house)) > 1
    page = next(one for one in approval_page(house.open(), request).sections if one.title == "The difference")
    assert "a/a.txt" in page.text
    assert "docs/orchestration" not in page.text

    house.order(OrderVerb.APPROVE, ONE, {"request": request.id})
    house.cycles(3)

    assert house.state(ONE) == "integrated"
    assert len(house.open().store.approvals()[0] + house.open().store.settled_approvals()) == 1


def test_the_records_that_a_landing_brings_are_no_risk_of_its_task():
    house = on_branch(approval=ApprovalRule.RISK, risk_paths=("docs/",)).given(ONE, owned=["a.txt"]).cycles(4)

    assert house.state(ONE) == "integrated"
    assert not house.events("approval.asked")


def test_records_are_pushed_where_the_target_is():
    house = on_branch(push=True).given(ONE).hold(ONE)
    house.git.remote = {}
    house.cycle()

    assert house.git.remote["main"] == house.git.refs[HEAD] == own(house)[-1]


# --- and back --------------------------------------------------------------------------------------------------


def test_a_lost_state_folder_comes_back_from_the_branch():
    house = on_branch(control_commit_seconds=60, max_retries=0).given(ONE, owned=["a.txt"]).given(TWO)
    house.gate(lambda tree: int(f"src/{TWO}.txt" in tree)).cycles(6)
    house.cycles(3)
    before = {task: house.record(task) for task in (ONE, TWO)}
    head = house.git.refs[HEAD]
    assert house.state(TWO) == "parked"

    lose_state(house)
    house.cycle()

    assert {task: house.record(task).status for task in before} == {task: one.status for task, one in before.items()}
    assert house.record(ONE).merge_commit == before[ONE].merge_commit
    assert house.record(TWO).last_failure == before[TWO].last_failure
    assert house.record(TWO).epoch == before[TWO].epoch
    house.cycles(4)
    assert house.git.refs[HEAD] == head
    assert "main" in house.events("state.rebuilt")[0]["message"]


def test_requests_for_approval_come_back_from_the_branch_and_their_numbers_are_never_given_twice():
    house = on_branch(control_commit_seconds=60).given(ONE, owned=["a.txt"], approval="always").cycles(6)
    request = house.open().store.approvals()[0][0]
    assert said(house, asked_path(request.id))["state"] == "waiting"
    assert accepted_path(ONE, "audit.json") in house.target_files()
    commits = len(own(house))
    house.cycles(20)
    assert len(own(house)) == commits  # a question that waits is no news

    lose_state(house)
    house.cycles(3)

    assert [one.id for one in house.open().store.approvals()[0]] == [request.id]
    house.order(OrderVerb.APPROVE, ONE, {"request": request.id})
    house.cycles(6)
    assert house.state(ONE) == "integrated"
    assert said(house, asked_path(request.id))["state"] == "approved"
    assert not [path for path in records(house) if "/accepted/" in path]
    assert verify(house.open(), ()).is_whole
    lose_state(house)
    house.given(TWO, approval="always").cycles(6)
    assert [one.id for one in house.open().store.approvals()[0]] == ["APR-0002"]


def test_a_broken_record_is_put_back_from_the_branch():
    house = on_branch(max_retries=0).given(ONE).gate(lambda tree: 1).cycles(12)
    assert said(house, living_path(ONE))["status"] == "blocked"
    epoch = house.record(ONE).epoch

    house.state_files.write(f"tasks/live/{ONE}.json", b"{")
    house.cycles(2)

    assert (house.state(ONE), house.record(ONE).epoch) == ("parked", epoch)


def test_a_file_of_somebody_else_among_the_records_is_left_alone():
    path = "docs/orchestration/live/README.md"
    house = on_branch(control_commit_seconds=0).colleague(path, "mine").given(ONE).until_quiet()

    assert house.target_files()[path] == "mine"
    lose_state(house)
    assert house.until_quiet().state(ONE) == "integrated"


@pytest.mark.parametrize("other", [ControlState.REF, ControlState.OFF])
def test_who_changes_his_mind_finds_everything_in_the_new_place(other):
    house = SimHouse(control_state=other, max_retries=0).given(ONE).given(TWO, depends_on=[ONE]).hold(ONE).cycles(3)

    house.configure(control_state=ControlState.BRANCH).cycles(2)

    assert {living_path(ONE), living_path(TWO)} <= house.target_files().keys()
    house.given(THREE, depends_on=[ONE]).cycles(12)
    assert living_path(THREE) in house.target_files()
    house.configure(control_state=ControlState.REF).cycles(1)
    assert {f"tasks/0{at}/TASK-000{at}.json" for at in (1, 2, 3)} <= house.files_at("refs/gluerun/control").keys()
    assert verify(house.release(ONE).until_quiet().open(), ()).is_whole

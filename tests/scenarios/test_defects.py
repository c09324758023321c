"""Stories about defects of the predecessor that no other story tells: what must not happen here."""

from __future__ import annotations

import pytest

from gluerun.edge.graphs import graph
from gluerun.edge.views import board
from gluerun.loop.journal import SEALED
from gluerun.loop.store import CIRCUIT
from gluerun.records.dispatch import Role
from gluerun.records.order import OrderVerb
from gluerun.records.task import ProofState
from gluerun.testing import Move, SimHouse, ended, speaker, verdict

ONE, TWO = "TASK-0001", "TASK-0002"
GOOD = Move(writes={"a.txt": "good"})


def one_task(*moves, **config):
    return SimHouse(**config).given(ONE, owned=["a.txt"]).agent(ONE, list(moves) or [GOOD])


def gates_run(house):
    return [child.name for _, child in house.children.waited if child.name.endswith("-gate")]


def test_a_try_that_repeats_the_content_of_the_one_before_is_not_called_no_change():  # A9
    house = one_task(GOOD, GOOD).auditor(ONE, [verdict("needs-fix", requiredFixes=["say why"]), verdict("accepted")])
    house.until_quiet()

    assert (house.state(ONE), house.record(ONE).tries) == ("integrated", 2)


def test_words_of_an_older_engine_in_a_prompt_of_the_repository_stop_nobody():  # A10
    house = one_task()
    old = 'Answer as "schema": "pmgo.orchestration.state-packet.v0".\n'
    house.colleague("docs/orchestration/prompts/l2-test-first-developer.md", old)

    assert house.until_quiet().state(ONE) == "integrated"
    assert old in house.prompts(ONE)[0]


def test_what_nobody_owns_any_more_is_not_told_cycle_after_cycle():  # A16
    house = one_task().until_quiet()
    for number in range(5):
        house.git.refs[f"refs/heads/agent/src/TASK-090{number}-old"] = house.git.head("main")
    house.cycle(30)
    before = len(house.events())

    house.cycles(20, minutes=30)

    assert len(house.events()) == before


def test_a_green_gate_needs_no_side_file_and_no_word_of_its_agent():  # A20, FR-016
    house = one_task(Move(writes={"a.txt": "good"}, says="\n")).gate(lambda tree: (0, ""))

    assert house.until_quiet().state(ONE) == "integrated"


def test_no_word_that_an_agent_claims_to_have_run_is_ever_run():  # A42
    prose = "first I ran make check; rm -rf / && echo done"
    house = one_task(Move(writes={"a.txt": "good"}, answer={"commands": [{"cmd": prose, "exitCode": 0}]}))

    assert house.until_quiet().state(ONE) == "integrated"
    assert [child.argv for _, child in house.children.waited if any("rm -rf" in word for word in child.argv)] == []


def test_an_interpreter_that_crashes_at_random_is_one_red_gate_and_not_the_end():  # A48
    codes = iter([139, 0])
    house = one_task(GOOD, Move(writes={"a.txt": "better"})).gate(lambda tree: next(codes, 0))

    assert house.until_quiet().state(ONE) == "integrated"


def test_gates_of_nodes_that_no_graph_has_are_not_counted():  # A43, FR-001, FR-002
    house = SimHouse().graph("core").given(ONE, owned=["a.txt"], node="core", area="src").until_quiet()
    record = house.work_files.read("docs/orchestration/gates/core.gate-result.json")
    house.work_files.write("docs/orchestration/gates/old.gate-result.json", record.replace(b'"core"', b'"old"'))
    house.cycle()

    assert [(one.id, one.state) for one in graph(house.open()).nodes] == [("core", "passed")]


def test_what_is_integrated_is_neither_proved_again_nor_told_again():  # FR-010
    house = SimHouse()
    for number in range(1, 9):
        house.given(f"TASK-{number:04d}")
    house.until_quiet()
    events, children = len(house.events()), len(house.children.waited)

    house.cycles(10)

    assert (len(house.events()), len(house.children.waited)) == (events, children)


def test_who_was_started_in_a_cycle_runs_in_that_very_cycle():  # FR-011
    report = one_task().cycle(work=False)

    assert (report.dispatched, report.running) == ((ONE,), 1)


def test_a_gate_that_was_green_on_a_tree_is_not_run_on_that_tree_again():  # FR-012, FR-039
    house = one_task().until_quiet()

    assert house.state(ONE) == "integrated"
    assert len(gates_run(house)) == 1


def test_what_is_accepted_is_not_reversed_by_what_it_turns_out_to_have_cost():  # FR-015
    roles = {Role.WORKER.value: "agent", Role.AUDITOR.value: "judge"}
    runners = {"agent": speaker(provider="one"), "judge": speaker("judge", provider="two")}
    house = one_task(Move(writes={"a.txt": "good"}, says=ended(50.0, tokens=9_000_000)), runners=runners, roles=roles)

    assert house.until_quiet().state(ONE) == "integrated"
    assert house.record(ONE).spent.usd == pytest.approx(50.0)


def test_a_lease_never_keeps_the_name_of_the_run_before():  # FR-022
    house = one_task().hold(ONE)
    house.cycle()
    first = house.lease(ONE).run_id
    house.crash(ONE)
    house.cycles(2)

    assert house.lease(ONE).run_id == house.record(ONE).run_id != first


def test_what_was_accepted_can_be_taken_back_until_it_lands():  # FR-031
    house = one_task(auto_integrate=False).until_quiet()
    assert house.state(ONE) == "accepted"

    house.order(OrderVerb.CANCEL, ONE, reason="we do not want it")
    house.configure(auto_integrate=True).until_quiet()

    assert house.state(ONE) == "cancelled"
    assert "a.txt" not in house.target_files()


def test_a_parked_task_can_be_begun_anew_under_stop_and_its_old_place_is_in_nobodys_way():  # FR-047
    house = one_task(Move(writes={"a.txt": "bad"}), GOOD, max_retries=0)
    house.gate(lambda tree: int(tree.get("a.txt") == "bad")).until_quiet()
    assert house.state(ONE) == "parked"

    house.stop()
    house.order(OrderVerb.RETRY, ONE, reason="again")
    assert house.cycles(2).state(ONE) == "ready"

    assert house.resume().until_quiet().state(ONE) == "integrated"


def test_a_stop_is_neither_a_success_nor_a_failure():  # C13
    house = one_task(Move(exit_code=1), GOOD, max_consec_fails=9).hold(ONE)
    house.cycle()
    house.crash(ONE)
    house.cycle(work=False)
    before = house.state_files.read(CIRCUIT)

    house.stop().cycles(3)

    assert house.state_files.read(CIRCUIT) == before is not None


def test_a_branch_that_stands_there_already_is_not_worked_on_as_it_is():  # C22
    house = one_task()
    house.cycle(work=False)
    branch = house.record(ONE).spec.worker_branch
    house = one_task()
    house.git.publish(f"refs/heads/{branch}", {"a.txt": b"stale", "b.txt": b"stale"}, "somebody's old work")
    house.colleague("c.txt", "newer")
    house.until_quiet()

    there = house.target_files()
    assert (house.state(ONE), there["a.txt"], "b.txt" in there) == ("integrated", "good", False)


def test_a_candidate_is_proved_by_the_gate_of_its_own_task():  # C23
    house = SimHouse().given(ONE, owned=["a.txt"], gate="own-gate").agent(ONE, [GOOD]).hold(ONE)
    house.cycle()
    house.colleague("b.txt", "hers").release(ONE).until_quiet()
    proofs = [child for _, child in house.children.waited if child.name.endswith("-gate")]

    assert house.state(ONE) == "integrated"
    assert len(proofs) == 2
    assert all(any("own-gate" in word for word in child.argv) for child in proofs)


def test_what_is_accepted_without_an_audit_is_integrated_like_all_else():  # C29
    house = SimHouse(require_audit=False, roles={Role.WORKER.value: "agent"}).given(ONE).until_quiet()

    assert house.state(ONE) == "integrated"
    assert house.prompts(ONE, Role.AUDITOR) == []


def test_recovery_needs_no_folder_that_a_crash_took_away():  # FR-021
    house = one_task().hold(ONE)
    house.cycle()
    house.crash(ONE)
    for place in [place for place in house.git.worktrees if place.endswith(ONE)]:
        house.git.worktrees.pop(place)

    assert house.release(ONE).until_quiet().state(ONE) == "integrated"


def test_a_proof_that_takes_long_keeps_no_cycle_and_nobody_else_waiting():  # FR-024
    house = one_task()
    house.cycle()
    house.colleague("b.txt", "hers")
    house.cycle(work=False)
    house.given(TWO)
    report = house.cycle(25, work=False)

    assert house.record(ONE).proof.state is ProofState.PROVING
    assert report.dispatched == (TWO,)
    assert [(one.id, one.phase) for one in board(house.open()).tasks if one.id == ONE] == [(ONE, "proving")]


class Unread:
    """A storage door that does not let anybody read what was sealed."""

    def __init__(self, files):
        self._files = files

    def __getattr__(self, name):
        return getattr(self._files, name)

    def read(self, path):
        """Read anything but a sealed journal."""
        assert not path.startswith(f"{SEALED}/"), path
        return self._files.read(path)


def test_the_journal_is_not_read_from_its_beginning_to_tell_the_state():  # C27
    house = one_task(journal_file_bytes=900).until_quiet()
    assert house.state_files.names(SEALED)
    house.state_files = Unread(house.state_files)

    assert board(house.open()).tasks == ()
    house.given(TWO).cycle(work=False)
    assert house.state(TWO) == "running"


def test_what_is_integrated_leaves_no_work_tree_no_lease_and_no_branch():  # C28
    house = one_task().until_quiet()

    assert [place for place in house.git.worktrees if ".worktrees" in place] == []
    assert house.state_files.names("leases") == []
    assert [ref for ref in house.git.refs if "/agent/" in ref] == []

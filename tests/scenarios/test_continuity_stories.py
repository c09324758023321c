"""Stories about what one try hands to the next: a session saves reading, and never changes what comes of a task."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.records.documents import examples

from gluerun.loop.journal import broken_link
from gluerun.records.capsule import ImplementerCapsule, ReviewerCapsule
from gluerun.records.child import How
from gluerun.records.config import Independence
from gluerun.records.dispatch import Role, Seat
from gluerun.records.record import replace
from gluerun.records.schema import load
from gluerun.testing import Move, SimHouse, decision, run_files, verdict

ONE = "TASK-0001"
GOOD, BAD = "good", "bad"
SMALL = Seat(runner="agent", provider="somebody", model="small", session="w-1")
LARGE = Seat(runner="agent", provider="another", model="large", session="a-1")


def writes(text: str, **more: object) -> Move:
    return Move(writes={"a.txt": text}, **more)  # type: ignore[arg-type]


def house_of(moves: list[Move], **config: object) -> SimHouse:
    house = SimHouse(**config).given(ONE, owned=["a.txt"]).agent(ONE, moves)
    return house.gate(lambda tree: (1, "expected good") if tree.get("a.txt") != GOOD else 0)


def run_of(house: SimHouse) -> str:
    task = house.record(ONE)
    assert task is not None
    return task.run_id or house.events("origin.dispatch")[-1]["data"]["run"]


def sessions_told(house: SimHouse) -> list[object]:
    """What the journal says of the sessions of each run that was taken in."""
    kinds = ("packet.imported", "run.settled", "task.parked")
    return [one["data"]["sessions"] for one in house.events() if one["type"] in kinds and "sessions" in one["data"]]


def worker_sessions(house: SimHouse) -> list[str]:
    """The sessions that starts of agents were to go on with, without those that were fresh."""
    return [session for session in house.resumed.values() if session]


def test_a_second_try_goes_on_with_the_session_of_the_first_and_the_journal_tells():
    house = house_of([writes(BAD, session="s-1"), writes(GOOD, session="s-1")]).until_quiet()

    assert house.state(ONE) == "integrated"
    assert worker_sessions(house) == ["s-1"]
    assert sessions_told(house) == [{"1": "fresh no-session", "2": "resume s-1"}]
    assert broken_link(house.state_files) == ""


def test_a_refused_session_begins_the_same_try_again_without_it():
    house = house_of([writes(BAD, session="s-1"), writes(GOOD, session="s-2", refuses=True)], worker_infra_max=0)

    house.until_quiet()

    assert house.state(ONE) == "integrated"
    assert sessions_told(house) == [{"1": "fresh no-session", "2": "fresh refused"}]
    assert len(house.prompts(ONE)) == 3
    assert house.prompts(ONE)[1] == house.prompts(ONE)[2]


def test_a_task_that_is_parked_tells_of_its_sessions_too():
    house = house_of([writes(BAD, session="s-1"), writes("worse", session="s-1")], max_retries=1).until_quiet()

    assert house.state(ONE) == "parked"
    assert sessions_told(house) == [{"1": "fresh no-session", "2": "resume s-1"}]


def test_a_run_whose_index_is_broken_is_taken_in_all_the_same():
    house = house_of([writes(GOOD, session="s-1")])
    house.cycle()
    house.state_files.write(f"runs/{run_of(house)}/attempts/index.json", b"{", durable=False)

    house.until_quiet()

    assert house.state(ONE) == "integrated"
    assert sessions_told(house) == []


def test_a_worker_that_vanished_does_not_lend_its_session_to_the_next_run():
    house = house_of([writes(BAD, session="s-1"), writes(GOOD, session="s-2")])
    house.cycle(work=False)

    house.crash(ONE).until_quiet()

    assert house.state(ONE) == "integrated"
    assert worker_sessions(house) == []
    assert sessions_told(house) == [{"2": "fresh no-session"}]


# --- sessions change nothing -----------------------------------------------------------------------------

SESSIONS = st.sampled_from(["", "s-1", "s-2", "unknown", "--bad id"])
MOVES = st.lists(
    st.builds(
        Move,
        writes=st.sampled_from(
            [{}, {"a.txt": GOOD}, {"a.txt": BAD}, {"a.txt": "worse"}, {"b.txt": "outside"}, {"a.txt": "half"}]
        ),
        answer=st.sampled_from([None, {"summary": "did it"}, {"foo": 1}]),
        session=SESSIONS,
        refuses=st.booleans(),
        how=st.sampled_from([How.EXITED, How.EXITED, How.EXITED, How.TIMED_OUT]),
    ),
    min_size=1,
    max_size=6,
)
AUDITS = st.lists(
    st.sampled_from([verdict("accepted"), verdict("needs-fix", findings=["no test"]), verdict("blocked")]),
    min_size=1,
    max_size=3,
)
DECISIONS = st.lists(st.sampled_from([decision("retry"), decision("cancel")]), min_size=1, max_size=3)


def outcome(moves: list[Move], audits: list[Move], decisions: list[Move], *, affinity: bool) -> dict[str, object]:
    """What came of a task, in words that do not name runs or sessions."""
    house = house_of(moves, session_affinity=affinity).auditor(ONE, audits).decider(ONE, decisions)
    house.until_quiet()
    task = house.record(ONE)
    assert task is not None
    tries = []
    for run_id in sorted(house.processes.started):
        data = house.state_files.read(f"runs/{run_id}/attempts/index.json")
        tries += json.loads(data)["attempts"] if data else []
    told = ("n", "failureClass", "reason", "auditVerdict", "diffSha256", "deciderAction", "deciderAuthority")
    return {
        "state": house.state(ONE),
        "tries": [{name: one.get(name) for name in told} for one in tries],
        "spent": task.tries,
        "files": house.target_files(),
        "scope": task.owned,
        "told": list(dict.fromkeys(house.prompts(ONE))),
    }


@examples(40)
@given(MOVES, AUDITS, DECISIONS)
def test_switching_sessions_off_changes_nothing_but_which_are_gone_on_with(moves, audits, decisions):
    assert outcome(moves, audits, decisions, affinity=True) == outcome(moves, audits, decisions, affinity=False)


def test_the_comparison_above_is_of_different_things():
    moves = [writes(BAD, session="s-1"), writes(GOOD, session="s-1", refuses=True)]
    on, off = house_of(moves).until_quiet(), house_of(moves, session_affinity=False).until_quiet()

    assert (worker_sessions(on), worker_sessions(off)) == (["s-1"], [])
    assert sessions_told(off) == [{"1": "fresh disabled", "2": "fresh disabled"}]


# --- the archive and the second audit --------------------------------------------------------------------


def test_what_each_try_leaves_in_its_folder():  # A51
    house = house_of([writes(BAD, session="s-1"), writes(GOOD, answer={"summary": "did it"}, session="s-1")])
    house.until_quiet()
    run_id = run_of(house)
    one, two = (run_files(house, run_id, f"attempts/{number}") for number in (1, 2))

    kinds = lambda names: {name.split("-", 1)[1] if name[:3].isdigit() else name for name in names}  # noqa: E731
    assert kinds(one) >= {"worker-prompt.md", "gate.log", "failure.txt", "implementer-capsule.json", "session.json"}
    assert kinds(two) >= {"worker-prompt.md", "auditor-prompt.md", "gate.log", "implementer-capsule.json",
                          "reviewer-capsule.json", "audit.json", "session.json"}  # fmt: skip
    folder = f"runs/{run_id}"
    assert house.state_files.read(f"{folder}/attempts/1/failure.txt") == b"gate-red: the gate ended with 1\n"
    for cls, name in ((ImplementerCapsule, "implementer-capsule.json"), (ReviewerCapsule, "reviewer-capsule.json")):
        latest = house.state_files.read(f"{folder}/{name}")
        assert latest == house.state_files.read(f"{folder}/attempts/2/{name}")
        assert load(cls, latest or b"").attempt == 2


def test_a_second_audit_sees_the_difference_since_the_first_and_the_whole():
    house = SimHouse().given(ONE, owned=["a.txt"]).agent(ONE, [writes("one\n"), writes("two\n")])
    house.auditor(ONE, [verdict("needs-fix", findings=["say two"]), verdict("accepted")]).until_quiet()
    first, second = house.prompts(ONE, Role.AUDITOR)

    assert house.state(ONE) == "integrated"
    assert "Difference since" not in first
    since, whole = second.split("## Difference since the audit before ")[1].split("\n\n## Difference ")
    assert ("-one" in since, "+two" in since) == (True, True)
    assert ("-one" in whole, "+two" in whole) == (False, True)
    assert house.prompts(ONE)[1].count("say two") >= 1


def test_an_audited_commit_that_is_gone_means_a_full_review():
    house = SimHouse().given(ONE, owned=["a.txt"]).agent(ONE, [writes("one\n"), writes("two\n")])
    house.gate(lambda tree: forget(house) if tree["a.txt"] == "two\n" else 0)
    house.auditor(ONE, [verdict("needs-fix", findings=["say two"]), verdict("accepted")]).until_quiet()

    assert house.state(ONE) == "integrated"
    assert "do a full review" in house.prompts(ONE, Role.AUDITOR)[1]


def forget(house: SimHouse) -> int:
    """Let git lose the commit that only the audit before knows; a green gate."""
    data = house.state_files.read(f"runs/{run_of(house)}/reviewer-capsule.json")
    house.git.commits.pop(json.loads(data or b"{}")["auditedHeadSha"], None)
    return 0


# --- independence ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("independence", "auditor", "state"),
    [
        (Independence.MODEL, LARGE, "integrated"),
        (Independence.PROVIDER, LARGE, "integrated"),
        (Independence.MODEL, replace(LARGE, model="small"), "parked"),
        (Independence.SESSION, replace(LARGE, session="w-1"), "parked"),
        (Independence.PROVIDER, replace(LARGE, provider="unknown"), "parked"),
    ],
)
def test_who_judges_must_sit_far_enough_away(independence, auditor, state):
    house = house_of([writes(GOOD, seat=SMALL)], independence=independence)
    house.auditor(ONE, [replace(verdict("accepted"), seat=auditor)]).until_quiet()

    assert house.state(ONE) == state
    assert len(house.prompts(ONE, Role.AUDITOR)) == 1
    packet = house.open().store.document(run_of(house), "packet.json")
    if state == "integrated":
        refs = [one["ref"] for one in packet["evidence"] if one["kind"] == "seat"]
        assert refs[0] == "worker agent somebody/small session w-1 version unknown"
    else:
        assert packet is None
        assert f"independence is set to {independence}" in house.events("task.parked")[0]["message"]

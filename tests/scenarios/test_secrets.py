"""Secrets do not get out: every way on which an agent, a person or a program could let one leave is closed."""

from __future__ import annotations

import json

import pytest

from gluerun.records.dispatch import Role
from gluerun.testing import Move, SimHouse, decision, verdict

ONE = "TASK-0001"
KEY = "AKIA" + "ABCDEFGHIJKLMNOP"
TOKEN = "gh" + "p_" + "Ab1Cd2Ef3" * 4
REMOVED = "[cloud access key removed]"


def everywhere(house: SimHouse) -> str:
    """Return all that a house keeps or has let out, but the agents' own files in their work trees."""
    published = [house.git.published(ref) for ref in house.git.refs]
    state = {path: data for path, data in house.state_files.files.items() if not path.endswith(".log")}
    return str([published, state, house.git.remote, house.git.commits, house.events()])


@pytest.mark.parametrize(
    "claim",
    [
        {"summary": f"I used {KEY}.", "nextAction": f"tell {KEY}"},
        {"commands": [{"cmd": f"curl -H {KEY}", "exitCode": 0, "rationale": KEY}]},
        {"summary": KEY, "evidence": []},
        {"blockers": [{"reason": f"{KEY} is refused"}], "evidence": [{"kind": "log", "ref": KEY}]},
    ],
)
def test_what_a_worker_claims_is_masked_before_it_is_kept(claim):
    house = SimHouse().given(ONE, owned=["a.txt"]).agent(ONE, [Move(writes={"a.txt": "1"}, says=json.dumps(claim))])

    house.until_quiet()

    assert house.state(ONE) == "integrated"
    assert KEY not in everywhere(house)
    assert REMOVED in everywhere(house)
    assert KEY not in str(house.prompts(ONE, Role.AUDITOR))


def test_what_an_auditor_and_a_decider_say_is_masked_for_the_next_try():
    house = (
        SimHouse().given(ONE, owned=["a.txt"]).agent(ONE, [Move(writes={"a.txt": "1"}), Move(writes={"a.txt": "2"})])
    )
    house.auditor(ONE, [verdict("needs-fix", requiredFixes=[f"Take {KEY} out."], rationale=KEY), verdict("accepted")])

    house.until_quiet()

    assert house.state(ONE) == "integrated"
    assert f"Take {REMOVED} out." in house.prompts(ONE)[1]
    assert KEY not in everywhere(house) + str(house.prompts(ONE))


def test_the_advice_of_a_decider_is_masked():
    moves = [Move(writes={"a.txt": f"key = {TOKEN}\n"}), Move(writes={"a.txt": "key = from the environment\n"})]
    house = SimHouse().given(ONE, owned=["a.txt"]).agent(ONE, moves)
    house.decider(ONE, [decision("retry", rationale=f"instead of {KEY}")])

    house.until_quiet()

    assert house.state(ONE) == "integrated"
    assert KEY not in everywhere(house) + str(house.prompts(ONE))
    assert TOKEN not in everywhere(house) + str(house.prompts(ONE))


def test_the_log_of_a_failed_agent_reaches_the_next_try_without_its_secrets():
    said = f"cannot sign in with {KEY}"
    house = SimHouse(worker_infra_max=0).given(ONE, owned=["a.txt"])
    house.agent(ONE, [Move(exit_code=1, says=said), Move(exit_code=1, says=said), Move(writes={"a.txt": "1"})])

    house.cycles(8)

    assert KEY not in everywhere(house) + str(house.prompts(ONE))


def test_a_task_file_with_a_secret_is_refused_until_it_is_taken_out():
    house = SimHouse().given(ONE, owned=["a.txt"], title=f"Call the service with {KEY}.")

    report = house.cycle()

    (path,) = report.refused_imports
    assert house.state(ONE) == "unknown"
    assert KEY not in everywhere(house) + str(report)
    assert f"{path}:" in everywhere(house) and "this looks like a secret (cloud access key)" in everywhere(house)

    house.given(ONE, owned=["a.txt"], title="Call the service.").agent(ONE, [Move(writes={"a.txt": "1"})])
    assert house.until_quiet().state(ONE) == "integrated"


def pushing(**changes: object) -> SimHouse:
    house = SimHouse(push=True, **changes)
    house.git.remote = {"main": house.git.head("main") or ""}
    return house


def test_a_push_that_would_bring_a_secret_waits_and_says_where_it_stands():  # FR-052
    house = pushing().given(ONE, owned=["a.txt"]).agent(ONE, [Move(writes={"a.txt": "1"})])
    before = house.git.remote["main"]
    house.colleague("notes.md", f"one\n{KEY}\n").colleague("notes.md", "one\n")

    house.cycles(6)
    last = house.cycle()

    assert house.git.remote["main"] == before
    assert house.state(ONE) == "integrated"
    why = "something like a secret would leave with notes.md:2 (cloud access key)"
    assert {event["message"] for event in house.events("push.blocked")} == {why}
    assert not house.events("push.ok") + house.events("push.failed")
    assert last.trouble == (f"not pushed: {why}",)
    assert KEY not in str(house.events()) + str(last)


def test_what_blocks_a_push_can_be_switched_off_and_what_is_pushed_is_not_due_any_more():
    house = pushing().given(ONE, owned=["a.txt"]).agent(ONE, [Move(writes={"a.txt": "1"})])
    house.colleague("notes.md", f"{KEY}\n").cycles(4)
    assert house.events("push.blocked")

    house.configure(look_for_secrets=False).cycles(2)

    assert house.git.remote["main"] == house.git.head("main")
    assert len(house.events("push.ok")) == 1


def test_what_the_remote_has_already_holds_no_push_back():
    house = SimHouse(push=True).colleague("notes.md", f"{KEY}\n")
    house.git.remote = {"main": house.git.head("main") or ""}

    house.given(ONE, owned=["a.txt"]).agent(ONE, [Move(writes={"a.txt": "1"})]).until_quiet()

    assert house.git.remote["main"] == house.git.head("main")
    assert not house.events("push.blocked")


def test_what_the_journal_is_told_is_masked():
    house = SimHouse()
    opened = house.open()

    opened.tell("push.failed", f"fatal: {TOKEN} is no good", said=[{KEY: f"{KEY}!"}], head="0" * 40, count=3)
    opened.journal.flush()

    (event,) = house.events("push.failed")
    assert event["message"] == "fatal: [forge token removed] is no good"
    assert event["data"] == {"said": [{REMOVED: f"{REMOVED}!"}], "head": "0" * 40, "count": 3}


def test_why_a_push_failed_is_told_without_what_the_remote_quoted():
    house = pushing().given(ONE, owned=["a.txt"]).agent(ONE, [Move(writes={"a.txt": "1"})])
    house.git.remote_refuses = f"remote: {TOKEN} has expired"

    reports = [house.cycle() for _ in range(4)]

    assert house.events("push.failed")
    assert TOKEN not in str(house.events()) + str(reports)


def test_a_claim_in_a_file_is_masked_where_it_lies():
    house = SimHouse().given(ONE, owned=["a.txt"])
    house.agent(ONE, [Move(writes={"a.txt": "1"}, answer={"summary": f"I used {KEY}.", "nextAction": "none"})])

    house.until_quiet()

    claims = [data for path, data in house.state_files.files.items() if "/outputs/" in path and path.endswith(".json")]
    assert house.state(ONE) == "integrated"
    assert KEY not in everywhere(house)
    assert REMOVED.encode() in b"".join(claims)


def test_what_is_published_is_masked_even_if_nobody_looks_for_secrets():
    house = SimHouse(look_for_secrets=False).given(ONE, owned=["a.txt"], title=f"Call it with {KEY}")
    house.agent(ONE, [Move(writes={"a.txt": "1"})]).until_quiet()

    published = str([house.git.published(ref) for ref in house.git.refs if "control" in ref])
    assert house.state(ONE) == "integrated"
    assert (KEY in published, REMOVED in published) == (False, True)

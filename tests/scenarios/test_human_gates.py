"""Stories about nodes that a person has to approve before they are complete."""

from __future__ import annotations

import pytest

from gluerun.core.humangates import default_refs
from gluerun.edge.views import board
from gluerun.errors import ConfigError, UsageError
from gluerun.loop import promotion
from gluerun.loop.humangates import answer, request, status
from gluerun.records.graph import HumanGate
from gluerun.records.humangate import GateDecision
from gluerun.testing import SimHouse

ONE = "TASK-0001"
REQUEST, APPROVAL = default_refs("core")


def finished():
    """A house whose node is finished but for a person's word."""
    gate = HumanGate(request_ref=REQUEST, approval_ref=APPROVAL)
    house = SimHouse().graph({"id": "core", "human_gate": gate}).given(ONE, node="core", area="src")
    house.work_files.write("docs/plan.md", b"the plan")
    return house.until_quiet()


def ask(house, **more):
    words = {"owner": "me", "questions": {"ok": "Is it good?"}, "artifacts": ["docs/plan.md"], "hours": 24, **more}
    return request(house.work_files, "core", house.clock.now(), **words)


def decide(house, decision=GateDecision.APPROVED, **more):
    words = {"by": "me@here", "answers": {"ok": "yes"}, "reason": "It is.", **more}
    return answer(house.work_files, "core", house.clock.now(), decision=decision, **words)


def test_a_node_is_complete_once_a_person_has_approved_it():
    house = finished()
    assert house.node_file("core") is None
    assert board(house.open()).needs_you == ("node core waits for a person's approval: nobody was asked",)
    with pytest.raises(UsageError, match="a person has to approve it: nobody was asked"):
        promotion.promote(house.open(), "core")

    ask(house)
    assert house.until_quiet().node_file("core") is None
    assert decide(house).approved

    assert house.until_quiet().node_file("core")["status"] == "passed"


@pytest.mark.parametrize("spoil", ["the file", "the request", "the time", "the answer"])
def test_an_approval_that_no_longer_holds_completes_nothing(spoil):
    house = finished()
    ask(house)
    decide(house)
    if spoil == "the file":
        house.work_files.write("docs/plan.md", b"another plan")
    elif spoil == "the request":
        ask(house, again=True, questions={"ok": "Is it very good?"})
    elif spoil == "the time":
        house.clock.tick(hours=25)
    else:
        house.work_files.write(APPROVAL, b"{")

    assert house.until_quiet().node_file("core") is None
    assert not status(house.work_files, "core", house.clock.now()).approved


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"by": "you"}, "core is for me to decide, not for you"),
        ({"answers": {}}, "core also asks ok"),
        ({"answers": {"ok": "yes", "no": "1"}}, "core does not ask 'no'"),
        ({"decision": GateDecision.REJECTED, "reason": ""}, "a rejection needs a reason"),
    ],
)
def test_what_is_no_answer_is_refused_and_nothing_is_written(more, why):
    house = finished()
    ask(house)

    with pytest.raises(UsageError, match=why):
        decide(house, **more)
    assert house.work_files.read(APPROVAL) is None


def test_nobody_is_asked_twice_or_about_what_is_not_there():
    house = finished()
    for artifact in ("docs/none.md", "../x", "/etc/hosts"):
        with pytest.raises(UsageError):
            ask(house, artifacts=[artifact])
    with pytest.raises(UsageError, match="nobody was asked"):
        decide(house)
    assert not ask(house, dry_run=True).approved
    assert house.work_files.read(REQUEST) is None
    ask(house)

    with pytest.raises(UsageError, match="is asked about already"):
        ask(house)


def test_a_node_without_a_gate_says_how_to_give_it_one():
    house = SimHouse().graph("core")

    with pytest.raises(UsageError, match="it has no `humanGate`") as found:
        ask(house)
    assert REQUEST in found.value.hint
    house.work_files.write("docs/orchestration/dag.v0.json", b"{")
    with pytest.raises(ConfigError):
        ask(house)


def test_a_rejection_is_told():
    house = finished()
    ask(house)

    page = decide(house, GateDecision.REJECTED, answers={}, reason="Too early.")

    assert (page.approved, page.why) == (False, "me@here rejected it: Too early.")

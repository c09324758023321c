"""Stories about nodes that a person has to approve before they are complete."""

from __future__ import annotations

import pytest

from gluerun.core.humangates import default_refs
from gluerun.edge.views import board
from gluerun.errors import ConfigError, UsageError
from gluerun.loop import promotion
from gluerun.loop.humangates import answer, question, status
from gluerun.records.graph import HumanGate
from gluerun.records.order import OrderVerb
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
    said = question(house.work_files, words["owner"], words["questions"], words["artifacts"], hours=words["hours"],
                    kind="node", again=bool(words.get("again")))  # fmt: skip
    return house.order(OrderVerb.GATE_REQUEST, "core", said, dry_run=bool(words.get("dry_run")))


def decide(house, verb=OrderVerb.GATE_APPROVE, *, answers=None, reason="It is."):
    said = answer(house.work_files, "core", {"ok": "yes"} if answers is None else answers)
    return house.order(verb, "core", said, reason=reason)


def told(house, kind):
    """What the journal tells of one kind."""
    return [one for one in house.events() if one["type"] == kind]


def test_a_node_is_complete_once_a_person_has_approved_it():
    house = finished()
    assert house.node_file("core") is None
    assert board(house.open()).needs_you == ("node core waits for a person's approval: nobody was asked",)
    with pytest.raises(UsageError, match="a person has to approve it: nobody was asked"):
        promotion.promote(house.open(), "core")

    ask(house)
    assert house.until_quiet().node_file("core") is None
    assert decide(house).applied

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
        ({"answers": {}}, "core also asks ok"),
        ({"answers": {"ok": "yes", "no": "1"}}, "core does not ask 'no'"),
        ({"verb": OrderVerb.GATE_REJECT, "reason": ""}, "a rejection needs a reason"),
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
    assert ask(house, dry_run=True).outcome == "foretold"
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
    with pytest.raises(UsageError, match=r"dag\.v0\.json"):
        ask(house)
    with pytest.raises(ConfigError):
        decide(house)


def test_a_rejection_is_told():
    house = finished()
    ask(house)

    decide(house, OrderVerb.GATE_REJECT, answers={}, reason="Too early.")

    page = status(house.work_files, "core", house.clock.now())
    assert (page.approved, page.why) == (False, "me@here rejected it: Too early.")


def test_nobody_decides_for_somebody_else():
    house = finished()
    ask(house, owner="you")

    with pytest.raises(UsageError, match="core is for you to decide, not for me@here"):
        decide(house)
    assert house.work_files.read(APPROVAL) is None


def test_every_word_about_a_node_is_in_the_journal_with_who_gave_it_and_why():
    house = finished()
    asked = ask(house)
    rejected = decide(house, OrderVerb.GATE_REJECT, reason="Too early.")
    approved = decide(house, reason="Now it is.")

    found = {kind: told(house, f"human_gate.{kind}") for kind in ("requested", "rejected", "approved")}

    assert {kind: len(events) for kind, events in found.items()} == {"requested": 1, "rejected": 1, "approved": 1}
    for kind, done, reason in (
        ("requested", asked, None),
        ("rejected", rejected, "Too early."),
        ("approved", approved, "Now it is."),
    ):
        data = found[kind][0]["data"]
        assert (data["order"], data["by"], data["node"], data.get("reason")) == (done.id, "me@here", "core", reason)
        assert house.open().store.done_order(done.id).answer == done.answer


def test_an_answer_to_a_question_that_was_asked_anew_meanwhile_is_refused():
    house = finished()
    ask(house)
    with house.busy():
        late = decide(house)
        house.order(OrderVerb.GATE_REQUEST, "core", question(house.work_files, "me", {"ok": "Is it very good?"},
                    ["docs/plan.md"], hours=24, kind="node", again=True))  # fmt: skip
    # The one that was given first is carried out first; what then asks anew makes its answer count no more.
    house.cycle()
    assert house.open().store.done_order(late.id).outcome == "applied"
    assert not status(house.work_files, "core", house.clock.now()).approved

    with house.busy():
        words = answer(house.work_files, "core", {"ok": "yes"})
        ask(house, again=True, questions={"ok": "Is it the best?"})
        late = house.order(OrderVerb.GATE_APPROVE, "core", words)
    house.cycle()
    found = house.open().store.done_order(late.id)
    assert (found.outcome, found.answer) == ("refused", "core was asked about anew meanwhile")


def test_a_place_where_nothing_can_be_written_ends_no_cycle():
    house = finished().given("TASK-0002")
    house.work_files.write("docs/orchestration/human-gates", b"a file where a folder belongs")
    said = ask(house)

    assert said.outcome == "queued"
    for _ in range(9):
        house.cycle()
    assert house.state("TASK-0002") == "integrated"
    house.work_files.remove("docs/orchestration/human-gates")
    assert house.until_quiet().open().store.done_order(said.id).outcome == "applied"
    assert len(told(house, "human_gate.requested")) == 1


def test_what_looks_like_a_secret_is_kept_nowhere():
    house = finished()
    secret = "ghp_" + "a1B2" * 9
    ask(house, questions={"ok": f"Is {secret} good?"})
    decide(house, answers={"ok": f"yes, {secret}"})

    assert not [path for files in (house.state_files, house.work_files) for path, data in files.files.items()
                if secret.encode() in data]  # fmt: skip

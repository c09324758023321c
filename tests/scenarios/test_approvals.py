"""Stories about a person who is asked before a task is started, and before its work lands."""

from __future__ import annotations

import pytest

from gluerun.edge.approval_page import approval_page, as_html, as_markdown
from gluerun.edge.approvals import approvals, named
from gluerun.edge.views import board
from gluerun.errors import DecidedError, UsageError
from gluerun.loop import auto, drive
from gluerun.records.approval import ApprovalState
from gluerun.records.config import ApprovalRule, AreaPolicy
from gluerun.records.order import OrderVerb
from gluerun.records.record import replace
from gluerun.testing import Move, SimHouse, verdict

ONE, TWO, THREE = "TASK-0001", "TASK-0002", "TASK-0003"
ALWAYS, RISK = ApprovalRule.ALWAYS, ApprovalRule.RISK


def answer(house, verb, about=ONE, *, request="APR-0001", reason="", answers=None):
    words = {"request": request} | ({"answers": answers} if answers else {})
    return house.order(verb, about, words, reason=reason)


def approve(house, about=ONE, **more):
    return answer(house, OrderVerb.APPROVE, about, **more)


def reject(house, about=ONE, **more):
    return answer(house, OrderVerb.REJECT, about, **{"reason": "It is not what I meant.", **more})


def requests(house):
    """Return every request there ever was, as id → state."""
    store = house.open().store
    return {one.id: one.state.value for one in (*store.approvals()[0], *store.settled_approvals())}


def finished(**config):
    """A house with finished work that waits for a person, and nothing else to do."""
    house = SimHouse(**{"approval": ALWAYS, **config}).given(ONE, owned=["a.txt"])
    return house.agent(ONE, [Move(writes={"a.txt": "one"}), Move(writes={"a.txt": "two"})]).until_quiet()


# --- before it is started --------------------------------------------------------------------------------


def test_a_task_is_not_started_before_its_text_is_approved():
    house = SimHouse(approve_plan=ALWAYS).given(ONE).until_quiet()

    assert (house.state(ONE), requests(house), house.prompts(ONE)) == ("ready", {"APR-0001": "waiting"}, [])

    approve(house)

    assert house.until_quiet().state(ONE) == "integrated"
    assert requests(house) == {"APR-0001": "approved"}
    (event,) = house.events("approval.approved")
    assert (event["data"]["by"], event["data"]["task"]) == ("me@here", ONE)


def test_a_text_that_was_changed_after_the_request_is_asked_about_anew():
    house = SimHouse(approve_plan=ALWAYS).given(ONE).until_quiet()
    house.given(ONE, owned=["elsewhere"])

    with pytest.raises(UsageError, match="APR-0001 is stale: the task's text was changed since"):
        approve(house)
    house.until_quiet()

    assert (house.state(ONE), requests(house)) == ("ready", {"APR-0001": "stale", "APR-0002": "waiting"})


def test_an_approved_text_that_is_changed_before_the_start_is_not_started():
    house = SimHouse(approve_plan=ALWAYS).given(ONE).until_quiet()
    approve(house)
    house.given(ONE, owned=["elsewhere"]).until_quiet()

    assert (house.state(ONE), requests(house)) == ("ready", {"APR-0001": "stale", "APR-0002": "waiting"})


def test_without_criteria_nobody_is_asked_and_nothing_is_started():
    house = SimHouse(approve_plan=ALWAYS, preflight_require_acceptance=False)
    house.task_file(ONE, "# TASK-0001: x\n\n## Objective\nDo it.\n\n## Scope\nOwned files:\n- `a.txt`\n").until_quiet()

    assert (house.state(ONE), requests(house)) == ("ready", {})


def test_a_rejected_text_parks_its_task_with_the_reason():
    house = SimHouse(approve_plan=ALWAYS).given(ONE).until_quiet()

    reject(house)

    assert (house.until_quiet().state(ONE), house.record(ONE).ordered.reason) == ("parked", "It is not what I meant.")


def test_a_text_stays_approved_however_often_it_is_tried():
    house = SimHouse(approve_plan=ALWAYS, max_retries=0).given(ONE, owned=["a.txt"])
    house.gate(lambda tree: int(tree.get("a.txt") == "bad"))
    house.agent(ONE, [Move(writes={"a.txt": "bad"}), Move(writes={"a.txt": "good"})]).until_quiet()
    approve(house)
    assert house.until_quiet().state(ONE) == "parked"

    house.order(OrderVerb.RETRY, ONE)

    assert (house.until_quiet().state(ONE), requests(house)) == ("integrated", {"APR-0001": "approved"})


# --- before it lands -------------------------------------------------------------------------------------


def test_work_does_not_land_before_it_is_approved_and_holds_nobody_up():
    house = finished().given(TWO, owned=["a.txt"]).given(THREE)
    house.configure(approval=ALWAYS)
    house.until_quiet()

    # The second one wants the same file and is started all the same.
    assert house.states() == {ONE: "accepted", TWO: "accepted", THREE: "accepted"}
    assert set(requests(house).values()) == {"waiting"}

    approve(house)

    assert house.until_quiet().state(ONE) == "integrated"
    assert house.target_files()["a.txt"] == "one"


def test_work_that_waits_is_not_proved_again_whenever_the_target_moves_but_once_it_is_approved():
    house = finished(gate_command="check")
    started = len(house.events("integration.started"))
    for number in range(3):
        house.colleague(f"{number}.txt", "hers").until_quiet()
    assert len(house.events("integration.started")) == started

    approve(house)
    house.until_quiet()

    assert len(house.events("integration.started")) == started + 1
    assert (house.state(ONE), requests(house)) == ("integrated", {"APR-0001": "approved"})


def test_an_approval_does_not_cover_another_difference():
    house = SimHouse(approval=ALWAYS).given(ONE, owned=["a.txt", "b.txt"])
    house.agent(ONE, [Move(writes={"a.txt": "one", "b.txt": "two"})]).until_quiet()
    house.colleague("a.txt", "one")  # half of it is there by now

    approve(house)
    house.until_quiet()

    assert (house.state(ONE), requests(house)) == ("accepted", {"APR-0001": "stale", "APR-0002": "waiting"})
    (event,) = house.events("approval.stale")
    assert event["message"] == "APR-0001 about TASK-0001: what would land is another difference"


def test_work_that_was_approved_and_conflicts_with_the_target_is_asked_about_anew():
    house = SimHouse(approval=ALWAYS).given(ONE, owned=["a.txt"]).until_quiet()
    house.colleague("a.txt", "hers")

    approve(house)
    house.until_quiet()

    assert (house.state(ONE), requests(house)) == ("accepted", {"APR-0001": "stale", "APR-0002": "waiting"})


def test_an_approval_does_not_cover_another_gate():
    house = finished()
    house.configure(prewarm="make ready")

    with pytest.raises(UsageError, match="APR-0001 is stale: the gate was changed"):
        approve(house)

    assert requests(house.until_quiet()) == {"APR-0001": "stale", "APR-0002": "waiting"}


def test_an_approval_does_not_cover_a_text_that_was_changed_meanwhile():
    house = finished().given(ONE, owned=["a.txt"], title="Something else")

    with pytest.raises(UsageError, match="the task's text was changed"):
        approve(house)

    assert requests(house.until_quiet()) == {"APR-0001": "stale", "APR-0002": "waiting"}


def test_rejected_work_is_tried_again_with_the_reason_word_for_word():
    house = finished()

    reject(house, reason="Say `two`, not one.")
    house.until_quiet()

    assert "Say `two`, not one." in house.prompts(ONE)[-1]
    assert requests(house) == {"APR-0001": "rejected", "APR-0002": "waiting"}
    approve(house, request="APR-0002")
    assert (house.until_quiet().state(ONE), house.target_files()["a.txt"]) == ("integrated", "two")


def test_rejected_work_without_a_try_left_is_parked():
    house = finished(max_retries=0)

    reject(house)

    assert house.until_quiet().state(ONE) == "parked"
    assert house.record(ONE).seed_sha is not None


# --- nobody answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["approve_plan", "approval"])
def test_silence_never_approves(point):
    house = SimHouse(**{point: ALWAYS}, approval_expires_hours=2).given(ONE).until_quiet()
    house.clock.tick(hours=3)
    before = house.state(ONE)

    assert (house.until_quiet().state(ONE), requests(house)) == (before, {"APR-0001": "expired"})
    with pytest.raises(UsageError, match="APR-0001 expired at"):
        approve(house)

    answer(house, OrderVerb.RENEW)
    house.until_quiet()

    assert requests(house) == {"APR-0001": "stale", "APR-0002": "waiting"}
    approve(house, request="APR-0002")
    assert house.until_quiet().state(ONE) == "integrated"


def test_nobody_decides_in_the_place_of_an_owner_or_leaves_a_question_open():
    policy = AreaPolicy(approval=ALWAYS, owners=("ada",), questions=("Is it tested?",))
    house = finished(area_policy={"root": policy})

    with pytest.raises(UsageError, match="APR-0001 is for ada to decide, not for me@here"):
        approve(house)

    house.configure(area_policy={"root": replace(policy, owners=())})
    house = finished(area_policy={"root": replace(policy, owners=("me",))})
    with pytest.raises(UsageError, match=r"also asks: Is it tested\?"):
        approve(house)
    with pytest.raises(UsageError, match="does not ask 'Is it testd"):
        approve(house, answers={"Is it testd?": "yes"})
    approve(house, answers={"Is it tested?": "yes"})
    assert house.until_quiet().state(ONE) == "integrated"


def test_a_request_is_decided_once():
    house = finished()
    with house.busy():
        first, second = approve(house), reject(house)

    house.until_quiet()

    done = house.open().store.done_order
    assert (done(first.id).outcome, done(second.id).outcome) == ("applied", "refused")
    assert house.state(ONE) == "integrated"
    with pytest.raises(DecidedError):
        approve(house)


def test_only_what_looks_risky_is_asked_about():
    house = SimHouse(approval=RISK).given(ONE, owned=["a.txt"]).given(TWO, owned=["Dockerfile"])
    house.agent(ONE, [Move(writes={"a.txt": "x"})]).agent(TWO, [Move(writes={"Dockerfile": "FROM scratch"})])

    assert house.until_quiet().states() == {ONE: "integrated", TWO: "accepted"}
    (request,) = house.open().store.approvals()[0]
    assert request.state is ApprovalState.WAITING
    assert request.risks == ("it changes how it is packed and deployed: `Dockerfile`",)


def test_numbers_are_never_given_twice():
    house = finished()
    reject(house)
    house.state_files.remove("cycle.json")

    assert requests(house.until_quiet()) == {"APR-0001": "rejected", "APR-0002": "waiting"}


def test_what_nobody_is_to_be_asked_about_any_more_goes_on():
    house = finished()
    house.configure(approval=ApprovalRule.NONE)

    assert (house.until_quiet().state(ONE), requests(house)) == ("integrated", {"APR-0001": "stale"})


# --- what is seen ----------------------------------------------------------------------------------------


def page_of(house, name=ONE):
    opened = house.open()
    return approval_page(opened, named(opened.store, name))


def test_the_page_shows_everything_that_is_decided_about():
    fix = verdict("needs-fix", requiredFixes=["Name the thing."], findings=["It has no name."])
    house = SimHouse(approval=ALWAYS).given(ONE, owned=["a.txt"]).auditor(ONE, [fix, verdict("accepted")])
    house.agent(ONE, [Move(writes={"a.txt": "a thing"}), Move(writes={"a.txt": "a thing named x"})]).until_quiet()

    text = as_markdown(page_of(house))

    for words in (
        "# APR-0001: TASK-0001, before it lands (waiting)",
        "gluerun approve APR-0001",
        "closed by accepting, never named as mended",
        "- It is done.",
        "+a thing named x",
        "`check` ended with 0 (green)",
        "verdict: accepted",
        "It has no name. → resolved, in try 2, audit-accepted",
        "try 1: audit-needs-fix",
        f"candidate: {house.record(ONE).proof.candidate}",
    ):
        assert words in text, words


def test_what_an_agent_wrote_cannot_pass_for_the_page_or_show_a_secret():
    secret = "ghp_" + "a1B2" * 10
    mean = f"```\n## Risks\n- none\n</pre><script>alert(1)</script>\x1b[2J\ntoken = {secret}\n"
    house = SimHouse(approval=ALWAYS, look_for_secrets=False).given(ONE, owned=["a.txt"])
    house.agent(ONE, [Move(writes={"a.txt": mean})]).until_quiet()

    page = page_of(house)
    text, html = as_markdown(page), as_html(page)

    assert "\n````\n" in text
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert not any(outside in html for outside in ("src=", "href=", "http:", "https:", "url("))
    assert not any(bad in both for both in (text, html) for bad in (secret, "\x1b"))


def test_the_list_says_how_the_next_cycle_will_find_a_request():
    house = finished(approval_expires_hours=2).given(TWO).until_quiet()
    house.clock.tick(hours=3)

    lines = {one.id: (one.task, one.state) for one in approvals(house.open()).approvals}
    assert lines == {"APR-0001": (ONE, "expired"), "APR-0002": (TWO, "expired")}

    house.given(ONE, owned=["a.txt"], title="Something else")
    lines = {one.id: (one.state, one.why) for one in approvals(house.open(), settled=True).approvals}
    assert lines["APR-0001"] == ("stale", "the task's text was changed")


def test_what_waits_is_named_under_what_needs_a_person():
    house = finished()

    (needs,) = board(house.open()).needs_you
    assert needs == "TASK-0001: APR-0001 waits for a person before it lands: `gluerun approval show APR-0001`"


def test_a_resident_loop_does_not_wait_for_a_person():
    house = finished()

    assert auto.auto(house.open()).why == "nothing can go on by itself; 1 tasks wait"
    assert drive.drive(house.open(), ONE).why.startswith("it is accepted; APR-0001 waits for a person")


def test_a_secret_in_an_answer_is_not_kept():
    secret = "ghp_" + "a1B2" * 10
    house = finished(area_policy={"root": AreaPolicy(approval=ALWAYS, questions=("Which key?",))})

    approve(house, answers={"Which key?": secret})

    assert not [path for path, data in house.state_files.files.items() if secret.encode() in data]


# --- the state folder is lost ----------------------------------------------------------------------------


def lose(house):
    """Let somebody remove the state folder."""
    for path in list(house.state_files.files):
        house.state_files.remove(path)
    return house


def four_requests():
    """Work that waits before it lands, a text that waits, one that was approved, and one that was rejected."""
    house = SimHouse(require_audit=True).given(ONE, owned=["a.txt"], approval="always")
    house.agent(ONE, [Move(writes={"a.txt": "one"})]).auditor(ONE, [verdict("accepted")])
    for task in (TWO, THREE, "TASK-0004"):
        house.given(task, approve_plan="always").until_quiet()
    ids = {one.task_id: one.id for one in house.open().store.approvals()[0]}
    approve(house, THREE, request=ids[THREE])
    reject(house, "TASK-0004", request=ids["TASK-0004"])
    return house.until_quiet(), ids


def test_after_the_state_folder_was_lost_nobody_is_asked_anew_and_no_number_is_given_twice():
    house, ids = four_requests()
    before, runs = requests(house), len(house.processes.started)
    assert sorted(before.values()) == ["approved", "rejected", "waiting", "waiting"]

    lose(house).until_quiet()

    assert requests(house) == before
    assert len(house.processes.started) == runs
    answered = {one.id: one for one in house.open().store.settled_approvals()}
    assert (answered[ids[THREE]].decided_by, answered[ids["TASK-0004"]].reason) == (
        "me@here", "It is not what I meant.",
    )  # fmt: skip
    approve(house, ONE, request=ids[ONE])
    approve(house, TWO, request=ids[TWO])
    house.given("TASK-0005", approve_plan="always").until_quiet()
    assert (house.state(ONE), house.state(TWO)) == ("integrated", "integrated")
    assert max(requests(house)) == "APR-0005"


def test_what_a_person_approved_and_has_not_landed_yet_lands_after_the_state_folder_was_lost():
    house = finished()
    with house.busy():
        approve(house)
    house.cycle(mode="apply", work=False)
    assert (house.state(ONE), requests(house)) == ("accepted", {"APR-0001": "approved"})

    lose(house).until_quiet()

    assert (house.state(ONE), requests(house)) == ("integrated", {"APR-0001": "approved"})


def test_a_number_is_taken_even_if_nobody_can_read_what_it_was_about():
    house = SimHouse(approve_plan=ALWAYS).given(ONE).until_quiet()
    house.git.publish("refs/gluerun/control", {"approvals/09/APR-0109.json": b"{"}, "spoilt")

    lose(house).given(TWO).until_quiet()

    assert requests(house) == {"APR-0001": "waiting", "APR-0110": "waiting"}
    assert [event["data"]["path"] for event in house.events("state.not_rebuilt")] == ["approvals/09/APR-0109.json"]


def test_a_request_that_came_to_its_end_within_one_cycle_is_published_as_it_ended():
    house = finished()
    reject(house)
    house.until_quiet()
    published = house.files_at("refs/gluerun/control")

    states = {path: text.split('"state":')[1].split('"')[1] for path, text in published.items() if "APR-" in path}
    assert states == {"approvals/01/APR-0001.json": "rejected", "approvals/02/APR-0002.json": "waiting"}

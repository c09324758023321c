"""Stories about limits at which a person is asked whether an agent goes on, from exactly where it was stopped."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gluerun.core.outlook import outlook
from gluerun.edge.approval_page import approval_page, as_markdown
from gluerun.edge.approvals import approvals, named
from gluerun.edge.morning import report
from gluerun.edge.views import board, explain
from gluerun.errors import UsageError
from gluerun.loop import auto
from gluerun.loop.observe import observe
from gluerun.records.child import How
from gluerun.records.config import AreaPolicy
from gluerun.records.dispatch import Role
from gluerun.records.order import OrderVerb
from gluerun.records.pause import OnLimit, Span
from gluerun.records.runner import Limits, Sessions
from gluerun.records.spent import Spent
from gluerun.sim.crash import SimCrash
from gluerun.testing import Move, SimHouse, ended, speaker, verdict

ONE, TWO = "TASK-0001", "TASK-0002"
PAUSE = OnLimit.PAUSE
RESUMES = {"sessions": Sessions.CAPTURED, "options": {"resume": ("{session}",)}}


def turned_out(text: str = "", usd: float = 0.0, **more: object) -> Move:
    """Return the move of a program that its limit of turns stops after it has written something."""
    said = ended(usd, subtype="error_max_turns", is_error=True, result="Reached max turns")
    writes = {"a.txt": text} if text else {}
    return Move(writes=writes, says=said, exit_code=1, **more)


def writes(text: str, usd: float = 0.0, **more: object) -> Move:
    return Move(writes={"a.txt": text}, says=ended(usd), **more)


def house_of(*moves: Move, **config: object) -> SimHouse:
    """A house whose worker can go on with a session and whose auditor is another program."""
    runners = {"agent": speaker(provider="one", **RESUMES), "judge": speaker("judge", provider="two")}
    roles = {"worker": "agent", "auditor": "judge"}
    house = SimHouse(**{"runners": runners, "roles": roles, "on_limit_try": PAUSE, **config})
    house.auditor(ONE, [Move(act=verdict("accepted").act, says=ended(0.25))])
    return house.given(ONE, owned=["a.txt"]).agent(ONE, moves).gate(lambda tree: int(tree.get("a.txt") == "bad"))


def answer(house: SimHouse, verb: OrderVerb, name: str = "APR-0001", reason: str = "It may.") -> SimHouse:
    house.order(verb, ONE, {"request": name}, reason=reason)
    return house.until_quiet()


def approve(house: SimHouse, name: str = "APR-0001") -> SimHouse:
    return answer(house, OrderVerb.APPROVE, name)


def requests(house: SimHouse) -> dict[str, str]:
    """Return every request there ever was, as id → state."""
    store = house.open().store
    return {one.id: one.state.value for one in (*store.approvals()[0], *store.settled_approvals())}


def text_at(house: SimHouse, commit: str) -> str:
    """Return what the agent's file says in a commit."""
    return house.git.trees[house.git.commits[commit].tree]["a.txt"][1].decode()


def sessions(house: SimHouse) -> list[str]:
    """Return the sessions with which programs were to go on."""
    return [one for one in house.resumed.values() if one]


# --- a limit of one try ----------------------------------------------------------------------------------


def test_a_try_that_is_paused_counts_for_nothing_and_waits_for_a_person():
    house = house_of(turned_out("half", 1.5)).given(TWO).until_quiet()

    task = house.record(ONE)
    assert (house.state(ONE), task.tries, task.last_failure, house.lease(ONE)) == ("ready", 0, None, None)
    assert (task.spent.usd, task.paused.limit, task.paused.span) == (1.5, "turns", "try")
    assert text_at(house, task.paused.seed_sha) == "half"
    assert requests(house) == {"APR-0001": "waiting"}
    # Nobody else waits for it.
    assert house.state(TWO) == "integrated"
    assert not [one for one in house.git.worktrees if one.endswith(ONE)]


def test_what_is_approved_goes_on_in_its_session_from_its_very_files_and_base():
    seen = []
    house = house_of(
        turned_out("half"), writes("good", act=lambda scene: seen.append((dict(scene.tree()), scene.resume)))
    )
    house.until_quiet()
    house.colleague("b.txt", "hers").until_quiet()
    before = house.record(ONE).base_sha

    approve(house)

    assert (house.state(ONE), house.record(ONE).tries, house.record(ONE).paused) == ("integrated", 1, None)
    assert (house.record(ONE).base_sha, sessions(house)) == (before, ["s"])
    assert {"a.txt": "good", "b.txt": "hers"}.items() <= house.target_files().items()
    assert requests(house) == {"APR-0001": "approved"}
    prompt = house.prompts(ONE)[1]
    assert "You go on from where you were stopped" in prompt
    assert "It may." in prompt


def test_the_agent_finds_what_it_had_written_before():
    seen = []
    good = Move(says=ended(), act=lambda scene: (seen.append(scene.tree().get("a.txt")), scene.write("a.txt", "good")))
    house = approve(house_of(turned_out("half"), good).until_quiet())

    assert (house.state(ONE), seen) == ("integrated", ["half"])


def test_an_agent_that_cannot_resume_begins_anew_from_its_files():
    runners = {"agent": speaker(provider="one"), "judge": speaker("judge", provider="two")}
    house = approve(house_of(turned_out("half"), Move(says=ended()), runners=runners).until_quiet())

    assert (house.state(ONE), house.target_files()["a.txt"], sessions(house)) == ("integrated", "half", [])


def test_a_session_that_is_too_old_by_the_time_a_person_answers_is_left():
    house = house_of(turned_out("half"), Move(says=ended()), session_max_age_sec=60).until_quiet()
    house.clock.tick(hours=9)

    assert (approve(house).state(ONE), house.target_files()["a.txt"], sessions(house)) == ("integrated", "half", [])


def test_whoever_meets_the_limit_again_is_asked_about_again():
    house = house_of(turned_out("half"), turned_out("more"), writes("good")).until_quiet()

    assert (approve(house).state(ONE), requests(house)) == ("ready", {"APR-0001": "approved", "APR-0002": "waiting"})
    with pytest.raises(UsageError, match="there is no open request APR-0001"):
        approve(house)
    assert (approve(house, "APR-0002").state(ONE), sessions(house)) == ("integrated", ["s", "s"])
    assert house.record(ONE).tries == 1


def test_what_is_rejected_is_parked_with_its_work_and_the_reason():
    house = answer(house_of(turned_out("half"), Move(says=ended())).until_quiet(), OrderVerb.REJECT, reason="Too dear.")

    task = house.record(ONE)
    assert (house.state(ONE), task.tries, task.paused) == ("parked", 1, None)
    assert (task.last_failure.failure_class, requests(house)) == ("limit-reached", {"APR-0001": "rejected"})
    assert "Too dear." in board(house.open()).needs_you[0]
    assert text_at(house, task.seed_sha) == "half"

    house.order(OrderVerb.UNPARK, ONE)

    assert (house.until_quiet().state(ONE), house.target_files()["a.txt"]) == ("integrated", "half")


def test_a_text_that_is_changed_while_it_waits_is_begun_anew_and_the_request_is_stale():
    house = house_of(turned_out("half"), writes("new")).until_quiet()
    house.given(ONE, owned=["a.txt"], title="Something else")

    with pytest.raises(UsageError, match="APR-0001 is stale: the task's text was changed since"):
        approve(house)
    house.until_quiet()

    assert (house.state(ONE), requests(house), sessions(house)) == ("integrated", {"APR-0001": "stale"}, [])
    assert house.target_files()["a.txt"] == "new"


def test_silence_lets_nobody_go_on():
    house = house_of(turned_out("half"), writes("good"), approval_expires_hours=2).until_quiet()
    house.clock.tick(hours=3)

    assert (house.until_quiet().state(ONE), requests(house)) == ("ready", {"APR-0001": "expired"})
    with pytest.raises(UsageError, match="APR-0001 expired at"):
        approve(house)
    answer(house, OrderVerb.RENEW)

    assert requests(house) == {"APR-0001": "stale", "APR-0002": "waiting"}
    assert approve(house, "APR-0002").state(ONE) == "integrated"


def test_no_order_but_the_answer_lets_it_go_on_and_a_task_that_is_parked_meanwhile_is_asked_about_again():
    house = house_of(turned_out("half"), writes("good")).until_quiet()

    with pytest.raises(UsageError, match="is paused at a limit, and a person is asked"):
        house.order(OrderVerb.RETRY, ONE)
    house.order(OrderVerb.PARK, ONE)
    assert (house.until_quiet().state(ONE), requests(house)) == ("parked", {"APR-0001": "stale"})
    house.order(OrderVerb.UNPARK, ONE)

    assert (house.until_quiet().state(ONE), requests(house)["APR-0002"]) == ("ready", "waiting")
    assert (approve(house, "APR-0002").state(ONE), sessions(house)) == ("integrated", ["s"])


def test_other_settings_are_no_answer():
    house = house_of(turned_out("half"), writes("good")).until_quiet()
    house.configure(on_limit_try=OnLimit.STOP, limits_try=Limits(turns=999)).until_quiet()

    assert (house.state(ONE), requests(house)) == ("ready", {"APR-0001": "waiting"})


def test_only_an_owner_of_the_area_decides():
    policy = AreaPolicy(owners=("ada",))
    house = house_of(turned_out("half"), writes("good"), area_policy={"root": policy}).until_quiet()

    with pytest.raises(UsageError, match="APR-0001 is for ada to decide, not for me@here"):
        approve(house)


@pytest.mark.parametrize("how", ["silent", "stop"])
def test_what_nobody_is_to_be_asked_about_fails_the_try_as_ever(how):
    config = {"on_limit_try": OnLimit.STOP} if how == "stop" else {"limits_try": Limits(idle_seconds=5)}
    first = turned_out("half") if how == "stop" else Move(how=How.IDLE, writes={"a.txt": "half"})
    house = house_of(first, writes("good"), **config).until_quiet()

    assert (house.state(ONE), house.record(ONE).tries, requests(house)) == ("integrated", 2, {})


# --- the limit of a task ---------------------------------------------------------------------------------


def test_the_limit_of_a_task_begins_anew_when_a_person_lets_it_go_on():
    rules = {"on_limit_try": OnLimit.STOP, "on_limit_task": PAUSE, "limits_task": Limits(usd=2.5)}
    house = house_of(writes("bad", 3.0), writes("two", 2.0), writes("three", 1.0), **rules)
    fix = verdict("needs-fix", requiredFixes=["Say three."])
    house.auditor(ONE, [Move(act=one.act, says=ended(0.25)) for one in (fix, verdict("accepted"))]).until_quiet()

    task = house.record(ONE)
    assert (house.state(ONE), task.tries, task.last_failure.failure_class) == ("ready", 1, "gate-red")
    assert (task.paused.limit, task.paused.span, len(house.prompts(ONE))) == ("task", Span.TASK, 1)
    assert "the task's limit of $2.5 is used up" in approvals(house.open()).approvals[0].risks[0]

    approve(house)

    # 2.5 more: two tries and one audit went in, and the last audit is asked about.
    assert (house.state(ONE), house.record(ONE).spent.usd, len(house.prompts(ONE))) == ("ready", 6.25, 3)
    # Also the try that the limit did not let start had wanted to go on with its session.
    assert (requests(house)["APR-0002"], sessions(house)) == ("waiting", ["s", "s", "s"])
    assert (approve(house, "APR-0002").state(ONE), house.record(ONE).tries) == ("integrated", 3)
    assert len(house.prompts(ONE)) == 3


def test_an_edit_gives_a_task_its_whole_limit_and_no_other_begins_from_a_pause():
    rules = {"on_limit_task": PAUSE, "limits_task": Limits(usd=2.5)}
    house = approve(house_of(writes("bad", 3.0), turned_out("half", 3.0), writes("good", 1.0), **rules).until_quiet())
    assert (house.state(ONE), house.record(ONE).limit_from) == ("ready", Spent(usd=3.0, tokens=1, turns=1))

    house.given(ONE, owned=["a.txt"], title="once more").until_quiet()

    assert (house.state(ONE), house.record(ONE).limit_from, house.record(ONE).spent.usd) == ("integrated", None, 1.25)


def test_an_auditor_that_is_stopped_is_asked_about_and_only_the_audit_is_left():
    house = house_of(writes("good", 1.0)).auditor(ONE, [turned_out(), verdict("accepted")]).until_quiet()

    assert (house.state(ONE), house.record(ONE).tries, requests(house)) == ("ready", 0, {"APR-0001": "waiting"})
    assert "+good" in page(house)
    assert (approve(house).state(ONE), house.record(ONE).tries) == ("integrated", 1)
    assert (len(house.prompts(ONE)), len(house.prompts(ONE, Role.AUDITOR))) == (1, 2)


# --- what is seen, and what crashes leave ----------------------------------------------------------------


def page(house: SimHouse) -> str:
    opened = house.open()
    return as_markdown(approval_page(opened, named(opened.store, ONE)))


def test_everything_that_is_looked_at_names_what_waits():
    house = house_of(turned_out("half", 1.5)).until_quiet()
    words = "APR-0001 waits for a person before it goes on beyond its limit"

    assert any(words in one for one in board(house.open()).needs_you)
    assert words in board(house.open()).tasks[0].reason
    assert any(words in one.words for one in explain(house.open(), ONE).reasons)
    assert explain(house.open(), ONE).needs_you
    (line,) = approvals(house.open()).approvals
    assert (line.point, line.state) == ("limit", "waiting")
    assert "Reached max turns" in line.risks[0]
    assert line.risks[1].startswith("$1.50, ")
    assert any(words in one.words for one in report(house.open(), house.clock.now() - timedelta(days=1)).matters)
    assert outlook(observe(house.open(), "ORIGIN-20260101T000000Z-1").world, 5.0).over
    assert auto.auto(house.open()).why == "nothing can go on by itself; 1 tasks wait"


def test_the_page_shows_the_limit_what_was_spent_and_what_is_done_so_far():
    text = page(house_of(turned_out("half", 1.5)).until_quiet())

    for words in (
        "# APR-0001: TASK-0001, before it goes on beyond its limit (waiting)",
        "the limit counts anew from there",
        "the limit of turns of the try, in RUN-",
        "1.5000 US dollars, 1 tokens, 1 turns",
        "+half",
    ):
        assert words in text, words


def test_a_start_that_is_cut_after_the_approval_still_goes_on_from_there():
    house = house_of(turned_out("half"), Move(says=ended())).until_quiet()
    house.fuse.chooses = lambda _, name: SimCrash(name) if "dispatch.json" in name else None
    with pytest.raises(SimCrash):
        approve(house)
    house.fuse.chooses = None
    house.locks.crash()

    assert (house.until_quiet().state(ONE), house.target_files()["a.txt"], sessions(house)) == (
        "integrated",
        "half",
        ["s"],
    )


def test_a_state_folder_that_is_lost_lets_nobody_go_on_unasked():
    house = house_of(turned_out("half"), writes("good")).until_quiet()
    kept = house.record(ONE).paused
    house.state_files.remove("cycle.json")
    for path in [one for one in house.state_files.files if one.startswith("approvals/")]:
        house.state_files.remove(path)

    assert (house.until_quiet().state(ONE), house.record(ONE).paused) == ("ready", kept)
    assert requests(house) == {"APR-0001": "waiting"}
    assert approve(house).state(ONE) == "integrated"

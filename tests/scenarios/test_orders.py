"""Stories about what a person orders while the loop is at work, or is not."""

from __future__ import annotations

import pytest

from gluerun.edge.views import board
from gluerun.errors import DecidedError, UsageError
from gluerun.loop import auto
from gluerun.records.order import OrderVerb
from gluerun.sim.crash import SimCrash
from gluerun.sim.watch import SimWatch
from gluerun.testing import Move, SimHouse, refused, speaker

ONE, TWO, THREE = "TASK-0001", "TASK-0002", "TASK-0003"


def parked(**config):
    """A house whose one task was parked because its gate was always red."""
    house = SimHouse(max_retries=1, **config).given(ONE, owned=["a.txt"]).gate(lambda tree: int(tree["a.txt"] == "bad"))
    house.agent(ONE, [Move(writes={"a.txt": "bad"}), Move(writes={"a.txt": "bad"}), Move(writes={"a.txt": "good"})])
    return house.until_quiet()


def written(house):
    """Return every file of the state folder but the words beside the locks."""
    return {path: data for path, data in house.state_files.files.items() if not path.startswith("locks/")}


# --- stop, resume, wake ----------------------------------------------------------------------------------


def test_what_is_accepted_lands_under_stop():  # C30
    house = SimHouse().given(ONE, owned=["a.txt"]).given(TWO, owned=["a.txt"])
    house.cycle()

    answer = house.order(OrderVerb.STOP, reason="lunch")
    house.until_quiet()

    assert (answer.applied, house.states()) == (True, {ONE: "integrated", TWO: "ready"})
    (event,) = house.events("operator.stop_requested")
    assert (event["data"]["by"], event["data"]["reason"]) == ("me@here", "lunch")

    house.order(OrderVerb.RESUME)

    assert house.until_quiet().state(TWO) == "integrated"


@pytest.mark.parametrize("forever", [True, False])
def test_a_resident_loop_ends_under_stop(forever):
    house = SimHouse().given(ONE)
    house.order(OrderVerb.STOP)

    assert auto.auto(house.open(), forever=forever).why == "STOP is set"


class Interrupted(SimWatch):
    """Sleeps; a person types a verb during the first sleep."""

    def __init__(self, house, verb):
        super().__init__(house.clock)
        self.house, self.verb = house, verb

    def wait(self, run_ids, seconds):
        """Let the runs work and time pass, and a person type."""
        self.house.let_work()
        super().wait(run_ids, seconds)
        if self.verb is not None:
            verb, self.verb = self.verb, None
            self.house.order(verb)


def test_an_order_that_is_given_while_the_loop_sleeps_is_carried_out_at_once():
    house = SimHouse().given(ONE).given(TWO, depends_on=[ONE])
    house.watch = Interrupted(house, OrderVerb.STOP)

    assert auto.auto(house.open()).why == "STOP is set"
    assert house.states() == {ONE: "integrated", TWO: "ready"}


# --- given while a cycle is at work ----------------------------------------------------------------------


def test_an_order_that_is_given_while_a_cycle_is_at_work_is_queued_and_carried_out_by_the_next_one():
    house = SimHouse().given(ONE)
    with house.busy():
        answer = house.order(OrderVerb.STOP)

    assert (answer.outcome, answer.applied) == ("queued", False)
    assert not house.open().store.is_stopped()

    house.cycle()

    assert house.state(ONE) == "ready"
    assert house.open().store.done_order(answer.id).answer.startswith("STOP is set")


def test_orders_that_are_queued_are_carried_out_in_the_order_in_which_they_were_given():
    house = SimHouse()
    with house.busy():
        for verb in (OrderVerb.STOP, OrderVerb.RESUME, OrderVerb.STOP, OrderVerb.RESUME):
            house.order(verb)

    house.cycle(mode="recover")

    assert [event["type"].split("_")[0] for event in house.events() if event["type"].startswith("operator.")] == [
        "operator.stop", "operator.resume", "operator.stop", "operator.resume",
    ]  # fmt: skip
    assert not house.open().store.is_stopped()


def test_a_stale_order_is_refused_and_told_and_never_applied_to_something_else():
    house = parked()
    with house.busy():
        stale = house.order(OrderVerb.RETRY, ONE, reason="again")
        house.clock.tick(minutes=1)
        house.order(OrderVerb.RETRY, ONE, reason="and again")

    house.until_quiet()

    # The first one started a run; the second was meant for the task as it was parked before.
    assert house.open().store.done_order(stale.id).outcome == "applied"
    (event,) = house.events("order.refused")
    assert event["message"].startswith(f"{ONE} has moved on since: it was blocked under epoch 1, and is ready")
    assert house.record(ONE).ordered.reason == "again"


def test_an_order_about_a_task_that_is_gone_meanwhile_is_refused():
    house = SimHouse().given(ONE)
    house.cycle()
    with house.busy():
        first, second = house.order(OrderVerb.CANCEL, ONE), house.order(OrderVerb.PARK, ONE)

    house.cycle()

    done = house.open().store.done_order
    assert (done(first.id).outcome, done(second.id).outcome) == ("applied", "refused")
    (event,) = house.events("order.refused")
    assert event["message"] == "TASK-0001 is cancelled, and stays so"


def test_a_broken_order_is_set_aside_and_keeps_nobody_up():
    house = SimHouse().given(ONE)
    house.state_files.write("inbox/orders/ORD-20260101T000000Z-00000000.json", b"{")

    house.until_quiet()

    assert house.state(ONE) == "integrated"
    assert house.events("state.set_aside")


# --- tasks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verb", "state"), [(OrderVerb.CANCEL, "cancelled"), (OrderVerb.PARK, "parked")])
def test_a_run_that_is_taken_out_is_ended_and_what_it_wrote_is_rescued(verb, state):
    house = SimHouse().given(ONE, owned=["a.txt"]).agent(ONE, [Move(writes={"a.txt": "half"})])
    house.cycle(work=False)
    house.orphan(ONE)  # its agent has written something, and lives

    answer = house.order(verb, ONE, reason="not now")

    assert answer.answer == f"{ONE} is {state}: not now; its run is ended and what it left is rescued"
    assert (house.state(ONE), house.lease(ONE), house.due()) == (state, None, [])
    assert house.until_quiet().states() == {ONE: state}
    (rescue,) = house.git.kept(f"refs/gluerun/rescue/{ONE}")
    assert house.files_at(rescue)["a.txt"] == "half"


def test_a_task_that_was_parked_by_a_person_says_so_and_goes_on_when_he_says_so():
    house = SimHouse().given(ONE)
    house.cycle(mode="apply")
    house.order(OrderVerb.PARK, ONE, reason="wait for the design")

    assert house.until_quiet().state(ONE) == "parked"
    assert board(house.open()).needs_you == (f"{ONE} is parked: parked by me@here: wait for the design",)

    house.order(OrderVerb.UNPARK, ONE, reason="The design is in docs/design.md.")

    assert house.until_quiet().state(ONE) == "integrated"
    assert "## What a person says about this try\nThe design is in docs/design.md.\n" in house.prompts(ONE)[0]


def test_a_parked_task_that_is_tried_again_is_told_the_reason_word_for_word():
    house = parked()

    house.order(OrderVerb.RETRY, ONE, reason="Write 'good', not 'bad'.")

    assert house.until_quiet().state(ONE) == "integrated"
    assert "Write 'good', not 'bad'." in house.prompts(ONE)[-1]
    assert "gate-red" in house.prompts(ONE)[-1]


def test_a_task_without_tries_needs_retry_or_fresh():  # A30
    house = parked()

    with pytest.raises(UsageError, match="out of tries: 2 are spent"):
        house.order(OrderVerb.UNPARK, ONE)

    house.order(OrderVerb.UNPARK, ONE, {"fresh": True})
    assert house.until_quiet().state(ONE) == "integrated"


def test_accepted_work_that_is_parked_is_not_lost():
    house = (
        SimHouse(auto_integrate=False).given(ONE, owned=["a.txt"]).agent(ONE, [Move(writes={"a.txt": "done"}), Move()])
    )
    house.until_quiet()
    assert house.state(ONE) == "accepted"

    house.order(OrderVerb.PARK, ONE)
    house.configure(auto_integrate=True).order(OrderVerb.UNPARK, ONE)
    house.until_quiet()

    assert (house.state(ONE), house.target_files()["a.txt"]) == ("integrated", "done")


def test_who_waited_for_a_superseded_task_runs_after_its_successor():
    house = SimHouse().given(ONE).given(TWO, depends_on=[ONE]).given(THREE).hold(ONE, THREE)
    house.cycle()

    house.order(OrderVerb.SUPERSEDE, ONE, {"by": THREE})
    house.release(THREE).until_quiet()

    assert house.states() == {ONE: "superseded", TWO: "integrated", THREE: "integrated"}
    assert house.record(ONE).superseded_by == THREE


def test_a_task_that_was_given_priority_is_started_first():
    house = SimHouse(max_concurrent=1).given(ONE).given(TWO)
    house.cycle(mode="apply")

    house.order(OrderVerb.REPRIORITIZE, TWO, {"priority": 5})
    house.cycle(work=False)

    assert house.states() == {ONE: "ready", TWO: "running"}


def test_a_priority_that_was_ordered_holds_until_the_file_gives_another_one():
    house = SimHouse().given(ONE).stop()
    house.cycle(mode="apply")
    house.order(OrderVerb.REPRIORITIZE, ONE, {"priority": 5})

    house.given(ONE, title="Other words").cycle(mode="apply")
    assert house.record(ONE).rank == 5

    house.given(ONE, title="Other words", priority=2).cycle(mode="apply")
    assert house.record(ONE).rank == 2


def test_a_provider_that_is_cleared_is_asked_again():
    house = SimHouse(runners={"agent": speaker(provider="anthropic")}, roles={"worker": "agent"}, require_audit=False)
    house.given(ONE, owned=["a.txt"]).agent(ONE, [refused(429, "limit"), Move(writes={"a.txt": "done"})])
    house.cycles(3)
    assert house.state(ONE) == "ready"

    assert house.order(OrderVerb.CLEAR_BACKOFF).answer == "anthropic may be asked again"

    assert house.until_quiet().state(ONE) == "integrated"


def test_only_reset_closes_an_open_breaker():  # C25
    house = SimHouse(max_retries=0, max_consec_fails=1).given(ONE).given(TWO, depends_on=[]).gate(lambda tree: 1)
    house.configure(max_concurrent=1)
    house.until_quiet()
    assert house.states() == {ONE: "parked", TWO: "ready"}

    assert auto.auto(house.open()).why.startswith("the breaker is open")
    house.order(OrderVerb.RESUME)
    assert auto.auto(house.open()).why.startswith("the breaker is open")
    house.order(OrderVerb.BREAKER_RESET)
    house.gate(lambda tree: 0)

    assert house.until_quiet().state(TWO) == "integrated"


# --- nothing by halves -----------------------------------------------------------------------------------

ASKED = [
    (OrderVerb.STOP, "", {}), (OrderVerb.RESUME, "", {}), (OrderVerb.WAKE, "", {}), (OrderVerb.BREAKER_RESET, "", {}),
    (OrderVerb.UNPARK, ONE, {"fresh": True}), (OrderVerb.RETRY, ONE, {}), (OrderVerb.CANCEL, ONE, {}),
    (OrderVerb.SUPERSEDE, ONE, {}), (OrderVerb.REPRIORITIZE, ONE, {"priority": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("verb", "about", "words"), ASKED, ids=str)
def test_a_dry_run_says_what_would_be_done_and_changes_no_byte(verb, about, words):
    house = parked()
    before = written(house)

    foretold = house.order(verb, about, words, reason="because", dry_run=True)

    assert written(house) == before
    assert (foretold.dry_run, foretold.applied) == (True, False)
    assert house.order(verb, about, words, reason="because").answer == foretold.answer


@pytest.mark.parametrize(
    ("verb", "about", "error", "code"),
    [
        (OrderVerb.PARK, ONE, DecidedError, 3),
        (OrderVerb.CANCEL, "TASK-0009", UsageError, 2),
        (OrderVerb.RETRY, "nonsense", UsageError, 2),
        (OrderVerb.CLEAR_BACKOFF, "", UsageError, 2),
    ],
)
def test_what_cannot_be_done_is_refused_at_once_and_nothing_is_written(verb, about, error, code):
    house = parked()
    before = written(house)

    with pytest.raises(error) as raised:
        house.order(verb, about)

    assert (raised.value.code, written(house)) == (code, before)


def kinds(house):
    """Return what the journal says, but that its torn end was cut off."""
    return [event["type"] for event in house.events() if event["type"] != "events.mended"]


@pytest.mark.parametrize(
    ("verb", "about", "words"),
    [(OrderVerb.STOP, "", {}), (OrderVerb.RETRY, ONE, {}), (OrderVerb.CANCEL, ONE, {})],
    ids=str,
)
def test_a_crash_anywhere_carries_an_order_out_once(verb, about, words):
    whole = parked()
    whole.fuse.names.clear()
    whole.fuse.count = 0
    whole.order(verb, about, words, reason="because")
    points = len(whole.fuse.names)
    told = kinds(whole)
    want = (whole.state(ONE), whole.record(ONE).tries, whole.open().store.is_stopped())

    assert points > 4
    for point in range(1, points + 1):
        house = parked()
        house.fuse.count = 0
        house.fuse.crash_at = frozenset([point])
        with pytest.raises(SimCrash):
            house.order(verb, about, words, reason="because")
        house.fuse.crash_at = frozenset()
        house.locks.crash()
        house.cycle(mode="recover")
        given = house.state_files.names("orders/done")
        assert house.state_files.names("inbox/orders") == []
        if given:
            assert (house.state(ONE), house.record(ONE).tries, house.open().store.is_stopped()) == want
            assert kinds(house) == told


def test_a_secret_in_a_reason_is_not_kept():
    house = SimHouse()
    secret = "AKIA" + "ABCDEFGHIJKLMNOP"

    house.order(OrderVerb.STOP, reason=f"the key is {secret}")

    assert not [path for path, data in house.state_files.files.items() if secret.encode() in data]

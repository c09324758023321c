"""Stories of the gates of the night: once a day, on the target as it is, and a person is told of a red one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.scenarios.backlogs import WorkingWatch

from gluerun.core.collecting import Kind
from gluerun.edge.gates import gates
from gluerun.edge.morning import report
from gluerun.edge.views import board, health
from gluerun.loop import auto
from gluerun.loop.collecting import collect
from gluerun.loop.proving import prove_now
from gluerun.records.dispatch import Role
from gluerun.records.gate import GateVerdict
from gluerun.records.order import OrderVerb
from gluerun.records.pipeline import NEVER, GateSpec, Occasion
from gluerun.testing import ROOT, SimHouse

ONE = "TASK-0001"
HOURS = 60.0


def house_of(**more):
    """A house in the afternoon, with one gate for each change and one for the night."""
    named = (GateSpec(name="unit", command="unit"), GateSpec(name="deep", command="deep", when=(Occasion.NIGHTLY,)))
    house = SimHouse(gate_command="", gates=named, **more).until_quiet()
    house.watch = WorkingWatch(house)
    return house


def night(house):
    return house.open().store.nightly()


def asked(house):
    return [event["data"]["run"] for event in house.events("nightly.asked")]


def test_the_gates_of_the_night_run_once_a_day_and_not_at_once():
    house = house_of().cycles(8, HOURS)
    assert (asked(house), night(house).result) == ([], None)

    house.cycles(8, HOURS)
    assert (len(asked(house)), night(house).result, night(house).head) == (1, GateVerdict.GREEN, house.git.head("main"))
    assert night(house).since.hour == 2

    house.cycles(48, HOURS)
    assert len(asked(house)) == 3  # the target has not moved: the world outside may have
    assert list(house.git.worktrees) == [ROOT]


def test_a_red_night_is_told_holds_nothing_up_and_is_forgotten_with_the_next_green_one():
    house = house_of(notify_command="tell").gate(lambda tree: (1, "unsafe: left-pad"), "deep").cycles(20, HOURS)
    named = house.config.gates

    (matter,) = [one for one in health(house.open()).matters if one.kind == "nightly"]
    assert "the gates of the night are red on main" in matter.words
    assert (matter.needs_you, matter.command) == (True, "gluerun gates")
    assert matter.words in board(house.open()).needs_you
    assert [row.result for row in gates(house.open(), 5).runs] == ["red"]
    page = report(house.open(), night(house).since)
    assert [(span.row, span.how) for span in page.timeline] == [("nightly", "failed")]
    assert house.given(ONE).until_quiet().state(ONE) == "integrated"
    assert len(house.events("nightly.red")) == 1
    assert [document["needs"] for _, document in house.messenger.sent if matter.words in document.get("needs", ())]

    house.configure(gates=house.config.gates[:1])
    assert not [one for one in health(house.open()).matters if one.kind == "nightly"]  # nothing will ever mend it
    house.configure(gates=named)

    house.gate(lambda tree: 0, "deep").cycles(24, HOURS)
    assert night(house).result is GateVerdict.GREEN
    assert not [one for one in health(house.open()).matters if one.kind == "nightly"]


@pytest.mark.parametrize("how", ["never", "stopped", "no gate"])
def test_nothing_is_asked_where_nobody_wants_it(how):
    house = house_of(**({"nightly_at": NEVER} if how == "never" else {}))
    if how == "stopped":
        house.order(OrderVerb.STOP)
    if how == "no gate":
        house.configure(gates=house.config.gates[:1])
    house.cycles(40, HOURS)
    assert asked(house) == []


def test_what_was_missed_while_nothing_ran_is_made_up_for_once():
    house = house_of()
    house.cycle(minutes=5 * 24 * HOURS)
    house.until_quiet()
    assert len(asked(house)) == 1


def test_a_clock_that_was_set_back_waits_for_a_night_of_its_own():
    house = house_of().cycles(20, HOURS)
    house.clock.tick(minutes=-48 * HOURS)
    house.until_quiet()
    assert (len(asked(house)), night(house).run) == (1, "")
    house.cycles(20, HOURS)
    assert len(asked(house)) == 2


def test_a_run_that_vanishes_is_asked_again_and_one_that_never_answers_is_told():
    house = house_of(worker_infra_max=2)
    house.cycles(13, HOURS)
    for _ in range(3):
        house.cycle(HOURS, work=False)
        house.processes.crash(night(house).run)
    house.until_quiet()
    assert (len(asked(house)), night(house).again, night(house).result) == (3, 2, GateVerdict.INCONCLUSIVE)
    (words,) = board(house.open()).needs_you
    assert "the gates of the night gave no answer on main" in words
    assert list(house.git.worktrees) == [ROOT]


def test_a_run_past_its_deadline_is_ended():
    house = house_of(worker_infra_max=0).cycles(13, HOURS)
    house.cycle(HOURS, work=False)
    run_id = night(house).run
    house.cycle(8 * HOURS, work=False)
    assert [event["data"]["run"] for event in house.events("run.stopped")] == [run_id]
    house.cycle(work=False)
    assert night(house).result is GateVerdict.INCONCLUSIVE


def test_a_loop_stays_until_the_night_is_over_and_ends_then():
    house = house_of().cycles(13, HOURS)
    house.clock.tick(minutes=2 * HOURS)
    ended = auto.auto(house.open())
    assert (night(house).result, len(asked(house))) == (GateVerdict.GREEN, 1)
    assert ended.why == "nothing is left to do"


def test_what_a_person_asks_by_hand_counts_for_this_night():
    house = house_of().gate(lambda tree: 1, "deep").cycles(13, HOURS)
    house.clock.tick(minutes=2 * HOURS)
    proved = prove_now(house.open(), Occasion.NIGHTLY)
    house.until_quiet()
    assert (night(house).run, night(house).result, asked(house)) == (proved.run, GateVerdict.RED, [])

    house.gate(lambda tree: 0, "deep")
    prove_now(house.open(), Occasion.NIGHTLY)
    assert board(house.open()).needs_you == ()


def test_a_drain_does_not_wait_for_the_night_and_takes_in_one_that_is_over():
    house = house_of().cycles(13, HOURS)
    house.cycle(2 * HOURS, work=False)
    assert night(house).is_running
    assert house.cycle(mode="drain", work=False).running == 0
    assert night(house).is_running

    house.let_work().cycle(mode="drain")
    assert night(house).result is GateVerdict.GREEN
    assert house.cycle(24 * HOURS, mode="drain").quiet  # and begins no other


def test_the_queue_goes_on_beside_the_night():
    house = house_of(gate_slots=1).cycles(13, HOURS)
    house.hold(None, role=Role.PROVER).cycle(2 * HOURS)
    house.given(ONE).colleague("c.txt", "hers")
    house.cycles(8)
    assert (house.state(ONE), night(house).is_running) == ("integrated", True)


def test_the_last_night_is_never_collected():
    house = house_of().cycles(16, HOURS)
    house.clock.tick(minutes=60 * 24 * HOURS)
    gone = [one.name for one in collect(house.open(), acting=False).given if one.kind is Kind.RUN]
    assert night(house).run not in gone
    assert timedelta(days=59) < house.clock.now() - night(house).since


def test_a_loop_whose_hours_are_over_takes_the_night_in_and_ends():
    house = house_of(max_hours=1).cycles(13, HOURS)
    house.clock.tick(minutes=2 * HOURS)
    house.watch = SlowNight(house)
    ended = auto.auto(house.open(), forever=True)
    assert (night(house).result, ended.cycles < 9) == (GateVerdict.GREEN, True), ended
    assert "hour" in ended.why


class SlowNight(WorkingWatch):
    """Waits more than an hour before it lets anybody work."""

    waited = 0

    def wait(self, run_ids, seconds):
        self.waited += 1
        assert self.waited < 20, "the loop spins"
        if self.waited == 1:
            self.house.clock.tick(minutes=61)
            return False
        return super().wait(run_ids, seconds)

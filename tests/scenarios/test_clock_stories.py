"""Stories about time: machines that boot, sleep or have their clock set, with runs and back-offs under way."""

from __future__ import annotations

import pytest

from gluerun.records.fault import Fault
from gluerun.records.origin import PlannerBackoff, ProviderBackoff
from gluerun.records.record import replace
from gluerun.records.runner import Limits
from gluerun.testing import Move, SimHouse, batch, markdown, refused, speaker

ONE, TWO = "TASK-0001", "TASK-0002"
DAYS = (-400, -3, 3, 400)


def under_way(**changes):
    """A house in which one task's worker is at work."""
    house = SimHouse(**changes).given(ONE).hold(ONE)
    house.cycle()
    house.processes.sign_in(house.lease(ONE).run_id)
    return house


def tried(house, task=ONE):
    """How many tries of a task were counted."""
    return house.record(task).tries


class TestBoot:
    def test_a_lease_of_the_boot_before_is_settled_at_once_and_its_task_done_again(self):
        house = under_way()
        first = house.lease(ONE)

        house.reboot().cycle(0, work=False)

        assert house.record(ONE).last_failure.reason == "the machine was restarted under the worker"
        assert house.lease(ONE).epoch == first.epoch + 1
        house.release(ONE).until_quiet()
        assert house.state(ONE) == "integrated"

    def test_what_a_worker_of_the_boot_before_left_whole_is_taken_in_and_not_done_again(self):  # A7
        house = under_way().release(ONE).let_work()

        house.reboot().until_quiet()

        assert (house.state(ONE), tried(house), len(house.prompts(ONE))) == ("integrated", 1, 1)

    def test_a_planner_of_the_boot_before_is_asked_again(self):
        text = markdown("TASK-9001", area="src", node="core", owned=["src/one"])
        house = SimHouse(planner_backoff_seconds=60).graph("core").planner("core", [batch(text)])
        house.cycle(work=False)

        house.reboot().until_quiet()

        assert house.state(ONE) == "integrated"


class TestSleep:
    def test_a_machine_that_slept_for_eight_hours_ends_no_healthy_worker(self):
        house = under_way(gate_timeout_sec=10, decider_timeout_sec=10, stale_minutes=1)
        length = house.lease(ONE).expires_at - house.lease(ONE).created_at

        house.clock.suspend(hours=length.total_seconds() / 3600 + 8)
        house.cycle(work=False)

        assert house.events("run.stopped") == []
        house.release(ONE).until_quiet()
        assert (house.state(ONE), tried(house)) == ("integrated", 1)

    def test_a_prover_is_not_late_because_the_machine_slept(self):
        house = SimHouse().given(ONE)
        house.cycle()
        house.colleague("b.txt", "hers")
        house.cycle(work=False)
        assert house.record(ONE).proof.state == "proving"
        house.processes.sign_in(house.record(ONE).proof.run_id)

        house.clock.suspend(hours=30)
        house.until_quiet()

        assert house.events("run.stopped") == []
        assert house.state(ONE) == "integrated"

    def test_a_worker_that_hangs_is_ended_after_its_own_hours_all_the_same(self):
        house = under_way()
        length = house.lease(ONE).expires_at - house.lease(ONE).created_at

        house.clock.suspend(hours=8)
        house.clock.tick(hours=length.total_seconds() / 3600)
        house.cycle(1, work=False)

        assert [event["data"]["task"] for event in house.events("run.stopped")] == [ONE]


class TestStep:
    @pytest.mark.parametrize("days", DAYS)
    def test_a_worker_under_way_is_neither_ended_nor_immortal(self, days):
        house = under_way()
        length = (house.lease(ONE).expires_at - house.lease(ONE).created_at).total_seconds()

        house.clock.step(days=days)
        house.cycle(1, work=False)
        assert house.events("run.stopped") == []

        house.clock.tick(seconds=length)
        house.cycle(1, work=False)
        assert [event["data"]["task"] for event in house.events("run.stopped")] == [ONE]

    @pytest.mark.parametrize("days", DAYS)
    def test_what_is_done_across_a_step_lands_once(self, days):
        house = under_way().given(TWO, depends_on=[ONE])

        house.clock.step(days=days)
        house.release(ONE).until_quiet()

        assert house.states() == {ONE: "integrated", TWO: "integrated"}
        assert tried(house) == 1

    @pytest.mark.parametrize("days", DAYS)
    def test_a_clock_that_is_set_while_an_agent_works_does_not_stop_the_loop_or_use_up_its_task(self, days):
        # A task with a negative sum of seconds could not be written: no cycle went through any more.
        house = SimHouse(limits_task=Limits(seconds=3600)).given(ONE)
        good = Move(writes={"src/TASK-0001.txt": "good"})
        house.agent(ONE, [replace(good, exit_code=1, act=lambda scene: house.clock.step(days=days)), good])

        house.until_quiet()

        assert (house.state(ONE), house.record(ONE).spent.seconds) == ("integrated", 0)

    def test_a_worker_that_never_signed_in_is_not_waited_for_by_a_clock_that_was_set_back(self):  # C11
        house = SimHouse().given(ONE)
        house.cycle(work=False)
        house.processes.crash(house.lease(ONE).run_id)

        house.clock.step(days=-3)
        house.cycle(0)

        assert tried(house) == 1

    def test_an_orphan_is_not_left_alone_for_days_by_a_clock_that_was_set_back(self):
        house = under_way(orphan_grace=300)
        house.orphan(ONE)
        house.cycle(1, work=False)
        assert house.lease(ONE).orphaned_since is not None

        house.clock.step(days=-3)
        house.cycle(0, work=False)
        assert house.events("run.stopped") == []
        house.cycle(6, work=False)

        assert len(house.events("run.stopped")) == 1

    @pytest.mark.parametrize("days", DAYS)
    def test_run_ids_stay_unique_and_epochs_grow(self, days):
        house = SimHouse(max_retries=5).given(ONE).agent(ONE, [Move(exit_code=1)] * 3 + [Move(writes={"a": "b"})])
        epochs, runs = [], []
        for _ in range(3):
            house.cycle(1, work=False)
            epochs.append(house.lease(ONE).epoch)
            runs.append(house.lease(ONE).run_id)
            house.processes.crash(runs[-1])
            house.clock.step(days=days)

        assert epochs == [1, 2, 3]
        assert len(set(runs)) == 3


class TestBackoff:
    def held(self):
        house = SimHouse(runners={"agent": speaker()}).given(ONE)
        house.agent(ONE, [refused(529, "Overloaded"), Move(writes={f"src/{ONE}.txt": "done"})])
        house.auditor(ONE, [])
        house.cycle(0)
        house.cycle(0, work=False)
        assert house.open().store.backoffs()
        return house

    @pytest.mark.parametrize("days", [-400, -3])
    def test_one_from_the_future_is_cut_down_to_its_own_length(self, days):
        house = self.held()
        before = next(iter(house.open().store.backoffs().values()))

        house.clock.step(days=days)
        house.cycle(0, work=False)

        after = next(iter(house.open().store.backoffs().values()))
        assert after.until - house.clock.now() == before.until - before.started_at
        assert len(house.prompts(ONE)) == 1, "nobody may be asked before it is over"
        assert [event["data"]["provider"] for event in house.events("backoff.shortened")] == [before.provider]
        house.cycle(0, work=False)
        assert len(house.events("backoff.shortened")) == 1

        house.cycle(2)
        assert len(house.prompts(ONE)) == 2

    def test_one_that_is_as_it_should_be_is_left_alone(self):
        house = self.held()
        before = house.open().store.backoffs()

        house.clock.tick(seconds=10)
        house.cycle(0, work=False)

        assert house.open().store.backoffs() == before
        assert house.events("backoff.shortened") == []

    def test_one_that_lasts_longer_than_any_can_is_cut_down(self):
        house = SimHouse(runners={"agent": speaker()})
        now = house.clock.now()
        house.open().store.put_provider_backoff(
            ProviderBackoff(
                provider="claude",
                fault=Fault.USAGE_LIMIT,
                reason="x",
                run_id="RUN-20260101T000000Z-00000000",
                started_at=now,
                until=now.replace(year=now.year + 5),
            )
        )

        house.cycle(0)

        assert (house.open().store.backoffs()["claude"].until - house.clock.now()).days == 7

    def test_planning_is_not_held_back_for_days(self):
        house = SimHouse(planner_backoff_seconds=60)
        now = house.clock.now()
        house.open().store.put_backoff(
            PlannerBackoff(
                failure_class="planner-failed",
                run_id="RUN-20260101T000000Z-00000000",
                node="core",
                log_ref="x",
                started_at=now,
                until=now.replace(minute=now.minute + 1),
            )
        )

        house.clock.step(days=-30)
        house.cycle(0)

        assert (house.open().store.backoff().until - house.clock.now()).total_seconds() == 60

"""A week in the life of a loop that nobody watches: what befalls it, hour by hour, and a person who answers late.

The world moves while the loop sleeps: `WeekWatch` lets the hours pass, the runs work, and what is due happen.
The same seed is the same week.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from tests.scenarios.crashes import _booked_once, _leavings, _lost, _once_each
from tests.scenarios.days import MENU, Days

from gluerun.edge.verifying import verify
from gluerun.edge.views import board, explain, health
from gluerun.errors import ConfigError, DecidedError, GluerunError, StateError, UsageError
from gluerun.loop.auto import auto
from gluerun.loop.resident import PATH as RESIDENT
from gluerun.loop.resident import resident
from gluerun.records import schema
from gluerun.records.approval import ApprovalState
from gluerun.records.child import How
from gluerun.records.config import ApprovalRule, AreaPolicy
from gluerun.records.dispatch import Role
from gluerun.records.order import OrderVerb
from gluerun.records.record import replace
from gluerun.sim.crash import SimCrash
from gluerun.sim.watch import SimWatch
from gluerun.testing import Move, batch, ended, markdown, refused

HOUR = 3600.0
WEEK = 7 * 24 * HOUR
# While somebody works the world moves in small steps, else from one event to the next.
_BUSY, _IDLE = 8 * 60.0, 45 * 60.0
# systemd starts a loop again that ended with an error, after a moment.
_AGAIN = 10 * 60.0
_OLD = "0.0.9"
PAID = ended(0.25)
REASON = "have another look at the gate"
# The nodes of the graph, and the tasks that their planners want.
NODES = {"core": (), "shell": ("core",), "docs": ("core",), "last": ("shell", "docs")}


class WeekWatch(SimWatch):
    """How the loop of that week sleeps: the world goes on, at its own pace."""

    def __init__(self, week: Week) -> None:
        super().__init__(week.house.clock)
        self.week = week
        self.is_acting = False

    def wait(self, run_ids, seconds):
        """Let time pass, the runs take a step, and what is due happen; a killed loop does not come back from here."""
        if self.is_acting:
            super().wait(run_ids, seconds)
            return
        self.is_acting = True
        try:
            self.week.pass_by(_BUSY if run_ids else max(seconds, _IDLE))
        finally:
            self.is_acting = False


class Week(Days):
    """One house for seven days, what befalls it when, and what it was asked to do."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.chance = random.Random(seed)
        house = self.house
        house.configure(max_hours=0.0, max_consec_fails=5, max_retries=2, worker_infra_max=2, orphan_grace=600,
                        roles={role.value: "agent" for role in (Role.WORKER, Role.AUDITOR, Role.PLANNER)})  # fmt: skip
        house.configure(area_policy={"shell": AreaPolicy(approve_plan=ApprovalRule.ALWAYS),
                                     "docs": AreaPolicy(approval=ApprovalRule.ALWAYS)})  # fmt: skip
        house.watch = WeekWatch(self)
        self.usual = house.config
        self.passed = 0.0
        self.edit: dict[str, object] | str | None = None
        self.killed = 0
        self.told: list[dict[str, object]] = []
        self.hits: list[Callable[[], None]] = []  # what happens as soon as somebody is at work
        self.found: tuple[tuple[str, str], ...] = ()
        self.refused: list[str] = []
        self.upgraded: list[str] = []
        house.graph(*({"id": one, "area": one, "depends_on": needs} for one, needs in NODES.items()))
        for node in NODES:
            self.plan_of(node)
        self.due = sorted(self.calendar(), key=lambda one: one[0])

    # what will happen when

    def calendar(self):
        """Return what will happen in these seven days: moments, and what happens then."""
        chance = self.chance
        often = lambda count, first=0.0, last=6.5: [chance.uniform(first, last) * 24 * HOUR for _ in range(count)]  # noqa: E731
        acts = [
            (often(8), self.add_tasks),
            (often(5), self.crash_a_worker),
            (often(4), self.kill_the_loop),
            (often(2), self.fill_the_disk),
            (often(2), lambda: self.befallen("reboot", lambda: self.reboot(hard=chance.random() < 0.5))),
            (often(3), lambda: self.step_clock(chance.choice([-30, -2, -0.1, 0.1, 2, 30]))),
            (often(1), lambda: self.suspend(chance.uniform(4, 10))),
            (often(3), lambda: self.colleague(chance.randint(1, 99))),
            (often(2), self.break_the_configuration),
            (often(2), self.park_something),
            (often(1), self.leave_something_unsaved),
            (often(1, 3.0, 4.0), lambda: self.hits.append(self.upgrade)),
        ]
        for day in range(7):
            yield day * 24 * HOUR + chance.uniform(7, 11) * HOUR, self.morning
        for moments, act in acts:
            yield from ((moment, act) for moment in moments)

    def later(self, hours: float, act) -> None:
        """Let something happen some hours from now."""
        self.due = sorted([*self.due, (self.passed + hours * HOUR, act)], key=lambda one: one[0])

    def pass_by(self, seconds: float) -> None:
        """Let time pass, up to the next event at most, and the world move."""
        if self.due:
            seconds = max(1.0, min(seconds, self.due[0][0] - self.passed))
        self.spend(seconds)
        self.step_runs()
        while self.due and self.due[0][0] <= self.passed:
            _, act = self.due.pop(0)
            act()
        if self.passed >= WEEK and not self.is_over:
            self.end_of_the_week()

    def spend(self, seconds: float) -> None:
        """Let time pass, and nothing else."""
        self.passed += seconds
        self.house.clock.tick(seconds=seconds)
        if seconds > 60:
            self.house.state_files.write_back()
            self.house.work_files.write_back()

    def step_runs(self) -> None:
        """Let each run that lives go on by one program."""
        for run in self.house.due():
            self.house._go_on(run)
        if self.hits and self.house.due():
            self.hits.pop(0)()

    # what befalls machine and programs

    def plan_of(self, node: str) -> None:
        """Say what the planner of a node does: it may be refused by its provider, or propose nonsense, at first."""
        good = batch(*(markdown(f"TASK-900{number}", area=node, node=node, owned=[f"{node}/{number}.txt"])
                       for number in range(1, self.chance.randint(1, 3) + 1)))  # fmt: skip
        odd = batch(markdown("TASK-9001", area="elsewhere", node=node, owned=["elsewhere/x"]))
        first = self.chance.choice([[], [refused(529, "Overloaded")], [odd], [Move(exit_code=1)], [self.window()]])
        self.house.planner(node, [*first, good])

    def window(self) -> Move:
        """Return the move of a program whose usage limit is reached: it opens again in some hours."""

        def say(scene):
            until = self.house.clock.now() + timedelta(hours=self.chance.randint(1, 5))
            scene.say(refused(429, "usage limit reached", resets_at=until, usd=0.1).says)

        return Move(act=say, says="\n", exit_code=1)

    def befallen(self, words: str, act) -> None:
        """Let the loop be killed by something that is done to its machine."""
        act()
        self.killed += 1
        raise SimCrash(words)

    def crash_a_worker(self) -> None:
        """Kill the next worker that there is, with or without all that it has started."""
        self.hits.append(lambda: self.kill_worker(self.chance.randint(0, 9), orphaned=self.chance.random() < 0.5))

    def kill_the_loop(self) -> None:
        """Kill the loop with the next things that it does, wherever it then is."""
        self._note("kill -9")
        fuse = self.house.fuse
        fuse.crash_at = frozenset({fuse.count + self.chance.randint(1, 60)})

    def fill_the_disk(self) -> None:
        """Let the disk be full for some hours."""
        self.disk_full(on=True)
        self.later(self.chance.uniform(0.5, 3), lambda: self.disk_full(on=False))

    def upgrade(self) -> None:
        """Install the next version: whoever works was started by the one before, and the loop is started anew."""
        store, files = self.house.open().store, self.house.state_files
        with self.house.fuse.out(), suppress(StateError):
            for run in self.house.due():
                if (asked := store.dispatch(run)) is not None:
                    files.write(f"runs/{run}/dispatch.json", schema.dump(replace(asked, engine_version=_OLD)))
                    self.upgraded.append(run)
            if (own := resident(files)) is not None:
                files.write(RESIDENT, schema.dump(replace(own, engine_version=_OLD)))
        seen = {one.run for one in board(self.house.open()).other_engines if one.who != "loop"}
        assert set(self.upgraded) <= seen | {run for run in self.upgraded if run not in self.house.due()}
        self.befallen("an upgrade", lambda: self._note(f"upgrade {self.upgraded}"))

    # what the person does

    def add_tasks(self) -> None:
        """Write some tasks at once."""
        for _ in range(self.chance.randint(1, 4)):
            self.add_a_task()

    def add_a_task(self) -> None:
        """Write a task that may need another one, and whose agent may have a bad day."""
        known = [int(one[5:]) for one in [*self.house.states(), *self.asked]]
        task = f"TASK-{max(known, default=0) + 1:04d}"
        kind = self.chance.choice([*MENU, "meets its limit"])
        needs = self.chance.choice([*self.asked, ""]) if self.chance.random() < 0.3 else ""
        self._note(f"new {task} {kind} {needs}")
        path, good = f"src/{task}.txt", Move(writes={f"src/{task}.txt": f"good {task}"}, says=PAID)
        self.asked[task] = kind
        self.house.given(task, owned=[path], depends_on=[needs] if needs else ())
        self.house.agent(task, {
            "plain": [good],
            "red once": [Move(writes={path: "bad"}, says=PAID), good],
            "dies once": [Move(exit_code=1), good],
            "says nothing": [Move(says="\n"), good],
            "strays": [Move(writes={path: "good", f"docs/{task}.txt": "stray"}), good],
            "is refused": [refused(529, "Overloaded"), refused(529, "Overloaded"), good],
            "is late": [Move(how=How.TIMED_OUT, exit_code=-9), good],
            "red for ever": [Move(writes={path: "bad"}, says=PAID)],
            "meets its limit": [self.window(), good],
        }[kind])  # fmt: skip

    def ask(self, verb: OrderVerb, subject: str = "", arguments=None, reason: str = "") -> None:
        """Type a verb; what cannot be done is said in a sentence."""
        self._note(f"{verb.value} {subject}")
        try:
            self.house.order(verb, subject, arguments, reason=reason)
        except (UsageError, DecidedError, StateError) as error:
            self.refused.append(error.message)

    def morning(self) -> None:
        """Look at what needs a person, and answer some hours later."""
        for habit in HABITS:
            self.later(self.chance.uniform(0.1, 6), lambda habit=habit: habit(self))

    def break_the_configuration(self) -> None:
        """Edit the configuration, and notice after an hour that it cannot be used."""
        self._note("the configuration is broken")
        self.edit = "line 3: this is no JSON"
        self.later(0.9, self.see_it_is_said)
        self.later(1, lambda: setattr(self, "edit", {"max_concurrent": self.chance.randint(2, 4)}))

    def see_it_is_said(self) -> None:
        """Look whether somebody would know by now."""
        loop = self.house.locks.loop
        if loop is not None and isinstance(self.edit, str) and (own := resident(self.house.state_files)):
            assert own.trouble == self.edit or self.house.state_files.fault is not None, own

    def park_something(self) -> None:
        """Take a task out, and give it back two days later."""
        ready = [task for task, state in self.house.states().items() if state in ("ready", "running", "accepted")]
        if ready:
            task = self.chance.choice(ready)
            self.ask(OrderVerb.PARK, task, reason="I want to look at it first")
            self.later(self.chance.uniform(20, 50), lambda: self.ask(OrderVerb.UNPARK, task, {"fresh": True}))

    def leave_something_unsaved(self) -> None:
        """Edit a file in the checkout, and throw the edit away the next morning."""
        soon = [task for task in self.asked if self.house.state(task) in ("unknown", "ready", "running")]
        if not soon and self.passed < WEEK:
            self.later(4, self.leave_something_unsaved)
        if not soon:
            return
        self._note(f"unsaved {soon[-1]}")
        self.house.dirty(f"src/{soon[-1]}.txt")
        self.later(self.chance.uniform(8, 14), self.house.clean)

    # the loop

    @property
    def is_over(self) -> bool:
        """Tell whether the person has asked the loop to end."""
        return self.passed >= WEEK and self.house.state_files.read("STOP") is not None

    def end_of_the_week(self) -> None:
        """Look at what needs attention while the loop is still there, once nothing moves; then ask it to end."""
        if self.passed >= 2 * WEEK:
            raise AssertionError(f"it never comes to rest: {self.house.states()}")
        if self.house.due() or self.due or self.house.state_files.fault is not self._honest:
            return
        page = health(self.house.open())
        passing = [one for one in page.matters if one.kind in ("back-off", "stuck", "breaker", "approval")]
        if passing and self.chance.random() < 0.1:  # some morning later
            closes_the_breaker(self)
            asks_for_plans_again(self)
            approves_a_day_late(self)
        store = self.house.open().store
        told = self.house.open().journal.last(1)
        was, self.told = self.told, told
        if page.loop and not passing and told == was and not store.leases()[0] and not store.node_leases()[0]:
            self.found = tuple((one.kind, one.about) for one in page.matters)
            self.ask(OrderVerb.STOP)

    def reopened(self):
        """Return the house as the configuration says it now; ConfigError while that cannot be used."""
        if isinstance(self.edit, str):
            raise ConfigError(self.edit)
        if self.edit is not None:
            self.house.configure(**self.edit)
        return self.house.open()

    def live(self) -> None:
        """Let a loop run for a week, started again whenever it was killed or failed."""
        while True:
            try:
                auto(self.house.open(), forever=True, reopen=self.reopened)
            except SimCrash:
                self.killed += 1
            except GluerunError as error:
                words = f"the loop ended: {error.message}"
                if self.steps[-1] != words:
                    self._note(words)
            else:
                if self.is_over:
                    return
            self.house.fuse.crash_at = frozenset()
            self.house.locks.crash()
            with suppress(SimCrash):  # whatever is killed meanwhile is no loop
                self.pass_by(_AGAIN)

    # what must hold

    def wrong(self) -> list[str]:
        """Return what is wrong at the end of the week."""
        house = self.house
        store = house.open().store
        faults = [*self.always(), *_once_each(house), *_leavings(house), *_lost(house), *_booked_once(house)]
        faults += [f"{one}" for one in verify(house.open(), ()).problems]
        parked = {task for task, state in house.states().items() if state == "parked"}
        for task, state in house.states().items():
            record = store.any_task(task)
            assert record is not None
            if state == "parked" and REASON in self.why(task):
                faults.append(f"{task} is parked, and the sentence is {self.why(task)!r}")
            if state == "parked" and not self.why(task):
                faults.append(f"{task} is parked, and nobody says why")
            if state not in ("integrated", "parked", "cancelled") and not (state == "ready" and self._waits(task)):
                faults.append(f"{task} is {state}")
        gone = parked | {task for task, state in house.states().items() if state == "cancelled"}
        ready = [task for task, state in house.states().items() if state == "ready"]
        waiting = {task for task in ready if gone & set(house.record(task).spec.depends_on)}
        wanted = {("parked", task) for task in parked} | {("waits", task) for task in waiting}
        # A node whose planner failed once too often has its sentence, and waits for somebody who types `gluerun plan`.
        wanted |= {("not-planned", one.node) for one in store.plan_notes().values() if one.is_parked}
        faults += [f"health names {one}" for one in self.found if one not in wanted]
        faults += [f"health does not name {one}" for one in sorted(wanted) if one not in self.found]
        faults += [f"{run} of the version before is still there" for run in self.upgraded if run in house.due()]
        faults += [f"{node} is not complete" for node in self.unfinished()]
        return faults

    def _waits(self, task: str) -> bool:
        """Tell whether a task waits for one that is parked or cancelled, however far away."""
        record = self.house.record(task)
        needs = record.spec.depends_on if record else ()
        return any(self.house.state(need) in ("parked", "cancelled") or self._waits(need) for need in needs)

    def why(self, task: str) -> str:
        """Return the sentence about a parked task."""
        return " ".join(one.words for one in explain(self.house.open(), task).reasons)

    def unfinished(self) -> list[str]:
        """Return the nodes that are not complete although every task of theirs is in the target."""
        store, found = self.house.open().store, []
        for node in NODES:
            records = [record for task in self.house.states() if (record := store.any_task(task))]
            own = [self.house.state(record.task_id) for record in records if record.spec.dag_node == node]
            if own and set(own) == {"integrated"} and self.house.node_file(node) is None:
                found.append(node)
        return found


# --- what the person does when he gets to it; each takes its own time of the day -----------------------------


def answers_for_what_is_parked(week: Week) -> None:
    """Give each parked task one more chance, with a reason; after that it is left, or given up."""
    for task, state in week.house.states().items():
        record = week.house.record(task)
        if state != "parked" or record is None or record.ordered is not None:
            continue
        if record.epoch < 3:
            week.ask(OrderVerb.RETRY, task, reason=REASON)
        elif week.chance.random() < 0.3:
            week.ask(OrderVerb.CANCEL, task, reason="not worth it")


def closes_the_breaker(week: Week) -> None:
    """Reset a breaker that has opened overnight."""
    if any(one.kind == "breaker" for one in health(week.house.open()).matters):
        week.ask(OrderVerb.BREAKER_RESET)


def asks_for_plans_again(week: Week) -> None:
    """Let providers be asked again that only a person can speak for."""
    if any(one.kind == "back-off" and one.needs_you for one in health(week.house.open()).matters):
        week.ask(OrderVerb.CLEAR_BACKOFF, "", {"all": True})


def approves_a_day_late(week: Week) -> None:
    """Answer what waits for an approval, or leave it for another day; now and then the answer is no."""
    for one in week.house.open().store.approvals()[0]:
        if one.state is ApprovalState.WAITING and week.chance.random() < 0.6:
            verb = OrderVerb.APPROVE if week.chance.random() < 0.8 else OrderVerb.REJECT
            week.ask(verb, one.task_id, {"request": one.id}, reason="I have looked at it")


HABITS = (answers_for_what_is_parked, closes_the_breaker, asks_for_plans_again, approves_a_day_late)

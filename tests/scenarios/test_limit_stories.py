"""Stories about providers that cannot be asked, limits that are used up, and what everything has cost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gluerun.core.backoff import tomorrow
from gluerun.core.outlook import outlook
from gluerun.edge.views import board, spendings
from gluerun.loop.observe import observe
from gluerun.records.dispatch import Role
from gluerun.records.fault import Fault, Limit
from gluerun.records.record import replace
from gluerun.records.runner import Limits, Price
from gluerun.records.spent import Spent
from gluerun.sim.crash import SimCrash
from gluerun.testing import Move, SimHouse, batch, decision, ended, markdown, refused, speaker, under_way, verdict

ONE, TWO = "TASK-0001", "TASK-0002"
FIVE = [f"TASK-000{number}" for number in range(1, 6)]
WALL = refused(429, "You've hit your usage limit")
OVERLOAD = refused(529, "Overloaded")
BAD_KEY = refused(401, "Invalid API key")


def house_of(**config: object) -> SimHouse:
    """A house whose worker and auditor are programs of two providers, and speak of limits and costs."""
    runners = {
        "agent": speaker(provider="anthropic"),
        "judge": speaker("judge", provider="openai"),
        "planner": speaker("planner", provider="google"),
    }
    roles = {Role.WORKER.value: "agent", Role.AUDITOR.value: "judge"}
    return SimHouse(runners=runners, roles=roles, **config)


def one_task(moves: list[Move], **config: object) -> SimHouse:
    return house_of(**config).given(ONE, owned=["a.txt"]).agent(ONE, moves)


def writes(text: str, **more: object) -> Move:
    return Move(writes={"a.txt": text}, **more)  # type: ignore[arg-type]


def world_of(house: SimHouse):
    return observe(house.open(), "ORIGIN-20260101T000000Z-1").world


def backoff_of(house: SimHouse, provider: str = "anthropic"):
    return house.open().store.backoffs().get(provider)


def sleep_until(house: SimHouse, moment) -> SimHouse:
    house.clock.tick(seconds=(moment - house.clock.now()).total_seconds())
    return house


def kept_text(house: SimHouse) -> str:
    """What the work says that waits for its auditor."""
    commit = house.git.commits[house.record(ONE).audit_sha]
    return house.git.trees[commit.tree]["a.txt"][1].decode()


def costs(house: SimHouse) -> dict[str, list[float | None]]:
    """What each booked run says that its programs cost."""
    return {one.run_id: [expense.usage.cost_usd for expense in one.expenses] for one in spendings(house.open())}


# --- providers that cannot be asked ----------------------------------------------------------------------


def test_an_edit_of_a_parked_task_gives_it_its_whole_limit_and_leaves_what_was_booked():
    moves = [writes("bad", says=ended(3.0)), writes("good", says=ended(2.0))]
    house = one_task(moves, limits_task=Limits(usd=2.5), limits_day=Limits(usd=99))
    house.until_quiet()
    assert (house.state(ONE), house.record(ONE).spent.usd) == ("parked", 3.0)

    house.given(ONE, owned=["a.txt"], title="once more").until_quiet()

    assert (house.state(ONE), house.record(ONE).spent.usd) == ("integrated", 2.0)
    assert sorted(cost for run in costs(house).values() for cost in run) == [0.0, 2.0, 3.0]
    assert world_of(house).spent_today.usd == 5.0


def test_a_file_that_was_only_touched_gives_no_new_limit():
    house = one_task([writes("bad", says=ended(3.0))], limits_task=Limits(usd=2.5)).until_quiet()

    house.given(ONE, owned=["a.txt"]).until_quiet()

    assert (house.state(ONE), house.record(ONE).spent.usd) == ("parked", 3.0)


def test_a_usage_limit_costs_no_try_and_the_task_goes_on_when_the_provider_opens_again():
    house = one_task([replace(WALL), writes("good")])
    opens = house.clock.now() + timedelta(hours=5)
    house.agent(ONE, [refused(429, "You've hit your usage limit", resets_at=opens), writes("good")]).until_quiet()

    assert (house.state(ONE), house.record(ONE).tries, house.lease(ONE)) == ("ready", 0, None)
    assert (backoff_of(house).fault, backoff_of(house).until) == (Fault.USAGE_LIMIT, opens)
    assert world_of(house).circuit is None
    assert outlook(world_of(house), 5.0).over == ""
    assert len(house.processes.started) == 1
    assert sleep_until(house, opens).until_quiet().state(ONE) == "integrated"
    assert (house.record(ONE).tries, len(house.prompts(ONE))) == (1, 2)


def test_a_back_off_is_on_the_board_with_its_reason_and_its_end():
    house = one_task([WALL]).until_quiet()

    seen = board(house.open())
    (held,) = seen.backoffs

    assert (held.provider, held.fault) == ("anthropic", "usage-limit")
    assert "You've hit your usage limit" in held.reason
    assert [line.status for line in seen.tasks] == ["waiting"]
    assert "anthropic is held back until 2026-01-01 12:" in seen.tasks[0].reason
    assert seen.needs_you == ()


def test_a_back_off_outlives_the_machine():
    house = one_task([WALL, writes("good")]).until_quiet()
    house.power_off().reboot().until_quiet()

    assert len(house.processes.started) == 1
    assert sleep_until(house, backoff_of(house).until).until_quiet().state(ONE) == "integrated"


def test_a_worker_that_vanishes_after_the_limit_leaves_it_to_the_next_to_say_so_again():
    house = one_task([WALL, WALL, writes("good")]).hold(ONE)
    house.cycle()
    house.crash(ONE).release(ONE).until_quiet()

    assert (house.state(ONE), backoff_of(house).times, house.record(ONE).tries) == ("ready", 1, 1)
    assert sleep_until(house, backoff_of(house).until).until_quiet().state(ONE) == "integrated"


def test_a_held_provider_holds_nobody_elses_roles():
    house = one_task([writes("good")]).graph("core")
    house.configure(roles=house.config.roles | {"planner": "planner"}).planner("core", [WALL])
    house.given(ONE, status="blocked").cycles(3)
    assert (len(house.prompts("core", Role.PLANNER)), backoff_of(house, "google").times) == (1, 1)

    house.given(ONE, owned=["a.txt"]).until_quiet()

    assert house.state(ONE) == "integrated"
    assert len(house.prompts("core", Role.PLANNER)) == 1


def test_five_workers_that_hit_the_wall_at_once_are_one_back_off():
    house = house_of()
    for task_id in FIVE:
        house.given(task_id, depends_on=[]).agent(task_id, [WALL, Move(writes={f"src/{task_id}.txt": "done"})])
    house.until_quiet()

    assert len(house.processes.started) == 5
    assert (len(house.open().store.backoffs()), backoff_of(house).times) == (1, 1)
    assert world_of(house).circuit is None
    assert set(sleep_until(house, backoff_of(house).until).until_quiet().states().values()) == {"integrated"}
    assert [house.record(task_id).tries for task_id in FIVE] == [1] * 5


def test_an_overload_is_waited_for_twice_as_long_each_time():  # A33
    house = one_task([OVERLOAD, OVERLOAD, OVERLOAD, writes("good")])
    waits = []
    while house.cycle(0).running or house.state(ONE) != "integrated":
        if (held := backoff_of(house)) is not None and held.until > house.clock.now():
            waits.append((held.times, (held.until - held.started_at).total_seconds()))
            sleep_until(house, held.until)

    assert waits == [(1, 60), (2, 120), (3, 240)]
    assert house.record(ONE).tries == 1
    assert backoff_of(house) is None


def test_an_answer_in_between_ends_the_doubling():
    house = one_task([WALL, writes("bad"), WALL, writes("good")])
    house.gate(lambda tree: int(tree.get("a.txt") == "bad")).until_quiet()
    assert sleep_until(house, backoff_of(house).until).cycles(2, minutes=0).state(ONE) == "ready"

    assert (backoff_of(house).times, house.record(ONE).tries) == (1, 1)
    assert sleep_until(house, backoff_of(house).until).until_quiet().state(ONE) == "integrated"


def test_a_bad_key_needs_somebody_and_is_over_with_another_configuration():
    house = one_task([BAD_KEY, writes("good")]).until_quiet()

    (asked,) = board(house.open()).needs_you
    assert asked.startswith("anthropic: the worker agent (exit 1): its key is refused")
    assert len(house.cycles(3).processes.started) == 1
    assert house.configure(sha256="1" * 64).until_quiet().state(ONE) == "integrated"
    assert board(house.open()).needs_you == ()


def test_a_key_that_is_still_bad_after_an_edit_does_not_start_run_after_run():
    house = one_task([BAD_KEY]).until_quiet()

    house.configure(sha256="1" * 64).until_quiet()

    assert len(house.processes.started) == 2
    assert len(board(house.open()).needs_you) == 1


# --- work that waits for its auditor, planners and deciders ----------------------------------------------


def test_work_whose_auditor_cannot_be_asked_is_kept_and_only_audited_later():
    house = one_task([writes("good")]).auditor(ONE, [WALL, verdict("accepted")]).until_quiet()

    task = house.record(ONE)
    assert (house.state(ONE), task.tries, kept_text(house)) == ("ready", 0, "good")
    assert sleep_until(house, backoff_of(house, "openai").until).until_quiet().state(ONE) == "integrated"
    assert (len(house.prompts(ONE)), len(house.prompts(ONE, Role.AUDITOR))) == (1, 2)
    assert (house.record(ONE).tries, house.target_files()["a.txt"]) == (1, "good")


def test_work_that_waits_for_its_auditor_lands_on_a_target_that_moved_meanwhile():
    house = one_task([writes("good")]).auditor(ONE, [WALL, verdict("accepted")]).until_quiet()
    house.colleague("b.txt", "hers")

    sleep_until(house, backoff_of(house, "openai").until).until_quiet()

    assert (house.state(ONE), len(house.prompts(ONE))) == ("integrated", 1)
    assert {"a.txt": "good", "b.txt": "hers"}.items() <= house.target_files().items()


def test_work_that_waits_for_its_auditor_and_was_overtaken_goes_back_with_both_sides():
    house = one_task([writes("mine"), writes("both")]).auditor(ONE, [WALL, verdict("accepted")]).until_quiet()
    house.colleague("a.txt", "hers")

    sleep_until(house, backoff_of(house, "openai").until).until_quiet()

    assert (house.state(ONE), house.target_files()["a.txt"], len(house.prompts(ONE))) == ("integrated", "both", 2)


def test_an_auditor_that_is_held_twice_still_judges_the_same_work():
    house = one_task([writes("good")]).auditor(ONE, [WALL, WALL, verdict("accepted")]).until_quiet()
    first = kept_text(house)
    sleep_until(house, backoff_of(house, "openai").until).until_quiet()

    assert (first, kept_text(house)) == ("good", "good")
    assert sleep_until(house, backoff_of(house, "openai").until).until_quiet().state(ONE) == "integrated"
    assert (len(house.prompts(ONE)), house.record(ONE).tries) == (1, 1)


def test_what_waits_for_its_auditor_is_found_even_if_the_run_that_was_to_ask_him_never_started():
    house = one_task([writes("good", answer={"summary": "did it"})])
    house.auditor(ONE, [WALL, verdict("accepted")]).until_quiet()
    sleep_until(house, backoff_of(house, "openai").until)

    def dies(_, name):
        wanted = name.startswith("state before write runs/") and "dispatch.json" in name
        return SimCrash(name) if wanted else None

    house.fuse.chooses = dies
    with pytest.raises(SimCrash):
        house.cycle(work=False)
    house.fuse.chooses = None
    house.locks.crash()

    house.until_quiet()

    packet = house.open().store.document(house.record(ONE).run_id, "packet.json")
    assert (house.state(ONE), packet["summary"], len(house.prompts(ONE))) == ("integrated", "did it", 1)


def test_a_task_that_is_edited_while_its_work_waits_is_done_anew():
    house = one_task([writes("old"), writes("new")]).auditor(ONE, [WALL, verdict("accepted")]).until_quiet()
    house.given(ONE, owned=["a.txt"], title="Something else")

    sleep_until(house, backoff_of(house, "openai").until).until_quiet()

    assert (house.state(ONE), house.target_files()["a.txt"], len(house.prompts(ONE))) == ("integrated", "new", 2)


def test_a_planner_whose_provider_is_held_plans_later_and_has_not_failed():
    text = markdown("TASK-9001", area="src", node="core", owned=["src/x.txt"])
    house = house_of().graph("core")
    house.configure(roles=house.config.roles | {"planner": "planner"}).planner("core", [WALL, batch(text)])
    house.until_quiet()

    assert (len(house.prompts("core", Role.PLANNER)), house.states()) == (1, {})
    assert (world_of(house).backoff, world_of(house).circuit, house.events("planner.failed")) == (None, None, [])
    assert outlook(world_of(house), 5.0).over == ""
    sleep_until(house, backoff_of(house, "google").until).cycles(12)
    assert house.state(ONE) == "integrated"


def test_a_failure_that_no_decider_could_be_asked_about_counts_and_goes_into_the_next_try():
    house = one_task([writes("one"), writes("two")]).auditor(ONE, [verdict("blocked"), verdict("accepted")])
    house.configure(roles=house.config.roles | {"decider": "planner"}).decider(ONE, [WALL])
    house.cycle()
    house.cycle(work=False)

    task = house.record(ONE)
    assert (task.tries, task.last_failure.failure_class, backoff_of(house, "google").times) == (1, "audit-blocked", 1)
    assert (house.until_quiet().state(ONE), house.record(ONE).tries) == ("integrated", 2)
    assert "it is blocked" in house.prompts(ONE)[1]


def test_a_decider_that_is_never_there_parks_the_task_when_its_tries_are_spent():
    house = one_task([writes("one"), writes("two")], max_retries=1).auditor(ONE, [verdict("blocked")])
    house.configure(roles=house.config.roles | {"decider": "planner"}).decider(ONE, [WALL]).until_quiet()

    assert (house.state(ONE), house.record(ONE).tries) == ("parked", 2)


# --- limits ----------------------------------------------------------------------------------------------


def turned_out(text: str, usd: float = 0.0) -> Move:
    """A worker that wrote something and was stopped by its own limit of turns."""
    said = ended(usd, subtype="error_max_turns", is_error=True, result="Reached max turns")
    return Move(writes={"a.txt": text, "b.txt": text}, says=said, exit_code=1)


def test_a_limit_rescues_what_the_try_wrote_and_the_next_one_starts_at_the_base():  # FR-043
    seen = []
    good = Move(writes={"a.txt": "good"}, act=lambda scene: seen.append(sorted(scene.tree())))
    house = one_task([turned_out("half"), good]).until_quiet()

    assert (house.state(ONE), house.record(ONE).tries, seen) == ("integrated", 2, [["README.md", "a.txt"]])
    kept = [house.files_at(ref).get("b.txt") for ref in house.git.kept(f"refs/gluerun/rescue/{ONE}")]
    assert "half" in kept
    assert "limit-reached" in house.prompts(ONE)[1]
    assert next(one.limit for one in spendings(house.open())[0].expenses) is Limit.TURNS


def test_limits_without_end_park_the_task():
    house = one_task([turned_out("half")], max_retries=1).decider(ONE, [decision("retry")]).until_quiet()

    assert (house.state(ONE), house.record(ONE).tries) == ("parked", 2)
    assert house.record(ONE).last_failure.failure_class == "limit-reached"


def test_a_task_that_has_used_up_its_limit_is_parked_before_another_program_starts():
    house = one_task([writes("bad", says=ended(3.0)), writes("good")], limits_task=Limits(usd=2.5))
    house.gate(lambda tree: int(tree.get("a.txt") == "bad")).until_quiet()

    assert (house.state(ONE), len(house.prompts(ONE)), house.record(ONE).spent.usd) == ("parked", 1, 3.0)
    assert "the task's limit of $2.5 is used up" in board(house.open()).needs_you[0]


def test_the_limit_of_a_task_counts_what_its_earlier_runs_have_spent():
    first = refused(429, "Too many requests", usd=2.0)
    house = one_task([first, writes("bad", says=ended(0.75)), writes("good")], limits_task=Limits(usd=2.5))
    house.gate(lambda tree: int(tree.get("a.txt") == "bad")).until_quiet()
    sleep_until(house, backoff_of(house).until).until_quiet()

    assert (house.state(ONE), len(house.prompts(ONE)), house.record(ONE).spent.usd) == ("parked", 2, 2.75)


def test_a_day_that_is_spent_starts_nobody_and_the_next_day_goes_on():
    house = one_task([writes("good", says=ended(4.0))], limits_day=Limits(usd=3.5)).until_quiet()
    house.given(TWO).until_quiet()

    assert house.states() == {ONE: "integrated", TWO: "ready"}
    assert "the day's limit of $3.5 is used up; it goes on at 2026-01-02 00:00Z" in board(house.open()).tasks[0].reason
    assert outlook(world_of(house), 5.0).over == ""
    assert sleep_until(house, tomorrow(house.clock.now())).until_quiet().state(TWO) == "integrated"


@pytest.mark.parametrize(
    ("shown", "state"),
    [(b"00000000000003500000 0 0\n", "ready"), (b"00000000000003400000 0 0\n", "integrated"), (b"nonsense", "ready")],
)
def test_what_programs_have_counted_today_holds_everybody_back_before_it_is_booked(shown, state):
    house = one_task([writes("good")], limits_day=Limits(usd=3.5))
    house.state_files.write("meters/2026-01-01", shown)

    assert house.until_quiet().state(ONE) == state


def test_without_a_limit_for_the_day_nobody_looks_at_what_was_spent():
    house = one_task([writes("good", says=ended(4.0))]).until_quiet()
    house.state_files.write("meters/2026-01-01", b"nonsense")

    assert world_of(house).spent_today == Spent()


# --- what it cost ----------------------------------------------------------------------------------------


def test_every_run_is_booked_once_however_it_ended():
    judge = replace(verdict("accepted"), says=ended(0.25))
    house = one_task(
        [refused(429, "Too many requests", usd=0.5), writes("bad", says=ended(1.0)), writes("good", says=ended(2.0))]
    )
    house.auditor(ONE, [judge]).gate(lambda tree: int(tree.get("a.txt") == "bad")).until_quiet()
    sleep_until(house, backoff_of(house).until).until_quiet()

    first, second = house.processes.started[:2]
    assert costs(house) == {first: [0.5], second: [1.0, 2.0, 0.25]}
    assert house.record(ONE).spent.usd == pytest.approx(3.75)


def test_a_failed_run_is_booked():
    house = one_task([writes("bad", says=ended(1.0))], max_retries=0).gate(lambda tree: 1).until_quiet()

    assert (house.state(ONE), list(costs(house).values()), house.record(ONE).spent.usd) == ("parked", [[1.0]], 1.0)


def test_what_a_vanished_worker_had_used_is_read_from_its_log():
    half = under_way(tokens=1_000_000, model="small-one")
    prices = {"small": Price(fresh=3.0, cached=0.3, output=15.0)}
    house = one_task([writes("half", says=half), writes("good", says=ended(2.0))], prices=prices).hold(ONE)
    house.cycle()
    vanished = house.lease(ONE).run_id
    house.crash(ONE).release(ONE).until_quiet()

    assert costs(house)[vanished] == [pytest.approx(3.0, abs=0.001)]
    assert house.record(ONE).spent.usd == pytest.approx(5.0, abs=0.001)
    (expense,) = next(one.expenses for one in spendings(house.open()) if one.run_id == vanished)
    assert (expense.fault, expense.model, expense.usage.estimated) == (Fault.KILLED, "small-one", True)


def test_what_planners_cost_is_booked_with_their_node():
    text = markdown("TASK-9001", area="src", node="core", owned=["src/x.txt"])
    house = house_of().graph("core")
    house.configure(roles=house.config.roles | {"planner": "planner"})
    planner = [refused(429, "Too many requests", usd=0.125), replace(batch(text), says=ended(0.5))]
    house.planner("core", planner).until_quiet()
    sleep_until(house, backoff_of(house, "google").until).cycles(12)

    booked = [one for one in spendings(house.open()) if one.node == "core" and one.task_id is None]
    assert [expense.usage.cost_usd for one in booked for expense in one.expenses] == [0.125, 0.5]
    assert house.state(ONE) == "integrated"


def test_a_crash_while_costs_are_booked_books_them_once():
    story = [
        refused(429, "Too many requests", usd=0.5),
        writes("bad", says=ended(1.0)),
        writes("good", says=ended(2.0)),
    ]

    def told(crash_at: int | None) -> tuple[object, ...]:
        house = one_task(story, max_retries=4).gate(lambda tree: int(tree.get("a.txt") == "bad"))
        house.auditor(ONE, [verdict("accepted")])
        house.cycle()
        house.fuse.count = 0
        house.fuse.names.clear()
        house.fuse.crash_at = frozenset([crash_at] if crash_at else [])
        try:
            house.cycle(work=False)
        except BaseException as crash:
            if type(crash).__name__ != "SimCrash":
                raise
            house.locks.crash()
        points, house.fuse.crash_at = house.fuse.count, frozenset()
        house.until_quiet()
        sleep_until(house, house.clock.now() + timedelta(hours=1)).until_quiet()
        return (
            points,
            house.state(ONE),
            house.record(ONE).tries,
            round(house.record(ONE).spent.usd, 6),
            len(costs(house)),
        )

    points, *plain = told(None)
    assert plain == ["integrated", 2, 3.5, 2]
    assert isinstance(points, int)
    assert points > 10
    assert [told(number)[1:] for number in range(1, points + 1)] == [tuple(plain)] * points

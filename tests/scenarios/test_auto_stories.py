"""Stories about a resident loop that nobody watches: edited settings, budgets, and whom it tells."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gluerun.edge.views import board
from gluerun.errors import ConfigError, FullDiskError
from gluerun.loop.auto import auto
from gluerun.loop.house import kept_config
from gluerun.loop.resident import resident
from gluerun.records.dispatch import Role
from gluerun.records.pipeline import GateSpec, Occasion
from gluerun.records.task import Status
from gluerun.testing import Move, SimHouse, ended, markdown, speaker

ONE, TWO, THREE = "TASK-0001", "TASK-0002", "TASK-0003"
GOES_WRONG = [Move(exit_code=1)]


class Edited:
    """A configuration that is edited while the loop runs: *edits* say what is found before which cycle."""

    def __init__(self, house, **edits):
        self.house = house
        self.edits = {int(number.removeprefix("before_")): edit for number, edit in edits.items()}
        self.cycle = 0

    def __call__(self):
        self.cycle += 1
        edit = self.edits.get(self.cycle)
        if isinstance(edit, str):
            raise ConfigError(edit)
        if edit is None:
            return None
        self.house.configure(**edit)
        return self.house.open()


def run(house, **how):
    """Let a resident loop run, and its workers work."""
    return auto(house.open(), tell=lambda report, world: house.let_work(), **how)


def three(**config):
    house = SimHouse(**config)
    for number, name in enumerate((ONE, TWO, THREE)):
        house.given(name, owned=[f"{number}.txt"])
    return house


def test_a_changed_configuration_is_used_from_the_next_cycle_on():  # A50
    house = three(max_concurrent=1, sleep=1.0)
    reopen = Edited(house, before_2={"max_concurrent": 5})

    run(house, reopen=reopen)

    starts = [event["ts"] for event in house.events("origin.dispatch")]
    assert len(starts) == 3
    assert starts[1] == starts[2] > starts[0]
    assert len(house.events("config.changed")) == 1


def test_an_invalid_one_changes_nothing_and_status_says_so_until_it_is_mended():
    house = three(max_concurrent=1)
    house.hold(ONE)
    seen = []
    reopen = Edited(house, before_2="line 3: this is no JSON", before_3="line 3: this is no JSON", before_4={})

    def look(report, world):
        house.let_work()
        seen.append([need for need in board(house.open()).needs_you if "configuration" in need])
        if len(seen) == 5:
            house.release(ONE)

    ended = auto(house.open(), tell=look, reopen=reopen)

    said = "the configuration is not used, the last good one is: line 3: this is no JSON"
    assert seen[:4] == [[], [said], [said], []]
    assert len(ended.integrated) == 3
    assert len(house.events("config.refused")) == 1
    assert board(house.open()).needs_you == ()


@pytest.mark.parametrize("edit", [{"target_branch": "elsewhere"}, {"control_state": "off"}])
def test_what_a_loop_was_started_for_cannot_change_under_it(edit):
    house = three()
    before = house.config
    reopen = Edited(house, before_2=edit)
    said = []

    def look(report, world):
        house.config = before  # nobody but the loop is asked
        house.let_work()
        said.extend(board(house.open()).needs_you)

    ended = auto(house.open(), tell=look, reopen=reopen)

    assert len(ended.integrated) == 3
    assert "cannot change under a living loop" in said[0]


def test_a_loop_says_by_which_settings_it_works_and_keeps_them():
    house = three()

    run(house)

    kept = resident(house.state_files)
    assert kept_config(house.state_files, kept.config_sha256) == house.config
    assert [event["type"] for event in house.events("autonomate.started") + house.events("autonomate.exited")] == [
        "autonomate.started",
        "autonomate.exited",
    ]


def test_a_full_disk_does_not_end_a_loop_that_nobody_watches():
    house = three()
    said, room = [], []

    def full(number, name):
        is_full = name.startswith(("state before write", "state before append")) and house.clock.now() < room[0]
        return FullDiskError("cannot write: no space left on device") if is_full else None

    def fill(report, world):
        house.let_work()
        if not room:
            room.append(house.clock.now() + timedelta(minutes=20))
            house.fuse.chooses = full

    ended = auto(house.open(), tell=fill, complain=said.append)

    assert said == ["cannot write: no space left on device; the loop waits until there is room"]
    assert house.clock.now() >= room[0]
    assert len(ended.integrated) == 3


def test_a_full_disk_does_not_hold_a_loop_beyond_its_hours():
    house = three(max_hours=1.0)

    def fill(report, world):
        house.fuse.chooses = lambda number, name: (
            FullDiskError("full") if name.startswith("state before write") else None
        )

    with pytest.raises(FullDiskError):
        auto(house.open(), tell=fill)


# --- budgets ---------------------------------------------------------------------------------------------


def test_no_more_tasks_are_started_than_the_budget_has():
    house = three(max_tasks=2)

    ended = run(house)

    assert (ended.why, ended.integrated) == ("its 2 tasks are done", (ONE, TWO))
    assert house.state(THREE) == "ready"


def test_a_task_of_the_budget_is_tried_again():
    house = three(max_tasks=1)
    house.agent(ONE, [Move(exit_code=1), Move(writes={"0.txt": "good"})])

    ended = run(house)

    assert (ended.why, ended.integrated) == ("its 1 tasks are done", (ONE,))


def test_a_loop_whose_money_is_spent_ends_what_runs_and_starts_nothing():
    runners = {"agent": speaker(provider="anthropic"), "judge": speaker("judge", provider="openai")}
    roles = {Role.WORKER.value: "agent", Role.AUDITOR.value: "judge"}
    house = three(max_usd=1.0, max_concurrent=1, runners=runners, roles=roles)
    for number, name in enumerate((ONE, TWO, THREE)):
        house.agent(name, [Move(writes={f"{number}.txt": "good"}, says=ended(0.6))])

    done = run(house)

    assert done.why == "its $1 are spent"
    assert set(done.integrated) == {ONE, TWO}
    assert house.state(THREE) == "ready"


# --- the breaker -----------------------------------------------------------------------------------------


def test_new_tasks_do_not_close_the_breaker():  # the predecessor's own later rule: planning is no progress
    house = SimHouse(max_consec_fails=2, max_retries=0)
    for number in range(1, 6):
        name = f"TASK-{number:04d}"
        house.given(name, owned=[f"src/{number}.txt"]).agent(name, GOES_WRONG)
        house.cycle()

    assert "the breaker is open" in house.cycle().dispatch_gate
    assert list(house.states().values()) == ["parked", "parked", "ready", "ready", "ready"]


def test_a_restart_does_not_close_the_breaker():  # C25
    house = three(max_consec_fails=1, max_retries=0, max_concurrent=1)
    house.agent(ONE, GOES_WRONG)
    first = run(house)
    second = run(house)

    assert "the breaker is open" in first.why
    assert "the breaker is open" in second.why
    assert house.state(TWO) == "ready"


# --- a person is told ------------------------------------------------------------------------------------


def parks(**config):
    house = SimHouse(max_retries=0, max_consec_fails=9, **config)
    return house.given(ONE, owned=["a.txt"]).agent(ONE, GOES_WRONG)


def told(house, event):
    return [(where, document) for where, document in house.messenger.sent if document["event"] == event]


def test_what_needs_a_person_is_told_once_and_so_is_the_end():
    house = parks(notify_command="mail ann", notify_webhook="https://hooks.example/x")

    for _ in range(3):
        run(house)

    needs = told(house, "needs-you")
    assert [where for where, _ in needs] == ["mail ann", "https://hooks.example/x"]
    assert needs[0][1]["needs"][0].startswith("TASK-0001 is parked")
    assert [document["parked"] for _, document in told(house, "ended")] == [[ONE]] * 6


def test_a_need_that_comes_back_is_told_again():
    house = parks(notify_command="mail ann")
    run(house)
    house.task_file(ONE, markdown(ONE, owned=["a.txt"], title="another try")).agent(
        ONE, [Move(writes={"a.txt": "x"}), *GOES_WRONG]
    )
    run(house)
    assert house.record(ONE) is None or house.state(ONE) == "integrated"

    house.given(TWO, owned=["b.txt"]).agent(TWO, GOES_WRONG)
    run(house)

    assert [document["needs"][0][:9] for _, document in told(house, "needs-you")] == [ONE, TWO]


def test_nobody_is_told_anything_unless_asked():
    house = parks()

    run(house)

    assert house.messenger.sent == []
    assert house.state_files.read("notices.json") is None


def test_a_messenger_that_fails_changes_nothing_but_the_journal():
    silent, house = parks(), parks(notify_command="mail ann")
    house.messenger.fails = "the command ended with 1"

    run(silent)
    run(house)
    run(house)

    assert house.states() == silent.states()
    assert len(house.events("notification.failed")) == 1 + 2
    assert house.record(ONE).status is Status.BLOCKED


def test_a_crash_between_writing_down_and_telling_tells_it_all_the_same():
    house = parks(notify_command="mail ann")
    house.cycles(3)
    assert len(told(house, "needs-you")) == 1

    # As a crash leaves it: written down, and not told.
    data = (
        house.state_files.read("notices.json")
        .replace(b'"told"', b'"x"')
        .replace(b'"due"', b'"told"')
        .replace(b'"x"', b'"due"')
    )
    house.state_files.write("notices.json", data)
    house.cycle()

    assert len(told(house, "needs-you")) == 2
    house.cycle()
    assert len(told(house, "needs-you")) == 2


MERGES = (GateSpec(name="merged", command="check", when=(Occasion.MERGE,)),)


def test_a_proof_takes_the_run_that_stands_by_and_nobody_stands_by_afterwards():
    house = SimHouse(gate_command="", gates=MERGES).given(ONE)
    stood = []

    def look(report, world):
        stood.append(house.processes.standby)
        if any(stood):
            house.let_work()

    assert auto(house.open(), tell=look).integrated == (ONE,)

    (proof,) = house.events("integration.started")
    assert proof["data"]["run"] in stood
    assert house.processes.standby == ""


def test_where_no_merge_has_a_gate_nobody_stands_by():
    house = SimHouse(gate_command="").given(ONE)
    stood = []

    def look(report, world):
        stood.append(house.processes.standby)
        house.let_work()

    auto(house.open(), tell=look)

    assert set(stood) == {""}


def test_a_run_that_stands_by_is_given_up_when_the_configuration_is_another():
    house = SimHouse(gate_command="", gates=MERGES).given(ONE)
    house.hold(ONE)
    stood = []

    def look(report, world):
        stood.append(house.processes.standby)
        if len(stood) == 4:
            house.release(ONE)
            house.let_work()

    auto(house.open(), tell=look, reopen=Edited(house, before_3={"max_retries": 7}))

    # Looked at before the loop waits, and after the configuration was read again.
    assert (bool(stood[1]), stood[2], house.processes.standby) == (True, "", "")


def test_a_run_that_stands_by_is_given_up_with_the_loop_that_keeps_it():
    house = SimHouse(gate_command="", gates=MERGES).given(ONE)
    house.hold(ONE)

    def look(report, world):
        if house.processes.standby:
            raise FullDiskError("no room", "make some")

    with pytest.raises(FullDiskError):
        auto(house.open(), tell=look)

    assert house.processes.standby == ""

"""Stories about files of ours that a bad disk or an editor has spoilt."""

from __future__ import annotations

import pytest

from gluerun.records.config import ControlState
from gluerun.records.task import Status
from gluerun.testing import Move, SimHouse, ended, speaker

ONE = "TASK-0001"
RECORD, LEASE = f"tasks/live/{ONE}.json", f"leases/{ONE}.json"


def spoil(house, path, data=b"{"):
    assert house.state_files.read(path) is not None
    house.state_files.write(path, data)


def running(**changes):
    house = SimHouse(max_retries=6, worker_infra_max=6, **changes).given(ONE).hold(ONE)
    house.cycle(work=False)
    house.processes.sign_in(house.lease(ONE).run_id)
    return house


def test_what_was_published_is_not_admitted_over():
    house = SimHouse().given(ONE).agent(ONE, [Move(exit_code=1)]).until_quiet()
    before = house.record(ONE)
    assert (before.status, before.tries) == (Status.BLOCKED, 1)
    # An edit in the folder lets every file there be read again.
    house.given("TASK-0002")
    spoil(house, RECORD)

    house.cycle()

    assert (house.record(ONE).status, house.record(ONE).tries) == (Status.BLOCKED, 1)


def test_an_epoch_is_never_given_twice():
    house = running(control_state=ControlState.OFF)
    first = house.lease(ONE)
    spoil(house, RECORD)

    house.cycle(10, work=False)
    house.cycle(10, work=False)

    assert house.record(ONE).epoch > first.epoch
    house.release(ONE).until_quiet()
    assert house.state(ONE) == "integrated"


def test_a_task_whose_record_is_gone_is_read_again_although_its_folder_is_as_it_was():
    house = SimHouse(control_state=ControlState.OFF).given(ONE).stop()
    house.cycles(3)
    assert house.open().store.memory().tasks_folder
    spoil(house, RECORD)

    house.resume().until_quiet()

    assert house.state(ONE) == "integrated"


def test_a_full_disk_does_not_part_a_broken_record_from_what_replaces_it():
    house = SimHouse().given(ONE).stop()
    house.cycles(2)
    spoil(house, RECORD)
    house.fuse.crash_at = frozenset(range(house.fuse.count + 1, house.fuse.count + 40))
    for _ in range(40):
        try:
            house.cycle()
        except BaseException:  # a crash at every step in turn
            house.locks.crash()
            house.fuse.crash_at = frozenset(point for point in house.fuse.crash_at if point > house.fuse.count)

    house.resume().until_quiet()

    assert house.state(ONE) == "integrated"


def test_the_run_of_a_broken_lease_is_ended_before_its_task_is_given_again():
    house = running()
    first = house.lease(ONE).run_id
    spoil(house, LEASE)

    house.cycle(1, work=False)

    assert house.processes.life(first) == "dead"
    assert house.lease(ONE).run_id != first


def test_while_the_run_of_a_broken_lease_cannot_be_ended_nobody_else_works_on_its_task():
    house = running()
    first = house.lease(ONE).run_id
    house.processes.immortal.add(first)
    spoil(house, LEASE)

    report = house.cycle(1, work=False)

    assert [one for one in house.processes.started if one != first] == []
    assert any("could not be ended" in one for one in report.trouble)


def test_two_broken_files_of_one_name_are_both_kept():
    house = running()
    for data in (b"{", b"[", b"["):
        spoil(house, RECORD, data)
        house.cycle(10, work=False)

    kept = {path: data for path, data in house.state_files.files.items() if path.startswith("aside/")}
    assert sorted(kept.values()) == [b"[", b"{"]


def test_a_broken_kept_configuration_is_written_again():
    house = SimHouse().given(ONE)
    house.open().keep_config()
    path = next(path for path in house.state_files.files if path.startswith("configs/"))
    spoil(house, path, b"null")

    house.until_quiet()

    assert (house.state(ONE), house.record(ONE).tries) == ("integrated", 1)


@pytest.mark.parametrize("data", [b"", b"{", b"null", b"[]", b"\xff"])
def test_costs_are_booked_although_nobody_can_read_what_the_run_was_asked(data):
    house = SimHouse(runners={"agent": speaker()}).given(ONE)
    house.agent(ONE, [Move(says=ended(0.5), writes={f"src/{ONE}.txt": "x"})])
    house.cycle()
    run = house.lease(ONE).run_id
    spoil(house, f"runs/{run}/dispatch.json", data)

    house.until_quiet()

    assert house.state(ONE) == "integrated"
    assert [path for path in house.state_files.files if path.endswith(f"{run}.json") and path.startswith("costs/")]


def test_an_edit_that_gives_a_task_another_branch_leaves_none_behind():
    house = SimHouse().given(ONE, title="one").agent(ONE, [Move(exit_code=1, writes={f"src/{ONE}.txt": "x"})])
    house.until_quiet()
    house.given(ONE, title="two").agent(ONE, [Move(writes={f"src/{ONE}.txt": "y"})])

    house.until_quiet()

    assert house.state(ONE) == "integrated"
    assert [ref for ref in house.git.refs if ref.startswith("refs/heads/agent/")] == []

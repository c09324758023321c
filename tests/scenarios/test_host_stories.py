"""Stories about a state folder on a disk that two machines share."""

from __future__ import annotations

import json

import pytest

from gluerun.errors import BusyError
from gluerun.loop.reconcile import move_in
from gluerun.sim.files import SimFiles
from gluerun.sim.processes import SimProcesses
from gluerun.testing import SimHouse

ONE = "TASK-0001"


def known(house):
    return json.loads(house.state_files.read("host.json"))


def elsewhere(house, name="host-2"):
    """Let another machine, on which nothing of this lives, have the folder before it."""
    house.clock.host = name
    house.clock.reboot()
    return house


def busy(house=None):
    """A house whose first machine has a worker under way."""
    house = (house or SimHouse()).given(ONE).hold(ONE)
    house.cycle(work=False)
    house.processes.sign_in(house.lease(ONE).run_id)
    return house


def harm(house):
    """Let a worker of the first machine live while another machine acts here; return what that did."""
    run_id = house.lease(ONE).run_id
    found = []
    for host in ("host-2", "host-3", "host-2"):
        try:
            elsewhere(house, host).cycle(2, work=False)
        except BusyError:
            continue
        lease = house.lease(ONE)
        if lease is None or lease.run_id != run_id:
            found.append(f"{host} gave up a worker that may live")
        found.append("another machine acted")
    return found


class ForgetsTheMachine(SimFiles):
    """Says that whose the folder is was written, and did not."""

    def write(self, path, data, *, durable=True):
        if path != "host.json":
            super().write(path, data, durable=durable)


class RemembersWhoeverCame(SimFiles):
    """Takes every machine that asks for the one whose the folder is."""

    def __init__(self, house):
        super().__init__(house.fuse.of("state"))
        self.clock = house.clock

    def read(self, path):
        data = super().read(path)
        if path != "host.json" or data is None:
            return data
        return json.dumps(json.loads(data) | {"hostId": self.clock.host, "bootId": self.clock.boot_id()}).encode()


def test_while_a_worker_may_live_no_machine_does_it_harm():
    assert harm(busy()) == []


@pytest.mark.parametrize(
    "files",
    [lambda house: ForgetsTheMachine(house.fuse.of("state")), RemembersWhoeverCame],
    ids=["forgets", "confuses"],
)
def test_harm_by_another_machine_is_seen(files):
    house = SimHouse()
    house.state_files = files(house)
    house.processes = SimProcesses(house.clock, house.state_files)

    assert "another machine acted" in harm(busy(house))


def test_the_folder_remembers_its_machine():
    house = SimHouse()
    house.cycle()

    assert (known(house)["hostId"], known(house)["bootId"]) == ("host-1", "boot-1")


def test_a_machine_that_boots_keeps_its_folder():
    house = busy().reboot()
    house.cycle(0, work=False)

    assert known(house)["bootId"] == "boot-2"
    assert house.record(ONE).last_failure.reason == "the machine was restarted under the worker"


def test_a_container_of_the_same_boot_has_the_same_folder():
    house = busy()
    house.clock.host = "another container's own id"

    house.cycle(1, work=False)

    assert house.lease(ONE) is not None


@pytest.mark.parametrize("mode", ["actuate", "apply", "drain", "recover", "integrate"])
def test_another_machine_changes_nothing_while_a_worker_may_live(mode):
    house = elsewhere(busy())
    before = dict(house.state_files.files)

    with pytest.raises(BusyError, match=r"another machine") as refusal:
        house.cycle(60, mode=mode, work=False)

    assert "gluerun recover --take-over" in refusal.value.hint
    assert house.state_files.files == before


def test_another_machine_is_refused_while_the_first_was_just_at_work():
    house = SimHouse()
    house.cycle()

    with pytest.raises(BusyError, match="it was at work at"):
        elsewhere(house).cycle(1)


def test_a_folder_in_which_nothing_lives_is_taken_over_by_itself():
    house = SimHouse().given(ONE).until_quiet()

    elsewhere(house).cycle(3)

    assert known(house)["hostId"] == "host-2"
    assert len(house.events("host.taken_over")) == 1


def test_it_is_taken_over_on_request_once_the_lease_is_over():
    house = busy()
    left = (house.lease(ONE).expires_at - house.clock.now()).total_seconds()
    elsewhere(house).clock.tick(seconds=left - 60)
    with pytest.raises(BusyError, match=f"{ONE} may still be under way"):
        move_in(house.open(), force=False)

    house.clock.tick(seconds=120)
    with pytest.raises(BusyError, match=f"{ONE} was left under way"):
        house.cycle(0)
    move_in(house.open(), force=False)

    house.release(ONE).until_quiet()
    assert (house.state(ONE), known(house)["hostId"]) == ("integrated", "host-2")


def test_it_is_taken_over_at_once_when_somebody_answers_for_it():
    house = elsewhere(busy())
    first = house.lease(ONE)

    move_in(house.open(), force=True)
    house.cycle(0, work=False)

    assert house.lease(ONE).epoch == first.epoch + 1


def test_the_first_machine_is_refused_when_it_comes_back():
    house = elsewhere(busy())
    move_in(house.open(), force=True)
    house.cycle(0, work=False)

    with pytest.raises(BusyError):
        elsewhere(house, "host-1").cycle(0)


def test_a_machine_without_an_id_is_another_one_after_its_boot():
    house = SimHouse().given(ONE).hold(ONE)
    house.clock.host = ""
    house.cycle(work=False)

    with pytest.raises(BusyError):
        elsewhere(house, "").cycle(1)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b'{"schema": "gluerun.orchestration.host.v0"}'])
def test_a_broken_record_of_the_machine_is_written_again(text):
    house = SimHouse()
    house.cycle()
    house.state_files.write("host.json", text)

    house.cycle()

    assert known(house)["hostId"] == "host-1"


def test_an_idle_loop_says_now_and_then_that_it_is_at_work():
    house = SimHouse()
    house.cycle(0)
    first = known(house)["seenAt"]
    house.clock.tick(seconds=5)
    house.cycle(0)
    assert known(house)["seenAt"] == first

    house.cycle(1)
    assert known(house)["seenAt"] > first


def test_a_clock_that_was_set_does_not_keep_another_machine_out_for_ever():
    house = SimHouse()
    house.clock.step(days=400)
    house.cycle()
    house.clock.step(days=-400)

    elsewhere(house).cycle(3)

    assert known(house)["hostId"] == "host-2"

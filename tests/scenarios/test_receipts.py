"""Receipts by their code: the same question is never asked twice, and another environment is another question."""

from __future__ import annotations

import pytest

from gluerun.edge.receipts import page
from gluerun.errors import UsageError
from gluerun.loop.collecting import collect
from gluerun.records.config import Collection
from gluerun.testing import SimHouse

ONE, TWO = "TASK-0001", "TASK-0002"


def landed(**config):
    return SimHouse(**config).given(ONE).until_quiet()


def results(house, asked=""):
    return [(one.result, one.is_here) for one in page(house.open(), asked).receipts]


def test_what_lands_as_it_was_made_stands_on_its_workers_receipt():
    house = landed()

    assert not house.events("integration.started")
    assert results(house) == results(house, ONE) == [("green", True)]


def test_a_candidate_that_was_proved_before_a_crash_took_its_record_is_not_proved_again():
    house = SimHouse(max_concurrent=2, max_dispatch=2).given(ONE).given(TWO)
    house.cycle()
    house.cycle()
    house.cycle(mode="recover")
    started = len(house.events("integration.started"))
    (task,) = [one for one in house.open().store.live_tasks()[0] if one.proof]
    house.open().store.put_task(lost_proof(task))

    house.until_quiet()

    assert house.states() == {ONE: "integrated", TWO: "integrated"}
    assert len(house.events("integration.started")) == started + 1


def lost_proof(task):
    from gluerun.records.record import replace

    return replace(task, proof=None)


@pytest.mark.parametrize("change", [{"env": {"SPEED": "2"}}, {"prewarm": "make warm"}, {"gate_command": "other"}])
def test_a_receipt_of_another_environment_or_gate_is_not_believed(change):
    house = SimHouse().given(ONE).hold(ONE)
    house.cycle()
    house.release(ONE).let_work()
    house.configure(**change)

    house.cycle(mode="integrate")

    wanted = 0 if "gate_command" in change else 1  # a task keeps the gate that it was given
    assert len(house.events("integration.started")) == wanted


def test_another_machine_is_another_environment():
    house = landed()
    house.clock.host = "another"

    assert results(house) == [("green", False)]


def test_what_a_receipt_is_about_is_told_and_what_nobody_asked_has_none():
    house = landed()
    found = page(house.open(), ONE)

    assert found.commit == house.record(ONE).merge_commit
    assert page(house.open(), found.code_tree).receipts == found.receipts
    assert found.receipts[0].log_sha256
    assert page(house.open(), "f" * 40).receipts == ()
    with pytest.raises(UsageError, match="names no task, commit or tree"):
        page(house.open(), "TASK-0009")


def test_records_do_not_make_another_code_tree():
    house = landed()
    house.colleague("docs/orchestration/note.md", "a note\n")

    assert results(house, "main") == [("green", True)]


def test_a_torn_receipt_is_none():
    house = landed()
    (path,) = [name for name in house.state_files.files if name.startswith("receipts/")]
    house.state_files.write(path, b'{"half')

    assert results(house) == []
    house.given(TWO).until_quiet()
    assert house.state(TWO) == "integrated"


def test_old_receipts_are_given_up():
    house = landed(gc=Collection(keep_days=3))
    house.clock.tick(minutes=60 * 24 * 5)

    given = [one.name for one in collect(house.open(), acting=True).given if one.kind == "receipt"]

    assert len(given) == 1
    assert results(house) == []

"""Gemini CLI, the real program, for `--all-agents`: few runs, for its odd exits and signals."""

from __future__ import annotations

import signal

import pytest
from tests.agents.by_hand import Ask
from tests.agents.driving import git, program, until
from tests.agents.model.server import FakeModel
from tests.agents.promises import DONE, SLEEP, shell

from gluerun.records.child import How

program("gemini")


@pytest.fixture
def stage(stage_of):
    return stage_of("gemini")


def test_a_task_is_done_in_the_work_tree(stage):
    with FakeModel() as model:
        outcome = stage.run(model, Ask())

    assert (outcome.done.how, outcome.done.exit_code) == (How.EXITED, 0)
    assert outcome.reading.is_ended
    assert outcome.reading.text.endswith("done")
    assert (outcome.reading.fresh, outcome.reading.cached, outcome.reading.output) == (1600, 400, 100)
    assert (stage.tree / "hello.txt").exists()


def test_a_session_goes_on(stage):
    with FakeModel() as model:
        first = stage.run(model, Ask())
        second = stage.run(model, Ask("Say it again.", session=first.reading.session))

    assert second.reading.is_ended
    assert Ask().prompt in second.told


def test_a_bad_key_ends_it_at_once_with_the_status_in_its_exit_code(stage):
    with FakeModel(faults=["401"]) as model:
        outcome = stage.run(model, Ask())

    assert outcome.done.exit_code == 401 % 256
    assert not outcome.reading.is_ended
    assert outcome.faults == ["401"]


def test_two_refusals_are_sat_out(stage):
    with FakeModel(faults=["429:2"]) as model:
        outcome = stage.run(model, Ask())

    assert outcome.reading.is_ended
    assert outcome.faults == ["429", "429", "", ""]


@pytest.mark.parametrize(
    "turn",
    [
        {"tool": "write", "path": "hello.txt", "content": "x\n"},
        {"call": "write_file", "args": {"file_path": "hello.txt", "content": "x\n"}},
        {"call": "run_shell_command", "args": {"command": "echo x > hello.txt"}},
    ],
)
def test_a_reader_cannot_write(stage, turn):
    with FakeModel({"turns": [turn, DONE]}) as model:
        stage.run(model, Ask(read_only=True))

    assert git(stage.tree, "status", "--porcelain") == ""


def test_after_a_signal_it_says_success_and_its_tool_is_ended_by_us(stage):
    with FakeModel(shell(SLEEP)) as model, stage.running(model, Ask()) as started:
        until((stage.tree / "started").exists, "the tool ran")
        started.signal(signal.SIGTERM)
        outcome = started.outcome()

    assert outcome.done.exit_code == 0
    assert not outcome.reading.is_ended
    assert outcome.survivors == []
    assert not (stage.tree / "ended").exists()

"""Gemini CLI, the real program, for `--all-agents`: few runs, for its odd exits and signals."""

from __future__ import annotations

import signal

import pytest
from tests.agents.driving import PROMPT, READER, Question, git, program
from tests.agents.model.server import FakeModel
from tests.agents.promises import DONE, SLEEP, shell
from tests.patience import until

from gluerun.records.child import How
from gluerun.records.fault import Fault

program("gemini")


@pytest.fixture
def stage(stage_of):
    return stage_of("gemini")


def test_a_task_is_done_in_the_work_tree(stage):
    with FakeModel() as model:
        outcome = stage.run(model)

    assert (outcome.done.how, outcome.done.exit_code) == (How.EXITED, 0)
    assert outcome.reading.fault is None
    assert outcome.reading.text.endswith("done")
    usage = outcome.reading.usage
    assert (usage.fresh_tokens, usage.cached_tokens, usage.output_tokens) == (1600, 400, 100)
    assert (stage.tree / "hello.txt").exists()


def test_a_session_goes_on(stage):
    with FakeModel() as model:
        first = stage.run(model)
        second = stage.run(model, Question("Say it again.", resume=first.reading.seat.session))

    assert second.reading.fault is None
    assert PROMPT in second.told


def test_a_bad_key_ends_it_at_once_with_the_status_in_its_exit_code(stage):
    with FakeModel(faults=["401"]) as model:
        outcome = stage.run(model)

    assert outcome.done.exit_code == 401 % 256
    assert outcome.reading.fault is Fault.BAD_KEY
    assert outcome.faults == ["401"]


def test_two_refusals_are_sat_out(stage):
    with FakeModel(faults=["429:2"]) as model:
        outcome = stage.run(model)

    assert outcome.reading.fault is None
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
        stage.run(model, READER)

    assert git(stage.tree, "status", "--porcelain") == ""


def test_after_a_signal_it_says_success_and_its_tool_is_ended_by_us(stage):
    with FakeModel(shell(SLEEP)) as model, stage.running(model) as started:
        until((stage.tree / "started").exists, "the tool ran")
        started.signal(signal.SIGTERM)
        outcome = started.outcome()

    assert outcome.done.exit_code == 0
    assert outcome.reading.fault is not None
    assert outcome.survivors == []
    assert not (stage.tree / "ended").exists()

"""OpenCode, the real program, for `--all-agents`: few runs, for each of them takes long."""

from __future__ import annotations

import signal

import pytest
from tests.agents.driving import PROMPT, READER, Question, git, program
from tests.agents.model.server import FakeModel
from tests.agents.promises import DONE, SLEEP, needs_tier, shell
from tests.patience import until

from gluerun.records.child import How
from gluerun.records.fault import Fault

program("opencode")


@pytest.fixture
def stage(stage_of):
    return stage_of("opencode")


def test_a_task_is_done_in_the_work_tree_and_its_session_goes_on(stage):
    with FakeModel() as model:
        first = stage.run(model)
        second = stage.run(model, Question("Say it again.", resume=first.reading.seat.session))

    assert (first.done.how, first.done.exit_code) == (How.EXITED, 0)
    assert first.reading.fault is None
    assert first.reading.text == "done"
    usage = first.reading.usage
    assert (usage.fresh_tokens, usage.cached_tokens, usage.output_tokens) == (1600, 400, 100)
    assert (stage.tree / "hello.txt").exists()
    assert second.reading.fault is None
    assert PROMPT in second.told


def test_a_bad_key_ends_it_at_once_and_is_told_as_a_status(stage):
    with FakeModel(faults=["401"]) as model:
        outcome = stage.run(model)

    assert outcome.done.exit_code == 1
    assert outcome.reading.fault is Fault.BAD_KEY
    assert outcome.faults == ["401"]


def test_two_refusals_are_sat_out(stage):
    with FakeModel(faults=["429:2!"]) as model:
        outcome = stage.run(model)

    assert outcome.reading.fault is None
    assert outcome.faults == ["429", "429", "", ""]


def test_a_reader_that_has_pen_and_shell_is_held_by_the_sandbox(stage):
    with FakeModel({"turns": [{"call": "write", "args": {"filePath": "hello.txt", "content": "x\n"}}, DONE]}) as model:
        outcome = stage.run(model, READER)

    needs_tier(outcome)
    assert git(stage.tree, "status", "--porcelain") == ""


def test_a_signal_in_the_middle_of_a_tool_leaves_nobody(stage):
    with FakeModel(shell(SLEEP)) as model, stage.running(model) as started:
        until((stage.tree / "started").exists, "the tool ran")
        started.signal(signal.SIGTERM)
        outcome = started.outcome()

    assert outcome.done.exit_code in (-signal.SIGTERM, 128 + signal.SIGTERM)
    assert outcome.reading.fault is not None
    assert outcome.survivors == []
    assert not (stage.tree / "ended").exists()

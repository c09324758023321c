"""Claude Code, the real program: what it shares with codex, and what is its own."""

from __future__ import annotations

from typing import ClassVar

import pytest
from tests.agents.driving import FREE, Question
from tests.agents.model.server import FakeModel
from tests.agents.pointed import CLAUDE_MODEL
from tests.agents.promises import Promises, busy, is_untouched, run_reader, shell

from gluerun.records.fault import Fault, Limit
from gluerun.records.runner import Limits


class TestClaude(Promises):
    program = "claude"
    provider = "anthropic"
    model = CLAUDE_MODEL
    tells_cost = True
    tries: ClassVar = {"401": 3, "429": 3, "529": 3, "quota": 3, "credit": 1, "context": 1, "404": 2}
    after_term = (143,)
    shows_turns = 3
    after_int = (0, 1)  # it may end its session in good order

    @pytest.mark.parametrize(
        "turn",
        [
            {"call": "Write", "args": {"file_path": "hello.txt", "content": "x\n"}},
            {"call": "Bash", "args": {"command": "echo x > hello.txt", "description": "write"}},
        ],
        ids=["Write", "Bash"],
    )
    def test_a_reader_has_no_tool_to_write_even_if_the_model_calls_one(self, stage, turn):
        outcome = run_reader(stage, turn)

        assert set(outcome.requests[-1].asked.tools) == {"Read", "Grep", "Glob"}
        assert f"No such tool available: {turn['call']}" in outcome.told
        assert is_untouched(stage)

    def test_where_nobody_holds_it_its_daemon_is_ended_by_us(self, stage):
        with FakeModel(shell("nohup setsid sleep 96 > /dev/null 2>&1 & echo $! > daemon")) as model:
            outcome = stage.run(model, Question(sandbox=FREE))

        assert outcome.done.ended >= 1
        assert outcome.survivors == []

    def test_a_limit_of_money_stops_it_after_one_answer_too_many(self, stage):
        with FakeModel(busy(after=3)) as model:
            outcome = stage.run(model, Question(limits=Limits(usd=0.008)))

        assert (outcome.reading.fault, outcome.reading.limit) == (Fault.LIMIT, Limit.MONEY)
        assert len(outcome.faults) <= 4

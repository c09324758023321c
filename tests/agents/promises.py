"""What claude and codex both do, and the engine counts on; where they differ, the difference is a class attribute."""

from __future__ import annotations

import json
import signal
import threading
import uuid

import pytest
from tests.agents.by_hand import Ask
from tests.agents.driving import Outcome, Stage, git, until
from tests.agents.model.script import USAGE
from tests.agents.model.server import FakeModel

from gluerun.records.child import How

DONE = {"text": "done"}
VERDICT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["verdict", "notes"],
    "properties": {"verdict": {"type": "string", "enum": ["pass", "fail"]}, "notes": {"type": "string"}},
}
SLEEP = "(sleep 97 & touch started; sleep 98); touch ended"


def shell(command: str) -> dict[str, object]:
    """Return a script in which the model runs one command."""
    return {"turns": [{"tool": "shell", "command": command}, DONE]}


class Promises:
    """What a program does that plays a worker's or an auditor's part."""

    program: str
    unknown_session: str  # what it says to a session that it does not know
    unknown_id: str
    tries: dict[str, int]  # fault → requests until it gives up
    says: dict[str, str]  # fault → words of its own for it
    after_term: int
    after_int: int

    @pytest.fixture
    def stage(self, stage_of) -> Stage:
        return stage_of(self.program)

    # --- success and sessions ---

    def test_a_task_is_done_in_the_work_tree(self, stage):
        with FakeModel() as model:
            outcome = stage.run(model, Ask())

        assert (outcome.done.how, outcome.done.exit_code) == (How.EXITED, 0)
        assert outcome.reading.is_ended
        assert outcome.reading.text == "done"
        assert (stage.tree / "hello.txt").read_text() == "hello\n"
        assert outcome.faults == ["", ""]
        assert model.strays == [], "something else than a model was asked for"
        assert outcome.survivors == []
        assert git(stage.repo, "status", "--porcelain") == ""

    def test_tokens_are_counted_alike(self, stage):
        with FakeModel() as model:
            reading = stage.run(model, Ask()).reading

        fresh = USAGE["input"] - USAGE["cached"]
        assert (reading.fresh, reading.cached, reading.output) == (2 * fresh, 2 * USAGE["cached"], 2 * USAGE["output"])

    def test_a_session_goes_on_with_all_that_was_said(self, stage):
        with FakeModel() as model:
            first = stage.run(model, Ask())
            second = stage.run(model, Ask("Say it again.", session=first.reading.session))

        assert second.reading.is_ended
        assert second.reading.session == first.reading.session
        assert Ask().prompt in json.dumps(second.requests[0].body)
        assert second.requests[-1].prompt.endswith("Say it again.")

    def test_an_unknown_session_is_refused_before_the_model_is_asked(self, stage):
        with FakeModel() as model:
            outcome = stage.run(model, Ask(session=self.unknown_id))

        assert outcome.done.exit_code == 1
        assert self.unknown_session in outcome.log
        assert outcome.requests == []

    def test_a_long_prompt_arrives_whole(self, stage):
        prompt = "Mind this.\n" * 30_000
        with FakeModel({"turns": [DONE]}) as model:
            outcome = stage.run(model, Ask(prompt))

        assert outcome.reading.is_ended
        assert outcome.requests[-1].prompt.strip() == prompt.strip()

    def test_four_work_at_once(self, stage):
        with FakeModel() as model:
            outcomes = []

            def work(place):
                outcomes.append(stage.run(model, Ask(), cwd=place))

            places = [stage.root / f"tree-{number}" for number in range(4)]
            for place in places:
                git(stage.repo, "worktree", "add", "--quiet", "--detach", str(place))
            threads = [threading.Thread(target=work, args=(place,)) for place in places]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        assert [outcome.reading.is_ended for outcome in outcomes] == [True] * 4
        assert [(place / "hello.txt").exists() for place in places] == [True] * 4
        assert len({outcome.reading.session for outcome in outcomes}) == 4

    # --- structured answers ---

    def test_an_answer_in_the_wanted_shape_is_found(self, stage):
        answer = {"verdict": "pass", "notes": "fine"}
        with FakeModel({"turns": [{"json": answer}, DONE]}) as model:
            outcome = stage.run(model, Ask(schema=VERDICT))

        assert outcome.reading.is_ended
        assert outcome.reading.structured == answer

    def test_an_answer_without_the_wanted_shape_is_no_error_of_the_program(self, stage):
        with FakeModel({"turns": [DONE]}) as model:
            outcome = stage.run(model, Ask(schema=VERDICT))

        assert outcome.done.exit_code == 0
        assert outcome.reading.is_ended
        assert outcome.reading.structured is None

    # --- faults of the model ---

    def test_two_refusals_are_sat_out(self, stage):
        with FakeModel(faults=["429:2"]) as model:
            outcome = stage.run(model, Ask())

        assert outcome.reading.is_ended
        assert outcome.faults == ["429", "429", "", ""]

    @pytest.mark.parametrize("fault", ["401", "429", "529", "quota", "credit", "context", "404"])
    def test_a_lasting_fault_ends_in_failure_and_in_its_own_words(self, stage, fault):
        with FakeModel(faults=[fault]) as model:
            outcome = stage.run(model, Ask())

        assert (outcome.done.how, outcome.done.exit_code) == (How.EXITED, 1)
        assert not outcome.reading.is_ended
        assert self.says[fault] in outcome.reading.error
        assert len(outcome.faults) == self.tries[fault]
        assert outcome.survivors == []

    def test_silence_is_ended_by_our_clock(self, stage):
        with FakeModel(faults=["hang"]) as model:
            outcome = stage.run(model, Ask(), idle=8)

        assert outcome.done.how is How.IDLE
        assert not outcome.reading.is_ended
        assert outcome.faults == ["hang"]
        assert outcome.survivors == []

    def test_an_answer_that_breaks_off_is_asked_for_again(self, stage):
        with FakeModel(faults=["drop:1!"]) as model:
            outcome = stage.run(model, Ask())

        assert outcome.reading.is_ended
        assert (stage.tree / "hello.txt").exists()
        assert outcome.faults == ["drop", "", ""]

    # --- being stopped, and what is left ---

    @pytest.mark.parametrize("name", ["TERM", "INT"])
    def test_a_signal_in_the_middle_of_a_tool_leaves_nobody(self, stage, name):
        with FakeModel(shell(SLEEP)) as model, stage.running(model, Ask()) as started:
            until((stage.tree / "started").exists, "the tool ran")
            started.signal(getattr(signal, f"SIG{name}"))
            outcome = started.outcome()

        assert outcome.done.how is How.EXITED
        assert outcome.done.exit_code == {"TERM": self.after_term, "INT": self.after_int}[name]
        assert not outcome.reading.is_ended
        assert outcome.survivors == []
        assert not (stage.tree / "ended").exists()
        assert not list(stage.repo.rglob(".git/**/*.lock"))

    def test_a_daemon_that_a_tool_left_is_ended_with_its_agent(self, stage):
        with FakeModel(shell("nohup setsid sleep 96 > /dev/null 2>&1 & echo $! > daemon")) as model:
            outcome = stage.run(model, Ask())

        assert outcome.reading.is_ended
        assert (stage.tree / "daemon").read_text().strip().isdigit()
        assert outcome.survivors == []

    # --- what it may do ---

    @pytest.mark.parametrize(
        "turn",
        [
            {"tool": "write", "path": "hello.txt", "content": "x\n"},
            {"tool": "shell", "command": "echo x > hello.txt; git commit --allow-empty --message=sneaky"},
        ],
        ids=["write", "shell"],
    )
    def test_a_reader_cannot_write(self, stage, turn):
        outcome = run_reader(stage, turn)

        assert outcome.reading.is_ended
        assert is_untouched(stage)


def run_reader(stage: Stage, turn: dict[str, object]) -> Outcome:
    """Let a program that may only read play one turn."""
    with FakeModel({"turns": [turn, DONE]}) as model:
        return stage.run(model, Ask(read_only=True))


def is_untouched(stage: Stage) -> bool:
    """Tell whether the work tree is as it was, with no commit more."""
    return git(stage.tree, "status", "--porcelain") == "" and git(stage.tree, "rev-list", "--count", "HEAD") == "1"


def new_session() -> str:
    """Return an id that no session has."""
    return str(uuid.UUID(int=0x0193_0000_0000_7000_8000_0000_0000_0001))

"""What claude and codex both do, and the engine counts on; where they differ, the difference is a class attribute."""

from __future__ import annotations

import json
import signal
import threading
import uuid

import pytest
from tests.agents.driving import FREE, PROMPT, READER, Outcome, Question, Stage, git
from tests.agents.model.script import USAGE
from tests.agents.model.server import FakeModel
from tests.patience import PATIENCE, spans, until

from gluerun.assets import answer_schema
from gluerun.records.child import How
from gluerun.records.dispatch import Usage
from gluerun.records.fault import Fault, Limit
from gluerun.records.record import replace
from gluerun.records.runner import Limits
from gluerun.records.sandbox import Sandbox

DONE = {"text": "done"}
FRESH, CACHED = USAGE["input"] - USAGE["cached"], USAGE["cached"]
VERDICT = {"verdict": "accepted", "rationale": "fine", "headSha": "a" * 40, "nonce": "b"}
SLEEP = "(sleep 97 & touch started; sleep 98); touch ended"


def shell(command: str) -> dict[str, object]:
    """Return a script in which the model runs one command."""
    return {"turns": [{"tool": "shell", "command": command}, DONE]}


def busy(after: int) -> dict[str, object]:
    """Return a script of many commands; once it has answered so often the model thinks until it is stopped."""
    calls = [{"tool": "shell", "command": f"echo {number} >> count"} for number in range(8)]
    return {
        "turns": [*({**call, "delay": 0 if number < after else PATIENCE} for number, call in enumerate(calls)), DONE]
    }


COMMIT = shell("echo x > x.txt && git add x.txt && git commit --quiet --message=mine")


class Promises:
    """What a program does that plays a worker's or an auditor's part, as the engine calls and reads it."""

    program: str
    provider: str  # as it is read off what the program reports
    model: str
    tells_cost: bool
    tries: dict[str, int]  # fault → requests until it gives up
    after_term: tuple[int, ...]
    after_int: tuple[int, ...]
    shows_turns: int  # answers after which its stream has told of three

    @pytest.fixture
    def stage(self, stage_of) -> Stage:
        return stage_of(self.program)

    def usage(self, calls: int) -> Usage:
        """Return what so many answers of the model come to."""
        told = Usage(
            fresh_tokens=calls * FRESH,
            cached_tokens=calls * CACHED,
            output_tokens=calls * USAGE["output"],
            turns=calls,
        )
        # Its own table: a sonnet's 3 dollars for a million fresh tokens, a tenth for cached, five times for written.
        cost = calls * (3 * FRESH + 0.3 * CACHED + 15 * USAGE["output"]) / 1_000_000
        return replace(told, cost_usd=pytest.approx(cost)) if self.tells_cost else told

    # --- success and sessions ---

    def test_a_task_is_done_in_the_work_tree(self, stage):
        with FakeModel() as model:
            outcome = stage.run(model)

        assert (outcome.done.how, outcome.done.exit_code) == (How.EXITED, 0)
        assert (outcome.reading.fault, outcome.reading.trouble) == (None, "")
        assert outcome.reading.text == "done"
        assert (stage.tree / "hello.txt").read_text() == "hello\n"
        assert outcome.faults == ["", ""]
        assert model.strays == [], "something else than a model was asked for"
        assert outcome.survivors == []
        assert git(stage.repo, "status", "--porcelain") == ""

    def test_it_tells_who_it_was_and_what_it_used(self, stage):
        with FakeModel() as model:
            reading = stage.run(model).reading

        assert reading.usage == self.usage(calls=2)
        assert (reading.seat.runner, reading.seat.provider, reading.seat.model) == (
            self.program,
            self.provider,
            self.model,
        )
        assert uuid.UUID(reading.seat.session)
        assert reading.seat.version[0].isdigit()

    def test_a_session_goes_on_with_all_that_was_said_and_only_its_own_use_is_counted(self, stage):
        with FakeModel() as model:
            first = stage.run(model)
            second = stage.run(model, Question("Say it again.", resume=first.reading.seat.session))

        assert second.reading.fault is None
        assert second.reading.seat.session == first.reading.seat.session
        assert PROMPT in json.dumps(second.requests[0].body)
        assert second.requests[-1].prompt.endswith("Say it again.")
        assert second.reading.usage == self.usage(calls=len(second.requests))

    def test_an_unknown_session_is_refused_before_the_model_is_asked(self, stage):
        with FakeModel() as model:
            outcome = stage.run(model, Question(resume=new_session()))

        assert outcome.reading.fault is Fault.SESSION_REFUSED
        assert outcome.reading.refused_session
        assert outcome.requests == []

    def test_a_long_prompt_arrives_whole(self, stage):
        prompt = "Mind this.\n" * 30_000
        with FakeModel({"turns": [DONE]}) as model:
            outcome = stage.run(model, Question(prompt))

        assert outcome.reading.fault is None
        assert outcome.requests[-1].prompt.strip() == prompt.strip()

    def test_four_work_at_once(self, stage):
        with FakeModel() as model:
            outcomes = []

            def work(place):
                outcomes.append(stage.run(model, cwd=place))

            places = [stage.root / f"tree-{number}" for number in range(4)]
            for place in places:
                git(stage.repo, "worktree", "add", "--quiet", "--detach", str(place))
            threads = [threading.Thread(target=work, args=(place,)) for place in places]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        assert [outcome.reading.fault for outcome in outcomes] == [None] * 4
        assert [(place / "hello.txt").exists() for place in places] == [True] * 4
        assert len({outcome.reading.seat.session for outcome in outcomes}) == 4

    # --- structured answers ---

    def test_an_answer_in_the_wanted_shape_is_found(self, stage):
        with FakeModel({"turns": [{"json": VERDICT}, DONE]}) as model:
            outcome = stage.run(model, READER._replace(schema=answer_schema("audit-verdict.v0")))

        assert outcome.reading.fault is None
        assert outcome.answer == VERDICT

    def test_an_answer_without_the_wanted_shape_is_no_error_of_the_program(self, stage):
        with FakeModel({"turns": [DONE]}) as model:
            outcome = stage.run(model, READER._replace(schema=answer_schema("audit-verdict.v0")))

        assert (outcome.done.exit_code, outcome.reading.fault) == (0, None)
        assert outcome.answer is None

    # --- faults of the model ---

    def test_two_refusals_are_sat_out(self, stage):
        with FakeModel(faults=["429:2"]) as model:
            outcome = stage.run(model)

        assert outcome.reading.fault is None
        assert outcome.faults == ["429", "429", "", ""]
        assert outcome.reading.usage == self.usage(calls=2)

    @pytest.mark.parametrize(
        ("fault", "read"),
        [
            ("401", Fault.BAD_KEY),
            ("429", Fault.USAGE_LIMIT),
            ("529", Fault.OVERLOAD),
            ("quota", Fault.USAGE_LIMIT),
            ("credit", Fault.ENTITLEMENT),
            ("context", Fault.CONTEXT_TOO_LONG),
            ("404", Fault.UNKNOWN_MODEL),
        ],
    )
    def test_a_lasting_fault_is_known_for_what_it_is(self, stage, fault, read):
        with FakeModel(faults=[fault]) as model:
            outcome = stage.run(model)

        assert (outcome.done.how, outcome.done.exit_code) == (How.EXITED, 1)
        assert outcome.reading.fault is read
        assert outcome.reading.trouble.startswith(f"{self.program} (exit 1): ")
        assert (outcome.reading.limit, outcome.reading.until) == (None, None)
        assert not outcome.reading.usage.output_tokens
        assert len(outcome.faults) == self.tries[fault]
        assert outcome.survivors == []

    def test_silence_is_ended_by_our_clock(self, stage):
        for idle in spans(4):
            with FakeModel(faults=["hang"]) as model:
                outcome = stage.run(model, Question(idle=int(idle)))
            if outcome.requests:
                break  # it came to ask

        assert outcome.done.how is How.IDLE
        assert outcome.reading.fault is Fault.IDLE
        assert outcome.reading.usage == Usage()
        assert outcome.faults == ["hang"]
        assert outcome.survivors == []

    def test_an_answer_that_breaks_off_is_asked_for_again(self, stage):
        with FakeModel(faults=["drop:1!"]) as model:
            outcome = stage.run(model)

        assert outcome.reading.fault is None
        assert (stage.tree / "hello.txt").exists()
        assert outcome.faults == ["drop", "", ""]

    # --- being stopped, and what is left ---

    @pytest.mark.parametrize("name", ["TERM", "INT"])
    def test_a_signal_in_the_middle_of_a_tool_leaves_nobody(self, stage, name):
        with FakeModel(shell(SLEEP)) as model, stage.running(model) as started:
            until((stage.tree / "started").exists, "the tool ran")
            started.signal(getattr(signal, f"SIG{name}"))
            outcome = started.outcome()

        assert outcome.done.how is How.EXITED
        # Who is held ends within a shell's words: 128 and the number of the signal.
        assert outcome.done.exit_code in {"TERM": self.after_term, "INT": self.after_int}[name]
        assert outcome.reading.fault is not None
        assert outcome.survivors == []
        assert not (stage.tree / "ended").exists()
        assert not list(stage.repo.rglob(".git/**/*.lock"))

    def test_a_limit_of_turns_stops_it_in_the_middle_of_its_work(self, stage):
        with FakeModel(busy(after=self.shows_turns)) as model:
            outcome = stage.run(model, Question(limits=Limits(turns=3)))

        assert (outcome.reading.fault, outcome.reading.limit) == (Fault.LIMIT, Limit.TURNS)
        assert len(outcome.faults) <= self.shows_turns + 1
        assert outcome.survivors == []

    @pytest.mark.parametrize("sandbox", [Sandbox(), FREE], ids=["held", "free"])
    def test_a_daemon_that_a_tool_left_is_ended_with_its_agent(self, stage, sandbox):
        with FakeModel(shell("nohup setsid sleep 96 > /dev/null 2>&1 & echo $! > daemon")) as model:
            outcome = stage.run(model, Question(sandbox=sandbox))

        assert outcome.reading.fault is None
        assert (stage.tree / "daemon").read_text().strip().isdigit()
        assert outcome.survivors == []
        assert outcome.done.survivors == 0

    # --- what it may do ---

    @pytest.mark.parametrize("sandbox", [Sandbox(), FREE], ids=["held", "free"])
    @pytest.mark.parametrize(
        "turn",
        [
            {"tool": "write", "path": "hello.txt", "content": "x\n"},
            {"tool": "shell", "command": "echo x > hello.txt; git commit --allow-empty --message=sneaky"},
        ],
        ids=["write", "shell"],
    )
    def test_a_reader_cannot_write(self, stage, turn, sandbox):
        outcome = run_reader(stage, turn, sandbox)

        assert outcome.reading.fault is None
        assert is_untouched(stage)

    def test_a_commit_from_the_linked_work_tree_is_possible(self, stage):
        with FakeModel(COMMIT) as model:
            outcome = stage.run(model)

        assert outcome.reading.fault is None
        assert git(stage.tree, "log", "-1", "--format=%s") == "mine"

    def test_a_worker_that_is_held_writes_nowhere_else(self, stage):
        outside = f"echo x > ../outside; echo x > {stage.home}/outside; echo x > {stage.repo}/outside; echo x > inside"
        with FakeModel(shell(outside)) as model:
            outcome = stage.run(model)

        needs_tier(outcome)
        assert outcome.reading.fault is None
        assert (stage.tree / "inside").exists()
        assert [place for place in (stage.root, stage.home, stage.repo) if (place / "outside").exists()] == []


def needs_tier(outcome: Outcome) -> None:
    """Skip a test about the sandbox where this machine has none."""
    if outcome.done.confined in ("", "none"):
        pytest.skip("this machine has no sandbox")


def run_reader(stage: Stage, turn: dict[str, object], sandbox: Sandbox = FREE) -> Outcome:
    """Let a program that may only read play one turn."""
    with FakeModel({"turns": [turn, DONE]}) as model:
        return stage.run(model, READER._replace(sandbox=sandbox))


def is_untouched(stage: Stage) -> bool:
    """Tell whether the work tree is as it was, with no commit more."""
    return git(stage.tree, "status", "--porcelain") == "" and git(stage.tree, "rev-list", "--count", "HEAD") == "1"


def new_session() -> str:
    """Return an id that no session has."""
    return str(uuid.UUID(int=0x0193_0000_0000_7000_8000_0000_0000_0001))

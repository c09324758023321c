"""What each role is told: all it needs, cut where it is long, and nothing that could pass for its answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.worlds import HEAD, NOW, TARGET, after, node, run_id, spec, task, world
from tests.records.documents import FROM_AGENTS, examples

from gluerun.core import prompts
from gluerun.core.answers import objects_in
from gluerun.core.prompts import bullets, carried_over, clipped
from gluerun.core.prompts_planner import planner
from gluerun.errors import SchemaError
from gluerun.records import schema
from gluerun.records.attempt import Attempt
from gluerun.records.config import Config
from gluerun.records.dispatch import Dispatch, Role
from gluerun.records.failure import Failure, FailureNote
from gluerun.records.gate import GateCheck, GateVerdict
from gluerun.records.packet import PacketClaim
from gluerun.records.record import replace
from gluerun.records.task import Policy, Status
from gluerun.records.verdict import Finding, FindingStatus, Ledger

NONCE = "0123456789abcdef" * 2
SPEC = spec(
    forbidden_files=("src/secret",),
    prerequisites=("a compiler",),
    test_policy=Policy.STRICT_TEST_FIRST,
    notes="## context\nRead the manual.",
)
DISPATCH = Dispatch(
    run_id=run_id(1),
    role=Role.WORKER,
    batch_id="ORIGIN-20260131T115900Z-1",
    target_branch="main",
    base_sha=TARGET,
    started_at=NOW,
    expires_at=after(3600),
    config_sha256="0" * 64,
    task_id="TASK-0001",
    spec=SPEC,
    owned_files=("src/thing1", "lib/added"),
    gate_command="make check",
)
CHECK = GateCheck(
    run_id=run_id(1), cmd="make check", exit_code=0, result=GateVerdict.GREEN, log_ref="gate.log", log_sha256="0" * 64,
    commit=HEAD, code_tree="1" * 64, gate_sha256="2" * 64, duration_ms=1200, created_at=NOW,
)  # fmt: skip


def finding(text, status=FindingStatus.OPEN):
    return Finding(
        id=f"f-{len(text):012d}", text=text, source="finding", status=status, first_seen_attempt=1, last_seen_attempt=1
    )


LEDGER = Ledger(
    task_id="TASK-0001",
    run_id=run_id(1),
    findings=(finding("no test of zero"), finding("settled long ago", FindingStatus.RESOLVED)),
    updated_at=NOW,
)
TASK_WORDS = [
    "# TASK-0001: Thing 1",
    "Let there be a thing.",
    "- src/thing1\n- lib/added",
    "- src/secret\n- docs/orchestration",
    "- there is a thing",
    "- a compiler",
    "strict_test_first",
    "Read the manual.",
]


CONFIG = Config(target_branch="main", gate_command="")


def worker(attempt=1, trouble="", limit=4000):
    return prompts.worker(DISPATCH, attempt, trouble, replace(CONFIG, context_section_max_chars=limit))


def auditor(**changes):
    given = {"claim": PacketClaim(summary="I did it"), "gate": CHECK, "patch": "+a line", "ledger": LEDGER}
    return prompts.auditor(DISPATCH, HEAD, NONCE, **{**given, **changes})


TRIES = [
    Attempt(n=1, started_at=NOW, dir="attempts/1", failure_class=Failure.GATE_RED, reason="the gate ended with 1"),
    Attempt(n=2, started_at=NOW, dir="attempts/2"),
]


def decider(trouble="two tests fail"):
    return prompts.decider(DISPATCH, Failure.AUDIT_BLOCKED, NONCE, trouble, TRIES)


WORLD = world(
    task(1, Status.BLOCKED),
    areas={"src": ("src", "lib/src")},
    l1_tasks_per_node=3,
)
NODE = node("api", "base", description="the doors", required_completion="all doors stand")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (worker(), [*TASK_WORDS, "The engine will run: make check", "GLUERUN_OUTPUT"]),
        (worker(2, "gate-red: boom"), ["Try 2", "gate-red: boom"]),
        (auditor(), [*TASK_WORDS, f"headSha: {HEAD}\nnonce: {NONCE}", "+a line", "I did it", f"{TARGET}..{HEAD}",
                     "literal names and numbers in the criteria",
                     f"`make check` on {HEAD}: green, exit code 0, 1200 ms.", "(f-000000000015) no test of zero"]),
        (auditor(gate=None, claim=None), ["No gate is configured: nothing was measured."]),
        (decider(), [*TASK_WORDS, f"failureClass: audit-blocked\nnonce: {NONCE}", "two tests fail",
                     "- try 1: gate-red the gate ended with 1", "- try 2: accepted"]),
        (planner(NODE, WORLD), ["# Node api", "Stage: one\nLayer: base\nKind: code", "all doors stand\nthe doors",
                                "- src\n- lib/src", "make check", "At most 3 tasks.", "TASK-0001 blocked: Thing 1"]),
        (planner(node(), world(gate_command="")), ["## Gate\n(none)", "At most 1 tasks.", "- (none)"]),
    ],
    ids=["a first try", "a second try", "an audit", "an audit without a gate", "a decision", "a plan", "a bare plan"],
)  # fmt: skip
def test_a_prompt_says(text, words):  # FR-033, FR-048
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (worker(), ["## Try", "Findings", NONCE]),
        (auditor(), ["settled long ago"]),
        (auditor(again="## Since then"), ["Earlier findings"]),
        (auditor(ledger=None, claim=PacketClaim()), ["Earlier findings", "What the developer says"]),
        (prompts.task_section(spec(), ["a"]), ["Prerequisites", "Test policy", "Notes"]),
        (
            prompts.worker(replace(DISPATCH, gate_command=""), 1, "", CONFIG),
            ["## Gate"],
        ),
    ],
)
def test_a_prompt_does_not_say(text, words):
    assert [word for word in words if word in text] == []


def valid_for(document):
    def is_valid(name):
        try:
            schema.check(name, document)
        except SchemaError:
            return False
        return True

    return [name for name in sorted(FROM_AGENTS) if is_valid(name)]


@pytest.mark.parametrize(
    "text",
    [worker(2, "x"), auditor(), decider(), planner(NODE, WORLD)],
    ids=["worker", "auditor", "decider", "planner"],
)
def test_no_prompt_holds_an_example_that_could_pass_for_an_answer(text):
    assert [(one, valid_for(one)) for one in objects_in(text) if valid_for(one)] == []


def test_the_check_above_bites():
    assert valid_for({"tasks": []}) == ["task-batch.v0"]


@pytest.mark.parametrize(
    ("text", "limit", "end"),
    [
        ("", 5, ""),
        ("12345", 5, "12345"),
        ("123456", 5, "[… 1 characters left out]\n23456"),
        ("head" + "x" * 9, 4, "[… 9 characters left out]\nxxxx"),
    ],
)
def test_clipping_keeps_the_end_and_says_what_is_gone(text, limit, end):
    assert clipped(text, limit) == end


@examples(100)
@given(st.text(max_size=50), st.integers(1, 60))
def test_clipped_text_is_the_end_of_the_text(text, limit):
    assert text.endswith(clipped(text, limit).split("left out]\n", 1)[-1][-limit:])


def test_long_sections_are_cut():
    long = "gate-red: the reason\nearly words " + "x" * 9000 + " last words"

    assert len(worker(2, long, 1000)) < len(worker()) + 1200
    assert "last words" in worker(2, long, 1000)
    assert "early words" not in worker(2, long, 1000)
    assert "gate-red: the reason" in worker(2, long, 1000)
    assert len(worker(2, "x" * 9000, 1000)) < len(worker()) + 1100
    assert len(decider(long)) < len(decider()) + 8100
    assert "y" * 501 not in auditor(ledger=replace(LEDGER, findings=(finding("y" * 600),)))


def test_bullets():
    assert [bullets([]), bullets(["a"]), bullets(("a", "b"))] == ["- (none)", "- a", "- a\n- b"]


def note(failure, **changes):
    return FailureNote(failure_class=failure, reason="so it went", at=NOW, **changes)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, ""),
        (note(Failure.INTEGRATION_CONFLICT, places=("a", "b")),
         "integration-conflict: so it went\nYour branch conflicts with the target branch. The work tree holds both "
         "sides between conflict markers on the new base; resolve them in a, b."),
        (note(Failure.INTEGRATION_GATE_RED, detail="2 failed"),
         "integration-gate-red: so it went\nMerged with the target branch, the gate was red. The work tree holds your "
         "work on the new base. Paths: none named.\n2 failed"),
        (note(Failure.SCOPE_VIOLATION, places=("lib/x",)),
         "scope-violation: so it went\nThe last try changed paths outside its scope. Paths lib/x."),
        (note(Failure.STALE_LEASE),
         "stale-lease: so it went\nThe last try vanished before it ended; whatever it left uncommitted was rescued. "
         "Paths: none named."),
        (note(Failure.GATE_RED, detail="log"), "gate-red: so it went\nThe last run failed. Paths: none named.\nlog"),
    ],
)  # fmt: skip
def test_what_a_new_run_is_told_of_the_last_one(given, text):
    assert carried_over(given) == text


def test_a_prompt_about_a_task_needs_a_task():
    with pytest.raises(ValueError, match="has no task"):
        prompts.worker(replace(DISPATCH, spec=None), 1, "", CONFIG)

"""What agents answer: only what the schema accepts, about this commit and this question, once."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.worlds import HEAD, NOW, TARGET, after, markdown, run_id, spec
from tests.records.documents import JSON_VALUES, examples

from gluerun.core.answers import (
    KEY_OF,
    UNKNOWN,
    batch_of,
    claim_of,
    decision_of,
    last_answer,
    objects_in,
    verdict_of,
)
from gluerun.core.steps import AgentDone, Opened
from gluerun.records.child import How
from gluerun.records.dispatch import Dispatch, Role
from gluerun.records.failure import Answer, Authority, Decision, Failure
from gluerun.records.packet import Command, PacketClaim
from gluerun.records.proposal import ProposedTask, TaskBatch
from gluerun.records.verdict import Judgement, Verdict

NONCE = "0123456789abcdef" * 2
OPENED = Opened(dispatch_id=f"{run_id(1)}.1", nonce=NONCE)
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
    spec=spec(),
)
MINE = {"runId": run_id(1), "taskId": "TASK-0001", "branch": spec().worker_branch}
STRANGERS = [
    ({"runId": run_id(2)}, f"runId is '{run_id(2)}', not '{run_id(1)}'"),
    ({"taskId": "TASK-0002"}, "taskId is 'TASK-0002', not 'TASK-0001'"),
    ({"branch": "main"}, "branch is 'main', not 'agent/src/TASK-0001-thing'"),
]


def done(answer=None, **changes):
    count = {"answers": 1} if answer is not None else {}
    return AgentDone(**{"how": How.EXITED, "exit_code": 0, "answer": answer, **count, **changes})


TIMED_OUT = {"how": How.TIMED_OUT, "exit_code": -15, "trouble": "timed out after 9 s"}


@pytest.mark.parametrize(
    ("agent", "claim"),
    [
        (done(), (None, "")),
        (done(answer_error="line 1, column 2: Expecting value"), (None, "line 1, column 2: Expecting value")),
        (done({}), (PacketClaim(), "")),
        (done({"summary": "did it", "commands": [{"cmd": "make", "exitCode": 0}]}),
         (PacketClaim(summary="did it", commands=(Command(cmd="make", exit_code=0),)), "")),
        (done(MINE), (PacketClaim(run_id=run_id(1), task_id="TASK-0001", branch=spec().worker_branch), "")),
        (done({"runId": None, "summary": None}), (PacketClaim(), "")),
        *((done(other), (None, why)) for other, why in STRANGERS),
    ],
)  # fmt: skip
def test_claims(agent, claim):
    assert claim_of(agent, DISPATCH) == claim


@pytest.mark.parametrize(
    "answer", [{"foo": 1}, {"summary": 1}, {"commands": [{"cmd": ""}]}, [], "done", {"schema": "packet-claim.v9"}]
)
def test_a_claim_of_another_shape_is_none(answer):
    claim, why = claim_of(done(answer), DISPATCH)

    assert (claim, why.startswith("packet-claim.v0: ")) == (None, True)


@pytest.mark.parametrize("path", ["/etc/passwd", "~/.ssh/id", "../other/file", "a/../../b"])
def test_a_claim_about_files_outside_the_repository_is_none(path):
    assert claim_of(done({"changedFiles": ["src/a.py", path]}), DISPATCH) == (
        None, f"changedFiles names {path!r}, which is not in the repository"
    )  # fmt: skip


VERDICT = {"verdict": "accepted", "rationale": "all there", "headSha": HEAD, "nonce": NONCE}
NOT_THIS = "the verdict is not about this commit and this question"


@pytest.mark.parametrize(
    ("agent", "verdict"),
    [
        (done(VERDICT),
         (Verdict(verdict=Judgement.ACCEPTED, rationale="all there", head_sha=HEAD, nonce=NONCE), "")),
        (done(VERDICT | MINE | {"findings": ["a"], "findingsStatus": {"f-0": "resolved"}}),
         (Verdict(verdict=Judgement.ACCEPTED, rationale="all there", head_sha=HEAD, nonce=NONCE, findings=("a",),
                  findings_status={"f-0": "resolved"}, run_id=run_id(1), task_id="TASK-0001",
                  branch=spec().worker_branch), "")),
        (done(VERDICT | {"nonce": "f" * 32}), (None, NOT_THIS)),
        (done(VERDICT | {"nonce": "0" * 32}), (None, NOT_THIS)),
        (done(VERDICT | {"headSha": TARGET}), (None, NOT_THIS)),
        *((done(VERDICT | other), (None, why)) for other, why in STRANGERS),
        (done(VERDICT, answers=2), (None, UNKNOWN)),
        (done(VERDICT, **TIMED_OUT), (None, "timed out after 9 s")),
        (done(**TIMED_OUT), (None, "timed out after 9 s")),
        (done(answer_error="not readable"), (None, "not readable")),
        (done(), (None, "no verdict was left")),
    ],
)  # fmt: skip
def test_verdicts(agent, verdict):
    assert verdict_of(agent, OPENED, HEAD, DISPATCH) == verdict


@pytest.mark.parametrize(
    "change",
    [{"verdict": "ok"}, {"verdict": None}, {"rationale": ""}, {"extra": 1}, {"findingsStatus": {"f-0": "gone"}},
     {"schema": "gluerun.orchestration.audit-verdict.v1"}, {"nonce": NONCE.upper()}],
)  # fmt: skip
def test_a_verdict_of_another_shape_is_none(change):
    verdict, why = verdict_of(done(VERDICT | change), OPENED, HEAD, DISPATCH)

    assert (verdict, why.startswith("audit-verdict.v0: ")) == (None, True)


@pytest.mark.parametrize("key", sorted(VERDICT))
def test_a_verdict_without_a_required_part_is_none(key):
    answer = {name: value for name, value in VERDICT.items() if name != key}

    assert verdict_of(done(answer), OPENED, HEAD, DISPATCH)[0] is None


DECISION = {"failureClass": "audit-blocked", "action": "retry", "rationale": "try this", "nonce": NONCE}
NOT_MINE = "the decision is not about this failure and this question"


@pytest.mark.parametrize(
    ("agent", "decision"),
    [
        (done(DECISION | MINE | {"confidence": 0.5, "nextOwner": "l2"}),
         (Decision(failure_class=Failure.AUDIT_BLOCKED, action=Answer.RETRY, rationale="try this",
                   authority=Authority.DECIDER), "")),
        (done(DECISION | {"nonce": "f" * 32}), (None, NOT_MINE)),
        (done(DECISION | {"failureClass": "gate-red"}), (None, NOT_MINE)),
        *((done(DECISION | other), (None, why)) for other, why in STRANGERS),
        (done(DECISION, answers=2), (None, "no single decision was left")),
        (done(DECISION, **TIMED_OUT), (None, "timed out after 9 s")),
        (done(answer_error="not readable"), (None, "not readable")),
        (done(), (None, "no single decision was left")),
    ],
)  # fmt: skip
def test_decisions(agent, decision):
    assert decision_of(agent, OPENED, Failure.AUDIT_BLOCKED, DISPATCH) == decision


@pytest.mark.parametrize("change", [{"action": "ask-model"}, {"action": "merge"}, {"confidence": 2}, {"extra": 1}])
def test_a_decision_of_another_shape_is_none(change):
    decision, why = decision_of(done(DECISION | change), OPENED, Failure.AUDIT_BLOCKED, DISPATCH)

    assert (decision, why.startswith("decider-verdict.v0: ")) == (None, True)


BATCH = {"tasks": [{"taskId": "TASK-9001", "markdown": markdown(9001)}]}


@pytest.mark.parametrize(
    ("agent", "batch"),
    [
        (done(BATCH), (TaskBatch(tasks=(ProposedTask(task_id="TASK-9001", markdown=markdown(9001)),)), "")),
        (done({"tasks": []}), (TaskBatch(tasks=()), "")),
        (done(BATCH | {"runId": run_id(2)}), (None, f"runId is '{run_id(2)}', not '{run_id(1)}'")),
        (done(BATCH, answers=2), (None, "no single batch was left")),
        (done(BATCH, **TIMED_OUT), (None, "timed out after 9 s")),
        (done(answer_error="not readable"), (None, "not readable")),
        (done(), (None, "no single batch was left")),
    ],
)
def test_batches(agent, batch):
    assert batch_of(agent, DISPATCH) == batch


@pytest.mark.parametrize("answer", [{}, {"tasks": [{"taskId": "T-1", "markdown": "x"}]}, {"tasks": [], "x": 1}])
def test_a_batch_of_another_shape_is_none(answer):
    batch, why = batch_of(done(answer), DISPATCH)

    assert (batch, why.startswith("task-batch.v0: ")) == (None, True)


def test_an_answer_about_a_node_names_no_task_and_no_branch():
    node = Dispatch(**{**vars(DISPATCH), "role": Role.PLANNER, "task_id": None, "spec": None, "node": "api"})

    assert batch_of(done({"tasks": [], "runId": run_id(1)}), node) == (TaskBatch(tasks=(), run_id=run_id(1)), "")
    assert batch_of(done({"tasks": [], "branch": "b"}), node) == (None, "branch is 'b', not None")


@pytest.mark.parametrize(
    ("text", "objects"),
    [
        ("", []),
        ("no object here", []),
        ('{"a": 1}', [{"a": 1}]),
        ('Here it is: {"a": 1}. Bye {now}.', [{"a": 1}]),
        ('```json\n{"a": {"b": {}}}\n```', [{"a": {"b": {}}}]),
        ('{"a": 1} {"a": 2}\n{"a": 3}', [{"a": 1}, {"a": 2}, {"a": 3}]),
        ('if (x) { return; } {"a": "}{"}', [{"a": "}{"}]),
        ('[{"a": 1}]', [{"a": 1}]),
        ('{"a": 1', []),
        ("{'a': 1}", []),
        ('{"a": NaN}', []),
        ('{"a": 1e999}', []),
        ('{"a": "\\ud800"}', []),
        ('{"a":' * 1_500, []),
        ("{" * 10_000, []),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_objects_in_text(text, objects):
    assert objects_in(text) == objects


EXAMPLE = {"verdict": "needs-fix", "rationale": "an example that is much longer than the answer " * 9}
SHORT = {"verdict": "accepted"}
TASKS = {"tasks": []}


def words(*objects):
    return "\nso\n".join(["I say", *(json.dumps(one, indent=1) for one in objects), "the end"])


@pytest.mark.parametrize(
    ("role", "text", "answer"),
    [
        (Role.AUDITOR, "", (None, 0)),
        (Role.AUDITOR, "I accept {it}", (None, 0)),
        (Role.AUDITOR, words(SHORT), (SHORT, 1)),
        (Role.AUDITOR, words(EXAMPLE, SHORT), (SHORT, 2)),
        (Role.AUDITOR, words(SHORT, SHORT), (SHORT, 1)),
        (Role.AUDITOR, words(SHORT, {"other": 1}), (SHORT, 1)),
        (Role.AUDITOR, words({"quoted": EXAMPLE}, SHORT), (SHORT, 1)),
        (Role.AUDITOR, words(SHORT) + '{"verdict": NaN}', (SHORT, 1)),
        (Role.AUDITOR, words(SHORT) + '{"verdict": "\\ud800"}', (SHORT, 1)),
        (Role.AUDITOR, '{"verdict": "accepted", "rationale": "cut he', (None, 0)),
        (Role.DECIDER, words({"action": "retry"}, {"verdict": "x"}), ({"action": "retry"}, 1)),
        (Role.PLANNER, words(TASKS, {"tasks": [1]}), ({"tasks": [1]}, 2)),
        (Role.WORKER, words({"summary": "a"}, {"summary": "b"}), ({"summary": "b"}, 1)),
        (Role.WORKER, words({"summary": "a"}) + 'I set {"debug": true} in the file.', ({"summary": "a"}, 1)),
        (Role.WORKER, words({"summary": "a", "foo": 1}), ({"summary": "a", "foo": 1}, 1)),
        (Role.WORKER, "the function is empty: {}", (None, 0)),
        (Role.WORKER, '{"commands": [{"cmd": "make", "exitCode": 0}], "summary": "cut he', (None, 0)),
    ],
)
def test_the_last_answer_of_a_message(role, text, answer):  # C26
    assert last_answer(text, role) == answer


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.DECIDER, Role.PLANNER])
def test_what_makes_an_answer_is_required_by_its_schema(role):
    assert KEY_OF[role] in {**VERDICT, **DECISION, **BATCH}


PROSE = st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]), max_size=9)


@examples(60)
@given(st.lists(st.dictionaries(st.text("abc", max_size=2), JSON_VALUES, max_size=3), max_size=4), PROSE)
def test_every_object_between_words_is_found_in_order(objects, prose):
    text = prose + prose.join(json.dumps(one) for one in objects) + prose

    assert objects_in(text) == objects


@examples(200)
@given(st.text('{}[]":,\\u0a1 nullN'), st.sampled_from(Role))
def test_no_text_breaks_the_search(text, role):
    answer, count = last_answer(text, role)

    assert (answer is None) == (count == 0)

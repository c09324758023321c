"""Ten gates before a session is gone on with: each one alone is enough to begin afresh, and the first is named."""

from __future__ import annotations

import pytest
from tests.core.worlds import HEAD, NOW, after, run_id

from gluerun.core import sessions
from gluerun.records import codec, schema
from gluerun.records.record import replace
from gluerun.records.session import SessionMeta

META = SessionMeta(
    role="worker",
    task_id="TASK-0001",
    run_id=run_id(1),
    runner="mine",
    provider="somebody",
    model="small",
    session_id="s-1",
    exit_code=0,
    cwd="/house/.worktrees/TASK-0001",
    prompt_sha256="0" * 64,
    head_sha_at_create=HEAD,
    last_used_attempt=1,
    created_at=NOW,
)
FACTS = sessions.Facts(
    enabled=True,
    role="worker",
    task_id="TASK-0001",
    run_id=run_id(1),
    runner="mine",
    prompt_sha256="0" * 64,
    now=after(14400),
    max_age_sec=14400,
    head=HEAD,
    cwd="/house/.worktrees/TASK-0001",
)
# In the order of the gates: what of the session and what of the present shuts each.
GATES = [
    ("disabled", {}, {"enabled": False}),
    ("no-session", None, {}),
    ("no-session-id", {"session_id": ""}, {}),
    ("role-mismatch", {"role": "auditor"}, {}),
    ("run-mismatch", {"run_id": run_id(2)}, {}),
    ("runner-changed", {}, {"runner": "yours"}),
    ("prompt-template-changed", {}, {"prompt_sha256": "1" * 64}),
    ("expired", {}, {"now": after(14401)}),
    ("head-rewritten", {}, {"head": "c" * 40}),
    ("worktree-moved", {}, {"cwd": "/elsewhere"}),
]


def judged(meta, facts):
    return sessions.resume_or_why(None if meta is None else replace(META, **meta), replace(FACTS, **facts))


def test_a_session_on_the_same_ground_is_gone_on_with():
    assert judged({}, {}) == ("s-1", "")


@pytest.mark.parametrize(("why", "meta", "facts"), GATES, ids=[gate[0] for gate in GATES])
def test_each_gate_alone_is_enough(why, meta, facts):
    assert judged(meta, facts) == ("", why)


@pytest.mark.parametrize("first", range(len(GATES)))
def test_the_first_gate_that_is_shut_is_named(first):
    shut = [gate for gate in GATES[first:] if gate[1] is not None or gate is GATES[first]]
    meta = None if shut[0][1] is None else {key: value for gate in shut for key, value in gate[1].items()}
    facts = {key: value for gate in shut for key, value in gate[2].items()}

    assert judged(meta, facts) == ("", GATES[first][0])


@pytest.mark.parametrize(
    ("meta", "facts", "answer"),
    [
        ({"task_id": "TASK-0002"}, {}, ("", "run-mismatch")),
        ({"head_sha_at_create": ""}, {"head": "c" * 40}, ("s-1", "")),
        ({"head_sha_at_create": ""}, {"head": ""}, ("s-1", "")),
        ({"created_at": after(20000)}, {}, ("", "expired")),
        ({}, {"now": NOW, "max_age_sec": 1}, ("s-1", "")),
    ],
    ids=["another task", "nothing was committed", "nothing is", "made in the future", "just made"],
)
def test_the_edges_of_the_gates(meta, facts, answer):
    assert judged(meta, facts) == answer


@pytest.mark.parametrize(
    ("reported", "session"),
    [
        ("5f0c9d7e-1111-4222-8333-444455556666", "5f0c9d7e-1111-4222-8333-444455556666"),
        ("ses_01:a.b", "ses_01:a.b"),
        ("unknown", ""),
        ("", ""),
        ("--dangerous", ""),
        ("-r", ""),
        ("a b", ""),
        ("a\n", ""),
        ("x" * 200, "x" * 200),
        ("x" * 201, ""),
    ],
)
def test_only_what_cannot_read_as_an_option_is_a_session(reported, session):
    assert sessions.id_of(reported) == session
    schema.check("session-meta.v0", codec.to_wire(replace(META, session_id=session)))


@pytest.mark.parametrize(("session", "why", "words"), [("s", "", "resume s"), ("", "expired", "fresh expired")])
def test_what_is_noted_of_a_try(session, why, words):
    assert sessions.noted(session, why) == words


@pytest.mark.parametrize(
    ("document", "meta"),
    [
        (None, None),
        ({}, None),
        ([], None),
        ("s-1", None),
        (codec.to_wire(META), META),
        (codec.to_wire(META) | {"sessionId": "--yes"}, None),
        (codec.to_wire(META) | {"more": 1}, None),
    ],
)
def test_what_cannot_be_read_is_no_session(document, meta):
    assert sessions.meta_of(document) == meta

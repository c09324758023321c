"""What happens between a dispatch and its ending: the whole sequence, and every way out of it."""

from __future__ import annotations

import hashlib

import pytest
from tests.core.answering import (
    CHANGED,
    SICK,
    Host,
    agent,
    changed,
    check,
    decides,
    faulty,
    green,
    head_of,
    limited,
    no_gate,
    red,
    says,
    sick,
    unclear,
)
from tests.core.worlds import CANDIDATE, CONFIG, NOW, TARGET, after, batch, markdown, run_id, spec

from gluerun.core import drive
from gluerun.core.continuity import finding_id
from gluerun.core.steps import (
    Clear,
    Commit,
    Committed,
    Done,
    Gated,
    Inspected,
    Keep,
    KeepAttempts,
    KeepText,
    OpenDispatch,
    Patched,
    Place,
    Prepare,
    Prepared,
    Recall,
    Recalled,
    Restore,
    RunAgent,
    RunGate,
    RunSetup,
)
from gluerun.core.tamper import Grade, Tamper
from gluerun.errors import ImpossibleError
from gluerun.records import codec
from gluerun.records.config import TamperRule
from gluerun.records.dispatch import Dispatch, Ending, Held, Outcome, Role, Seat
from gluerun.records.failure import Answer, Authority, Failure, FailureNote
from gluerun.records.fault import Fault, Limit
from gluerun.records.packet import Command, Evidence, Packet
from gluerun.records.record import replace
from gluerun.records.runner import RunnerSpec
from gluerun.records.verdict import Finding, FindingStatus, Ledger

DISPATCH = Dispatch(
    run_id=run_id(1),
    role=Role.WORKER,
    batch_id="ORIGIN-20260131T115900Z-1",
    target_branch="main",
    base_sha=TARGET,
    started_at=NOW,
    expires_at=after(3600),
    config_sha256="0" * 64,
    epoch=1,
    task_id="TASK-0001",
    spec=spec(),
    owned_files=("src/thing1",),
    max_tries=4,
    gate_command="make check",
)
FAILED = Ending(
    run_id=run_id(1),
    role=Role.WORKER,
    epoch=1,
    outcome=Outcome.FAILED,
    finished_at=NOW,
    task_id="TASK-0001",
    authority=Authority.POLICY,
)
AGENT_IN_WORK = ["open worker", "worker in work"]
GATE = ["prepare gate", "rungate", "clear gate"]
AUDIT = ["prepare audit", "open auditor", "auditor in audit", "clear audit"]
VERDICT = ["keep findings-status.json", "keep audit.json", "keep reviewer-capsule.json"]
ACCEPT = ["keep packet.json", "keep implementer-capsule.json", "clear work"]
DECIDE = ["prepare audit", "open decider", "decider in audit", "clear audit"]


def work(host, config=None, **changes):
    """Drive a worker on *host* and return how it ended."""
    return host.run(drive.worker(replace(DISPATCH, **changes), replace(CONFIG, **(config or {}))))


def digest(document):
    return hashlib.sha256(codec.canonical(document)).hexdigest()


PACKET = Packet(
    packet_id=f"{run_id(1)}.1",
    run_id=run_id(1),
    task_id="TASK-0001",
    area="src",
    role="worker",
    status="accepted",
    base_ref=TARGET,
    branch=spec().worker_branch,
    head_sha=head_of(1),
    workspace=".worktrees/TASK-0001",
    owned_files=("src/thing1",),
    changed_files=CHANGED,
    commands=(),
    tests=(),
    evidence=(
        Evidence(kind="gate-check", ref="gate-check.json"),
        Evidence(kind="audit", ref="audit.json"),
        Evidence(kind="prompt", ref=f"runs/{run_id(1)}/attempts/1"),
    ),
    blockers=(),
    next_action="integrate",
    created_at=NOW,
    summary="did it",
)
GATED, AUDITED, PROMPTED = PACKET.evidence


def sealed(host, packet):
    """Return *packet* with the digests of what this host has seen beside each piece of evidence."""
    found = {
        "gate-check": lambda: digest(codec.to_wire(check(host.of(RunGate)[-1]))),
        "audit": lambda: digest(host.kept("audit.json")),
        "prompt": lambda: hashlib.sha256(
            next(one.prompt for one in reversed(host.of(RunAgent)) if one.role is Role.WORKER).encode()
        ).hexdigest(),
    }
    return replace(
        packet,
        evidence=tuple(replace(one, sha256=found[one.kind]()) if one.kind in found else one for one in packet.evidence),
    )


def test_a_good_try_from_its_place_to_its_packet():
    host = Host()
    ending = work(host)

    assert host.story() == [
        "prepare work", "keep 0 of 1 tries", *AGENT_IN_WORK, "inspect", "commit", *GATE, "patch", *AUDIT, *VERDICT,
        "keep 1 of 1 tries", *ACCEPT,
    ]  # fmt: skip
    assert host.kept("packet.json") == codec.to_wire(sealed(host, PACKET))
    assert ending == replace(
        FAILED,
        outcome=Outcome.ACCEPTED,
        authority=None,
        tries=1,
        head_sha=head_of(1),
        diff_sha256="d" * 64,
        packet_sha256=digest(codec.to_wire(sealed(host, PACKET))),
        green_tree="6" * 64,
        green_gate="7" * 64,
    )


CLAIM = {
    "summary": "did it",
    "commands": [{"cmd": "make", "exitCode": 0}],
    "evidence": [{"kind": "log", "ref": "x.log", "sha256": "0" * 64}],
    "blockers": [{"reason": "none really"}],
    "nextAction": "merge",
}


@pytest.mark.parametrize(
    ("script", "config", "task", "packet", "absent"),
    [
        ({"worker": agent()}, {}, {}, {"derived": True, "summary": None}, []),
        ({"worker": CLAIM}, {}, {},
         {"commands": (Command(cmd="make", exit_code=0),), "next_action": "merge",
          "evidence": (Evidence(kind="claim", ref="x.log"), *PACKET.evidence)}, []),
        ({}, {"require_audit": False}, {}, {"evidence": (GATED, PROMPTED)}, AUDIT),
        ({}, {}, {"gate_command": ""}, {"evidence": (AUDITED, PROMPTED)}, GATE),
        ({}, {"require_audit": False, "require_packet": True}, {"gate_command": ""}, {"evidence": (PROMPTED,)},
         [*AUDIT, *GATE]),
    ],
    ids=[
        "without an answer it is derived", "what an agent claims is kept as a claim", "without an audit",
        "without a gate", "with neither",
    ],
)  # fmt: skip
def test_a_packet_says_what_the_host_knows(script, config, task, packet, absent):
    host = Host(**script)
    ending = work(host, config, **task)
    kept = host.kept("packet.json")

    assert ending.outcome is Outcome.ACCEPTED
    wanted = codec.to_wire(sealed(host, replace(PACKET, **packet)))
    if "commands" not in packet:
        assert kept == wanted
    else:
        assert {name: kept[codec.wire_name(name)] for name in packet} == {
            name: wanted[codec.wire_name(name)] for name in packet
        }
    assert [word for word in absent if word in host.story()] == []


RETRY_ALWAYS = {"decider": decides("retry")}
DIFFERENT = [changed(diff=letter) for letter in "abcdef"]


def spent(host, config=None):
    """Drive a worker that has one try left."""
    return work(host, config, tries_used=3)


@pytest.mark.parametrize(
    ("script", "config", "failure", "answer", "authority", "reason"),
    [
        ({"worker": sick()}, {}, Failure.WORKER_INFRA, Answer.ESCALATE_PARKED, Authority.POLICY, SICK),
        ({"worker": agent()}, {"require_packet": True}, Failure.WORKER_NO_PACKET, Answer.ESCALATE_PARKED,
         Authority.POLICY, "the agent left no answer"),
        ({"worker": {"foo": 1}}, {}, Failure.PACKET_INVALID, Answer.ESCALATE_PARKED, Authority.POLICY,
         "packet-claim.v0: document has unknown keys foo"),
        ({"worker": {"taskId": "TASK-0002"}}, {}, Failure.PACKET_INVALID, Answer.ESCALATE_PARKED, Authority.POLICY,
         "taskId is 'TASK-0002', not 'TASK-0001'"),
        ({"worker": agent(answer_error="line 1, column 1: Expecting value")}, {}, Failure.PACKET_INVALID,
         Answer.ESCALATE_PARKED, Authority.POLICY, "line 1, column 1: Expecting value"),
        ({"inspect": replace(changed(), changed=())}, {}, Failure.NO_CHANGES, Answer.ESCALATE_PARKED,
         Authority.POLICY, "nothing differs from the base"),
        ({"worker": CLAIM, "inspect": replace(changed(), changed=())}, {}, Failure.NO_CHANGES,
         Answer.ESCALATE_PARKED, Authority.POLICY, "the agent is blocked: none really"),
        ({"inspect": changed(trouble="the work tree is gone")}, {}, Failure.COMMIT_FAILED, Answer.ESCALATE_PARKED,
         Authority.POLICY, "the work tree is gone"),
        ({"commit": Committed(trouble="git says no")}, {}, Failure.COMMIT_FAILED, Answer.ESCALATE_PARKED,
         Authority.POLICY, "git says no"),
        ({"inspect": changed("src/thing1/a.py", "lib/b.py")}, {}, Failure.SCOPE_VIOLATION, Answer.ESCALATE_PARKED,
         Authority.POLICY, "changed outside its scope: lib/b.py"),
        ({"inspect": changed(*"abcdefg")}, {}, Failure.SCOPE_VIOLATION, Answer.ESCALATE_PARKED,
         Authority.POLICY, "changed outside its scope: a, b, c, d, e and 2 more"),
        ({"inspect": changed("docs/orchestration/x")}, {}, Failure.SCOPE_VIOLATION, Answer.ESCALATE_PARKED,
         Authority.POLICY, "changed outside its scope: docs/orchestration/x"),
        ({"inspect": changed(secrets=("src/thing1/a.py:7",))}, {}, Failure.SECRET_DETECTED, Answer.ESCALATE_PARKED,
         Authority.L1, "something like a secret at src/thing1/a.py:7"),
        ({"gate": red}, {}, Failure.GATE_RED, Answer.ESCALATE_PARKED, Authority.POLICY, "the gate ended with 1"),
        ({"gate": lambda step: red(step, timed_out=True)}, {}, Failure.GATE_RED, Answer.ESCALATE_PARKED,
         Authority.POLICY, "the gate timed out"),
        ({"gate": no_gate}, {}, Failure.WORKER_INFRA, Answer.ESCALATE_PARKED, Authority.POLICY, "sh is missing"),
        ({"gate": unclear}, {}, Failure.WORKER_INFRA, Answer.ESCALATE_PARKED, Authority.POLICY,
         "the gate was inconclusive"),
        ({"prepare_gate": Prepared(trouble="no disk")}, {}, Failure.WORKER_INFRA, Answer.ESCALATE_PARKED,
         Authority.POLICY, "no disk"),
        ({"worker": limited()}, {}, Failure.LIMIT_REACHED, Answer.ESCALATE_PARKED, Authority.POLICY,
         "the worker used up its 9 turns"),
        ({"worker": faulty(Fault.CONTEXT_TOO_LONG)}, {}, Failure.WORKER_INFRA, Answer.ESCALATE_PARKED,
         Authority.POLICY, "the worker met context-too-long"),
        ({"auditor": faulty(Fault.CONTEXT_TOO_LONG)}, {}, Failure.AUDIT_INFRA, Answer.ESCALATE_PARKED,
         Authority.POLICY, "the worker met context-too-long"),
        ({"auditor": sick()}, {}, Failure.AUDIT_INFRA, Answer.ESCALATE_PARKED, Authority.POLICY, SICK),
        ({"auditor": agent()}, {}, Failure.AUDIT_INFRA, Answer.ESCALATE_PARKED, Authority.POLICY,
         "no verdict was left"),
        ({"prepare_audit": Prepared(trouble="no disk")}, {}, Failure.AUDIT_INFRA, Answer.ESCALATE_PARKED,
         Authority.POLICY, "no disk"),
        ({"auditor": says(nonce="f" * 32)}, {}, Failure.AUDIT_INFRA, Answer.ESCALATE_PARKED, Authority.POLICY,
         "the verdict is not about this commit and this question"),
        ({"auditor": says(headSha=TARGET)}, {}, Failure.AUDIT_INFRA, Answer.ESCALATE_PARKED, Authority.POLICY,
         "the verdict is not about this commit and this question"),
        ({"auditor": agent(says(), answers=2)}, {}, Failure.AUDIT_UNKNOWN, Answer.ESCALATE_PARKED, Authority.L1,
         "the auditor gave answers that disagree"),
        ({"auditor": says("needs-fix")}, {}, Failure.AUDIT_NEEDS_FIX, Answer.ESCALATE_PARKED, Authority.L1,
         "it is needs-fix"),
        ({"auditor": says("blocked")}, {}, Failure.AUDIT_BLOCKED, Answer.ESCALATE_PARKED, Authority.L1,
         "it is blocked"),
        ({"auditor": says("needs-human")}, {}, Failure.AUDIT_NEEDS_HUMAN, Answer.ESCALATE_PARKED, Authority.L1,
         "it is needs-human"),
    ],
    ids=lambda value: "",
)  # fmt: skip
def test_every_failure_of_a_last_try(script, config, failure, answer, authority, reason):
    host = Host(**script)
    ending = spent(host, config)
    [attempt] = host.attempts()

    assert (ending.failure, ending.answer, ending.authority, ending.tries, ending.reason) == (
        failure, answer, authority, 1, reason
    )  # fmt: skip
    assert (attempt.n, attempt.failure_class, attempt.decider_action, attempt.decider_authority, attempt.ended_at) == (
        4, failure, answer, authority, NOW
    )  # fmt: skip
    assert host.story()[-1] == "clear work"
    assert host.kept("packet.json") is None


LEFT_TO_THE_LOOP = {Failure.STALE_LEASE, Failure.INTEGRATION_CONFLICT, Failure.INTEGRATION_GATE_RED}


def test_the_table_above_reaches_every_failure_that_a_run_can_meet():
    marks = test_every_failure_of_a_last_try.pytestmark
    reached = {case[2] for mark in marks for case in mark.args[1]}

    assert set(Failure) - reached == LEFT_TO_THE_LOOP | {Failure.PROOF_SKIP_DETECTED}


def test_a_red_gate_is_tried_again_with_its_log():
    host = Host(gate=[lambda step: red(step, tail="test_zero failed"), green], inspect=DIFFERENT)
    ending = work(host)
    first, second = host.prompts(Role.WORKER)

    assert (ending.outcome, ending.tries, ending.head_sha) == (Outcome.ACCEPTED, 2, head_of(2))
    assert "Try 2" not in first
    assert "Try 2: what was wrong with the last one\ngate-red: the gate ended with 1\ntest_zero failed" in second
    assert [(one.n, one.failure_class, one.decider_action) for one in host.attempts()] == [
        (1, Failure.GATE_RED, Answer.RETRY),
        (2, None, None),
    ]


def test_what_an_auditor_wants_is_tried_again_and_checked_again():
    host = Host(
        auditor=[says("needs-fix", findings=["no test of zero"], requiredFixes=["test zero"]), says()],
        inspect=DIFFERENT,
    )
    ending = work(host)
    ledger = host.kept("findings-status.json")

    assert (ending.outcome, ending.tries) == (Outcome.ACCEPTED, 2)
    assert f"({finding_id('test zero')}) test zero" in host.prompts(Role.WORKER)[1]
    assert f"({finding_id('no test of zero')}) no test of zero" in host.prompts(Role.AUDITOR)[1]
    assert [one["status"] for one in ledger["findings"]] == ["resolved", "resolved"]
    assert [one.audit_verdict for one in host.attempts()] == ["needs-fix", "accepted"]


def test_the_kept_verdict_does_not_tell_the_nonce():
    host = Host()
    work(host)

    assert host.kept("audit.json")["nonce"] == "0" * 32


def test_a_fault_of_the_agents_machine_is_tried_again_without_a_try():
    host = Host(worker=[sick(), {"summary": "did it"}])
    ending = work(host)

    assert (ending.outcome, ending.tries) == (Outcome.ACCEPTED, 1)
    assert host.story()[1:6] == ["keep 0 of 1 tries", *AGENT_IN_WORK, *AGENT_IN_WORK]
    assert [step.dispatch_id for step in host.of(RunAgent)[:2]] == [f"{run_id(1)}.1", f"{run_id(1)}.2"]


@pytest.mark.parametrize(("limit", "runs"), [(0, 1), (1, 2), (3, 4)])
def test_infrastructure_has_its_own_tries(limit, runs):
    workers, gates, audits = Host(worker=sick("the log")), Host(gate=unclear), Host(auditor=sick())
    config = {"worker_infra_max": limit, "audit_infra_max": limit}
    endings = [work(host, config) for host in (workers, gates, audits)]

    assert [(one.failure, one.tries) for one in endings] == [
        (Failure.WORKER_INFRA, 1),
        (Failure.WORKER_INFRA, 1),
        (Failure.AUDIT_INFRA, 1),
    ]
    assert [len(workers.of(RunAgent)), len(gates.of(RunGate)), len(audits.prompts(Role.AUDITOR))] == [runs] * 3
    assert endings[0].detail == "the log"


@pytest.mark.parametrize("first", [unclear, no_gate], ids=["inconclusive", "did not run"])
def test_a_gate_that_said_nothing_is_asked_again_in_a_new_place(first):
    host = Host(gate=[first, green])

    assert work(host).outcome is Outcome.ACCEPTED
    assert [word for word in host.story() if word in GATE] == GATE * 2


def test_an_auditor_that_said_nothing_is_asked_again_with_a_new_nonce():
    host = Host(auditor=[agent(), says()])

    assert work(host).outcome is Outcome.ACCEPTED
    assert len({step.nonce for step in host.of(RunAgent)}) == 3


def test_a_scope_violation_ends_the_run_for_the_loop_to_judge():
    host = Host(inspect=changed("src/thing1/a.py", "lib/b.py", "c"))
    ending = work(host)

    assert ending == replace(
        FAILED,
        tries=1,
        failure=Failure.SCOPE_VIOLATION,
        answer=Answer.AMEND_SCOPE,
        reason="changed outside its scope: lib/b.py, c",
        paths=("lib/b.py", "c"),
        diff_sha256="d" * 64,
    )
    assert host.of(Commit) == []


def test_the_same_failure_at_the_same_difference_twice_ends_the_run():
    host = Host(gate=red, **RETRY_ALWAYS)
    host.script["commit"] = [Committed(head=head_of(9))]
    ending = work(host)

    assert (ending.tries, ending.answer, ending.authority) == (2, Answer.ESCALATE_PARKED, Authority.L1)
    assert ending.detail.startswith("the same failure at the same difference twice\n")


def test_a_difference_that_was_never_looked_at_is_not_the_same():
    host = Host(gate=red, worker=[{"summary": "a"}, {"foo": 1}], **RETRY_ALWAYS)
    ending = work(host)

    assert [(one.failure_class, one.diff_sha256) for one in host.attempts()] == [
        (Failure.GATE_RED, "d" * 64),
        *[(Failure.PACKET_INVALID, None)] * 3,
    ]
    assert (ending.tries, ending.diff_sha256) == (4, None)


def test_the_same_failure_twice_asks_a_model_and_its_advice_reaches_the_worker():
    host = Host(gate=[red, red, green], inspect=DIFFERENT, **RETRY_ALWAYS)
    ending = work(host)
    [question] = host.prompts(Role.DECIDER)

    assert (ending.outcome, ending.tries) == (Outcome.ACCEPTED, 3)
    assert "failureClass: gate-red\n" in question
    assert "- try 1: gate-red the gate ended with 1" in question
    assert "Advice: better to retry" in host.prompts(Role.WORKER)[2]
    assert [step.commit for step in host.of(Prepare) if step.place is Place.AUDIT] == [head_of(2), head_of(3)]
    assert host.kept("decision-gate-red.json")["authority"] == "decider"


def test_the_failure_of_the_run_before_counts_as_the_last_one():
    note = FailureNote(failure_class=Failure.GATE_RED, reason="red", at=NOW)
    host = Host(gate=[red, green], inspect=DIFFERENT, **RETRY_ALWAYS)
    work(host, last_failure=note)

    assert len(host.prompts(Role.DECIDER)) == 1
    assert "gate-red: red\nThe last run failed." in host.prompts(Role.WORKER)[0]


BLOCKED = {"auditor": says("blocked")}


@pytest.mark.parametrize(
    ("script", "config", "answer", "authority", "why"),
    [
        ({"decider": decides("cancel")}, {}, Answer.CANCEL, Authority.DECIDER, "better to cancel"),
        ({"decider": decides("split-task")}, {}, Answer.SPLIT_TASK, Authority.DECIDER, "better to split-task"),
        ({"decider": decides("release")}, {}, Answer.RELEASE, Authority.DECIDER, "better to release"),
        ({"decider": agent()}, {}, Answer.ESCALATE_PARKED, Authority.L1,
         "the decider gave no answer: no single decision was left"),
        ({"decider": sick()}, {}, Answer.ESCALATE_PARKED, Authority.L1, f"the decider gave no answer: {SICK}"),
        ({"decider": decides("cancel", nonce="f" * 32)}, {}, Answer.ESCALATE_PARKED, Authority.L1,
         "the decider gave no answer: the decision is not about this failure and this question"),
        ({}, {"roles": {}}, Answer.ESCALATE_PARKED, Authority.L1, "no decider is configured"),
        ({"prepare_audit": [Prepared(), Prepared(trouble="no disk")]}, {}, Answer.ESCALATE_PARKED, Authority.L1,
         "the decider could not start: no disk"),
    ],
)  # fmt: skip
def test_what_a_model_may_decide(script, config, answer, authority, why):
    host = Host(**BLOCKED, **script)
    ending = work(host, config)

    assert (ending.failure, ending.answer, ending.authority) == (Failure.AUDIT_BLOCKED, answer, authority)
    assert ending.detail.splitlines()[0] == why
    # What could not be made ready is made ready anew without being cleared between.
    assert len(host.of(Clear)) == len(host.of(Prepare)) - ("no disk" in why)


def test_a_model_cannot_give_a_try_that_is_not_left():
    ending = spent(Host(**BLOCKED, **RETRY_ALWAYS))

    assert (ending.answer, ending.authority) == (Answer.ESCALATE_PARKED, Authority.L1)
    assert ending.detail.startswith("no tries are left (better to retry)")


def test_without_the_fast_path_a_model_decides():
    host = Host(gate=red, decider=decides("cancel"))

    assert work(host, {"decider_fast": False}).answer is Answer.CANCEL


def test_a_waived_judgement_keeps_the_receipt_of_its_gate():  # C10
    host = Host(**BLOCKED, decider=decides("accept-waiver"))
    ending = work(host)
    packet = replace(PACKET, evidence=(*PACKET.evidence, Evidence(kind="waiver", ref="decider:accept-waiver")))

    assert host.kept("packet.json") == codec.to_wire(sealed(host, packet))
    assert ending == replace(
        FAILED,
        outcome=Outcome.ACCEPTED,
        authority=None,
        tries=1,
        head_sha=head_of(1),
        diff_sha256="d" * 64,
        packet_sha256=digest(codec.to_wire(sealed(host, packet))),
        green_tree="6" * 64,
        green_gate="7" * 64,
    )
    assert [(one.failure_class, one.decider_action) for one in host.attempts()] == [
        (Failure.AUDIT_BLOCKED, Answer.ACCEPT_WAIVER)
    ]


@pytest.mark.parametrize(
    ("script", "failure"),
    [({"gate": red}, Failure.GATE_RED), ({"inspect": changed(secrets=("a:1",))}, Failure.SECRET_DETECTED)],
)
def test_a_rule_is_not_waived_for_a_model(script, failure):
    host = Host(decider=decides("accept-waiver"), **script)
    ending = work(host, {"decider_fast": False})

    assert (ending.failure, ending.answer, ending.detail.splitlines()[0]) == (
        failure,
        Answer.ESCALATE_PARKED,
        f"a waiver of {failure} is refused",
    )
    assert host.kept("packet.json") is None


def test_a_commit_of_an_earlier_try_is_not_accepted_by_a_waiver_of_a_later_one():  # C9
    host = Host(
        auditor=says("blocked"), inspect=[changed(diff="a"), replace(changed(), changed=())],
        decider=[decides("retry"), decides("accept-waiver")],
    )  # fmt: skip
    ending = work(host, {"decider_fast": False})

    assert (ending.outcome, ending.failure, ending.answer) == (
        Outcome.FAILED,
        Failure.NO_CHANGES,
        Answer.ESCALATE_PARKED,
    )


def test_a_secret_is_taken_out_of_the_work_tree_before_anything_else():
    hits = (f"{CHANGED[0]}:7", f"{CHANGED[0]}:9", "src/thing1/x:1")
    host = Host(inspect=[changed(secrets=hits), changed()], **RETRY_ALWAYS)
    ending = work(host)

    assert ending.outcome is Outcome.ACCEPTED
    assert host.of(Restore) == [Restore(attempt=1, commit=TARGET, paths=(CHANGED[0], "src/thing1/x"))]
    assert len(host.of(Commit)) == 1


def test_a_try_is_counted_before_its_agent_starts():
    host = Host(gate=[red, green], inspect=DIFFERENT)
    work(host)
    steps = [step for step in host.steps if isinstance(step, KeepAttempts | RunAgent)]
    counted = [len(steps[at - 1].index.attempts) for at, step in enumerate(steps)
               if isinstance(step, RunAgent) and step.role is Role.WORKER]  # fmt: skip

    assert counted == [1, 2]


def test_the_auditors_nonce_does_not_exist_while_the_worker_runs():
    host = Host(worker=[sick(), {"summary": "did it"}])
    work(host)
    story = [step for step in host.steps if isinstance(step, OpenDispatch | RunAgent)]
    nonces = {step.nonce for step in host.of(RunAgent)}

    assert [(type(step).__name__, step.role.value) for step in story] == [
        ("OpenDispatch", "worker"),
        ("RunAgent", "worker"),
        ("OpenDispatch", "worker"),
        ("RunAgent", "worker"),
        ("OpenDispatch", "auditor"),
        ("RunAgent", "auditor"),
    ]
    assert len(nonces) == 3
    assert not any(nonce in prompt for nonce in nonces for prompt in host.prompts(Role.WORKER))


def test_a_gate_runs_on_the_commit_and_nothing_else():  # C20
    host = Host()
    work(host)

    assert host.of(Prepare) == [
        Prepare(place=Place.WORK, commit=TARGET),
        Prepare(place=Place.GATE, commit=head_of(1)),
        Prepare(place=Place.AUDIT, commit=head_of(1)),
    ]
    assert host.of(RunGate) == [RunGate(attempt=1, commit=head_of(1), command="make check")]


def test_every_place_is_set_up_in_the_same_way():  # A27
    host = Host(prepare=Prepared(setup=("npm ci", "make deps")))
    ending = work(host)

    assert ending.outcome is Outcome.ACCEPTED
    assert host.of(RunSetup) == [
        RunSetup(place=place, attempt=attempt, index=index, command=command)
        for place, attempt in ((Place.WORK, 0), (Place.GATE, 1), (Place.AUDIT, 1))
        for index, command in enumerate(("npm ci", "make deps"))
    ]


@pytest.mark.parametrize(
    "script",
    [
        {"prepare": Prepared(trouble="no disk")},
        {"prepare": Prepared(setup=("a", "b")), "setup": Done(trouble="no disk")},
    ],
    ids=["the place", "its set-up"],
)
def test_a_run_that_cannot_begin_costs_no_try(script):
    host = Host(**script)
    ending = work(host)

    assert ending == replace(
        FAILED, failure=Failure.WORKER_INFRA, answer=Answer.ESCALATE_PARKED, reason="no disk", tries=0
    )
    assert (host.of(RunAgent), host.of(KeepAttempts), host.story()[-1]) == ([], [], "clear work")


def test_a_run_without_a_try_starts_no_agent():
    host = Host()
    ending = work(host, tries_used=4)

    assert ending == replace(
        FAILED, failure=Failure.WORKER_INFRA, answer=Answer.ESCALATE_PARKED, reason="no tries are left"
    )
    assert host.of(RunAgent) == []


def test_tries_are_numbered_on_from_the_run_before():  # C12
    host = Host(gate=[red, green], inspect=DIFFERENT)
    ending = work(host, tries_used=2)

    assert ([one.n for one in host.attempts()], ending.tries) == ([3, 4], 2)


def test_a_run_begins_with_the_work_and_the_findings_of_the_one_before():
    finding = Finding(
        id=finding_id("old wish"), text="old wish", source="finding", status=FindingStatus.OPEN,
        first_seen_attempt=1, last_seen_attempt=1,
    )  # fmt: skip
    ledger = Ledger(task_id="TASK-0001", run_id=run_id(5), findings=(finding,), updated_at=NOW)
    host = Host(recall=Recalled(document=codec.to_wire(ledger)))
    work(host, previous_run=run_id(5), seed_sha="e" * 40)

    assert host.steps[0] == Prepare(place=Place.WORK, commit=TARGET, seed="e" * 40)
    assert host.of(Recall) == [
        Recall(run_id=run_id(5), name=name) for name in ("findings-status.json", "reviewer-capsule.json")
    ]
    assert "old wish" in host.prompts(Role.WORKER)[0]
    assert host.kept("findings-status.json")["findings"][0]["status"] == "resolved"


@pytest.mark.parametrize("document", [None, {}, [], {"findings": "none"}, {"schema": "x"}], ids=str)
def test_what_an_earlier_run_left_cannot_end_this_one(document):
    host = Host(recall=Recalled(document=document))

    assert work(host, previous_run=run_id(5)).outcome is Outcome.ACCEPTED


def test_a_commit_names_its_task_and_its_run():
    host = Host()
    work(host)

    assert host.of(Commit) == [
        Commit(
            attempt=1, base=TARGET, message=f"Thing 1\n\nGluerun-Task: TASK-0001\nGluerun-Run: {run_id(1)}\n"
        )
    ]  # fmt: skip


def test_a_wrong_answer_to_a_step_is_our_own_defect():
    generator = drive.worker(DISPATCH, CONFIG)
    next(generator)

    with pytest.raises(ImpossibleError, match="Prepare was answered by Patched"):
        generator.send(Patched(text=""))


def test_a_worker_needs_a_task():
    with pytest.raises(ValueError, match="has no task"):
        next(drive.worker(replace(DISPATCH, spec=None), CONFIG))


PROVER = replace(DISPATCH, role=Role.PROVER, candidate=CANDIDATE, spec=None)
PROOF = replace(FAILED, role=Role.PROVER, authority=None)
INFRA = replace(PROOF, failure=Failure.WORKER_INFRA)


@pytest.mark.parametrize(
    ("script", "ending"),
    [
        ({}, replace(PROOF, outcome=Outcome.PROVED, head_sha=CANDIDATE, green_tree="6" * 64, green_gate="7" * 64)),
        ({"gate": red}, replace(PROOF, failure=Failure.INTEGRATION_GATE_RED, reason="the gate ended with 1",
                                detail="2 failed")),
        ({"gate": unclear}, replace(INFRA, reason="the gate was inconclusive")),
        ({"gate": no_gate}, replace(INFRA, reason="sh is missing")),
        ({"gate": lambda _: Gated(check=None)}, replace(INFRA, reason="the gate was inconclusive")),
        ({"prepare": Prepared(trouble="no disk")}, replace(INFRA, reason="no disk")),
        ({"prepare": Prepared(setup=("x",)), "setup": Done(trouble="exit 1")}, replace(INFRA, reason="exit 1")),
    ],
    ids=["green", "red", "inconclusive", "did not run", "said nothing", "no place", "no set-up"],
)  # fmt: skip
def test_a_prover(script, ending):
    host = Host(**script)

    assert host.run(drive.DRIVES[Role.PROVER](PROVER, CONFIG)) == ending
    assert [word for word in host.story() if word != "runsetup gate"][-1] == "clear gate"
    assert {step.commit for step in (*host.of(Prepare), *host.of(RunGate))} == {CANDIDATE}


PLANNER = replace(DISPATCH, role=Role.PLANNER, spec=None, task_id=None, node="api", prompt="plan this")
PLANNING = replace(FAILED, role=Role.PLANNER, authority=None, task_id=None, node="api")
LOST = replace(PLANNING, failure=Failure.PACKET_INVALID)
BATCH = batch(markdown(9001, "Area: src"))
ANSWER = {"tasks": [{"taskId": "TASK-9001", "markdown": BATCH.tasks[0].markdown}]}


@pytest.mark.parametrize(
    ("script", "ending", "kept"),
    [
        ({"planner": ANSWER}, replace(PLANNING, outcome=Outcome.PLANNED), codec.to_wire(BATCH)),
        ({"planner": {"tasks": []}}, replace(PLANNING, outcome=Outcome.PLANNED),
         {"schema": "gluerun.orchestration.task-batch.v0", "tasks": []}),
        ({"planner": sick()}, replace(LOST, reason=SICK), None),
        ({"planner": agent()}, replace(LOST, reason="no single batch was left"), None),
        ({"prepare": Prepared(trouble="no disk")}, replace(LOST, reason="no disk"), None),
    ],
    ids=["a batch", "an empty batch", "a sick agent", "no answer", "no place"],
)  # fmt: skip
def test_a_planner(script, ending, kept):
    host = Host(**script)

    assert host.run(drive.DRIVES[Role.PLANNER](PLANNER, CONFIG)) == ending
    assert host.kept("batch.json") == kept
    assert {step.place for step in (*host.of(Prepare), *host.of(Clear))} == {Place.AUDIT}
    assert host.prompts(Role.PLANNER) in ([], ["plan this"])


def test_a_receipt_names_the_commit_that_was_tested():  # FR-027
    step = RunGate(attempt=1, commit=CANDIDATE, command="make")

    assert green(step).check == check(step)
    assert check(step).commit == CANDIDATE


AGENTS = {
    "roles": {"worker": "claude", "auditor": "codex", "decider": "codex", "planner": "codex"},
    "runners": {
        "claude": RunnerSpec(name="claude", provider="anthropic"),
        "codex": RunnerSpec(name="codex", provider="openai"),
    },
}
LIMITED = faulty(Fault.USAGE_LIMIT, until="2026-01-31T17:00:00Z")
FIVE_HOURS = after(5 * 3600)


def test_a_worker_whose_provider_cannot_be_asked_breaks_off_and_spends_no_try():
    host = Host(worker=LIMITED)
    ending = work(host, AGENTS)

    assert (ending.outcome, ending.tries, ending.failure, ending.head_sha) == (Outcome.HELD, 0, None, None)
    assert ending.held == Held(
        provider="anthropic", fault=Fault.USAGE_LIMIT, reason="the worker met usage-limit", role=Role.WORKER,
        until=FIVE_HOURS,
    )  # fmt: skip
    assert len(host.prompts(Role.WORKER)) == 1
    assert host.of(Clear)[-1].place is Place.WORK
    assert [(one.reason, one.ended_at) for one in host.attempts()] == [("held back: usage-limit", NOW)]


def test_what_failed_before_the_provider_was_held_counts_and_is_told_to_the_next_run():
    host = Host(worker=[{"summary": "did it"}, LIMITED], gate=[lambda step: red(step, tail="two failed")])
    ending = work(host, AGENTS)

    assert (ending.outcome, ending.tries, ending.failure) == (Outcome.HELD, 1, Failure.GATE_RED)
    assert (ending.reason, ending.detail) == ("the gate ended with 1", "two failed")


def test_work_that_only_its_auditor_could_not_judge_is_kept_for_the_next_run():
    seat = Seat(runner="claude", provider="anthropic", model="claude-x", session="s")
    host = Host(worker=agent({"summary": "did it"}, seat=seat), auditor=faulty(Fault.OVERLOAD))
    ending = work(host, AGENTS)

    assert (ending.outcome, ending.tries, ending.head_sha) == (Outcome.HELD, 0, head_of(1))
    assert (ending.held.provider, ending.held.role, ending.held.until) == ("openai", Role.AUDITOR, None)
    waiting = host.kept("waiting.json")

    later = Host(recall=Recalled(document=waiting))
    ending = work(later, AGENTS, audit_sha=head_of(1), previous_run=run_id(7))
    assert (ending.outcome, ending.tries) == (Outcome.ACCEPTED, 1)
    assert later.prompts(Role.WORKER) == []
    assert later.of(Prepare)[0] == Prepare(place=Place.WORK, commit=TARGET, seed=head_of(1))
    assert later.kept("packet.json")["summary"] == "did it"


def test_work_that_waited_for_its_audit_and_is_refused_goes_back_to_a_worker():
    host = Host(auditor=[says("needs-fix", findings=["no test"]), says()], inspect=DIFFERENT)
    ending = work(host, AGENTS, audit_sha=head_of(9), previous_run=run_id(7))

    assert (ending.outcome, ending.tries) == (Outcome.ACCEPTED, 2)
    assert len(host.prompts(Role.WORKER)) == 1
    assert "no test" in host.prompts(Role.WORKER)[0]


def test_work_that_waited_for_its_audit_and_is_gone_is_done_again():
    host = Host(inspect=[Inspected(changed=(), diff_sha256=""), changed()])
    ending = work(host, AGENTS, audit_sha=head_of(9), previous_run=run_id(7))

    assert (ending.outcome, ending.tries) == (Outcome.ACCEPTED, 2)


def test_a_failure_about_which_no_model_could_be_asked_counts_and_waits():
    host = Host(auditor=says("blocked"), decider=faulty(Fault.BAD_KEY))
    ending = work(host, AGENTS)

    assert (ending.outcome, ending.tries, ending.failure) == (Outcome.HELD, 1, Failure.AUDIT_BLOCKED)
    assert (ending.held.role, ending.held.fault) == (Role.DECIDER, Fault.BAD_KEY)
    assert host.attempts()[-1].failure_class is Failure.AUDIT_BLOCKED


def test_a_limit_takes_back_what_the_try_changed_and_the_next_try_begins_at_the_base():
    host = Host(worker=[limited(), {"summary": "did it"}])
    ending = work(host, AGENTS)

    assert (ending.outcome, ending.tries) == (Outcome.ACCEPTED, 2)
    assert host.of(Clear)[0] == Clear(place=Place.WORK, reason="the worker used up its 9 turns", label="try-1")
    assert [step.place for step in host.of(Prepare)][:2] == [Place.WORK, Place.WORK]
    assert host.attempts()[0].failure_class is Failure.LIMIT_REACHED
    assert "limit-reached: the worker used up its 9 turns" in host.prompts(Role.WORKER)[1]


def test_the_limit_of_a_day_fails_the_try_and_leaves_the_rest_for_another_day():
    ending = work(Host(worker=limited(Limit.DAY)), AGENTS)
    assert (ending.outcome, ending.tries, ending.answer) == (Outcome.FAILED, 1, Answer.RELEASE)
    ending = work(Host(worker=limited(Limit.DAY)), AGENTS, tries_used=3)
    assert (ending.tries, ending.answer) == (1, Answer.ESCALATE_PARKED)


def test_the_limit_of_a_task_parks_it():
    ending = work(Host(worker=limited(Limit.TASK)), AGENTS)
    assert (ending.failure, ending.tries, ending.answer) == (Failure.LIMIT_REACHED, 1, Answer.ESCALATE_PARKED)


def test_a_planner_whose_provider_cannot_be_asked_is_held():
    dispatch = Dispatch(
        run_id=run_id(1), role=Role.PLANNER, batch_id="b", target_branch="main", base_sha=TARGET, started_at=NOW,
        expires_at=after(60), config_sha256="0" * 64, node="root",
    )  # fmt: skip
    host = Host(planner=LIMITED)
    ending = host.run(drive.planner(dispatch, replace(CONFIG, **AGENTS)))
    assert (ending.outcome, ending.held.provider) == (Outcome.HELD, "openai")
    assert host.of(Clear) != []


def test_a_day_that_is_used_up_at_the_audit_leaves_the_work_for_another_day():
    host = Host(auditor=limited(Limit.DAY))
    ending = work(host, AGENTS)

    assert (ending.outcome, ending.tries, ending.head_sha) == (Outcome.HELD, 0, head_of(1))
    assert (ending.held.provider, ending.held.fault) == ("openai", Fault.LIMIT)


TAMPERED = Tamper(grade=Grade.HIGH, files=1, new_skips=2, paths=("tests/test_a.py",))


def test_what_became_of_the_tests_is_told_to_the_auditor_and_kept():
    host = Host(inspect=[changed(tamper=TAMPERED)])

    ending = work(host)

    assert ending.outcome is Outcome.ACCEPTED
    (prompt,) = [step.prompt for step in host.steps if isinstance(step, RunAgent) and step.role is Role.AUDITOR]
    assert "skips or silenced failures more: 2" in prompt
    assert [step.name for step in host.steps if isinstance(step, KeepText)] == ["attempts/1/tests.txt"]
    kept = [step.document for step in host.steps if isinstance(step, Keep) and step.name == "packet.json"]
    assert {"kind": "tamper", "ref": "high: 2 skips or silenced failures more"} in kept[0]["evidence"]


def test_untouched_tests_are_not_spoken_of():
    host = Host(inspect=[changed(tamper=Tamper(files=1))])

    work(host)

    kept = [step.document for step in host.steps if isinstance(step, Keep) and step.name == "packet.json"]
    assert "tamper" not in {one["kind"] for one in kept[0]["evidence"]}


@pytest.mark.parametrize(("grade", "is_blocked"), [(Grade.HIGH, True), (Grade.LOW, False)])
def test_tests_that_prove_less_fail_the_try_where_the_repository_says_so(grade, is_blocked):
    host = Host(inspect=[changed(tamper=replace(TAMPERED, grade=grade))])

    ending = work(host, {"test_tamper": TamperRule.BLOCK})

    assert (ending.failure is Failure.PROOF_SKIP_DETECTED) is is_blocked
    assert any(isinstance(step, Commit) for step in host.steps) is not is_blocked


def test_a_place_that_cannot_be_looked_at_is_made_anew_for_the_next_try():
    host = Host(inspect=[Inspected(changed=(), diff_sha256="", trouble="the work tree is gone"), changed()])

    assert work(host).outcome is Outcome.ACCEPTED
    places = [step for step in host.steps if isinstance(step, Prepare) and step.place is Place.WORK]
    assert len(places) == 2

"""What a drive carries from one try to the next: capsules, sessions, seats; and what may never depend on them."""

from __future__ import annotations

import pytest
from tests.core.answering import SICK, Host, agent, changed, decides, green, head_of, red, says, sick
from tests.core.test_drive import DIFFERENT, DISPATCH
from tests.core.worlds import CONFIG, NOW, TARGET, run_id

from gluerun.core import capsules, drive, prompts
from gluerun.core.continuity import finding_id
from gluerun.core.steps import KeepText, Patch, Recall, Recalled, RunAgent
from gluerun.records import codec, schema
from gluerun.records.child import How
from gluerun.records.config import Independence
from gluerun.records.dispatch import Outcome, Role, Seat
from gluerun.records.failure import Answer, Failure, FailureNote
from gluerun.records.fault import Fault
from gluerun.records.record import replace
from gluerun.records.runner import RunnerSpec, Sessions
from gluerun.records.verdict import Judgement, Verdict

MINE = RunnerSpec(name="mine", argv=("agent",), sessions=Sessions.CAPTURED, options={"resume": ("--resume",)})
AFFINE = {"runners": {"mine": MINE}, "roles": {"worker": "mine", "auditor": "mine", "decider": "fake"}}
REFUSAL = agent(exit_code=86, how=How.EXITED, trouble="the session is unknown", fault=Fault.SESSION_REFUSED)
TWO_REDS = {"gate": [red, green], "inspect": DIFFERENT}


def seat(session="s-1", **changes):
    return Seat(**{"runner": "mine", "provider": "somebody", "model": "small", "session": session, **changes})


def did(session="s-1", **changes):
    return {"summary": "did it"}, seat(session, **changes)


def work(host, config=None, **changes):
    return host.run(drive.worker(replace(DISPATCH, **changes), replace(CONFIG, **AFFINE, **(config or {}))))


def resumed(host):
    """What the starts of the worker were to go on with."""
    return [step.resume for step in host.of(RunAgent) if step.role is Role.WORKER]


def decided(host):
    return [one.session for one in host.attempts()]


def archived(host, attempt):
    """The last words kept in the folder of a try, by name."""
    folder = f"attempts/{attempt}/"
    named = {step.name.removeprefix(folder) for step in host.steps if getattr(step, "name", "").startswith(folder)}
    return named | {step.name for step in host.steps if getattr(step, "attempt", None) == attempt and
                    hasattr(step, "document")}  # fmt: skip


# --- sessions --------------------------------------------------------------------------------------------


def test_a_second_try_goes_on_with_the_session_of_the_first():
    host = Host(worker=did(), **TWO_REDS)
    ending = work(host)

    assert (ending.outcome, ending.tries) == (Outcome.ACCEPTED, 2)
    assert resumed(host) == ["", "s-1"]
    assert decided(host) == ["fresh no-session", "resume s-1"]


def test_a_resumed_session_is_told_everything_all_the_same():
    said = {}
    for affinity in (True, False):
        host = Host(worker=did(), **TWO_REDS)
        work(host, {"session_affinity": affinity})
        said[affinity] = host.prompts(Role.WORKER)

    assert said[True] == said[False]
    assert "gate-red: the gate ended with 1\n2 failed" in said[True][1]


@pytest.mark.parametrize(
    ("script", "config", "why"),
    [
        ({"worker": did()}, {"session_affinity": False}, "disabled"),
        ({"worker": did()}, {"runners": {}}, "disabled"),
        ({"worker": did()}, {"runners": {"mine": replace(MINE, options={})}}, "disabled"),
        ({"worker": {"summary": "did it"}}, {}, "no-session"),
        ({"worker": did("unknown")}, {}, "no-session-id"),
        ({"worker": did("--resume")}, {}, "no-session-id"),
    ],
    ids=["switched off", "no runner", "a runner that cannot", "nobody said", "no session was told", "no id at all"],
)
def test_why_a_second_try_begins_afresh(script, config, why):
    host = Host(**script, **TWO_REDS)
    assert host.run(drive.worker(DISPATCH, replace(CONFIG, **AFFINE | config))).outcome is Outcome.ACCEPTED

    assert resumed(host) == ["", ""]
    assert decided(host)[1] == f"fresh {why}"


class Moved(Host):
    """A host that puts the worker's place somewhere else once its first try is over."""

    def answer(self, step):
        if isinstance(step, KeepText):
            self.cwd = "/elsewhere"
        return super().answer(step)


class Rewritten(Host):
    """A host in whose work tree somebody makes a commit of his own between two tries."""

    def answer(self, step):
        if isinstance(step, KeepText):
            self.committed += 1
        return super().answer(step)


class Edited(Host):
    """A host whose kept session says something else when it is read again."""

    def __init__(self, change, **script):
        super().__init__(**script)
        self.change = change

    def answer(self, step):
        answer = super().answer(step)
        return Recalled(document=answer.document | self.change) if isinstance(step, Recall) else answer


@pytest.mark.parametrize(
    ("host", "why"),
    [
        (Moved(worker=did(), **TWO_REDS), "worktree-moved"),
        (Rewritten(worker=did(), **TWO_REDS), "head-rewritten"),
        (Edited({"role": "auditor"}, worker=did(), **TWO_REDS), "role-mismatch"),
        (Edited({"runId": run_id(9)}, worker=did(), **TWO_REDS), "run-mismatch"),
        (Edited({"runner": "yours"}, worker=did(), **TWO_REDS), "runner-changed"),
        (Edited({"promptSha256": "0" * 64}, worker=did(), **TWO_REDS), "prompt-template-changed"),
        (Edited({"createdAt": "2026-01-31T07:59:59Z"}, worker=did(), **TWO_REDS), "expired"),
        (Edited({"headShaAtCreate": "junk"}, worker=did(), **TWO_REDS), "no-session"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_changed_between_two_tries_is_seen(host, why):
    assert work(host).outcome is Outcome.ACCEPTED
    assert (resumed(host), decided(host)[1]) == (["", ""], f"fresh {why}")


def test_the_age_of_a_session_is_a_setting():
    host = Edited({"createdAt": "2026-01-31T11:59:58Z"}, worker=did(), **TWO_REDS)
    work(host, {"session_max_age_sec": 1})

    assert decided(host)[1] == "fresh expired"


@pytest.mark.parametrize("fault", [Fault.SESSION_REFUSED, Fault.CONTEXT_TOO_LONG])
def test_a_refused_session_is_left_at_once_and_counts_nowhere(fault):
    refusal = replace(REFUSAL, fault=fault)
    host = Host(worker=[did(), refusal, sick(), did("s-2")], **TWO_REDS)
    ending = work(host)

    assert (ending.outcome, ending.tries) == (Outcome.ACCEPTED, 2)
    assert resumed(host) == ["", "s-1", "", ""]
    assert decided(host) == ["fresh no-session", "fresh refused"]
    assert host.kept("attempts/2/session.json")["sessionId"] == "s-2"


def test_who_refuses_what_it_was_never_asked_for_is_sick():
    host = Host(worker=REFUSAL)
    ending = work(host)

    assert (ending.failure, len(host.of(RunAgent))) == (Failure.WORKER_INFRA, 2)


def test_only_the_first_start_of_a_try_goes_on_with_a_session():
    host = Host(worker=[did(), sick(), did()], **TWO_REDS)

    assert work(host).outcome is Outcome.ACCEPTED
    assert resumed(host) == ["", "s-1", ""]


def test_a_session_is_kept_however_its_try_ended():  # FR-037
    host = Host(worker=[did("s-1"), ({"foo": 1}, seat("s-2")), did("s-3")], **TWO_REDS)
    work(host)
    kept = host.kept("attempts/2/session.json")

    schema.check("session-meta.v0", kept)
    assert resumed(host) == ["", "s-1", "s-2"]
    assert (kept["lastUsedAttempt"], kept["headShaAtCreate"], kept["exitCode"]) == (2, head_of(1), 0)
    assert kept["promptSha256"] == prompts.template_sha256(Role.WORKER)


def test_the_age_of_a_session_counts_from_its_first_try():
    host = Edited({"createdAt": "2026-01-31T09:00:00Z"}, worker=did(), gate=[red, red, green], inspect=DIFFERENT,
                  decider=decides("retry"))  # fmt: skip
    work(host)
    ages = [host.kept(f"attempts/{number}/session.json")["createdAt"] for number in (1, 2, 3)]

    assert ages == ["2026-01-31T12:00:00Z", "2026-01-31T09:00:00Z", "2026-01-31T09:00:00Z"]


def test_a_new_run_never_goes_on_with_the_session_of_another():
    host = Host(worker=did(), **TWO_REDS)
    work(host, tries_used=1, previous_run=run_id(5))

    assert resumed(host) == ["", "s-1"]
    assert [step.name for step in host.of(Recall) if step.run_id == run_id(1)] == ["attempts/2/session.json"]


def test_auditors_and_deciders_are_always_fresh():  # A44
    host = Host(worker=did(), auditor=(says("blocked"), seat("a-1")), inspect=DIFFERENT,
                decider=[decides("retry"), decides("cancel")])  # fmt: skip
    work(host)

    assert {step.resume for step in host.of(RunAgent) if step.role is not Role.WORKER} == {""}
    assert len(host.prompts(Role.AUDITOR)) == 2


# --- the archive -----------------------------------------------------------------------------------------


def test_every_try_leaves_its_capsules_its_session_and_its_failure():
    host = Host(worker=did(), auditor=[says("needs-fix", findings=["no test"]), says()], inspect=DIFFERENT)
    ending = work(host)
    both = {capsules.IMPLEMENTER, capsules.REVIEWER, "audit.json", "session.json"}

    assert ending.outcome is Outcome.ACCEPTED
    assert (archived(host, 1), archived(host, 2)) == (both | {"failure.txt"}, both)
    assert host.of(KeepText) == [KeepText(name="attempts/1/failure.txt", text="audit-needs-fix: it is needs-fix\n")]
    latest = host.kept(capsules.IMPLEMENTER)
    assert (latest["attempt"], latest["headSha"], latest["packetSha256"]) == (2, head_of(2), ending.packet_sha256)
    assert host.kept(capsules.REVIEWER)["verdict"] == "accepted"


def test_the_capsule_of_a_failed_try_says_what_comes_next():
    host = Host(worker=({"foo": 1}, seat()))
    work(host, tries_used=3)
    capsule = host.kept(capsules.IMPLEMENTER)

    schema.check("context-capsule.v0", capsule)
    assert (capsule["nextAction"], capsule["changedFiles"], "headSha" in capsule) == ("escalate-parked", [], False)


def test_a_try_forgets_what_the_one_before_claimed_and_changed():  # A52
    host = Host(worker=[({"nextAction": "merge", "summary": "all done"}, seat()), agent(), {"foo": 1}],
                gate=[red, green], inspect=DIFFERENT, auditor=says("needs-fix"))  # fmt: skip
    work(host, max_tries=3)
    capsule = host.kept(capsules.IMPLEMENTER)

    assert (capsule["attempt"], capsule["nextAction"], capsule["changedFiles"]) == (3, "escalate-parked", [])
    assert "all done" in host.prompts(Role.WORKER)[1]
    assert "all done" not in host.prompts(Role.WORKER)[2]
    assert host.kept("attempts/3/session.json") is None


def test_the_older_form_of_a_fix_prompt_is_a_setting():
    host = Host(auditor=[says("needs-fix", findings=["no test of zero"]), says()], inspect=DIFFERENT)
    work(host, {"fix_prompt_structured": False})
    text = host.prompts(Role.WORKER)[1]

    assert "audit-needs-fix: it is needs-fix\n- no test of zero" in text
    assert finding_id("no test of zero") not in text


# --- the audit after an audit ----------------------------------------------------------------------------


def test_an_auditor_is_told_what_has_changed_since_the_last_audit_and_everything_else():
    host = Host(auditor=[says("needs-fix", findings=["no test of zero"]), says()], inspect=DIFFERENT)
    work(host)
    first, second = host.prompts(Role.AUDITOR)
    old, new = head_of(1), head_of(2)

    assert "The audit before" not in first
    assert f"[from attempt 1, open] ({finding_id('no test of zero')}) no test of zero" in second
    assert f"Difference since the audit before {old}..{new}\nthe difference of {old} and {new}" in second
    assert f"## Difference {TARGET}..{new}\nthe difference of {TARGET} and {new}" in second
    assert "## Acceptance criteria\n- there is a thing" in second
    assert host.of(Patch)[-1] == Patch(old=old, new=new, limit=12_000, needed=False)


def test_where_the_last_audited_commit_is_gone_the_review_is_a_full_one():
    host = Host(auditor=[says("needs-fix"), says()], inspect=DIFFERENT)
    host.gone.add(head_of(1))

    assert work(host).outcome is Outcome.ACCEPTED
    assert "do a full review" in host.prompts(Role.AUDITOR)[1]


def test_the_audit_of_the_run_before_is_known():
    verdict = Verdict(verdict=Judgement.NEEDS_FIX, rationale="no", head_sha="e" * 40, nonce="0" * 32)
    capsule = capsules.reviewer(DISPATCH, DISPATCH.spec, 1, NOW, verdict=verdict, audit_sha256="4" * 64)
    host = Host(recall=[Recalled(), Recalled(document=codec.to_wire(capsule))])
    work(host, previous_run=run_id(5), tries_used=1)

    assert f"It judged {'e' * 40}: needs-fix." in host.prompts(Role.AUDITOR)[0]


def test_the_first_try_of_a_new_run_is_told_what_ended_the_last():
    note = FailureNote(failure_class=Failure.GATE_RED, reason="red", at=NOW, detail="2 failed")
    host = Host()
    work(host, last_failure=note)

    assert "gate-red: red\nThe last run failed. Paths: none named.\n2 failed" in host.prompts(Role.WORKER)[0]


# --- independence ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("independence", "auditor", "counts"),
    [
        (Independence.NONE, None, True),
        (Independence.NONE, seat(), True),
        (Independence.SESSION, seat("a-1"), True),
        (Independence.SESSION, seat(), False),
        (Independence.SESSION, None, False),
        (Independence.MODEL, seat("a-1", model="large"), True),
        (Independence.MODEL, seat("a-1"), False),
        (Independence.PROVIDER, seat("a-1", provider="another"), True),
        (Independence.PROVIDER, seat("a-1", provider="unknown"), False),
    ],
)
@pytest.mark.parametrize("word", ["accepted", "needs-fix"])
def test_a_verdict_counts_only_from_far_enough(independence, auditor, counts, word):
    host = Host(worker=did(), auditor=(says(word, findings=["x"]), auditor))
    ending = work(host, {"independence": independence}, tries_used=3)

    assert len(host.prompts(Role.AUDITOR)) == 1
    assert (ending.failure is Failure.AUDIT_INFRA) is not counts
    if not counts:
        assert (ending.answer, host.attempts()[0].audit_verdict) == (Answer.ESCALATE_PARKED, None)
        assert ending.reason.startswith(f"independence is set to {independence}, and the auditor ")
        assert (host.kept("audit.json"), host.kept("findings-status.json")) == (None, None)


def test_the_seats_stand_in_the_packet():
    host = Host(worker=[did(), did("s-2", model="large")], auditor=(says(), seat("a-1")), **TWO_REDS)
    work(host)

    assert [one["ref"] for one in host.kept("packet.json")["evidence"] if one["kind"] == "seat"] == [
        "worker mine somebody/large session s-2 version unknown",
        "auditor mine somebody/small session a-1 version unknown",
    ]


def test_an_auditor_that_never_answered_is_no_matter_of_seats():
    host = Host(worker=did(), auditor=sick())

    assert work(host, {"independence": Independence.MODEL}).reason == SICK


def test_a_change_without_an_audit_needs_no_other_seat():
    host = Host(worker=did(), inspect=changed())
    ending = work(host, {"independence": Independence.PROVIDER, "require_audit": False})

    assert ending.outcome is Outcome.ACCEPTED

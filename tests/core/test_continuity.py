"""What lives on between tries: findings by their words, and the moment when trying makes no sense."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.worlds import HEAD, NOW, after
from tests.records.documents import examples

from gluerun.core.continuity import finding_id, makes_no_progress, open_findings, updated
from gluerun.records.attempt import Attempt
from gluerun.records.failure import Failure
from gluerun.records.record import replace
from gluerun.records.verdict import Finding, FindingStatus, Judgement, Ledger, Verdict

EMPTY = Ledger(task_id="TASK-0001", run_id="RUN", findings=(), updated_at=NOW)
LATER = after(60)
A = finding_id("alpha")


def verdict(judgement=Judgement.NEEDS_FIX, *findings, fixes=(), status=None):
    return Verdict(
        verdict=judgement, rationale="so", head_sha=HEAD, nonce="0" * 32, findings=findings,
        required_fixes=tuple(fixes), findings_status=status or {},
    )  # fmt: skip


def finding(text, first=1, last=1, source="finding", resolved=None, by=None):
    return Finding(
        id=finding_id(text), text=text, source=source,
        status=FindingStatus.RESOLVED if by else FindingStatus.OPEN,
        first_seen_attempt=first, last_seen_attempt=last, resolved_attempt=resolved, resolved_by=by,
    )  # fmt: skip


@pytest.mark.parametrize(
    "text", ["Use `sorted` here", "use sorted here", "  USE\n\tsorted   here ", "`Use` sorted `here`"]
)
def test_a_finding_is_known_by_its_words(text):
    assert finding_id(text) == finding_id("Use sorted here") == "f-" + finding_id(text)[2:]


def test_other_words_are_another_finding():
    assert len({finding_id(text) for text in ("a b", "ab", "a b.", "b a", "")}) == 5


@examples(100)
@given(st.text(max_size=40), st.sampled_from([" ", "\n", "\t ", "`"]))
def test_an_id_keeps_its_form_and_survives_how_it_is_spaced(text, blank):
    assert finding_id(f"{blank}{text}{blank}") == finding_id(text)
    assert len(finding_id(text)) == 14


@pytest.mark.parametrize(
    ("before", "said", "findings"),
    [
        ((), verdict(), ()),
        ((), verdict(Judgement.NEEDS_FIX, "alpha"), (finding("alpha", 2, 2),)),
        ((), verdict(Judgement.NEEDS_FIX, "alpha", fixes=["beta"]),
         (finding("alpha", 2, 2), finding("beta", 2, 2, "requiredFix"))),
        ((), verdict(Judgement.NEEDS_FIX, "alpha", fixes=["`Alpha`"]), (finding("alpha", 2, 2),)),
        ((finding("alpha"),), verdict(Judgement.NEEDS_FIX), (finding("alpha"),)),
        ((finding("alpha"),), verdict(Judgement.BLOCKED), (finding("alpha"),)),
        ((finding("alpha"),), verdict(Judgement.NEEDS_FIX, "ALPHA"), (finding("alpha", 1, 2),)),
        ((finding("alpha"),), verdict(status={A: "resolved"}),
         (finding("alpha", 1, 1, resolved=2, by="auditor-status"),)),
        ((finding("alpha"),), verdict(status={A: "still-open"}), (finding("alpha"),)),
        ((finding("alpha"),), verdict(status={"f-0": "resolved"}), (finding("alpha"),)),
        ((finding("alpha"),), verdict(Judgement.NEEDS_FIX, "alpha", status={A: "resolved"}), (finding("alpha", 1, 2),)),
        ((finding("alpha", resolved=1, by="auditor-status"),), verdict(Judgement.NEEDS_FIX, "alpha"),
         (finding("alpha", 1, 2),)),
        ((finding("alpha", resolved=1, by="auditor-status"),), verdict(),
         (finding("alpha", resolved=1, by="auditor-status"),)),
        ((finding("alpha"), finding("beta", resolved=1, by="auditor-status")), verdict(Judgement.ACCEPTED),
         (finding("alpha", resolved=2, by="audit-accepted"), finding("beta", resolved=1, by="auditor-status"))),
        ((), verdict(Judgement.ACCEPTED, "nit"), (finding("nit", 2, 2, resolved=2, by="audit-accepted"),)),
    ],
    ids=[
        "nothing said", "a new finding", "a finding and a fix", "said twice in other words", "silence resolves nothing",
        "silence of a blocked one neither", "said again", "named as resolved", "named as open", "an unknown name",
        "said again and named as resolved", "a resolved one said again is open", "a resolved one stays",
        "accepted resolves all", "accepted resolves what it says itself",
    ],
)  # fmt: skip
def test_a_verdict_changes_the_ledger(before, said, findings):
    assert updated(replace(EMPTY, findings=before), said, 2, LATER) == replace(
        EMPTY, findings=findings, updated_at=LATER
    )


def test_open_findings():
    one, two = finding("alpha"), finding("beta", resolved=1, by="audit-accepted")

    assert open_findings(None) == open_findings(EMPTY) == ()
    assert open_findings(replace(EMPTY, findings=(two, one))) == (one,)


WORDS = st.lists(st.sampled_from(["alpha", "beta", "gamma", " Alpha "]), max_size=4)


@examples(150)
@given(st.lists(st.tuples(WORDS, WORDS, st.sampled_from(Judgement)), max_size=5))
def test_nothing_is_forgotten_and_accepted_leaves_nothing_open(story):
    ledger, seen = EMPTY, set()
    for attempt, (findings, fixes, judgement) in enumerate(story, 1):
        ledger = updated(ledger, verdict(judgement, *findings, fixes=fixes), attempt, NOW)
        seen |= {finding_id(text) for text in (*findings, *fixes)}
        assert {one.id for one in ledger.findings} == seen
        assert judgement is not Judgement.ACCEPTED or not open_findings(ledger)


def attempt(n, failure=Failure.GATE_RED, head=HEAD, diff="d1", *, ended=True):
    return Attempt(
        n=n, started_at=NOW, dir=f"attempts/{n}", ended_at=NOW if ended else None, failure_class=failure,
        head_sha=head, diff_sha256=diff,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("attempts", "is_stuck"),
    [
        ([], False),
        ([attempt(1)], False),
        ([attempt(1), attempt(2)], True),
        ([attempt(1), attempt(2, Failure.NO_CHANGES)], False),
        ([attempt(1), attempt(2, head="e" * 40)], False),
        ([attempt(1), attempt(2, diff="d2")], False),
        ([attempt(1, diff=None), attempt(2, diff=None)], False),
        ([attempt(1, None), attempt(2, None)], False),
        ([attempt(1), attempt(2), attempt(3, diff="d2")], False),
        ([attempt(1, diff="d2"), attempt(2), attempt(3)], True),
        ([attempt(1), attempt(2, ended=False)], False),
        ([attempt(1), attempt(2), attempt(3, ended=False)], True),
    ],
)
def test_the_same_failure_at_the_same_difference_twice_is_no_progress(attempts, is_stuck):
    assert makes_no_progress(iter(attempts)) is is_stuck

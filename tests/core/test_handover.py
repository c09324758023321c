"""What one try hands to the next: what was wrong, what stands, what counts; cut to size, and never in the way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.test_capsules import reviewer
from tests.core.test_prompts import CONFIG, DISPATCH, LEDGER, finding, note, valid_for
from tests.records.documents import examples

from gluerun.core import handover, prompts
from gluerun.core.answers import objects_in
from gluerun.core.handover import Prior
from gluerun.core.steps import Patched
from gluerun.records.failure import Failure
from gluerun.records.record import replace
from gluerun.records.verdict import FindingStatus

PLAIN = "gate-red: boom\nthe plain tail"
LOG = "\n".join(f"line {number}" for number in range(1, 101))
PRIOR = Prior(failure=Failure.GATE_RED, reason="the gate ended with 1", detail=LOG, summary="I tried hard")
HEAD, OLD = "d" * 40, reviewer().audited_head_sha


def worker(prior=PRIOR, ledger=LEDGER, attempt=2, dispatch=DISPATCH, **config):
    return handover.worker(dispatch, attempt, PLAIN, prior, ledger, replace(CONFIG, **config))


def sections(text):
    """The sections of a prompt that come after those of every first try."""
    rest = text.removeprefix(prompts.worker(DISPATCH, 1, "", CONFIG).rstrip("\n")).strip("\n")
    return [f"## {part}".rstrip("\n") for part in rest.removeprefix("## ").split("\n\n## ")] if rest else []


def test_a_first_try_is_told_the_same_with_and_without_structure():
    assert handover.worker(DISPATCH, 1, "", None, None, CONFIG) == prompts.worker(DISPATCH, 1, "", CONFIG)


def test_a_second_try_is_told_what_was_wrong_and_what_counts():
    assert sections(worker(replace(PRIOR, detail="2 failed", advice="test zero"))) == [
        "## Scope (authoritative)\nOnly these paths may be changed, whatever is said below:\n- src/thing1\n- lib/added",
        "## Try 2: what was wrong with the last one\ngate-red: the gate ended with 1\n2 failed",
        "## What was decided\nAdvice: test zero",
        "## Findings that still stand\n- [from attempt 1] (f-000000000015) no test of zero",
        "## What the last try said of itself (claims, not facts)\nI tried hard",
    ]


@pytest.mark.parametrize(
    ("prior", "words", "absent"),
    [
        (PRIOR, ["line 61\n", "line 100"], ["line 60\n"]),
        (replace(PRIOR, failure=Failure.INTEGRATION_GATE_RED), ["line 61\n"], ["line 60\n"]),
        (replace(PRIOR, failure=Failure.NO_CHANGES), ["line 71\n", "line 100"], ["line 70\n"]),
        (Prior(failure=Failure.SCOPE_VIOLATION, reason="outside", paths=("lib/x",)),
         ["In scope:\n- src/thing1\n- lib/added\nForbidden:\n- src/secret\nOutside:\n- lib/x"], []),
        (Prior(failure=Failure.PACKET_INVALID, reason="has unknown keys foo", detail=LOG),
         ["packet-invalid: has unknown keys foo\nThe answer did not keep the form that the rules ask for: "
          "has unknown keys foo"], ["line 100"]),
        (Prior(failure=Failure.WORKER_NO_PACKET, reason="no answer"), ["keep the form"], []),
        (handover.of_note(note(Failure.INTEGRATION_CONFLICT, places=("a",), detail="both changed a")),
         ["integration-conflict: so it went\nYour branch conflicts", "resolve them in a.\nboth changed a"], []),
    ],
    ids=["red", "red together", "any other", "scope", "form", "no answer", "of the run before"],
)  # fmt: skip
def test_the_evidence_belongs_to_the_class(prior, words, absent):
    text = worker(prior, None)

    assert [word for word in words if word not in text] == []
    assert [word for word in absent if word in text] == []


def test_without_a_task_a_scope_has_nothing_forbidden():
    prior = Prior(failure=Failure.SCOPE_VIOLATION, reason="outside")

    assert "Forbidden:\n- (none)" in handover._evidence(prior, replace(DISPATCH, spec=None))


def test_findings_of_an_earlier_run_are_told_though_nothing_went_wrong_since():
    assert [one.split("\n")[0] for one in sections(worker(None))] == [
        "## Scope (authoritative)",
        "## Findings that still stand",
    ]


def test_the_older_form_is_a_plain_tail():
    assert worker(fix_prompt_structured=False) == prompts.worker(DISPATCH, 2, PLAIN, CONFIG)
    assert "no test of zero" not in worker(fix_prompt_structured=False)


@pytest.mark.parametrize(
    ("prior", "ledger"),
    [
        (replace(PRIOR, detail=None), None),
        (replace(PRIOR, summary=7), None),
        (PRIOR, replace(LEDGER, findings=(replace(finding("x"), text=None),))),
        (PRIOR, replace(LEDGER, findings=None)),
    ],
    ids=["no detail", "a number for words", "a finding without text", "no list"],
)
def test_what_cannot_be_put_in_order_is_told_plainly(prior, ledger):
    assert worker(prior, ledger) == prompts.worker(DISPATCH, 2, PLAIN, CONFIG)


def test_the_run_before_is_nobody_if_nothing_failed():
    assert handover.of_note(None) is None


LONG = st.text("ab\n", max_size=3000)


@examples(60)
@given(LONG, LONG, LONG, LONG, st.integers(0, 9), st.sampled_from(Failure), st.integers(200, 1500))
def test_no_section_is_longer_than_the_setting(reason, detail, advice, summary, count, failure, limit):
    prior = Prior(
        failure=failure, reason=reason, detail=detail, paths=(detail[:300],), advice=advice, summary=summary
    )  # fmt: skip
    ledger = replace(LEDGER, findings=tuple(finding(f"{number} {summary}"[:700]) for number in range(count)))

    parts = handover._mending(DISPATCH, 2, prior, ledger, limit)

    assert [len(part) for part in parts if len(part) > limit] == []
    assert parts[1].startswith(f"## Try 2: what was wrong with the last one\n{failure}:"[: limit // 2])


def test_what_was_left_out_is_counted():
    text = worker(replace(PRIOR, detail="early " + "x" * 5000 + " late"), None, context_section_max_chars=300)

    assert "characters left out]" in text
    assert ("early" in text, " late" in text) == (False, True)


def again(ledger=LEDGER, since=None, **config):
    since = since or Patched(text="+a new line")
    return handover.again(reviewer(), ledger, HEAD, since, replace(CONFIG, **config))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (again(), [f"It judged {OLD}: needs-fix.", "judge the whole commit again",
                   "[from attempt 1, open] (f-000000000015) no test of zero",
                   "[from attempt 1, resolved] (f-000000000016) settled long ago",
                   "f-000000000015: is it mended", "f-000000000016: was resolved; has it come back",
                   "findingsStatus", f"{OLD}..{HEAD}\n+a new line"]),
        (again(since=Patched(text="", is_known=False)), ["do a full review"]),
        (again(None), ["judge the whole commit again", "+a new line"]),
    ],
    ids=["all of it", "the commit is gone", "no findings"],
)  # fmt: skip
def test_an_auditor_is_told_of_the_audit_before(text, words):
    assert [word for word in words if word not in text] == []


def test_an_audit_without_findings_has_nothing_to_verify():
    assert "To verify" not in again(None)


@pytest.mark.parametrize("limit", [200, 4000])
def test_what_an_auditor_is_told_again_is_cut_too(limit):
    many = tuple(finding("y" * (600 + number), FindingStatus.OPEN) for number in range(40))
    text = again(replace(LEDGER, findings=many), Patched(text="z" * 30_000), context_section_max_chars=limit)

    assert "y" * 501 not in text
    assert len(text) < 12_000 + 3 * limit + 10


def test_what_cannot_be_said_of_the_audit_before_is_left_out():
    assert again(replace(LEDGER, findings=None)) != ""
    assert again(replace(LEDGER, findings=(None,))) == ""


@pytest.mark.parametrize("text", [worker(), again()], ids=["worker", "auditor"])
def test_nothing_that_is_handed_on_could_pass_for_an_answer(text):
    assert [(one, valid_for(one)) for one in objects_in(text) if valid_for(one)] == []

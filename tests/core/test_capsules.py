"""What is kept of a try and of an audit: bounded, valid, and the same hash for the same thing."""

from __future__ import annotations

import pytest
from tests.core.test_prompts import DISPATCH, SPEC
from tests.core.worlds import HEAD, NOW, TARGET, after

from gluerun.core import capsules
from gluerun.core.continuity import finding_id
from gluerun.records import codec, packet, schema
from gluerun.records.packet import Blocker, Command, PacketClaim
from gluerun.records.record import replace
from gluerun.records.verdict import Judgement, Verdict

CLAIM = PacketClaim(
    commands=(Command(cmd="make", exit_code=0),),
    tests=(packet.TestNote(name="t", phase="green", status="passed"),),
    blockers=(Blocker(reason="no network"),),
    next_action="merge it",
)


def implementer(now=NOW, dispatch=DISPATCH, **changes):
    given = {"head": HEAD, "changed": ("src/thing1",), "claim": CLAIM, "next_action": "retry", **changes}
    return capsules.implementer(dispatch, SPEC, 2, now, **given)


def test_what_a_try_left():
    capsule = implementer()

    schema.check("context-capsule.v0", codec.to_wire(capsule))
    assert (capsule.role, capsule.attempt, capsule.base_ref, capsule.head_sha) == ("implementer", 2, TARGET, HEAD)
    assert (capsule.owned_files, capsule.forbidden_files) == (DISPATCH.owned_files, SPEC.forbidden_files)
    assert (capsule.commands, capsule.tests, capsule.blockers) == (CLAIM.commands, CLAIM.tests, CLAIM.blockers)
    assert (capsule.changed_files, capsule.next_action) == (("src/thing1",), "merge it")


def test_a_try_that_left_nothing():
    capsule = implementer(head="", changed=(), claim=None)

    schema.check("context-capsule.v0", codec.to_wire(capsule))
    assert (capsule.head_sha, capsule.commands, capsule.next_action) == (None, (), "retry")


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (implementer(after(60)), True),
        (implementer(packet_sha256="7" * 64), True),
        (implementer(head="c" * 40), False),
        (implementer(changed=("src/other",)), False),
        (implementer(claim=None), False),
        (implementer(dispatch=replace(DISPATCH, owned_files=("lib",))), False),
    ],
    ids=["later", "with a packet", "another head", "other files", "no claim", "another scope"],
)
def test_the_hash_is_of_what_was_left_and_of_nothing_else(other, same):
    assert (implementer().content_hash == other.content_hash) is same


def test_lists_are_cut_after_twenty():
    many = replace(
        CLAIM,
        commands=CLAIM.commands * 30,
        tests=CLAIM.tests * 30,
        blockers=CLAIM.blockers * 30,
    )
    paths = tuple(f"src/{number}" for number in range(30))
    capsule = implementer(dispatch=replace(DISPATCH, owned_files=paths), changed=paths, claim=many)
    lists = (capsule.owned_files, capsule.changed_files, capsule.commands, capsule.tests, capsule.blockers)

    schema.check("context-capsule.v0", codec.to_wire(capsule))
    assert [len(one) for one in lists] == [20] * 5


VERDICT = Verdict(
    verdict=Judgement.NEEDS_FIX,
    rationale="r" * 2000,
    head_sha=HEAD,
    nonce="0" * 32,
    findings=("no test of zero", "no `test` of zero", "too  slow"),
    required_fixes=("too slow", *(f"fix {number}" for number in range(30))),
    evidence_reviewed=("log",) * 30,
    commands_run=("make",) * 30,
)


def reviewer(**changes):
    return capsules.reviewer(DISPATCH, SPEC, 2, NOW, verdict=replace(VERDICT, **changes), audit_sha256="4" * 64)


def test_what_an_audit_said():
    capsule = reviewer()

    schema.check("reviewer-capsule.v0", codec.to_wire(capsule))
    assert (capsule.verdict, capsule.audited_head_sha, capsule.diff_range) == ("needs-fix", HEAD, f"{TARGET}..{HEAD}")
    assert capsule.finding_ids[:2] == (finding_id("no test of zero"), finding_id("too slow"))
    assert [len(capsule.finding_ids), len(capsule.evidence_reviewed), len(capsule.commands_run)] == [20] * 3
    assert len(capsule.rationale) == 1500


@pytest.mark.parametrize(
    ("document", "task_id", "found"),
    [
        (codec.to_wire(reviewer()), "TASK-0001", reviewer()),
        (codec.to_wire(reviewer()), "TASK-0002", None),
        (codec.to_wire(reviewer()) | {"auditedHeadSha": "main"}, "TASK-0001", None),
        (None, "TASK-0001", None),
        ([], "TASK-0001", None),
    ],
    ids=["its own", "of another task", "broken", "none", "no document"],
)
def test_what_an_earlier_run_kept_of_its_audit(document, task_id, found):
    assert capsules.reviewer_of(document, task_id) == found

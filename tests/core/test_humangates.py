"""A node's approval by a person: only the right answer to the question as it stands, about the files as they are."""

from __future__ import annotations

import pytest
from tests.core.worlds import NOW, after, graph, node, world

from gluerun.core.graph import faults
from gluerun.core.humangates import FOLDER, GateSeen, default_refs, unanswerable, why_not
from gluerun.core.launch import plan_launch
from gluerun.records.graph import HumanGate
from gluerun.records.humangate import Artifact, GateApproval, GateDecision, GateQuestion, GateRequest
from gluerun.records.record import replace

API = node("api")
FILE = Artifact(ref="docs/plan.md", sha256="a" * 64)
ASKED = GateRequest(
    gate_id="api",
    node="api",
    approval_type="node",
    required_owner="ada",
    questions=(GateQuestion(id="why", prompt="Why?"), GateQuestion(id="more", prompt="More?", required=False)),
    artifacts=(FILE,),
    created_at=NOW,
    expires_at=after(3600),
)
SAID = GateApproval(
    gate_id="api",
    node="api",
    request_ref=default_refs("api")[0],
    request_sha256="1" * 64,
    approver="ada@home",
    decision=GateDecision.APPROVED,
    rationale="",
    approved_at=NOW,
    expires_at=after(3600),
    answers={"why": "because"},
    artifacts=(FILE,),
)
SEEN = GateSeen(request=ASKED, request_sha256="1" * 64, approval=SAID, artifacts={FILE.ref: FILE.sha256})


def said(**changes):
    return replace(SEEN, approval=replace(SAID, **changes))


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (SEEN, ""),
        (said(approver="ada"), ""),
        (GateSeen(), "nobody was asked"),
        (GateSeen(approval=SAID), "nobody was asked"),
        (replace(SEEN, fault="it is broken"), "it is broken"),
        (replace(SEEN, approval=None), "nobody has answered yet"),
        (replace(SEEN, request=replace(ASKED, node="web")), "the request is about 'web'"),
        (replace(SEEN, artifacts={FILE.ref: "b" * 64}), "docs/plan.md changed since it was asked"),
        (replace(SEEN, artifacts={}), "docs/plan.md changed since it was asked"),
        (replace(SEEN, request_sha256="2" * 64), "the answer is to another version of the request"),
        (said(artifacts=()), "the answer is to another version of the request"),
        (said(node="web"), "the answer is about 'web'"),
        (said(decision=GateDecision.REJECTED, rationale="No."), "ada@home rejected it: No."),
        (said(approver="bob"), "bob has approved it, and ada has to"),
        (said(answers={}), "the answer leaves open: why"),
        (said(answers={"why": " "}), "the answer leaves open: why"),
        (said(approved_at=after(3601), expires_at=after(9999)), "it was approved after the request had expired"),
        (said(expires_at=NOW), "the approval expired at 2026-01-31 12:00:00Z"),
    ],
)
def test_when_a_node_counts_as_approved(seen, why):
    assert why_not(API, seen, NOW) == why


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (replace(SEEN, approval=None), ""),
        (SEEN, ""),
        (GateSeen(), "nobody was asked"),
        (replace(SEEN, artifacts={}), "docs/plan.md changed since it was asked"),
        (replace(SEEN, request=replace(ASKED, expires_at=NOW)), "the request expired at 2026-01-31 12:00:00Z"),
    ],
)
def test_when_somebody_can_answer(seen, why):
    assert unanswerable(API, seen, NOW) == why


@pytest.mark.parametrize(
    ("refs", "why"),
    [
        (default_refs("api"), ""),
        (("docs/a.json", f"{FOLDER}/b.json"), f"'docs/a.json' does not lie in {FOLDER}"),
        ((f"{FOLDER}/../tasks/a.json", f"{FOLDER}/b.json"), "has empty, `.` or `..` segments"),
        (("/etc/a.json", f"{FOLDER}/b.json"), "is not relative to the repository"),
        ((f"{FOLDER}/a.json", f"{FOLDER}/a.json"), "request and answer lie in one file"),
    ],
)
def test_no_graph_lets_an_approval_lie_elsewhere(refs, why):
    found = faults(graph(node("api", human_gate=HumanGate(request_ref=refs[0], approval_ref=refs[1]))))

    assert len(found) == bool(why)
    assert why in "".join(found)


@pytest.mark.parametrize(("unapproved", "kinds"), [({}, ["Promote"]), ({"api": "nobody was asked"}, [])])
def test_a_node_is_not_completed_before_a_person_approves_it(unapproved, kinds):
    now = world(graph=graph(node("api")), node_tasks={"api": ("TASK-0009",)}, green_tree=True, unapproved=unapproved)

    assert [type(one).__name__ for one in plan_launch(now)] == kinds

"""Whether a person is asked: every combination of what stands where; and every answer in every state of a request."""

from __future__ import annotations

import itertools

import pytest
from tests.core.worlds import CANDIDATE, HEAD, NOW, accepted, after, node, proof, task, task_id, world

from gluerun.core.actions import Advance, AskApproval
from gluerun.core.approvals import plan_approvals, rule_of, word_of
from gluerun.core.expect import expect
from gluerun.core.explain import explain
from gluerun.core.frontier import frontier
from gluerun.core.gates import gate_sha256
from gluerun.core.integration import plan_integration
from gluerun.core.knowing import Known
from gluerun.core.orders import obeyed, refusal
from gluerun.core.risks import Facts, Work, of_landing, of_plan
from gluerun.records.approval import Approval, ApprovalState, Bound, Point
from gluerun.records.config import ApprovalRule, AreaPolicy
from gluerun.records.fault import Limit
from gluerun.records.order import Order, OrderOutcome, OrderVerb
from gluerun.records.pause import OnLimit, Paused, Span
from gluerun.records.record import replace
from gluerun.records.spent import Spent
from gluerun.records.task import Status

ONE = task_id(1)
WORDS = (None, *ApprovalRule)
ORDER = [None, *ApprovalRule]
NONE, RISK, ALWAYS = ApprovalRule


# --- whether a person is asked ---------------------------------------------------------------------------


@pytest.mark.parametrize("point", [Point.PLAN, Point.LANDING])
def test_the_most_specific_rule_counts_and_a_task_only_makes_it_stricter(point):
    name = "approve_plan" if point is Point.PLAN else "approval"
    for config, area, of_node, own in itertools.product(ApprovalRule, WORDS, WORDS, WORDS):
        policies = {"area_policy": {"src": AreaPolicy(**{name: area})}} if area else {}
        one = task(of={name: own, "dag_node": "api"})
        found = word_of(one, point, world(**policies, **{name: config}).config, node("api", **{name: of_node}))

        wanted = max(own or NONE, of_node or area or config, key=ORDER.index)
        assert found is wanted, (config, area, of_node, own)


@pytest.mark.parametrize(
    ("area", "owned", "of_node", "found"),
    [
        ("src", "src/a", None, NONE),
        ("src", "pay/a", None, ALWAYS),
        ("src", "pay", None, ALWAYS),
        ("src", "payments/a", None, NONE),
        ("pay", "src/a", None, ALWAYS),
        ("pay", "pay/a", NONE, ALWAYS),
        ("src", "pay/a", NONE, ALWAYS),
        ("src", "src/a", RISK, RISK),
    ],
)
def test_no_task_evades_an_areas_rule_by_naming_another_area_or_node(area, owned, of_node, found):
    policies = {"pay": AreaPolicy(approval=ALWAYS), "src": AreaPolicy(approval=NONE)}
    now = world(area_policy=policies, areas={"pay": ("pay/",), "src": ("src",)})
    one = task(of={"area": area, "owned_files": (owned,), "dag_node": "api"})

    assert word_of(one, Point.LANDING, now.config, node("api", approval=of_node)) is found


def test_a_request_has_the_owners_and_questions_of_every_area_it_touches_and_the_shortest_time():
    policies = {
        "src": AreaPolicy(approval=ALWAYS, owners=("ada",), questions=("Why?",), expires_hours=0),
        "pay": AreaPolicy(owners=("bob", "ada"), questions=("Who pays?", "Why?"), expires_hours=5),
    }
    one = task(of={"owned_files": ("src/a", "pay/a")})
    rule = rule_of(world(one, area_policy=policies, areas={"pay": ("pay",)}), one, Point.LANDING)

    assert (rule.owners, rule.expires_hours) == (("ada", "bob"), 5)
    assert rule.questions == ("Why?", "Who pays?")


# --- signals of risk -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owned", "said"),
    [
        (("src/a.py",), ""),
        (("Makefile",), ""),
        ((".github/workflows/ci.yml",), "it may change how the repository is built and tested elsewhere"),
        ((".github",), "it may change how the repository is built and tested elsewhere: `.github`"),
        (("web/package.json",), "it may change what is installed"),
        (("uv.lock",), "it may change a lock file"),
        (("ops/Dockerfile",), "it may change how it is packed and deployed"),
        (("db/migrations/0001.py",), "it may change a migration of data"),
        (("db/migrations",), "it may change a migration of data"),
        (("src/auth/session.py",), "it may change who may do what, or a secret"),
        (("src/author.py",), ""),
        (("src",), "it owns a whole folder at the top: `src`"),
        (tuple(f"src/{number}" for number in range(11)), "it owns 11 files and folders"),
    ],
)
def test_what_speaks_for_a_look_at_a_text(owned, said):
    found = of_plan(task(of={"owned_files": owned}).spec, world().config)

    assert [one for one in found if not one.startswith(said or "-")] == []
    assert bool(found) is bool(said)


def test_a_text_without_a_gate_is_a_risk_and_own_patterns_take_the_place_of_the_usual_ones():
    config = world(risk_paths=("money/",)).config

    assert of_plan(task(of={"gate_command": ""}).spec, config) == ("no gate would judge it",)
    assert of_plan(task(of={"owned_files": ("Dockerfile",)}).spec, config) == ()
    assert of_plan(task(of={"owned_files": ("money/a",)}).spec, config) == (
        "it may change what `riskPaths` names: `money/a`",
    )


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (Work(), ""),
        (Work(changed=("src/a",), lines=800), ""),
        (Work(tests="high: 2 tests gone"), "the tests prove less than before: high: 2 tests gone"),
        (Work(tests="low: green without the change, too"), "the tests prove less than before: low: green without"),
        (Work(is_waived=True), "an auditor's judgement was waived"),
        (Work(met_limit=True), "a try of it ran into a limit"),
        (Work(closed_unnamed=2), "2 findings were closed by accepting, never named as mended"),
        (Work(deleted=("a", "b")), "2 files were deleted: `a`, `b`"),
        (Work(changed=("src/a",), lines=801), "it is big: 1 files, 801 lines"),
        (Work(changed=tuple(f"src/{number}" for number in range(31))), "it is big: 31 files, 0 lines"),
        (Work(changed=("go.sum",)), "it changes a lock file: `go.sum`"),
        (Work(is_unread=True), "its evidence cannot be read"),
    ],
)
def test_what_speaks_for_a_look_at_finished_work(work, said):
    found = of_landing(work, task().spec, world().config)

    assert len(found) == bool(said)
    assert "".join(found).startswith(said)


# --- a request -------------------------------------------------------------------------------------------

READY, DONE = task(), accepted(proof=proof())
RUN = "RUN-20260131T110000Z-00000001"
AT_LIMIT = Paused(run_id=RUN, limit=Limit.TURNS, span=Span.TRY, reason="the worker was stopped", seed_sha=HEAD)
PAUSED = task(paused=AT_LIMIT, tries=1, base_sha="b" * 40, spent=Spent(turns=9))
STANDS = {Point.PLAN: READY, Point.LIMIT: PAUSED, Point.LANDING: DONE}
FACTS = Facts(candidate=CANDIDATE, diff_sha256="d" * 64, verdict="e" * 64)
GATE = gate_sha256("make check", world().config)
PLAN_BOUND = Bound(source_sha256="0" * 64)
LANDING_BOUND = Bound(source_sha256="0" * 64, head=HEAD, candidate=CANDIDATE, diff_sha256="d" * 64, gate_sha256=GATE,
                      verdict="e" * 64)  # fmt: skip
LIMIT_BOUND = Bound(source_sha256="0" * 64, base="b" * 40, head=HEAD, run_id=RUN, limit=Limit.TURNS, span=Span.TRY,
                    spent=Spent(turns=9))  # fmt: skip
BOUND = {Point.PLAN: PLAN_BOUND, Point.LIMIT: LIMIT_BOUND, Point.LANDING: LANDING_BOUND}


def request(point=Point.PLAN, state=ApprovalState.WAITING, **changes):
    plain = Approval(id="APR-0001", point=point, task_id=ONE, epoch=0, state=state, bound=BOUND[point], asked_at=NOW)
    return replace(plain, **changes)


def at(point, *requests, **changes):
    """A world in which everything is asked about, with a task that stands at a point."""
    one = STANDS[point]
    heads = {"branch_heads": {one.spec.worker_branch: HEAD}}
    facts = {"facts": {ONE: FACTS}} if point is Point.LANDING else {}
    # At a limit a person is asked whatever is configured.
    rules = {} if point is Point.LIMIT else {"approve_plan": ALWAYS, "approval": ALWAYS}
    plain = {**rules, "approvals": requests, **heads, **facts}
    return world(changes.pop("task", one), **{**plain, **changes})


def goes_on(now, point):
    """Tell whether the task may go on."""
    if point is not Point.LANDING:
        return [one.task_id for one in frontier(now, 5)[0]] == [ONE]
    return [type(one) for one in plan_integration(now)] == [Advance]


@pytest.mark.parametrize("point", Point)
@pytest.mark.parametrize("state", ApprovalState)
def test_nothing_but_an_approval_lets_a_task_go_on(point, state):
    one = STANDS[point]
    if point is Point.LIMIT and state is ApprovalState.APPROVED:
        one = replace(one, paused=replace(AT_LIMIT, is_allowed=True))  # as the answer itself leaves it
    assert goes_on(at(point, request(point, state), task=one), point) is (state is ApprovalState.APPROVED)


@pytest.mark.parametrize("rules", [{}, {"on_limit_try": OnLimit.STOP}, {"approval": NONE, "approve_plan": NONE}])
def test_no_setting_answers_what_a_person_is_asked_at_a_limit(rules):
    for requests in ((), (request(Point.LIMIT),)):
        now = at(Point.LIMIT, *requests, **rules)

        assert not goes_on(now, Point.LIMIT)
        assert [type(one) for one in plan_approvals(now)] == ([] if requests else [AskApproval])


def test_an_approval_at_a_limit_is_put_away_and_covers_no_other_pause():
    approved = request(Point.LIMIT, ApprovalState.APPROVED)
    (put_away,) = plan_approvals(at(Point.LIMIT, approved, task=replace(PAUSED, paused=None)))
    lapse, ask = plan_approvals(at(Point.LIMIT, approved, task=replace(PAUSED, paused=replace(AT_LIMIT, run_id="RUN"))))

    assert (put_away.approval, put_away.is_over, put_away.reason) == (approved, True, "it has served its purpose")
    assert (lapse.is_over, ask.approval.bound.run_id, ask.approval.state) == (True, "RUN", ApprovalState.WAITING)


STALE = [
    (Point.PLAN, {"task": replace(READY, source_sha256="1" * 64)}, "the task's text was changed"),
    (Point.LANDING, {"task": replace(DONE, source_sha256="1" * 64)}, "the task's text was changed"),
    (Point.LANDING, {"prewarm": "make"}, "the gate was changed"),
    (Point.LANDING, {"task": replace(DONE, head_sha="9" * 40)}, "its branch has moved"),
    (Point.LANDING, {"branch_heads": {}}, "its branch has moved"),
    (Point.LANDING, {"facts": {ONE: replace(FACTS, diff_sha256="9" * 64)}}, "what would land is another difference"),
    (Point.LANDING, {"facts": {ONE: replace(FACTS, verdict=None)}}, "the auditor's verdict is another one"),
    (Point.LANDING, {"task": READY}, "TASK-0001 is ready"),
]
STALE_AT_LIMIT = [
    ({"task": replace(PAUSED, source_sha256="1" * 64)}, "the task's text was changed"),
    ({"task": replace(PAUSED, paused=None)}, f"{RUN} is not what it goes on from any more"),
    ({"task": replace(PAUSED, paused=replace(AT_LIMIT, run_id="RUN"))}, f"{RUN} is not what it goes on from any more"),
    ({"task": replace(PAUSED, status=Status.BLOCKED)}, "TASK-0001 is parked"),
]


@pytest.mark.parametrize(("changes", "why"), STALE_AT_LIMIT, ids=str)
@pytest.mark.parametrize("state", [ApprovalState.WAITING, ApprovalState.EXPIRED])
def test_a_request_at_another_limit_is_stale(changes, why, state):
    lapse, *_ = plan_approvals(at(Point.LIMIT, request(Point.LIMIT, state), **changes))

    assert (lapse.approval.state, lapse.reason, lapse.is_over) == (ApprovalState.STALE, why, True)


@pytest.mark.parametrize(("point", "changes", "why"), STALE, ids=str)
@pytest.mark.parametrize("state", [ApprovalState.WAITING, ApprovalState.APPROVED, ApprovalState.EXPIRED])
def test_a_request_about_something_else_is_stale_and_approves_nothing(point, changes, why, state):
    now = at(point, request(point, state), **changes)
    lapse, *_ = plan_approvals(now)

    assert (lapse.approval.state, lapse.reason, lapse.is_over) == (ApprovalState.STALE, why, True)
    assert not goes_on(now, point)


def test_an_approval_covers_the_same_work_on_a_newer_target_but_a_request_that_waits_is_not_proved_again():
    newer = replace(DONE, proof=replace(DONE.proof, candidate="f" * 40))
    facts = {ONE: replace(FACTS, candidate="f" * 40)}
    approved = request(Point.LANDING, ApprovalState.APPROVED)

    assert goes_on(at(Point.LANDING, approved, task=newer, facts=facts), Point.LANDING)
    for state, kinds in ((ApprovalState.WAITING, []), (ApprovalState.EXPIRED, []), (ApprovalState.APPROVED, ["Chain"])):
        moved = at(Point.LANDING, request(Point.LANDING, state), target_head="5" * 40, facts={})
        assert [type(one).__name__ for one in plan_integration(moved)] == kinds


@pytest.mark.parametrize("point", Point)
def test_who_is_not_asked_yet_is_asked_once(point):
    plan = plan_integration if point is Point.LANDING else plan_approvals
    before = at(point)
    (ask,) = plan(before)
    after_it = expect(before, ask)

    assert isinstance(ask, AskApproval)
    assert (ask.approval.id, ask.approval.state, after_it.next_approval) == ("APR-0001", ApprovalState.WAITING, 2)
    assert plan(after_it) == []
    assert not goes_on(before, point)


@pytest.mark.parametrize("point", [Point.PLAN, Point.LANDING])
def test_a_graph_that_cannot_be_read_lets_nothing_of_a_node_pass(point):
    one = replace(READY if point is Point.PLAN else DONE)
    of_node = replace(one, spec=replace(one.spec, dag_node="api"))
    nothing = {"approve_plan": NONE, "approval": NONE}

    assert goes_on(at(point, task=of_node, **nothing), point)
    assert goes_on(at(point, task=one, graph_error="it is broken", **nothing), point)
    assert not goes_on(at(point, task=of_node, graph_error="it is broken", **nothing), point)


def test_two_who_are_asked_in_one_cycle_have_two_numbers():
    plan = plan_approvals(world(task(1), task(2), approve_plan=ALWAYS, next_approval=7))

    assert [one.approval.id for one in plan] == ["APR-0007", "APR-0008"]


def test_what_is_not_known_yet_does_not_land():
    assert plan_integration(at(Point.LANDING, facts={})) == []


# --- what a person answers -------------------------------------------------------------------------------


def given(verb, name="APR-0001", **changes):
    plain = Order(id="ORD-20260131T120000Z-00000001", verb=verb, by="me@here", at=NOW, subject=ONE,
                  arguments={"request": name}, reason="because")  # fmt: skip
    return replace(plain, **changes)


ANSWERS = [
    # state of the request                        approve  reject  renew
    (request(), ("", "", "still waits")),
    (request(expires_at=after(1)), ("", "", "still waits")),
    (request(expires_at=NOW), ("expired", "expired", "")),
    (request(state=ApprovalState.EXPIRED, expires_at=NOW), ("expired", "expired", "")),
    (request(state=ApprovalState.APPROVED), ("approved already", "approved already", "approved already")),
    (request(state=ApprovalState.REJECTED), ("no open request",) * 3),
    (request(state=ApprovalState.STALE), ("no open request",) * 3),
    (request(id="APR-0002"), ("no open request",) * 3),
    (request(task_id=task_id(2)), ("no open request",) * 3),
    (request(owners=("you",)), ("for you to decide", "for you to decide", "still waits")),
    (request(owners=("you", "me")), ("", "", "still waits")),
    (request(owners=("me@here",)), ("", "", "still waits")),
    (request(owners=("m",)), ("for m to decide", "for m to decide", "still waits")),
    (request(questions=("Why?",)), ("also asks: Why?", "", "still waits")),
    (request(bound=Bound(source_sha256="9" * 64)), ("is stale", "is stale", "still waits")),
]


@pytest.mark.parametrize(("one", "words"), ANSWERS, ids=str)
def test_every_answer_in_every_state_of_a_request(one, words):
    now = at(Point.PLAN, one)
    for verb, word in zip((OrderVerb.APPROVE, OrderVerb.REJECT, OrderVerb.RENEW), words, strict=True):
        found = refusal(now, given(verb))

        assert (found.why if found else "").endswith(word) or word in found.why
        assert (found is None) is (word == "")


@pytest.mark.parametrize(
    "answers", [{}, {"Why?": " "}, {"Why": "so"}, {"Why?": "so", "Who?": "me"}, "y", None, ["Why?"]]
)
def test_what_is_not_an_answer_to_each_question_approves_nothing(answers):
    now = at(Point.PLAN, request(questions=("Why?",)))

    assert refusal(now, given(OrderVerb.APPROVE, arguments={"request": "APR-0001", "answers": answers})) is not None


@pytest.mark.parametrize("reason", ["", " ", "\n"])
def test_a_rejection_without_a_reason_is_refused(reason):
    assert refusal(at(Point.PLAN, request()), given(OrderVerb.REJECT, reason=reason)) is not None


@pytest.mark.parametrize(
    ("point", "verb", "tries", "status", "state"),
    [
        (Point.PLAN, OrderVerb.APPROVE, 0, Status.READY, ApprovalState.APPROVED),
        (Point.PLAN, OrderVerb.REJECT, 0, Status.BLOCKED, None),
        (Point.LIMIT, OrderVerb.APPROVE, 1, Status.READY, ApprovalState.APPROVED),
        (Point.LIMIT, OrderVerb.REJECT, 1, Status.BLOCKED, None),
        (Point.LANDING, OrderVerb.APPROVE, 1, Status.ACCEPTED, ApprovalState.APPROVED),
        (Point.LANDING, OrderVerb.REJECT, 1, Status.READY, None),
        (Point.LANDING, OrderVerb.REJECT, 3, Status.READY, None),
        (Point.LANDING, OrderVerb.REJECT, 4, Status.BLOCKED, None),
    ],
)
def test_what_an_answer_does_and_that_it_does_so_once(point, verb, tries, status, state):
    one = replace(STANDS[point], tries=tries)
    before = at(point, request(point), task=one)
    first = obeyed(before, given(verb))
    left = expect(before, first)

    assert first.order.outcome is OrderOutcome.APPLIED
    is_spent = point is Point.LIMIT and verb is OrderVerb.REJECT
    assert (left.task(ONE).status, left.task(ONE).tries) == (status, tries + is_spent)
    assert [one.state for one in left.approvals] == ([state] if state else [])
    if status is not Status.ACCEPTED and verb is OrderVerb.REJECT:
        assert left.task(ONE).ordered.reason == "because"
        assert left.task(ONE).seed_sha == (None if point is Point.PLAN else HEAD)
    # The machine stops anywhere between the decision and the order's end: nothing is done yet, or all of it.
    for found in (before, left):
        assert expect(found, obeyed(found, first.order)) == left


@pytest.mark.parametrize("point", Point)
def test_what_waits_for_a_person_is_explained_and_needs_you(point):
    found = explain(at(point, request(point)), ONE, Known(loop="auto (pid 12)"))

    (why,) = found.reasons
    assert (found.needs_you, why.why, why.command) == (True, "not-approved", "gluerun approvals")
    assert why.words.startswith("APR-0001 waits for a person")

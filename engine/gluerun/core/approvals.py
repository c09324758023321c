"""Approval by a person: whether one is asked for, what a request is bound to, and whether it still holds."""

from __future__ import annotations

from datetime import timedelta

from gluerun.core.actions import AskApproval, LapseApproval
from gluerun.core.gates import gate_sha256
from gluerun.core.risks import of_landing, of_plan
from gluerun.records.approval import Approval, ApprovalState, Bound, Point
from gluerun.records.config import ApprovalRule
from gluerun.records.paths import overlap
from gluerun.records.record import record, replace
from gluerun.records.task import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from gluerun.core.actions import Action
    from gluerun.core.world import World
    from gluerun.records.config import AreaPolicy, Config
    from gluerun.records.graph import Node
    from gluerun.records.task import Task

_ORDER = list(ApprovalRule)
# What a task does not do before a person has approved it.
BEFORE = {
    Point.PLAN: "it is started",
    Point.LIMIT: "it goes on beyond its limit",
    Point.LANDING: "it lands",
}
NO_CRITERIA = "it has no acceptance criteria, so nobody is asked to approve it, and it is not started"


@record
class Rule:
    """When a person is asked about one task at one point, who, with which questions, and for how long."""

    rule: ApprovalRule
    owners: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    expires_hours: float = 0.0


# --- whether a person is asked ---------------------------------------------------------------------------


def rule_of(world: World, task: Task, point: Point) -> Rule:
    """Return when and how a person is asked about *task* at *point*."""
    node = None
    if world.graph is not None and task.spec.dag_node:
        node = next((one for one in world.graph.nodes if one.id == task.spec.dag_node), None)
    policies = touched(task, world.config)
    hours = [one.expires_hours for one in policies.values() if one.expires_hours is not None]
    return Rule(
        rule=word_of(task, point, world.config, node),
        owners=tuple(dict.fromkeys(owner for one in policies.values() for owner in one.owners)),
        questions=tuple(dict.fromkeys(text for one in policies.values() for text in one.questions)),
        expires_hours=min((one for one in hours if one), default=0.0) if hours else world.config.approval_expires_hours,
    )


def word_of(task: Task, point: Point, config: Config, node: Node | None) -> ApprovalRule:
    """Return the rule for a task: what is configured most specifically, which its own text can only make stricter.

    A node stands over its own area, but not over another one whose files the task wants as well. At a limit a person is
    asked wherever a run was paused: settings that are changed meanwhile are no answer.
    """
    if point is Point.LIMIT:
        return ApprovalRule.ALWAYS
    words = {area: word for area, one in touched(task, config).items() if (word := _at(one, point))}
    own = _at(node, point) if node is not None else None
    if node is not None and own is not None:
        words = {area: word for area, word in words.items() if area != node.area} | {"": own}
    configured = _strictest(*words.values()) if words else _at(config, point)
    return _strictest(configured or ApprovalRule.NONE, _at(task.spec, point) or ApprovalRule.NONE)


def touched(task: Task, config: Config) -> dict[str, AreaPolicy]:
    """Return the policies of a task's area and of every area whose files it owns: naming another one evades none."""
    found = {task.spec.area: config.area_policy[task.spec.area]} if task.spec.area in config.area_policy else {}
    for area, policy in config.area_policy.items():
        entries = [entry.rstrip("/") for entry in config.areas.get(area, ())]
        if any(overlap(entry, path) for entry in entries for path in task.owned):
            found[area] = policy
    return found


def _at(source: object, point: Point) -> ApprovalRule | None:
    name = "approve_plan" if point is Point.PLAN else "approval"
    word = getattr(source, name)
    return None if word is None else ApprovalRule(word)


def _strictest(*words: ApprovalRule) -> ApprovalRule:
    return max(words, key=_ORDER.index)


# --- what a request is bound to --------------------------------------------------------------------------


def text_sha256(world: World, task: Task) -> str:
    """Return the digest of a task's text as it lies there now, also where an edit is not taken in."""
    fresh = (one.file.sha256 for one in world.inputs if one.task_id == task.task_id and one.file is not None)
    return next(fresh, task.source_sha256)


def bound_now(world: World, task: Task, point: Point) -> Bound | None:
    """Return what a request made now would be bound to; None while that is not known."""
    if point is Point.PLAN:
        return Bound(source_sha256=text_sha256(world, task))
    if point is Point.LIMIT:
        return _bound_at_limit(world, task)
    facts, proof = world.facts.get(task.task_id), task.proof
    if facts is None or proof is None or facts.candidate != proof.candidate:
        return None
    return Bound(
        source_sha256=text_sha256(world, task),
        base=proof.target_head,
        head=proof.branch_head,
        candidate=proof.candidate,
        tree=proof.tree,
        diff_sha256=facts.diff_sha256,
        gate_sha256=gate_sha256(task.spec.gate_command, world.config),
        receipt=facts.receipt,
        verdict=facts.verdict,
    )


def _bound_at_limit(world: World, task: Task) -> Bound | None:
    if task.paused is None:
        return None
    return Bound(
        source_sha256=text_sha256(world, task),
        base=task.base_sha,
        head=task.audit_sha or task.paused.seed_sha,
        run_id=task.paused.run_id,
        limit=task.paused.limit,
        span=task.paused.span,
        spent=task.spent,
    )


def why_stale(world: World, approval: Approval) -> str:
    """Say what has changed since a request was made, so that it is about something else; empty if nothing has."""
    task, bound = world.task(approval.task_id), approval.bound
    if task is None:
        return f"{approval.task_id} is {world.status_of(approval.task_id) or 'gone'}"
    # An approved text stays approved, however often it is tried.
    is_plan, is_kept = approval.point is Point.PLAN, approval.state is ApprovalState.APPROVED
    wanted = Status.ACCEPTED if approval.point is Point.LANDING else Status.READY
    if task.status is not wanted and not (is_plan and is_kept):
        return f"{task.task_id} is {'parked' if task.status is Status.BLOCKED else task.status}"
    if text_sha256(world, task) != bound.source_sha256:
        return "the task's text was changed"
    if approval.point is Point.LIMIT and not _is_held_at(task, bound):
        return f"{bound.run_id} is not what it goes on from any more"
    if approval.point is not Point.LANDING:
        return ""
    if task.head_sha != bound.head or world.branch_heads.get(task.spec.worker_branch) != bound.head:
        return "its branch has moved"
    if gate_sha256(task.spec.gate_command, world.config) != bound.gate_sha256:
        return "the gate was changed"
    now = bound_now(world, task, approval.point)
    if now is not None and now.diff_sha256 != bound.diff_sha256:
        return "what would land is another difference"
    if now is not None and now.verdict != bound.verdict:
        return "the auditor's verdict is another one"
    return ""


def _is_held_at(task: Task, bound: Bound) -> bool:
    """Tell whether a task still waits for a person at the limit that a request is about."""
    return task.paused is not None and not task.paused.is_allowed and task.paused.run_id == bound.run_id


def is_expired(approval: Approval, now: datetime) -> bool:
    """Tell whether nobody answered in time."""
    if approval.state is ApprovalState.EXPIRED:
        return True
    is_late = approval.expires_at is not None and now >= approval.expires_at
    return approval.state is ApprovalState.WAITING and is_late


def request_of(world: World, task: Task, point: Point) -> Approval | None:
    """Return the request that holds or frees a task at a point."""
    return next(
        (
            one
            for one in reversed(world.approvals)
            if one.task_id == task.task_id and one.point is point and not one.is_over
        ),
        None,
    )


def new_request(world: World, task: Task, point: Point, rule: Rule, risks: tuple[str, ...]) -> Approval | None:
    """Return a new request; None while it is not known what it would be about."""
    bound = bound_now(world, task, point)
    if bound is None:
        return None
    return Approval(
        id=f"APR-{world.next_approval:04d}",
        point=point,
        task_id=task.task_id,
        epoch=task.epoch,
        state=ApprovalState.WAITING,
        bound=bound,
        asked_at=world.now,
        risks=risks,
        owners=rule.owners,
        questions=rule.questions,
        expires_at=world.now + timedelta(hours=rule.expires_hours) if rule.expires_hours else None,
    )


# --- what it holds ---------------------------------------------------------------------------------------


def plan_wait(world: World, task: Task) -> str:
    """Say why a ready task may not be started before a person has said so; empty if it may be."""
    if task.paused is not None and not task.paused.is_allowed:
        request = request_of(world, task, Point.LIMIT)
        if request is not None and not why_stale(world, request):
            return _waits(request, world.now)
        return "a person is to be asked whether it may go on beyond its limit"
    if why := _unknown_node(world, task):
        return why
    request = request_of(world, task, Point.PLAN)
    if request is not None and not why_stale(world, request):
        if request.state is ApprovalState.APPROVED:
            return ""
        return _waits(request, world.now)
    if not _asks_plan(world, task):
        return ""
    if not task.spec.acceptance_criteria:
        return NO_CRITERIA
    return "a person is to be asked before it is started"


def _unknown_node(world: World, task: Task) -> str:
    """Say that nobody knows what a task's node asks for, which lets nothing pass; empty if it is known."""
    if not world.graph_error or not task.spec.dag_node:
        return ""
    return f"the graph, which may ask for approval in its node {task.spec.dag_node}, cannot be used"


def _asks_plan(world: World, task: Task) -> bool:
    rule = rule_of(world, task, Point.PLAN).rule
    return rule is ApprovalRule.ALWAYS or (rule is ApprovalRule.RISK and bool(of_plan(task.spec, world.config)))


def _waits(request: Approval, now: datetime) -> str:
    if is_expired(request, now):
        return f"nobody answered {request.id} in time; `gluerun approval renew {request.id}` asks again"
    return f"{request.id} waits for a person before {BEFORE[request.point]}: `gluerun approval show {request.id}`"


def landing_wait(world: World, task: Task) -> str:
    """Say why accepted work is held by a request; empty if none holds it. The candidate is not proved again for it."""
    if task.status is not Status.ACCEPTED:
        return ""
    if why := _unknown_node(world, task):
        return why
    request = request_of(world, task, Point.LANDING)
    if request is None or request.state is ApprovalState.APPROVED:
        return ""
    return "" if why_stale(world, request) else _waits(request, world.now)


def landing_step(world: World, task: Task) -> AskApproval | LapseApproval | str | None:
    """Return what a proved candidate needs before it lands: something about a request, to wait (why), or nothing."""
    if why := _unknown_node(world, task):
        return why
    request = request_of(world, task, Point.LANDING)
    if request is not None and (lapse := _lapse(world, request)) is not None:
        return lapse
    if request is not None and request.state is not ApprovalState.APPROVED:
        return _waits(request, world.now)
    if request is not None and _covers(world, task, request):
        return None
    rule = rule_of(world, task, Point.LANDING)
    if rule.rule is ApprovalRule.NONE:
        return None
    facts = world.facts.get(task.task_id)
    if facts is None:
        return "what it would land is not known yet"
    risks = of_landing(facts.work, task.spec, world.config)
    if rule.rule is ApprovalRule.RISK and not risks:
        return None
    asked = new_request(world, task, Point.LANDING, rule, risks)
    if asked is None:
        return "what it would land is not known yet"
    return AskApproval(task_id=task.task_id, approval=asked, reason="its gate is green, before it lands")


def _covers(world: World, task: Task, request: Approval) -> bool:
    """Tell whether an approval is about what would land now: the same candidate, or the same work on a newer target."""
    if why_stale(world, request):
        return False
    if task.proof is not None and task.proof.candidate == request.bound.candidate:
        return True
    return bound_now(world, task, Point.LANDING) is not None


def unanswered(world: World) -> list[tuple[str, str, str, datetime | None]]:
    """Return every request that needs a person, and every task that nobody can be asked about.

    Each is a task, a sentence, what to type, and since when.
    """
    found: list[tuple[str, str, str, datetime | None]] = []
    for one in world.approvals:
        open_now = one.state in (ApprovalState.WAITING, ApprovalState.EXPIRED)
        if open_now and not why_stale(world, one):
            verb = "renew" if is_expired(one, world.now) else "show"
            found.append((one.task_id, _waits(one, world.now), f"gluerun approval {verb} {one.id}", one.asked_at))
    for task in world.tasks:
        is_free = task.status is Status.READY and not task.spec.acceptance_criteria and not world.lease(task.task_id)
        if is_free and _asks_plan(world, task):
            found.append((task.task_id, NO_CRITERIA, f"gluerun explain {task.task_id}", None))
    return found


# --- what a cycle does about them ------------------------------------------------------------------------


def plan_approvals(world: World) -> list[Action]:
    """Say which requests have lapsed, and about which ready tasks a person is asked before they are started."""
    if not world.asks_people:
        return []
    plan: list[Action] = [lapse for one in world.approvals if (lapse := _lapse(world, one)) is not None]
    gone = {lapse.approval.id for lapse in plan if isinstance(lapse, LapseApproval) and lapse.is_over}
    world = replace(world, approvals=tuple(one for one in world.approvals if one.id not in gone))
    for task in world.tasks:
        if task.status is not Status.READY or world.lease(task.task_id):
            continue
        if task.paused is not None and not task.paused.is_allowed:
            if (asking := _ask_at_limit(world, task)) is not None:
                plan.append(asking)
                world = replace(world, next_approval=world.next_approval + 1)
            continue
        if request_of(world, task, Point.PLAN):
            continue
        if _unknown_node(world, task):
            continue
        if not task.spec.acceptance_criteria or not _asks_plan(world, task):
            continue
        risks = of_plan(task.spec, world.config)
        request = new_request(world, task, Point.PLAN, rule_of(world, task, Point.PLAN), risks)
        if request is not None:
            plan.append(AskApproval(task_id=task.task_id, approval=request, reason="before it is started"))
            world = replace(world, next_approval=world.next_approval + 1)
    return plan


def _ask_at_limit(world: World, task: Task) -> AskApproval | None:
    """Return that a person is asked whether a paused task may go on; None if one is already."""
    if task.paused is None or request_of(world, task, Point.LIMIT):
        return None
    spent = task.spent
    sums = (
        f"${spent.usd:.2f}, {spent.tokens} tokens, {spent.turns} turns and {spent.seconds} seconds are used up so far"
    )
    told = (f"{task.paused.reason} ({task.paused.limit}, of the {task.paused.span})", sums)
    asked = new_request(world, task, Point.LIMIT, rule_of(world, task, Point.LIMIT), told)
    if asked is None:
        return None
    return AskApproval(task_id=task.task_id, approval=asked, reason=f"it is paused: {task.paused.reason}")


def _lapse(world: World, approval: Approval) -> LapseApproval | None:
    """Return what has become of a request by itself: it is about something else now, or nobody answered in time."""
    task_id, task = approval.task_id, world.task(approval.task_id)
    stale = replace(approval, state=ApprovalState.STALE)
    if approval.is_over:
        return LapseApproval(task_id=task_id, approval=approval, reason="it is settled", is_over=True)
    why = why_stale(world, approval)
    is_used = task is None or approval.point is Point.LIMIT
    if is_used and approval.state is ApprovalState.APPROVED:
        return LapseApproval(task_id=task_id, approval=approval, reason="it has served its purpose", is_over=True)
    if why:
        return LapseApproval(task_id=task_id, approval=stale, reason=why, is_over=True)
    if task is None or approval.state is ApprovalState.APPROVED:
        return None
    if not _unknown_node(world, task) and rule_of(world, task, approval.point).rule is ApprovalRule.NONE:
        return LapseApproval(task_id=task_id, approval=stale, reason="nobody is to be asked any more", is_over=True)
    if approval.state is ApprovalState.WAITING and is_expired(approval, world.now):
        late = replace(approval, state=ApprovalState.EXPIRED)
        return LapseApproval(task_id=task_id, approval=late, reason="nobody answered in time")
    return None

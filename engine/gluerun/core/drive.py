"""What a run does, as a pure sequence of steps: the worker's drive, the prover's, the planner's.

A drive yields steps and is sent their answers; it never touches the world. Read a drive from top to
bottom and you have read what happens to a task between its dispatch and its ending.
"""

from __future__ import annotations

import hashlib

from gluerun.core import (
    answers,
    capsules,
    consequences,
    continuity,
    decider,
    handover,
    independence,
    prompts,
    scope,
    sessions,
)
from gluerun.core.steps import (
    AgentDone,
    Clear,
    Commit,
    Committed,
    Done,
    Gated,
    Inspect,
    Inspected,
    Keep,
    KeepAttempts,
    KeepText,
    OpenDispatch,
    Opened,
    Patch,
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
    Tell,
    Told,
)
from gluerun.errors import ImpossibleError, SchemaError
from gluerun.records import codec, schema
from gluerun.records.attempt import Attempt, AttemptsIndex
from gluerun.records.dispatch import Ending, Held, Outcome, Role, Seat
from gluerun.records.failure import Answer, Authority, Decision, Failure
from gluerun.records.fault import Fault, Limit
from gluerun.records.gate import GateVerdict
from gluerun.records.packet import Command, Evidence, Packet, PacketClaim
from gluerun.records.record import record, replace
from gluerun.records.session import SessionMeta
from gluerun.records.verdict import Judgement, Ledger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime
    from typing import Any, TypeVar

    from gluerun.core.handover import Prior
    from gluerun.core.steps import Answered, Step
    from gluerun.records.capsule import ReviewerCapsule
    from gluerun.records.config import Config
    from gluerun.records.dispatch import Dispatch
    from gluerun.records.gate import GateCheck
    from gluerun.records.task import TaskSpec
    from gluerun.records.verdict import Verdict

    Drive = Generator[Step, Answered, Ending]
    Part = Generator[Step, Answered, None]
    T = TypeVar("T")

PATCH_LIMIT = 60_000
WAITING = "waiting.json"


@record
class Wrong:
    """Why a try failed: the class, one sentence, and what the next try should read."""

    failure: Failure
    reason: str
    detail: str = ""
    paths: tuple[str, ...] = ()
    limit: Limit | None = None


@record
class NotNow:
    """A try that nobody could judge, because a provider cannot be asked now; it counts as not begun."""

    role: Role
    done: AgentDone


@record
class Green:
    """A try that the host's own checks let pass: the commit, its receipt, and what the agent claimed."""

    head: str
    code_tree: str
    changed: tuple[str, ...]
    diff_sha256: str
    claim: PacketClaim | None
    check: GateCheck | None


class _Worker:
    """The state of one worker's drive between its steps."""

    def __init__(self, dispatch: Dispatch, config: Config) -> None:
        if dispatch.spec is None or dispatch.task_id is None:
            raise ValueError(f"{dispatch.run_id} has no task")
        self.dispatch = dispatch
        self.config = config
        self.spec: TaskSpec = dispatch.spec
        self.task_id: str = dispatch.task_id
        self.attempts: list[Attempt] = []
        self.ledger: Ledger | None = None
        self.head = ""
        self.diff = ""
        self.verdict: Verdict | None = None
        self.green: Green | None = None
        self.spoilt = False
        self.last: Wrong | None = None
        self.prior: Prior | None = handover.of_note(dispatch.last_failure)
        self.reviewed: ReviewerCapsule | None = None
        self.again = ""
        self.resumed: SessionMeta | None = None
        self.prompt_sha256 = self.prompt_ref = ""
        self.begin()

    def begin(self) -> None:
        """Forget what only the last try was."""
        self.claim: PacketClaim | None = None
        self.changed: tuple[str, ...] = ()
        self.seat: Seat | None = None
        self.auditor: Seat | None = None
        self.exit_code = 0
        self.cwd = ""


def worker(dispatch: Dispatch, config: Config) -> Drive:
    """Drive one task: prepare, then tries of agent, checks, gate and audit until one is accepted or it is over."""
    me = _Worker(dispatch, config)
    trouble = ""
    for _ in range(config.worker_infra_max + 1):
        seed = dispatch.audit_sha or dispatch.seed_sha
        trouble = yield from _prepare(Place.WORK, dispatch.base_sha, 0, seed=seed)
        if not trouble:
            break
    if trouble:
        return (yield from _give_up(me, Failure.WORKER_INFRA, trouble, tries=0))
    yield from _recall_findings(me)
    words = prompts.carried_over(dispatch.last_failure)
    previous = dispatch.last_failure.failure_class if dispatch.last_failure else None
    for attempt in range(dispatch.tries_used + 1, dispatch.max_tries + 1):
        yield from _open_attempt(me, attempt)
        result = yield from _try(me, attempt, words)
        if isinstance(result, Green):
            return (yield from _accept(me, attempt, result, waived=False))
        if isinstance(result, NotNow):
            return (yield from _hold(me, result))
        left = dispatch.max_tries - attempt
        decision = yield from _decide(me, attempt, result, previous, left)
        if isinstance(decision, NotNow):
            yield from _close_attempt(me, result, None)
            return (yield from _hold(me, decision, after=result))
        yield from _close_attempt(me, result, decision)
        if decision.action is Answer.ACCEPT_WAIVER:
            return (yield from _accept_waived(me, attempt, result))
        if decision.action not in decider.RETRIES:
            return (yield from _end(me, result, decision))
        if continuity.makes_no_progress(me.attempts):
            stuck = decider.park(result.failure, "the same failure at the same difference twice")
            return (yield from _end(me, result, stuck))
        me.last = result
        previous, words = result.failure, f"{result.failure}: {result.reason}\n{result.detail}".strip()
        advice = decision.rationale if decision.authority is Authority.DECIDER else ""
        words += f"\nAdvice: {advice}" if advice else ""
        me.prior = _prior(me, result, advice)
    return (yield from _give_up(me, Failure.WORKER_INFRA, "no tries are left", tries=0))


def prover(dispatch: Dispatch, config: Config) -> Drive:
    """Drive the gate on one candidate commit; its result decides whether the candidate may land."""
    candidate = dispatch.candidate or ""
    reason = yield from _prepare(Place.GATE, candidate, 0)
    gated = None
    if not reason:
        gated = yield from _ask(RunGate(attempt=0, commit=candidate, command=dispatch.gate_command), Gated)
        reason = gated.trouble
    yield Clear(place=Place.GATE, reason="proved")
    now = yield from _now()
    if gated is None or gated.check is None or gated.check.result is GateVerdict.INCONCLUSIVE:
        reason = reason or "the gate was inconclusive"
        return _ending(dispatch, Outcome.FAILED, now, failure=Failure.WORKER_INFRA, reason=reason)
    if gated.check.result is GateVerdict.RED:
        reason = f"the gate ended with {gated.check.exit_code}"
        return _ending(
            dispatch, Outcome.FAILED, now, failure=Failure.INTEGRATION_GATE_RED, reason=reason, detail=gated.tail
        )
    ending = _ending(dispatch, Outcome.PROVED, now)
    return replace(ending, head_sha=candidate, green_tree=gated.check.code_tree, green_gate=gated.check.gate_sha256)


def planner(dispatch: Dispatch, config: Config) -> Drive:
    """Drive one planner over one node: a read-only place at the target, one prompt, one batch."""
    trouble = yield from _prepare(Place.AUDIT, dispatch.base_sha, 0)
    batch, done = None, None
    if not trouble:
        opened = yield from _ask(OpenDispatch(role=Role.PLANNER, attempt=0), Opened)
        done = yield from _ask(_agent(Role.PLANNER, 0, Place.AUDIT, opened, dispatch.prompt), AgentDone)
        batch, trouble = answers.batch_of(done, dispatch)
    yield Clear(place=Place.AUDIT, reason="planned")
    now = yield from _now()
    if done is not None and _must_wait(done):
        ending = _ending(dispatch, Outcome.HELD, now, reason=done.trouble)
        return replace(ending, held=_held(config, Role.PLANNER, done))
    if batch is None:
        return _ending(dispatch, Outcome.FAILED, now, failure=Failure.PACKET_INVALID, reason=trouble)
    yield Keep(name="batch.json", document=codec.to_wire(batch))
    return _ending(dispatch, Outcome.PLANNED, now)


DRIVES = {Role.WORKER: worker, Role.PROVER: prover, Role.PLANNER: planner}


def _try(me: _Worker, attempt: int, trouble: str) -> Generator[Step, Answered, Green | Wrong | NotNow]:
    """Let the agent work once, then judge what it really did."""
    if me.dispatch.audit_sha and attempt == me.dispatch.tries_used + 1:
        return (yield from _audit_only(me, attempt))
    if me.spoilt and (why := (yield from _prepare(Place.WORK, me.dispatch.base_sha, attempt))):
        return Wrong(failure=Failure.WORKER_INFRA, reason=why)
    me.spoilt = False
    done = yield from _run_worker(me, attempt, trouble)
    if _must_wait(done):
        return NotNow(role=Role.WORKER, done=done)
    if done.fault is Fault.LIMIT:
        # What it changed is rescued and taken back; the next try begins at the base.
        me.spoilt = True
        yield Clear(place=Place.WORK, reason=done.trouble, label=f"try-{attempt}")
        return Wrong(failure=Failure.LIMIT_REACHED, reason=done.trouble, detail=done.tail, limit=done.limit)
    if done.trouble:
        return Wrong(failure=Failure.WORKER_INFRA, reason=done.trouble, detail=done.tail)
    claim, invalid = answers.claim_of(done, me.dispatch)
    me.claim = claim
    if claim is None and (invalid or me.config.require_packet):
        failure = Failure.PACKET_INVALID if invalid else Failure.WORKER_NO_PACKET
        return Wrong(failure=failure, reason=invalid or "the agent left no answer")
    seen = yield from _ask(Inspect(attempt=attempt, base=me.dispatch.base_sha), Inspected)
    me.diff, me.changed = seen.diff_sha256, seen.changed
    if wrong := _host_checks(me, seen, claim):
        if wrong.failure is Failure.SECRET_DETECTED:
            yield Restore(attempt=attempt, commit=me.dispatch.base_sha, paths=wrong.paths)
        return wrong
    return (yield from _commit_and_gate(me, attempt, seen, claim))


def _audit_only(me: _Worker, attempt: int) -> Generator[Step, Answered, Green | Wrong | NotNow]:
    """Take up work that an earlier run found green and whose auditor could not be asked."""
    recalled = yield from _ask(Recall(run_id=me.dispatch.previous_run or "", name=WAITING), Recalled)
    waiting = recalled.document if isinstance(recalled.document, dict) else {}
    seen = yield from _ask(Inspect(attempt=attempt, base=me.dispatch.base_sha), Inspected)
    if not seen.changed:
        reason = seen.trouble or "the work that waited for its audit is gone"
        return Wrong(failure=Failure.NO_CHANGES, reason=reason)
    me.diff, me.changed = seen.diff_sha256, seen.changed
    me.seat = codec.from_wire(Seat, waiting["seat"]) if "seat" in waiting else None
    me.claim = codec.from_wire(PacketClaim, waiting["claim"]) if "claim" in waiting else None
    me.prompt_sha256, me.prompt_ref = str(waiting.get("prompt", "")), str(waiting.get("promptRef", ""))
    return (yield from _commit_and_gate(me, attempt, seen, me.claim))


def _run_worker(me: _Worker, attempt: int, trouble: str) -> Generator[Step, Answered, AgentDone]:
    """Run the agent; a fault of its infrastructure is tried again without touching the tries."""
    text = handover.worker(me.dispatch, attempt, trouble, me.prior, me.ledger, me.config)
    me.prompt_sha256 = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    me.prompt_ref = f"runs/{me.dispatch.run_id}/attempts/{attempt}"
    for again in range(me.config.worker_infra_max + 1):
        done = yield from _start_worker(me, attempt, text, first=again == 0)
        if not done.trouble or again == me.config.worker_infra_max:
            return done
        if consequences.consequence(done.fault) is not consequences.Consequence.AGAIN:
            return done
    raise AssertionError("unreachable: the range is never empty")


def _start_worker(me: _Worker, attempt: int, text: str, *, first: bool) -> Generator[Step, Answered, AgentDone]:
    """Start the agent once; the first start of a try may go on with the session of the try before.

    A session that turns out to be of no use is left at once: the same try begins again without it.
    """
    opened = yield from _ask(OpenDispatch(role=Role.WORKER, attempt=attempt), Opened)
    session = (yield from _session(me, attempt, opened)) if first else ""
    asked = replace(_agent(Role.WORKER, attempt, Place.WORK, opened, text), resume=session)
    done = yield from _ask(asked, AgentDone)
    if session and done.fault in sessions.OF_THE_SESSION:
        _note_session(me, sessions.REFUSED)
        opened = yield from _ask(OpenDispatch(role=Role.WORKER, attempt=attempt), Opened)
        done = yield from _ask(_agent(Role.WORKER, attempt, Place.WORK, opened, text), AgentDone)
    me.seat, me.exit_code, me.cwd = done.seat, done.exit_code, opened.cwd
    return done


def _session(me: _Worker, attempt: int, opened: Opened) -> Generator[Step, Answered, str]:
    """Return the session of the try before if this one may go on with it; note the decision in any case."""
    name = me.config.runner_of(Role.WORKER)
    runner = me.config.runners.get(name)
    now, me.resumed = me.attempts[-1].started_at, None
    enabled = me.config.session_affinity and runner is not None and runner.can_resume
    if enabled and attempt > me.dispatch.tries_used + 1:
        kept = yield from _ask(Recall(run_id=me.dispatch.run_id, name=_session_name(attempt - 1)), Recalled)
        me.resumed = sessions.meta_of(kept.document)
    facts = sessions.Facts(
        enabled=enabled,
        role=Role.WORKER.value,
        task_id=me.task_id,
        run_id=me.dispatch.run_id,
        runner=name,
        prompt_sha256=prompts.template_sha256(Role.WORKER),
        now=now,
        max_age_sec=me.config.session_max_age_sec,
        head=opened.head,
        cwd=opened.cwd,
    )
    session, why = sessions.resume_or_why(me.resumed, facts)
    _note_session(me, sessions.noted(session, why))
    return session


def _note_session(me: _Worker, words: str) -> None:
    me.attempts[-1] = replace(me.attempts[-1], session=words)


def _session_name(attempt: int) -> str:
    return f"attempts/{attempt}/session.json"


def _host_checks(me: _Worker, seen: Inspected, claim: PacketClaim | None) -> Wrong | None:
    """Judge what changed, before anything is committed: trouble, nothing, scope, secrets."""
    if seen.trouble:
        return Wrong(failure=Failure.COMMIT_FAILED, reason=seen.trouble)
    if claim and claim.blockers and not seen.changed:
        reasons = "; ".join(blocker.reason for blocker in claim.blockers)
        return Wrong(failure=Failure.NO_CHANGES, reason=f"the agent is blocked: {reasons}")
    if not seen.changed:
        return Wrong(failure=Failure.NO_CHANGES, reason="nothing differs from the base")
    outside = scope.violations(
        seen.changed,
        me.dispatch.owned_files,
        me.spec.forbidden_files,
        protect_orchestration=me.config.protect_orchestration,
    )
    if outside:
        shown = ", ".join(outside[:5]) + (f" and {len(outside) - 5} more" if len(outside) > 5 else "")
        return Wrong(failure=Failure.SCOPE_VIOLATION, reason=f"changed outside its scope: {shown}", paths=outside)
    if seen.secrets:
        paths = tuple(dict.fromkeys(hit.rsplit(":", 1)[0] for hit in seen.secrets))
        reason = f"something like a secret at {', '.join(seen.secrets[:5])}"
        return Wrong(failure=Failure.SECRET_DETECTED, reason=reason, paths=paths)
    return None


def _commit_and_gate(
    me: _Worker, attempt: int, seen: Inspected, claim: PacketClaim | None
) -> Generator[Step, Answered, Green | Wrong | NotNow]:
    message = _message(me)
    made = yield from _ask(Commit(attempt=attempt, base=me.dispatch.base_sha, message=message), Committed)
    if made.trouble:
        return Wrong(failure=Failure.COMMIT_FAILED, reason=made.trouble)
    me.head = made.head
    check = None
    if me.dispatch.gate_command:
        gated = yield from _gate(me, attempt, made.head)
        if gated.check is None or gated.check.result is GateVerdict.INCONCLUSIVE:
            return Wrong(failure=Failure.WORKER_INFRA, reason=gated.trouble or "the gate was inconclusive")
        check = gated.check
        if check.result is GateVerdict.RED:
            reason = "the gate timed out" if check.timed_out else f"the gate ended with {check.exit_code}"
            return Wrong(failure=Failure.GATE_RED, reason=reason, detail=gated.tail)
    green = Green(
        head=made.head,
        code_tree=made.code_tree,
        changed=seen.changed,
        diff_sha256=seen.diff_sha256,
        claim=claim,
        check=check,
    )
    me.green = green
    wrong = (yield from _audit(me, attempt, green)) if me.config.require_audit else None
    return wrong or green


def _gate(me: _Worker, attempt: int, commit: str) -> Generator[Step, Answered, Gated]:
    """Run the gate in a clean work tree of exactly *commit*; infrastructure gets its own second chance."""
    gated = Gated(check=None)
    for _ in range(me.config.worker_infra_max + 1):
        trouble = yield from _prepare(Place.GATE, commit, attempt)
        if trouble:
            gated = Gated(check=None, trouble=trouble)
        else:
            answer = yield from _ask(RunGate(attempt=attempt, commit=commit, command=me.dispatch.gate_command), Gated)
            gated = answer
        yield Clear(place=Place.GATE, reason="gate ended")
        if gated.check and gated.check.result is not GateVerdict.INCONCLUSIVE:
            break
    return gated


def _audit(me: _Worker, attempt: int, green: Green) -> Generator[Step, Answered, Wrong | NotNow | None]:
    """Let an auditor judge the commit; only a verdict bound to it and to the question counts."""
    patched = yield from _ask(Patch(old=me.dispatch.base_sha, new=green.head, limit=PATCH_LIMIT), Patched)
    me.again = yield from _since_last_audit(me, green)
    why = ""
    for _ in range(me.config.audit_infra_max + 1):
        verdict, why, done = yield from _ask_auditor(me, attempt, green, patched.text)
        if done is not None and _must_wait(done):
            return NotNow(role=Role.AUDITOR, done=done)
        if verdict is not None:
            if why := independence.why_not(me.config.independence, me.seat, me.auditor):
                break  # it would be the same seats again
            return (yield from _heed(me, attempt, verdict))
        if why == answers.UNKNOWN:
            return Wrong(failure=Failure.AUDIT_UNKNOWN, reason="the auditor gave answers that disagree")
        if done is not None and consequences.consequence(done.fault) is not consequences.Consequence.AGAIN:
            break
    return Wrong(failure=Failure.AUDIT_INFRA, reason=why)


def _since_last_audit(me: _Worker, green: Green) -> Generator[Step, Answered, str]:
    """Return what the auditor is told of the audit before; it is a fresh one all the same, and judges all."""
    if me.reviewed is None:
        return ""
    old = me.reviewed.audited_head_sha
    since = yield from _ask(Patch(old=old, new=green.head, limit=handover.DELTA_LIMIT, needed=False), Patched)
    return handover.again(me.reviewed, me.ledger, green.head, since, me.config)


def _ask_auditor(
    me: _Worker, attempt: int, green: Green, patch: str
) -> Generator[Step, Answered, tuple[Verdict | None, str, AgentDone | None]]:
    trouble = yield from _prepare(Place.AUDIT, green.head, attempt)
    if trouble:
        yield Clear(place=Place.AUDIT, reason="set-up failed")
        return None, trouble, None
    opened = yield from _ask(OpenDispatch(role=Role.AUDITOR, attempt=attempt), Opened)
    text = prompts.auditor(
        me.dispatch,
        green.head,
        opened.nonce,
        claim=green.claim,
        gate=green.check,
        patch=patch,
        ledger=me.ledger,
        again=me.again,
    )
    done = yield from _ask(_agent(Role.AUDITOR, attempt, Place.AUDIT, opened, text), AgentDone)
    me.auditor = done.seat
    yield Clear(place=Place.AUDIT, reason="audit ended")
    return *answers.verdict_of(done, opened, green.head, me.dispatch), done


def _heed(me: _Worker, attempt: int, verdict: Verdict) -> Generator[Step, Answered, Wrong | None]:
    me.verdict = verdict
    now = yield from _now()
    empty = Ledger(task_id=me.task_id, run_id=me.dispatch.run_id, findings=(), updated_at=now)
    me.ledger = continuity.updated(me.ledger or empty, verdict, attempt, now)
    yield Keep(name="findings-status.json", document=codec.to_wire(me.ledger))
    audit = _kept(verdict)
    yield Keep(name="audit.json", document=audit, attempt=attempt)
    me.reviewed = capsules.reviewer(me.dispatch, me.spec, attempt, now, verdict=verdict, audit_sha256=_digest(audit))
    yield Keep(name=capsules.REVIEWER, document=codec.to_wire(me.reviewed), attempt=attempt)
    if verdict.verdict is Judgement.ACCEPTED:
        return None
    failure = {
        Judgement.NEEDS_FIX: Failure.AUDIT_NEEDS_FIX,
        Judgement.BLOCKED: Failure.AUDIT_BLOCKED,
        Judgement.NEEDS_HUMAN: Failure.AUDIT_NEEDS_HUMAN,
    }[verdict.verdict]
    detail = prompts.bullets((*verdict.required_fixes, *verdict.findings))
    return Wrong(failure=failure, reason=verdict.rationale, detail=detail)


def _decide(
    me: _Worker, attempt: int, wrong: Wrong, previous: Failure | None, left: int
) -> Generator[Step, Answered, Decision | NotNow]:
    """Ask the table, and a model where the table says so."""
    if wrong.limit is Limit.TASK:
        return Decision(failure_class=wrong.failure, action=Answer.ESCALATE_PARKED, rationale=wrong.reason)
    if wrong.limit is Limit.DAY and left > 0:
        return Decision(failure_class=wrong.failure, action=Answer.RELEASE, rationale="the day's limit is used up")
    decision = decider.decide(wrong.failure, left, previous=previous, fast=me.config.decider_fast)
    if decision.action is not Answer.ASK_MODEL:
        return replace(decision, paths=wrong.paths)
    if not me.config.runner_of(Role.DECIDER):
        return decider.park(wrong.failure, "no decider is configured")
    trouble = yield from _prepare(Place.AUDIT, me.head or me.dispatch.base_sha, attempt)
    if trouble:
        yield Clear(place=Place.AUDIT, reason="set-up failed")
        return decider.park(wrong.failure, f"the decider could not start: {trouble}")
    opened = yield from _ask(OpenDispatch(role=Role.DECIDER, attempt=attempt), Opened)
    words = f"{wrong.reason}\n{wrong.detail}"
    text = prompts.decider(me.dispatch, wrong.failure, opened.nonce, words, me.attempts)
    done = yield from _ask(_agent(Role.DECIDER, attempt, Place.AUDIT, opened, text), AgentDone)
    yield Clear(place=Place.AUDIT, reason="decided")
    if _must_wait(done) and left > 0:
        return NotNow(role=Role.DECIDER, done=done)
    claimed, why = answers.decision_of(done, opened, wrong.failure, me.dispatch)
    if claimed is None:
        return decider.park(wrong.failure, f"the decider gave no answer: {why}")
    yield Keep(name=f"decision-{wrong.failure}.json", document=codec.to_wire(claimed))
    return replace(decider.judged(claimed, left), paths=wrong.paths)


def _accept(me: _Worker, attempt: int, green: Green, *, waived: bool) -> Generator[Step, Answered, Ending]:
    """Write the packet and end as accepted; integration is not this run's business."""
    if not waived:
        yield from _close_attempt(me, None, None)
    now = yield from _now()
    packet = _packet(me, attempt, green, now, waived=waived)
    document = codec.to_wire(packet)
    yield Keep(name="packet.json", document=document)
    yield _capsule(me, attempt, now, "integrate", _digest(document))
    yield Clear(place=Place.WORK, reason="accepted")
    ending = _ending(me.dispatch, Outcome.ACCEPTED, now, tries=len(me.attempts))
    return replace(
        ending,
        head_sha=green.head,
        diff_sha256=green.diff_sha256,
        packet_sha256=_digest(document),
        green_tree=green.check.code_tree if green.check else None,
        green_gate=green.check.gate_sha256 if green.check else None,
    )


def _accept_waived(me: _Worker, attempt: int, wrong: Wrong) -> Drive:
    """Accept over an auditor's judgement what this very try committed and its gate found green."""
    if me.green is None or wrong.failure in decider.NEVER_WAIVED:
        return (yield from _end(me, wrong, decider.park(wrong.failure, "there is nothing to waive")))
    return (yield from _accept(me, attempt, me.green, waived=True))


def _end(me: _Worker, wrong: Wrong, decision: Decision) -> Drive:
    yield Clear(place=Place.WORK, reason=str(wrong.failure))
    now = yield from _now()
    ending = _ending(
        me.dispatch,
        Outcome.FAILED,
        now,
        tries=len(me.attempts),
        failure=wrong.failure,
        reason=wrong.reason,
        detail=wrong.detail,
    )
    return replace(
        ending,
        answer=decision.action,
        authority=decision.authority,
        paths=decision.paths or wrong.paths,
        head_sha=me.head or None,
        diff_sha256=me.diff or None,
        detail=wrong.detail if decision.authority is Authority.POLICY else f"{decision.rationale}\n{wrong.detail}",
    )


def _must_wait(done: AgentDone) -> bool:
    return consequences.consequence(done.fault) is consequences.Consequence.HOLD


def _held(config: Config, role: Role, done: AgentDone) -> Held:
    runner = config.runners.get(config.runner_of(role))
    if runner is None or done.fault is None:
        raise ImpossibleError(f"the {role} is held back without a fault")
    until = codec.moment(done.until) if done.until else None
    return Held(provider=runner.held_as, fault=done.fault, reason=done.trouble, role=role, until=until)


def _hold(me: _Worker, now_not: NotNow, after: Wrong | None = None) -> Drive:
    """Break the run off until the provider can be asked again; nothing that was done is lost or judged.

    *after* is a failure that stands, about which a model could not be asked.
    """
    green = me.green if now_not.role is Role.AUDITOR else None
    yield Clear(place=Place.WORK, reason=now_not.done.trouble)
    if green is not None:
        known = {"claim": green.claim, "seat": me.seat, "prompt": me.prompt_sha256, "promptRef": me.prompt_ref}
        yield Keep(name=WAITING, document={name: codec.to_wire(one) for name, one in known.items() if one})
    now = yield from _now()
    if after is None:
        told = f"held back: {now_not.done.fault}"
        me.attempts[-1] = replace(me.attempts[-1], ended_at=now, reason=told)
        yield KeepAttempts(index=_index(me, now))
    tries = len(me.attempts) - (0 if after else 1)
    wrong = after or me.last
    reason = wrong.reason if wrong else now_not.done.trouble
    ending = _ending(me.dispatch, Outcome.HELD, now, tries=tries, reason=reason, detail=wrong.detail if wrong else "")
    return replace(
        ending,
        failure=wrong.failure if wrong else None,
        held=_held(me.config, now_not.role, now_not.done),
        head_sha=green.head if green else None,
    )


def _give_up(me: _Worker, failure: Failure, reason: str, *, tries: int) -> Drive:
    yield Clear(place=Place.WORK, reason=str(failure))
    now = yield from _now()
    decision = decider.decide(failure, 0)
    ending = _ending(me.dispatch, Outcome.FAILED, now, tries=tries, failure=failure, reason=reason)
    return replace(ending, answer=decision.action, authority=decision.authority)


def _open_attempt(me: _Worker, attempt: int) -> Part:
    """Count a try before it starts, so that a crash cannot hide it."""
    now = yield from _now()
    me.verdict, me.green, me.diff = None, None, ""
    me.begin()
    me.attempts.append(Attempt(n=attempt, started_at=now, dir=f"attempts/{attempt}"))
    yield KeepAttempts(index=_index(me, now))


def _close_attempt(me: _Worker, wrong: Wrong | None, decision: Decision | None) -> Part:
    now = yield from _now()
    me.attempts[-1] = replace(
        me.attempts[-1],
        ended_at=now,
        failure_class=wrong.failure if wrong else None,
        reason=wrong.reason if wrong else "",
        audit_verdict=me.verdict.verdict.value if me.verdict else None,
        head_sha=me.head or None,
        diff_sha256=me.diff or None,
        decider_action=decision.action if decision else None,
        decider_authority=decision.authority if decision else None,
    )
    yield from _archive(me, now, wrong, decision)
    yield KeepAttempts(index=_index(me, now))


def _archive(me: _Worker, now: datetime, wrong: Wrong | None, decision: Decision | None) -> Part:
    """Keep in the folder of the try what the next one, or a person, may want of it; its session in any case."""
    attempt = me.attempts[-1].n
    if wrong and decision:
        yield KeepText(name=f"attempts/{attempt}/failure.txt", text=f"{wrong.failure}: {wrong.reason}\n")
        yield _capsule(me, attempt, now, decision.action.value)
    if me.seat is not None:
        session = sessions.id_of(me.seat.session)
        same = me.resumed if me.resumed and session and me.resumed.session_id == session else None
        meta = SessionMeta(
            role=Role.WORKER.value,
            task_id=me.task_id,
            run_id=me.dispatch.run_id,
            runner=me.config.runner_of(Role.WORKER),
            provider=me.seat.provider or "unknown",
            model=me.seat.model or "unknown",
            session_id=session,
            exit_code=me.exit_code,
            cwd=me.cwd,
            prompt_sha256=prompts.template_sha256(Role.WORKER),
            head_sha_at_create=me.head,
            last_used_attempt=attempt,
            created_at=same.created_at if same else now,
        )
        yield Keep(name=_session_name(attempt), document=codec.to_wire(meta))


def _capsule(me: _Worker, attempt: int, now: datetime, next_action: str, packet_sha256: str | None = None) -> Keep:
    capsule = capsules.implementer(
        me.dispatch,
        me.spec,
        attempt,
        now,
        head=me.head,
        changed=me.changed,
        claim=me.claim,
        next_action=next_action,
        packet_sha256=packet_sha256,
    )
    return Keep(name=capsules.IMPLEMENTER, document=codec.to_wire(capsule), attempt=attempt)


def _prior(me: _Worker, wrong: Wrong, advice: str) -> Prior:
    said = (me.claim.summary or "") if me.claim else ""
    return handover.Prior(
        failure=wrong.failure,
        reason=wrong.reason,
        detail=wrong.detail,
        paths=wrong.paths,
        advice=advice,
        summary=said,
    )


def _kept(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as it is kept: without the secret of its question."""
    document: dict[str, Any] = codec.to_wire(replace(verdict, nonce="0" * 32))
    return document


def _digest(document: object) -> str:
    return hashlib.sha256(codec.canonical(document)).hexdigest()


def _index(me: _Worker, now: datetime) -> AttemptsIndex:
    return AttemptsIndex(run_id=me.dispatch.run_id, task_id=me.task_id, attempts=tuple(me.attempts), updated_at=now)


def _recall_findings(me: _Worker) -> Part:
    if me.dispatch.previous_run:
        recalled = yield from _ask(Recall(run_id=me.dispatch.previous_run, name="findings-status.json"), Recalled)
        if recalled.document is not None:
            try:
                me.ledger = schema.admit(Ledger, recalled.document)
            except SchemaError:
                me.ledger = None  # what an earlier run left must not end this one
        recalled = yield from _ask(Recall(run_id=me.dispatch.previous_run, name=capsules.REVIEWER), Recalled)
        me.reviewed = capsules.reviewer_of(recalled.document, me.task_id)


def _ask(step: Step, kind: type[T]) -> Generator[Step, Answered, T]:
    """Yield *step* and return its answer, which is a *kind* by the protocol of runs."""
    answer = yield step
    if not isinstance(answer, kind):
        raise ImpossibleError(f"{type(step).__name__} was answered by {type(answer).__name__}")
    return answer


def _prepare(place: Place, commit: str, attempt: int, *, seed: str | None = None) -> Generator[Step, Answered, str]:
    """Make a place ready; return the trouble, empty if there is none. Same for every role."""
    prepared = yield from _ask(Prepare(place=place, commit=commit, seed=seed), Prepared)
    if prepared.trouble:
        return prepared.trouble
    for index, command in enumerate(prepared.setup):
        done = yield from _ask(RunSetup(place=place, attempt=attempt, index=index, command=command), Done)
        if done.trouble:
            return done.trouble
    return ""


def _agent(role: Role, attempt: int, place: Place, opened: Opened, prompt: str) -> RunAgent:
    return RunAgent(
        role=role, attempt=attempt, place=place, dispatch_id=opened.dispatch_id, nonce=opened.nonce, prompt=prompt
    )


def _now() -> Generator[Step, Answered, datetime]:
    told = yield from _ask(Tell(), Told)
    return codec.moment(told.now)


def _ending(
    dispatch: Dispatch,
    outcome: Outcome,
    now: datetime,
    *,
    tries: int = 0,
    failure: Failure | None = None,
    reason: str = "",
    detail: str = "",
) -> Ending:
    return Ending(
        run_id=dispatch.run_id,
        role=dispatch.role,
        epoch=dispatch.epoch,
        outcome=outcome,
        finished_at=now,
        tries=tries,
        task_id=dispatch.task_id,
        node=dispatch.node,
        failure=failure,
        reason=reason,
        detail=detail,
    )


def _message(me: _Worker) -> str:
    return f"{me.spec.title}\n\nGluerun-Task: {me.task_id}\nGluerun-Run: {me.dispatch.run_id}\n"


def _packet(me: _Worker, attempt: int, green: Green, now: datetime, *, waived: bool) -> Packet:
    claim = green.claim or PacketClaim()
    evidence = [Evidence(kind="claim", ref=item.ref) for item in claim.evidence]
    commands: tuple[Command, ...] = claim.commands
    if green.check:
        receipt = _digest(codec.to_wire(green.check))
        evidence.append(Evidence(kind="gate-check", ref="gate-check.json", sha256=receipt))
    if me.verdict:
        evidence.append(Evidence(kind="audit", ref="audit.json", sha256=_digest(_kept(me.verdict))))
    if me.prompt_sha256:
        evidence.append(Evidence(kind="prompt", ref=me.prompt_ref, sha256=me.prompt_sha256))
    seats = (("worker", me.seat), ("auditor", me.auditor))
    evidence += [Evidence(kind="seat", ref=independence.said(role, seat)) for role, seat in seats if seat]
    if waived:
        evidence.append(Evidence(kind="waiver", ref="decider:accept-waiver"))
    return Packet(
        packet_id=f"{me.dispatch.run_id}.{attempt}",
        run_id=me.dispatch.run_id,
        task_id=me.task_id,
        area=me.spec.area,
        role=Role.WORKER.value,
        status="accepted",
        base_ref=me.dispatch.base_sha,
        branch=me.spec.worker_branch,
        head_sha=green.head,
        workspace=f".worktrees/{me.task_id}",
        owned_files=me.dispatch.owned_files,
        changed_files=green.changed,
        commands=commands,
        tests=claim.tests,
        evidence=tuple(evidence),
        blockers=claim.blockers,
        next_action=claim.next_action or "integrate",
        created_at=now,
        derived=green.claim is None,
        summary=claim.summary,
    )

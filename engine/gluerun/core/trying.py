"""One try: the agent works, the host looks at what it really did, commits it, runs the gate, lets an auditor judge."""

from __future__ import annotations

import hashlib

from gluerun.core import (
    answers,
    capsules,
    consequences,
    continuity,
    decider,
    flakes,
    gate_words,
    gating,
    handover,
    independence,
    on_base,
    pipeline,
    prompts,
    scope,
    sessions,
    tamper,
)
from gluerun.core.asking import agent, ask, must_ask, must_wait, now_of_day, prepare
from gluerun.core.notebook import Green, Notebook, NotNow, Wrong, digest_of, kept_verdict, note_session, session_name
from gluerun.core.steps import (
    AgentDone,
    Clear,
    Commit,
    Committed,
    Gated,
    Inspect,
    Inspected,
    Keep,
    KeepText,
    OpenDispatch,
    Opened,
    Patch,
    Patched,
    Place,
    Recall,
    Recalled,
    Restore,
)
from gluerun.records import codec
from gluerun.records.config import TamperRule
from gluerun.records.dispatch import Role, Seat
from gluerun.records.failure import Answer, Decision, Failure
from gluerun.records.fault import Fault, Limit
from gluerun.records.gate import GateVerdict
from gluerun.records.packet import PacketClaim
from gluerun.records.pipeline import Occasion
from gluerun.records.record import replace
from gluerun.records.verdict import Judgement, Ledger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from gluerun.core.asking import Part
    from gluerun.core.steps import Answered, Step
    from gluerun.records.objection import Objection
    from gluerun.records.verdict import Verdict


PATCH_LIMIT = 60_000
WAITING = "waiting.json"


def try_once(me: Notebook, attempt: int, trouble: str) -> Generator[Step, Answered, Green | Wrong | NotNow]:
    """Let the agent work once, then judge what it really did."""
    if me.dispatch.audit_sha and attempt == me.dispatch.tries_used + 1:
        return (yield from _audit_only(me, attempt))
    if me.spoilt and (why := (yield from _prepare_again(me, attempt))):
        return Wrong(failure=Failure.WORKER_INFRA, reason=why)
    me.spoilt = False
    done = yield from _run_worker(me, attempt, trouble)
    if must_wait(done) or must_ask(me.config, done):
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
    seen = yield from ask(Inspect(attempt=attempt, base=me.dispatch.base_sha), Inspected)
    me.diff, me.changed = seen.diff_sha256, seen.changed
    yield from _note_tests(me, attempt, seen)
    if wrong := _host_checks(me, seen, claim):
        if wrong.failure is Failure.SECRET_DETECTED:
            yield Restore(attempt=attempt, commit=me.dispatch.base_sha, paths=wrong.paths)
        # A place that cannot even be looked at is of no use to the next try.
        me.spoilt = bool(seen.trouble)
        return wrong
    return (yield from _commit_and_gate(me, attempt, seen, claim))


def _prepare_again(me: Notebook, attempt: int) -> Generator[Step, Answered, str]:
    """Make the place new for this try; one fault of the machine is no more the work's here than at the first."""
    return (yield from prepare(Place.WORK, me.dispatch.base_sha, attempt, again=me.config.worker_infra_max))


def _audit_only(me: Notebook, attempt: int) -> Generator[Step, Answered, Green | Wrong | NotNow]:
    """Take up work that an earlier run found green and whose auditor could not be asked."""
    recalled = yield from ask(Recall(run_id=me.dispatch.previous_run or "", name=WAITING), Recalled)
    waiting = recalled.document if isinstance(recalled.document, dict) else {}
    seen = yield from ask(Inspect(attempt=attempt, base=me.dispatch.base_sha), Inspected)
    if not seen.changed:
        reason = seen.trouble or "the work that waited for its audit is gone"
        return Wrong(failure=Failure.NO_CHANGES, reason=reason)
    me.diff, me.changed = seen.diff_sha256, seen.changed
    yield from _note_tests(me, attempt, seen)
    me.seat = codec.from_wire(Seat, waiting["seat"]) if "seat" in waiting else None
    me.claim = codec.from_wire(PacketClaim, waiting["claim"]) if "claim" in waiting else None
    me.prompt_sha256, me.prompt_ref = str(waiting.get("prompt", "")), str(waiting.get("promptRef", ""))
    return (yield from _commit_and_gate(me, attempt, seen, me.claim))


def _run_worker(me: Notebook, attempt: int, trouble: str) -> Generator[Step, Answered, AgentDone]:
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


def _start_worker(me: Notebook, attempt: int, text: str, *, first: bool) -> Generator[Step, Answered, AgentDone]:
    """Start the agent once; the first start of a try may go on with the session of the try before.

    A session that turns out to be of no use is left at once: the same try begins again without it.
    """
    opened = yield from ask(OpenDispatch(role=Role.WORKER, attempt=attempt), Opened)
    session = (yield from _session(me, attempt, opened)) if first else ""
    asked = replace(agent(Role.WORKER, attempt, Place.WORK, opened, text), resume=session)
    done = yield from ask(asked, AgentDone)
    if session and done.fault in sessions.OF_THE_SESSION:
        note_session(me, sessions.REFUSED)
        opened = yield from ask(OpenDispatch(role=Role.WORKER, attempt=attempt), Opened)
        done = yield from ask(agent(Role.WORKER, attempt, Place.WORK, opened, text), AgentDone)
    me.seat, me.exit_code, me.cwd = done.seat, done.exit_code, opened.cwd
    return done


def _session(me: Notebook, attempt: int, opened: Opened) -> Generator[Step, Answered, str]:
    """Return the session of the try before if this one may go on with it; note the decision in any case."""
    name = me.config.runner_of(Role.WORKER)
    runner = me.config.runners.get(name)
    now, me.resumed = me.attempts[-1].started_at, None
    enabled = me.config.session_affinity and runner is not None and runner.can_resume
    run_id, before, head = me.dispatch.run_id, attempt - 1, opened.head
    paused = me.dispatch.paused if attempt == me.dispatch.tries_used + 1 else None
    if paused is not None and not (runner and runner.own_homes):
        # A program with a home in its run's folder has left its sessions there.
        run_id, before = paused.run_id, paused.attempt
    if enabled and (attempt > me.dispatch.tries_used + 1 or run_id != me.dispatch.run_id):
        kept = yield from ask(Recall(run_id=run_id, name=session_name(before)), Recalled)
        me.resumed = sessions.meta_of(kept.document)
        if run_id != me.dispatch.run_id and me.resumed is not None:
            head = me.resumed.head_sha_at_create  # the place has the very files in which that run broke off
    facts = sessions.Facts(
        enabled=enabled,
        role=Role.WORKER.value,
        task_id=me.task_id,
        run_id=run_id,
        runner=name,
        prompt_sha256=prompts.template_sha256(Role.WORKER),
        now=now,
        max_age_sec=me.config.session_max_age_sec,
        head=head,
        cwd=opened.cwd,
    )
    session, why = sessions.resume_or_why(me.resumed, facts)
    note_session(me, sessions.noted(session, why))
    return session


def _host_checks(me: Notebook, seen: Inspected, claim: PacketClaim | None) -> Wrong | None:
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
        (*me.spec.forbidden_files, *scope.guarded(me.config.modules)),
        protect_orchestration=me.config.protect_orchestration,
    )
    if outside:
        shown = ", ".join(outside[:5]) + (f" and {len(outside) - 5} more" if len(outside) > 5 else "")
        return Wrong(failure=Failure.SCOPE_VIOLATION, reason=f"changed outside its scope: {shown}", paths=outside)
    if seen.secrets:
        paths = tuple(dict.fromkeys(hit.rsplit(":", 1)[0] for hit in seen.secrets))
        reason = f"something like a secret at {', '.join(seen.secrets[:5])}"
        return Wrong(failure=Failure.SECRET_DETECTED, reason=reason, paths=paths)
    if seen.objections:
        return _objected(seen.objections)
    if me.config.test_tamper is TamperRule.BLOCK and seen.tamper and seen.tamper.grade is tamper.Grade.HIGH:
        return Wrong(
            failure=Failure.PROOF_SKIP_DETECTED,
            reason=f"the tests prove less than before ({tamper.said(seen.tamper)})",
            detail=tamper.facts(seen.tamper),
            paths=seen.tamper.paths,
        )
    return None


def _objected(objections: tuple[Objection, ...]) -> Wrong:
    """Refuse what a module objects to. A module that failed says nothing about the work, and yet nothing passes it."""
    reasons = [f"the module {one.module} {'' if one.broken else 'objects: '}{one.reason}" for one in objections]
    broken = any(one.broken for one in objections)
    return Wrong(
        failure=Failure.WORKER_INFRA if broken else Failure.PROOF_SKIP_DETECTED,
        reason=reasons[0],
        detail="\n".join(reasons),
        paths=tuple(dict.fromkeys(path for one in objections for path in one.paths)),
    )


def _note_tests(me: Notebook, attempt: int, seen: Inspected) -> Part:
    """Keep what a try did to the tests beside it, for whoever looks."""
    me.tamper = seen.tamper
    if table := tamper.facts(seen.tamper):
        yield KeepText(name=tamper.note_path(attempt), text=f"{table}\n")


def _commit_and_gate(
    me: Notebook, attempt: int, seen: Inspected, claim: PacketClaim | None
) -> Generator[Step, Answered, Green | Wrong | NotNow]:
    message = _message(me)
    made = yield from ask(Commit(attempt=attempt, base=me.dispatch.base_sha, message=message), Committed)
    if made.trouble:
        return Wrong(failure=Failure.COMMIT_FAILED, reason=made.trouble)
    me.head = made.head
    check = None
    if pipeline.has_gate(me.config, me.dispatch.gate_command, Occasion.TASK):
        gated = yield from _gate(me, attempt, made.head)
        if gated.check is None or gated.check.result is GateVerdict.INCONCLUSIVE:
            return Wrong(failure=Failure.WORKER_INFRA, reason=gated.trouble or "the gate was inconclusive")
        check = gated.check
        if check.result is GateVerdict.RED:
            return Wrong(failure=Failure.GATE_RED, reason=gate_words.why_red(check), detail=gated.tail)
        yield from on_base.try_on_base(me, attempt, made.head)
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


def _gate(me: Notebook, attempt: int, commit: str) -> Generator[Step, Answered, Gated]:
    """Run the gate on *commit*; a red of nothing but what is known to flake is asked once more before it counts."""
    gated = yield from _gate_once(me, attempt, commit)
    red = gated.check
    if me.config.flake_reruns and red is not None and flakes.only_flaky(red, me.dispatch.flaky):
        gated = yield from _gate_once(me, attempt, commit)
        if gated.check is not None and gated.check.result is GateVerdict.GREEN:
            yield Keep(name=flakes.RED_RECEIPT, document=codec.to_wire(red))
    return gated


def _gate_once(me: Notebook, attempt: int, commit: str) -> Generator[Step, Answered, Gated]:
    """Run the gate in a clean work tree of exactly *commit*; infrastructure gets its own second chance."""
    gated = Gated(check=None)
    for _ in range(me.config.worker_infra_max + 1):
        trouble = yield from prepare(Place.GATE, commit, attempt)
        if trouble:
            gated = Gated(check=None, trouble=trouble)
        else:
            gated = yield from gating.run_gates(
                me.config,
                me.dispatch.gate_command,
                Occasion.TASK,
                attempt=attempt,
                commit=commit,
                changed=me.changed,
                flaky=me.dispatch.flaky,
            )
        yield Clear(place=Place.GATE, reason="gate ended")
        if gated.check and gated.check.result is not GateVerdict.INCONCLUSIVE:
            break
    return gated


def _audit(me: Notebook, attempt: int, green: Green) -> Generator[Step, Answered, Wrong | NotNow | None]:
    """Let an auditor judge the commit; only a verdict bound to it and to the question counts."""
    patched = yield from ask(Patch(old=me.dispatch.base_sha, new=green.head, limit=PATCH_LIMIT), Patched)
    me.again = yield from _since_last_audit(me, green)
    why = ""
    for _ in range(me.config.audit_infra_max + 1):
        verdict, why, done = yield from _ask_auditor(me, attempt, green, patched.text)
        if done is not None and (must_wait(done) or done.limit is Limit.DAY or must_ask(me.config, done)):
            # Finished work is not lost to a full provider, a full day or a limit: only its audit waits.
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


def _since_last_audit(me: Notebook, green: Green) -> Generator[Step, Answered, str]:
    """Return what the auditor is told of the audit before; it is a fresh one all the same, and judges all."""
    if me.reviewed is None:
        return ""
    old = me.reviewed.audited_head_sha
    since = yield from ask(Patch(old=old, new=green.head, limit=handover.DELTA_LIMIT, needed=False), Patched)
    return handover.again(me.reviewed, me.ledger, green.head, since, me.config)


def _ask_auditor(
    me: Notebook, attempt: int, green: Green, patch: str
) -> Generator[Step, Answered, tuple[Verdict | None, str, AgentDone | None]]:
    trouble = yield from prepare(Place.AUDIT, green.head, attempt)
    if trouble:
        yield Clear(place=Place.AUDIT, reason="set-up failed")
        return None, trouble, None
    opened = yield from ask(OpenDispatch(role=Role.AUDITOR, attempt=attempt), Opened)
    text = prompts.auditor(
        me.dispatch,
        green.head,
        opened.nonce,
        claim=green.claim,
        gate=green.check,
        patch=patch,
        ledger=me.ledger,
        again=me.again,
        tests=tamper.facts(me.tamper),
    )
    done = yield from ask(agent(Role.AUDITOR, attempt, Place.AUDIT, opened, text), AgentDone)
    me.auditor = done.seat
    yield Clear(place=Place.AUDIT, reason="audit ended")
    return *answers.verdict_of(done, opened, green.head, me.dispatch), done


def _heed(me: Notebook, attempt: int, verdict: Verdict) -> Generator[Step, Answered, Wrong | None]:
    me.verdict = verdict
    now = yield from now_of_day()
    empty = Ledger(task_id=me.task_id, run_id=me.dispatch.run_id, findings=(), updated_at=now)
    me.ledger = continuity.updated(me.ledger or empty, verdict, attempt, now)
    yield Keep(name="findings-status.json", document=codec.to_wire(me.ledger))
    audit = kept_verdict(verdict)
    yield Keep(name="audit.json", document=audit, attempt=attempt)
    me.reviewed = capsules.reviewer(me.dispatch, me.spec, attempt, now, verdict=verdict, audit_sha256=digest_of(audit))
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


def decide(
    me: Notebook, attempt: int, wrong: Wrong, previous: Failure | None, left: int
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
    at = me.head or me.dispatch.base_sha
    trouble = yield from prepare(Place.AUDIT, at, attempt, again=me.config.worker_infra_max)
    if trouble:
        yield Clear(place=Place.AUDIT, reason="set-up failed")
        return decider.park(wrong.failure, f"the decider could not start: {trouble}")
    opened = yield from ask(OpenDispatch(role=Role.DECIDER, attempt=attempt), Opened)
    words = f"{wrong.reason}\n{wrong.detail}"
    text = prompts.decider(me.dispatch, wrong.failure, opened.nonce, words, me.attempts)
    done = yield from ask(agent(Role.DECIDER, attempt, Place.AUDIT, opened, text), AgentDone)
    yield Clear(place=Place.AUDIT, reason="decided")
    if (must_wait(done) or done.limit is Limit.DAY or must_ask(me.config, done)) and left > 0:
        return NotNow(role=Role.DECIDER, done=done)
    claimed, why = answers.decision_of(done, opened, wrong.failure, me.dispatch)
    if claimed is None:
        return decider.park(wrong.failure, f"the decider gave no answer: {why}")
    yield Keep(name=f"decision-{wrong.failure}.json", document=codec.to_wire(claimed))
    return replace(decider.judged(claimed, left), paths=wrong.paths)


def _message(me: Notebook) -> str:
    return f"{me.spec.title}\n\nGluerun-Task: {me.task_id}\nGluerun-Run: {me.dispatch.run_id}\n"

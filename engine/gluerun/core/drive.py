"""What a run does, as a pure sequence of steps: the worker's drive, the prover's, the planner's.

A drive yields steps and is sent their answers; it never touches the world. Read a drive from top to
bottom and you have read what happens to a task between its dispatch and its ending.
"""

from __future__ import annotations

from gluerun.core import continuity, decider, gate_words, gating, independence, prompts, tamper
from gluerun.core.asking import ending_of, held_of, must_ask, now_of_day, prepare
from gluerun.core.notebook import (
    Green,
    Notebook,
    NotNow,
    Wrong,
    capsule_of,
    close_attempt,
    digest_of,
    index_of,
    keep_session,
    kept_verdict,
    open_attempt,
    prior_of,
    recall_findings,
)
from gluerun.core.plotting import planner
from gluerun.core.steps import Clear, Keep, KeepAttempts, Place
from gluerun.core.trying import WAITING, decide, try_once
from gluerun.errors import ImpossibleError
from gluerun.records import codec
from gluerun.records.dispatch import Ending, Outcome, Role
from gluerun.records.failure import Answer, Authority, Decision, Failure
from gluerun.records.gate import GateVerdict
from gluerun.records.packet import Command, Evidence, Packet, PacketClaim
from gluerun.records.pause import PAUSED, Paused, Span
from gluerun.records.pipeline import Occasion
from gluerun.records.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime

    from gluerun.core.asking import Drive
    from gluerun.core.steps import AgentDone, Answered, Step
    from gluerun.records.config import Config
    from gluerun.records.dispatch import Dispatch


def worker(dispatch: Dispatch, config: Config) -> Drive:
    """Drive one task: prepare, then tries of agent, checks, gate and audit until one is accepted or it is over."""
    me = Notebook(dispatch, config)
    seed = dispatch.audit_sha or dispatch.seed_sha
    trouble = yield from prepare(Place.WORK, dispatch.base_sha, 0, seed=seed, again=config.worker_infra_max)
    if trouble:
        return (yield from _give_up(me, Failure.WORKER_INFRA, trouble, tries=0))
    yield from recall_findings(me)
    words = prompts.carried_over(dispatch.last_failure)
    previous = dispatch.last_failure.failure_class if dispatch.last_failure else None
    for attempt in range(dispatch.tries_used + 1, dispatch.max_tries + 1):
        yield from open_attempt(me, attempt)
        result = yield from try_once(me, attempt, words)
        if isinstance(result, Green):
            return (yield from _accept(me, attempt, result, waived=False))
        if isinstance(result, NotNow):
            return (yield from _hold(me, result))
        left = dispatch.max_tries - attempt
        decision = yield from decide(me, attempt, result, previous, left)
        if isinstance(decision, NotNow):
            yield from close_attempt(me, result, None)
            return (yield from _hold(me, decision, after=result))
        yield from close_attempt(me, result, decision)
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
        me.prior = prior_of(me, result, advice)
    return (yield from _give_up(me, Failure.WORKER_INFRA, "no tries are left", tries=0))


def prover(dispatch: Dispatch, config: Config) -> Drive:
    """Drive the gate on one candidate commit; its result decides whether the candidate may land."""
    candidate = dispatch.candidate or ""
    reason = yield from prepare(Place.GATE, candidate, 0)
    gated = None
    if not reason:
        occasion = occasion_of(dispatch)
        changed = yield from gating.changed_paths(config, occasion, dispatch.base_sha, candidate)
        # What completes a node is never let off anything.
        flaky = dispatch.flaky if occasion is Occasion.MERGE else ()
        gated = yield from gating.run_gates(
            config, dispatch.gate_command, occasion, attempt=0, commit=candidate, changed=changed, flaky=flaky
        )
        reason = gated.trouble
    yield Clear(place=Place.GATE, reason="proved")
    now = yield from now_of_day()
    if gated is None or gated.check is None or gated.check.result is GateVerdict.INCONCLUSIVE:
        reason = reason or "the gate was inconclusive"
        return ending_of(dispatch, Outcome.FAILED, now, failure=Failure.WORKER_INFRA, reason=reason)
    if gated.check.result is GateVerdict.RED:
        reason = gate_words.why_red(gated.check)
        return ending_of(
            dispatch, Outcome.FAILED, now, failure=Failure.INTEGRATION_GATE_RED, reason=reason, detail=gated.tail
        )
    ending = ending_of(dispatch, Outcome.PROVED, now)
    return replace(ending, head_sha=candidate, green_tree=gated.check.code_tree, green_gate=gated.check.gate_sha256)


def occasion_of(dispatch: Dispatch) -> Occasion:
    """Return for what a prover was started: what was said, or else a candidate of a task or a finished node."""
    if dispatch.occasion is not None:
        return dispatch.occasion
    return Occasion.MERGE if dispatch.task_id is not None else Occasion.NODE


def _accept(me: Notebook, attempt: int, green: Green, *, waived: bool) -> Generator[Step, Answered, Ending]:
    """Write the packet and end as accepted; integration is not this run's business."""
    if not waived:
        yield from close_attempt(me, None, None)
    now = yield from now_of_day()
    packet = _packet(me, attempt, green, now, waived=waived)
    document = codec.to_wire(packet)
    yield Keep(name="packet.json", document=document)
    yield capsule_of(me, attempt, now, "integrate", digest_of(document))
    yield Clear(place=Place.WORK, reason="accepted")
    ending = ending_of(me.dispatch, Outcome.ACCEPTED, now, tries=len(me.attempts))
    return replace(
        ending,
        head_sha=green.head,
        diff_sha256=green.diff_sha256,
        packet_sha256=digest_of(document),
        green_tree=green.check.code_tree if green.check else None,
        green_gate=green.check.gate_sha256 if green.check else None,
    )


def _accept_waived(me: Notebook, attempt: int, wrong: Wrong) -> Drive:
    """Accept over an auditor's judgement what this very try committed and its gate found green."""
    if me.green is None or wrong.failure in decider.NEVER_WAIVED:
        return (yield from _end(me, wrong, decider.park(wrong.failure, "there is nothing to waive")))
    return (yield from _accept(me, attempt, me.green, waived=True))


def _end(me: Notebook, wrong: Wrong, decision: Decision) -> Drive:
    yield Clear(place=Place.WORK, reason=str(wrong.failure))
    now = yield from now_of_day()
    ending = ending_of(
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


def _hold(me: Notebook, now_not: NotNow, after: Wrong | None = None) -> Drive:
    """Break the run off until the provider can be asked again, or a person was; nothing done is lost or judged.

    *after* is a failure that stands, about which a model could not be asked.
    """
    green, asks = me.green if now_not.role is Role.AUDITOR else None, must_ask(me.config, now_not.done)
    yield Clear(place=Place.WORK, reason=now_not.done.trouble, label=PAUSED if asks else "")
    if green is not None:
        known = {"claim": green.claim, "seat": me.seat, "prompt": me.prompt_sha256, "promptRef": me.prompt_ref}
        yield Keep(name=WAITING, document={name: codec.to_wire(one) for name, one in known.items() if one})
    now = yield from now_of_day()
    if after is None:
        told = f"paused: {now_not.done.trouble}" if asks else f"held back: {now_not.done.fault}"
        me.attempts[-1] = replace(me.attempts[-1], ended_at=now, reason=told)
        if asks:
            yield from keep_session(me, now)
        yield KeepAttempts(index=index_of(me, now))
    tries = len(me.attempts) - (0 if after else 1)
    wrong = after or me.last
    reason = wrong.reason if wrong else now_not.done.trouble
    outcome = Outcome.PAUSED if asks else Outcome.HELD
    ending = ending_of(me.dispatch, outcome, now, tries=tries, reason=reason, detail=wrong.detail if wrong else "")
    return replace(
        ending,
        failure=wrong.failure if wrong else None,
        held=None if asks else held_of(me.config, now_not.role, now_not.done),
        paused=_paused(me, now_not.done) if asks else None,
        head_sha=green.head if green else None,
    )


def _paused(me: Notebook, done: AgentDone) -> Paused:
    """Return the limit at which the run breaks off, and the last of its tries whose session can be gone on with."""
    if done.limit is None:
        raise ImpossibleError(f"{me.dispatch.run_id} is paused at no limit")
    last = me.attempts[-1].n
    return Paused(
        run_id=me.dispatch.run_id,
        limit=done.limit,
        span=done.span or Span.TRY,
        reason=done.trouble,
        attempt=last if me.seat is not None else last - 1,
    )


def _give_up(me: Notebook, failure: Failure, reason: str, *, tries: int) -> Drive:
    yield Clear(place=Place.WORK, reason=str(failure))
    now = yield from now_of_day()
    decision = decider.decide(failure, 0)
    ending = ending_of(me.dispatch, Outcome.FAILED, now, tries=tries, failure=failure, reason=reason)
    return replace(ending, answer=decision.action, authority=decision.authority)


def _packet(me: Notebook, attempt: int, green: Green, now: datetime, *, waived: bool) -> Packet:
    claim = green.claim or PacketClaim()
    evidence = [Evidence(kind="claim", ref=item.ref) for item in claim.evidence]
    commands: tuple[Command, ...] = claim.commands
    if green.check:
        receipt = digest_of(codec.to_wire(green.check))
        evidence.append(Evidence(kind="gate-check", ref="gate-check.json", sha256=receipt))
    if me.verdict:
        evidence.append(Evidence(kind="audit", ref="audit.json", sha256=digest_of(kept_verdict(me.verdict))))
    if me.prompt_sha256:
        evidence.append(Evidence(kind="prompt", ref=me.prompt_ref, sha256=me.prompt_sha256))
    seats = (("worker", me.seat), ("auditor", me.auditor))
    evidence += [Evidence(kind="seat", ref=independence.said(role, seat)) for role, seat in seats if seat]
    if me.tamper and (words := tamper.said(me.tamper)):
        evidence.append(Evidence(kind=tamper.EVIDENCE, ref=words))
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


DRIVES = {Role.WORKER: worker, Role.PROVER: prover, Role.PLANNER: planner}

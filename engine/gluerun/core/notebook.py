"""What a worker's run knows of itself between its steps, and what it leaves of each try for the next."""

from __future__ import annotations

import hashlib

from gluerun.core import capsules, handover, prompts, sessions
from gluerun.core.asking import ask, now_of_day
from gluerun.core.steps import AgentDone, Keep, KeepAttempts, KeepText, Recall, Recalled
from gluerun.errors import SchemaError
from gluerun.records import codec, schema
from gluerun.records.attempt import Attempt, AttemptsIndex
from gluerun.records.dispatch import Role, Seat
from gluerun.records.failure import Decision, Failure
from gluerun.records.fault import Limit
from gluerun.records.packet import PacketClaim
from gluerun.records.record import record, replace
from gluerun.records.session import SessionMeta
from gluerun.records.verdict import Ledger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    from gluerun.core.asking import Part
    from gluerun.core.handover import Prior
    from gluerun.core.tamper import Tamper
    from gluerun.records.capsule import ReviewerCapsule
    from gluerun.records.config import Config
    from gluerun.records.dispatch import Dispatch
    from gluerun.records.gate import GateCheck
    from gluerun.records.task import TaskSpec
    from gluerun.records.verdict import Verdict


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


class Notebook:
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
        self.tamper: Tamper | None = None
        self.seat: Seat | None = None
        self.auditor: Seat | None = None
        self.exit_code = 0
        self.cwd = ""


def open_attempt(me: Notebook, attempt: int) -> Part:
    """Count a try before it starts, so that a crash cannot hide it."""
    now = yield from now_of_day()
    me.verdict, me.green, me.diff = None, None, ""
    me.begin()
    me.attempts.append(Attempt(n=attempt, started_at=now, dir=f"attempts/{attempt}"))
    yield KeepAttempts(index=index_of(me, now))


def close_attempt(me: Notebook, wrong: Wrong | None, decision: Decision | None) -> Part:
    """Note how a try ended, and keep what it left in its folder."""
    now = yield from now_of_day()
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
    yield KeepAttempts(index=index_of(me, now))


def _archive(me: Notebook, now: datetime, wrong: Wrong | None, decision: Decision | None) -> Part:
    """Keep in the folder of the try what the next one, or a person, may want of it; its session in any case."""
    attempt = me.attempts[-1].n
    if wrong and decision:
        yield KeepText(name=f"attempts/{attempt}/failure.txt", text=f"{wrong.failure}: {wrong.reason}\n")
        yield capsule_of(me, attempt, now, decision.action.value)
    yield from keep_session(me, now)


def keep_session(me: Notebook, now: datetime) -> Part:
    """Keep which session the worker of this try had, and where."""
    attempt = me.attempts[-1].n
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
        yield Keep(name=session_name(attempt), document=codec.to_wire(meta))


def capsule_of(me: Notebook, attempt: int, now: datetime, next_action: str, packet_sha256: str | None = None) -> Keep:
    """Return the step that keeps the capsule of a try."""
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


def prior_of(me: Notebook, wrong: Wrong, advice: str) -> Prior:
    """Return what the next try is told of one that failed."""
    said = (me.claim.summary or "") if me.claim else ""
    return handover.Prior(
        failure=wrong.failure,
        reason=wrong.reason,
        detail=wrong.detail,
        paths=wrong.paths,
        advice=advice,
        summary=said,
    )


def kept_verdict(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as it is kept: without the secret of its question."""
    document: dict[str, Any] = codec.to_wire(replace(verdict, nonce="0" * 32))
    return document


def digest_of(document: object) -> str:
    """Return the digest of a document."""
    return hashlib.sha256(codec.canonical(document)).hexdigest()


def index_of(me: Notebook, now: datetime) -> AttemptsIndex:
    """Return the index of tries as it is now."""
    return AttemptsIndex(run_id=me.dispatch.run_id, task_id=me.task_id, attempts=tuple(me.attempts), updated_at=now)


def recall_findings(me: Notebook) -> Part:
    """Take over the findings of an earlier run."""
    if me.dispatch.previous_run:
        recalled = yield from ask(Recall(run_id=me.dispatch.previous_run, name="findings-status.json"), Recalled)
        if recalled.document is not None:
            try:
                me.ledger = schema.admit(Ledger, recalled.document)
            except SchemaError:
                me.ledger = None  # what an earlier run left must not end this one
        recalled = yield from ask(Recall(run_id=me.dispatch.previous_run, name=capsules.REVIEWER), Recalled)
        me.reviewed = capsules.reviewer_of(recalled.document, me.task_id)


def note_session(me: Notebook, words: str) -> None:
    """Note whether a try goes on with a session, or why not."""
    me.attempts[-1] = replace(me.attempts[-1], session=words)


def session_name(attempt: int) -> str:
    """Return the name under which the session of a try is kept."""
    return f"attempts/{attempt}/session.json"

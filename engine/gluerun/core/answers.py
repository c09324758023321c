"""What an agent answered, held against the question: schema, commit, nonce. Everything else is no answer."""

from __future__ import annotations

import json
import re

from gluerun.errors import SchemaError
from gluerun.records import schema
from gluerun.records.codec import canonical, wire_name
from gluerun.records.dispatch import Role
from gluerun.records.failure import Answer, Authority, Decision, Failure
from gluerun.records.packet import PacketClaim
from gluerun.records.planning import PlanCritique, PlanVerdict, Severity
from gluerun.records.proposal import TaskBatch
from gluerun.records.record import fields_of, replace
from gluerun.records.verdict import DecisionClaim, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.steps import AgentDone, Opened
    from gluerun.records.dispatch import Dispatch

UNKNOWN = "unknown"
# How often a text is read in vain at most, on average, and what is read in any case.
_READ_AGAIN, _READ_AT_LEAST = 16, 1_000_000
_PIECE, _PIECE_GROWS, _MARGIN = 4096, 8, 16
_DEEPEST = 400
_BEGUN = re.compile(r'\{(?=[ \t\r\n]*["}])')
_NESTING = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{\]}]', re.DOTALL)


def claim_of(done: AgentDone, dispatch: Dispatch) -> tuple[PacketClaim | None, str]:
    """Return a worker's claim, or None and why it is invalid; (None, "") if it left none."""
    if done.answer is None:
        return None, done.answer_error
    try:
        claim = schema.admit(PacketClaim, done.answer)
    except SchemaError as error:
        return None, error.message
    if outside := [path for path in claim.changed_files if _leads_out(path)]:
        return None, f"changedFiles names {outside[0]!r}, which is not in the repository"
    return (None, wrong) if (wrong := _names_somebody_else(claim, dispatch)) else (claim, "")


def _leads_out(path: str) -> bool:
    """Tell whether a path that an agent names cannot lie in the repository."""
    return path.startswith(("/", "~")) or ".." in path.split("/") or not path


def verdict_of(done: AgentDone, opened: Opened, head: str, dispatch: Dispatch) -> tuple[Verdict | None, str]:
    """Return an auditor's verdict bound to *head*, or None and why there is none.

    The reason is UNKNOWN when valid answers disagree: that is a judgement nobody can use, not a fault.
    """
    if done.answers > 1:
        return None, UNKNOWN
    if done.answer is None:
        return None, done.trouble or done.answer_error or "no verdict was left"
    if done.trouble:
        return None, done.trouble
    try:
        verdict = schema.admit(Verdict, done.answer)
    except SchemaError as error:
        return None, error.message
    if verdict.nonce != opened.nonce or verdict.head_sha != head:
        return None, "the verdict is not about this commit and this question"
    return (None, wrong) if (wrong := _names_somebody_else(verdict, dispatch)) else (verdict, "")


def decision_of(done: AgentDone, opened: Opened, failure: Failure, dispatch: Dispatch) -> tuple[Decision | None, str]:
    """Return a model's decision about *failure*, or None and why there is none."""
    if done.trouble or done.answer is None or done.answers > 1:
        return None, done.trouble or done.answer_error or "no single decision was left"
    try:
        claim = schema.admit(DecisionClaim, done.answer)
    except SchemaError as error:
        return None, error.message
    if claim.nonce != opened.nonce or claim.failure_class != failure:
        return None, "the decision is not about this failure and this question"
    if wrong := _names_somebody_else(claim, dispatch):
        return None, wrong
    decision = Decision(
        failure_class=failure,
        action=Answer(claim.action),
        rationale=claim.rationale,
        authority=Authority.DECIDER,
    )
    return decision, ""


def batch_of(done: AgentDone, dispatch: Dispatch) -> tuple[TaskBatch | None, str]:
    """Return a planner's batch, or None and why there is none."""
    if done.trouble or done.answer is None or done.answers > 1:
        return None, done.trouble or done.answer_error or "no single batch was left"
    try:
        batch = schema.admit(TaskBatch, done.answer)
    except SchemaError as error:
        return None, error.message
    return (None, wrong) if (wrong := _names_somebody_else(batch, dispatch)) else (batch, "")


def critique_of(done: AgentDone, dispatch: Dispatch, batch: TaskBatch) -> tuple[PlanCritique | None, str]:
    """Return a critic's word about a batch as it counts, or None and why there is none.

    A plan is sent back only by a finding that says what cannot be done: without one it is approved.
    """
    if done.trouble or done.answer is None or done.answers > 1:
        return None, done.trouble or done.answer_error or "no single critique was left"
    try:
        critique = schema.admit(PlanCritique, done.answer)
    except SchemaError as error:
        return None, error.message
    is_blocked = any(one.severity is Severity.BLOCKING for one in critique.findings)
    counts = PlanVerdict.APPROVE if critique.verdict is PlanVerdict.REVISE and not is_blocked else critique.verdict
    ids = tuple(one.task_id for one in batch.tasks)
    known = replace(critique, node=dispatch.node, run_id=dispatch.run_id, batch_task_ids=ids, nonce=None)
    return replace(known, verdict=counts), ""


def _names_somebody_else(answer: PacketClaim | Verdict | DecisionClaim | TaskBatch, dispatch: Dispatch) -> str:
    branch = dispatch.spec.worker_branch if dispatch.spec else None
    for name, said, is_so in (
        ("runId", answer.run_id, dispatch.run_id),
        ("taskId", answer.task_id, dispatch.task_id),
        ("branch", answer.branch, branch),
    ):
        if said is not None and said != is_so:
            return f"{name} is {said!r}, not {is_so!r}"
    return ""


def objects_in(text: str) -> list[dict[str, object]]:
    """Return every complete JSON object that stands in *text* for itself, in order; inner ones are not counted.

    The time it takes grows with the text alone: where braces are nested as nobody nests them, what was read in
    vain some times over is not read again.
    """
    found: list[dict[str, object]] = []
    budget = _READ_AGAIN * len(text) + _READ_AT_LEAST
    begun = _BEGUN.search(text)
    while begun is not None:
        place = begun.start()
        document, end, spent = _object_at(text, place)
        if document is not None:
            found.append(document)
        else:
            budget -= spent
            end = end if budget < 0 else place + 1
        begun = _BEGUN.search(text, end)
    return found


def _object_at(text: str, place: int) -> tuple[dict[str, object] | None, int, int]:
    """Return the object that begins at *place* and where it ends; else None, where it breaks, and what that took."""
    decoder = json.JSONDecoder()
    size, spent = _PIECE, 0
    while True:
        # A piece at a time: what says that a text is no JSON counts all of its lines up to there.
        piece = text[place : place + size]
        spent += len(piece)
        try:
            document, end = decoder.raw_decode(piece)
            canonical(document)  # what could never be written again (NaN, half surrogates) is no answer
            return document, place + end, spent
        except json.JSONDecodeError as error:
            is_cut = place + size < len(text)
            if not is_cut or (error.pos < len(piece) - _MARGIN and not error.msg.startswith("Unterminated")):
                return None, place + max(error.pos, 1), spent
        except RecursionError:
            return None, max(_too_deep(text, place), place + 1), spent
        except ValueError:
            return None, place + 1, spent
        size *= _PIECE_GROWS


def _too_deep(text: str, place: int) -> int:
    """Return where nesting from *place* on gets deeper than anything that is read."""
    depth = 0
    for found in _NESTING.finditer(text, place):
        mark = found[0][0]
        depth += (mark in "[{") - (mark in "]}")
        if depth > _DEEPEST:
            return found.start()
    return len(text)


KEY_OF = {Role.AUDITOR: "verdict", Role.DECIDER: "action", Role.PLANNER: "tasks", Role.CRITIC: "verdict"}
_CLAIM_KEYS = {"schema", *(wire_name(name) for name in fields_of(PacketClaim))}


def last_answer(text: str, role: Role) -> tuple[object | None, int]:
    """Return the last JSON object of a final message and how many different answers it holds.

    For a role whose answer has a key that makes it one, only objects with that key count; of a worker only
    those that have at least one key of a claim, so that JSON in its prose is not taken for its answer.
    """
    keys = {KEY_OF[role]} if role in KEY_OF else _CLAIM_KEYS
    documents = [one for one in objects_in(text) if keys & one.keys()]
    if not documents:
        return None, 0
    return documents[-1], len({canonical(one) for one in documents}) if role in KEY_OF else 1

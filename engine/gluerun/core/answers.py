"""What an agent answered, held against the question: schema, commit, nonce. Everything else is no answer."""

from __future__ import annotations

import json

from gluerun.errors import SchemaError
from gluerun.records import schema
from gluerun.records.codec import canonical, wire_name
from gluerun.records.dispatch import Role
from gluerun.records.failure import Answer, Authority, Decision, Failure
from gluerun.records.packet import PacketClaim
from gluerun.records.proposal import TaskBatch
from gluerun.records.record import fields_of
from gluerun.records.verdict import DecisionClaim, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.steps import AgentDone, Opened
    from gluerun.records.dispatch import Dispatch

UNKNOWN = "unknown"


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
    """Return every complete JSON object that stands in *text* for itself, in order; inner ones are not counted."""
    decoder = json.JSONDecoder()
    found: list[dict[str, object]] = []
    place = text.find("{")
    while place >= 0:
        try:
            document, end = decoder.raw_decode(text, place)
            canonical(document)  # what could never be written again (NaN, half surrogates) is no answer
        except (ValueError, RecursionError):
            end = place + 1
        else:
            found.append(document)
        place = text.find("{", end)
    return found


KEY_OF = {Role.AUDITOR: "verdict", Role.DECIDER: "action", Role.PLANNER: "tasks"}
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

"""What one try hands to the next, as text: the worker's fix prompt and what an auditor is told the second time.

Nothing here may end a drive: where a text cannot be made, the plain one is taken.
"""

from __future__ import annotations

from gluerun.core import prompts
from gluerun.core.continuity import open_findings
from gluerun.core.prompts import bullets, clipped
from gluerun.records.failure import Failure
from gluerun.records.record import record
from gluerun.records.verdict import FindingStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.steps import Patched
    from gluerun.records.capsule import ReviewerCapsule
    from gluerun.records.config import Config
    from gluerun.records.dispatch import Dispatch
    from gluerun.records.failure import FailureNote
    from gluerun.records.verdict import Finding, Ledger

DELTA_LIMIT = 12_000
_FINDING = 500
_GATE_LINES, _LINES = 40, 30
# What clipping says about what it left out has its room within the section.
_REMARK = 48


@record
class Prior:
    """What went wrong with the try before. `lead` says what it was about, `summary` what the agent claimed."""

    failure: Failure
    reason: str
    detail: str = ""
    paths: tuple[str, ...] = ()
    lead: str = ""
    advice: str = ""
    summary: str = ""


def of_note(note: FailureNote | None) -> Prior | None:
    """Return what an earlier run of the task ended with."""
    if note is None:
        return None
    return Prior(
        failure=note.failure_class,
        reason=note.reason,
        detail=note.detail,
        paths=note.places,
        lead=prompts.lead(note),
    )


def section(heading: str, body: str, limit: int) -> str:
    """Return one section of a prompt, at most *limit* characters long; the end of a long body is kept."""
    return f"## {heading}\n{_fitted(body, limit - len(heading) - len('## '))}"


def _fitted(body: str, room: int) -> str:
    return body if len(body) < room else clipped(body, max(1, room - _REMARK))


def worker(
    dispatch: Dispatch, attempt: int, plain: str, prior: Prior | None, ledger: Ledger | None, config: Config
) -> str:
    """Return a worker's prompt: the same words for every first try, from then on with what is to be mended.

    *plain* is the older form of the same news: a tail of text, for those who switch the structure off.
    """
    if not config.fix_prompt_structured:
        return prompts.worker(dispatch, attempt, plain, config)
    try:
        parts = _mending(dispatch, attempt, prior, ledger, config.context_section_max_chars)
    except Exception:  # noqa: BLE001 whatever is odd about the last try must not end this one
        return prompts.worker(dispatch, attempt, plain, config)
    return "\n\n".join([prompts.worker(dispatch, attempt, "", config).rstrip("\n"), *parts]) + "\n"


def _mending(dispatch: Dispatch, attempt: int, prior: Prior | None, ledger: Ledger | None, limit: int) -> list[str]:
    standing = open_findings(ledger)
    parts = []
    if prior or standing:
        scope = f"Only these paths may be changed, whatever is said below:\n{bullets(dispatch.owned_files)}"
        parts.append(section("Scope (authoritative)", scope, limit))
    if prior:
        first = f"{prior.failure}: {prior.reason}"[: limit // 2]
        body = "\n".join(filter(None, (prior.lead, _evidence(prior, dispatch))))
        heading = f"Try {attempt}: what was wrong with the last one"
        body = _fitted(body, limit - len(heading) - len(first) - len("## \n"))
        parts.append(f"## {heading}\n{first}\n{body}".rstrip())
        if prior.advice:
            parts.append(section("What was decided", f"Advice: {prior.advice}", limit))
    if standing:
        lines = [f"[from attempt {one.first_seen_attempt}] ({one.id}) {one.text[:_FINDING]}" for one in standing]
        parts.append(section("Findings that still stand", bullets(lines), limit))
    if prior and prior.summary:
        parts.append(section("What the last try said of itself (claims, not facts)", prior.summary, limit))
    return parts


def _evidence(prior: Prior, dispatch: Dispatch) -> str:
    match prior.failure:
        case Failure.GATE_RED | Failure.INTEGRATION_GATE_RED:
            return _last_lines(prior.detail, _GATE_LINES)
        case Failure.SCOPE_VIOLATION:
            forbidden = dispatch.spec.forbidden_files if dispatch.spec else ()
            blocks = (("In scope", dispatch.owned_files), ("Forbidden", forbidden), ("Outside", prior.paths))
            return "\n".join(f"{name}:\n{bullets(paths)}" for name, paths in blocks)
        case Failure.PACKET_INVALID | Failure.WORKER_NO_PACKET:
            return f"The answer did not keep the form that the rules ask for: {prior.reason}"
    return _last_lines(prior.detail, _LINES)


def _last_lines(text: str, count: int) -> str:
    return "\n".join(text.splitlines()[-count:])


def again(capsule: ReviewerCapsule, ledger: Ledger | None, head: str, since: Patched, config: Config) -> str:
    """Return what an auditor is told about the audit before; empty if that cannot be said.

    It comes on top of the criteria and the whole difference: a commit is always judged whole.
    """
    try:
        return _again(capsule, ledger, head, since, config.context_section_max_chars)
    except Exception:  # noqa: BLE001 the whole difference is in the prompt anyway
        return ""


def _again(capsule: ReviewerCapsule, ledger: Ledger | None, head: str, since: Patched, limit: int) -> str:
    findings = ledger.findings if ledger else ()
    old = capsule.audited_head_sha
    parts = [
        section(
            f"The audit before (try {capsule.attempt})",
            f"It judged {old}: {capsule.verdict}. You are not bound by it; judge the whole commit again.",
            limit,
        )
    ]
    if findings:
        parts.append(section("Findings so far", bullets([_status_line(one) for one in findings]), limit))
        targets = bullets([_target(one) for one in findings])
        parts.append(section("To verify, one by one, under findingsStatus", targets, limit))
    body = since.text if since.is_known else f"The commit {old} is not there any more: do a full review."
    parts.append(section(f"Difference since the audit before {old}..{head}", body, DELTA_LIMIT))
    return "\n\n".join(parts)


def _status_line(one: Finding) -> str:
    return f"[from attempt {one.first_seen_attempt}, {one.status}] ({one.id}) {one.text[:_FINDING]}"


def _target(one: Finding) -> str:
    if one.status is FindingStatus.OPEN:
        return f"{one.id}: is it mended in this commit? Answer resolved or still-open"
    return f"{one.id}: was resolved; has it come back? If so, report its words again under findings"

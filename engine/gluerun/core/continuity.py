"""What one try hands to the next: findings with stable ids, and when trying again makes no sense."""

from __future__ import annotations

import hashlib
import re

from gluerun.records.record import replace
from gluerun.records.verdict import Finding, FindingStatus, Judgement, Ledger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from gluerun.records.attempt import Attempt
    from gluerun.records.verdict import Verdict

# By whom a finding was resolved that no auditor named as mended.
ACCEPTED = "audit-accepted"


def finding_id(text: str) -> str:
    """Return the id of a finding: the same for the same words, however they are spaced or quoted."""
    plain = re.sub(r"\s+", " ", text.replace("`", "").lower()).strip()
    return "f-" + hashlib.sha256(plain.encode()).hexdigest()[:12]


def updated(ledger: Ledger, verdict: Verdict, attempt: int, now: datetime) -> Ledger:
    """Return the ledger after a verdict: new findings open, named ones resolved, `accepted` resolves all.

    Silence about a finding resolves nothing; a resolved one that is reported again is open again.
    """
    findings = {finding.id: finding for finding in ledger.findings}
    reported = [("finding", text) for text in verdict.findings]
    reported += [("requiredFix", text) for text in verdict.required_fixes]
    for source, text in reported:
        known = findings.get(finding_id(text))
        findings[finding_id(text)] = _reopened(known, attempt) if known else _new(text, source, attempt)
    said_now = {finding_id(text) for _, text in reported}
    for name, status in verdict.findings_status.items():
        if status == "resolved" and name in findings and name not in said_now:
            findings[name] = _resolved(findings[name], attempt, "auditor-status")
    if verdict.verdict is Judgement.ACCEPTED:
        for name, finding in findings.items():
            if finding.status is FindingStatus.OPEN:
                findings[name] = _resolved(finding, attempt, ACCEPTED)
    return replace(ledger, findings=tuple(findings.values()), updated_at=now)


def open_findings(ledger: Ledger | None) -> tuple[Finding, ...]:
    """Return the findings that still stand."""
    return tuple(f for f in ledger.findings if f.status is FindingStatus.OPEN) if ledger else ()


def makes_no_progress(attempts: Iterable[Attempt]) -> bool:
    """Tell whether the last two tries ended at the same head, with the same difference and failure."""
    ended = [attempt for attempt in attempts if attempt.ended_at]
    if len(ended) < 2:
        return False
    one, two = ended[-2:]
    same = (one.failure_class, one.head_sha, one.diff_sha256) == (
        two.failure_class,
        two.head_sha,
        two.diff_sha256,
    )
    return same and two.failure_class is not None and bool(two.diff_sha256)


def _new(text: str, source: str, attempt: int) -> Finding:
    return Finding(
        id=finding_id(text),
        text=text,
        source=source,
        status=FindingStatus.OPEN,
        first_seen_attempt=attempt,
        last_seen_attempt=attempt,
    )


def _reopened(finding: Finding, attempt: int) -> Finding:
    return replace(
        finding,
        status=FindingStatus.OPEN,
        last_seen_attempt=attempt,
        resolved_attempt=None,
        resolved_by=None,
    )


def _resolved(finding: Finding, attempt: int, by: str) -> Finding:
    return replace(finding, status=FindingStatus.RESOLVED, resolved_attempt=attempt, resolved_by=by)

"""Whether the auditor sat far enough from the worker whose commit it judges."""

from __future__ import annotations

from gluerun.records.config import Independence
from gluerun.records.dispatch import Seat

_UNKNOWN = "unknown"


def why_not(independence: Independence, worker: Seat | None, auditor: Seat | None) -> str:
    """Return why a verdict does not count, in one sentence; empty if it does.

    What a program did not report is nobody's proof: unknown never satisfies. Two different runners cannot
    share a session, though, whether they tell it or not.
    """
    if independence is Independence.NONE:
        return ""
    demand = f"independence is set to {independence}"
    if worker is None or auditor is None:
        silent = "the worker" if worker is None else "the auditor"
        return f"{demand}, and {silent} did not report who played it"
    if independence is Independence.SESSION and worker.runner != auditor.runner:
        return ""
    theirs, its = _of(independence, worker), _of(independence, auditor)
    if _UNKNOWN in (theirs, its):
        silent = "the worker" if theirs == _UNKNOWN else "the auditor"
        return f"{demand}, and {silent} ({(worker if theirs == _UNKNOWN else auditor).runner}) did not report it"
    return f"{demand}, and the auditor has the worker's own: {its}" if theirs == its else ""


def said(role: str, seat: Seat) -> str:
    """Return who played a role, in one line for the packet."""
    return f"{role} {seat.runner} {seat.provider}/{seat.model} session {seat.session} version {seat.version}"


def _of(independence: Independence, seat: Seat) -> str:
    words = {
        Independence.SESSION: seat.session,
        Independence.MODEL: seat.model,
        Independence.PROVIDER: seat.provider,
    }
    return words[independence].strip().casefold() or _UNKNOWN

"""Why an accepted branch cannot become a candidate: one sentence each, for the person who finds the task parked."""

from __future__ import annotations

from gluerun.records.failure import Failure
from gluerun.records.record import record


@record
class Refused:
    """Why there is no candidate. What is `passing` may be gone the next time, and is the machine's fault."""

    failure: Failure
    reason: str
    passing: bool = False


def moved(branch: str, asked: str, found: str | None) -> Refused | None:
    """Judge where a branch stands: its work was accepted at the commit *asked*, and nobody looked at any other."""
    if found == asked:
        return None
    if found is None:
        return Refused(failure=Failure.PACKET_INVALID, reason=f"its branch {branch} is gone")
    words = f"its branch {branch} moved from {asked[:12]} to {found[:12]} after it was accepted"
    return Refused(failure=Failure.PACKET_INVALID, reason=words)


def lost(commit: str) -> Refused:
    """Refuse a branch whose commit git cannot find."""
    return Refused(failure=Failure.PACKET_INVALID, reason=f"its commit {commit[:12]} is gone from the repository")


def unrelated(branch: str, target: str) -> Refused:
    """Refuse histories that have nothing in common: a merge would take every file of both for new."""
    words = f"its branch {branch} and {target} have no commit in common"
    return Refused(failure=Failure.PACKET_INVALID, reason=words)


def empty(target: str) -> Refused:
    """Refuse a change that changes nothing any more."""
    return Refused(failure=Failure.NO_CHANGES, reason=f"all that it changes is in {target} already")


def too_large(said: str) -> Refused:
    """Refuse, for now, a candidate that the disk has no room for."""
    words = "the disk has no room for its candidate"
    return Refused(failure=Failure.WORKER_INFRA, reason=f"{words}: {said}" if said else words, passing=True)

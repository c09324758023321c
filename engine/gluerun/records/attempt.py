"""The tries of one run, in order: what each did and why it ended."""

from __future__ import annotations

from datetime import datetime

from gluerun.records.failure import Answer, Authority, Failure
from gluerun.records.record import record


@record
class Attempt:
    """One try: from the prompt to the decision about its failure; no failure means accepted.

    `session` says whether its agent went on with the session of the try before: `resume <id>` or `fresh <why>`.
    """

    n: int
    started_at: datetime
    dir: str
    ended_at: datetime | None = None
    failure_class: Failure | None = None
    reason: str = ""
    audit_verdict: str | None = None
    head_sha: str | None = None
    diff_sha256: str | None = None
    decider_action: Answer | None = None
    decider_authority: Authority | None = None
    session: str = ""


@record
class AttemptsIndex:
    """`runs/<run>/attempts/index.json`: written before a try starts, so that a crash still counts it."""

    SCHEMA = "attempts-index.v0"

    run_id: str
    task_id: str
    attempts: tuple[Attempt, ...]
    updated_at: datetime

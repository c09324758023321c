"""Whose session a try was, and on what ground it stood: what must still hold before it may be gone on with."""

from __future__ import annotations

from datetime import datetime

from gluerun.records.record import record


@record
class SessionMeta:
    """The session of one try: `runs/<run>/attempts/<n>/session.json`, written when the try is over, however it ended.

    Provider, session, model and exit code are the program's own report; the rest the engine knows. An empty
    `session_id` says that none was reported, an empty `head_sha_at_create` that nothing had been committed.
    """

    SCHEMA = "session-meta.v0"

    role: str
    task_id: str
    run_id: str
    runner: str
    provider: str
    model: str
    session_id: str
    exit_code: int
    cwd: str
    prompt_sha256: str
    head_sha_at_create: str
    last_used_attempt: int
    created_at: datetime

"""Whether a try may go on with the session of the try before: ten gates, and the first that is shut says why.

A session saves an agent from reading everything again, and nothing else: its prompt is whole without it, so
that no outcome depends on it. Only workers have one; an audit is always fresh.
"""

from __future__ import annotations

import re

from gluerun.errors import SchemaError
from gluerun.records import schema
from gluerun.records.fault import Fault
from gluerun.records.record import record
from gluerun.records.session import SessionMeta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

# What can only be the session's own fault: the same try is begun again without it, and nothing is counted.
OF_THE_SESSION = frozenset({Fault.SESSION_REFUSED, Fault.CONTEXT_TOO_LONG})
REFUSED = "fresh refused"
# The id becomes a word of a command line, so it must not be able to read as an option.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
_UNKNOWN = "unknown"


@record
class Facts:
    """What holds now, when a try is about to begin. `enabled`: by the settings, and the runner can do it."""

    enabled: bool
    role: str
    task_id: str
    run_id: str
    runner: str
    prompt_sha256: str
    now: datetime
    max_age_sec: int
    head: str
    cwd: str


def resume_or_why(meta: SessionMeta | None, facts: Facts) -> tuple[str, str]:
    """Return the session to go on with and no reason, or no session and the name of the first gate that is shut."""
    if not facts.enabled:
        return "", "disabled"
    if meta is None:
        return "", "no-session"
    gates = (
        ("no-session-id", bool(meta.session_id)),
        ("role-mismatch", meta.role == facts.role),
        ("run-mismatch", (meta.task_id, meta.run_id) == (facts.task_id, facts.run_id)),
        ("runner-changed", meta.runner == facts.runner),
        ("prompt-template-changed", meta.prompt_sha256 == facts.prompt_sha256),
        ("expired", 0 <= (facts.now - meta.created_at).total_seconds() <= facts.max_age_sec),
        ("head-rewritten", meta.head_sha_at_create in ("", facts.head)),
        ("worktree-moved", meta.cwd == facts.cwd),
    )
    shut = next((name for name, is_open in gates if not is_open), "")
    return ("", shut) if shut else (meta.session_id, "")


def noted(session: str, why: str) -> str:
    """Return what is noted of a try: `resume <id>` or `fresh <why>`."""
    return f"resume {session}" if session else f"fresh {why}"


def id_of(reported: str) -> str:
    """Return a session id as a program reported it; empty if it told none, or nothing that can be one."""
    return reported if reported != _UNKNOWN and _ID.fullmatch(reported) else ""


def meta_of(document: object) -> SessionMeta | None:
    """Return what was kept of a session; None if nothing was, or nothing that can be read."""
    try:
        return None if document is None else schema.admit(SessionMeta, document)
    except SchemaError:
        return None

"""What a worker says it did (a claim), and what the host found that it did (the packet)."""

from __future__ import annotations

from datetime import datetime

from gluerun.records.record import record


@record
class Command:
    """A command that was run, and its exit code."""

    cmd: str
    exit_code: int
    log_ref: str | None = None
    rationale: str | None = None


@record
class TestNote:
    """A test that an agent reports."""

    name: str
    phase: str
    status: str
    log_ref: str | None = None


@record
class Evidence:
    """Something to look at: a log, a receipt, a verdict."""

    kind: str
    ref: str
    sha256: str | None = None


@record
class Blocker:
    """What an agent says keeps it from going on."""

    reason: str
    path: str | None = None


@record
class PacketClaim:
    """What an agent answers; every field is a claim and none is believed."""

    SCHEMA = "packet-claim.v0"

    status: str | None = None
    summary: str | None = None
    changed_files: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    tests: tuple[TestNote, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    blockers: tuple[Blocker, ...] = ()
    next_action: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    branch: str | None = None


@record
class Packet:
    """The state packet of one accepted try: computed by the host, the agent's claims beside it."""

    SCHEMA = "state-packet.v0"

    packet_id: str
    run_id: str
    task_id: str
    area: str
    role: str
    status: str
    base_ref: str
    branch: str
    head_sha: str
    workspace: str
    owned_files: tuple[str, ...]
    changed_files: tuple[str, ...]
    commands: tuple[Command, ...]
    tests: tuple[TestNote, ...]
    evidence: tuple[Evidence, ...]
    blockers: tuple[Blocker, ...]
    next_action: str
    created_at: datetime
    derived: bool = False
    summary: str | None = None

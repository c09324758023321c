"""Leases: who holds a task or a node, until when, and under which epoch."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from gluerun.records.record import record


class LeaseStatus(StrEnum):
    """Where a worker's lease stands. Words of the predecessor, kept."""

    PLANNED = "planned"
    RUNNING = "running"
    NEEDS_REVIEW = "needs-review"
    ACCEPTED = "accepted"
    INTEGRATED = "integrated"
    BLOCKED = "blocked"
    FAILED = "failed"
    STALE = "stale"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


@record
class Lease:
    """One worker's hold on one task: `leases/<TASK>.json` while it lasts, then `runs/<run>/lease.json`.

    `epoch` only ever grows; a result that carries another one is refused. Past `expires_at` the holder's
    tree is ended before the task is given to anybody else. `orphaned_since` is when its wrapper was first
    seen gone while some of its tree lived on.
    """

    SCHEMA = "lease.v0"

    task_id: str
    branch: str
    area: str
    owned_files: tuple[str, ...]
    forbidden_files: tuple[str, ...]
    base_sha: str
    batch_id: str
    run_id: str
    worktree: str
    status: LeaseStatus
    retry_count: int
    max_retries: int
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    epoch: int
    boot_id: str
    owner: str = "l2-developer"
    file_scope: str = ""
    orphaned_since: datetime | None = None


class NodeLeaseStatus(StrEnum):
    """Where a planner's lease on a node stands."""

    PROPOSED = "proposed"
    PLANNING = "planning"
    ACTIVE = "active"
    RELEASED = "released"
    FAILED = "failed"


@record
class NodeLease:
    """One planner's hold on one node of the graph: `l1-leases/<node>.json`."""

    SCHEMA = "l1-lease.v0"

    node: str
    area: str
    stage: str
    layer: str
    status: NodeLeaseStatus
    run_id: str
    base_sha: str
    target_branch: str
    allowed_write_scopes: tuple[str, ...]
    started_at: datetime
    updated_at: datetime
    expires_at: datetime
    orphaned_since: datetime | None = None

"""The loop's own small records: what its cycles remember of each other."""

from __future__ import annotations

from datetime import datetime

from gluerun.records.fault import Fault
from gluerun.records.record import record


@record
class OriginHolder:
    """Who holds the origin lock, for the one who finds it taken: `locks/origin.lock.json`."""

    SCHEMA = "lock.v0"

    owner: str
    run_id: str
    pid: int
    started_at: datetime
    expires_at: datetime
    engine_version: str = ""


@record
class Host:
    """Which machine works in this state folder, and when it was last seen at work: `host.json`.

    `host_id` is a digest that no boot changes, empty where a machine has none.
    """

    SCHEMA = "host.v0"

    host_id: str
    boot_id: str
    since: datetime
    seen_at: datetime


@record
class Circuit:
    """How many failures came in a row without durable progress: `circuit.json`."""

    SCHEMA = "circuit.v0"

    consec_fails: int
    updated_at: datetime


@record
class PlannerBackoff:
    """Until when no planner is started, and why: `planner-backoff.json`."""

    SCHEMA = "planner-backoff.v0"

    failure_class: str
    run_id: str
    node: str
    log_ref: str
    started_at: datetime
    until: datetime


@record
class ProviderBackoff:
    """Until when nobody asks one provider, and why: `backoffs/<provider>.json`; `times` counts them in a row."""

    SCHEMA = "provider-backoff.v0"

    provider: str
    fault: Fault
    reason: str
    run_id: str
    started_at: datetime
    until: datetime
    times: int = 1
    needs_you: bool = False
    config_sha256: str = ""


@record
class PushBackoff:
    """Until when the target is not pushed again, and in which words that was refused: `push-backoff.json`.

    It is about the target as it was *here*, and *there* on its remote; once one of them has moved it holds nothing up.
    """

    SCHEMA = "push-backoff.v0"

    branch: str
    here: str
    there: str
    reason: str
    hint: str
    started_at: datetime
    until: datetime
    times: int = 1
    needs_you: bool = False


@record
class OriginState:
    """The machine's snapshot for other programs: `origin-state.json`."""

    SCHEMA = "origin-state.v0"

    run_id: str
    generated_at: datetime
    branch: str
    head_sha: str
    target_branch: str
    active_leases: int
    ready_tasks: tuple[str, ...]
    lease_files: tuple[str, ...]
    task_counts: dict[str, int]
    completed_nodes: tuple[str, ...]


@record
class CycleMemory:
    """What one cycle tells the next so that nothing is read or said twice: `cycle.json`. Only a cache.

    Marks are `mtime:size:inode` of files; a file with another mark is read again.
    """

    SCHEMA = "cycle.v0"

    tasks_folder: str = ""
    refused: dict[str, str] = {}  # noqa: RUF012 a default that is never changed
    refusals: dict[str, str] = {}  # noqa: RUF012
    next_task: int = 1
    next_approval: int = 1
    node_tasks: dict[str, tuple[str, ...]] = {}  # noqa: RUF012
    exhausted: dict[str, str] = {}  # noqa: RUF012
    held: dict[str, str] = {}  # noqa: RUF012 node → where a module held it back, and after a line break why
    published: dict[str, str] = {}  # noqa: RUF012
    project_state: str = ""
    recorded_at: datetime | None = None
    records_due: datetime | None = None
    records_blocked: tuple[str, ...] = ()
    green_head: str = ""
    green_run: str = ""
    red_head: str = ""
    push_due: bool = False
    push_said: str = ""
    upkeep_day: str = ""
    low_disk: bool = False

"""Who holds what now, and how near the breaker is."""

from __future__ import annotations

from datetime import datetime

from gluerun.errors import UsageError
from gluerun.records.names import is_task
from gluerun.records.record import record
from gluerun.settings_walk import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.loop.house import House


@record
class LeaseLine:
    """One lease, on a task or on a node."""

    subject: str
    holder: str
    run: str
    life: str
    created_at: datetime
    expires_at: datetime


@record
class Leases:
    """What `gluerun lease list` answers."""

    SCHEMA = "leases.v0"

    leases: tuple[LeaseLine, ...]


@record
class LeasePage:
    """What `gluerun lease show` answers."""

    SCHEMA = "lease-page.v0"

    task: str
    run: str
    epoch: int
    life: str
    branch: str
    base_sha: str
    worktree: str
    owned_files: tuple[str, ...]
    retry_count: int
    max_retries: int
    created_at: datetime
    expires_at: datetime
    orphaned_since: datetime | None = None


@record
class BreakerPage:
    """What `gluerun breaker show` answers."""

    SCHEMA = "breaker.v0"

    consec_fails: int
    max_consec_fails: int
    is_open: bool
    updated_at: datetime | None = None


def leases(house: House) -> Leases:
    """Return every lease, on tasks first."""
    tasks, nodes = house.store.leases()[0], house.store.node_leases()[0]
    found = [
        LeaseLine(subject=one.task_id, holder="worker", run=one.run_id, life=_life(house, one.run_id),
                  created_at=one.created_at, expires_at=one.expires_at)
        for one in tasks
    ]  # fmt: skip
    found += [
        LeaseLine(subject=one.node, holder="planner", run=one.run_id, life=_life(house, one.run_id),
                  created_at=one.started_at, expires_at=one.expires_at)
        for one in nodes
    ]  # fmt: skip
    return Leases(leases=tuple(found))


def lease_page(house: House, task_id: str) -> LeasePage:
    """Return the lease on a task; UsageError if it has none."""
    held = house.store.leases()[0]
    lease = next((one for one in held if one.task_id == task_id), None)
    if lease is None:
        task = house.store.any_task(task_id) if is_task(task_id) else None
        why = f"nobody holds {task_id}, it is {task.status}" if task else f"there is no task {task_id!r}"
        hint = nearest(task_id, [one.task_id for one in held]) if held else "nobody holds anything"
        raise UsageError(why, hint)
    return LeasePage(
        task=lease.task_id,
        run=lease.run_id,
        epoch=lease.epoch,
        life=_life(house, lease.run_id),
        branch=lease.branch,
        base_sha=lease.base_sha,
        worktree=lease.worktree,
        owned_files=lease.owned_files,
        retry_count=lease.retry_count,
        max_retries=lease.max_retries,
        created_at=lease.created_at,
        expires_at=lease.expires_at,
        orphaned_since=lease.orphaned_since,
    )


def breaker(house: House) -> BreakerPage:
    """Return the breaker's count."""
    circuit = house.store.circuit()
    fails = circuit.consec_fails if circuit else 0
    return BreakerPage(
        consec_fails=fails,
        max_consec_fails=house.config.max_consec_fails,
        is_open=fails >= house.config.max_consec_fails,
        updated_at=circuit.updated_at if circuit else None,
    )


def _life(house: House, run_id: str) -> str:
    return "ended" if house.store.ending(run_id) else house.doors.processes.life(run_id).value

"""Start: a new epoch, a lease, a run's folder, a detached process; in this order, so that no crash hides one."""

from __future__ import annotations

from datetime import timedelta

from gluerun.core import flakes, lifecycle, pipeline
from gluerun.core.limits import beyond
from gluerun.records.dispatch import Dispatch, Role
from gluerun.records.lease import Lease, LeaseStatus
from gluerun.records.paths import ORCHESTRATION
from gluerun.records.pipeline import Occasion

# The files in which a repository of the predecessor speaks to its roles.
PROMPTS = {Role.WORKER: "l2-test-first-developer", Role.AUDITOR: "auditor", Role.DECIDER: "decider"}
LONGEST_PROMPT = 65_536

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.actions import Start
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import Notes
    from gluerun.records.config import Config
    from gluerun.records.task import Task


def start_worker(house: House, world: World, action: Start, notes: Notes) -> bool:
    """Lease a task to a new worker and start it."""
    before = world.task(action.task_id)
    if before is None:
        return False
    now = house.now()
    task = lifecycle.started(before, house.new_run(), action.base, now)
    run_id = task.run_id or ""
    house.store.put_task(task)
    if not house.store.grant(_lease(house, world, task, run_id)):
        return False
    house.store.put_dispatch(_dispatch(house, world, before, task))
    house.doors.processes.start(run_id)
    house.tell("origin.dispatch", f"{task.task_id}: {action.reason}", task=task.task_id, run=run_id, epoch=task.epoch)
    notes.dispatched.append(task.task_id)
    return True


def max_tries(config: Config) -> int:
    """Return how many tries a task has in all: the first, and its retries."""
    return 1 + config.max_retries


def run_seconds(config: Config, tries: int) -> int:
    """Return after how many seconds a run of *tries* tries is certainly late, from its programs' own limits."""
    slowest = max([runner.timeout_seconds or 86_400 for runner in config.runners.values()], default=3600)
    gates = max(config.gate_timeout_sec, pipeline.seconds(config, "", Occasion.TASK))
    per_try = 3 * slowest + 2 * gates + config.decider_timeout_sec
    return max(tries, 1) * per_try + config.stale_minutes * 60


def _lease(house: House, world: World, task: Task, run_id: str) -> Lease:
    now = house.now()
    left = max_tries(house.config) - task.tries
    return Lease(
        task_id=task.task_id,
        branch=task.spec.worker_branch,
        area=task.spec.area,
        owned_files=task.owned,
        forbidden_files=task.spec.forbidden_files,
        base_sha=task.base_sha or "",
        batch_id=world.origin_run,
        run_id=run_id,
        worktree=f".worktrees/{task.task_id}",
        status=LeaseStatus.RUNNING,
        retry_count=task.tries,
        max_retries=house.config.max_retries,
        created_at=now,
        updated_at=now,
        expires_at=now + timedelta(seconds=run_seconds(house.config, left)),
        epoch=task.epoch,
        boot_id=world.boot_id,
        file_scope=" ".join(task.owned),
    )


def _dispatch(house: House, world: World, before: Task, task: Task) -> Dispatch:
    now = house.now()
    left = max_tries(house.config) - task.tries
    return Dispatch(
        run_id=task.run_id or "",
        role=Role.WORKER,
        batch_id=world.origin_run,
        target_branch=task.spec.target_branch,
        base_sha=task.base_sha or "",
        started_at=now,
        expires_at=now + timedelta(seconds=run_seconds(house.config, left)),
        config_sha256=house.keep_config(),
        epoch=task.epoch,
        task_id=task.task_id,
        node=task.spec.dag_node,
        spec=task.spec,
        owned_files=task.owned,
        tries_used=task.tries,
        max_tries=max_tries(house.config),
        seed_sha=task.seed_sha,
        previous_run=before.settled_run or before.run_id,
        last_failure=task.last_failure,
        gate_command=task.spec.gate_command,
        own_prompts=own_prompts(house, task.base_sha or ""),
        audit_sha=task.audit_sha,
        spent=beyond(task.spent, task.limit_from),
        told=task.ordered.reason if task.ordered else "",
        paused=task.paused,
        flaky=flakes.known(house.store.flakes(), now),
    )


def own_prompts(house: House, base: str) -> dict[str, str]:
    """Return what the repository says to the roles of a worker's run, as it was merged: no work tree is asked."""
    if base in house.prompts_at:
        return house.prompts_at[base]
    found = house.prompts_at[base] = {}
    for role, name in PROMPTS.items():
        data = house.doors.git.file_at(base, f"{ORCHESTRATION}/prompts/{name}.md") if base else None
        if data:
            found[role.value] = data[:LONGEST_PROMPT].decode("utf-8", "replace")
    return found

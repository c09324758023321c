"""Nothing is removed before it is safe: whatever a place or a branch holds becomes a ref first."""

from __future__ import annotations

from gluerun.loop.house import RESCUE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.loop.house import House
    from gluerun.records.dispatch import Dispatch
    from gluerun.records.task import Task


def remove_place(house: House, task: Task | Dispatch, run_id: str, place: str) -> str | None:
    """Rescue what stands at a worker's *place*, then remove it; return the kept commit, if any."""
    git = house.doors.git
    commit = git.snapshot(place, f"rescue of {task.task_id} ({run_id})")
    head = git.head(task.spec.worker_branch) if task.spec else None
    safe = commit is None or any(known and git.contains(known, commit) for known in (head, task.base_sha))
    if commit and not safe:
        git.keep(f"{RESCUE}/{task.task_id}/{run_id}", commit)
    git.remove_worktree(place)
    return None if safe else commit


def rescue_branch(house: House, task_id: str, run_id: str, branch: str, into: str) -> str | None:
    """Keep a branch's commits that are not in *into*, before the branch is reset; return the kept commit."""
    git = house.doors.git
    head = git.head(branch)
    if head is None or git.contains(into, head):
        return None
    git.keep(f"{RESCUE}/{task_id}/{run_id}-branch", head)
    return head


def tidy_run(house: House, run_id: str) -> None:
    """Remove what a run that is over left in places where nobody works, and what it wrote only half."""
    with house.doors.locks.git():
        for kind in ("gate", "audit"):
            house.doors.git.remove_worktree(house.place(f"{run_id}-{kind}"))
    house.store.sweep_run(run_id)

"""Nothing is removed before it is safe: whatever a place holds becomes a ref first."""

from __future__ import annotations

from gluerun.loop.house import RESCUE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.loop.house import House


def rescue_place(house: House, task_id: str, run_id: str, place: str, base: str | None) -> str | None:
    """Keep everything that stands at *place* and is not in *base*; return the kept commit, if any."""
    git = house.doors.git
    commit = git.snapshot(place, f"rescue of {task_id} ({run_id})")
    if commit is None or (base is not None and git.contains(base, commit)):
        return None
    git.keep(f"{RESCUE}/{task_id}/{run_id}", commit)
    return commit


def rescue_branch(house: House, task_id: str, run_id: str, branch: str, into: str) -> str | None:
    """Keep a branch's commits that are not in *into*; return the kept commit, if any."""
    git = house.doors.git
    head = git.head(branch)
    if head is None or git.contains(into, head):
        return None
    git.keep(f"{RESCUE}/{task_id}/{run_id}-branch", head)
    return head


def remove_place(house: House, task_id: str, run_id: str, place: str, base: str | None) -> str | None:
    """Rescue what stands at *place*, then remove it; return the kept commit, if any."""
    kept = rescue_place(house, task_id, run_id, place, base)
    house.doors.git.remove_worktree(place)
    return kept

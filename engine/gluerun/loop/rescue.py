"""The one room in which places and branches are given up: first all that they hold has a ref, then they go.

A rescue is a commit with the files of a place, on top of what the place was on; its trailers say what it is of.
Two rescues never share a ref, and nothing that was rescued once is rescued again after a crash.
"""

from __future__ import annotations

from gluerun.errors import GitError, UsageError
from gluerun.loop.house import RESCUE
from gluerun.records.codec import stamp
from gluerun.records.names import is_branch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gluerun.loop.house import House
    from gluerun.records.dispatch import Dispatch
    from gluerun.records.task import Task

# Where rescues of runs without a task are.
NO_TASK = "nodes"


def remove_place(house: House, task: Task | Dispatch, run_id: str, place: str, reason: str) -> str | None:
    """Rescue what stands at a worker's *place*, then remove it; return the kept commit, if any."""
    git = house.doors.git
    message = _message(house, task, run_id, reason)
    head = git.worktree_head(place)
    commit = git.snapshot(place, message) or git.salvage(place, message)
    branch = git.head(task.spec.worker_branch) if task.spec else None
    known = [one for one in (branch, task.base_sha) if one is not None]
    kept = None
    if commit is not None and not any(git.contains(one, commit) for one in known):
        kept = _keep(house, task, run_id, commit if commit != head else None, head, message)
    _keep_strays(house, task, run_id, place, reason, known)
    git.remove_worktree(place)
    return kept


def drop_place(house: House, asked: Dispatch | None, run_id: str, place: str) -> None:
    """Remove a place where nobody works, a gate's or an auditor's; commits that somebody made there are kept."""
    _keep_strays(house, asked, run_id, place, "commits left where nobody works", [])
    house.doors.git.remove_worktree(place)


def rescue_branch(house: House, task: Task | Dispatch, run_id: str, branch: str, into: str) -> str | None:
    """Keep a branch's commits that are not in *into*, before the branch is reset; return the kept commit."""
    git = house.doors.git
    head = git.head(branch)
    if head is None or git.contains(into, head):
        return None
    message = _message(house, task, run_id, f"{branch} begins again")
    return _keep(house, task, f"{run_id}-branch", None, head, message)


def leave_branch(house: House, task: Task, run_id: str, branch: str, into: str) -> None:
    """Keep what a branch holds beside *into*, and remove it: its task goes on under another one."""
    rescue_branch(house, task, run_id, branch, into)
    _delete(house, {branch: task}, {branch: house.doors.git.head(branch) or into})


def begin_work(house: House, dispatch: Dispatch, place: str, commit: str, branch: str) -> None:
    """Make a worker's place on its branch, set to *commit*; what an earlier run left at both is rescued."""
    run_id = dispatch.run_id
    remove_place(house, dispatch, f"{run_id}-found", place, "found where the next run begins")
    rescue_branch(house, dispatch, run_id, branch, commit)
    parts = (*dispatch.owned_files, *house.config.sparse_always)
    house.doors.git.add_worktree(place, commit, branch=branch, parts=parts if house.config.sparse else None)


def begin_aside(house: House, dispatch: Dispatch, place: str, commit: str) -> None:
    """Make a place where nobody works, detached at *commit*."""
    drop_place(house, dispatch, dispatch.run_id, place)
    house.doors.git.add_worktree(place, commit)


def begin_lasting(house: House, dispatch: Dispatch, place: str, commit: str) -> str:
    """Make a place that stays right for *commit*, detached; return "", or why what stood there could not be used."""
    _keep_strays(house, dispatch, dispatch.run_id, place, "commits left where nobody works", [])
    git = house.doors.git
    if why := git.recycle_worktree(place, commit):
        git.remove_worktree(place)
        git.add_worktree(place, commit, lasting=True)
    return why


def give_up_branches(house: House, tasks: Sequence[Task]) -> None:
    """Remove the branches of landed tasks: only where nobody has added to it, for the target holds what was there."""
    branches = {task.spec.worker_branch: task for task in tasks if task.head_sha}
    with house.doors.locks.git():
        _delete(house, branches, {branch: task.head_sha or "" for branch, task in branches.items()})


def _delete(house: House, tasks: dict[str, Task], heads: dict[str, str]) -> None:
    """Delete the branches of tasks on which nobody works, those whose *heads* they are.

    A machine that died in the middle of just this has left them locked, and some of them deleted. The caller holds
    the lock around changes of refs.
    """
    git = house.doors.git
    try:
        gone = git.delete_branches(heads)
    except GitError:
        if not _unlock(house, tasks):
            raise
        gone = git.delete_branches(heads)
    if gone != heads.keys():
        there = git.heads(tuple(heads))
        _unlock(house, {branch: task for branch, task in tasks.items() if branch not in there})


def _unlock(house: House, branches: dict[str, Task]) -> bool:
    """Remove the locks of branches that nobody but their tasks writes; return whether there were any."""
    found = False
    for branch, task in branches.items():
        locks = house.doors.git.unlock(house.place(task.task_id), branch)
        for lock in locks:
            house.tell("recovery.action", f"removed {lock}, left by a crash", task=task.task_id)
        found = found or bool(locks)
    return found


def tidy_run(house: House, run_id: str) -> None:
    """Remove what a run that is over left in places where nobody works, and what it wrote only half."""
    asked = house.store.known_dispatch(run_id)
    with house.doors.locks.git():
        for kind in ("gate", "audit"):
            drop_place(house, asked, run_id, house.place(f"{run_id}-{kind}"))
    house.store.sweep_run(run_id)


def restore_branch(house: House, commit: str, branch: str) -> None:
    """Make a new branch that holds a rescue; UsageError if there is one of this name."""
    if not is_branch(branch):
        raise UsageError(f"{branch!r} cannot be a branch name", "for example --branch rescued/work")
    git = house.doors.git
    with house.doors.locks.git():
        if not git.advance(branch, commit, "0" * len(commit)):
            raise UsageError(f"there is a branch {branch!r} already", "name another one: --branch NAME")


def restore_place(house: House, commit: str, place: str) -> None:
    """Make a work tree of the user's own with the files of a rescue, where nothing is yet."""
    with house.doors.locks.git():
        house.doors.git.hand_out(place, commit)


def _keep_strays(
    house: House, asked: Task | Dispatch | None, run_id: str, place: str, reason: str, known: list[str]
) -> None:
    """Keep what was committed at a place and is on no branch; what the branch holds under another name is not."""
    git = house.doors.git
    trees: set[str] | None = None
    for commit in git.strays(place):
        trees = {git.tree_of(one) for one in known} if trees is None else trees
        if git.tree_of(commit) not in trees:
            _keep(house, asked, f"{run_id}-commits", None, commit, _message(house, asked, run_id, reason))


def _keep(
    house: House, asked: Task | Dispatch | None, name: str, commit: str | None, parent: str | None, message: str
) -> str:
    """Let a ref of its own hold *commit*, or a new one that says of *parent* what it is; return the kept one."""
    git = house.doors.git
    tree = git.tree_of(commit or parent or "")
    folder = f"{RESCUE}/{_subject(asked)}"
    there = git.kept(folder)
    number, ref = 1, f"{folder}/{name}"
    while ref in there:
        # A crash may have come between the ref and the removal.
        if git.tree_of(there[ref]) == tree and (parent is None or git.contains(there[ref], parent)):
            return there[ref]
        number += 1
        ref = f"{folder}/{name}.{number}"
    kept = commit or git.commit_tree(tree, [parent] if parent else [], message)
    git.keep(ref, kept)
    return kept


def _subject(asked: Task | Dispatch | None) -> str:
    return (asked.task_id if asked is not None else None) or NO_TASK


def _message(house: House, asked: Task | Dispatch | None, run_id: str, reason: str) -> str:
    subject = _subject(asked)
    lines = [f"Gluerun-Rescue: {stamp(house.now())}"]
    lines += [f"Gluerun-Rescue-Task: {subject}"] if subject != NO_TASK else []
    lines += [
        f"Gluerun-Rescue-Run: {run_id[:29]}",
        f"Gluerun-Rescue-Reason: {' '.join(reason.split())[:200] or 'unknown'}",
    ]
    lines += [f"Gluerun-Rescue-Base: {asked.base_sha}"] if asked is not None and asked.base_sha else []
    return f"rescue({subject}): what {run_id} left\n\n" + "\n".join(lines) + "\n"

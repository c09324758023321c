"""Candidates: what would land, built without a work tree. Nothing else makes commits for the target branch."""

from __future__ import annotations

from gluerun.core import refusals
from gluerun.core.pipeline import has_gate
from gluerun.core.provenance import NO_GATE, Provenance, merge_message, without_trailers
from gluerun.errors import GitError, NoRoomError, SigningError
from gluerun.loop.evidence import evidence_of
from gluerun.loop.recording import riding
from gluerun.ports import Stored
from gluerun.records.config import IntegrationMode
from gluerun.records.pipeline import Occasion
from gluerun.records.record import record
from gluerun.release import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.refusals import Refused
    from gluerun.loop.house import House
    from gluerun.ports import Logged, Merge
    from gluerun.records.task import Task


@record
class Candidate:
    """What would land for one task on top of *parent*; with `conflicts`, the paths why it cannot be built.

    With `refused` there is none, and why. An `empty` one brings nothing that its parent has not. With `trouble` nothing
    is wrong with the task: what makes the commit has failed, and a person has to see to it.
    """

    parent: str
    commit: str = ""
    tree: str = ""
    conflicts: tuple[str, ...] = ()
    empty: bool = False
    refused: Refused | None = None
    trouble: str = ""


def build(house: House, task: Task, parent: str) -> Candidate:
    """Build the candidate of an accepted task on top of a commit: the target's head, or the candidate before it.

    An empty one is refused where its parent has landed: before one that may yet turn out red it may be needed.
    """
    git, head, target = house.doors.git, task.head_sha or "", task.spec.target_branch
    try:
        merge = git.merge(parent, head)
        if merge.unrelated:
            return Candidate(parent=parent, refused=refusals.unrelated(task.spec.worker_branch, target))
        if merge.empty and git.head(target) == parent:
            return Candidate(parent=parent, refused=refusals.empty(target))
        return _made(house, task, parent, merge)
    except NoRoomError as error:
        return Candidate(parent=parent, refused=refusals.too_large(" ".join(error.message.split())[-200:]))
    except SigningError as error:
        words = f"{task.task_id} cannot be merged: its commit cannot be signed: {error.message}"
        return Candidate(parent=parent, trouble=f"{words} (try `git commit -S` by hand, or unset integration.sign)")
    except GitError:
        if git.commit_of(head) is not None:
            raise  # the target's own history, or git itself: no fault of this task
        return Candidate(parent=parent, refused=refusals.lost(head))


def _made(house: House, task: Task, parent: str, merge: Merge) -> Candidate:
    """Build the candidate as the mode wants it: a merge, one commit with a single parent, or the branch's own ones."""
    head, mode = task.head_sha or "", house.config.integration.mode
    if mode is IntegrationMode.REBASE:
        own = _own_commits(house, head, parent)
        if len(own) > 1:
            return _replayed(house, task, parent, own)
    if merge.conflicts:
        return Candidate(parent=parent, conflicts=merge.conflicts)
    if mode in (IntegrationMode.MERGE, IntegrationMode.PULL_REQUEST):
        stored = _commit(house, merge.tree, [parent, head], _message(house, task), of=task)
    else:
        stored = _commit(house, merge.tree, [parent], _message(house, task, head), author=head, of=task)
    return Candidate(parent=parent, commit=stored.commit, tree=stored.tree, empty=merge.empty)


def _replayed(house: House, task: Task, parent: str, own: list[Logged]) -> Candidate:
    """Build the candidate as a chain: every commit of the branch again, one on the other. The last has the trailers.

    A commit that brings nothing any more is left out, as git does; the last one stays, for it says whose work it is.
    """
    git, tip, is_empty = house.doors.git, parent, True
    for one in own:
        tree, conflicts = _picked(house, one, tip)
        if conflicts:
            return Candidate(parent=parent, conflicts=conflicts)
        is_last = one is own[-1]
        if not is_last and tree == git.tree_of(tip):
            continue
        message = _message(house, task, one.commit) if is_last else without_trailers(one.message)
        is_empty = tree == git.tree_of(parent)
        stored = _commit(house, tree, [tip], message, author=one.commit, of=task if is_last else None)
        tip = stored.commit
    return Candidate(parent=parent, commit=tip, tree=git.tree_of(tip), empty=is_empty)


def _picked(house: House, one: Logged, tip: str) -> tuple[str, tuple[str, ...]]:
    """Return the tree of *tip* with what one commit changed, and the paths on which that fails.

    Git merges by the last commit that two have in common, so the two are given one: what the commit was made on.
    """
    git = house.doors.git
    if one.parents[0] == tip:
        return git.tree_of(one.commit), ()
    base = git.commit_tree(git.tree_of(one.parents[0]), [], "the base of a pick")
    ours, theirs = (git.commit_tree(git.tree_of(side), [base], "a side of a pick") for side in (tip, one.commit))
    merge = git.merge(ours, theirs)
    return merge.tree, merge.conflicts


def _own_commits(house: House, head: str, target: str) -> list[Logged]:
    """Return the commits of a branch that the target lacks, oldest first; none if they are no single line."""
    git, at = house.doors.git, head
    found: list[Logged] = []
    while not git.contains(target, at):
        (one,) = git.told([at])
        if len(one.parents) != 1:
            return []
        found.append(one)
        at = one.parents[0]
    return found[::-1]


def _commit(
    house: House, tree: str, parents: list[str], message: str, *, author: str = "", of: Task | None = None
) -> Stored:
    """Store a commit; the last one *of* a task carries the task's records where they belong on the branch."""
    git, sign = house.doors.git, house.config.integration.sign
    if of is not None and (files := riding(house, of)):
        stored = git.commit_over(tree, files, parents, message)
        if not sign and not author:
            return stored
        tree = stored.tree
    try:
        return Stored(commit=git.commit_tree(tree, parents, message, sign=sign, author=author), tree=tree)
    except NoRoomError:
        raise
    except GitError as error:
        raise (SigningError(error.message) if sign else error) from error


def _message(house: House, task: Task, brought: str = "") -> str:
    """Return the candidate's message: by its trailers its evidence is found again, and known to be the same.

    *brought* is the commit that no parent of the candidate tells of.
    """
    known = evidence_of(house.store, task)
    said = Provenance(
        task=task.task_id,
        run=task.run_id or "",
        packet=task.packet_sha256 or "",
        head=brought,
        gate=known.gate if has_gate(house.config, task.spec.gate_command, Occasion.TASK) else NO_GATE,
        prompt=known.prompt,
        config=known.config,
        engine=VERSION,
        journal=house.journal.head(),
    )
    return merge_message(task.spec.title, said)

"""Candidates: what would land, built without a work tree. Nothing else makes commits for the target branch."""

from __future__ import annotations

from gluerun.core import refusals
from gluerun.core.pipeline import has_gate
from gluerun.core.provenance import NO_GATE, Provenance, merge_message
from gluerun.errors import GitError, NoRoomError
from gluerun.loop.evidence import evidence_of
from gluerun.loop.recording import riding
from gluerun.ports import Stored
from gluerun.records.pipeline import Occasion
from gluerun.records.record import record
from gluerun.release import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.refusals import Refused
    from gluerun.loop.house import House
    from gluerun.records.task import Task


@record
class Candidate:
    """What would land for one task on top of *parent*; with `conflicts`, the paths why it cannot be built.

    With `refused` there is none, and why. An `empty` one brings nothing that its parent has not.
    """

    parent: str
    commit: str = ""
    tree: str = ""
    conflicts: tuple[str, ...] = ()
    empty: bool = False
    refused: Refused | None = None


def build(house: House, task: Task, parent: str) -> Candidate:
    """Build the candidate of an accepted task on top of a commit: the target's head, or the candidate before it.

    An empty one is refused where its parent has landed: before one that may yet turn out red it may be needed.
    """
    git, head, target = house.doors.git, task.head_sha or "", task.spec.target_branch
    try:
        merge = git.merge(parent, head)
        if merge.unrelated:
            return Candidate(parent=parent, refused=refusals.unrelated(task.spec.worker_branch, target))
        if merge.conflicts:
            return Candidate(parent=parent, conflicts=merge.conflicts)
        if merge.empty and git.head(target) == parent:
            return Candidate(parent=parent, refused=refusals.empty(target))
        stored = _stored(house, task, merge.tree, [parent, head])
    except NoRoomError as error:
        return Candidate(parent=parent, refused=refusals.too_large(" ".join(error.message.split())[-200:]))
    except GitError:
        if git.commit_of(head) is not None:
            raise  # the target's own history, or git itself: no fault of this task
        return Candidate(parent=parent, refused=refusals.lost(head))
    return Candidate(parent=parent, commit=stored.commit, tree=stored.tree, empty=merge.empty)


def _stored(house: House, task: Task, tree: str, parents: list[str]) -> Stored:
    """Store the commit that would land, with the records that ride in it where they belong on the branch."""
    git, files, message = house.doors.git, riding(house, task), _message(house, task)
    if files:
        return git.commit_over(tree, files, parents, message)
    return Stored(commit=git.commit_tree(tree, parents, message), tree=tree)


def _message(house: House, task: Task) -> str:
    """Return the candidate's message: by its trailers its evidence is found again, and known to be the same."""
    known = evidence_of(house.store, task)
    said = Provenance(
        task=task.task_id,
        run=task.run_id or "",
        packet=task.packet_sha256 or "",
        gate=known.gate if has_gate(house.config, task.spec.gate_command, Occasion.TASK) else NO_GATE,
        prompt=known.prompt,
        config=known.config,
        engine=VERSION,
        journal=house.journal.head(),
    )
    return merge_message(task.spec.title, said)

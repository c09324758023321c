"""Candidates: what would land, built without a work tree. Nothing else makes commits for the target branch."""

from __future__ import annotations

from gluerun.core.provenance import NO_GATE, Provenance, merge_message
from gluerun.loop.evidence import evidence_of
from gluerun.loop.recording import riding
from gluerun.records.record import record
from gluerun.release import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.loop.house import House
    from gluerun.records.task import Task


@record
class Candidate:
    """What would land for one task on top of *parent*; with `conflicts`, the paths why it cannot be built."""

    parent: str
    commit: str = ""
    tree: str = ""
    conflicts: tuple[str, ...] = ()


def build(house: House, task: Task, parent: str) -> Candidate:
    """Build the candidate of an accepted task on top of a commit: the target's head, or the candidate before it."""
    git, head = house.doors.git, task.head_sha or ""
    merge = git.merge(parent, head)
    if merge.conflicts:
        return Candidate(parent=parent, conflicts=merge.conflicts)
    files, message = riding(house, task), _message(house, task)
    if files:
        stored = git.commit_over(merge.tree, files, [parent, head], message)
        return Candidate(parent=parent, commit=stored.commit, tree=stored.tree)
    commit = git.commit_tree(merge.tree, [parent, head], message)
    return Candidate(parent=parent, commit=commit, tree=merge.tree)


def _message(house: House, task: Task) -> str:
    """Return the candidate's message: by its trailers its evidence is found again, and known to be the same."""
    known = evidence_of(house.store, task)
    said = Provenance(
        task=task.task_id,
        run=task.run_id or "",
        packet=task.packet_sha256 or "",
        gate=known.gate if task.spec.gate_command else NO_GATE,
        prompt=known.prompt,
        config=known.config,
        engine=VERSION,
        journal=house.journal.head(),
    )
    return merge_message(task.spec.title, said)

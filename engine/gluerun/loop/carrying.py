"""What becomes of candidates when the engine's own records move the target: the chain stands on the new head at once.

Such a commit brings no code, and a gate speaks for code. So what has been proved stays proved, and what is being proved
goes on; only the commits are others.
"""

from __future__ import annotations

from gluerun.core import lifecycle
from gluerun.core.queue import is_second_look, queue_of
from gluerun.loop.candidates import build
from gluerun.records.record import replace
from gluerun.records.task import ProofState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.records.task import Proof, Task


def carry(house: House, world: World, old: str, new: str) -> None:
    """Let the candidates that stand on *old* stand on *new*, which differs from it in nothing but records.

    The first one of which that cannot be said ends it: it and what stands on it are built again when their turn comes.
    A crash before all of them are written costs no more than that.
    """
    if world.target_head != old:
        return
    queue = queue_of(world)
    carried: list[Task] = []
    with house.doors.git.building(len(queue.chain)):
        at = new
        for task in queue.chain:
            proof = _on(house, task, at)
            if proof is None:
                break
            carried.append(lifecycle.proving(task, proof))
            at = proof.candidate
        lonely = [task for task in queue.alone if task.proof is not None and task.proof.state is ProofState.PROVING]
        for task in lonely:  # a second look is about its commit, wherever the target has gone
            if not is_second_look(task.proof) and (proof := _on(house, task, new)) is not None:
                carried.append(lifecycle.proving(task, proof))
    house.store.put_tasks(carried)


def _on(house: House, task: Task, parent: str) -> Proof | None:
    """Return a task's proof about a candidate on another parent; None if that would not be of the same code."""
    git, proof = house.doors.git, task.proof
    if proof is None:
        return None
    built = build(house, task, parent)
    if not built.commit or git.code_tree(built.commit) != git.code_tree(proof.candidate):
        return None
    return replace(proof, target_head=parent, candidate=built.commit, tree=built.tree)

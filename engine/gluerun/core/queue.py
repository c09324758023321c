"""The merge queue as it stands: who is next, and which candidates already stand one upon another.

No record holds the chain. It begins at the target's head and goes on with the task whose candidate was built there; so
what has landed, what was taken out, and what a crash cut off are no part of it by themselves.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import takewhile

from gluerun.records.config import ApprovalRule, IntegrationMode
from gluerun.records.record import record
from gluerun.records.task import ProofState, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from gluerun.core.world import World
    from gluerun.records.task import Proof, Task

# Who has waited so long is worth one more step of priority, so that nobody waits for ever.
AGEING = timedelta(hours=1)


@record
class Queue:
    """Accepted tasks in the order in which they come, and what is made of them so far.

    `chain` are the links that may land one after the other; `waiting` those that may be chained behind them now;
    `behind` come after these; `alone` are those with a candidate that nothing is built on; `aside` those that wait for
    somebody's checkout; `stale` have a candidate that stands on nothing any more. Who waits for its pull request is in
    none of them.
    """

    order: tuple[Task, ...]
    chain: tuple[Task, ...] = ()
    alone: tuple[Task, ...] = ()
    waiting: tuple[Task, ...] = ()
    aside: tuple[Task, ...] = ()
    stale: tuple[Task, ...] = ()
    behind: tuple[Task, ...] = ()

    @property
    def tip(self) -> str | None:
        """Return the candidate at the end of the chain; None if there is none."""
        proof = self.chain[-1].proof if self.chain else None
        return proof.candidate if proof is not None else None


def queue_order(task: Task, now: datetime) -> tuple[object, ...]:
    """Return the place of an accepted task: priority, raised as it waits, then who was accepted first, then the id.

    A task begins only when what it depends on has landed, so dependencies come first by themselves.
    """
    steps = max(0, (now - task.updated_at) // AGEING)
    return (-(task.rank + steps), task.updated_at, len(task.task_id), task.task_id)


def is_current(proof: Proof, task: Task, target_head: str | None) -> bool:
    """Tell whether a proof is about the branch as it is now and stands on the target's head."""
    return (proof.branch_head, proof.target_head) == (task.head_sha, target_head)


def queue_of(world: World) -> Queue:
    """Return the queue as it stands."""
    accepted = (task for task in world.tasks if task.status is Status.ACCEPTED)
    order = tuple(sorted(accepted, key=lambda task: queue_order(task, world.now)))
    solo = frozenset(task.task_id for task in order if is_solo(world, task))
    chain = _chain(order, world.target_head, solo)
    linked = {task.task_id for task in chain}
    alone, aside, stale, free = [], [], [], []
    for task in order:
        proof = task.proof
        if task.task_id in linked or is_asked(world, task):
            continue
        goes_alone = proof is not None and (proof.alone or proof.is_in_the_way or task.task_id in solo)
        if proof is not None and goes_alone and _holds(proof, task, world.target_head):
            alone.append(task)
        elif proof is not None and proof.is_in_the_way:
            aside.append(task)
        else:
            stale += [task] if proof is not None else []
            free.append(task)
    waiting = _next(world, chain, free, solo)
    return Queue(
        order=order,
        chain=chain,
        alone=tuple(alone),
        waiting=waiting,
        aside=tuple(aside),
        stale=tuple(stale),
        behind=tuple(task for task in free if task not in waiting and task.task_id not in solo),
    )


def is_solo(world: World, task: Task) -> bool:
    """Tell whether a person may be asked about a task, or merges it: nothing is ever built on such a candidate."""
    if world.config.integration.mode is IntegrationMode.PULL_REQUEST:
        return True
    if not world.asks_people:
        return False
    from gluerun.core import approvals  # where nobody is asked, none of it is needed
    from gluerun.records.approval import Point

    is_unknown = bool(world.graph_error and task.spec.dag_node)
    is_asked = approvals.rule_of(world, task, Point.LANDING).rule is not ApprovalRule.NONE
    return is_unknown or is_asked or approvals.request_of(world, task, Point.LANDING) is not None


def is_asked(world: World, task: Task) -> bool:
    """Tell whether a task waits for a person who merges it: it is not proved again, and holds nobody up."""
    by_request = world.config.integration.mode is IntegrationMode.PULL_REQUEST
    return by_request and task.proof is not None and task.proof.request is not None


def is_held(world: World, task: Task) -> bool:
    """Tell whether a task waits for a person's word, so that its candidate is not proved again meanwhile."""
    if not world.asks_people:
        return False
    from gluerun.core import approvals  # where nobody is asked, none of it is needed

    return bool(approvals.landing_wait(world, task))


def is_second_look(proof: Proof | None) -> bool:
    """Tell whether a candidate is asked once more because its gate was red: the others go on without it."""
    return proof is not None and proof.alone and (proof.reruns > 0 or proof.state is ProofState.RED)


def _chain(order: Iterable[Task], head: str | None, solo: frozenset[str]) -> tuple[Task, ...]:
    by_base: dict[str, Task] = {}
    for task in order:
        proof = task.proof
        if proof is None or proof.alone or proof.is_in_the_way or proof.branch_head != task.head_sha:
            continue
        if task.task_id not in solo:
            by_base.setdefault(proof.target_head, task)
    found: list[Task] = []
    at = head
    while at is not None and at in by_base:
        task = by_base.pop(at)
        found.append(task)
        at = task.proof.candidate if task.proof is not None else None
    return tuple(found)


def _holds(proof: Proof, task: Task, head: str | None) -> bool:
    """Tell whether what is known of a candidate that stands alone still matters.

    A second look is about its commit, wherever the target has gone.
    """
    if is_second_look(proof) and proof.state in (ProofState.PROVING, ProofState.RED):
        return proof.branch_head == task.head_sha
    return is_current(proof, task, head)


def _next(world: World, chain: tuple[Task, ...], free: list[Task], solo: frozenset[str]) -> tuple[Task, ...]:
    """Return those that may be chained now: one that goes alone if it is first, else all before the next such one.

    One gate speaks for a whole prefix, so another gate's tasks wait until this chain has landed.
    """
    ready = [task for task in free if task.task_id not in solo or not is_held(world, task)]
    if not ready:
        return ()
    if not chain and ready[0].task_id in solo:
        return (ready[0],)
    gate = (chain or ready)[0].spec.gate_command
    return tuple(takewhile(lambda one: one.task_id not in solo and one.spec.gate_command == gate, ready))

"""Free seats and the frontier → who is started; and what keeps the loop from starting anybody."""

from __future__ import annotations

from gluerun.core.actions import Promote, ProveNode, Start
from gluerun.core.frontier import frontier, is_stuck
from gluerun.core.graph import finished_nodes
from gluerun.core.obstacle import Why
from gluerun.core.pipeline import judges
from gluerun.core.planners import plan_planning
from gluerun.records.config import OnRedMain
from gluerun.records.gate import proof_wanted
from gluerun.records.pipeline import Occasion
from gluerun.records.task import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluerun.core.actions import Action
    from gluerun.core.world import World
    from gluerun.records.graph import Node
    from gluerun.records.task import Task


def dispatch_gate(world: World) -> str:
    """Say why nothing may be started at all; empty if something may."""
    return next((words for _, words in closed(world)), "")


def closed(world: World) -> Iterator[tuple[Why, str]]:
    """Yield everything that keeps the loop from starting anybody, and what is said of it."""
    if world.stop:
        yield Why.STOP, "STOP is set"
    if world.target_head is None:
        yield Why.NO_TARGET, f"the target branch {world.config.target_branch!r} does not exist"
    fails = world.circuit.consec_fails if world.circuit else 0
    if fails >= world.config.max_consec_fails:
        yield Why.BREAKER, f"the breaker is open after {fails} failures in a row"
    if words := red_main(world):
        yield Why.RED_MAIN, words
    if words := low_disk(world):
        yield Why.LOW_DISK, words


def red_main(world: World) -> str:
    """Say that the target itself is red, so that nothing is begun on it; empty if it is not, or nobody minds."""
    red = world.red_main
    if red is None or not red.is_red or world.config.on_red_main is OnRedMain.GO_ON:
        return ""
    from gluerun.core.repairing import words  # most targets are never red

    return words(red, world.config.target_branch)


def low_disk(world: World) -> str:
    """Say that too little disk is left to start anything, and what helps; empty if there is enough."""
    if world.free_bytes >= world.config.min_disk_gb * 1e9:
        return ""
    numbers = f"{world.free_bytes / 1e9:.1f} GB free, {world.config.min_disk_gb:g} GB wanted"
    return f"low disk: {numbers}; `gluerun gc --dry-run` says what can be freed"


def seats(world: World) -> int:
    """Return how many workers may be started in this cycle."""
    return max(0, min(world.config.max_dispatch, world.config.max_concurrent - len(world.leases)))


def plan_launch(world: World) -> list[Action]:
    """Say who is started, and which finished nodes are proved or promoted."""
    plan = plan_promotion(world) if world.config.auto_promote_gates else []
    if dispatch_gate(world):
        return plan
    target = world.target_head or ""
    start, _ = frontier(world, seats(world))
    plan += [Start(task_id=task.task_id, base=_base(task, target), reason=_why_now(task)) for task in start]
    if not start and seats(world) and not _has_ready(world):
        plan += plan_planning(world)
    return plan


def _base(task: Task, target: str) -> str:
    """Return where a task begins: work that only waits for its audit, or goes on after a pause, has its base."""
    return task.base_sha if (task.audit_sha or task.paused) and task.base_sha else target


def _why_now(task: Task) -> str:
    if task.audit_sha:
        return "its work waits for an audit"
    if task.paused:
        return "it may go on beyond its limit"
    return "ready" if not task.tries else f"ready again after {task.tries} tries"


def _has_ready(world: World) -> bool:
    return any(task.status is Status.READY and not world.lease(task.task_id) for task in world.tasks)


def plan_promotion(world: World) -> list[Action]:
    """Promote finished nodes whose gate is green on the target's very tree; find out where nobody knows."""
    finished = [
        node
        for node in finished_nodes(world)
        if node.id not in world.held and node.id not in world.unapproved and _has_its_proof(world, node)
    ]
    if world.green_tree or not judges(world.config, world.config.gate_command, Occasion.NODE):
        reason = "all of its tasks are integrated and the gate is green"
        return [Promote(node=node.id, reason=reason) for node in finished]
    held = {lease.node for lease in world.node_leases}
    if not finished or held or world.red_tree or _is_landing(world):
        return []
    return [ProveNode(node=finished[0].id, reason="all of its tasks are integrated")]


def _has_its_proof(world: World, node: Node) -> bool:
    """Tell whether nothing but a green gate is missing: a proof layer also wants proof that its guard can be red."""
    return node.id in world.red_proofs or not proof_wanted(node.layer, node.id, world.config)


def _is_landing(world: World) -> bool:
    """Tell whether the target is about to move, which would make a gate run on it worthless."""
    return world.config.auto_integrate and any(
        task.status is Status.ACCEPTED and not is_stuck(world, task) for task in world.tasks
    )

"""Which nodes are planned now, and for each other node the one sentence that says why not."""

from __future__ import annotations

from datetime import timedelta

from gluerun.core.actions import StartPlanner
from gluerun.core.backoff import held_back
from gluerun.core.graph import eligible, finished_nodes
from gluerun.records.dispatch import Role
from gluerun.records.gate import proof_wanted
from gluerun.records.planning import PlanNote
from gluerun.records.task import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from gluerun.core.actions import Action
    from gluerun.core.world import World
    from gluerun.records.config import Config
    from gluerun.records.graph import Node

# How many times its own length a rest grows to at most.
_LONGEST_REST = 16


def plan_planning(world: World) -> list[Action]:
    """Say which nodes are planned now: at most so many at once, and one of each area."""
    if world.graph is None or not world.config.generate or no_planner(world):
        return []
    areas = {lease.area for lease in world.node_leases}
    found: list[Action] = []
    for node in eligible(world.graph, world.passed, world.node_blocked):
        if node.area in areas or why_not(world, node) or _is_full(world, len(found)):
            continue
        areas.add(node.area)
        found.append(StartPlanner(node=node.id, base=world.target_head or "", reason="the ready list is empty"))
    return found


def plan_asked(world: World, name: str) -> list[Action]:
    """Start the planner of one node because a person asked for it: neither its rest nor other planners matter."""
    nodes = eligible(world.graph, world.passed, world.node_blocked) if world.graph else []
    node = next((node for node in nodes if node.id == name), None)
    if node is None or no_planner(world, asked=True) or why_not(world, node, asked=True):
        return []
    return [StartPlanner(node=name, base=world.target_head or "", reason="a person asked for it")]


def _is_full(world: World, more: int) -> bool:
    return len(world.node_leases) + more >= world.config.max_l1_concurrent


def no_planner(world: World, *, asked: bool = False) -> str:
    """Say why no planner may be asked at all; empty if one may. Who *asked* for it need not wait after a failure."""
    if not world.config.runner_of(Role.PLANNER):
        return "no runner plays the planner"
    if world.backoff is not None and not asked and world.now < world.backoff.until:
        until = f"{world.backoff.until:%Y-%m-%d %H:%M:%SZ}"
        return f"planning rests until {until}, since the planner of {world.backoff.node} failed"
    return held_back(world, (Role.PLANNER,))


def why_not(world: World, node: Node, *, asked: bool = False) -> str:
    """Say why an eligible node is not planned now; empty if it may be. Who *asked* for it overrules its rest."""
    if any(lease.node == node.id for lease in world.node_leases):
        return "it is being planned or proved"
    tasks = [task for task in world.tasks if task.spec.dag_node == node.id]
    if tasks:
        parked = [task.task_id for task in tasks if task.status is Status.BLOCKED]
        if parked:
            return f"{', '.join(parked[:3])} of it {'is' if len(parked) == 1 else 'are'} parked"
        return f"{len(tasks)} of its tasks {'is' if len(tasks) == 1 else 'are'} under way"
    if node.id in {one.id for one in finished_nodes(world)}:
        return why_not_promoted(world, node)
    if asked:
        return ""
    if node.id in world.exhausted:
        return "its planner had nothing to propose; it is asked again when the target has moved"
    note = world.plan_notes.get(node.id)
    if note is None:
        return ""
    if note.is_parked:
        return f"{note.reason}; `gluerun plan {node.id}` tries again"
    return f"{note.reason}; it is planned again at {note.until:%H:%M:%SZ}" if world.now < note.until else ""


def why_not_promoted(world: World, node: Node) -> str:
    """Say what a node whose tasks are all integrated still waits for."""
    if not world.config.auto_promote_gates:
        return f"its tasks are integrated, but promotion is switched off; `gluerun promote-gate {node.id}` completes it"
    if proof_wanted(node.layer, node.id, world.config) and node.id not in world.red_proofs:
        return f"its tasks are integrated, but layer {node.layer!r} wants a red proof, which is not there"
    if world.red_tree:
        return f"its tasks are integrated, but the gate is red on {world.config.target_branch}"
    return "its tasks are integrated; it waits for its gate"


def state_of(world: World, node: Node) -> str:
    """Say in one sentence why a node is not further; empty for one that is complete."""
    if node.id in world.passed:
        return ""
    if node.id in world.node_blocked:
        return world.node_words.get(node.id, "its gate file blocks it")
    open_needs = [need for need in node.depends_on if need not in world.passed]
    if open_needs:
        return f"it waits for {', '.join(open_needs)}"
    if why := why_not(world, node):
        return why
    if not world.config.generate:
        return "planning is switched off"
    return no_planner(world)


def tasks_wanted(node: Node, config: Config) -> int:
    """Return how many tasks a planner may propose at once for a node."""
    return 1 if node.layer in config.single_slice_layers else max(1, config.l1_tasks_per_node)


def rejected(
    earlier: PlanNote | None, node: str, run_id: str, reason: str, now: datetime, config: Config, *, park: bool = False
) -> PlanNote:
    """Return what is noted of a planner that failed or whose batch is not taken in.

    The same run taken in again changes nothing.
    The first time the planner is asked again at once, with the reason; then it rests, longer each time; when its
    tries are spent a person has to look.
    """
    if earlier is not None and earlier.run_id == run_id:
        return earlier
    times = earlier.times + 1 if earlier is not None and not earlier.is_parked else 1
    rest = min(2 ** (times - 2), _LONGEST_REST) * config.planner_backoff_seconds if times > 1 else 0
    return PlanNote(
        node=node,
        run_id=run_id,
        reason=reason,
        noted_at=now,
        until=now + timedelta(seconds=rest),
        times=times,
        is_parked=park or times > config.max_retries,
    )

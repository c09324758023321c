"""What a resident loop makes of a look: is anything left to do, and how long may it sleep."""

from __future__ import annotations

from gluerun.core.backoff import held_back, worker_roles
from gluerun.core.frontier import frontier, is_stuck
from gluerun.core.graph import eligible, is_complete
from gluerun.core.integration import is_waiting_for_target
from gluerun.core.launch import dispatch_gate, plan_launch, seats
from gluerun.core.pipeline import has_gate
from gluerun.core.planners import no_planner, state_of, why_not
from gluerun.core.queue import is_asked, is_current
from gluerun.records.dispatch import Role
from gluerun.records.pipeline import Occasion
from gluerun.records.record import record, replace
from gluerun.records.spent import Spent
from gluerun.records.task import ProofState, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.records.graph import Node
    from gluerun.records.task import Task


# What a cycle has made possible is done by the next one; a breath keeps a refused start from spinning.
_AT_ONCE = 0.05


@record
class Outlook:
    """What is still under way: runs to wait for, seconds to sleep at most, and why it is over if it is."""

    runs: tuple[str, ...]
    seconds: float
    over: str = ""


def moving(world: World) -> list[Task]:
    """Return the accepted tasks that still get somewhere by themselves."""
    if not world.config.auto_integrate:
        return []
    found = []
    for task in world.tasks:
        if is_asked(world, task):
            continue  # a person moves it
        waits = task.proof is not None and task.proof.state is ProofState.WAITING
        fresh = task.proof is not None and is_current(task.proof, task, world.target_head)
        held = (is_stuck(world, task) and not waits) or is_waiting_for_target(world, task)
        if task.status is Status.ACCEPTED and not (waits and fresh) and not held:
            found.append(task)
    return found


def living_runs(world: World) -> tuple[str, ...]:
    """Return the runs that hold something: workers, planners, provers."""
    proved = [task for task in world.tasks if not is_waiting_for_target(world, task)]
    provers = [task.proof.run_id for task in proved if task.proof and task.proof.run_id]
    provers += [probe.run_id for probe in (world.red_main.probes if world.red_main else ())]
    workers = [lease.run_id for lease in world.leases]
    planners = [lease.run_id for lease in world.node_leases]
    return tuple(workers + planners + provers)


def may_prove(world: World) -> bool:
    """Tell whether a candidate may have to be proved as soon as something ends that is under way."""
    if not world.config.auto_integrate:
        return False
    busy = {lease.task_id for lease in world.leases}
    return any(
        (task.status is Status.ACCEPTED or task.task_id in busy)
        and has_gate(world.config, task.spec.gate_command, Occasion.MERGE)
        for task in world.tasks
    )


def runs_of(world: World, task_id: str) -> tuple[str, ...]:
    """Return the runs that hold one task. One of another task that has ended would wake who waits, again and again."""
    lease, task = world.lease(task_id), world.task(task_id)
    prover = task.proof.run_id if task is not None and task.proof is not None else None
    return tuple(filter(None, (lease.run_id if lease is not None else None, prover)))


def outlook(world: World, longest: float) -> Outlook:
    """Say what a resident loop waits for; it is over when nothing runs, can start, or will be tried later."""
    night = world.nightly
    runs = (*living_runs(world), *((night.run,) if night is not None and night.is_running else ()))
    if plan_launch(world):
        return Outlook(runs=runs, seconds=_AT_ONCE)
    if runs or moving(world) or _will_plan(world) or _is_held(world):
        return Outlook(runs=runs, seconds=longest)
    return Outlook(runs=(), seconds=longest, over=_why_over(world))


def _is_held(world: World) -> bool:
    """Tell whether ready tasks wait for nothing but a provider, or for another day."""
    if dispatch_gate(world) or not held_back(world, worker_roles(world.config)):
        return False
    return bool(frontier(replace(world, backoffs={}, spent_today=Spent()), 1)[0])


def _will_plan(world: World) -> bool:
    """Tell whether a planner will be tried by itself later: once a back-off, or a node's own rest, is over."""
    if world.graph is None or not world.config.generate or dispatch_gate(world) or not seats(world):
        return False
    if not world.config.runner_of(Role.PLANNER):
        return False
    nodes = eligible(world.graph, world.passed, world.node_blocked)
    if no_planner(world):
        return bool(nodes)
    return any(_rests(world, node) for node in nodes)


def _rests(world: World, node: Node) -> bool:
    note = world.plan_notes.get(node.id)
    if note is None or note.is_parked or world.now >= note.until:
        return False
    return not why_not(replace(world, now=note.until), node)


def _why_over(world: World) -> str:
    if gate := dispatch_gate(world):
        return gate
    if world.graph_error:
        return f"the planning graph cannot be used: {world.graph_error}"
    if world.graph is not None and world.graph.nodes and is_complete(world.graph, world.passed):
        return "every node of the graph is complete"
    left = [task for task in world.tasks if task.status is not Status.BLOCKED]
    if left:
        return f"nothing can go on by itself; {len(left)} tasks wait"
    if world.graph is not None:
        open_now = eligible(world.graph, world.passed, world.node_blocked)
        waits = [(node.id, why) for node in open_now if (why := state_of(world, node))]
        if waits:
            return f"nothing can go on by itself; node {waits[0][0]}: {waits[0][1]}"
    return "nothing is left to do"

"""One node planned in the foreground: cycles filtered to it, until its batch is taken in, refused or not to be had."""

from __future__ import annotations

from gluerun.core.graph import eligible
from gluerun.core.launch import dispatch_gate
from gluerun.core.limits import allowance
from gluerun.core.planners import no_planner, why_not
from gluerun.errors import UsageError
from gluerun.loop.hosting import new_origin_run
from gluerun.loop.nodes import GRAPH
from gluerun.loop.observe import observe
from gluerun.loop.planning import planner_prompt
from gluerun.loop.reconcile import cycle, turn
from gluerun.records.config import PlanCritiqueMode
from gluerun.records.dispatch import Outcome, Role
from gluerun.records.planning import PlanCritique
from gluerun.records.proposal import TaskBatch
from gluerun.records.record import record
from gluerun.records.spent import Spent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.loop.auto import Tell
    from gluerun.loop.house import House
    from gluerun.loop.report import CycleReport
    from gluerun.records.graph import Node

_PATIENCE = 2.0


@record
class PlannedTask:
    """One proposed task: the id that its planner gave it, the one it has now if it was taken in, and its text."""

    proposed: str
    title: str
    markdown: str
    task_id: str | None = None


@record
class Plotted:
    """What `gluerun plan NODE` answers. `outcome` is imported, empty, refused, parked, held, failed or dry-run."""

    SCHEMA = "plan.v0"

    node: str
    outcome: str
    reason: str = ""
    run: str | None = None
    tasks: tuple[PlannedTask, ...] = ()
    critique: str | None = None
    prompt: str = ""
    runner: str = ""
    critic: str = ""
    limits: dict[str, float] = {}  # noqa: RUF012 a default that is never changed


def foresee(house: House, name: str) -> Plotted:
    """Say what planning a node would take: whether it may be planned, by whom, under which limits, and the prompt."""
    world = observe(house, new_origin_run(house)).world
    node = _node(world, name)
    why = _obstacle(world, node)
    config = world.config
    runner = config.runners.get(config.runner_of(Role.PLANNER))
    limits = allowance(runner, config, Role.PLANNER, Spent()).limits if runner else None
    asked = {name: getattr(limits, name) for name in ("usd", "tokens", "turns", "seconds")} if limits else {}
    return Plotted(
        node=name,
        outcome="dry-run",
        reason=why,
        prompt=planner_prompt(house, node, world),
        runner=config.runner_of(Role.PLANNER),
        critic=config.runner_of(Role.CRITIC) if config.plan_critique is PlanCritiqueMode.ON else "",
        limits={key: float(value) for key, value in asked.items() if value is not None},
    )


def plot(house: House, name: str, *, tell: Tell | None = None) -> Plotted:
    """Plan a node now, whatever it rests for, and return what came of it; UsageError where it cannot be planned."""
    world = observe(house, new_origin_run(house)).world
    node = _node(world, name)
    if why := _obstacle(world, node):
        raise UsageError(f"node {name!r} may not be planned: {why}", "`gluerun status` shows where it stands")
    run_id = ""
    took: tuple[CycleReport, World] | None = cycle(house, "plan", node=name)
    while True:
        if took is not None:
            report, world = took
            if tell is not None:
                tell(report, world)
            lease = next((one for one in world.node_leases if one.node == name), None)
            if lease is None or run_id not in ("", lease.run_id):
                break  # it is over; whoever holds the node now was started by somebody else
            run_id = lease.run_id
            house.doors.watch.wait((run_id,), _PATIENCE)
        took = turn(house, lambda: cycle(house, "plan", node=name, starts=False))
    if not run_id:
        raise UsageError(f"node {name!r} was not planned", "`gluerun status` shows where it stands")
    return _result(house, name, run_id)


def _node(world: World, name: str) -> Node:
    if world.graph is None:
        raise UsageError(world.graph_error or f"there is no {GRAPH}", "type `gluerun validate-dag`", file=GRAPH)
    node = next((one for one in world.graph.nodes if one.id == name), None)
    if node is None:
        from gluerun.settings_walk import nearest

        hint = nearest(name, [one.id for one in world.graph.nodes]) if world.graph.nodes else f"add it to {GRAPH}"
        raise UsageError(f"there is no node {name!r} in the planning graph", hint, file=GRAPH)
    return node


def _obstacle(world: World, node: Node) -> str:
    """Say why a node cannot be planned even if a person asks for it; empty if it can."""
    if gate := dispatch_gate(world):
        return gate
    if node.id in world.passed:
        return "it is complete"
    if node.id in world.node_blocked:
        return world.node_words.get(node.id, "its gate file blocks it")
    if world.graph is None or node not in eligible(world.graph, world.passed, world.node_blocked):
        return f"it waits for {', '.join(need for need in node.depends_on if need not in world.passed)}"
    return why_not(world, node, asked=True) or no_planner(world, asked=True)


def _result(house: House, name: str, run_id: str) -> Plotted:
    store = house.store
    ending = store.ending(run_id)
    note = store.plan_notes().get(name)
    batch = store.known(TaskBatch, run_id, "batch.json")
    ids = store.final_ids(run_id) or {}
    critique = store.known(PlanCritique, run_id, "plan-critique.json")
    tasks = tuple(
        PlannedTask(
            proposed=one.task_id,
            title=one.markdown.partition("\n")[0].partition(": ")[2],
            markdown=one.markdown,
            task_id=ids.get(one.task_id),
        )
        for one in (batch.tasks if batch else ())
    )
    outcome, reason = "failed", ending.reason if ending else "the planner vanished"
    is_planned = ending is not None and ending.outcome is Outcome.PLANNED
    if ids:
        outcome, reason = "imported", ""
    elif is_planned and note is not None and note.run_id == run_id:
        outcome, reason = "parked" if note.is_parked else "refused", note.reason
    elif ending is not None and ending.held is not None:
        outcome = "held"
    elif is_planned and batch is not None and not batch.tasks:
        outcome, reason = "empty", "nothing to propose"
    said = f"{critique.verdict}: {critique.rationale}" if critique else None
    return Plotted(node=name, outcome=outcome, reason=reason, run=run_id, tasks=tasks, critique=said)

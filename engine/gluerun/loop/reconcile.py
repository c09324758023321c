"""A cycle: for each phase look, think, act, tell. It returns in seconds and is called again."""

from __future__ import annotations

from gluerun.core.actions import Admit, subjects
from gluerun.core.intake import plan_intake, plan_orders
from gluerun.core.launch import plan_launch, plan_promotion
from gluerun.core.outlook import living_runs, moving
from gluerun.core.plan import DRAINING, PHASES, plan_asking, plan_cycle, plan_landing, plan_remote
from gluerun.core.planners import plan_asked
from gluerun.core.recovery import plan_recovery
from gluerun.errors import BusyError, OtherHostError
from gluerun.loop.hosting import claim, holder, new_origin_run, take_over
from gluerun.loop.importing import finish_imports
from gluerun.loop.observe import observe
from gluerun.loop.publishing import publish, rebuild
from gluerun.loop.report import Notes, line_of, merged, report_of, write_snapshot
from gluerun.loop.upkeep import bound_log, give_way, sweep_inputs, upkeep, watch_disk
from gluerun.records.config import IntegrationMode
from gluerun.records.origin import Circuit
from gluerun.records.record import replace
from gluerun.records.task import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gluerun.core.actions import Action
    from gluerun.core.chain import Fault
    from gluerun.core.plan import Phase
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.observe import Look
    from gluerun.loop.report import CycleReport
    from gluerun.records.origin import CycleMemory
    from gluerun.records.resident import Notices
    from gluerun.records.task import Task

    Afford = Callable[[list[Action]], list[Action]]

MODES: dict[str, tuple[Phase, ...]] = {
    "orders": (),
    "apply": (plan_intake, plan_recovery),
    "recover": (plan_recovery,),
    "drain": DRAINING,
    "integrate": (plan_recovery, plan_asking, plan_remote, plan_landing),
    "plan": (plan_intake, plan_recovery),
    "promote": (plan_intake, plan_recovery, plan_promotion),
    "actuate": PHASES,
}
# A phase is planned again while it gets somewhere; this many rounds are more than any backlog needs.
_MAX_ROUNDS = 10_000
# Somebody else's cycle takes a moment; who is in the middle of something waits for its turn.
_BUSY_SLEEP = 0.5


def plan(house: House) -> CycleReport:
    """Say what a cycle would do, and change nothing; no lock is taken."""
    world = observe(house, new_origin_run(house)).world
    lines = [line_of(action) for action in plan_cycle(world)]
    return replace(report_of(world, "plan", lines, Notes()), quiet=not lines)


def reconcile(house: House, mode: str) -> CycleReport:
    """Run one cycle of *mode*; where dispatch is not detached, also wait for what it started."""
    report, _ = cycle(house, mode)
    if mode == "actuate" and not house.config.detached_dispatch:
        return merged(report, drain(house))
    return report


def turn(house: House, take: Callable[[], tuple[CycleReport, World]]) -> tuple[CycleReport, World] | None:
    """Run a cycle as *take* does; None, a moment later, while somebody else's is at work.

    For who has begun something: that another cycle came between is no reason to leave it.
    """
    try:
        return take()
    except OtherHostError:
        raise
    except BusyError:
        house.doors.watch.wait((), _BUSY_SLEEP)
        return None


def cycle(
    house: House,
    mode: str,
    *,
    only: str | None = None,
    afford: Afford | None = None,
    node: str | None = None,
    starts: bool = True,
) -> tuple[CycleReport, World]:
    """Run one cycle of *mode* under the origin lock; with *only*, for one task. BusyError if it is held.

    *afford* is asked which starts the budget of a resident loop has room for. With *node* it is for the plan of one
    node, whose planner it *starts*.
    """
    origin_run = new_origin_run(house)
    unseen = _look_out(house) if plan_remote in MODES[mode] else ""
    with house.doors.locks.origin(holder(house, origin_run)):
        claim(house)
        give_way(house)
        bound_log(house)
        with house.doors.locks.git():
            if house.doors.git.finish_landing():
                house.tell("integration.followed", "a landing that a crash cut in two was finished")
        house.store.sweep()
        house.journal.mend(house.now())
        rebuild(house)
        finish_imports(house)
        sweep_inputs(house)
        notes = Notes()
        notes.trouble += [unseen] if unseen else []
        notes.sends = plan_remote in MODES[mode] and not unseen
        look = observe(house, origin_run)
        # What a person ordered comes first in every mode, and one that a crash cut off before anything else moves.
        look = _run_phase(house, look, plan_orders, notes)
        # Who takes nothing in must not tell the next cycle that the folder has been seen.
        notes.has_seen_inputs = plan_intake in MODES[mode] and only is None and node is None
        phases = MODES[mode] if node is None else _for_node(MODES[mode], node, starts=starts)
        for phase in phases:
            if phase is plan_launch:
                look = _count_failures(house, look, notes)
            look = _run_phase(house, look, _within(_only(phase, only), afford), notes)
        if look.world.outside is not None:
            from gluerun.loop.outside import agree

            agree(house, look.world)
        memory = watch_disk(house, look.world, publish(house, look.memory, look.world, notes))
        if mode != "orders":
            memory = upkeep(house, look.world, memory, notes)
        _remember(house, replace(look, memory=memory), notes)
        if plan_launch not in MODES[mode]:
            look = _count_failures(house, look, notes)
        write_snapshot(house, look.world)
        notices = _write_down(house, look.world)
        house.journal.flush()
        house.anchor()
        is_due = mode != "orders" and house.config.push and _is_push_due(house)
    if house.config.integration.mode is IntegrationMode.PULL_REQUEST:
        if house.config.push and mode != "orders":
            from gluerun.loop.proposing import make_requests  # most repositories land by themselves

            make_requests(house, look.world, origin_run, notes)
    elif is_due:
        from gluerun.loop.outside import push  # only what has landed is pushed

        push(house, look.world, origin_run, notes)
    if notices is not None and notices.due:
        from gluerun.loop.telling import tell_needs

        tell_needs(house, origin_run, notices)
    return report_of(look.world, mode, notes.lines, notes), look.world


def _write_down(house: House, world: World) -> Notices | None:
    """Write down what a person is to be told; None if nobody wants to be told anything."""
    if not house.config.notifies:
        return None
    from gluerun.loop.telling import write_down  # a cycle that has nobody to tell needs no words

    return write_down(house, world)


def mend_journal(house: House) -> Fault | None:
    """Cut off what a crash tore of the journal, and let no broken chain go on unsaid; return where it breaks."""
    with house.doors.locks.origin(holder(house, new_origin_run(house))):
        found = house.journal.note_break(house.now())
        house.anchor()
        return found


def move_in(house: House, *, force: bool) -> None:
    """Make the state folder of another machine this one's; BusyError if somebody may be at work there."""
    with house.doors.locks.origin(holder(house, new_origin_run(house))):
        take_over(house, force=force)
        house.journal.flush()


def drain(house: House, *, mode: str = "drain", timeout: float = 0) -> CycleReport:
    """Run cycles without planning or dispatch until no run lives and nothing accepted moves by itself.

    *timeout* in seconds, zero for never; a report that ran into it says `timed_out`.
    """
    started = house.doors.clock.awake()
    total, world = cycle(house, mode)
    while (runs := living_runs(world)) or _is_moving(world, mode):
        if timeout and house.doors.clock.awake() - started >= timeout:
            return replace(total, timed_out=True)
        house.doors.watch.wait(runs, house.config.drain_poll_secs)
        if (took := turn(house, lambda: cycle(house, mode))) is not None:
            report, world = took
            total = merged(total, report)
    return total


def _is_moving(world: World, mode: str) -> bool:
    if mode == "integrate":
        world = replace(world, config=replace(world.config, auto_integrate=True))
    return bool(moving(world))


def _look_out(house: House) -> str:
    """Look at the remote before anything is decided, where something may land or leave; say why it cannot be seen."""
    if not house.config.push:
        return ""
    from gluerun.loop.outside import look_out  # where nothing is pushed, none of it is needed

    return look_out(house)


def _is_push_due(house: House) -> bool:
    """Tell whether anything is left to push."""
    if not house.store.memory().push_due:
        return False
    from gluerun.loop.outside import is_due  # only what has landed is pushed

    return is_due(house)


def _run_phase(house: House, look: Look, phase: Phase, notes: Notes) -> Look:
    """Plan, act, and look again until the phase has nothing left that gets anywhere."""
    for _ in range(_MAX_ROUNDS):
        actions = phase(look.world)
        if not actions:
            return look
        from gluerun.loop.actuate import actuate  # a cycle that finds nothing needs no hands

        progress = False
        for action in actions:
            notes.act(action)
            progress = actuate(house, look.world, action, notes) or progress
        house.journal.flush()
        _remember(house, look, notes)
        look = observe(house, look.world.origin_run)
        if not progress or phase is plan_launch:
            return look
    return look


def _only(phase: Phase, task_id: str | None) -> Phase:
    """Return *phase* as it is for one task: what others would do is left out, what they hold is not.

    Whose candidate is in the merge queue already goes on with it: they may stand one upon another.
    """
    if task_id is None:
        return phase

    def filtered(world: World) -> list[Action]:
        others = {one.task_id for one in world.tasks if one.task_id != task_id and _has_not_begun(world, one)}
        tasks = tuple(task for task in world.tasks if task.task_id not in others)
        allowed = (task_id, *(task.task_id for task in tasks if task.status is Status.ACCEPTED))
        return [action for action in phase(replace(world, tasks=tasks)) if set(subjects(action)) & set(allowed)]

    return filtered


def _has_not_begun(world: World, task: Task) -> bool:
    if task.status is Status.ACCEPTED:
        return task.proof is None
    return task.status is Status.READY and world.lease(task.task_id) is None


def _for_node(phases: tuple[Phase, ...], node: str, *, starts: bool) -> tuple[Phase, ...]:
    """Return *phases* as they are for the planning of one node and, if it *starts*, the one that asks its planner."""

    def filtered(phase: Phase) -> Phase:
        def one(world: World) -> list[Action]:
            return [action for action in phase(world) if _is_of(action, node)]

        return one

    def start(world: World) -> list[Action]:
        return plan_asked(world, node)

    return (*map(filtered, phases), *((start,) if starts else ()))


def _is_of(action: Action, node: str) -> bool:
    if isinstance(action, Admit):
        return action.file.spec.dag_node == node
    return getattr(action, "node", None) == node


def _within(phase: Phase, afford: Afford | None) -> Phase:
    """Return *phase* without the starts that a resident loop cannot afford."""
    if afford is None or phase is not plan_launch:
        return phase
    return lambda world: afford(phase(world))


def _remember(house: House, look: Look, notes: Notes) -> None:
    """Write what the next cycle may skip, if it is any different."""
    before = house.store.memory()
    after = _memory(look.memory, look.world, notes)
    if after != before or not house.store.has_memory():
        house.store.put_memory(after)


def _memory(memory: CycleMemory, world: World, notes: Notes) -> CycleMemory:
    node_tasks = dict(memory.node_tasks)
    for node, ids in notes.node_tasks.items():
        node_tasks[node] = tuple(dict.fromkeys([*node_tasks.get(node, ()), *ids]))
    return replace(
        memory,
        tasks_folder=memory.tasks_folder if notes.has_seen_inputs else "",
        refused=memory.refused | notes.refused,
        refusals=memory.refusals | notes.refusals,
        next_task=max(memory.next_task, world.next_task, notes.next_task),
        next_approval=max(memory.next_approval, world.next_approval, notes.next_approval),
        node_tasks=node_tasks,
        exhausted=memory.exhausted | notes.exhausted,
        held=memory.held | notes.held_nodes,
        green_head=notes.green_head or ("" if notes.is_green_unproved else memory.green_head),
        green_run=notes.green_run or memory.green_run,
        red_head=notes.red_head or memory.red_head,
        push_due=memory.push_due or bool(notes.integrated) or notes.has_reverted,
    )


def _count_failures(house: House, look: Look, notes: Notes) -> Look:
    """Keep the breaker's count: durable progress resets it, failures without progress add up.

    It is counted before anybody is started, so that the last failure opens the breaker and not the next one.
    """
    circuit = look.world.circuit
    before = circuit.consec_fails if circuit else 0
    after = 0 if notes.has_progressed else before + notes.failures
    if after == before:
        return look
    circuit = Circuit(consec_fails=after, updated_at=house.now())
    house.store.put_circuit(circuit)
    return replace(look, world=replace(look.world, circuit=circuit))

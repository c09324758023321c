"""Doors → World: one look at everything that a cycle may know. A broken file becomes a sighting of one."""

from __future__ import annotations

import re

from gluerun.core import graph as graphs
from gluerun.core.batches import mentions
from gluerun.core.gates import held_mark
from gluerun.core.masking import found_in
from gluerun.core.world import Input, Sighting, World
from gluerun.errors import ConfigError, GluerunError, SchemaError, StateError
from gluerun.loop.nodes import GRAPH, NodeState, node_view, read_graph, red_proof
from gluerun.records import names, taskfile
from gluerun.records.config import IntegrationMode
from gluerun.records.dispatch import Life, Outcome
from gluerun.records.gate import proof_wanted
from gluerun.records.origin import CycleMemory
from gluerun.records.paths import ORCHESTRATION
from gluerun.records.proposal import TaskBatch
from gluerun.records.record import record, replace
from gluerun.records.runner import Limits
from gluerun.records.spent import Spent
from gluerun.records.task import ProofState, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from gluerun.loop.house import House
    from gluerun.loop.nodes import NodeView
    from gluerun.ports import FileMark
    from gluerun.records.approval import Approval
    from gluerun.records.graph import Graph
    from gluerun.records.order import Order
    from gluerun.records.task import Task

TASKS = f"{ORCHESTRATION}/tasks"
TASK_FILE = re.compile(r"^(TASK-[0-9]{4,12})(?:[.-].*)?\.md$")
# A folder that changed this recently may change again without its time stamp showing it.
_SETTLED_NS = 2_000_000_000


NO_LIMITS, NOTHING = Limits(), Spent()
# In the place of a mark: what lies there under the name of a task file, and cannot be read.
_UNREADABLE = "0:0:0"


@record
class Look:
    """A World, and what the next look may skip because of it."""

    world: World
    memory: CycleMemory


def observe(house: House, origin_run: str, *, also: Order | None = None) -> Look:
    """Look at the whole repository once; *also* is an order that nobody has written down yet."""
    store, git = house.store, house.doors.git
    memory = _without_mended(house, store.memory())
    tasks, broken = store.live_tasks()
    leases, more = store.leases()
    node_leases, yet_more = store.node_leases()
    orders, bad_orders = store.orders()
    approvals, bad_approvals = store.approvals()
    orders += [also] if also is not None else []
    by_id = {task.task_id: task for task in tasks}
    inputs, folder_mark = _inputs(house, by_id, memory)
    graph, graph_error = _graph(house)
    gates = _gates(house, graph)
    branches = [task.spec.worker_branch for task in tasks if task.status is Status.ACCEPTED or task.run_id]
    red, night = store.red_main(), store.nightly()
    runs = [lease.run_id for lease in leases] + [lease.run_id for lease in node_leases]
    runs += [task.proof.run_id for task in tasks if task.proof and task.proof.run_id]
    runs += [probe.run_id for probe in (red.probes if red is not None else ())]
    runs += [night.run] if night is not None and night.is_running else []
    sightings = {run_id: _sighting(house, run_id) for run_id in runs}
    heads = git.heads([house.config.target_branch, *branches])
    target = heads.pop(house.config.target_branch, None)
    world = World(
        now=house.now(),
        config=house.config,
        origin_run=origin_run,
        boot_id=house.doors.clock.boot_id(),
        target_head=target,
        tasks=tuple(sorted(tasks, key=lambda task: (len(task.task_id), task.task_id))),
        done=_done(house, by_id, inputs, orders, sightings),
        leases=tuple(leases),
        node_leases=tuple(node_leases),
        sightings=sightings,
        branch_heads=heads,
        landed=_landed(house, tasks, target),
        inputs=inputs,
        broken=(*broken, *more, *yet_more, *bad_orders, *bad_approvals),
        graph=graph,
        graph_error=graph_error,
        passed=frozenset(one.node for one in gates if one.state is NodeState.PASSED),
        node_blocked=frozenset(one.node for one in gates if one.state is NodeState.BLOCKED),
        node_words={one.node: one.reason for one in gates},
        red_proofs=_red_proofs(house, graph),
        plan_notes=store.plan_notes() if graph else {},
        node_tasks=memory.node_tasks,
        exhausted=frozenset(node for node, head in memory.exhausted.items() if head == target),
        green_tree=target is not None and memory.green_head == target,
        red_tree=target is not None and memory.red_head == target,
        red_main=red,
        nightly=night,
        unsure=_unsure(house, tasks),
        held=_held(house, memory, target),
        stop=store.is_stopped(),
        circuit=store.circuit(),
        queue_state=store.queue_state(),
        flakes=store.flakes(),
        backoff=store.backoff(),
        backoffs=store.backoffs(),
        spent_today=_spent_today(house),
        free_bytes=house.doors.state.free_bytes(),
        next_task=_next_task(memory, by_id, inputs),
        orders=tuple(orders),
        approvals=tuple(approvals),
        next_approval=_next_approval(memory, approvals),
    )
    if house.config.push:
        from gluerun.loop.outside import see  # where nothing is pushed, none of it is needed

        outside = see(house, target, tasks)
        sent = _landed(house, tasks, outside.head) if outside is not None and outside.is_behind else ()
        world = replace(world, outside=outside, sent=frozenset(sent), push_backoff=store.push_backoff())
    if graph is not None and any(node.human_gate for node in graph.nodes):
        from gluerun.loop.humangates import with_gates  # where nobody is asked, none of it is needed

        world = with_gates(world, graph, house.doors.work.read)
    if world.asks_people:
        from gluerun.loop.approving import facts  # where nobody is asked, none of it is needed

        world = replace(world, facts=facts(house, world))
    return Look(world=world, memory=_with_folder(memory, folder_mark))


def _unsure(house: House, tasks: list[Task]) -> frozenset[str]:
    """Return the tasks with a red candidate whose base may be red itself."""
    if not any(task.proof is not None and task.proof.state is ProofState.RED for task in tasks):
        return frozenset()
    from gluerun.loop.repairing import unsure  # a cycle in which nothing is red needs none of it

    return unsure(house, tasks)


def _spent_today(house: House) -> Spent:
    """Return what was used today, where that matters."""
    if house.config.limits_day == NO_LIMITS:
        return NOTHING
    from gluerun.loop.booking import spent_today  # only a limit for the day needs it

    return spent_today(house)


def mark_text(mark: FileMark) -> str:
    """Return a file's mark as one word."""
    return f"{mark.mtime_ns}:{mark.size}:{mark.inode}"


def _held(house: House, memory: CycleMemory, target: str | None) -> dict[str, str]:
    """Return the nodes that modules hold back; a new target, and another list of modules, are looked at anew."""
    mark = held_mark(house.config, target or "")
    told = {node: words.partition("\n") for node, words in memory.held.items()}
    return {node: why for node, (seen, _, why) in told.items() if seen == mark}


def _with_folder(memory: CycleMemory, mark: str) -> CycleMemory:
    return replace(memory, tasks_folder=mark)


def _without_mended(house: House, memory: CycleMemory) -> CycleMemory:
    """Return *memory* without the refusals of files that have changed since, or are gone."""
    still = {path for path, before in memory.refused.items() if _mark_of(house, path, before) == before}
    return replace(
        memory,
        refused={path: mark for path, mark in memory.refused.items() if path in still},
        refusals={path: why for path, why in memory.refusals.items() if path in still},
        # An edit in place does not show in the folder, and a refused file has no task to be looked for.
        tasks_folder=memory.tasks_folder if len(still) == len(memory.refused) else "",
    )


def _inputs(house: House, living: dict[str, Task], memory: CycleMemory) -> tuple[tuple[Input, ...], str]:
    """Return the task files that are new or changed, reading no file that has not."""
    folder = house.doors.work.mark(TASKS)
    if folder is None:
        return (), ""
    text = mark_text(folder)
    if text == memory.tasks_folder:
        sources = [task.source_path for task in living.values() if task.source_path]
        paths: Iterable[str] = [*sources, *(path for path in memory.refused if path not in sources)]
    else:
        paths = [f"{TASKS}/{name}" for name in house.doors.work.names(TASKS) if TASK_FILE.match(name)]
    known = {task.source_path: task.source_mark for task in living.values()} | memory.refused
    found = [one for path in paths if (one := _input(house, path, known, living))]
    is_settled = house.now().timestamp() * 1e9 - folder.mtime_ns > _SETTLED_NS
    return tuple(found), text if is_settled else ""


def _input(house: House, path: str, known: dict[str, str], living: dict[str, Task]) -> Input | None:
    task_id = _id_of(path)
    mark = _mark_of(house, path, known.get(path, ""))
    if not mark or known.get(path) == mark:
        return None
    if task_id not in living and house.store.is_settled(task_id):
        return None
    try:
        data = house.doors.work.read(path)
        if data is None:
            return _unreadable(path, f"{path} leads nowhere")
        if house.config.look_for_secrets and found_in(data):
            return _with_secret(path, mark, data.decode("utf-8", "replace"))
        file = taskfile.parse(data.decode("utf-8"), house.config, file=path)
    except UnicodeDecodeError:
        return Input(path=path, mark=mark, error=f"{path}: not readable as UTF-8")
    except (ConfigError, SchemaError) as error:
        return Input(path=path, mark=mark, error=error.message, hint=error.hint)
    except StateError as error:
        return _unreadable(path, error.message)
    if file.spec.task_id != task_id:
        return Input(path=path, mark=mark, error=f"{path}: its heading names {file.spec.task_id}")
    return Input(path=path, mark=mark, task_id=task_id, file=file)


def _mark_of(house: House, path: str, before: str) -> str:
    """Return the mark of a task file, empty if it is gone; what nobody could read is tried again each time."""
    work = house.doors.work
    try:
        if (mark := work.mark(path)) is None:
            # A link to nowhere is there, and nothing tells one version of it from another.
            return _UNREADABLE if work.is_link(path) and not work.is_link(TASKS) else ""
        if before == _UNREADABLE:
            work.read(path)  # a permission that was given leaves no mark
    except StateError:
        return _UNREADABLE
    return mark_text(mark)


def _unreadable(path: str, why: str) -> Input:
    hint = "a task is a plain file that can be read; move what else lies there out of the way, or give it another name"
    return Input(path=path, mark=_UNREADABLE, error=why, hint=hint)


def _with_secret(path: str, mark: str, text: str) -> Input:
    from gluerun.core.secrets import in_text

    hit = in_text(text)
    place = f"{path}:{hit.line}" if hit else path
    hint = "a task goes into prompts and published records; name where the agent finds it, not the secret itself"
    kind = hit.kind if hit else "secret"
    return Input(path=path, mark=mark, error=f"{place}: this looks like a secret ({kind})", hint=hint)


def _id_of(path: str) -> str:
    found = TASK_FILE.match(path.rsplit("/", 1)[-1])
    return found[1] if found else ""


def _done(
    house: House,
    living: dict[str, Task],
    inputs: tuple[Input, ...],
    orders: list[Order],
    sightings: dict[str, Sighting],
) -> dict[str, Status]:
    """Return the settled tasks that living, new or proposed ones depend on or would replace, and those of orders."""
    wanted = {need for task in living.values() for need in task.spec.depends_on}
    for one in inputs:
        if one.file:
            wanted.update((one.task_id, *one.file.spec.depends_on))
    for seen in sightings.values():
        wanted |= mentions(seen.batch) if seen.batch else set()
    wanted.update(str(word) for order in orders for word in (order.subject, order.arguments.get("by")) if word)
    done = {}
    for task_id in sorted(wanted - living.keys()):
        if names.is_task(task_id) and (task := _settled(house, task_id)):
            done[task_id] = task.status
    return done


def _settled(house: House, task_id: str) -> Task | None:
    try:
        return house.store.settled_task(task_id)
    except GluerunError:
        return None


def _sighting(house: House, run_id: str) -> Sighting:
    store = house.store
    ending = store.ending(run_id)
    if ending is None:
        life = house.doors.processes.life(run_id)
        # It may have ended between the two looks; what it wrote last decides.
        ending = store.ending(run_id) if life is not Life.ALIVE else None
    else:
        life = Life.DEAD
    batch = None
    if ending is not None and ending.outcome is Outcome.PLANNED:
        batch = store.known(TaskBatch, run_id, "batch.json")
    return Sighting(
        run_id=run_id,
        life=life,
        was_asked=store.was_asked(run_id),
        signed_in=store.has_signed_in(run_id),
        ending=ending,
        age=_age(house, run_id) if life is not Life.DEAD else None,
        tries=store.tries_begun(run_id) if ending is None else ending.tries,
        batch=batch,
        final_ids=store.final_ids(run_id) if batch else None,
    )


def _age(house: House, run_id: str) -> int | None:
    """Return for how many seconds of this boot a run has been awake; None if that cannot be told."""
    who = house.store.identity(run_id)
    if who is None or who.awake is None or who.boot_id != house.doors.clock.boot_id():
        return None
    age = house.doors.clock.awake() - who.awake
    return age if age >= 0 else None  # a container may count for itself


def _landed(house: House, tasks: list[Task], target: str | None) -> dict[str, str]:
    """Return the tasks whose candidate is in the target branch although their record does not say so.

    With a candidate everything that it stands on has landed, so that few have to be looked for.
    """
    links = {task.proof.candidate: task for task in tasks if task.proof and task.status is Status.ACCEPTED}
    bases = {task.proof.target_head for task in links.values() if task.proof}
    found: dict[str, str] = {}
    for tip in links.keys() - bases:
        line: list[Task] = []
        at = tip
        while at in links and links[at].task_id not in found:
            line.append(links[at])
            proof = links[at].proof
            at = proof.target_head if proof else ""
        if target is None or at == target:
            continue  # it stands on the target's head: nothing of it has landed
        for task in line:
            candidate = task.proof.candidate if task.proof else ""
            if candidate == target or house.doors.git.contains(target, candidate):
                found |= {one.task_id: one.proof.candidate for one in line[line.index(task) :] if one.proof}
                break
    if target is not None and house.config.integration.mode is IntegrationMode.PULL_REQUEST:
        from gluerun.loop.proposing import merged_elsewhere  # most repositories land by themselves

        found |= merged_elsewhere(house, [task for task in tasks if task.status is Status.ACCEPTED], target)
    return found


def _graph(house: House) -> tuple[Graph | None, str]:
    try:
        graph = read_graph(house.doors.work.read)
    except SchemaError as error:
        return None, error.message
    faults = graphs.faults(graph) if graph else []
    return (None, f"{GRAPH}: {faults[0]}") if faults else (graph, "")


def _gates(house: House, graph: Graph | None) -> list[NodeView]:
    """Return what the gate file of each node says."""
    return [node_view(house.doors.work.read, node, house.config) for node in (graph.nodes if graph else ())]


def _red_proofs(house: House, graph: Graph | None) -> frozenset[str]:
    """Return the nodes of proof layers whose red proof lies ready."""
    wanted = [node.id for node in graph.nodes if proof_wanted(node.layer, node.id, house.config)] if graph else []
    return frozenset(name for name in wanted if red_proof(house.doors.work.read, name) is not None)


def _next_approval(memory: CycleMemory, approvals: list[Approval]) -> int:
    return max([memory.next_approval, *(int(one.id.removeprefix("APR-")) + 1 for one in approvals)])


def _next_task(memory: CycleMemory, living: dict[str, Task], inputs: tuple[Input, ...]) -> int:
    numbers = [int(task_id.removeprefix("TASK-")) for task_id in living]
    numbers += [int(one.task_id.removeprefix("TASK-")) for one in inputs if one.task_id]
    return max([memory.next_task, *(number + 1 for number in numbers)])

"""A planner's batch: why it is refused, and its tasks under the ids that they get for good."""

from __future__ import annotations

import re

from gluerun.core import graph, scope
from gluerun.errors import ConfigError
from gluerun.records import taskfile
from gluerun.records.paths import covers
from gluerun.records.task import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.records.lease import NodeLease
    from gluerun.records.proposal import TaskBatch
    from gluerun.records.taskfile import TaskFile


_MENTION = re.compile(r"\bTASK-[0-9]{4,12}\b")


def mentions(batch: TaskBatch) -> set[str]:
    """Return the ids of the tasks that a batch speaks of, and may depend on."""
    return {name for one in batch.tasks for name in _MENTION.findall(one.markdown)}


def final_ids(batch: TaskBatch, world: World) -> dict[str, str]:
    """Return the id that each task of a batch gets for good, by its temporary one; ids are never reused."""
    return {one.task_id: f"TASK-{world.next_task + place:04d}" for place, one in enumerate(batch.tasks)}


def numbered(batch: TaskBatch, node: str, final: dict[str, str]) -> dict[str, str]:
    """Return the batch's Markdown by final id.

    Only ids that the batch itself defines are replaced, so a real mention of another task survives.
    """
    pattern = re.compile("|".join(rf"\b{re.escape(old)}\b" for old in final))
    texts = {}
    for one in batch.tasks:
        text = pattern.sub(lambda found: final[found[0]], one.markdown)
        if not re.search(r"^DAG node:", text, re.MULTILINE):
            text = re.sub(r"^(# TASK-.*)$", rf"\1\n\nDAG node: {node}", text, count=1, flags=re.MULTILINE)
        texts[final[one.task_id]] = text if text.endswith("\n") else text + "\n"
    return texts


def files_of(batch: TaskBatch, node: str, world: World) -> dict[str, TaskFile]:
    """Return the batch's tasks, parsed under their final ids; ConfigError if one cannot be used."""
    return {
        task_id: taskfile.parse(text, world.config, file=f"proposal {task_id}")
        for task_id, text in numbered(batch, node, final_ids(batch, world)).items()
    }


def refusal(batch: TaskBatch, lease: NodeLease, world: World) -> str:
    """Say why a whole batch is refused; empty if it can be admitted."""
    ids = [one.task_id for one in batch.tasks]
    if lease.layer in world.config.single_slice_layers and len(ids) > 1:
        return f"it proposes {len(ids)} tasks, and layer {lease.layer!r} is worked on one task at a time"
    if len(set(ids)) != len(ids):
        return "an id stands twice"
    used = next((one for one in ids if int(one.removeprefix("TASK-")) < world.next_task), None)
    if used is not None:
        return f"{used} is not a temporary id: it is, or may have been, another task's"
    try:
        files = files_of(batch, lease.node, world)
    except ConfigError as error:
        return error.message
    return wrong_tasks(files, world, lease)


def wrong_tasks(files: dict[str, TaskFile], world: World, lease: NodeLease) -> str:
    """Say what is wrong with one of a planner's tasks, or with all of them together; empty if nothing is."""
    for task_id, file in files.items():
        if why := _not_its_own(task_id, file, lease) or wrong_task(task_id, file, files, world):
            return f"{task_id}: {why}"
    return in_a_circle(files)


def in_a_circle(files: dict[str, TaskFile]) -> str:
    """Say that tasks depend on each other in a circle; empty if they do not."""
    circle = graph.circle({task_id: file.spec.depends_on for task_id, file in files.items()})
    return f"tasks depend on each other in a circle: {' → '.join(circle)}" if circle else ""


def _not_its_own(task_id: str, file: TaskFile, lease: NodeLease) -> str:
    """Say what a planner may not propose for the node it was asked about."""
    spec = file.spec
    if spec.task_id != task_id:
        return f"its heading names {spec.task_id}"
    if file.status is not Status.READY or spec.dispatch_mode != "canonical":
        return "a proposed task is ready and canonical"
    if spec.dag_node != lease.node or spec.area != lease.area:
        return f"it belongs to {spec.dag_node} in {spec.area}, not to {lease.node} in {lease.area}"
    return outside(file, lease.allowed_write_scopes)


def outside(file: TaskFile, scopes: tuple[str, ...]) -> str:
    """Say which path of a task lies outside *scopes*; empty if none does, or if there are no scopes."""
    found = [path for path in file.spec.owned_files if not any(covers(entry, path) for entry in scopes)]
    return f"{found[0]} lies outside the area" if scopes and found else ""


def wrong_task(task_id: str, file: TaskFile, files: dict[str, TaskFile], world: World, *, disjoint: bool = True) -> str:
    """Say why a task cannot be taken in beside what there is; with *disjoint* those of a batch may not share files."""
    spec = file.spec
    own = next((path for path in spec.owned_files if scope.is_engines_own(path)), None)
    if own is not None:
        return f"{own} belongs to the engine"
    unknown = [one for one in spec.depends_on if one not in files and world.status_of(one) is None]
    if unknown:
        return f"it depends on {unknown[0]}, which nobody knows"
    for other_id, other in files.items() if disjoint else ():
        ordered = task_id in other.spec.depends_on or other_id in spec.depends_on
        if other_id != task_id and not ordered and scope.clashes(spec.owned_files, other.spec.owned_files):
            return f"it shares files with {other_id}, and neither depends on the other"
    twin = next((task for task in world.tasks if _is_same(task.spec.title, task.owned, file)), None)
    return f"it repeats the active {twin.task_id}" if twin and twin.status is not Status.BLOCKED else ""


def _is_same(title: str, owned: tuple[str, ...], file: TaskFile) -> bool:
    return title == file.spec.title and set(owned) == set(file.spec.owned_files)

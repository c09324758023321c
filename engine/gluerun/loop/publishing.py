"""What of the state outlives the state folder: published records of tasks, and how they come back.

The running truth is in the state folder; what is published is a projection of it. On a ref of its own that is one
commit a cycle at most, and only when something that matters has changed. A lost folder is rebuilt from what was
published and from the target's trailers.
"""

from __future__ import annotations

import hashlib

from gluerun.core import lifecycle
from gluerun.core.project_state import PAGE, on_page
from gluerun.core.recording import RECORD, living_path
from gluerun.errors import GluerunError
from gluerun.loop.house import CONTROL_REF
from gluerun.loop.recording import commit_records, digest, evidence, masked, state_of
from gluerun.loop.store import LIVE, memory_of
from gluerun.records import codec, names, schema
from gluerun.records.config import ControlState
from gluerun.records.paths import ARCHIVED, LIVING
from gluerun.records.record import replace
from gluerun.records.task import Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from gluerun.loop.house import House
    from gluerun.loop.report import Notes
    from gluerun.records.origin import CycleMemory

TRAILER = "Gluerun-Task"


def publish(
    house: House, memory: CycleMemory, living: tuple[Task, ...], passed: Iterable[str], notes: Notes
) -> CycleMemory:
    """Publish what has changed of the *living* tasks and the settled ones; return the memory that knows it.

    The page about the project is published with them, around what people wrote on it.
    """
    match house.config.control_state:
        case ControlState.REF:
            return _to_ref(house, memory, living, passed)
        case ControlState.BRANCH:
            return commit_records(house, memory, living, passed, notes)
        case ControlState.OFF:
            return memory


def _to_ref(house: House, memory: CycleMemory, living: tuple[Task, ...], passed: Iterable[str]) -> CycleMemory:
    """Publish on the ref; the copy of the page that people keep is not touched."""
    known = dict(memory.published)
    files: dict[str, bytes | None] = {}
    for task in living:
        if known.get(task.task_id) != (mark := digest(task)):
            known[task.task_id] = mark
            files |= _on_ref(house, task)
    for task_id in {*memory.published, *house.store.shelved} - {task.task_id for task in living}:
        settled = house.store.settled_task(task_id)
        known.pop(task_id, None)
        if settled is not None:
            files |= _on_ref(house, settled)
    text = state_of(living, passed)
    if (state := hashlib.sha256(text.encode()).hexdigest()) != memory.project_state and (files or memory.project_state):
        files[PAGE] = on_page(_page(house), text).encode()
    if not files:
        return memory
    named = sorted(path.split("/")[-1].removesuffix(".json") for path in files if is_record(path))
    message = f"state of {', '.join(named[:5]) or 'the project'}{' …' if len(named) > 5 else ''}"
    house.doors.git.publish(CONTROL_REF, files, message)
    house.store.shelved.clear()
    return replace(memory, published=known, project_state=state)


def _on_ref(house: House, task: Task) -> dict[str, bytes | None]:
    found = {evidence_path(task.task_id, name): data for name, data in evidence(house, task).items()}
    return {record_path(task.task_id): masked(task), **found}


def _page(house: House) -> str:
    head = house.doors.git.commit_of(f"refs/heads/{house.config.target_branch}")
    return (house.doors.git.file_at(head, PAGE) or b"").decode("utf-8", "replace") if head else ""


def rebuild(house: House) -> int:
    """Restore the records of a lost state folder; return how many came back. Nothing happens if it is there."""
    if not house.store.is_new():
        return 0
    published, place = _published(house)
    merged = house.doors.git.trailers(house.config.target_branch, TRAILER)
    found: dict[str, Task] = {}
    for path, data in published:
        try:
            task = schema.load(Task, data, file=path)
        except GluerunError as error:
            house.tell("state.not_rebuilt", error.message, path=path)
            continue
        # What a crash left half-restored is newer than what was published.
        found[task.task_id] = house.store.any_task(task.task_id) or task
    for task_id, commit in merged.items():
        if names.is_task(task_id):
            before = found.get(task_id) or house.store.any_task(task_id)
            found[task_id] = lifecycle.found_merged(task_id, before, commit, house.config, house.now())
    for task in found.values():
        house.store.put_task(task)
    if found:
        house.store.put_memory(memory_of(found.values()), durable=True)
    house.store.begin(codec.stamp(house.now()))
    if found:
        house.tell("state.rebuilt", f"{len(found)} tasks came back from {place} and the target's trailers")
    return len(found)


def _published(house: House) -> tuple[list[tuple[str, bytes]], str]:
    """Return the records that are published, those that win behind those that do not, and where they are.

    Evidence is not brought back: it stays where it can be looked at.
    """
    git = house.doors.git
    found = [one for one in git.published(CONTROL_REF).items() if is_record(one[0])]
    if house.config.control_state is not ControlState.BRANCH:
        return found, CONTROL_REF
    branch = f"refs/heads/{house.config.target_branch}"
    found += [*git.published(branch, LIVING, ending=".json").items()]
    return [*found, *git.published(branch, ARCHIVED, ending=f"/{RECORD}").items()], house.config.target_branch


def restore(house: House, path: str) -> bool:
    """Put the last published record of a task in the place of one that cannot be used, so that its epoch goes on."""
    task_id = path.rsplit("/", 1)[-1].removesuffix(".json")
    if not path.startswith(LIVE) or not names.is_task(task_id):
        return False
    data = _at(house, CONTROL_REF, record_path(task_id))
    if house.config.control_state is ControlState.BRANCH:
        data = _at(house, f"refs/heads/{house.config.target_branch}", living_path(task_id)) or data
    if data is None:
        return False
    task = schema.load(Task, data, file=path)
    # What was published may be older than what was lost.
    house.store.put_task(replace(task, epoch=max(task.epoch, house.store.floor(task_id))))
    return True


def is_record(path: str) -> bool:
    """Tell whether a published file is a task's record, and not evidence beside one."""
    return path.count("/") == 2 and path.endswith(".json")


def evidence_path(task_id: str, name: str) -> str:
    """Return where a document of a task's accepted run is published."""
    return f"{record_path(task_id).removesuffix('.json')}/{name}"


def _at(house: House, ref: str, path: str) -> bytes | None:
    commit = house.doors.git.commit_of(ref)
    return house.doors.git.file_at(commit, path) if commit else None


def record_path(task_id: str) -> str:
    """Return where a task's record is published."""
    return f"tasks/{names.check(task_id, names.TASK, 'task id')[-2:]}/{task_id}.json"

"""What of the state outlives the state folder: tasks and requests for approval, published, and how they come back.

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
from gluerun.loop.store import LIVE, memory_of, run_path
from gluerun.records import codec, names, schema
from gluerun.records.config import ControlState
from gluerun.records.paths import ACCEPTED, ARCHIVED, ASKED, LIVING
from gluerun.records.record import record, replace
from gluerun.records.task import Status, Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import Notes
    from gluerun.records.approval import Approval
    from gluerun.records.origin import CycleMemory

    Files = dict[str, bytes | None]

TRAILER = "Gluerun-Task"


def publish(house: House, memory: CycleMemory, world: World, notes: Notes) -> CycleMemory:
    """Publish what has changed of tasks and of requests for approval; return the memory that knows it.

    The page about the project is published with them, around what people wrote on it.
    """
    match house.config.control_state:
        case ControlState.REF:
            return _to_ref(house, memory, world)
        case ControlState.BRANCH:
            memory = commit_records(house, memory, world, notes)
            if notes.followed is not None:
                from gluerun.loop.carrying import carry  # most cycles commit nothing

                carry(house, world, *notes.followed)
            return memory
        case ControlState.OFF:
            return memory


def _to_ref(house: House, memory: CycleMemory, world: World) -> CycleMemory:
    """Publish on the ref; the copy of the page that people keep is not touched."""
    known = dict(memory.published)
    files: Files = {}
    living = world.tasks
    for task in living:
        if known.get(task.task_id) != (mark := digest(task)):
            known[task.task_id] = mark
            files |= _on_ref(house, task)
    gone = {*memory.published, *house.store.shelved} - {task.task_id for task in living}
    for task_id in filter(names.is_task, gone):
        settled = house.store.settled_task(task_id)
        known.pop(task_id, None)
        if settled is not None:
            files |= _on_ref(house, settled)
    files |= _requests(house, known, gone, world.approvals)
    text = state_of(living, world.passed)
    if (state := hashlib.sha256(text.encode()).hexdigest()) != memory.project_state and (files or memory.project_state):
        files[PAGE] = on_page(_page(house), text).encode()
    if not files:
        return memory
    records = (path for path in files if is_record(path) or is_approval(path))
    named = sorted(path.split("/")[-1].removesuffix(".json") for path in records)
    message = f"state of {', '.join(named[:5]) or 'the project'}{' …' if len(named) > 5 else ''}"
    house.doors.git.publish(CONTROL_REF, files, message)
    house.store.shelved.clear()
    return replace(memory, published=known, project_state=state)


def _on_ref(house: House, task: Task) -> Files:
    found = {evidence_path(task.task_id, name): data for name, data in evidence(house, task).items()}
    return {record_path(task.task_id): masked(task), **found}


def _requests(house: House, known: dict[str, str], gone: set[str], living: tuple[Approval, ...]) -> Files:
    """Return what has changed of requests for approval, by their published paths; keep what is *known* up to date."""
    files: Files = {}
    for request in living:
        if known.get(request.id) != (mark := digest(request)):
            known[request.id] = mark
            files[approval_path(request.id)] = masked(request)
    for name in {name for name in gone if names.is_approval(name)} - {request.id for request in living}:
        known.pop(name, None)
        if (over := house.store.settled_approval(name)) is not None:
            files[approval_path(name)] = masked(over)
    return files


def _page(house: House) -> str:
    head = house.doors.git.commit_of(f"refs/heads/{house.config.target_branch}")
    return (house.doors.git.file_at(head, PAGE) or b"").decode("utf-8", "replace") if head else ""


def rebuild(house: House) -> int:
    """Restore the records of a lost state folder; return how many came back. Nothing happens if it is there."""
    if not house.store.is_new():
        return 0
    published = _published(house)
    merged = house.doors.git.trailers(house.config.target_branch, TRAILER)
    found: dict[str, Task] = {}
    for path, data in published.records:
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
        _bring_evidence(house, task, published.evidence)
    next_approval = _bring_approvals(house, found, published.requests)
    if found or next_approval > 1:
        house.store.put_memory(replace(memory_of(found.values()), next_approval=next_approval), durable=True)
    house.store.begin(codec.stamp(house.now()))
    if found:
        house.tell("state.rebuilt", f"{len(found)} tasks came back from {published.place} and the target's trailers")
    return len(found)


@record
class Published:
    """What is published, and where: records of tasks, requests for approval, and evidence by path.

    Behind one that does not win stands the one that does.
    """

    place: str
    records: tuple[tuple[str, bytes], ...]
    requests: tuple[tuple[str, bytes], ...]
    evidence: dict[str, bytes]


def _published(house: House) -> Published:
    git = house.doors.git
    there = git.published(CONTROL_REF)
    records = [one for one in there.items() if is_record(one[0])]
    requests = [one for one in there.items() if is_approval(one[0])]
    place = CONTROL_REF
    if house.config.control_state is ControlState.BRANCH:
        place, branch = house.config.target_branch, f"refs/heads/{house.config.target_branch}"
        records += git.published(branch, LIVING, ending=".json").items()
        records += git.published(branch, ARCHIVED, ending=f"/{RECORD}").items()
        found = git.published(branch, ASKED, ending=".json")
        requests += [one for one in found.items() if names.is_approval(_name_of(one[0]))]
        for path, data in git.published(branch, ACCEPTED).items():
            task_id, name = path.split("/")[-2:]
            if names.is_task(task_id):
                there[evidence_path(task_id, name)] = data
    return Published(place=place, records=tuple(records), requests=tuple(requests), evidence=there)


def _bring_evidence(house: House, task: Task, published: dict[str, bytes]) -> None:
    """Restore what accepted work rests on: what a person was asked about it names the auditor's verdict."""
    if task.status is not Status.ACCEPTED or task.run_id is None:
        return
    from gluerun.loop.evidence import DOCUMENTS  # a folder is lost once

    for name in DOCUMENTS:
        path, data = run_path(task.run_id, name), published.get(evidence_path(task.task_id, name))
        if data is not None and house.store.files.mark(path) is None:
            house.store.files.write(path, data)


def _bring_approvals(house: House, tasks: dict[str, Task], published: tuple[tuple[str, bytes], ...]) -> int:
    """Restore the requests for approval; return the number of the next one, above all that were ever given."""
    highest = 0
    found: dict[str, Approval] = {}
    for path, data in published:
        from gluerun.records.approval import Approval  # most repositories never ask

        # The number is taken, also where nobody can read what it was about.
        highest = max(highest, int(_name_of(path).removeprefix("APR-")))
        try:
            request = schema.load(Approval, data, file=path)
        except GluerunError as error:
            house.tell("state.not_rebuilt", error.message, path=path)
            continue
        found[request.id] = request
    for request in found.values():
        if not house.store.has_approval(request.id):
            task = tasks.get(request.task_id)
            is_served = request.state == "approved" and (task is None or task.is_terminal)
            house.store.put_approval(request, is_over=is_served)
    return highest + 1


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
    return path.startswith("tasks/") and path.count("/") == 2 and path.endswith(".json")


def is_approval(path: str) -> bool:
    """Tell whether a published file is a request for approval."""
    return path.startswith("approvals/") and path.endswith(".json") and names.is_approval(_name_of(path))


def _name_of(path: str) -> str:
    return path.rsplit("/", 1)[-1].removesuffix(".json")


def approval_path(name: str) -> str:
    """Return where a request for approval is published."""
    return f"approvals/{names.check(name, names.APPROVAL, 'request id')[-2:]}/{name}.json"


def evidence_path(task_id: str, name: str) -> str:
    """Return where a document of a task's accepted run is published."""
    return f"{record_path(task_id).removesuffix('.json')}/{name}"


def _at(house: House, ref: str, path: str) -> bytes | None:
    commit = house.doors.git.commit_of(ref)
    return house.doors.git.file_at(commit, path) if commit else None


def record_path(task_id: str) -> str:
    """Return where a task's record is published."""
    return f"tasks/{names.check(task_id, names.TASK, 'task id')[-2:]}/{task_id}.json"

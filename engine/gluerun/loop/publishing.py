"""What of the state outlives the state folder: tasks and requests for approval, on a ref, and how they come back.

The running truth is in the state folder. The ref is a projection of it: one commit a cycle at most, and only
when something that matters has changed. A lost folder is rebuilt from it and from the target's trailers.
"""

from __future__ import annotations

import hashlib

from gluerun.core import lifecycle
from gluerun.core.project_state import PAGE, counts, on_page
from gluerun.errors import GluerunError
from gluerun.loop.house import CONTROL_REF
from gluerun.loop.store import LIVE, memory_of, run_path
from gluerun.records import codec, names, schema
from gluerun.records.config import ControlState
from gluerun.records.origin import CycleMemory
from gluerun.records.record import replace
from gluerun.records.task import Status, Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.records.approval import Approval

# What changes without meaning anything to anybody else.
_PASSING = ("updatedAt", "proof", "sourceMark", "infraTries")
TRAILER = "Gluerun-Task"


def publish(house: House, memory: CycleMemory, world: World) -> CycleMemory:
    """Publish what has changed of tasks and of requests for approval; return the memory that knows it.

    The page about the project is published with them, around what people wrote on it; their own copy is not touched.
    """
    if house.config.control_state is not ControlState.REF:
        return memory
    known = dict(memory.published)
    files: dict[str, bytes | None] = {}
    living = world.tasks
    for task in living:
        if known.get(task.task_id) != (digest := _digest(task)):
            known[task.task_id] = digest
            files[record_path(task.task_id)] = _masked(task)
            files |= _evidence(house, task)
    gone = {*memory.published, *house.store.shelved} - {task.task_id for task in living}
    for task_id in filter(names.is_task, gone):
        settled = house.store.settled_task(task_id)
        known.pop(task_id, None)
        if settled is not None:
            files[record_path(task_id)] = _masked(settled)
            files |= _evidence(house, settled)
    files |= _requests(house, known, gone, world.approvals)
    by_status: dict[str, int] = {}
    for task in living:
        by_status[task.status.value] = by_status.get(task.status.value, 0) + 1
    text = counts(by_status, world.passed)
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


def _requests(
    house: House, known: dict[str, str], gone: set[str], living: tuple[Approval, ...]
) -> dict[str, bytes | None]:
    """Return what has changed of requests for approval, by their published paths; keep what is *known* up to date."""
    files: dict[str, bytes | None] = {}
    for request in living:
        if known.get(request.id) != (digest := _digest(request)):
            known[request.id] = digest
            files[approval_path(request.id)] = _masked(request)
    for name in {name for name in gone if names.is_approval(name)} - {request.id for request in living}:
        known.pop(name, None)
        if (over := house.store.settled_approval(name)) is not None:
            files[approval_path(name)] = _masked(over)
    return files


def _page(house: House) -> str:
    head = house.doors.git.commit_of(f"refs/heads/{house.config.target_branch}")
    return (house.doors.git.file_at(head, PAGE) or b"").decode("utf-8", "replace") if head else ""


def rebuild(house: House) -> int:
    """Restore the records of a lost state folder; return how many came back. Nothing happens if it is there."""
    if not house.store.is_new():
        return 0
    published = house.doors.git.published(CONTROL_REF)
    merged = house.doors.git.trailers(house.config.target_branch, TRAILER)
    found: dict[str, Task] = {}
    for path, data in published.items():
        if not is_record(path):
            continue  # of evidence, only what accepted work rests on is brought back
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
        _bring_evidence(house, task, published)
    next_approval = _bring_approvals(house, found, published)
    if found or next_approval > 1:
        house.store.put_memory(replace(memory_of(found.values()), next_approval=next_approval), durable=True)
    house.store.begin(codec.stamp(house.now()))
    if found:
        house.tell("state.rebuilt", f"{len(found)} tasks came back from {CONTROL_REF} and the target's trailers")
    return len(found)


def _bring_evidence(house: House, task: Task, published: dict[str, bytes]) -> None:
    """Restore what accepted work rests on: what a person was asked about it names the auditor's verdict."""
    if task.status is not Status.ACCEPTED or task.run_id is None:
        return
    from gluerun.loop.evidence import DOCUMENTS  # a folder is lost once

    for name in DOCUMENTS:
        path, data = run_path(task.run_id, name), published.get(evidence_path(task.task_id, name))
        if data is not None and house.store.files.mark(path) is None:
            house.store.files.write(path, data)


def _bring_approvals(house: House, tasks: dict[str, Task], published: dict[str, bytes]) -> int:
    """Restore the requests for approval; return the number of the next one, above all that were ever given."""
    highest = 0
    for path, data in published.items():
        if not is_approval(path):
            continue
        from gluerun.records.approval import Approval, ApprovalState  # most repositories never ask

        # The number is taken, also where nobody can read what it was about.
        highest = max(highest, int(_name_of(path).removeprefix("APR-")))
        try:
            request = schema.load(Approval, data, file=path)
        except GluerunError as error:
            house.tell("state.not_rebuilt", error.message, path=path)
            continue
        if not house.store.has_approval(request.id):
            task = tasks.get(request.task_id)
            is_served = request.state is ApprovalState.APPROVED and (task is None or task.is_terminal)
            house.store.put_approval(request, is_over=is_served)
    return highest + 1


def restore(house: House, path: str) -> bool:
    """Put the last published record of a task in the place of one that cannot be used, so that its epoch goes on."""
    task_id = path.rsplit("/", 1)[-1].removesuffix(".json")
    if not path.startswith(LIVE) or not names.is_task(task_id):
        return False
    commit = house.doors.git.commit_of(CONTROL_REF)
    data = house.doors.git.file_at(commit, record_path(task_id)) if commit else None
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


def _evidence(house: House, task: Task) -> dict[str, bytes | None]:
    """Return the documents that lead from the merge commit back to what was done, by their published paths.

    One in which something would have to be masked does not leave: masked, it would not be what its digest says.
    """
    if task.run_id is None or task.status not in (Status.ACCEPTED, Status.INTEGRATED):
        return {}
    from gluerun.core.secrets import redacted_json
    from gluerun.loop.evidence import documents  # only what has changed is published

    found = documents(house.store, task.run_id)
    return {evidence_path(task.task_id, name): data for name, data in found if redacted_json(data) == data}


def record_path(task_id: str) -> str:
    """Return where a task's record is published."""
    return f"tasks/{names.check(task_id, names.TASK, 'task id')[-2:]}/{task_id}.json"


def _lasting(one: Task | Approval) -> Task | Approval:
    return replace(one, proof=None, infra_tries=0) if isinstance(one, Task) else one


def _masked(one: Task | Approval) -> bytes:
    from gluerun.core.secrets import redacted_json  # only what has changed is published

    return redacted_json(schema.dump(_lasting(one)))


def _digest(one: Task | Approval) -> str:
    document = {key: value for key, value in codec.to_wire(one).items() if key not in _PASSING}
    return hashlib.sha256(codec.canonical(document)).hexdigest()[:16]

"""What is published of tasks and requests for approval; and how it comes to the target branch, where that is wanted.

What a landing changes rides in the merge commit itself, in files that nobody else touches. What changes without one
is committed by the engine now and then, through the same door as a landing.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta

from gluerun.core.project_state import PAGE, counts, on_page
from gluerun.core.recording import (
    LONGEST,
    accepted_path,
    archived_path,
    asked_path,
    carried,
    is_record,
    living_path,
)
from gluerun.errors import GluerunError
from gluerun.loop.moving import move_target
from gluerun.ports import Landing
from gluerun.records import codec, names, schema
from gluerun.records.config import ControlState
from gluerun.records.paths import ACCEPTED, LIVING
from gluerun.records.record import record, replace
from gluerun.records.task import Status, Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import Notes
    from gluerun.ports import Change
    from gluerun.records.approval import Approval
    from gluerun.records.origin import CycleMemory

    Files = dict[str, bytes | None]

# What changes without meaning anything to anybody else.
_PASSING = ("updatedAt", "proof", "sourceMark", "infraTries")
_NOBODY = "TASK-0000"


def masked(one: Task | Approval) -> bytes:
    """Return a record as it may leave the machine."""
    from gluerun.core.secrets import redacted_json  # only what has changed is published

    return redacted_json(schema.dump(replace(one, proof=None, infra_tries=0) if isinstance(one, Task) else one))


def digest(one: Task | Approval) -> str:
    """Return the digest of what a record means to others."""
    document = {key: value for key, value in codec.to_wire(one).items() if key not in _PASSING}
    return hashlib.sha256(codec.canonical(document)).hexdigest()[:16]


def evidence(house: House, task: Task) -> dict[str, bytes]:
    """Return the documents that lead from the merge commit back to what was done, by name.

    One in which something would have to be masked does not leave: masked, it would not be what its digest says.
    """
    if task.run_id is None or task.status not in (Status.ACCEPTED, Status.INTEGRATED):
        return {}
    from gluerun.core.secrets import redacted_json
    from gluerun.loop.evidence import documents  # only what has changed is published

    return {name: data for name, data in documents(house.store, task.run_id) if redacted_json(data) == data}


def state_of(living: tuple[Task, ...], passed: Iterable[str]) -> str:
    """Return what the page about the project says, in the loop's own words."""
    by_status: dict[str, int] = {}
    for task in living:
        by_status[task.status.value] = by_status.get(task.status.value, 0) + 1
    return counts(by_status, passed)


def riding(house: House, task: Task) -> Files:
    """Return what rides in a task's merge commit: its record as integrated, and its evidence.

    Which commit that is, and when, cannot be known there; and the candidate's own receipt is made of the commit.
    """
    if house.config.control_state is not ControlState.BRANCH:
        return {}
    from gluerun.loop.evidence import CANDIDATE, DOCUMENTS

    landed = replace(task, status=Status.INTEGRATED, merge_commit=None)
    found = {name: data for name, data in evidence(house, landed).items() if name != CANDIDATE}
    gone = [living_path(task.task_id), *(accepted_path(task.task_id, name) for name in DOCUMENTS)]
    return {**dict.fromkeys(gone), **_archived(landed, found)}


def put_back(house: House, place: str, base: str, now: str, changes: tuple[Change, ...]) -> bool:
    """Put back as in *base* what records *now* has as the target has them; tell whether there were any at *place*.

    An agent that merged the target has brought them along: they are the engine's, and no change of its own.
    """
    git, files = house.doors.git, house.doors.at(place)
    target = git.heads((house.config.target_branch,)).get(house.config.target_branch)
    brought = [
        one.path
        for one in changes
        if target is not None and is_record(one.path) and git.file_at(now, one.path) == git.file_at(target, one.path)
    ]
    for path in brought:
        data = git.file_at(base, path)
        if data is None:
            files.remove(path)
        else:
            files.write(path, data, durable=False)
    return bool(brought)


def commit_records(house: House, memory: CycleMemory, world: World, notes: Notes) -> CycleMemory:
    """Commit to the target branch what has changed without a landing, if it is time; return the memory that knows it.

    What is remembered is only whether anything has changed; what is to be done about it the branch itself tells.
    """
    # Another place is another publication: what was published elsewhere is not known there.
    wanted = {task.task_id: f"branch {digest(task)}" for task in world.tasks}
    wanted |= {request.id: f"branch {digest(request)}" for request in world.approvals}
    text = state_of(world.tasks, world.passed)
    state = f"branch {hashlib.sha256(text.encode()).hexdigest()}"
    # One that nobody has published yet is remembered, too: once it is settled, it is not among the living.
    gone = sorted({*memory.published, *house.store.shelved} - wanted.keys())
    seen = {**dict.fromkeys([*gone, *wanted], ""), **memory.published}
    wants_page = state != memory.project_state and bool(seen or memory.project_state)
    if seen == wanted and not wants_page:
        return memory if memory.records_due is None else replace(memory, records_due=None)
    now, interval = house.now(), timedelta(seconds=min(house.config.control_commit_seconds, LONGEST))
    since = min(memory.recorded_at or now - interval, now)
    due = since + interval
    memory = replace(memory, published=seen, recorded_at=since, records_due=due)
    draft = _drafted(house, world, gone, text) if now >= due else None
    if draft is None:
        return memory
    done = replace(memory, published=wanted, project_state=state, recorded_at=now, records_due=None)
    landing, paths = _put(house, world, draft, notes)
    if landing is Landing.BLOCKED and paths == (PAGE,) and draft.files.keys() - {PAGE}:
        # What a person is writing around the loop's own words need not hold up the records.
        done = replace(done, project_state="", records_due=now + interval)
        draft = replace(draft, files={path: data for path, data in draft.files.items() if path != PAGE})
        landing, paths = _put(house, world, draft, notes)
    if landing is Landing.MOVED:
        return memory
    if landing is Landing.BLOCKED:
        if paths != memory.records_blocked:
            house.tell("origin.control_state_deferred", "a checkout is not clean", paths=list(paths))
        return replace(memory, recorded_at=now, records_due=now + interval, records_blocked=paths)
    house.store.shelved.clear()
    done = replace(done, records_blocked=())
    return replace(carried(done, draft.head, paths[0]), push_due=True) if paths else done


@record
class Draft:
    """What is to be put on the target branch: on which commit, and which files."""

    head: str
    files: Files


def _drafted(house: House, world: World, gone: list[str], text: str) -> Draft | None:
    """Return what the branch does not say yet; None if there is no such branch."""
    git, branch = house.doors.git, house.config.target_branch
    head = git.heads((branch,)).get(branch)
    if head is None:
        return None
    there = {path: data for path, data in git.published(head, LIVING).items() if living_path(_subject(path)) == path}
    wanted = {living_path(task.task_id): masked(task) for task in world.tasks}
    files: Files = {path: data for path, data in wanted.items() if there.get(path) != data}
    stale = there.keys() - wanted.keys()
    files |= dict.fromkeys(stale, None)
    files |= _accepted(house, world, head)
    for task_id in sorted({*filter(names.is_task, gone), *map(_subject, stale)}):
        settled = _settled(house, task_id)
        if settled is not None:
            files |= _archived(settled, evidence(house, settled))
    over = (house.store.settled_approval(name) for name in gone if names.is_approval(name))
    asked = {asked_path(one.id): masked(one) for one in (*world.approvals, *over) if one is not None}
    files |= {path: data for path, data in asked.items() if git.file_at(head, path) != data}
    page = git.file_at(head, PAGE) or b""
    after = on_page(page.decode("utf-8", "replace"), text).encode()
    return Draft(head=head, files=files | ({PAGE: after} if after != page else {}))


def _accepted(house: House, world: World, head: str) -> Files:
    """Return what the branch does not say yet of the evidence that accepted work rests on until it lands."""
    there = house.doors.git.published(head, ACCEPTED)
    accepted = (task for task in world.tasks if task.status is Status.ACCEPTED)
    wanted = {accepted_path(one.task_id, name): data for one in accepted for name, data in evidence(house, one).items()}
    changed: Files = {path: data for path, data in wanted.items() if there.get(path) != data}
    return changed | dict.fromkeys(there.keys() - wanted.keys())


def _put(house: House, world: World, draft: Draft, notes: Notes) -> tuple[Landing, tuple[str, ...]]:
    """Move the target to a commit of the *draft*, if that says anything new.

    Return what became of it, with the paths that are in the way, or the commit.
    """
    git, branch = house.doors.git, house.config.target_branch
    tree = git.tree_of(draft.head)
    stored = git.commit_over(tree, draft.files, [draft.head], _message(draft.files))
    if stored.tree == tree:
        return Landing.LANDED, ()
    landed = move_target(house, world, stored.commit, draft.head, notes)
    if landed.landing is not Landing.LANDED:
        return landed.landing, landed.paths
    house.tell("origin.control_state_committed", f"records are on {branch}", commit=stored.commit)
    notes.follow(draft.head, stored.commit)
    return Landing.LANDED, (stored.commit,)


def _settled(house: House, task_id: str) -> Task | None:
    try:
        return house.store.settled_task(task_id)
    except GluerunError:
        return None  # it is named elsewhere, and published once it is mended


def _subject(path: str) -> str:
    """Return whose record lies at a path of the living; a task that there cannot be, if nobody's."""
    name = path.rpartition("/")[2].removesuffix(".json")
    return name if names.is_task(name) else _NOBODY


def _archived(task: Task, found: dict[str, bytes]) -> Files:
    files: Files = {archived_path(task.task_id): masked(task)}
    return files | {archived_path(task.task_id, name): data for name, data in found.items()}


def _is_name(word: str) -> bool:
    return names.is_task(word) or names.is_approval(word)


def _message(files: Files) -> str:
    named = sorted({word for path in files for word in path.removesuffix(".json").split("/") if _is_name(word)})
    return f"chore(orchestration): state of {', '.join(named[:5]) or 'the project'}{' …' if len(named) > 5 else ''}\n"

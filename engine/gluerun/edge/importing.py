"""Wishes → task files: everything is checked as a planner's batch is, and then all of it is written or nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gluerun.core import batches
from gluerun.core.secrets import in_text
from gluerun.edge import backlog
from gluerun.edge.reading import NOBODY
from gluerun.edge.wishes import one_line
from gluerun.errors import ConfigError, UsageError
from gluerun.loop.importing import take_in
from gluerun.loop.observe import TASKS, observe
from gluerun.records import names, taskfile
from gluerun.records.record import record, replace
from gluerun.records.task import Status

if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.edge.backlog import Draft
    from gluerun.edge.wishes import Wish, Wishes
    from gluerun.loop.house import House
    from gluerun.records.config import Config
    from gluerun.records.taskfile import TaskFile


@record
class ImportedTask:
    """One task of an import: where it was wished for, and the file it became or would become."""

    task_id: str
    title: str
    path: str
    line: int
    source: str = ""


@record
class KnownTask:
    """A wish that is fulfilled already: its address stands in a task."""

    task_id: str
    title: str
    line: int
    source: str


@record
class Refusal:
    """Why one wish cannot be taken in."""

    line: int
    title: str
    reason: str


@record
class Imported:
    """What `gluerun import` answers. Where anything is refused nothing is written."""

    SCHEMA = "import.v0"

    file: str
    kind: str
    dry_run: bool
    tasks: tuple[ImportedTask, ...] = ()
    known: tuple[KnownTask, ...] = ()
    refusals: tuple[Refusal, ...] = ()


def bring_in(house: House, wishes: Wishes, name: str, given: Draft, *, dry_run: bool) -> Imported:
    """Take in everything that a file wishes for, or nothing; with *dry_run* only say what would come of it.

    What *given* says holds for every wish that does not say it itself.
    """
    found: list[Imported] = []

    def compose() -> dict[str, str]:
        answer, files = _composed(house, wishes, name, given)
        found.append(replace(answer, dry_run=dry_run))
        return {} if answer.refusals else files

    if dry_run:
        compose()
    else:
        take_in(house, name, compose)
    return found[-1]


def _composed(house: House, wishes: Wishes, name: str, given: Draft) -> tuple[Imported, dict[str, str]]:
    known, fresh = _told_apart(house, wishes)
    world = observe(house, NOBODY).world
    number = max(world.next_task, backlog.next_number(house.store, house.doors.work))
    ids = [f"TASK-{number + at:04d}" for at in range(len(fresh))]
    refusals: list[Refusal] = []
    own = [wish.own_id for wish in fresh if wish.own_id]
    final = {wish.own_id: task_id for wish, task_id in zip(fresh, ids, strict=True) if wish.own_id}
    texts: dict[str, str] = {}
    files: dict[str, TaskFile] = {}
    by_id = dict(zip(ids, fresh, strict=True))
    for task_id, wish in by_id.items():
        try:
            if own.count(wish.own_id) > 1:
                raise UsageError(f"{wish.own_id} stands twice")
            if wish.own_id and int(wish.own_id.removeprefix("TASK-")) < number:
                raise UsageError(f"{wish.own_id} is not a temporary id: it is, or may have been, another task's")
            text = _with_final_ids(backlog.compose(task_id, _draft(wish, given, house.config)), final, task_id)
            texts[task_id], files[task_id] = text, _read(task_id, text, house.config)
        except (UsageError, ConfigError) as error:
            refusals.append(Refusal(line=wish.line, title=wish.title, reason=error.message))
    world = _with_needs(house, world, files)
    for task_id, file in files.items():
        wish = by_id[task_id]
        why = batches.outside(file, house.config.areas.get(file.spec.area, ()))
        why = why or batches.wrong_task(task_id, file, files, world, disjoint=wishes.strict)
        if why:
            refusals.append(Refusal(line=wish.line, title=wish.title, reason=_in_own_words(why, final)))
    if circle := batches.in_a_circle(files):
        refusals.append(Refusal(line=fresh[0].line, title="", reason=_in_own_words(circle, final)))
    tasks = tuple(
        ImportedTask(task_id=one, title=wish.title, path=f"{TASKS}/{one}.md", line=wish.line, source=wish.source)
        for one, wish in by_id.items()
    )
    answer = Imported(
        file=name,
        kind=wishes.kind,
        dry_run=True,
        tasks=() if refusals else tasks,
        known=tuple(known),
        refusals=tuple(sorted(refusals, key=lambda one: one.line)),
    )
    return answer, {f"{TASKS}/{task_id}.md": text for task_id, text in texts.items()}


def _draft(wish: Wish, given: Draft, config: Config) -> Draft:
    """Return a wish as a draft; an area stands for its paths where nothing else is named."""
    labels = {word.removeprefix("area:").strip() for word in wish.labels}
    area = wish.area or next((name for name in config.areas if name in labels), "")
    has_owned = bool(wish.text) and re.search(r"^\W*Owned files\W*:", wish.text, re.MULTILINE | re.IGNORECASE)
    owned = wish.owned or config.areas.get(area, ()) or given.owned or config.areas.get(given.area, ())
    area = area or given.area
    if not owned and not has_owned:
        raise UsageError("it names no file that it may change; add --owned PATH, or --area of a known area")
    has_criteria = bool(wish.text) and re.search(r"^##\s+Acceptance Criteria", wish.text, re.MULTILINE | re.IGNORECASE)
    return backlog.Draft(
        title=one_line(wish.title),
        objective=wish.objective if wish.objective or wish.text else wish.title,
        owned=() if has_owned else tuple(owned),
        accept=() if has_criteria else wish.criteria or given.accept,
        depends_on=wish.depends_on or (() if wish.text else given.depends_on),
        area="" if _says("Area", wish) else area,
        gate="" if _says("Gate command", wish) else wish.gate or given.gate,
        node="" if _says("DAG node", wish) else wish.node or given.node,
        approve_plan="" if _says("Approve plan", wish) else given.approve_plan,
        approval="" if _says("Approval", wish) else given.approval,
        text=wish.text,
        source=wish.source,
    )


def _says(header: str, wish: Wish) -> bool:
    return re.search(rf"^{header}\s*:", wish.text, re.MULTILINE | re.IGNORECASE) is not None


def _with_final_ids(text: str, final: dict[str, str], task_id: str) -> str:
    """Return *text* with the ids that the file itself defines replaced; a real mention of another task survives."""
    others = {own: one for own, one in final.items() if one != own}
    if not others:
        return text
    pattern = re.compile("|".join(rf"\b{re.escape(own)}\b" for own in others))
    first, end, rest = text.partition("\n")
    return f"{first}{end}{pattern.sub(lambda found: others[found[0]], rest)}"


def _read(task_id: str, text: str, config: Config) -> TaskFile:
    if config.look_for_secrets and (hit := in_text(text)):
        raise UsageError(f"this looks like a secret ({hit.kind})")
    try:
        return taskfile.parse(text, config, file=task_id)
    except ConfigError as error:
        place, _, words = error.message.partition(": ")
        line = place.rpartition(":")[2]
        lines = text.splitlines()
        shown = f" (in {lines[int(line) - 1]!r})" if line.isdigit() and 0 < int(line) <= len(lines) else ""
        raise UsageError(f"{words}{shown}") from None


def _with_needs(house: House, world: World, files: dict[str, TaskFile]) -> World:
    """Return *world* with what is known of the tasks that new ones depend on, settled or not yet taken in."""
    needs = {need for file in files.values() for need in file.spec.depends_on if names.is_task(need)} - files.keys()
    done = dict(world.done)
    for need in needs:
        task = house.store.any_task(need)
        if task is not None:
            done[need] = task.status
        elif (path := backlog.file_of(house.doors.work, need)) and house.doors.work.mark(path) is not None:
            done[need] = Status.READY
    return replace(world, done=done)


def _in_own_words(why: str, final: dict[str, str]) -> str:
    """Return a refusal with the ids as the file has them, where it has some."""
    own = {task_id: name for name, task_id in final.items()}
    return re.sub(r"\bTASK-[0-9]{4,12}\b", lambda found: own.get(found[0], found[0]), why)


def _told_apart(house: House, wishes: Wishes) -> tuple[list[KnownTask], list[Wish]]:
    """Return the wishes whose address stands in a task already, and the others; one address counts once."""
    if not any(wish.source for wish in wishes.wishes):
        return [], list(wishes.wishes)
    sources = _sources(house)
    known: list[KnownTask] = []
    fresh: list[Wish] = []
    for wish in wishes.wishes:
        task_id = sources.get(wish.source, "") if wish.source else ""
        if task_id:
            known.append(KnownTask(task_id=task_id, title=wish.title, line=wish.line, source=wish.source))
        elif not wish.source or wish.source not in {one.source for one in fresh}:
            fresh.append(wish)
    return known, fresh


def _sources(house: House) -> dict[str, str]:
    """Return the task of each address that a task, living, settled or new, comes from."""
    found: dict[str, str] = {}
    for task in [*house.store.live_tasks()[0], *house.store.settled_tasks()]:
        if source := _source_in(task.spec.notes):
            found[source] = task.task_id
    for task_id, path in backlog.files(house.doors.work):
        text = (house.doors.work.read(path) or b"").decode("utf-8", "replace")
        if source := _source_in(text):
            found.setdefault(source, task_id)
    return found


def _source_in(text: str) -> str:
    """Return the address under the last heading `Source`; a quotation of one is none."""
    parts = re.split(r"^##\s+source\s*$", text, flags=re.MULTILINE | re.IGNORECASE)
    return parts[-1].strip().splitlines()[0].strip() if len(parts) > 1 and parts[-1].strip() else ""

"""Tasks as a person lists and writes them: the records of the loop, and the files it has not seen yet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gluerun.errors import ConfigError, GluerunError, UsageError
from gluerun.loop.observe import TASK_FILE, TASKS
from gluerun.records import names, taskfile
from gluerun.records.config import ApprovalRule
from gluerun.records.record import record
from gluerun.settings_walk import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluerun.loop.store import Store
    from gluerun.ports import Files
    from gluerun.records.config import Config
    from gluerun.records.task import Task

NEW = "new"
SOURCE = "## Source"
INVALID = "invalid"
_HEADING = re.compile(r"^#\s+(?:TASK-[0-9]+\s*:\s*)?(.+?)\s*$")
_TRIES = 100


@record
class TaskRow:
    """One line of the list of tasks; `status` is also `new` or `invalid` for a file nobody has taken in."""

    task_id: str
    status: str
    area: str
    title: str
    path: str
    error: str | None = None


@record
class Draft:
    """What a person says about a new task."""

    title: str = ""
    objective: str = ""
    owned: tuple[str, ...] = ()
    accept: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    area: str = ""
    gate: str = ""
    node: str = ""
    approve_plan: str = ""
    approval: str = ""
    text: str = ""
    source: str = ""


def rows(store: Store, work: Files, config: Config, *, settled: bool) -> list[TaskRow]:
    """Return the living tasks and the new files, by id; with *settled* also what is finished."""
    living, broken = store.live_tasks()
    found = [_row(task) for task in living]
    found += [
        TaskRow(task_id=_stem(one.path), status=INVALID, area="", title="", path=one.path, error=one.reason)
        for one in broken
    ]
    known = {row.task_id for row in found}
    for task_id, path in files(work):
        if task_id not in known and not store.is_settled(task_id):
            found.append(_file_row(work, config, task_id, path))
    if settled:
        found += [_row(task) for task_id in store.settled_ids() if (task := store.settled_task(task_id))]
    return sorted(found, key=lambda row: (len(row.task_id), row.task_id))


def file_of(work: Files, task_id: str) -> str:
    """Return the path of a task's file; empty if there is none."""
    return next((path for name, path in files(work) if name == task_id), "")


def add(store: Store, work: Files, config: Config, draft: Draft) -> tuple[str, str]:
    """Write the file of a new task under the next free id; return id and path."""
    number = next_number(store, work)
    for candidate in range(number, number + _TRIES):
        task_id = f"TASK-{candidate:04d}"
        path = f"{TASKS}/{task_id}.md"
        text = compose(task_id, draft)
        _check(text, config, path)
        if work.create(path, text.encode()):
            return task_id, path
    raise UsageError("no free task id could be found", f"look at the names in {TASKS}")


def compose(task_id: str, draft: Draft) -> str:
    """Return the Markdown of a new task."""
    title, body = _split(draft.text)
    title = " ".join((draft.title or title).split())
    if not title:
        raise UsageError("the task has no title", 'add --title "…"')
    headers = [
        f"{name}: {value}"
        for name, value in (
            ("Status", "" if re.search(r"^Status:", body, re.MULTILINE) else "ready"),
            *_headers(draft),
        )
        if value
    ]
    sections = [
        ("Objective", draft.objective.strip()),
        ("Scope", "Owned files:\n" + "\n".join(f"- `{path}`" for path in draft.owned) if draft.owned else ""),
        ("Acceptance Criteria", "\n".join(f"- {' '.join(line.split())}" for line in draft.accept)),
    ]
    parts = [f"# {task_id}: {title}", "\n".join(headers), _with_objective(body, draft)]
    parts += [f"## {name}\n\n{text}" for name, text in sections if text]
    parts += [f"{SOURCE}\n\n{draft.source}"] if draft.source else []
    return "\n\n".join(part for part in parts if part) + "\n"


def sheet(draft: Draft) -> str:
    """Return what a person finds in the editor: what is known already, and the places for the rest."""
    owned = "\n".join(f"- `{path}`" for path in draft.owned) or "- `path`"
    accept = "\n".join(f"- {' '.join(line.split())}" for line in draft.accept) or "- what can be checked"
    parts = [
        f"# {draft.title or 'what is to be done, in a few words'}",
        "\n".join(f"{name}: {value}" for name, value in _headers(draft) if value),
        f"## Objective\n\n{draft.objective or 'What will be true when it is done.'}",
        f"## Scope\n\nOwned files:\n{owned}",
        f"## Acceptance Criteria\n\n{accept}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _headers(draft: Draft) -> tuple[tuple[str, str], ...]:
    """Return what a draft says in the head of its file; a word that the head does not take is refused by its option."""
    for option, word in (("--approve-plan", draft.approve_plan), ("--approval", draft.approval)):
        if word and word not in tuple(ApprovalRule):
            raise UsageError(f"{word!r} is no answer to {option}", nearest(word, ApprovalRule))
    return (
        ("Area", draft.area),
        ("Depends on", ", ".join(draft.depends_on)),
        ("DAG node", draft.node),
        ("Gate command", draft.gate),
        ("Approve plan", draft.approve_plan),
        ("Approval", draft.approval),
    )


def _with_objective(body: str, draft: Draft) -> str:
    """Let plain text be the objective where nothing else says what the objective is."""
    has_objective = draft.objective or re.search(r"^##\s+Objective\s*$", body, re.MULTILINE | re.IGNORECASE)
    has_headers = any(body.startswith(f"{name}:") for name in taskfile.HEADERS)
    return body if not body or has_objective or has_headers else f"## Objective\n\n{body}"


def _split(text: str) -> tuple[str, str]:
    """Return the title in the first heading of *text*, if it begins with one, and the rest."""
    first, _, rest = text.strip().partition("\n")
    found = _HEADING.match(first)
    return (found[1], rest.strip()) if found else ("", text.strip())


def _check(text: str, config: Config, path: str) -> None:
    try:
        taskfile.parse(text, config, file=path)
    except ConfigError as error:
        where, _, words = error.message.partition(": ")
        line = where.rpartition(":")[2]
        shown = text.splitlines()[int(line) - 1] if line.isdigit() else ""
        place = f" (in the line {shown!r})" if shown else ""
        hint = error.hint or "see `gluerun task new --help`"
        raise UsageError(f"the task would not be accepted: {words}{place}", hint) from None


def next_number(store: Store, work: Files) -> int:
    """Return a number above every one that is, or was, in use."""
    try:
        memory = store.memory().next_task
    except GluerunError:
        memory = 1  # only a cache: the files below tell the same, more slowly
    used = [task_id for task_id, _ in (*files(work), *files(work, f"{TASKS}/superseded"))]
    used += [name.removesuffix(".json") for name in store.files.names("tasks/live")]
    used += store.settled_ids()
    return max([memory, *(int(name.removeprefix("TASK-")) + 1 for name in used if names.is_task(name))])


def files(work: Files, folder: str = TASKS) -> Iterator[tuple[str, str]]:
    """Return the task files of a folder: id and path."""
    for name in work.names(folder):
        if found := TASK_FILE.match(name):
            yield found[1], f"{folder}/{name}"


def _row(task: Task) -> TaskRow:
    spec = task.spec
    return TaskRow(
        task_id=task.task_id, status=str(task.status), area=spec.area, title=spec.title, path=task.source_path
    )


def _file_row(work: Files, config: Config, task_id: str, path: str) -> TaskRow:
    try:
        text = (work.read(path) or b"").decode("utf-8", "replace")
        spec = taskfile.parse(text, config, file=path).spec
    except GluerunError as error:
        return TaskRow(task_id=task_id, status=INVALID, area="", title="", path=path, error=error.message)
    return TaskRow(task_id=task_id, status=NEW, area=spec.area, title=spec.title, path=path)


def _stem(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".json")

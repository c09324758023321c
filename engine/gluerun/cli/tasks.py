"""task list, task show, task new."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gluerun.adapters.files import DiskFiles
from gluerun.cli.place import here
from gluerun.cli.show import JSON, say, show, table, warn
from gluerun.edge import backlog
from gluerun.errors import UsageError
from gluerun.loop.store import Store
from gluerun.records import names, taskfile
from gluerun.records.codec import to_wire

if TYPE_CHECKING:
    from typing import Any

_COLOURS = {"accepted": "green", "integrated": "green", "blocked": "bold red", "invalid": "bold red", "new": "cyan"}


def task_list(
    context: typer.Context,
    everything: bool = typer.Option(False, "--all", help="List finished tasks, too."),
    as_json: bool = JSON,
) -> None:
    """List the living tasks, and the files that the loop has not taken in yet."""
    place = here(context)
    config = place.settings().config
    work, store = _doors(place.root())
    rows = backlog.rows(store, work, config, settled=everything)
    show({"tasks": rows}, as_json=as_json, words=lambda: _say_rows(rows))


def _say_rows(rows: list[backlog.TaskRow]) -> None:
    if not rows:
        say("There are no tasks. Type `gluerun task new --help` to see how to write one.")
        return
    cells = [(row.task_id, row.status, row.area, row.title or row.error or "") for row in rows]
    table(("task", "status", "area", "title"), cells, styles=_COLOURS)


def task_show(
    context: typer.Context,
    task_id: str = typer.Argument(metavar="TASK", help="The id of a task."),
    as_json: bool = JSON,
) -> None:
    """Show what is known of one task."""
    place = here(context)
    config = place.settings().config
    work, store = _doors(place.root())
    if not names.is_task(task_id):
        raise UsageError(f"{task_id!r} is no task id", "task ids look like TASK-0001")
    task = store.any_task(task_id)
    path = task.source_path if task else backlog.file_of(work, task_id)
    if task is None and not path:
        raise UsageError(f"there is no task {task_id}", "type `gluerun task list --all` to see all")
    document: dict[str, Any] = {"taskId": task_id, "status": backlog.NEW, "sourcePath": path}
    if task is not None:
        document = to_wire(task)
    else:
        text = (work.read(path) or b"").decode("utf-8", "replace")
        document["spec"] = to_wire(taskfile.parse(text, config, file=path).spec)
    show(document, as_json=as_json, words=lambda: _say_task(document))


def _say_task(document: dict[str, Any]) -> None:
    spec = document["spec"]
    say(f"{document['taskId']}: {spec['title']}")
    for name, value in {**document, **spec}.items():
        if name in ("spec", "taskId", "title", "schema", "objective", "notes") or value in ("", [], None):
            continue
        if isinstance(value, list):
            say(f"  {name}:")
            for item in value:
                say(f"    - {item}")
        else:
            say(f"  {name}: {value}")
    say(f"\n{spec['objective']}")


def task_new(
    context: typer.Context,
    title: str = typer.Option("", "--title", help="What is to be done, in a few words."),
    objective: str = typer.Option("", "--objective", help="What will be true when it is done."),
    owned: list[str] = typer.Option([], "--owned", metavar="PATH", help="A file or folder it may change; repeatable."),
    accept: list[str] = typer.Option([], "--accept", metavar="TEXT", help="A criterion to accept it by; repeatable."),
    depends_on: list[str] = typer.Option([], "--depends-on", metavar="TASK", help="A task to wait for; repeatable."),
    area: str = typer.Option("", "--area", help="The area it belongs to."),
    gate: str = typer.Option("", "--gate", metavar="COMMAND", help="A gate of its own."),
    node: str = typer.Option("", "--node", metavar="NODE", help="The node of the planning graph it completes."),
    from_file: str = typer.Option("", "--from-file", metavar="FILE", help="Markdown to start from; - for stdin."),
    as_json: bool = JSON,
) -> None:
    """Write the file of a new task under the next free id."""
    place = here(context)
    config = place.settings().config
    work, store = _doors(place.root())
    draft = backlog.Draft(
        title=title,
        objective=objective,
        owned=tuple(owned),
        accept=tuple(accept),
        depends_on=tuple(depends_on),
        area=area,
        gate=gate,
        node=node,
        text=_text(from_file),
    )
    task_id, path = backlog.add(store, work, config, draft)
    for need in depends_on:
        if not backlog.file_of(work, need) and store.any_task(need) is None:
            warn(f"{task_id} depends on {need}, which nobody knows yet")
    show({"taskId": task_id, "path": path}, as_json=as_json, words=lambda: say(f"wrote {path}"))


def _text(name: str) -> str:
    if not name:
        return ""
    try:
        data = typer.get_binary_stream("stdin").read() if name == "-" else Path(name).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror or error}", "name a Markdown file", file=name) from None
    except UnicodeDecodeError:
        raise UsageError(f"{name}: not readable as UTF-8", "save it as UTF-8", file=name) from None


def _doors(root: str) -> tuple[DiskFiles, Store]:
    return DiskFiles(root), Store(DiskFiles(f"{root}/.gluerun-state"))

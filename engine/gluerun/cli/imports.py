"""import: many tasks out of one file, all or none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gluerun.cli.options import JSON
from gluerun.cli.place import here
from gluerun.cli.show import say, show, warn
from gluerun.errors import REFUSED, UsageError

if TYPE_CHECKING:
    from gluerun.edge.backlog import Draft
    from gluerun.edge.importing import Imported
    from gluerun.edge.wishes import Wishes


def import_file(
    context: typer.Context,
    file: str = typer.Argument(metavar="FILE", help="A batch, a checklist or issues; - for stdin."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be written or refused."),
    owned: list[str] = typer.Option([], "--owned", metavar="PATH", help="What a task may change that says nothing."),
    accept: list[str] = typer.Option([], "--accept", metavar="TEXT", help="A criterion for tasks that have none."),
    area: str = typer.Option("", "--area", help="The area of tasks that name none, and with it their paths."),
    node: str = typer.Option("", "--node", metavar="NODE", help="The node of tasks that name none."),
    gate: str = typer.Option("", "--gate", metavar="COMMAND", help="The gate of tasks that name none."),
    as_json: bool = JSON,
) -> None:
    """Write task files for everything a file wishes for, or for nothing: exit 2 if anything in it is refused.

    It may be a batch of tasks as planners write it (JSON), a Markdown checklist (an open item is a task, what stands
    below it are its criteria), Markdown with a heading for each task, or the issues that
    `gh issue list --json number,title,body,labels,url` prints. An issue that was imported before is left out.
    """
    from gluerun.edge import backlog
    from gluerun.edge.wishes import wishes_in

    here(context).root()  # where we stand is asked before what we are given
    text = text_of(file)
    given = backlog.Draft(owned=tuple(owned), accept=tuple(accept), area=area, node=node, gate=gate)
    name = "stdin" if file == "-" else file
    take_in_all(context, wishes_in(text, name), name, given, dry_run=dry_run, as_json=as_json)


def text_of(name: str) -> str:
    """Return the text of a file, or of stdin; UsageError where it cannot be read."""
    if not name:
        return ""
    try:
        data = typer.get_binary_stream("stdin").read() if name == "-" else Path(name).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(
            f"{name}: {error.strerror or error}", "name a file that is there, or - for stdin", file=name
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"{name}: not readable as UTF-8", "save it as UTF-8", file=name) from None


def take_in_all(
    context: typer.Context, wishes: Wishes, name: str, given: Draft, *, dry_run: bool, as_json: bool
) -> None:
    """Write the files of many tasks, or none, and say so; exit 2 if anything is refused."""
    from gluerun.edge.importing import bring_in
    from gluerun.wiring import open_house

    place = here(context)
    found = bring_in(open_house(place.root(), flags=place.flags()), wishes, name, given, dry_run=dry_run)
    show(found, as_json=as_json, words=lambda: _words(found))
    if found.refusals:
        raise typer.Exit(REFUSED)


def _words(found: Imported) -> None:
    for one in found.refusals:
        warn(f"{found.file}:{one.line}: {f'{one.title!r}: ' if one.title else ''}{one.reason}")
    if found.refusals:
        say(f"nothing was written: {len(found.refusals)} of the tasks in {found.file} cannot be taken in")
        return
    for task in found.tasks:
        say(f"{'would write' if found.dry_run else 'wrote'} {task.path}: {task.title}")
    for known in found.known:
        say(f"{known.task_id} is {known.source} already")
    if not found.tasks and not found.known:
        say("nothing to write")

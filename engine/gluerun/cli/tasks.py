"""task list, task show, task new."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

import typer

from gluerun.adapters.files import DiskFiles
from gluerun.cli.imports import take_in_all, text_of
from gluerun.cli.options import JSON
from gluerun.cli.place import here
from gluerun.cli.show import say, show, table, warn
from gluerun.edge import backlog
from gluerun.errors import UsageError
from gluerun.loop.store import Store

if TYPE_CHECKING:
    from gluerun.edge.views import TaskPage
    from gluerun.records.config import Config

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
    from gluerun.edge.views import task_page
    from gluerun.wiring import open_house

    place = here(context)
    page = task_page(open_house(place.root(), flags=place.flags()), task_id)
    show(page, as_json=as_json, words=lambda: _say_task(page))


def _say_task(page: TaskPage) -> None:
    say(f"{page.id} {page.status}: {page.title}")
    for name, value in (
        ("area", page.area),
        ("node", page.node),
        ("owns", ", ".join(page.owned_files)),
        ("depends on", ", ".join(page.depends_on)),
        ("branch", page.branch),
        ("run", page.run),
        ("lease", f"until {page.lease.expires_at}, epoch {page.lease.epoch}" if page.lease else ""),
        ("retries left", str(page.retries_left)),
        ("last failure", page.last_failure),
        ("decision", page.decision),
        ("merged as", page.merge_commit),
    ):
        if value:
            say(f"  {name:<13} {value}")
    say(f"  objective     {page.objective}")
    for criterion in page.acceptance_criteria:
        say(f"  criterion     {criterion}")
    for one in page.attempts:
        words = one.reason or ("accepted" if one.is_over else "under way, or cut off")
        words = f"{one.failure_class}: {words}" if one.failure_class else words
        say(f"  try {one.n:<9} {words}{f' → {one.decider_action}' if one.decider_action else ''}")
        if one.tests:
            say(f"  tests         {one.tests}")


RULES = "Whether a person approves it (none, risk or always)"


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
    approve_plan: str = typer.Option("", "--approve-plan", metavar="RULE", help=f"{RULES}, before it is started."),
    approval: str = typer.Option("", "--approval", metavar="RULE", help=f"{RULES}, before its work lands."),
    from_file: str = typer.Option("", "--from-file", metavar="FILE", help="Markdown to start from; - for stdin."),
    edit: bool = typer.Option(False, "--edit", help="Write it in $VISUAL or $EDITOR; unchanged makes nothing."),
    from_spec: str = typer.Option(
        "", "--from-spec", metavar="FILE", help="Many tasks, all or none: Markdown sections `# title`, or a YAML list."
    ),
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
        approve_plan=approve_plan,
        approval=approval,
        text=text_of(from_file),
    )
    if from_spec:
        if edit or title or objective or from_file or depends_on:
            hint = (
                "lists, --area, --gate, --node and rules of approval go with it, for tasks that say nothing themselves"
            )
            raise UsageError("a specification says for itself what its tasks are", hint)
        from gluerun.edge.wishes import specification

        wishes = specification(text_of(from_spec), from_spec)
        take_in_all(context, wishes, from_spec, draft, dry_run=False, as_json=as_json)
        return
    task_id, path = _edited(place.root(), config, draft) if edit else backlog.add(store, work, config, draft)
    for need in depends_on:
        if not backlog.file_of(work, need) and store.any_task(need) is None:
            warn(f"{task_id} depends on {need}, which nobody knows yet")
    show({"taskId": task_id, "path": path}, as_json=as_json, words=lambda: say(f"wrote {path}"))


def _edited(root: str, config: Config, draft: backlog.Draft) -> tuple[str, str]:
    """Let a person write the task in their editor; what cannot be taken in is kept, so that no word is lost."""
    work, store = _doors(root)
    name = f"edits/{os.getpid()}.md"
    begun = backlog.sheet(draft)
    store.files.write(name, begun.encode(), durable=False)
    path = f"{root}/.gluerun-state/{name}"
    _let_edit(path)
    text = (store.files.read(name) or b"").decode("utf-8", "replace")
    if not text.strip() or text == begun:
        store.files.remove(name)
        raise UsageError("the task was left as it was, so nothing was written", "write its title and its lists")
    try:
        written = backlog.add(store, work, config, backlog.Draft(text=text))
    except UsageError as error:
        hint = f"your text is kept: mend it and type `gluerun task new --from-file {path}`"
        raise UsageError(error.message, hint) from None
    store.files.remove(name)
    return written


def _let_edit(path: str) -> None:
    """Run the editor that the environment names."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        code = subprocess.run([*shlex.split(editor), path], check=False).returncode
    except (OSError, ValueError) as error:
        raise UsageError(f"the editor {editor!r} cannot be started: {error}", "set VISUAL or EDITOR") from None
    if code:
        raise UsageError(f"the editor {editor!r} ended with {code}, so nothing was written", f"your text is in {path}")


def _doors(root: str) -> tuple[DiskFiles, Store]:
    return DiskFiles(root), Store(DiskFiles(f"{root}/.gluerun-state"))

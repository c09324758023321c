"""rescue list, rescue show, rescue restore, gc: what was kept, how to get it back, and what is given up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gluerun.cli.options import JSON
from gluerun.cli.place import here
from gluerun.cli.show import say, show, table
from gluerun.errors import UsageError

if TYPE_CHECKING:
    from gluerun.edge.rescues import RescueLine, RescuePage, Rescues
    from gluerun.loop.collecting import Collected
    from gluerun.loop.house import House

_REF = typer.Argument(metavar="REF|TASK", help="A rescue as `rescue list` names it, or a task that has only one.")
_UNITS = ("bytes", "kB", "MB", "GB")


def rescue_list(
    context: typer.Context,
    task: str = typer.Option("", "--task", metavar="TASK", help="Only the rescues of this task."),
    as_json: bool = JSON,
) -> None:
    """List what was rescued before it was removed."""
    from gluerun.edge.rescues import rescues

    found = rescues(_open(context), task)
    show(found, as_json=as_json, words=lambda: _say_list(found))


def rescue_show(
    context: typer.Context,
    ref: str = _REF,
    stat: bool = typer.Option(False, "--stat", help="List the paths; this is what is shown without an option."),
    patch: bool = typer.Option(False, "--patch", help="Show the whole difference."),
    as_json: bool = JSON,
) -> None:
    """Show what a rescue holds, compared with where its task began."""
    from gluerun.edge.rescues import page

    if stat and patch:
        raise UsageError("--stat and --patch are two answers to one question", "leave one out")
    found = page(_open(context), ref, patch=patch)
    show(found, as_json=as_json, words=lambda: _say_page(found))


def rescue_restore(
    context: typer.Context,
    ref: str = _REF,
    to: str = typer.Option("", "--to", metavar="PATH", help="Make a new work tree in this folder."),
    branch: str = typer.Option("", "--branch", metavar="NAME", help="Make a new branch of this name."),
    as_json: bool = JSON,
) -> None:
    """Get a rescue back; nothing that is there is ever written over."""
    from gluerun.edge.rescues import Restored, named
    from gluerun.loop.rescue import restore_branch, restore_place

    if bool(to) == bool(branch):
        raise UsageError("say where it should go, in one way", "--branch NAME for a branch, --to PATH for a folder")
    house = _open(context)
    name, commit = named(house, ref)
    if to:
        place = Path(to).expanduser().absolute()
        if place.exists() or place.is_symlink():
            raise UsageError(f"{to} is there already", "name a folder that is not there yet", file=to)
        restore_place(house, commit, str(place))
        words = f"{name} is in the new work tree {place}"
    else:
        restore_branch(house, commit, branch)
        words = f"{name} is on the new branch {branch}; look at it with `git log -p {branch}`"
    answer = Restored(ref=name, commit=commit, branch=branch, path=str(place) if to else "")
    show(answer, as_json=as_json, words=lambda: say(words))


def gc(
    context: typer.Context,
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be given up."),
    rescues_older_than: int | None = typer.Option(
        None,
        "--rescues-older-than",
        metavar="DAYS",
        min=0,
        help="Give up every rescue of this age, also what nothing else holds.",
    ),
    as_json: bool = JSON,
) -> None:
    """Give up what is old and not needed, and say how much it frees."""
    from gluerun.loop.collecting import collect

    found = collect(_open(context), acting=not dry_run, rescues_older_than=rescues_older_than)
    show(found, as_json=as_json, words=lambda: _say_collected(found))


def _open(context: typer.Context) -> House:
    from gluerun.wiring import open_house

    place = here(context)
    return open_house(place.root(), flags=place.flags())


def _say_list(found: Rescues) -> None:
    if not found.rescues:
        say("Nothing has been rescued.")
    else:
        table(("rescue", "when", "files", "size", "why"), [_cells(one) for one in found.rescues])
    for ref in found.others:
        say(f"also there, and never removed by gluerun: {ref}")


def _cells(one: RescueLine) -> tuple[str, ...]:
    name = one.ref.removeprefix("refs/gluerun/rescue/")
    return (name, f"{one.at:%Y-%m-%d %H:%M}", str(one.files), sized(one.bytes), one.reason)


def _say_page(found: RescuePage) -> None:
    one = found.rescue
    say(f"{one.ref} {one.commit}")
    say(f"  kept       {one.at:%Y-%m-%d %H:%M:%SZ}: {one.reason}")
    say(f"  base       {found.base or 'none'}")
    if found.patch:
        say(found.patch)
        return
    for path in found.paths:
        say(f"  {path.status} {path.path}")
    say(f"{one.files} paths, {sized(one.bytes)}")


def _say_collected(found: Collected) -> None:
    for one in found.given:
        say(f"{one.kind:<7} {one.name}: {one.reason}, {sized(one.bytes)}")
    done = "were given up and freed" if found.acted else "would be given up and free"
    say(f"{len(found.given)} things {done} {sized(found.bytes)}; {found.kept_rescues} rescues stay")


def sized(count: int) -> str:
    """Return a number of bytes as a person reads it."""
    value, unit = float(count), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"

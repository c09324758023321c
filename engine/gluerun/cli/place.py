"""Which repository a command is about, and the settings that its flags make."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gluerun import settings
from gluerun.errors import UsageError
from gluerun.records.record import record
from gluerun.settings_table import BY_ENV, BY_FIELD, BY_KEY, KNOBS
from gluerun.settings_walk import nearest

if TYPE_CHECKING:
    from gluerun.settings import Settings

WORKTREES = ".worktrees"


@record
class Place:
    """The global options of a command line."""

    repo: str = ""
    sets: tuple[str, ...] = ()

    def folder(self) -> str:
        """Return the folder that was named, or the one we stand in."""
        folder = Path(self.repo or Path.cwd()).absolute()
        if not folder.is_dir():
            raise UsageError(f"{self.repo}: no such folder", "name the folder of a git repository: --repo PATH")
        return str(folder)

    def top(self) -> str:
        """Return the top level of the repository, empty where there is none; UsageError in the work tree of a run."""
        folder = Path(os.path.realpath(self.folder()))
        found = next((one for one in (folder, *folder.parents) if (one / ".git").exists()), None)
        return _not_a_run(found) if found else ""

    def root(self) -> str:
        """Return the top level of the repository; UsageError where there is none."""
        if top := self.top():
            return top
        folder = Path(os.path.realpath(self.folder()))
        if (folder / "HEAD").is_file() and (folder / "objects").is_dir():
            raise UsageError(f"{folder} is a bare repository", "go to a clone that has a work tree")
        raise UsageError(f"{folder} is not inside a git repository", "go to one, or name it: --repo PATH")

    def flags(self) -> dict[str, object]:
        """Return the settings made by `--set NAME=VALUE`, by field."""
        found: dict[str, object] = {}
        for word in self.sets:
            name, equals, value = word.partition("=")
            if not equals:
                raise UsageError(f"--set {word}: there is no value", f"write --set {name}=VALUE")
            knob = BY_KEY.get(name) or BY_FIELD.get(name.lower()) or BY_ENV.get(f"GLUERUN_{name}") or BY_ENV.get(name)
            if knob is None:
                raise UsageError(f"--set {name}: no such setting", nearest(name, [one.key for one in KNOBS]))
            found[knob.field] = value
        return found

    def settings(self) -> Settings:
        """Return the resolved settings of the repository; slips are told on stderr."""
        from gluerun.cli.show import warn

        found = settings.load(self.root(), os.environ, self.flags())
        for word in found.warnings:
            warn(word)
        return found


def _not_a_run(root: Path) -> str:
    """Return *root*; UsageError inside the work tree of a run, whose state is not its own."""
    if root.parent.name == WORKTREES and (root.parent.parent / ".git").exists():
        main = root.parent.parent
        raise UsageError(f"{root} is the work tree of a run", f"name its repository: --repo {main}")
    return str(root)


def take_place(
    context: typer.Context,
    repo: str = typer.Option("", "--repo", metavar="PATH", help="The repository; else the one we stand in."),
    sets: list[str] = typer.Option([], "--set", metavar="NAME=VALUE", help="Set any setting for this command."),
) -> None:
    """Keep the global options for the verb that follows."""
    context.obj = Place(repo=repo, sets=tuple(sets))


def here(context: typer.Context) -> Place:
    """Return the place that the global options name."""
    found = context.find_root().obj
    return found if isinstance(found, Place) else Place()

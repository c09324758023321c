"""update, migrate: which engine a repository wants, and the data contract that it is written for."""

from __future__ import annotations

import os

import typer

from gluerun.cli.options import JSON
from gluerun.cli.place import here
from gluerun.cli.show import say, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.edge.migrating import Migration
    from gluerun.edge.pinning import Pinned

_VERSION: str = typer.Argument("", metavar="[VERSION]", help="The version to want; else the current one.")
_DRY: bool = typer.Option(False, "--dry-run", help="Only say what would be done.")


def update(context: typer.Context, version: str = _VERSION, dry_run: bool = _DRY, as_json: bool = JSON) -> None:
    """Let this repository want an installed version of the engine."""
    from gluerun.adapters.probe import probe_at
    from gluerun.edge import pinning

    root = here(context).root()
    found = pinning.update(root, version, os.environ, probe_at(root), act=not dry_run)
    show(found, as_json=as_json, words=lambda: _say_pinned(found))


def migrate(context: typer.Context, dry_run: bool = _DRY, as_json: bool = JSON) -> None:
    """Bring this repository to the engine's data contract, with a backup; safe to repeat after a crash."""
    from gluerun.edge import migrating

    found = migrating.migrate(migrating.yard_at(here(context).root()), act=not dry_run)
    show(found, as_json=as_json, words=lambda: _say_migration(found))


def _say_pinned(found: Pinned) -> None:
    would = "" if found.acted else "would be "
    for name in found.changed:
        say(f"{would}written: {name}")
    was = f", it was {found.before}" if found.before and found.before != found.after else ""
    say(f"this repository {'wants' if found.acted else 'would want'} gluerun {found.after}{was}")


def _say_migration(found: Migration) -> None:
    if found.before == found.after:
        say(f"nothing to do: this repository is written for schema {found.after}")
        return
    for one in found.changes:
        say(f"{one.change:<7} {one.path}")
    for words in found.notes:
        say(f"note: {words}")
    if found.acted:
        say(f"migrated from {found.before} to {found.after}; what was there is in {', '.join(found.backups)}")
        say("Next: type `gluerun doctor`, look at the changes with `git diff`, then commit them.")
    else:
        say(f"would migrate from {found.before} to {found.after}; nothing was changed")

"""timer install, timer show, timer remove: cycles started by the user's own system."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

from gluerun.cli.options import JSON
from gluerun.cli.place import here
from gluerun.cli.show import say, show, warn
from gluerun.edge import timers
from gluerun.errors import SAYS_NO, UsageError

if TYPE_CHECKING:
    from gluerun.adapters.files import DiskFiles
    from gluerun.adapters.probe import Probe

_DRY = typer.Option(False, "--dry-run", help="Only show the files and commands.")


def timer_install(
    context: typer.Context,
    every: str = typer.Option("1min", "--every", metavar="SPAN", help="How often a cycle runs, such as 5min or 1h."),
    resident: bool = typer.Option(False, "--resident", help="Keep `gluerun auto --forever` alive instead."),
    dry_run: bool = _DRY,
    as_json: bool = JSON,
) -> None:
    """Let systemd (as this user) or launchd run cycles here, also while no terminal is open."""
    from gluerun.core.timers import SPANS, span_of
    from gluerun.settings import require_actable

    try:
        seconds = 0 if resident else span_of(every)
    except ValueError as error:
        hours = ", ".join(f"{span // 60}min" for span in SPANS if span <= 3600)
        raise UsageError(f"--every {error}", f"for example {hours}, 2h, 1d") from None
    place = here(context)
    require_actable(place.settings().config)
    plan = timers.plan(place.root(), os.environ, sys.platform, seconds)
    if dry_run:
        _show_plan(plan, plan.start, as_json=as_json)
        return
    files, ask = _doors(plan)
    report = timers.install(plan, files, ask)
    show(report, as_json=as_json, words=lambda: _words(report, f"installed {plan.name} in {plan.folder}"))
    if report.said:
        raise typer.Exit(SAYS_NO)


def timer_show(context: typer.Context, as_json: bool = JSON) -> None:
    """Show the timer of this repository as it is on disk."""
    plan = timers.plan(here(context).root(), os.environ, sys.platform, 60)
    report = timers.report(plan, _doors(plan)[0])

    def words() -> None:
        if not report.installed:
            say("There is no timer here. `gluerun timer install` writes one.")
        for name, text in report.files.items():
            say(f"# {report.folder}/{name}")
            say(text)

    show(report, as_json=as_json, words=words)


def timer_remove(context: typer.Context, dry_run: bool = _DRY, as_json: bool = JSON) -> None:
    """Take the timer of this repository away; what runs goes on to its end."""
    plan = timers.plan(here(context).root(), os.environ, sys.platform, 60)
    if dry_run:
        _show_plan(plan, plan.end, as_json=as_json)
        return
    files, ask = _doors(plan)
    report = timers.remove(plan, files, ask)
    done = f"removed {plan.name}" if report.applied else "There is no timer here."
    show(report, as_json=as_json, words=lambda: _words(report, done))


def _doors(plan: timers.Plan) -> tuple[DiskFiles, Probe]:
    from gluerun.adapters.files import DiskFiles
    from gluerun.adapters.probe import probe_at

    return DiskFiles(plan.folder), probe_at("/")


def _show_plan(plan: timers.Plan, commands: tuple[tuple[str, ...], ...], *, as_json: bool) -> None:
    document = {"name": plan.name, "folder": plan.folder, "files": plan.files, "commands": commands}

    def words() -> None:
        for name, text in plan.files.items():
            say(f"# {plan.folder}/{name}")
            say(text)
        for argv in commands:
            say(" ".join(argv))

    show(document, as_json=as_json, words=words)


def _words(report: timers.TimerReport, done: str) -> None:
    say(done)
    for one in report.said:
        warn(one)

"""init, doctor."""

from __future__ import annotations

import os

import typer

from gluerun.adapters.probe import probe_at
from gluerun.cli.options import JSON
from gluerun.cli.place import here
from gluerun.cli.show import say, show, table
from gluerun.edge import doctor as doctors
from gluerun.edge import setup
from gluerun.errors import OK, SAYS_NO, GluerunError

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def init(context: typer.Context, as_json: bool = JSON) -> None:
    """Write what is missing and keep what is there."""
    report = setup.init(probe_at(here(context).folder()))
    show(report, as_json=as_json, words=lambda: _say_init(report))


def _say_init(report: setup.InitReport) -> None:
    for name in report.written:
        say(f"wrote  {name}")
    for name in report.kept:
        say(f"kept   {name}")
    say()
    if report.gate_command == setup.NO_GATE:
        say(f"No test command was found: set gateCommand in {setup.CONFIG}.")
    say(f"Next: describe your agent in {setup.CONFIG}, type `gluerun doctor`, then commit these files.")


def doctor(context: typer.Context, as_json: bool = JSON) -> int:
    """Look at everything that a cycle will need; exit code 1 if something fails."""
    place = here(context)
    try:
        root = place.root()
    except GluerunError as error:
        failed = doctors.Check(
            id="repository", severity=doctors.Severity.FAIL, message=error.message, remedy=error.hint
        )
        checks: tuple[doctors.Check, ...] = (failed,)
    else:
        checks = doctors.diagnose(root, probe_at(root), os.environ)
    show({"checks": checks}, as_json=as_json, words=lambda: _say_checks(checks))
    return SAYS_NO if doctors.worst(checks) is doctors.Severity.FAIL else OK


def _say_checks(checks: tuple[doctors.Check, ...]) -> None:
    rows = [(str(check.severity), check.id, check.message) for check in checks]
    table(("", "check", "what was seen"), rows, styles=_COLOURS)
    for check in checks:
        if check.remedy:
            say(f"{check.id}: {check.remedy}")

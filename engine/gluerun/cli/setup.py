"""init, doctor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from gluerun.adapters.probe import probe_at
from gluerun.cli.options import JSON
from gluerun.cli.place import here
from gluerun.cli.runners import repository_of
from gluerun.cli.show import say, show, table, warn
from gluerun.core.detecting import NO_GATE
from gluerun.edge import doctor as doctors
from gluerun.edge import setup
from gluerun.edge.agents import found_at, spec_of
from gluerun.errors import OK, SAYS_NO, GluerunError

if TYPE_CHECKING:
    from gluerun.cli.place import Place
    from gluerun.edge.configuring import Shown
    from gluerun.edge.probing import Probed
    from gluerun.torture import Torture

_COLOURS = {"ok": "green", "warn": "yellow", "skipped": "yellow", "fail": "bold red"}


def init(
    context: typer.Context,
    runner: str = typer.Option("", "--runner", metavar="NAME", help="Let this declared program play every role."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what would be written, and write nothing."),
    as_json: bool = JSON,
) -> None:
    """Write what is missing and keep what is there."""
    place = here(context)
    place.top()  # the work tree of a run is no place to set up
    report = setup.init(probe_at(place.folder()), runner, dry_run=dry_run)
    show(report, as_json=as_json, words=lambda: _say_init(report))


def _say_init(report: setup.InitReport) -> None:
    for name in report.written:
        say(f"would write  {name}" if report.dry_run else f"wrote  {name}")
    for name in report.kept:
        say(f"kept   {name}")
    say()
    if report.target_branch:
        say(f"Work is merged into {report.target_branch}.")
    if report.gate_command == NO_GATE:
        say("No test command was found: type `gluerun config set gateCommand '...'`.")
    elif report.gate_command:
        language = f"{report.language}, " if report.language else ""
        say(f"The gate is `{report.gate_command}` ({language}by {report.reason}).")
    if report.areas:
        say(f"Areas: {', '.join(report.areas)}.")
    if report.dry_run:
        say("Nothing was written.")
        return
    first = f"type `gluerun doctor --runner {report.runner}`, " if report.runner else ""
    if not report.runner and setup.CONFIG in report.written:
        first = "name your agent with `gluerun config set runner NAME` (`gluerun runners` lists them), "
    say(f"Next: {first}type `gluerun doctor`, then commit these files.", wrapped=True)


def config_show(
    context: typer.Context,
    key: str = typer.Argument("", metavar="[KEY]"),
    origin: bool = typer.Option(False, "--origin", help="Say where each value comes from, and what it goes over."),
    as_json: bool = JSON,
) -> None:
    """Show what the engine goes by here; what looks like a secret is not shown."""
    from gluerun.edge.configuring import shown

    place = here(context)
    found = shown(place.root(), os.environ, place.flags(), key)
    document = {"schema": "gluerun.orchestration.config-shown.v0", "settings": found}
    show(document, as_json=as_json, words=lambda: _say_settings(found, origin=origin))


def _say_settings(found: tuple[Shown, ...], *, origin: bool) -> None:
    if not origin:
        table(("key", "value"), [(one.key, one.words) for one in found])
        return
    table(("key", "value", "from"), [(one.key, one.words, one.origin.words) for one in found])
    for one in found:
        for other in one.instead_of:
            say(f"{one.key}: {one.words} ({one.origin.words}) is used instead of {other.said} ({other.words})")


def config_set(context: typer.Context, key: str, value: str, as_json: bool = JSON) -> None:
    """Set a key of the configuration; a value that is JSON is taken as that."""
    put = setup.set_key(here(context).root(), key, value)
    show({"key": key, "value": put}, as_json=as_json, words=lambda: say(f"{key} is {value} now"))


def config_unset(context: typer.Context, key: str, as_json: bool = JSON) -> None:
    """Take a key out of the configuration."""
    setup.set_key(here(context).root(), key, None)
    show({"key": key, "value": None}, as_json=as_json, words=lambda: say(f"{key} is taken out"))


def doctor(
    context: typer.Context,
    runner: str = typer.Option(
        "", "--runner", metavar="NAME", help="Try this runner for real, with one small question to its account."
    ),
    torture: bool = typer.Option(
        False, "--torture", help="Let agents that misbehave loose in a scratch repository; takes a minute or two."
    ),
    as_json: bool = JSON,
) -> int:
    """Look at everything that a cycle will need; exit code 1 if something fails."""
    place = here(context)
    if torture:
        return _torture(as_json=as_json)
    if runner:
        return _try_out(place, runner, as_json=as_json)
    try:
        root = place.root()
    except GluerunError as error:
        failed = doctors.Check(
            id="repository",
            severity=doctors.Severity.FAIL,
            message=error.message,
            remedy=error.hint,
            command="" if "bare" in error.message else "git init -b main",
        )
        checks: tuple[doctors.Check, ...] = (failed,)
    else:
        checks = doctors.diagnose(root, probe_at(root), os.environ)
    show({"checks": checks}, as_json=as_json, words=lambda: _say_checks(checks))
    return SAYS_NO if doctors.worst(checks) is doctors.Severity.FAIL else OK


def _torture(*, as_json: bool) -> int:
    from gluerun.torture import torture
    from gluerun.zoo import ANIMALS

    if not as_json:
        warn(f"{len(ANIMALS)} agents misbehave in a scratch repository; this takes a minute or two")
    found = torture()
    show(found, as_json=as_json, words=lambda: _say_torture(found))
    return OK if found.is_good else SAYS_NO


def _say_torture(found: Torture) -> None:
    rows = [(one.verdict, one.animal, one.does, one.expected, one.found) for one in found.findings]
    table(("", "agent", "what it does", "expected", "found"), rows, styles=_COLOURS)
    for one in found.findings:
        if one.harm:
            say(f"{one.animal}: {one.harm}")
    for words in found.harm:
        say(f"harm: {words}")
    good = sum(one.verdict == "ok" for one in found.findings)
    say(f"{good} of {len(found.findings)} as expected, in {found.seconds:.0f} seconds; sandbox: {found.sandbox}.")
    if found.sandbox == "none":
        say("Without a sandbox nothing keeps an agent from writing elsewhere: those that would were not let loose.")


def _try_out(place: Place, name: str, *, as_json: bool) -> int:
    from gluerun.edge.probing import try_out
    from gluerun.loop.house import House
    from gluerun.wiring import doors_of

    root, config = repository_of(place)
    spec = spec_of(name, config)
    probe = probe_at(root or place.folder())
    if not as_json and found_at(spec, os.environ, root):
        warn(f"asking {name} for one small file; its account is used")
    probed = try_out(
        spec, os.environ, probe, lambda root, config: House(doors_of(root, config), config), config=config, root=root
    )
    show(probed, as_json=as_json, words=lambda: _say_probed(probed))
    return OK if probed.is_good else SAYS_NO


def _say_probed(probed: Probed) -> None:
    version = f" {probed.version}" if probed.version else ""
    say(f"{probed.runner}{version} at {probed.path}")
    say(f"{'ok' if probed.is_good else 'fail'}: {probed.verdict}")
    if probed.seconds:
        say(", ".join((f"{probed.seconds:.1f} seconds", *_usage(probed))))
    if probed.confined:
        say(f"confined by: {probed.confined}")
    if probed.folder:
        say(f"Everything is kept in {probed.folder}")


def _usage(probed: Probed) -> list[str]:
    about = "about " if probed.estimated else ""
    told = (
        ("model {}", probed.model if probed.model != "unknown" else None),
        ("{} turns", probed.turns),
        ("{} fresh tokens", probed.fresh_tokens),
        ("{} cached", probed.cached_tokens),
        ("{} written", probed.output_tokens),
        (about + "{:.4f} USD", probed.cost_usd),
    )
    return [form.format(value) for form, value in told if value is not None and value != ""]


def _say_checks(checks: tuple[doctors.Check, ...]) -> None:
    rows = [(str(check.severity), check.id, check.message) for check in checks]
    table(("", "check", "what was seen"), rows, styles=_COLOURS)
    for check in checks:
        if check.remedy:
            say(f"{check.id}: {check.remedy}{f'; type: {check.command}' if check.command else ''}", wrapped=True)

"""Timers of the user's own system: where their files lie, and which commands make them known."""

from __future__ import annotations

import hashlib
import plistlib
import re
import sys

from gluerun.core.timers import LOG, Job, launchd_agent, systemd_units
from gluerun.errors import ToolMissingError, UsageError
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gluerun.adapters.probe import Probe
    from gluerun.ports import Files


@record
class Plan:
    """The files of a timer under the user's home, what makes them known, and what lets them be forgotten."""

    name: str
    system: str
    folder: str
    files: dict[str, str]
    start: tuple[tuple[str, ...], ...]
    end: tuple[tuple[str, ...], ...]


@record
class TimerReport:
    """What `gluerun timer` answers: the timer of this repository, what is there of it, and what was done."""

    SCHEMA = "timer.v0"

    name: str
    system: str
    folder: str
    files: dict[str, str]
    installed: bool
    applied: bool
    said: tuple[str, ...] = ()


def plan(root: str, environ: Mapping[str, str], platform: str, every: int) -> Plan:
    """Return the timer of the repository at *root*; ToolMissingError on a system that has none we know."""
    home = environ.get("HOME", "")
    if not home.startswith("/"):
        raise UsageError("HOME is no absolute path", "set HOME, then type it again")
    if "\n" in root:
        raise UsageError("a timer cannot be written for a folder with a line break in its name", "rename the folder")
    name = f"gluerun-{_word(root)}-{hashlib.sha256(root.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
    words = ("reconcile", "--actuate") if every else ("auto", "--forever")
    # No --repo: it is typed in the repository, so that the quiet answer is given to a timer, too.
    argv = (sys.executable, "-P", "-m", "gluerun", *words)
    path = environ.get("PATH", "/usr/local/bin:/usr/bin:/bin")
    job = Job(name=name, root=root, argv=argv, path=path, every=every, log=f"{root}/.gluerun-state/{LOG}")
    if platform == "darwin":
        place = f"{home}/Library/LaunchAgents"
        file = f"{name}.plist"
        return Plan(
            name=name,
            system="launchd",
            folder=place,
            files={file: plistlib.dumps(launchd_agent(job)).decode()},
            start=(("launchctl", "unload", f"{place}/{file}"), ("launchctl", "load", "-w", f"{place}/{file}")),
            end=(("launchctl", "unload", "-w", f"{place}/{file}"),),
        )
    if platform != "linux":
        raise ToolMissingError(f"no timers are known on {platform}", "run `gluerun auto --forever` yourself")
    unit = f"{name}.timer" if every else f"{name}.service"
    return Plan(
        name=name,
        system="systemd",
        folder=f"{environ.get('XDG_CONFIG_HOME') or f'{home}/.config'}/systemd/user",
        files=systemd_units(job),
        start=(("systemctl", "--user", "daemon-reload"), ("systemctl", "--user", "enable", "--now", unit)),
        end=(
            ("systemctl", "--user", "disable", "--now", f"{name}.timer"),
            ("systemctl", "--user", "disable", "--now", f"{name}.service"),
            ("systemctl", "--user", "daemon-reload"),
        ),
    )


def names_of(plan: Plan) -> tuple[str, ...]:
    """Return every file that a timer of this name may have left, also one of the other kind."""
    return tuple(dict.fromkeys([*plan.files, *(f"{plan.name}.{kind}" for kind in ("timer", "service", "plist"))]))


def install(plan: Plan, files: Files, ask: Probe) -> TimerReport:
    """Write the files of a timer, those of another kind away, and make it known to the system."""
    remove_files(plan, files, keep=tuple(plan.files))
    for name, text in plan.files.items():
        files.write(name, text.encode("utf-8", "surrogateescape"))
    return report(plan, files, applied=True, said=run(plan.start, ask))


def remove(plan: Plan, files: Files, ask: Probe) -> TimerReport:
    """Let the system forget a timer, and take its files away."""
    there = report(plan, files).installed
    said = run(plan.end[:-1] if plan.system == "systemd" else plan.end, ask) if there else ()
    remove_files(plan, files)
    if there and plan.system == "systemd":
        said += run(plan.end[-1:], ask)
    return report(plan, files, applied=there, said=said)


def remove_files(plan: Plan, files: Files, keep: tuple[str, ...] = ()) -> None:
    """Take away the files of a timer, but for those to keep."""
    for name in names_of(plan):
        if name not in keep:
            files.remove(name)


def report(plan: Plan, files: Files, *, applied: bool = False, said: tuple[str, ...] = ()) -> TimerReport:
    """Return the timer as it is on disk."""
    found = {name: data for name in names_of(plan) if (data := files.read(name)) is not None}
    return TimerReport(
        name=plan.name,
        system=plan.system,
        folder=plan.folder,
        files={name: data.decode("utf-8", "replace") for name, data in found.items()},
        installed=bool(found),
        applied=applied,
        said=said,
    )


def run(commands: Sequence[Sequence[str]], ask: Probe) -> tuple[str, ...]:
    """Ask the system, and return what it complained of, each with the command to type by hand."""
    said = []
    for argv in commands:
        code, words = ask(argv)
        # What is not there need not be ended.
        if code and not {"unload", "disable"} & set(argv):
            said.append(f"`{' '.join(argv)}` failed ({words.splitlines()[-1] if words else code}): type it yourself")
    return tuple(said)


def _word(root: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", root.rpartition("/")[2]).strip("-")[:40] or "repository"

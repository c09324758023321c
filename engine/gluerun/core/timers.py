"""Units for the timers of systemd and launchd, as text: what runs, how often, and what outlives a cycle.

A cycle starts workers that live on after it: systemd would end them with the cycle's control group
(`KillMode=process` lets them live), launchd with its process group (`AbandonProcessGroup`).
"""

from __future__ import annotations

from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


# Set for what a timer starts.
TIMER = "GLUERUN_TIMER"
# Where launchd puts what a timer prints, in the state folder. Nobody rotates it for us: the loop does, into the other.
LOG, OLD_LOG = "timer.log", "timer.log.1"
LOG_BYTES = 4_000_000


@record
class Job:
    """What a timer starts: *argv* in *root* with this *path* to find programs, every so many seconds.

    0 seconds is a resident loop, started again when it fails.
    """

    name: str
    root: str
    argv: tuple[str, ...]
    path: str
    every: int
    log: str


def systemd_units(job: Job) -> dict[str, str]:
    """Return the units of a job by file name: a service, and the timer that starts it if it is no resident loop."""
    service = [
        "[Unit]",
        f"Description=gluerun in {_escaped(job.root)}",
        "",
        "[Service]",
        f"Type={'oneshot' if job.every else 'exec'}",
        f"WorkingDirectory={_escaped(job.root)}",
        f"Environment={_quoted(f'PATH={job.path}')}",
        "# A timer pushes unless the settings say otherwise.",
        f"Environment={_quoted(f'{TIMER}=1')}",
        f"ExecStart={' '.join(_quoted(word).replace('$', '$$') for word in job.argv)}",
        "# Workers are processes of their own and live on when a cycle is over.",
        "KillMode=process",
        "# Another cycle holds the lock: that is no failure.",
        "SuccessExitStatus=75",
    ]
    if job.every:
        timer = [
            "[Unit]",
            f"Description=gluerun in {_escaped(job.root)}, every {job.every} s",
            "",
            "[Timer]",
            f"OnCalendar={_calendar(job.every)}",
            "Persistent=true",
            f"Unit={job.name}.service",
            "",
            "[Install]",
            "WantedBy=timers.target",
        ]
        return {f"{job.name}.service": _text(service), f"{job.name}.timer": _text(timer)}
    resident = [*service, "Restart=on-failure", "RestartSec=30", "", "[Install]", "WantedBy=default.target"]
    return {f"{job.name}.service": _text(resident)}


def launchd_agent(job: Job) -> dict[str, object]:
    """Return the property list of a job."""
    when: dict[str, object] = {"StartInterval": job.every} if job.every else {"KeepAlive": {"SuccessfulExit": False}}
    return {
        "Label": job.name,
        "ProgramArguments": list(job.argv),
        "WorkingDirectory": job.root,
        "EnvironmentVariables": {"PATH": job.path, TIMER: "1"},
        "RunAtLoad": True,
        "AbandonProcessGroup": True,
        "StandardOutPath": job.log,
        "StandardErrorPath": job.log,
        **when,
    }


# How often a timer may be started: what divides an hour or a day, so that the calendar can say it.
SPANS = (60, 120, 180, 240, 300, 360, 600, 720, 900, 1200, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400)


def span_of(text: str) -> int:
    """Return the seconds that a span such as `5min` or `2h` means; ValueError with a sentence if it is none of ours."""
    number = text.strip().rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = {"": 60, "min": 60, "m": 60, "h": 3600, "s": 1, "d": 86400}.get(text.strip()[len(number) :])
    if unit is None or not number.isascii() or not number.isdigit() or int(number) * unit not in SPANS:
        raise ValueError(f"{text!r} is no span that divides an hour or a day")
    return int(number) * unit


def _calendar(every: int) -> str:
    """Return a span as systemd's calendar has it: what was missed while the machine was off is then made up for."""
    if every < 3600:
        return f"*-*-* *:0/{every // 60}:00"
    if every < 86400:
        return f"*-*-* 0/{every // 3600}:00:00"
    return "*-*-* 00:00:00"


def _quoted(word: str) -> str:
    """Return a word of a command line or an assignment as systemd reads it."""
    return '"' + _escaped(word).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escaped(text: str) -> str:
    """Return *text* with what systemd calls specifiers taken for what they are."""
    return text.replace("%", "%%")


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"

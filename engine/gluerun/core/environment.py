"""What a program may see of the environment: little by default, more only where it was declared."""

from __future__ import annotations

import hashlib

from gluerun.records.codec import canonical

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gluerun.records.config import Config
    from gluerun.records.runner import RunnerSpec

PASSED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "TERM")
# What differs from one terminal to the next, and says nothing about what a gate finds.
_PASSING = ("TMPDIR", "TERM")

# A git that tidies its store beside a worker can prune what the worker has just made.
UNTIDIED = (("gc.auto", "0"), ("maintenance.auto", "false"))


def of_program(environ: Mapping[str, str], own: Mapping[str, str], config: Config) -> dict[str, str]:
    """Return the environment of a gate or a set-up command."""
    return _untidied(_passed(environ, config.env_allowlist) | config.env | dict(own))


def of_agent(environ: Mapping[str, str], own: Mapping[str, str], config: Config, runner: RunnerSpec) -> dict[str, str]:
    """Return the environment of an agent: also its runner's variables and declared credentials."""
    allowed = (*config.env_allowlist, *runner.credentials)
    return _untidied(_passed(environ, allowed) | config.env | runner.env | dict(own))


def environment_sha256(environ: Mapping[str, str], config: Config, machine: str) -> str:
    """Return the digest of what a gate finds beside the code: its variables, and which *machine* it runs on."""
    found = {name: value for name, value in of_program(environ, {}, config).items() if name not in _PASSING}
    return hashlib.sha256(canonical({"variables": found, "machine": machine})).hexdigest()


def shell_word(text: str) -> str:
    """Return *text* as one word of a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def _untidied(env: dict[str, str]) -> dict[str, str]:
    """Return *env* with our settings of git after those that it brings itself."""
    said = env.get("GIT_CONFIG_COUNT", "")
    start = int(said) if said.isdecimal() and len(said) < 5 else 0
    ours = {"GIT_CONFIG_COUNT": str(start + len(UNTIDIED))}
    for number, (key, value) in enumerate(UNTIDIED, start):
        ours |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return env | ours


def _passed(environ: Mapping[str, str], allowed: Iterable[str]) -> dict[str, str]:
    names = {*PASSED, *allowed}
    return {name: value for name, value in environ.items() if name in names or name.startswith("LC_")}

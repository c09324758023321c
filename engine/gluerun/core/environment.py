"""What a program may see of the environment: little by default, more only where it was declared."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gluerun.records.config import Config
    from gluerun.records.runner import RunnerSpec

PASSED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "TERM")


def of_program(environ: Mapping[str, str], own: Mapping[str, str], config: Config) -> dict[str, str]:
    """Return the environment of a gate or a set-up command."""
    return _passed(environ, config.env_allowlist) | config.env | dict(own)


def of_agent(environ: Mapping[str, str], own: Mapping[str, str], config: Config, runner: RunnerSpec) -> dict[str, str]:
    """Return the environment of an agent: also its runner's variables and declared credentials."""
    allowed = (*config.env_allowlist, *runner.credentials)
    return _passed(environ, allowed) | config.env | runner.env | dict(own)


def _passed(environ: Mapping[str, str], allowed: Iterable[str]) -> dict[str, str]:
    names = {*PASSED, *allowed}
    return {name: value for name, value in environ.items() if name in names or name.startswith("LC_")}

"""What a program may see of the environment: little by default, more only where it was declared."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gluerun.records.config import RunnerSpec

PASSED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "TERM")


def of_program(environ: Mapping[str, str], own: Mapping[str, str], allowed: Iterable[str] = ()) -> dict[str, str]:
    """Return the environment of a gate or a set-up command."""
    names = {*PASSED, *allowed}
    kept = {name: value for name, value in environ.items() if name in names or name.startswith("LC_")}
    return kept | dict(own)


def of_agent(
    environ: Mapping[str, str], own: Mapping[str, str], allowed: Iterable[str], runner: RunnerSpec
) -> dict[str, str]:
    """Return the environment of an agent: also its runner's variables and declared credentials."""
    env = of_program(environ, {}, (*allowed, *runner.credentials))
    return env | runner.env | dict(own)

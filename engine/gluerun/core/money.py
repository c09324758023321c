"""Limits of money that nobody could keep: a program that tells no cost, and has no price, is never over one."""

from __future__ import annotations

from gluerun.core.prices import price_of
from gluerun.records.record import record
from gluerun.records.runner import Dialect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.records.config import Config
    from gluerun.records.runner import RunnerSpec

# Programs that tell what they cost, and those of whose tokens a price can make it.
_TELLING = (Dialect.CLAUDE, Dialect.OPENCODE)
_COUNTING = (*_TELLING, Dialect.CODEX, Dialect.GEMINI, Dialect.COPILOT)


@record
class Unkept:
    """A limit of money that a runner cannot be held to: where it stands, and what is to be done."""

    place: tuple[str, ...]
    message: str
    hint: str


def tells_cost(runner: RunnerSpec) -> bool:
    """Tell whether a program says itself what it costs; qwen speaks like claude, but does not tell."""
    is_silent = bool(runner.declaration) and runner.dialect is Dialect.CLAUDE and "maxUsd" not in runner.options
    return runner.dialect in _TELLING and not is_silent


def unkept(config: Config) -> Unkept | None:
    """Return the first limit of money that one of the roles could pass unseen; None if there is none."""
    for role, name in config.roles.items():
        runner = config.runners.get(name)
        if runner is None or (role == "auditor" and not config.require_audit):
            continue
        for place, usd, is_sum in _limits(config, role, runner):
            if usd is not None and not _is_kept(runner, config, is_sum=is_sum):
                return Unkept(place=place, message=_message(role, runner), hint=_hint(runner, place))
    return None


def _limits(config: Config, role: str, runner: RunnerSpec) -> list[tuple[tuple[str, ...], float | None, bool]]:
    """Return the limits of money that apply to a role: where each stands, and whether it is one of a sum."""
    found = [
        (("runners", runner.name.partition("@")[0], "limits", "usd"), runner.limits.usd, False),
        (("limits", "try", "usd"), config.limits_try.usd, False),
        (("limits", "day", "usd"), config.limits_day.usd, True),
    ]
    if role not in ("planner", "critic"):
        found.append((("limits", "task", "usd"), config.limits_task.usd, True))
    return found


def _is_kept(runner: RunnerSpec, config: Config, *, is_sum: bool) -> bool:
    if tells_cost(runner):
        return True
    if not is_sum and "maxUsd" in runner.options:
        return True  # the program itself keeps to it
    return runner.dialect in _COUNTING and price_of(runner.model, config.prices) is not None


def _message(role: str, runner: RunnerSpec) -> str:
    why = "prints no stream of which it could be told" if runner.dialect not in _COUNTING else "does not tell"
    return f"nobody could keep to it: the runner {runner.name!r}, which plays the {role}, {why} what it costs"


def _hint(runner: RunnerSpec, place: tuple[str, ...]) -> str:
    key = ".".join(place)
    if runner.dialect not in _COUNTING:
        return f"take `{key}` out; limits of `seconds` hold for every program"
    if runner.model:
        return f'name the price of {runner.model!r} under "prices", or take `{key}` out'
    return f'name its `model`, and a price under "prices" if it is no known one, or take `{key}` out'

"""Who may not be asked now: providers that are held back, and a day whose limit is used up."""

from __future__ import annotations

from datetime import timedelta

from gluerun.core import consequences
from gluerun.records.dispatch import Role
from gluerun.records.origin import ProviderBackoff
from gluerun.records.spent import Spent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from gluerun.core.world import World
    from gluerun.records.config import Config
    from gluerun.records.dispatch import Held
    from gluerun.records.runner import Limits


def worker_roles(config: Config) -> tuple[Role, ...]:
    """Return the roles without which a task cannot get anywhere."""
    return (Role.WORKER, Role.AUDITOR) if config.require_audit else (Role.WORKER,)


def holds(world: World, backoff: ProviderBackoff) -> bool:
    """Tell whether a back-off is still in force.

    One that only a person can end is over as soon as the configuration is another.
    """
    if world.now >= backoff.until:
        return False
    return not (backoff.needs_you and backoff.config_sha256 != world.config.sha256)


def held_back(world: World, roles: Iterable[Role]) -> str:
    """Say why nobody may be asked to play *roles* now; empty if they may."""
    for role in roles:
        runner = world.config.runners.get(world.config.runner_of(role))
        backoff = world.backoffs.get(runner.held_as) if runner else None
        if backoff is not None and holds(world, backoff):
            return f"{backoff.provider} is held back until {backoff.until:%Y-%m-%d %H:%M:%SZ}: {backoff.reason}"
    if why := day_is_spent(world):
        return why
    return ""


def day_is_spent(world: World) -> str:
    """Say that the day's limit is used up; empty if it is not, or if there is none."""
    what = over(world.spent_today, world.config.limits_day)
    return f"the day's limit of {what} is used up; it goes on at {tomorrow(world.now):%Y-%m-%d %H:%MZ}" if what else ""


def tomorrow(now: datetime) -> datetime:
    """Return when the day of *now* ends. Days are days of UTC."""
    return now.replace(hour=0, minute=0, second=0) + timedelta(days=1)


def over(spent: Spent, limits: Limits) -> str:
    """Name the first limit that *spent* has reached; empty if none."""
    if limits.usd is not None and spent.usd >= limits.usd:
        return f"${limits.usd:g}"
    if limits.tokens is not None and spent.tokens >= limits.tokens:
        return f"{limits.tokens} tokens"
    if limits.turns is not None and spent.turns >= limits.turns:
        return f"{limits.turns} turns"
    if limits.seconds is not None and spent.seconds >= limits.seconds:
        return f"{limits.seconds} seconds"
    return ""


def moments(world: World) -> list[datetime]:
    """Return when time alone ends what is held back."""
    found = [backoff.until for backoff in world.backoffs.values()]
    return [*found, tomorrow(world.now)] if day_is_spent(world) else found


def begun(held: Held, earlier: ProviderBackoff | None, run_id: str, now: datetime, config: Config) -> ProviderBackoff:
    """Return the back-off that a held run calls for; one that follows another closely is longer.

    A run that was started before the back-off of an earlier one began only confirms it.
    """
    row = consequences.row_of(held.fault)
    times = 1
    if earlier is not None and earlier.fault is held.fault:
        if now < earlier.until and (held.until is None or held.until <= earlier.until):
            return earlier
        times = earlier.times + 1 if now < earlier.until + consequences.IN_A_ROW else 1
    return ProviderBackoff(
        provider=held.provider,
        fault=held.fault,
        reason=held.reason,
        run_id=run_id,
        started_at=now,
        until=consequences.back_until(held.fault, held.until, times, now),
        times=times,
        needs_you=row.needs_you,
        config_sha256=config.sha256,
    )

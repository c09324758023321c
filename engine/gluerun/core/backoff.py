"""Who may not be asked now: providers that are held back, and a day whose limit is used up."""

from __future__ import annotations

from datetime import timedelta

from gluerun.core import consequences
from gluerun.records.dispatch import Role
from gluerun.records.origin import ProviderBackoff
from gluerun.records.record import replace
from gluerun.records.spent import Spent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from gluerun.core.world import World
    from gluerun.records.config import Config
    from gluerun.records.dispatch import Held
    from gluerun.records.runner import Limits
    from gluerun.records.spending import Expense


def worker_roles(config: Config) -> tuple[Role, ...]:
    """Return the roles without which a task cannot get anywhere."""
    return (Role.WORKER, Role.AUDITOR) if config.require_audit else (Role.WORKER,)


def holds(world: World, backoff: ProviderBackoff) -> bool:
    """Tell whether a back-off is still in force."""
    return in_force(backoff, world.now, world.config)


def in_force(backoff: ProviderBackoff, now: datetime, config: Config) -> bool:
    """Tell whether a back-off still holds its provider back.

    One that only a person can end is over as soon as the configuration is another.
    """
    if now >= backoff.until:
        return False
    return not (backoff.needs_you and backoff.config_sha256 != config.sha256)


def ended_by(expense: Expense, backoff: ProviderBackoff) -> bool:
    """Tell whether a program that was asked after a back-off has got its answer: the next one starts counting anew."""
    return expense.ended_at is not None and expense.fault is None and expense.started_at >= backoff.until


def held_back(world: World, roles: Iterable[Role]) -> str:
    """Say why nobody may be asked to play *roles* now; empty if they may."""
    for role in roles:
        runner = world.config.runners.get(world.config.runner_of(role))
        backoff = world.backoffs.get(runner.held_as) if runner else None
        if backoff is not None and holds(world, backoff):
            return f"{backoff.provider} is held back until {backoff.until:%Y-%m-%d %H:%M:%SZ}: {backoff.fault}"
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

    While one is in force it may only become longer: many who hit one wall are one back-off. A run that is taken in
    once more after a crash changes nothing.
    """
    row = consequences.row_of(held.fault)
    is_open = earlier is not None and in_force(earlier, now, config)
    times = 1
    if earlier is not None and earlier.fault is held.fault and (is_open or now >= earlier.until):
        is_soon = now < earlier.until + consequences.IN_A_ROW
        times = earlier.times if is_open else earlier.times + 1 if is_soon else 1
    until = consequences.back_until(held.fault, held.until, times, now)
    if earlier is not None and (earlier.run_id == run_id or (is_open and _adds_nothing(held, earlier, until))):
        return earlier
    return ProviderBackoff(
        provider=held.provider,
        fault=held.fault,
        reason=held.reason,
        run_id=run_id,
        started_at=now,
        until=until,
        times=times,
        needs_you=row.needs_you,
        config_sha256=config.sha256,
    )


def cut(started_at: datetime, until: datetime, longest: timedelta, now: datetime) -> datetime | None:
    """Return the end of a back-off that lies further ahead than it can last; None if it does not.

    It was written by a clock that has been set back since: it begins again, now, and is as long as it was.
    """
    if started_at <= now and until <= now + longest:
        return None
    return now + max(min(until - started_at, longest), timedelta())


def from_the_future(backoffs: Iterable[ProviderBackoff], now: datetime) -> list[ProviderBackoff]:
    """Return the back-offs that must be cut down, as they are then."""
    cuts = ((one, cut(one.started_at, one.until, consequences.LONGEST, now)) for one in backoffs)
    return [replace(one, started_at=now, until=until) for one, until in cuts if until is not None]


def _adds_nothing(held: Held, earlier: ProviderBackoff, until: datetime) -> bool:
    """Tell whether a held run says no more than is known: a shorter wait, or the same without a time of its own."""
    return until <= earlier.until or (earlier.fault is held.fault and held.until is None)

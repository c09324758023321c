"""What a person orders of tests that flake: when that is refused, and what it does."""

from __future__ import annotations

from datetime import timedelta

from gluerun.core import flakes
from gluerun.core.effects import Effect, Refusal, closest
from gluerun.records.flake import Quarantine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.records.order import Order

LONGEST_DAYS = 90


def not_allowed(world: World, order: Order) -> Refusal | None:
    """Say why a test cannot be put into quarantine: it never flaked here, nobody sees to it, or it would not end."""
    if not _test(order):
        return Refusal(
            why="a whole gate cannot be put into quarantine, only a test that its report names",
            hint="let the gate leave JUnit XML and name it in `junit`",
        )
    days = order.arguments.get("days")
    if not isinstance(days, int) or not 1 <= days <= LONGEST_DAYS:
        return Refusal(why=f"{days!r} is no number of days", hint=f"say --days N, 1 to {LONGEST_DAYS}")
    if not str(order.arguments.get("owner") or "").strip():
        return Refusal(why="somebody has to see to it", hint="say --owner NAME")
    if flakes.found(world.flakes, order.subject, _test(order)) is None:
        return _unknown(world, order)
    return None


def quarantine(world: World, order: Order) -> Effect:
    """Let a test's failure alone make no work red, for so long."""
    days = order.arguments.get("days")
    until = order.at + timedelta(days=days if isinstance(days, int) else 0)
    kept = Quarantine(
        owner=str(order.arguments.get("owner")).strip(),
        by=order.by,
        order=order.id,
        since=order.at,
        expires_at=until,
        reason=order.reason,
    )
    says = f"{_name(order)} is in quarantine until {until:%Y-%m-%d %H:%M}Z; {kept.owner} sees to it"
    return Effect(says=says, flakes=flakes.with_quarantine(world.flakes, order.subject, _test(order), kept))


def not_quarantined(world: World, order: Order) -> Refusal | None:
    """Say why a test cannot be let out of quarantine: it is not in any."""
    known = flakes.found(world.flakes, order.subject, _test(order))
    if known is None:
        return _unknown(world, order)
    return None if known.quarantine else Refusal(why=f"{_name(order)} is in no quarantine", hint="`gluerun flakes`")


def release(world: World, order: Order) -> Effect:
    """Let a test's failure count again."""
    after = flakes.with_quarantine(world.flakes, order.subject, _test(order), None)
    return Effect(says=f"{_name(order)} counts again", flakes=after)


def _unknown(world: World, order: Order) -> Refusal:
    near = closest(_name(order), [one.name for one in world.flakes.flakes])
    hint = f"did you mean {near}?" if near else "`gluerun flakes` lists what has flaked"
    return Refusal(why=f"{_name(order)} has never flaked here", hint=hint)


def _test(order: Order) -> str:
    return str(order.arguments.get("test") or "")


def _name(order: Order) -> str:
    return f"{order.subject}: {_test(order)}" if _test(order) else order.subject

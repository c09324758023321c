"""What a program may still use up: the smallest of what its runner, the try, and the task allow."""

from __future__ import annotations

from gluerun.core.metering import BROKEN, counted
from gluerun.records.dispatch import Role
from gluerun.records.fault import Limit
from gluerun.records.pause import Span
from gluerun.records.record import record
from gluerun.records.runner import Limits
from gluerun.records.spent import Spent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from gluerun.records.config import Config
    from gluerun.records.runner import RunnerSpec
    from gluerun.records.spending import Expense

READ_ONLY = frozenset({Role.AUDITOR, Role.DECIDER, Role.PLANNER, Role.CRITIC})


@record
class Allowance:
    """What one program may use, and in one sentence why it may not even be started (empty: it may).

    `of_task` are those of its limits that are what the task has left; the others are of its try.
    """

    limits: Limits
    refusal: str = ""
    of_task: frozenset[Limit] = frozenset()

    def span(self, limit: Limit | None) -> Span | None:
        """Return whose limit a program met; None if it met none."""
        if limit is None:
            return None
        return Span.TASK if limit is Limit.TASK or limit in self.of_task else Span.TRY


def allowance(runner: RunnerSpec, config: Config, role: Role, on_task: Spent) -> Allowance:
    """Return what a program may use that plays *role*, after *on_task* was spent on the same task."""
    own, one, task = runner.limits, config.limits_try, config.limits_task
    left_usd = _left(task.usd, on_task.usd)
    left_tokens = _left_whole(task.tokens, on_task.tokens)
    left_turns = _left_whole(task.turns, on_task.turns)
    left_seconds = _left_whole(task.seconds, on_task.seconds)
    limits = Limits(
        usd=_least(own.usd, one.usd, left_usd),
        tokens=_least_whole(own.tokens, one.tokens, left_tokens),
        turns=_least_whole(own.turns, one.turns, left_turns),
        seconds=_least_whole(own.seconds, one.seconds, left_seconds),
        idle_seconds=_least_whole(own.idle_seconds, one.idle_seconds),
        output_bytes=_least_whole(own.output_bytes, one.output_bytes),
        no_write=own.no_write or one.no_write or role in READ_ONLY,
    )
    spent = [
        words
        for left, words in (
            (left_usd, f"${task.usd or 0:g}"),
            (left_tokens, f"{task.tokens} tokens"),
            (left_turns, f"{task.turns} turns"),
            (left_seconds, f"{task.seconds} seconds"),
        )
        if left is not None and left <= 0
    ]
    refusal = f"the task's limit of {spent[0]} is used up" if spent else ""
    whose: tuple[tuple[Limit, float | None, float | None, float | None], ...] = (
        (Limit.MONEY, left_usd, own.usd, one.usd),
        (Limit.TOKENS, left_tokens, own.tokens, one.tokens),
        (Limit.TURNS, left_turns, own.turns, one.turns),
        (Limit.SECONDS, left_seconds, own.seconds, one.seconds),
    )
    # Where both are met at once it is the task's: a try more would not be started.
    of_task = frozenset(word for word, left, *others in whose if left is not None and left == _least(left, *others))
    return Allowance(limits=limits, refusal=refusal, of_task=of_task)


def total(expenses: Iterable[Expense]) -> Spent:
    """Return the sum of what is known of *expenses*."""
    usd, tokens, turns, seconds = 0.0, 0, 0, 0
    for one in expenses:
        usage = one.usage
        usd += usage.cost_usd or 0.0
        tokens += sum(part or 0 for part in (usage.fresh_tokens, usage.cached_tokens, usage.output_tokens))
        turns += usage.turns or 0
        # A clock that was set back under a program has not given any time back.
        seconds += max(0, int((one.ended_at - one.started_at).total_seconds())) if one.ended_at else 0
    return Spent(usd=usd, tokens=tokens, turns=turns, seconds=seconds)


def added(one: Spent, two: Spent) -> Spent:
    """Return the sum of two sums."""
    return Spent(
        usd=one.usd + two.usd,
        tokens=one.tokens + two.tokens,
        turns=one.turns + two.turns,
        seconds=one.seconds + two.seconds,
    )


def beyond(spent: Spent, since: Spent | None) -> Spent:
    """Return what of a sum came after an earlier one: what counts for a limit that a person let begin anew."""
    if since is None:
        return spent
    return Spent(
        usd=max(0.0, spent.usd - since.usd),
        tokens=max(0, spent.tokens - since.tokens),
        turns=max(0, spent.turns - since.turns),
        seconds=max(0, spent.seconds - since.seconds),
    )


def larger(one: Spent, two: Spent) -> Spent:
    """Return of each figure the larger one: two counts of the same, of which either may have missed something."""
    return Spent(
        usd=max(one.usd, two.usd),
        tokens=max(one.tokens, two.tokens),
        turns=max(one.turns, two.turns),
        seconds=max(one.seconds, two.seconds),
    )


def metered(data: bytes | None) -> Spent:
    """Return what the counter of a day shows; one that cannot be read shows more than any limit."""
    money, tokens, turns = counted(data or b"") or BROKEN
    return Spent(usd=money / 1e6, tokens=tokens, turns=turns)


def _left(limit: float | None, spent: float) -> float | None:
    return None if limit is None else max(limit - spent, 0.0)


def _left_whole(limit: int | None, spent: int) -> int | None:
    return None if limit is None else max(limit - spent, 0)


def _least(*limits: float | None) -> float | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _least_whole(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)

"""What agents cost, added up by what one likes to know it by. What nobody told stays unknown."""

from __future__ import annotations

from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gluerun.records.spending import Expense, Spending

BY: dict[str, Callable[[Spending, Expense], str]] = {
    "task": lambda spending, _: spending.task_id or spending.node or "?",
    "role": lambda _, expense: expense.role.value,
    "runner": lambda _, expense: expense.runner,
    "model": lambda _, expense: expense.model,
    "day": lambda _, expense: f"{expense.started_at:%Y-%m-%d}",
}


@record
class CostLine:
    """The costs of one task, role, runner, model or day. None is unknown, never zero.

    `unknown` counts the programs that did not tell their cost; `estimated` says that a price table had to help.
    """

    name: str
    programs: int
    turns: int | None
    fresh_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    estimated: bool
    unknown: int


@record
class Costs:
    """What `gluerun costs` answers."""

    SCHEMA = "costs.v0"

    by: str
    since: str
    lines: tuple[CostLine, ...]
    total: CostLine


def costs(spendings: Iterable[Spending], by: str, since: str = "") -> Costs:
    """Add up *spendings* by one of `BY`, from the day *since* on (as YYYY-MM-DD; empty: all)."""
    groups: dict[str, list[Expense]] = {}
    for spending in spendings:
        for expense in spending.expenses:
            if f"{expense.started_at:%Y-%m-%d}" >= since:
                groups.setdefault(BY[by](spending, expense), []).append(expense)
    everything = [expense for group in groups.values() for expense in group]
    lines = tuple(_line(name, groups[name]) for name in sorted(groups))
    return Costs(by=by, since=since, lines=lines, total=_line("total", everything))


def _line(name: str, expenses: list[Expense]) -> CostLine:
    usages = [expense.usage for expense in expenses]
    known = [usage.cost_usd for usage in usages if usage.cost_usd is not None]
    return CostLine(
        name=name,
        programs=len(expenses),
        turns=_sum(usage.turns for usage in usages),
        fresh_tokens=_sum(usage.fresh_tokens for usage in usages),
        cached_tokens=_sum(usage.cached_tokens for usage in usages),
        output_tokens=_sum(usage.output_tokens for usage in usages),
        cost_usd=round(sum(known), 6) if known else None,
        estimated=any(usage.estimated for usage in usages),
        unknown=len(usages) - len(known),
    )


def _sum(figures: Iterable[int | None]) -> int | None:
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known else None

"""What models cost, by the names that programs report: an estimate for those that tell tokens but no money."""

from __future__ import annotations

from gluerun.records.runner import Price

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from gluerun.records.dispatch import Usage

# The day for which this table was written down. List prices without discounts; prices of one's own come first.
AS_OF = "2026-01-01"

MILLION = 1_000_000
# What may follow a name of the table: a date, a revision, a variant. `gpt-5.9` is not a `gpt-5`.
_JOINTS = "-@:/"


def _price(fresh: float, cached: float, output: float) -> Price:
    return Price(fresh=fresh, cached=cached, output=output)


# Beginning of a model's name → US dollars for a million tokens: fresh, cached, output.
PRICES: dict[str, Price] = {
    "claude-3-haiku": _price(0.25, 0.03, 1.25),
    "claude-3-5-haiku": _price(0.80, 0.08, 4.00),
    "claude-3-5-sonnet": _price(3.00, 0.30, 15.00),
    "claude-3-7-sonnet": _price(3.00, 0.30, 15.00),
    "claude-3-opus": _price(15.00, 1.50, 75.00),
    "claude-haiku-4-5": _price(1.00, 0.10, 5.00),
    "claude-sonnet-4": _price(3.00, 0.30, 15.00),
    "claude-opus-4": _price(15.00, 1.50, 75.00),
    "claude-opus-4-5": _price(5.00, 0.50, 25.00),
    "gpt-4.1": _price(2.00, 0.50, 8.00),
    "gpt-4.1-mini": _price(0.40, 0.10, 1.60),
    "gpt-4.1-nano": _price(0.10, 0.025, 0.40),
    "gpt-4o": _price(2.50, 1.25, 10.00),
    "gpt-4o-mini": _price(0.15, 0.075, 0.60),
    "gpt-5": _price(1.25, 0.125, 10.00),
    "gpt-5-mini": _price(0.25, 0.025, 2.00),
    "gpt-5-nano": _price(0.05, 0.005, 0.40),
    "gpt-5-pro": _price(15.00, 15.00, 120.00),
    "gpt-5.1": _price(1.25, 0.125, 10.00),
    "gpt-5.1-codex-mini": _price(0.25, 0.025, 2.00),
    "gpt-5.2": _price(1.75, 0.175, 14.00),
    "gpt-5.2-pro": _price(21.00, 21.00, 168.00),
    "o1": _price(15.00, 7.50, 60.00),
    "o3": _price(2.00, 0.50, 8.00),
    "o3-mini": _price(1.10, 0.55, 4.40),
    "o3-pro": _price(20.00, 20.00, 80.00),
    "o4-mini": _price(1.10, 0.275, 4.40),
    "codex-mini": _price(1.50, 0.375, 6.00),
    "gemini-2.0-flash": _price(0.10, 0.025, 0.40),
    "gemini-2.5-flash": _price(0.30, 0.03, 2.50),
    "gemini-2.5-flash-lite": _price(0.10, 0.01, 0.40),
    "gemini-2.5-pro": _price(1.25, 0.125, 10.00),
    "gemini-3-pro": _price(2.00, 0.20, 12.00),
    "gemini-3-flash": _price(0.50, 0.05, 3.00),
}


def price_of(model: str, overrides: Mapping[str, Price]) -> Price | None:
    """Return what a model costs, None if nobody knows: the longest beginning of its name wins, one's own first.

    A name may be led by who serves it, as in `provider/model`. Where it is not told there is no price.
    """
    names = [model, model.rpartition("/")[2]] if model else []
    for name in names:
        if found := max((key for key in overrides if key and name.startswith(key)), key=len, default=""):
            return overrides[found]
    for name in names:
        if found := max((key for key in PRICES if _is_of(name, key)), key=len, default=""):
            return PRICES[found]
    return None


def _is_of(name: str, family: str) -> bool:
    return name == family or (name.startswith(family) and name[len(family)] in _JOINTS)


def estimate(usage: Usage, price: Price | None) -> float | None:
    """Return what the tokens of *usage* would cost in US dollars; None if a figure is unknown that is needed."""
    kinds = (
        (usage.fresh_tokens, price.fresh if price else None),
        (usage.cached_tokens, price.cached if price else None),
        (usage.output_tokens, price.output if price else None),
    )
    costs = [tokens * rate / MILLION for tokens, rate in kinds if tokens is not None and rate is not None]
    return sum(costs) if len(costs) == len(kinds) else None

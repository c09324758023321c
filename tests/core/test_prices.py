"""What models cost: the longest name wins, one's own prices first, and nothing unknown is guessed."""

from __future__ import annotations

from datetime import date

import pytest

from gluerun.core.prices import AS_OF, PRICES, estimate, price_of
from gluerun.records.dispatch import Usage
from gluerun.records.runner import Price

OWN = Price(fresh=1.0, cached=2.0, output=3.0)
OTHER = Price(fresh=4.0, cached=5.0, output=6.0)


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("claude-opus-4-5-20251101", "claude-opus-4-5"),
        ("claude-opus-4-20250514", "claude-opus-4"),
        ("claude-sonnet-4-5", "claude-sonnet-4"),
        ("anthropic/claude-sonnet-4-5", "claude-sonnet-4"),
        ("gpt-5", "gpt-5"),
        ("gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("gpt-5.1-codex-mini", "gpt-5.1-codex-mini"),
        ("o3-mini", "o3-mini"),
        ("gemini-2.5-flash-lite", "gemini-2.5-flash-lite"),
        ("gemini-2.5-pro@latest", "gemini-2.5-pro"),
    ],
)
def test_the_longest_beginning_of_a_name_wins(model, key):
    assert price_of(model, {}) is PRICES[key]


@pytest.mark.parametrize(
    "model", ["", "unknown", "lab-model", "gpt-5.9", "gpt-55", "o30", "claude", "my-claude-opus-4"]
)
def test_a_model_nobody_knows_has_no_price(model):
    assert price_of(model, {}) is None


@pytest.mark.parametrize(
    ("overrides", "price"),
    [
        ({"claude-": OWN}, OWN),
        ({"claude-": OWN, "claude-opus": OTHER}, OTHER),
        ({"vendor/claude-opus": OTHER, "claude-": OWN}, OTHER),
        ({"": OWN}, PRICES["claude-opus-4"]),
        ({"gpt-": OWN}, PRICES["claude-opus-4"]),
    ],
)
def test_prices_of_ones_own_come_first(overrides, price):
    assert price_of("vendor/claude-opus-4", overrides) is price


def usage(fresh, cached, output):
    return Usage(fresh_tokens=fresh, cached_tokens=cached, output_tokens=output)


def test_an_estimate_is_what_the_tokens_cost():
    assert estimate(usage(1600, 400, 100), PRICES["claude-sonnet-4"]) == pytest.approx(0.00642)
    assert estimate(usage(0, 0, 0), OWN) == 0


@pytest.mark.parametrize(
    ("used", "price"),
    [
        (usage(None, 1, 1), OWN),
        (usage(1, None, 1), OWN),
        (usage(1, 1, None), OWN),
        (usage(1, 1, 1), None),
        (Usage(), None),
    ],
)
def test_an_estimate_of_the_unknown_is_unknown(used, price):
    assert estimate(used, price) is None


def test_the_table_is_dated_and_sane():
    assert date.fromisoformat(AS_OF)
    assert [name for name, one in PRICES.items() if not 0 < one.cached <= one.fresh < one.output] == []

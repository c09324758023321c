"""Sums of what was spent, small enough to be carried along."""

from __future__ import annotations

from gluerun.records.record import record


@record
class Spent:
    """Sums of what is known; what no program told is in none of them."""

    usd: float = 0.0
    tokens: int = 0
    turns: int = 0
    seconds: int = 0

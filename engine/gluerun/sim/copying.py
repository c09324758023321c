"""Copies of what is simulated: a house as it is at one moment, which goes its own way from there."""

from __future__ import annotations

from copy import deepcopy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def copied(one: Any, memo: dict[int, Any], *parts: str) -> Any:
    """Return a copy of *one*: *parts* are copied with all that is in them, other collections by themselves.

    What is neither is never changed in place: texts, numbers, records, functions.
    """
    made = object.__new__(type(one))
    memo[id(one)] = made
    for name, value in vars(one).items():
        if name in parts:
            made.__dict__[name] = deepcopy(value, memo)
        else:
            made.__dict__[name] = value.copy() if type(value) in {dict, list, set} else value
    return made

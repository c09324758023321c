"""What is done about each fault of an agent program, as data: wait for its provider, try again, fail, park."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from gluerun.records.fault import Fault
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime


class Consequence(StrEnum):
    """What a fault leads to."""

    HOLD = "hold"
    AGAIN = "again"
    FAIL = "fail"
    PARK = "park"


@record
class Row:
    """What is done about one fault. A back-off lasts `first` seconds, doubled each time in a row up to `longest`.

    `needs_you` tells that waiting alone does not help: the sentence goes to the person who looks.
    """

    fault: Fault
    consequence: Consequence
    first: int = 0
    longest: int = 0
    needs_you: bool = False
    why: str = ""


def _row(fault: Fault, consequence: Consequence, first: int, longest: int, needs_you: bool, why: str) -> Row:  # noqa: FBT001 a cell
    return Row(fault=fault, consequence=consequence, first=first, longest=longest, needs_you=needs_you, why=why)


_HOLD, _AGAIN, _FAIL, _PARK = Consequence.HOLD, Consequence.AGAIN, Consequence.FAIL, Consequence.PARK

# A table is read by column.
# fmt: off
TABLE: tuple[Row, ...] = (
    #    fault                   then    first  longest needs you  why
    _row(Fault.USAGE_LIMIT,      _HOLD,  900,   7200,   False, "the provider may say when it opens again"),
    _row(Fault.OVERLOAD,         _HOLD,  60,    900,    False, "the provider recovers by itself"),
    _row(Fault.ENTITLEMENT,      _HOLD,  3600,  3600,   True,  "only the account's owner can change it"),
    _row(Fault.BAD_KEY,          _HOLD,  3600,  3600,   True,  "only the key's owner can change it"),
    _row(Fault.UNKNOWN_MODEL,    _HOLD,  3600,  3600,   True,  "the configuration names the wrong model"),
    _row(Fault.MISSING,          _HOLD,  300,   3600,   True,  "the program must be installed"),
    _row(Fault.TOO_OLD,          _HOLD,  300,   3600,   True,  "the program must be updated"),
    _row(Fault.NOT_CONFINED,     _HOLD,  300,   3600,   True,  "a sandbox is required and none can be had"),
    _row(Fault.CONTEXT_TOO_LONG, _PARK,  0,     0,      True,  "the same prompt fails again"),
    _row(Fault.LIMIT,            _FAIL,  0,     0,      False, "a limit always fails the try"),
    _row(Fault.TIMEOUT,          _AGAIN, 0,     0,      False, "infrastructure has its own tries"),
    _row(Fault.IDLE,             _AGAIN, 0,     0,      False, "infrastructure has its own tries"),
    _row(Fault.KILLED,           _AGAIN, 0,     0,      False, "infrastructure has its own tries"),
    _row(Fault.CRASHED,          _AGAIN, 0,     0,      False, "infrastructure has its own tries"),
    _row(Fault.NO_OUTPUT,        _AGAIN, 0,     0,      False, "infrastructure has its own tries"),
    _row(Fault.BROKEN_STREAM,    _AGAIN, 0,     0,      False, "infrastructure has its own tries"),
    _row(Fault.SESSION_REFUSED,  _AGAIN, 0,     0,      False, "a fresh session does as well"),
)
# fmt: on
_BY_FAULT = {row.fault: row for row in TABLE}
# A back-off that begins this soon after the last one ended is one more in a row.
IN_A_ROW = timedelta(hours=1)
# However far away a provider says it opens again: nobody is held back for longer without being asked.
LONGEST = timedelta(days=7)


def row_of(fault: Fault) -> Row:
    """Return what is done about *fault*."""
    return _BY_FAULT[fault]


def consequence(fault: Fault | None) -> Consequence:
    """Return what *fault* leads to; a trouble that nobody classed is tried again like any infrastructure."""
    return _BY_FAULT[fault].consequence if fault else Consequence.AGAIN


def back_until(fault: Fault, told: datetime | None, times: int, now: datetime) -> datetime:
    """Return until when a provider is held back for the *times*-th time in a row.

    What the provider *told* counts, but never more than a week, and never less than a breath.
    """
    row = _BY_FAULT[fault]
    if told is not None:
        return min(max(told, now + timedelta(seconds=1)), now + LONGEST)
    return now + doubled(row.first, row.longest, times)


def doubled(first: int, longest: int, times: int) -> timedelta:
    """Return how long the *times*-th pause in a row is: *first* seconds, then twice the last, up to *longest*."""
    return timedelta(seconds=min(first * 2 ** min(times - 1, 16), longest))

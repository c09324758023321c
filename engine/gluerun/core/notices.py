"""What a person is told: each need once, as long as it holds; and again if it comes back."""

from __future__ import annotations

from gluerun.core.masking import masked_text
from gluerun.records.resident import Notices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def noticed(before: Notices, needs: Iterable[str]) -> Notices:
    """Return which of *needs* are told already and which are due; one that holds no longer is forgotten."""
    now = tuple(dict.fromkeys(masked_text(need) for need in needs))
    told = tuple(need for need in now if need in before.told)
    return Notices(told=told, due=tuple(need for need in now if need not in told))


def all_told(notices: Notices) -> Notices:
    """Return *notices* after what was due has been told."""
    return Notices(told=(*notices.told, *notices.due))

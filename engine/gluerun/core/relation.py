"""How the target branch here stands to the one on its remote."""

from __future__ import annotations

from enum import StrEnum

from gluerun.records.record import record


class Relation(StrEnum):
    """How the target branch stands to its remote."""

    SAME = "same"
    AHEAD = "ahead"
    BEHIND = "behind"
    DIVERGED = "diverged"
    REWOUND = "rewound"
    TAKEN_BACK = "taken-back"


@record
class Outside:
    """What was last seen of the target branch on its remote, and how the branch here stands to it."""

    head: str
    relation: Relation

    @property
    def is_behind(self) -> bool:
        """Tell whether the branch here has only to follow."""
        return self.relation is Relation.BEHIND


def relation(*, there_in_here: bool, here_in_there: bool, agreed_in_here: bool, agreed_in_there: bool) -> Relation:
    """Tell how the branch stands to its remote, from which head holds which.

    *agreed* is the head that both had last; where there was none yet it counts as held by both.
    """
    if there_in_here and here_in_there:
        return Relation.SAME
    if agreed_in_here and not agreed_in_there:
        return Relation.REWOUND
    if agreed_in_there and not agreed_in_here and here_in_there:
        return Relation.TAKEN_BACK
    if there_in_here:
        return Relation.AHEAD
    return Relation.BEHIND if here_in_there else Relation.DIVERGED

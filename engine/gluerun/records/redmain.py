"""A target branch that is red by itself: what is known of it, and which commit made it so."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from gluerun.records.pipeline import Occasion
from gluerun.records.record import record

# Where proposed reverts are kept.
REVERTS = "refs/gluerun/repair"


class RedState(StrEnum):
    """How far the search for what made the target red is; `unfound` is one that ended without a culprit."""

    SUSPECTED = "suspected"
    RED = "red"
    BISECTING = "bisecting"
    FOUND = "found"
    UNFOUND = "unfound"
    OVER = "over"


@record
class Probe:
    """A gate run on one commit of the target's line, or on the proposed revert; `again` counts faults before it."""

    commit: str
    run_id: str
    slot: int
    since: datetime
    again: int = 0


@record
class RedMain:
    """The one repair that is under way: `red-main.json`. There is never another beside it.

    `head` is what was asked, `run` who found it red, `was_red` whether any head of this repair was. `line` is the
    target's first-parent line, the oldest first, from what was green last, or as far as anybody looks; `green` and
    `red` are the commits of it of which that is known. `revert` is the commit that takes the `culprit` back, with
    `conflicts` there is none; `shown` names of a red commit the run that showed it. `blocked_paths` are in the way of
    one that would land by itself.
    """

    SCHEMA = "red-main.v0"

    state: RedState
    head: str
    since: datetime
    gate_command: str = ""
    occasion: Occasion = Occasion.MERGE
    run: str = ""
    reason: str = ""
    was_red: bool = False
    line: tuple[str, ...] = ()
    green: tuple[str, ...] = ()
    red: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    good: str = ""
    culprit: str = ""
    subject: str = ""
    revert: str = ""
    revert_is_green: bool | None = None
    conflicts: tuple[str, ...] = ()
    shown: dict[str, str] = {}  # noqa: RUF012 a default that is never changed
    blocked_paths: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        """Tell whether nothing is left of it but the memory."""
        return self.state is RedState.OVER

    @property
    def is_red(self) -> bool:
        """Tell whether the target is known to be red; while a new head is asked, the one before speaks for it."""
        return self.was_red and not self.is_over

    @property
    def ref(self) -> str:
        """Return where the proposed revert is kept; empty if there is none."""
        return f"{REVERTS}/{self.culprit[:12]}" if self.revert else ""

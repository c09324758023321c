"""Flakes: tests, or whole gates, that were red and then green on the same commit, and what a person ordered of them."""

from __future__ import annotations

from datetime import datetime

from gluerun.records.record import record


@record
class Quarantine:
    """Until when a test's failure alone makes no work red, who sees to it, and by which order."""

    owner: str
    by: str
    order: str
    since: datetime
    expires_at: datetime
    reason: str = ""


@record
class Flake:
    """A test of a gate that failed and then passed on the same commit; `test` is empty where no report names any.

    `runs` is how often its gate has run on candidates, and on work that was accepted, since it was first seen; `run_id`
    is the red run seen last.
    """

    gate: str
    seen: int
    runs: int
    first_seen: datetime
    last_seen: datetime
    test: str = ""
    run_id: str = ""
    commit: str = ""
    log_ref: str = ""
    quarantine: Quarantine | None = None

    @property
    def rate(self) -> float:
        """How often it flaked among the runs of its gate."""
        return self.seen / max(self.runs, self.seen, 1)

    @property
    def name(self) -> str:
        """Return how a person reads it."""
        return f"{self.gate}: {self.test}" if self.test else self.gate

    def is_quarantined(self, now: datetime) -> bool:
        """Tell whether its failure makes nothing red now."""
        return self.quarantine is not None and now < self.quarantine.expires_at


@record
class Flakes:
    """What has flaked, the latest first: `flakes.json`. `counted` is the run that was counted last.

    Lost, it begins anew, and nothing is in quarantine any more.
    """

    SCHEMA = "flakes.v0"

    flakes: tuple[Flake, ...] = ()
    counted: str = ""


@record
class FlakyTest:
    """A test that a run is told of as it begins: a red of nothing but such tests is asked again in the same try.

    One in quarantine makes no work red.
    """

    gate: str
    test: str = ""
    quarantined: bool = False

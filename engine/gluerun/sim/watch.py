"""How a resident loop sleeps in a simulated house: the clock moves on, and that is all."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gluerun.sim.clock import SimClock


class SimWatch:
    """Sleeps by moving a simulated clock."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self.slept = 0.0

    def wait(self, run_ids: Sequence[str], seconds: float) -> None:
        """Let *seconds* pass."""
        del run_ids
        self.slept += seconds
        self._clock.tick(seconds=seconds)

"""How often a change that came as far as the queue is bad there: an exponential mean over what gates have said."""

from __future__ import annotations

from gluerun.records.record import record, replace

# Each word of a gate weighs as much as it would among the last thirty; flakes are rarer, and remembered for longer.
_KEPT = 29 / 30
_KEPT_OF_FLAKES = 199 / 200
# Gates are not trusted before they have shown that they are stable: one flake in twenty, never less than in a hundred.
_RUNS, _FLAKES = 20, 1
LEAST_FLAKE = 1 / 100


@record
class Rate:
    """What gates on candidates have said, older words weighing less; it begins at one bad change in ten.

    Only what is certain counts: changes that landed, culprits that were named, reds that did not come again.
    """

    landed: float = 9.0
    bad: float = 1.0
    sound: float = 0.0
    flaky: float = 0.0

    @property
    def value(self) -> float:
        """The probability that one change is bad."""
        return self.bad / (self.landed + self.bad)

    @property
    def flake(self) -> float:
        """The probability that a gate is red although nothing is wrong."""
        return max(LEAST_FLAKE, (self.flaky + _FLAKES) / (self.sound + self.flaky + _RUNS))

    def after_green(self, links: int) -> Rate:
        """Return what is thought once a green cut has shown *links* changes to be good."""
        sound, flaky = self.sound * _KEPT_OF_FLAKES, self.flaky * _KEPT_OF_FLAKES
        return replace(self._later(landed=links), sound=sound + 1, flaky=flaky)

    def after_culprit(self) -> Rate:
        """Return what is thought once one change was named as bad; the red cuts on the way to it say no more."""
        return self._later(bad=1)

    def after_flake(self) -> Rate:
        """Return what is thought once a red cut was green on the same commit: that says nothing about changes."""
        sound, flaky = self.sound * _KEPT_OF_FLAKES, self.flaky * _KEPT_OF_FLAKES
        return replace(self, sound=sound, flaky=flaky + 1)

    def _later(self, *, landed: int = 0, bad: int = 0) -> Rate:
        return replace(self, landed=self.landed * _KEPT + landed, bad=self.bad * _KEPT + bad)

"""How often a change that came as far as the queue is bad there: an exponential mean over what gates have said."""

from __future__ import annotations

from gluerun.records.record import record, replace

# Each word of a gate weighs as much as it would among the last thirty.
_KEPT = 29 / 30


@record
class Rate:
    """What gates on candidates have said, older words weighing less; it begins at one bad change in ten.

    Only what is certain counts: changes that landed, culprits that were named, reds that did not come again.
    """

    landed: float = 9.0
    bad: float = 1.0
    sound: float = 49.0
    flaky: float = 1.0

    @property
    def value(self) -> float:
        """The probability that one change is bad."""
        return self.bad / (self.landed + self.bad)

    @property
    def flake(self) -> float:
        """The probability that a gate is red although nothing is wrong."""
        return self.flaky / (self.sound + self.flaky)

    def after_green(self, links: int) -> Rate:
        """Return what is thought once a green cut has shown *links* changes to be good."""
        return replace(
            self,
            landed=self.landed * _KEPT + links,
            bad=self.bad * _KEPT,
            sound=self.sound * _KEPT + 1,
            flaky=self.flaky * _KEPT,
        )

    def after_culprit(self) -> Rate:
        """Return what is thought once one change was named as bad; the red cuts on the way to it say no more."""
        return replace(self, landed=self.landed * _KEPT, bad=self.bad * _KEPT + 1)

    def after_flake(self) -> Rate:
        """Return what is thought once a red cut was green on the same commit: that says nothing about changes."""
        return replace(self, sound=self.sound * _KEPT, flaky=self.flaky * _KEPT + 1)

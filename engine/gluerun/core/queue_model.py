"""A queue in virtual time: what a policy lands, how soon, and how many gate runs it takes.

Gates here only pass time. The policy under test is `core.steering.steer` itself; serial integration and plain
speculation are there to be compared with. What is random comes in as a stream of draws, so that a seed decides all.
"""

from __future__ import annotations

import heapq

from gluerun.core.steering import Seen, Steer
from gluerun.records.rate import LEAST_FLAKE, Rate
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Policy = Callable[[Seen], Steer]
    Draw = Callable[[], float]


_NEVER = float("inf")


@record
class Change:
    """One finished branch: when it comes, whether it is bad, and beside which other change it is."""

    arrives: float = 0.0
    bad: bool = False
    clashes_with: int | None = None


@record
class Gates:
    """What the gates are like: how many at once, how long, how often red for nothing.

    Where a `rate` is given, it and the flakes are known; else both are learned on the way.
    """

    slots: int = 2
    seconds: float = 1.0
    spread: float = 0.0
    flake: float = 0.0
    rate: float | None = None


@record
class Account:
    """What became of the changes, by their numbers, and what it took; `seconds` are those in which anybody waited."""

    landed: tuple[int, ...]
    sent_back: tuple[int, ...]
    wrongly: int
    seconds: float
    gate_seconds: float
    runs: int
    latencies: tuple[float, ...]

    @property
    def throughput(self) -> float:
        """Changes landed per length of a gate."""
        return len(self.landed) * self.gate_seconds / self.seconds if self.seconds else 0.0

    @property
    def runs_per_landed(self) -> float:
        """Gate runs that were begun for each change that landed."""
        return self.runs / len(self.landed) if self.landed else float(self.runs)

    def latency(self, part: float) -> float:
        """Return the time from its arrival within which that *part* of the landed changes had landed."""
        return within(self.latencies, part)


def serial(seen: Seen) -> Steer:
    """One change after the other, each on top of what landed."""
    return _window(seen, 1)


def speculation(seen: Seen) -> Steer:
    """As many changes at once as there are slots, each on top of all before it; after a red all behind begin anew."""
    return _window(seen, seen.slots)


def _window(seen: Seen, size: int) -> Steer:
    landed = max(seen.green, default=0)
    red = min((cut for cut in seen.red if cut > landed), default=None)
    if red == landed + 1:
        return Steer(land=landed, suspect=red, stop=seen.running)
    if red is not None:
        return Steer(land=landed, stop=tuple(cut for cut in seen.running if not landed < cut < red))
    append = max(0, min(seen.waiting, landed + size - seen.length))
    useful = [cut for cut in seen.running if cut > landed]
    asked = {*useful, *seen.red}
    probe = [cut for cut in range(landed + 1, seen.length + append + 1) if cut not in asked]
    stop = tuple(cut for cut in seen.running if cut <= landed)
    free = max(0, min(size, seen.slots - seen.busy) - len(useful))
    return Steer(land=landed, stop=stop, probe=tuple(probe[:free]), append=append)


def simulate(changes: Sequence[Change], gates: Gates, policy: Policy, draw: Draw) -> Account:
    """Put *changes* through a queue that *policy* steers, until each has landed or was sent back."""
    queue = _Queue(changes, gates, policy, draw)
    while queue.step():
        pass
    return queue.account()


def within(seconds: Sequence[float], part: float) -> float:
    """Return the time within which that *part* of them was over; 0 where there is none."""
    ranked = sorted(seconds)
    return ranked[min(len(ranked) - 1, int(part * len(ranked)))] if ranked else 0.0


class _Run:
    """One gate run: of a cut of the chain, or once more of a suspect that has left it."""

    __slots__ = ("cut", "is_red", "stopped", "suspect")

    def __init__(self, cut: int, suspect: int | None, *, is_red: bool) -> None:
        self.cut = cut
        self.suspect = suspect
        self.is_red = is_red
        self.stopped = False


class _Queue:
    """One simulation under way; the chain is a list of the numbers of changes."""

    def __init__(self, changes: Sequence[Change], gates: Gates, policy: Policy, draw: Draw) -> None:
        self._changes = changes
        self._gates = gates
        self._policy = policy
        self._draw = draw
        self._now = min((change.arrives for change in changes), default=0.0)
        self._occupied = 0.0
        self._coming = sorted(range(len(changes)), key=lambda number: (changes[number].arrives, number), reverse=True)
        self._place = {number: place for place, number in enumerate(reversed(self._coming))}
        self._waiting: list[tuple[int, int]] = []
        self._chain: list[int] = []
        self._green: set[int] = set()
        self._red: set[int] = set()
        self._running: dict[int, _Run] = {}
        self._busy = 0
        self._events: list[tuple[float, int, _Run]] = []
        self._begun = 0
        self._rate = Rate()
        self._landed: dict[int, float] = {}
        self._sent_back: list[int] = []
        self._wrongly = 0

    def step(self) -> bool:
        """Go to the next moment at which something happens, and do what is to be done; False if nothing ever does."""
        moment = min(self._next_end(), self._changes[self._coming[-1]].arrives if self._coming else _NEVER)
        if moment == _NEVER:
            return False
        if self._chain or self._waiting or self._busy:
            self._occupied += moment - self._now
        self._now = moment
        while self._coming and self._changes[self._coming[-1]].arrives <= self._now:
            self._wait(self._coming.pop())
        while self._next_end() <= self._now:
            self._end(heapq.heappop(self._events)[2])
        while self._obey(self._policy(self._seen())):
            pass
        return True

    def _next_end(self) -> float:
        """Return when the next gate run ends that was not stopped."""
        while self._events and self._events[0][2].stopped:
            heapq.heappop(self._events)
        return self._events[0][0] if self._events else _NEVER

    def account(self) -> Account:
        """Return what became of everybody."""
        return Account(
            landed=tuple(self._landed),
            sent_back=tuple(self._sent_back),
            wrongly=self._wrongly,
            seconds=self._occupied,
            gate_seconds=self._gates.seconds,
            runs=self._begun,
            latencies=tuple(when - self._changes[number].arrives for number, when in self._landed.items()),
        )

    def _seen(self) -> Seen:
        learned, known = self._rate, self._gates
        return Seen(
            length=len(self._chain),
            green=tuple(sorted(self._green)),
            red=tuple(sorted(self._red)),
            running=tuple(sorted(self._running)),
            waiting=len(self._waiting),
            slots=self._gates.slots,
            busy=self._busy,
            rate=learned.value if known.rate is None else known.rate,
            flake=learned.flake if known.rate is None else max(known.flake, LEAST_FLAKE),
        )

    def _obey(self, told: Steer) -> bool:
        """Do what the policy says; True if it is to be asked again, because the chain is another one now."""
        for cut in told.stop:
            self._running.pop(cut).stopped = True
        if told.land:
            self._land(told.land)
        if told.suspect is not None:
            self._take_out(again=told.again)
        if told.land or told.suspect is not None:
            return True
        for _ in range(told.append):
            self._chain.append(heapq.heappop(self._waiting)[1])
        for cut in told.probe:
            self._running[cut] = self._begin(cut, self._chain[:cut])
        return False

    def _begin(self, cut: int, links: Sequence[int], suspect: int | None = None) -> _Run:
        gates = self._gates
        is_red = self._is_bad(links) or (gates.flake > 0 and self._draw() < gates.flake)
        seconds = gates.seconds * (1 + gates.spread * (2 * self._draw() - 1)) if gates.spread else gates.seconds
        run = _Run(cut, suspect, is_red=is_red)
        self._begun += 1
        heapq.heappush(self._events, (self._now + seconds, self._begun, run))
        return run

    def _end(self, run: _Run) -> None:
        if run.suspect is not None:
            self._busy -= 1
            self._judge(run.suspect, is_red=run.is_red)
            return
        del self._running[run.cut]
        (self._red if run.is_red else self._green).add(run.cut)

    def _judge(self, number: int, *, is_red: bool) -> None:
        if not is_red:
            self._rate = self._rate.after_flake()
            self._wait(number)
            return
        self._rate = self._rate.after_culprit()
        self._sent_back.append(number)
        self._wrongly += not self._is_bad([number])

    def _take_out(self, *, again: bool) -> None:
        """Take the chain's first link out, now that what stood before it has landed; the rest is chained anew."""
        suspect, *behind = self._chain
        for number in behind:
            self._wait(number)
        self._chain, self._red = [], set()
        if not again:
            self._judge(suspect, is_red=True)
            return
        self._busy += 1
        self._begin(1, [suspect], suspect)

    def _land(self, cut: int) -> None:
        for number in self._chain[:cut]:
            self._landed[number] = self._now
        self._chain = self._chain[cut:]
        self._green = {one - cut for one in self._green if one > cut}
        self._red = {one - cut for one in self._red if one > cut}
        running, self._running = self._running, {}
        for one, run in running.items():
            run.cut = one - cut
            self._running[one - cut] = run
        self._rate = self._rate.after_green(cut)

    def _wait(self, number: int) -> None:
        heapq.heappush(self._waiting, (self._place[number], number))

    def _is_bad(self, links: Sequence[int]) -> bool:
        """Tell whether what landed and *links* are bad together."""
        there = set(links)
        for number in links:
            change = self._changes[number]
            other = change.clashes_with
            if change.bad or (other is not None and (other in there or other in self._landed)):
                return True
        return False

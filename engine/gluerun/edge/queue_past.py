"""The branches of a history in the merge queue, at the times at which they were finished; gates only pass time.

What a history does not tell is drawn, by a seed that is always the same: which changes are bad.
"""

from __future__ import annotations

import random
import statistics
from datetime import UTC, datetime

from gluerun.adapters.git_history import Source
from gluerun.core.queue_model import Change, Gates, serial, simulate, speculation
from gluerun.core.steering import steer
from gluerun.edge.gates import gate_runs
from gluerun.errors import UsageError
from gluerun.records.gate import GateVerdict
from gluerun.records.queue import QueueState
from gluerun.records.rate import Rate
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gluerun.core.queue_model import Account, Policy
    from gluerun.edge.gates import GateRun
    from gluerun.loop.house import House

DEFAULT_MERGES, DEFAULT_SLOTS, DEFAULT_SECONDS = 200, 2, 600.0
MOST_SLOTS, MOST_SECONDS = 32, 86_400.0
_LATEST = 200
_POLICIES: dict[str, Policy] = {"ours": steer, "serial": serial, "speculation": speculation}


@record
class QueueOptions:
    """What `gluerun backtest --queue` was asked; what is None is as the repository has it, or has learned."""

    repo: str
    merges: str = ""
    span: str | None = None
    slots: int | None = None
    gate_seconds: float | None = None
    failure_rate: float | None = None


@record
class PolicyLine:
    """How one policy fared; latencies are seconds from a branch's last commit to its landing."""

    policy: str
    landed: int
    sent_back: int
    wrongly_sent_back: int
    gate_runs: int
    runs_per_landed: float
    landed_per_gate_time: float
    latency_p50: float
    latency_p95: float


@record
class QueueReport:
    """What `gluerun backtest --queue --json` prints. Keys are only ever added."""

    SCHEMA = "backtest-queue.v0"

    merges: int
    first: str
    last: str
    since: datetime
    until: datetime
    slots: int
    gate_seconds: float
    gate_seconds_from: str
    failure_rate: float
    failure_rate_from: str
    policies: tuple[PolicyLine, ...]


def backtest_queue(options: QueueOptions, house: House | None) -> QueueReport:
    """Put the branches of a history into the queue of each policy; UsageError if there is none.

    *house* is the repository's own, where it has one.
    """
    _check(options)
    source = Source(options.repo)
    source.check()
    arrivals = source.arrivals(source.span(_most(options), options.span))
    runs = gate_runs(house, limit=_LATEST) if house else []
    seconds, seconds_from = chosen(options.gate_seconds, gate_seconds(runs), DEFAULT_SECONDS)
    state = house.store.queue_state() if house else QueueState()
    rate, rate_from = chosen(options.failure_rate, failure_rate(state), Rate().value)
    # The same branches are bad in every policy's queue.
    chance = random.Random(0)  # noqa: S311 - a simulation that has to come out the same each time
    begin = min(one.at for one in arrivals)
    changes = [Change(arrives=float(one.at - begin), bad=chance.random() < rate) for one in arrivals]
    gates = Gates(slots=options.slots or (house.config.gate_slots if house else DEFAULT_SLOTS), seconds=seconds)
    lines = [_line(name, simulate(changes, gates, policy, chance.random)) for name, policy in _POLICIES.items()]
    return QueueReport(
        merges=len(arrivals),
        first=arrivals[0].commit,
        last=arrivals[-1].commit,
        since=datetime.fromtimestamp(begin, UTC),
        until=datetime.fromtimestamp(max(one.at for one in arrivals), UTC),
        slots=gates.slots,
        gate_seconds=seconds,
        gate_seconds_from=seconds_from,
        failure_rate=round(rate, 4),
        failure_rate_from=rate_from,
        policies=tuple(lines),
    )


def _check(options: QueueOptions) -> None:
    rate = options.failure_rate
    check_slots(options.slots)
    check_seconds(options.gate_seconds)
    if rate is not None and not 0 <= rate <= 1:
        raise UsageError(f"--failure-rate {rate:g}: not a number from 0 to 1", "for example --failure-rate 0.1")


def check_slots(slots: int | None) -> None:
    """Refuse a number of gate slots that cannot be reckoned with."""
    if slots is not None and not 1 <= slots <= MOST_SLOTS:
        raise UsageError(f"--slots {slots}: not a number from 1 to {MOST_SLOTS}", "for example --slots 4")


def check_seconds(seconds: float | None) -> None:
    """Refuse a length of a gate that cannot be reckoned with."""
    if seconds is not None and not 0 < seconds <= MOST_SECONDS:
        hint = "for example --gate-seconds 600"
        raise UsageError(f"--gate-seconds {seconds:g}: not more than 0 and at most {MOST_SECONDS:.0f}", hint)


def _most(options: QueueOptions) -> int | None:
    if options.merges == "all" or (not options.merges and options.span is not None):
        return None
    if not options.merges:
        return DEFAULT_MERGES
    if options.span is not None:
        raise UsageError("--merges and --range exclude each other", "give one of them")
    if not options.merges.isdecimal() or not 0 < int(options.merges) < 10**9:
        raise UsageError(f"--merges {options.merges}: neither a number from 1 on nor `all`", "for example --merges 200")
    return int(options.merges)


def gate_seconds(runs: Sequence[GateRun]) -> float | None:
    """Return how long a green gate took, as the median of *runs*; None if nothing tells."""
    green = [one.duration_ms / 1000 for one in runs if one.result == GateVerdict.GREEN and one.duration_ms > 0]
    return round(statistics.median(green), 3) if green else None


def failure_rate(state: QueueState) -> float | None:
    """Return how often a change was bad, as the queue itself reckons; None if nothing ever came to it."""
    return state.rate.value if state.rate != Rate() else None


def chosen(given: float | None, learned: float | None, assumed: float) -> tuple[float, str]:
    """Return what is reckoned with, and where it is from."""
    if given is not None:
        return given, "given"
    return (learned, "learned") if learned is not None else (assumed, "assumed")


def _line(name: str, account: Account) -> PolicyLine:
    return PolicyLine(
        policy=name,
        landed=len(account.landed),
        sent_back=len(account.sent_back),
        wrongly_sent_back=account.wrongly,
        gate_runs=account.runs,
        runs_per_landed=round(account.runs_per_landed, 3),
        landed_per_gate_time=round(account.throughput, 3),
        latency_p50=round(account.latency(0.5), 1),
        latency_p95=round(account.latency(0.95), 1),
    )

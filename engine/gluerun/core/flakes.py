"""Flakes: what a red and then a green on the same commit show, and what is known of a gate that is red now."""

from __future__ import annotations

from datetime import timedelta

from gluerun.records.flake import Flake, Flakes, FlakyTest
from gluerun.records.gate import GateVerdict
from gluerun.records.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from gluerun.records.flake import Quarantine
    from gluerun.records.gate import GateCheck, GateRun

MOST = 500
# One flake may be an accident of the machine; what has not flaked for a month is mended, or gone.
TIMES = 2
FRESH = timedelta(days=30)
# What a worker's run keeps of a red that was green when it was asked again on the same commit.
RED_RECEIPT = "red-gate-check.json"
# The name of the gate where a repository has but one.
ONLY_GATE = "gate"

Key = tuple[str, str]


def counted(state: Flakes, run_id: str, check: GateCheck, red: GateCheck | None, now: datetime) -> Flakes:
    """Return what is known once a run on a candidate has ended; *red* is what it said before, on the same commit.

    What failed then and not now has flaked. The same run counts once, however often it is taken in.
    """
    if state.counted == run_id:
        return state
    ran = {name for name, _ in _ran(check)}
    known = {(one.gate, one.test): _after_run(one, ran) for one in state.flakes}
    if red is not None and red.commit == check.commit:
        still = {key for key, _ in _failed(check)}
        for key, log in _failed(red):
            if key in still or key[0] not in ran:
                continue
            before = known.get(key) or Flake(gate=key[0], test=key[1], seen=0, runs=2, first_seen=now, last_seen=now)
            known[key] = replace(
                before, seen=before.seen + 1, last_seen=now, run_id=red.run_id, commit=red.commit, log_ref=log
            )
    order = sorted(known.values(), key=lambda one: (one.quarantine is None, -one.last_seen.timestamp(), one.name))
    return Flakes(flakes=tuple(order[:MOST]), counted=run_id)


def known(state: Flakes, now: datetime) -> tuple[FlakyTest, ...]:
    """Return the tests that are known to flake, or are in quarantine."""
    return tuple(
        FlakyTest(gate=one.gate, test=one.test, quarantined=one.is_quarantined(now))
        for one in state.flakes
        if is_known(one, now) or one.is_quarantined(now)
    )


def is_known(flake: Flake, now: datetime) -> bool:
    """Tell whether a test has flaked often and lately enough that its failure says little."""
    return flake.seen >= TIMES and now - flake.last_seen <= FRESH


def only_flaky(check: GateCheck, flaky: Iterable[FlakyTest]) -> tuple[str, ...]:
    """Return the names of what made a gate red if all of it is known to flake; nothing if any of it is not.

    A gate whose report does not name every test that failed is judged as a whole.
    """
    if check.result is not GateVerdict.RED:
        return ()
    keys = {(one.gate, one.test) for one in flaky}
    found: list[Key] = []
    for name, run in _ran(check):
        if run is None or (run.required and run.result is GateVerdict.RED):
            tests = run.failures if run is not None and names_all(run) else ("",)
            found += [(name, test) for test in tests]
    return tuple(": ".join(filter(None, key)) for key in found) if found and keys.issuperset(found) else ()


def names_all(run: GateRun) -> bool:
    """Tell whether a gate's report names every test that failed, and the gate came to its end."""
    return bool(run.failures) and run.tests is not None and run.tests.failed == len(run.failures) and not run.timed_out


def pardoned(run: GateRun, flaky: Iterable[FlakyTest], least: int) -> GateRun:
    """Return a gate's run as green if nothing but tests in quarantine made it red, and say which.

    Never without names, never where fewer than *least* tests ran, never where the report is odd.
    """
    if run.result is not GateVerdict.RED or run.reason or not names_all(run):
        return run
    allowed = {one.test for one in flaky if one.quarantined and one.gate == run.name and one.test}
    if not allowed.issuperset(run.failures) or run.tests is None or run.tests.ran < max(least, len(run.failures) + 1):
        return run
    reason = f"red only by tests in quarantine: {', '.join(run.failures[:5])}"
    return replace(run, result=GateVerdict.GREEN, quarantined=run.failures, reason=reason)


def with_quarantine(state: Flakes, gate: str, test: str, quarantine: Quarantine | None) -> Flakes:
    """Return what is known with a test in quarantine, or out of it."""
    return replace(
        state,
        flakes=tuple(
            replace(one, quarantine=quarantine) if (one.gate, one.test) == (gate, test) else one for one in state.flakes
        ),
    )


def found(state: Flakes, gate: str, test: str) -> Flake | None:
    """Return what is known of one test."""
    return next((one for one in state.flakes if (one.gate, one.test) == (gate, test)), None)


def since(state: Flakes, moment: datetime) -> tuple[Flake, ...]:
    """Return what has flaked since then."""
    return tuple(one for one in state.flakes if one.last_seen >= moment)


def _after_run(flake: Flake, ran: set[str]) -> Flake:
    return replace(flake, runs=flake.runs + 1) if flake.gate in ran else flake


def _ran(check: GateCheck) -> Sequence[tuple[str, GateRun | None]]:
    """Return the gates that ran, by name; the only gate of a repository has no run of its own."""
    if not check.gates:
        return [(ONLY_GATE, None)]
    return [(run.name, run) for run in check.gates if run.result in (GateVerdict.GREEN, GateVerdict.RED)]


def _failed(check: GateCheck) -> list[tuple[Key, str]]:
    """Return every test that failed, with its log; a gate that names none counts as one."""
    if not check.gates:
        return [((ONLY_GATE, ""), check.log_ref)] if check.result is GateVerdict.RED else []
    return [
        ((run.name, test), run.log_ref)
        for run in check.gates
        if run.result is GateVerdict.RED or run.quarantined
        for test in run.failures or ("",)
    ]

"""What has become of a gate run that the loop waits for, whatever it is about."""

from __future__ import annotations

from datetime import datetime, timedelta

from gluerun.core.ageing import is_late, is_within
from gluerun.core.pipeline import prover_seconds
from gluerun.core.recovery import START_GRACE
from gluerun.records.dispatch import Life, Outcome
from gluerun.records.failure import Failure
from gluerun.records.gate import GateVerdict
from gluerun.records.pipeline import Occasion
from gluerun.records.record import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluerun.core.world import World
    from gluerun.records.config import Config


@record
class Waited:
    """A gate run that the loop waits for: since when, and until when it has to have ended."""

    run_id: str
    since: datetime
    deadline: datetime


@record
class Answer:
    """What came of a gate run, and what it says of itself; one that `is_late` lives on and has to be ended."""

    verdict: GateVerdict
    reason: str
    is_late: bool = False


def deadline_of(config: Config, since: datetime, command: str, occasion: Occasion) -> datetime:
    """Return when a gate run that began at *since* is certainly late."""
    return since + timedelta(seconds=prover_seconds(config, command, occasion))


def waited_for(world: World) -> Iterator[Waited]:
    """Yield every gate run that the loop waits for: candidates, what is asked of a red target, the night's gates."""
    config = world.config
    for task in world.tasks:
        if (proof := task.proof) is not None and proof.run_id:
            late = deadline_of(config, proof.since, task.spec.gate_command, Occasion.MERGE)
            yield Waited(run_id=proof.run_id, since=proof.since, deadline=late)
    if (red := world.red_main) is not None:
        for probe in red.probes:
            late = deadline_of(config, probe.since, red.gate_command, red.occasion)
            yield Waited(run_id=probe.run_id, since=probe.since, deadline=late)
    if (night := world.nightly) is not None and night.is_running:
        late = deadline_of(config, night.since, config.gate_command, Occasion.NIGHTLY)
        yield Waited(run_id=night.run, since=night.since, deadline=late)


def answer_of(world: World, run_id: str, since: datetime, deadline: datetime, who: str) -> Answer | None:
    """Return what came of a run that began at *since*; None while it goes on. *who* names it in sentences."""
    sighting = world.sightings.get(run_id)
    if sighting is None:
        return _none(f"{who} was never started")
    ending = sighting.ending
    if ending is None:
        if sighting.life is not Life.DEAD:
            late = is_late(world, run_id, since, deadline) or sighting.life is Life.ORPHANED
            return replace(_none(f"{who} is past its deadline"), is_late=True) if late else None
        if not sighting.signed_in and is_within(world.now, since, START_GRACE):
            return None
        return _none(f"{who} vanished")
    if ending.outcome is Outcome.PROVED:
        return Answer(verdict=GateVerdict.GREEN, reason="the gate was green")
    if ending.failure is Failure.INTEGRATION_GATE_RED:
        return Answer(verdict=GateVerdict.RED, reason=ending.reason)
    return _none(ending.reason)


def _none(reason: str) -> Answer:
    return Answer(verdict=GateVerdict.INCONCLUSIVE, reason=reason)

"""The gates of the night: once a day, on the target's head, whether it has moved or not.

They may ask about the world outside, such as whether a dependency has become known as unsafe, so no receipt answers for
them. A red one sends nobody back and holds nothing up; a person is told.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from gluerun.core.actions import AwaitNightly, NightlyProved, ProveNightly, Stop
from gluerun.core.gate_runs import answer_of, deadline_of
from gluerun.core.launch import low_disk
from gluerun.records.gate import GateVerdict
from gluerun.records.pipeline import NEVER, Occasion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.actions import Action
    from gluerun.core.world import World
    from gluerun.records.nightly import Nightly

_DAY = timedelta(days=1)


def plan_nightly(world: World) -> list[Action]:
    """Say what the gates of the night call for."""
    night, head, at = world.nightly, world.target_head, world.config.nightly_at
    if night is not None and night.is_running:
        return _judged(world, night, may_ask_again=not world.stop)
    if head is None or next_night(world) is None:
        return []
    if night is None or night.since > world.now:  # the clock was set back
        return [AwaitNightly(reason=f"the gates of the night run from {at}Z on")]
    if night.since >= last_night(world) or world.stop or low_disk(world):
        return []
    return [ProveNightly(commit=head, reason=f"it is past {at}Z")]


def plan_ending(world: World) -> list[Action]:
    """Say what has become of gates that run, where no others are begun."""
    night = world.nightly
    return _judged(world, night, may_ask_again=False) if night is not None and night.is_running else []


def last_night(world: World) -> datetime:
    """Return the last moment at which the gates of the night were due."""
    hour, minute = world.config.nightly_at.split(":")
    today = world.now.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)
    return today if today <= world.now else today - _DAY


def next_night(world: World) -> datetime | None:
    """Return when they are due again; None where no gate is meant for the night."""
    if world.config.nightly_at == NEVER or not world.has_nights:
        return None
    return last_night(world) + _DAY


def words(night: Nightly, target: str) -> str:
    """Say in one sentence what the gates of the night found; empty if there is nothing to say."""
    if night.result in (None, GateVerdict.GREEN, GateVerdict.SKIPPED):
        return ""
    said = "are red" if night.result is GateVerdict.RED else "gave no answer"
    at = f"{night.head[:12]}, {night.since:%Y-%m-%d %H:%M}Z"
    return f"the gates of the night {said} on {target} ({at}): {night.reason}"


def _judged(world: World, night: Nightly, *, may_ask_again: bool) -> list[Action]:
    config = world.config
    deadline = deadline_of(config, night.since, config.gate_command, Occasion.NIGHTLY)
    answer = answer_of(world, night.run, night.since, deadline, "the run of the night's gates")
    if answer is None:
        return []
    if answer.is_late:
        return [Stop(run_id=night.run, task_id=None, reason=answer.reason)]
    is_odd = answer.verdict is GateVerdict.INCONCLUSIVE
    if is_odd and may_ask_again and night.again < config.worker_infra_max:
        return [ProveNightly(commit=night.head, again=night.again + 1, reason=f"again: {answer.reason}")]
    return [NightlyProved(commit=night.head, run_id=night.run, result=answer.verdict, reason=answer.reason)]

"""The gates of the night: once a day, on the target's head, whether it has moved or not.

They may ask about the world outside, such as whether a dependency has become known as unsafe, so no receipt answers for
them. A red one sends nobody back and holds nothing up; a person is told.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from gluerun.core.actions import AwaitNightly, NightlyProved, ProveNightly, Stop
from gluerun.core.gate_runs import Came, answer_of, deadline_of
from gluerun.core.launch import low_disk
from gluerun.core.pipeline import has_gate
from gluerun.records.gate import GateVerdict
from gluerun.records.pipeline import NEVER, Occasion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.actions import Action
    from gluerun.core.world import World
    from gluerun.records.nightly import Nightly

_DAY = timedelta(days=1)
_VERDICTS = {
    Came.GREEN: GateVerdict.GREEN,
    Came.RED: GateVerdict.RED,
    Came.NOTHING: GateVerdict.INCONCLUSIVE,
}


def plan_nightly(world: World) -> list[Action]:
    """Say what the gates of the night call for."""
    config, night, head = world.config, world.nightly, world.target_head
    if night is not None and night.is_running:
        action = _judge(world, night)
        return [action] if action is not None else []
    if head is None or config.nightly_at == NEVER or not has_gate(config, config.gate_command, Occasion.NIGHTLY):
        return []
    if night is None or night.since > world.now:  # the clock was set back
        return [AwaitNightly(reason=f"the gates of the night run from {config.nightly_at}Z on")]
    if night.since >= last_night(world) or world.stop or low_disk(world):
        return []
    return [ProveNightly(commit=head, reason=f"it is past {config.nightly_at}Z")]


def last_night(world: World) -> datetime:
    """Return the last moment at which the gates of the night were due."""
    hour, minute = world.config.nightly_at.split(":")
    today = world.now.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)
    return today if today <= world.now else today - _DAY


def next_night(world: World) -> datetime | None:
    """Return when they are due again; None where no gate is meant for the night."""
    if world.config.nightly_at == NEVER or not has_gate(world.config, world.config.gate_command, Occasion.NIGHTLY):
        return None
    return last_night(world) + _DAY


def words(night: Nightly, target: str) -> str:
    """Say in one sentence what the gates of the night found; empty if there is nothing to say."""
    if night.result in (None, GateVerdict.GREEN, GateVerdict.SKIPPED):
        return ""
    said = "are red" if night.result is GateVerdict.RED else "gave no answer"
    at = f"{night.head[:12]}, {night.since:%Y-%m-%d %H:%M}Z"
    return f"the gates of the night {said} on {target} ({at}): {night.reason}"


def _judge(world: World, night: Nightly) -> Action | None:
    config = world.config
    deadline = deadline_of(config, night.since, config.gate_command, Occasion.NIGHTLY)
    answer = answer_of(world, night.run, night.since, deadline, "the run of the night's gates")
    if answer is None:
        return None
    if answer.came is Came.LATE:
        return Stop(run_id=night.run, task_id=None, reason=answer.reason)
    if answer.came is Came.NOTHING and night.again < config.worker_infra_max and not world.stop:
        return ProveNightly(commit=night.head, again=night.again + 1, reason=f"again: {answer.reason}")
    return NightlyProved(commit=night.head, run_id=night.run, result=_VERDICTS[answer.came], reason=answer.reason)

"""Gates in the foreground: those of one occasion are run on the target's head, in a place of their own, and kept.

No task and no node hangs on it: what comes of it is a receipt. The run is one like any other, so that it goes on where
whoever asked for it has gone.
"""

from __future__ import annotations

from gluerun.core import pipeline
from gluerun.errors import BusyError, UsageError
from gluerun.loop.asking import ask_gates
from gluerun.loop.hosting import claim, holder, new_origin_run
from gluerun.loop.nightly import note
from gluerun.loop.receipts import file_receipt
from gluerun.loop.rescue import tidy_run
from gluerun.records import names
from gluerun.records.dispatch import Life
from gluerun.records.gate import GateCheck, GateVerdict
from gluerun.records.nightly import Nightly
from gluerun.records.pipeline import Occasion
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gluerun.loop.house import House

_PATIENCE = 2.0
# What a run of an earlier time left behind is looked for in so many of the newest.
_LOOKED_BACK = 50
_TURNS = 5


@record
class Proved:
    """What came of it: the receipt, or why there is none."""

    run: str
    check: GateCheck | None = None
    trouble: str = ""


def prove_now(house: House, occasion: Occasion) -> Proved:
    """Run the gates of an occasion on the target's head; UsageError where there are none, or no target."""
    config = house.config
    if not pipeline.has_gate(config, config.gate_command, occasion):
        hint = f'say "when": "{occasion}" for one under "gates"' if config.gates else 'name some under "gates"'
        raise UsageError(f"no gate is meant for `{occasion}`", hint)
    head = house.doors.git.head(config.target_branch)
    if head is None:
        raise UsageError(f"there is no branch {config.target_branch!r}", "make a first commit on it")
    with house.doors.locks.origin(holder(house, new_origin_run(house), "prove")):
        claim(house)
        _tidy(house)
        run_id, since = house.new_run(), house.now()
        ask_gates(house, run_id, head, occasion)
    while (ending := house.store.ending(run_id)) is None:
        life = house.doors.processes.life(run_id)
        # It may have ended between the two looks.
        if life is not Life.ALIVE and house.store.ending(run_id) is None:
            house.doors.processes.end(run_id, grace=config.kill_grace_sec)
            tidy_run(house, run_id)
            return Proved(run=run_id, trouble="its run vanished")
        house.doors.watch.wait([run_id], _PATIENCE)
    file_receipt(house, run_id)
    check = house.store.known(GateCheck, run_id, "gate-check.json")
    if check is not None and occasion is Occasion.NIGHTLY:
        found = Nightly(since=since, head=head, run=run_id, result=check.result, reason=ending.reason)
        _in_turn(house, lambda: note(house, found))
    elif check is not None and check.result is GateVerdict.RED:
        _in_turn(house, lambda: _begin_repair(house, occasion, head))
    return Proved(run=run_id, check=check, trouble="" if check else ending.reason)


def _begin_repair(house: House, occasion: Occasion, head: str) -> None:
    """Let the loop know that its target is red."""
    from gluerun.core.actions import SuspectTarget  # most targets are never red
    from gluerun.loop.repairing import suspect

    command, reason = house.config.gate_command, f"`gluerun prove {occasion}` found it red"
    suspect(house, SuspectTarget(task_id="", commit=head, gate_command=command, occasion=occasion, is_red=True,
                                 reason=reason))  # fmt: skip


def _in_turn(house: House, act: Callable[[], object]) -> None:
    """Tell the loop what was found; where others are busy for long, its own gates will tell."""
    for _ in range(_TURNS):
        try:
            with house.doors.locks.origin(holder(house, new_origin_run(house), "prove")):
                act()
                house.journal.flush()
                return
        except BusyError:
            house.doors.watch.wait((), _PATIENCE)


def _tidy(house: House) -> None:
    """Remove the places of earlier runs of this kind that were cut short: nobody else looks after them."""
    found = [name for name in house.store.files.names("runs") if names.is_run(name)]
    for run_id in found[-_LOOKED_BACK:]:
        dispatch = house.store.known_dispatch(run_id)
        if dispatch is None or dispatch.occasion is None or house.store.ending(run_id) is not None:
            continue
        if house.doors.processes.life(run_id) is Life.DEAD:
            tidy_run(house, run_id)

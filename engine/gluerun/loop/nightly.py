"""The hands of the night: its gates are started and taken in. The record goes first, or last."""

from __future__ import annotations

from gluerun.core.actions import AwaitNightly, NightlyProved, ProveNightly
from gluerun.loop import receipts
from gluerun.loop.asking import ask_gates
from gluerun.loop.rescue import tidy_run
from gluerun.records.nightly import Nightly
from gluerun.records.pipeline import Occasion
from gluerun.records.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.loop.house import House


def handle(house: House, action: AwaitNightly | ProveNightly | NightlyProved) -> bool:
    """Carry out one step; each may be cut at any line and done again."""
    match action:
        case AwaitNightly():
            house.store.put_nightly(Nightly(since=house.now()))
        case ProveNightly():
            _ask(house, action)
        case NightlyProved():
            _take(house, action)
    return True


def note(house: House, found: Nightly) -> None:
    """Remember what somebody found who asked the night's gates by hand, unless the loop's own run is under way."""
    night = house.store.nightly()
    if night is None or not night.is_running:
        house.store.put_nightly(found)


def _ask(house: House, action: ProveNightly) -> None:
    before = house.store.nightly()
    if before is not None and before.is_running:
        tidy_run(house, before.run)
    run_id = house.new_run()
    house.store.put_nightly(Nightly(since=house.now(), head=action.commit, run=run_id, again=action.again))
    ask_gates(house, run_id, action.commit, Occasion.NIGHTLY)
    house.tell("nightly.asked", f"{action.commit[:12]}: {action.reason}", run=run_id, commit=action.commit)


def _take(house: House, action: NightlyProved) -> None:
    house.store.sweep_run(action.run_id)
    receipts.file_receipt(house, action.run_id)
    tidy_run(house, action.run_id)
    night = house.store.nightly()
    if night is not None and night.run == action.run_id:
        house.store.put_nightly(replace(night, result=action.result, reason=action.reason))
    house.tell(f"nightly.{action.result.value}", f"{action.commit[:12]}: {action.reason}", run=action.run_id,
               commit=action.commit)  # fmt: skip

"""What may be given up of the past: a policy over what was seen, and nothing that lives or would be lost."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluerun.records.config import Collection

# What history needs of a run stays: who was asked what, how it ended, what came of it.
KEPT = (
    "dispatch.json",
    "lease.json",
    "ending.json",
    "packet.json",
    "packet-claim.json",
    "gate-check.json",
    "audit.json",
    "findings-status.json",
    "batch.json",
    "import.json",
    "failure.txt",
    "attempts/index.json",
)
MB = 1_000_000


class Kind(StrEnum):
    """What is given up."""

    RUN = "run"
    CONFIG = "config"
    RESCUE = "rescue"
    SLOT = "slot"
    RECEIPT = "receipt"
    REVERT = "revert"


@record
class RunSeen:
    """A run's folder: the files that history does not need, and what they weigh."""

    run_id: str
    began: datetime
    paths: tuple[str, ...]
    size: int
    is_live: bool
    config: str = ""


@record
class ConfigSeen:
    """A kept configuration."""

    digest: str
    path: str
    size: int
    at: datetime


@record
class ReceiptSeen:
    """A gate's receipt, where it is found by its code; the run has its own."""

    path: str
    size: int
    at: datetime


@record
class RescueSeen:
    """A rescue; `is_elsewhere` if everything in it can be had without it."""

    ref: str
    commit: str
    at: datetime
    is_live: bool
    is_elsewhere: bool


@record
class RevertSeen:
    """A revert that was proposed when the target was red; `is_live` while it still is, or may be."""

    ref: str
    commit: str
    at: datetime
    is_live: bool


@record
class SlotSeen:
    """A gate slot that was used once."""

    number: int
    is_live: bool


@record
class Seen:
    """The past as it lies there."""

    now: datetime
    runs: tuple[RunSeen, ...] = ()
    configs: tuple[ConfigSeen, ...] = ()
    rescues: tuple[RescueSeen, ...] = ()
    current_config: str = ""
    slots: tuple[SlotSeen, ...] = ()
    wanted_slots: int = 0
    receipts: tuple[ReceiptSeen, ...] = ()
    reverts: tuple[RevertSeen, ...] = ()


@record
class GiveUp:
    """One thing that is given up, and why: *paths* for files, *commit* for a ref."""

    kind: Kind
    name: str
    reason: str
    size: int = 0
    paths: tuple[str, ...] = ()
    commit: str = ""


def plan_collection(seen: Seen, policy: Collection, *, rescues_older_than: int | None = None) -> list[GiveUp]:
    """Say what is given up; *rescues_older_than* is a person's word that rescues of that age may be lost."""
    runs = list(_runs(seen, policy))
    slim = {one.name for one in runs}
    plan = [*runs, *_configs(seen, policy, slim), *_slots(seen), *_receipts(seen, policy)]
    return [*plan, *_reverts(seen, policy), *_rescues(seen, policy, rescues_older_than)]


def _runs(seen: Seen, policy: Collection) -> Iterator[GiveUp]:
    ordered = sorted(seen.runs, key=lambda run: (run.began, run.run_id), reverse=True)
    newest = {run.run_id for run in ordered[: policy.keep_runs]}
    border = seen.now - timedelta(days=policy.keep_days)
    weight = sum(run.size for run in ordered)
    for run in reversed(ordered):
        if run.is_live or not run.paths or run.run_id in newest:
            continue
        is_heavy = 0 < policy.max_mb * MB < weight
        if run.began <= border or is_heavy:
            reason = f"older than {policy.keep_days} days" if run.began <= border else f"beyond {policy.max_mb} MB"
            weight -= run.size
            yield GiveUp(kind=Kind.RUN, name=run.run_id, reason=reason, size=run.size, paths=run.paths)


def _slots(seen: Seen) -> Iterator[GiveUp]:
    for one in seen.slots:
        if one.number >= seen.wanted_slots and not one.is_live:
            yield GiveUp(kind=Kind.SLOT, name=str(one.number), reason=f"there are {seen.wanted_slots} gate slots")


def _receipts(seen: Seen, policy: Collection) -> Iterator[GiveUp]:
    border, reason = seen.now - timedelta(days=policy.keep_days), f"older than {policy.keep_days} days"
    for one in seen.receipts:
        if one.at <= border:
            name = one.path.rpartition("/")[2].removesuffix(".json")
            yield GiveUp(kind=Kind.RECEIPT, name=name, reason=reason, size=one.size, paths=(one.path,))


def _configs(seen: Seen, policy: Collection, slim: set[str]) -> Iterator[GiveUp]:
    # A run of which only history is left reads no settings.
    used = {run.config for run in seen.runs if run.is_live or (run.paths and run.run_id not in slim)}
    border = seen.now - timedelta(days=policy.keep_days)
    for one in seen.configs:
        if one.digest not in used and one.digest != seen.current_config and one.at <= border:
            yield GiveUp(kind=Kind.CONFIG, name=one.digest, reason="no run uses it", size=one.size, paths=(one.path,))


def _reverts(seen: Seen, policy: Collection) -> Iterator[GiveUp]:
    """Yield the proposals of former repairs: they can be made again, and nobody's work is in them."""
    for one in seen.reverts:
        if not one.is_live and seen.now - one.at >= timedelta(days=policy.rescue_days):
            yield GiveUp(kind=Kind.REVERT, name=one.ref, reason="the target is green again", commit=one.commit)


def _rescues(seen: Seen, policy: Collection, older_than: int | None) -> Iterator[GiveUp]:
    for one in seen.rescues:
        age = seen.now - one.at
        if one.is_live:
            continue
        if one.is_elsewhere and age > timedelta(days=policy.rescue_days):
            yield GiveUp(kind=Kind.RESCUE, name=one.ref, reason="its content is elsewhere", commit=one.commit)
        elif older_than is not None and age > timedelta(days=older_than):
            yield GiveUp(kind=Kind.RESCUE, name=one.ref, reason=f"older than {older_than} days", commit=one.commit)

"""Receipts looked at: what gates have said of the code of a commit, a tree or a task."""

from __future__ import annotations

from datetime import datetime

from gluerun.errors import GitError, UsageError
from gluerun.loop import receipts
from gluerun.records.names import is_task
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.loop.house import House
    from gluerun.records.gate import GateCheck


@record
class ReceiptLine:
    """One receipt. With `is_here` it was written in an environment like this one, and is believed,
    unless tests in quarantine were let off.
    """

    result: str
    cmd: str
    gate_sha256: str
    environment: str
    is_here: bool
    commit: str
    run: str
    engine: str
    at: datetime
    duration_ms: int
    log: str
    log_sha256: str
    quarantined: tuple[str, ...] = ()


@record
class ReceiptsPage:
    """What `gluerun receipts` answers: everything that gates have said of one code tree, the newest first.

    The code tree is a commit's tree without `docs/orchestration`, so that records do not make it another one.
    """

    SCHEMA = "receipts.v0"

    asked: str
    commit: str | None
    code_tree: str
    receipts: tuple[ReceiptLine, ...]


def page(house: House, asked: str) -> ReceiptsPage:
    """Return the receipts of a task, of a commit by any name that git knows, or of a code tree; else of the target."""
    asked = asked or house.config.target_branch
    commit = _commit(house, asked)
    if commit is None and not _is_tree(asked):
        raise UsageError(
            f"{asked!r} names no task, commit or tree here",
            "for example `gluerun receipts HEAD`; without a name it is the target",
        )
    tree = house.doors.git.code_tree(commit) if commit is not None else asked
    here = receipts.environment(house)
    lines = tuple(_line(one, here) for one in receipts.receipts_of(house, tree))
    return ReceiptsPage(asked=asked, commit=commit, code_tree=tree, receipts=lines)


def _commit(house: House, asked: str) -> str | None:
    if is_task(asked):
        task = house.store.any_task(asked)
        if task is None:
            return None
        candidate = task.proof.candidate if task.proof is not None else None
        return task.merge_commit or candidate or task.head_sha or task.base_sha
    try:
        return house.doors.git.commit_of(asked)
    except GitError:
        return None  # a tree, or what git cannot read


def _is_tree(word: str) -> bool:
    return len(word) in (40, 64) and set(word) <= set("0123456789abcdef")


def _line(check: GateCheck, here: str) -> ReceiptLine:
    return ReceiptLine(
        result=check.result.value,
        cmd=check.cmd,
        gate_sha256=check.gate_sha256,
        environment=check.environment,
        is_here=check.environment == here,
        commit=check.commit,
        run=check.run_id,
        engine=check.engine,
        at=check.created_at,
        duration_ms=check.duration_ms,
        log=check.log_ref,
        log_sha256=check.log_sha256,
        quarantined=check.quarantined,
    )

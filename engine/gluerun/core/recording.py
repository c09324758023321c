"""Records of tasks on the target branch: where they lie there."""

from __future__ import annotations

from gluerun.records import names
from gluerun.records.paths import ACCEPTED, ARCHIVED, ASKED, LIVING, RECORDS, covers
from gluerun.records.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.records.origin import CycleMemory

RECORD = "task.json"
# The last of a thousand folders holds what is numbered higher, by three digits a folder again.
_REST = 999
# Longer than anybody means; a moment that lies further ahead need not be a date.
LONGEST = 366 * 24 * 3600


def shelf(task_id: str) -> str:
    """Return the folder of a task: the thousands of its number, so that none ever has more than 1,000 entries."""
    return _shelf(int(names.check(task_id, names.TASK, "task id").removeprefix("TASK-")))


def _shelf(number: int) -> str:
    thousands = number // 1000
    if thousands < _REST:
        return f"{thousands:03d}"
    digits = f"{thousands:09d}"
    return f"{_REST}/{digits[:3]}/{digits[3:6]}/{digits[6:]}"


def living_path(task_id: str) -> str:
    """Return where the record of a living task lies on the target branch."""
    return f"{LIVING}/{shelf(task_id)}/{task_id}.json"


def archived_path(task_id: str, name: str = RECORD) -> str:
    """Return where the record of a settled task lies there, or a document of its accepted run."""
    return f"{ARCHIVED}/{shelf(task_id)}/{task_id}/{name}"


def accepted_path(task_id: str, name: str) -> str:
    """Return where a document lies there that accepted work rests on, until it lands with that work."""
    return f"{ACCEPTED}/{shelf(task_id)}/{task_id}/{name}"


def asked_path(request: str) -> str:
    """Return where a request for approval lies there, from the first to the last that is known of it."""
    number = int(names.check(request, names.APPROVAL, "request id").removeprefix("APR-"))
    return f"{ASKED}/{_shelf(number)}/{request}.json"


def is_record(path: str) -> bool:
    """Tell whether a path on the target branch is the engine's own record."""
    return any(covers(folder, path) for folder in RECORDS)


def without_records(patch: str) -> str:
    """Return a difference without the parts that are about records."""
    starts = tuple(f"diff --git a/{folder}/" for folder in RECORDS)
    kept, is_ours = [], False
    for line in patch.splitlines(keepends=True):
        if line.startswith("diff --git "):
            is_ours = line.startswith(starts)
        if not is_ours:
            kept.append(line)
    return "".join(kept)


def carried(memory: CycleMemory, old: str, new: str) -> CycleMemory:
    """Return what is remembered of the target's head, after a commit that brought nothing but records."""
    return replace(
        memory,
        green_head=moved(memory.green_head, old, new),
        red_head=moved(memory.red_head, old, new),
        exhausted={node: moved(head, old, new) for node, head in memory.exhausted.items()},
        held={node: moved(mark, old, new) for node, mark in memory.held.items()},
    )


def moved(mark: str, old: str, new: str) -> str:
    """Return a mark that begins with the commit it is about, about *new* if it was about *old*."""
    return new + mark.removeprefix(old) if mark.startswith(old) else mark

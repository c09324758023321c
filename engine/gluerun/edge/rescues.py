"""Read models of what was rescued: the list, and the page of one. They take no lock and write no byte."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from gluerun.core.secrets import redacted
from gluerun.errors import GitError, UsageError
from gluerun.loop.collecting import trailer, when
from gluerun.loop.house import RESCUE
from gluerun.records.record import record
from gluerun.settings_walk import nearest

if TYPE_CHECKING:
    from gluerun.loop.house import House
    from gluerun.ports import Logged

PATCH = 1_000_000
AGENTS = "refs/heads/agent"
STASH = "refs/stash"


@record
class RescueLine:
    """One rescue: what it is of, how many paths differ from where its task began, and what they weigh."""

    ref: str
    task: str
    run: str
    at: datetime
    reason: str
    commit: str
    files: int
    bytes: int


@record
class Rescues:
    """What `gluerun rescue list` answers; `others` are refs that no rescue is of and nobody removes."""

    SCHEMA = "rescues.v0"

    rescues: tuple[RescueLine, ...]
    others: tuple[str, ...]


@record
class PathLine:
    """One path of a rescue, and git's letter for how it differs."""

    path: str
    status: str


@record
class RescuePage:
    """What `gluerun rescue show` answers."""

    SCHEMA = "rescue.v0"

    rescue: RescueLine
    base: str
    paths: tuple[PathLine, ...]
    patch: str = ""


@record
class Restored:
    """What `gluerun rescue restore` answers: where the rescue is now, a branch or a folder."""

    SCHEMA = "restored.v0"

    ref: str
    commit: str
    branch: str
    path: str


def rescues(house: House, task: str = "") -> Rescues:
    """Return every rescue, oldest first, or those of one task; UsageError if that has none and others have."""
    git = house.doors.git
    kept = git.kept(RESCUE)
    told = {one.commit: one for one in git.told(tuple(dict.fromkeys(kept.values())))}
    tasks = {_task(ref) for ref in kept}
    if task and task not in tasks:
        raise UsageError(f"nothing was rescued of {task!r}", nearest(task, tasks) if tasks else "")
    found = [_line(house, ref, told[commit]) for ref, commit in kept.items() if not task or _task(ref) == task]
    return Rescues(rescues=tuple(sorted(found, key=lambda one: (one.at, one.ref))), others=_others(house, task))


def named(house: House, word: str) -> tuple[str, str]:
    """Return ref and commit of the one rescue that *word* names: a ref, its end, or a task that has only one."""
    kept = house.doors.git.kept(RESCUE)
    if not kept:
        raise UsageError(f"{word!r} names no rescue: nothing was ever rescued here", "gluerun rescue list")
    for ref in (word, f"{RESCUE}/{word}"):
        if ref in kept:
            return ref, kept[ref]
    found = [ref for ref in kept if ref.endswith(f"/{word}") or _task(ref) == word]
    if len(found) == 1:
        return found[0], kept[found[0]]
    short = [ref.removeprefix(f"{RESCUE}/") for ref in found or kept]
    if found:
        raise UsageError(f"{word!r} names {len(found)} rescues", "name one: " + ", ".join(short[:5]))
    raise UsageError(f"{word!r} names no rescue", nearest(word, [*short, *(_task(ref) for ref in kept)]))


def page(house: House, word: str, *, patch: bool) -> RescuePage:
    """Return what a rescue holds, and with *patch* the readable difference."""
    git = house.doors.git
    ref, commit = named(house, word)
    (told,) = git.told((commit,))
    base = _base(house, told)
    changes = git.changes(base, commit) if base else ()
    return RescuePage(
        rescue=_line(house, ref, told),
        base=base,
        paths=tuple(PathLine(path=one.path, status=one.status) for one in changes),
        patch=redacted(git.patch(base, commit, limit=PATCH)) if patch and base else "",
    )


def _task(ref: str) -> str:
    return ref.removeprefix(f"{RESCUE}/").split("/")[0]


def _line(house: House, ref: str, told: Logged) -> RescueLine:
    base = _base(house, told)
    files, size = house.doors.git.weight(base, told.commit) if base else (0, 0)
    return RescueLine(
        ref=ref,
        task=_task(ref),
        run=ref.rsplit("/", 1)[-1][:29],
        at=when(told),
        reason=trailer(told.message, "Gluerun-Rescue-Reason") or "unknown",
        commit=told.commit,
        files=files,
        bytes=size,
    )


def _base(house: House, told: Logged) -> str:
    """Return where the task began, or else what the rescue stands on; empty if it stands on nothing."""
    base = trailer(told.message, "Gluerun-Rescue-Base")
    try:
        if base and house.doors.git.commit_of(base) is not None:
            return base
    except GitError:
        pass
    return told.parents[0] if told.parents else ""


def _others(house: House, task: str) -> tuple[str, ...]:
    """Return the branches under `agent/` of no living task, and the stash: an agent may have left them."""
    if task:
        return ()
    own = {f"refs/heads/{one.spec.worker_branch}" for one in house.store.live_tasks()[0]}
    git = house.doors.git
    return tuple(ref for ref in (*git.kept(AGENTS), *git.kept(STASH)) if ref not in own)

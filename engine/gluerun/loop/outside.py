"""The target branch and its remote: looking there, following it, and pushing what has landed.

The network is waited for without the lock. What was seen is kept in refs, so that every look costs git alone.
"""

from __future__ import annotations

from contextlib import suppress

from gluerun.core.outside import TOLD, push_words, refused, rests, trouble
from gluerun.core.relation import Outside, Relation, relation
from gluerun.errors import BusyError, GitError
from gluerun.loop.hosting import holder
from gluerun.ports import Landing
from gluerun.records.record import replace
from gluerun.records.task import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from gluerun.core.actions import Follow
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import Notes
    from gluerun.records.task import Task

THERE, AGREED = "refs/gluerun/outside/there", "refs/gluerun/outside/agreed"


def look_out(house: House) -> str:
    """Look at the target on its remote and keep what is there, where something may begin, land or leave.

    Says why that cannot be seen; empty if it can.
    """
    if not _is_wanted(house, house.store.live_tasks()[0]):
        return ""
    branch = house.config.target_branch
    why = house.doors.git.fetch(branch, f"{THERE}/{branch}")
    return f"the remote of {branch} cannot be looked at: {why}" if why else ""


def _is_wanted(house: House, tasks: Iterable[Task]) -> bool:
    """Tell whether anything may begin, land or leave, so that the remote matters."""
    return house.store.memory().push_due or any(one.status in (Status.READY, Status.ACCEPTED) for one in tasks)


def see(house: House, target: str | None, tasks: Iterable[Task]) -> Outside | None:
    """Return how the target stands to what was last seen of it; None if nothing was, or it does not matter now."""
    if not _is_wanted(house, tasks):
        return None
    git, branch = house.doors.git, house.config.target_branch
    known = git.kept("refs/gluerun/outside")
    there, agreed = known.get(f"{THERE}/{branch}"), known.get(f"{AGREED}/{branch}")
    if there is None or target is None:
        return None
    if there == target:
        found = Relation.SAME
    else:
        found = relation(
            there_in_here=git.contains(target, there),
            here_in_there=git.contains(there, target),
            agreed_in_here=agreed is None or git.contains(target, agreed),
            agreed_in_there=agreed is None or git.contains(there, agreed),
        )
    return Outside(head=there, relation=found)


def agree(house: House, world: World) -> None:
    """Remember what both have, once one holds the other: by it is known who moved a branch back."""
    seen, branch = world.outside, house.config.target_branch
    if seen is None or seen.relation not in (Relation.SAME, Relation.AHEAD):
        return
    ref = f"{AGREED}/{branch}"
    if house.doors.git.kept(ref).get(ref) != seen.head:
        house.doors.git.keep(ref, seen.head)


def follow(house: House, action: Follow, notes: Notes) -> bool:
    """Move the target forward to what its remote has, as any landing does; a checkout in the way is named."""
    branch = house.config.target_branch
    with house.doors.locks.git():
        landed = house.doors.git.land(branch, action.commit, action.old)
    if landed.landing is Landing.LANDED:
        house.tell("remote.followed", f"{branch}: {action.reason}", commit=action.commit)
    elif landed.landing is Landing.BLOCKED:
        paths = ", ".join(landed.paths[:3])
        notes.trouble.append(
            f"{branch} cannot follow its remote, and nothing lands until it can: {paths} in your checkout"
        )
    return landed.landing is Landing.LANDED


def push(house: House, world: World, origin_run: str, notes: Notes) -> None:
    """Push the target branch; the lock is not held while the network takes its time.

    What could not be pushed, or not be recorded because another cycle is at work, stays due.
    """
    branch, seen, rest = house.config.target_branch, world.outside, house.store.push_backoff()
    head, there = house.doors.git.head(branch), seen.head if seen is not None else ""
    kind, hint, why = "push.blocked", "", ""
    if seen is not None and seen.relation in TOLD:
        why, hint = trouble(seen, branch)
    elif rest is not None and rests(rest, head or "", there, house.now()):
        return  # it was told, and `gluerun status` says when it is tried again
    if not why:
        why = secrets_in(house, branch)
    if not why:
        why = house.doors.git.push(branch)
        kind = "push.failed" if why else "push.ok"
    later = refused(branch, why, head or "", there, rest, house.now()) if kind == "push.failed" else None
    if why:
        said = f"not pushed: {why}" + (f" ({hint})" if hint else "")
        notes.trouble.append(push_words(later) if later is not None else said)
    with suppress(BusyError), house.doors.locks.origin(holder(house, origin_run)):
        if later is not None:
            house.store.put_push_backoff(later)
        elif rest is not None:
            house.store.end_push_backoff()
        memory = house.store.memory()
        if not why and seen is not None and head is not None:
            for folder in (THERE, AGREED):
                house.doors.git.keep(f"{folder}/{branch}", head)
        if memory.push_said != why or not why:  # said once, and not again in each cycle
            house.tell(kind, why or branch)
            house.journal.flush()
        house.store.put_memory(replace(memory, push_due=bool(why), push_said=why))


def secrets_in(house: House, branch: str) -> str:
    """Say where the commits that would leave hold something like a secret; empty if nowhere, or nobody asked."""
    if not house.config.look_for_secrets:
        return ""
    from gluerun.core import secrets  # only a push needs it

    try:
        patch = house.doors.git.outgoing(branch, limit=secrets.LOOKED_AT)
    except GitError as error:
        return f"what would leave cannot be looked through: {error.message}"
    hits = tuple(dict.fromkeys(str(hit) for hit in secrets.in_patch(patch)))
    if not hits:
        return ""
    more = f" and {len(hits) - 5} more" if len(hits) > 5 else ""
    return f"something like a secret would leave with {', '.join(hits[:5])}{more}"

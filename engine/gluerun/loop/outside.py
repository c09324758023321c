"""The target branch and its remote: looking there, following it, and pushing what has landed.

The network is waited for without the lock. What was seen is kept in refs, so that every look costs git alone.
"""

from __future__ import annotations

from contextlib import suppress

from gluerun.core.outside import TOLD, push_words, refused, rests, trouble
from gluerun.core.relation import Outside, Relation, relation
from gluerun.errors import BusyError, GitError
from gluerun.loop.hosting import holder
from gluerun.ports import Landed, Landing
from gluerun.records.config import IntegrationMode
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
    return stands(house, target) if _is_wanted(house, tasks) else None


def stands(house: House, target: str | None) -> Outside | None:
    """Return how the target stands to what was last seen of it; None if nothing was."""
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


def send(house: House, world: World, new: str, old: str) -> Landed | bool:
    """Let the target's remote move to *new* before the target here does, by compare-and-swap from what was seen there.

    Return what became of it where the target here must not move, else whether the remote has *new*. A remote that does
    not answer, or does not want it, is not waited for: it lands here, and its push stays due.
    """
    git, branch = house.doors.git, house.config.target_branch
    if house.config.integration.mode is IntegrationMode.PULL_REQUEST or world.push_backoff is not None:
        return False
    there, seen = f"{THERE}/{branch}", world.outside
    if seen is None:  # nothing was going to land when this cycle looked
        seen = None if git.fetch(branch, there) else stands(house, old)
    if seen is None or seen.relation not in (Relation.SAME, Relation.AHEAD):
        return _overtaken(house, seen.head, old) if seen and seen.relation is Relation.BEHIND else False
    with house.doors.locks.git():
        answer = git.could_land(branch, new, old)
    if answer.landing is not Landing.LANDED:
        return answer
    if secrets_in(house, branch, new):
        return False  # the push says so, and what helps
    if not git.push(branch, commit=new, old=seen.head):
        git.keep(there, new)
        house.tell("push.ok", branch, commit=new)
        return True
    now = seen.head if git.fetch(branch, there) else git.kept(there).get(there)
    if now is None or now == seen.head:
        return False
    return True if git.contains(now, new) else _overtaken(house, now, old)


def _overtaken(house: House, there: str, old: str) -> Landed:
    """Take in what somebody pushed just before us: what waits is chained and proved on it."""
    branch, git = house.config.target_branch, house.doors.git
    house.tell("push.overtaken", f"{branch}: somebody else pushed first", commit=there)
    if git.contains(there, old):
        with house.doors.locks.git():
            landed = git.land(branch, there, old)
        if landed.landing is Landing.LANDED:
            house.tell("remote.followed", f"{branch}: its remote is at {there[:12]}", commit=there)
    return Landed(landing=Landing.MOVED)


def is_due(house: House) -> bool:
    """Tell whether something is left to push; the caller holds the lock. What the remote is known to have is not."""
    branch = house.config.target_branch
    there = house.doors.git.kept(THERE).get(f"{THERE}/{branch}")
    if there is None or there != house.doors.git.head(branch):
        return True
    house.store.put_memory(replace(house.store.memory(), push_due=False, push_said=""))
    house.store.end_push_backoff()
    return False


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


def secrets_in(house: House, branch: str, commit: str = "") -> str:
    """Say where what would leave, up to *commit*, holds something like a secret; empty if nowhere, or nobody asked."""
    if not house.config.look_for_secrets:
        return ""
    from gluerun.core import secrets  # only a push needs it

    try:
        patch = house.doors.git.outgoing(branch, limit=secrets.LOOKED_AT, commit=commit)
    except GitError as error:
        return f"what would leave cannot be looked through: {error.message}"
    hits = tuple(dict.fromkeys(str(hit) for hit in secrets.in_patch(patch)))
    if not hits:
        return ""
    more = f" and {len(hits) - 5} more" if len(hits) > 5 else ""
    return f"something like a secret would leave with {', '.join(hits[:5])}{more}"

"""The target branch here and on its remote: how the two stand to each other, and what is done or said about it.

Nothing here ever overwrites: what can be followed is followed, everything else is a person's to decide.
"""

from __future__ import annotations

from datetime import timedelta

from gluerun.core.actions import Advance, Chain, Follow, Prove
from gluerun.core.consequences import doubled
from gluerun.core.relation import Outside, Relation
from gluerun.records.origin import PushBackoff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from gluerun.core.actions import Action
    from gluerun.core.world import World


# What no cycle may decide. Nothing is pushed, and nothing here follows, until a person has.
TOLD = frozenset({Relation.DIVERGED, Relation.REWOUND, Relation.TAKEN_BACK})


def trouble(seen: Outside, branch: str) -> tuple[str, str]:
    """Return in one sentence what a person has to decide, and the command that helps; empty if nothing."""
    there = seen.head[:12]
    match seen.relation:
        case Relation.DIVERGED:
            words = (
                f"{branch} here and on its remote ({there}) have both moved; merge them, and what waits is proved anew"
            )
            return words, f"git merge {there}"
        case Relation.REWOUND:
            words = f"{branch} was moved back or rewritten on its remote ({there}); nothing is overwritten there"
            return (
                f"{words}: push by hand if that was a mistake, or take the remote's",
                f"git log --oneline {there}..{branch}",
            )
        case Relation.TAKEN_BACK:
            words = f"{branch} was moved back here, behind what its remote has ({there}); it is not moved forward again"
            return f"{words} by itself: merge that, or move the remote back yourself", f"git merge {there}"
    return "", ""


def plan_following(world: World) -> list[Action]:
    """Say that the target follows its remote, where that has only added to it."""
    seen = world.outside
    if seen is None or seen.relation is not Relation.BEHIND or world.target_head is None:
        return []
    return [Follow(commit=seen.head, old=world.target_head, reason=f"its remote is at {seen.head[:12]}")]


def without_moves(world: World, plan: list[Action]) -> list[Action]:
    """Leave out what would be built, proved or landed on a target that has yet to follow its remote."""
    if world.outside is None or world.outside.relation is not Relation.BEHIND:
        return plan
    return [action for action in plan if not isinstance(action, Chain | Prove | Advance)]


# What remotes say, in any of their words, and the one thing that helps.
# fmt: off
_FINAL: tuple[tuple[tuple[str, ...], str], ...] = (
    (("currently checked out", "denyCurrentBranch"),
     "the remote is a work tree on this branch: let it be bare, or set receive.denyCurrentBranch=updateInstead there"),
    (("must have verified signatures", "must be signed", "not signed", "unsigned"),
     'the remote wants signed commits: set `integration.sign`, and `integration.mode` "squash" if all must be'),
    (("GH006", "GH013", "protected branch", "hook declined", "not allowed to push", "TF402455"),
     'the remote refuses pushes to this branch: set `integration.mode` "pull-request", or `integration.remote` "none"'),
    (("shallow update not allowed", "shallow"),
     "this is a shallow clone: git fetch --unshallow"),
    (("could not read Username", "Authentication failed", "Permission denied", "403", "terminal prompts disabled"),
     "nobody is asked for a password here: give git a credential helper or a key, and try `git push` by hand"),
)
_PASSING: tuple[tuple[tuple[str, ...], str], ...] = (
    (("[rejected]", "non-fast-forward", "fetch first"),
     "somebody pushed just before; nothing was overwritten: if both have moved, the next cycle says what to merge"),
    (("Could not resolve host", "unable to access", "Connection", "does not appear to be a git repository"),
     "the remote cannot be reached; it is tried again"),
)
# fmt: on


def push_hint(why: str) -> str:
    """Return what helps where a push was refused in these words; empty if nobody knows."""
    return next((hint for words, hint in (*_FINAL, *_PASSING) if any(word in why for word in words)), "")


# A refused push is made again after so many seconds, then after twice that, and so on to the longest.
_FIRST, _LONGEST = 60, 3600


def refused(branch: str, why: str, here: str, there: str, earlier: PushBackoff | None, now: datetime) -> PushBackoff:
    """Return until when a push is not made again that was refused in these words; what no pause mends rests longest."""
    needs_you = any(word in why for words, _ in _FINAL for word in words)
    times = earlier.times + 1 if earlier is not None and (earlier.here, earlier.there) == (here, there) else 1
    pause = timedelta(seconds=_LONGEST) if needs_you else doubled(_FIRST, _LONGEST, times)
    return PushBackoff(
        branch=branch,
        here=here,
        there=there,
        reason=why,
        hint=push_hint(why),
        started_at=now,
        until=now + pause,
        times=times,
        needs_you=needs_you,
    )


def rests(backoff: PushBackoff, here: str, there: str, now: datetime) -> bool:
    """Tell whether a push is left alone for now: nothing has moved, and its time has not come.

    One from a clock that was set back since holds nothing up.
    """
    return (backoff.here, backoff.there) == (here, there) and backoff.started_at <= now < backoff.until


def push_words(backoff: PushBackoff) -> str:
    """Say in one sentence that the target is not pushed, in the remote's own words, and when it is tried again."""
    hint = f" ({backoff.hint})" if backoff.hint else ""
    return f"not pushed: {backoff.reason}{hint}; it is tried again at {backoff.until:%Y-%m-%d %H:%M:%SZ}"

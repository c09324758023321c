"""The target branch here and on its remote: how the two stand to each other, and what is done or said about it.

Nothing here ever overwrites: what can be followed is followed, everything else is a person's to decide.
"""

from __future__ import annotations

from gluerun.core.actions import Advance, Chain, Follow, Prove
from gluerun.core.relation import Outside, Relation

TYPE_CHECKING = False
if TYPE_CHECKING:
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
_HINTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("currently checked out", "denyCurrentBranch"),
     "the remote is a work tree on this branch: let it be bare, or set receive.denyCurrentBranch=updateInstead there"),
    (("must have verified signatures", "must be signed", "not signed", "unsigned"),
     'the remote wants signed commits: set `integration.sign`, and `integration.mode` "squash" if all must be'),
    (("GH006", "GH013", "protected branch", "hook declined", "not allowed to push", "TF402455"),
     'the remote refuses pushes to this branch: set `integration.mode` "pull-request", or `integration.remote` "none"'),
    (("shallow update not allowed", "shallow"),
     "this is a shallow clone: git fetch --unshallow"),
    (("[rejected]", "non-fast-forward", "fetch first"),
     "somebody pushed just before; nothing was overwritten: if both have moved, the next cycle says what to merge"),
    (("could not read Username", "Authentication failed", "Permission denied", "403", "terminal prompts disabled"),
     "nobody is asked for a password here: give git a credential helper or a key, and try `git push` by hand"),
    (("Could not resolve host", "unable to access", "Connection", "does not appear to be a git repository"),
     "the remote cannot be reached; it is tried again"),
)
# fmt: on


def push_hint(why: str) -> str:
    """Return what helps where a push was refused in these words; empty if nobody knows."""
    return next((hint for words, hint in _HINTS if any(word in why for word in words)), "")

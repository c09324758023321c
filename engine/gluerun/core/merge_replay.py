"""Merges of a history, made again: which came out as they are, and what explains those that did not."""

from __future__ import annotations

from enum import StrEnum

from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class MergeFate(StrEnum):
    """What became of one merge of the history.

    `identical`: the same tree. `resolved`: a conflict, and the recorded tree differs in nothing but its paths.
    `strategy`: git makes the recorded tree when it is asked for in another way. `evil`: git itself makes ours, and the
    record holds more than a merge. `different`: no explanation was found. `octopus`: more than two parents, not made
    again. `unreadable`: git cannot make it any more.
    """

    IDENTICAL = "identical"
    RESOLVED = "resolved"
    STRATEGY = "strategy"
    EVIL = "evil"
    DIFFERENT = "different"
    OCTOPUS = "octopus"
    UNREADABLE = "unreadable"


@record
class PastMerge:
    """A merge as the history has it."""

    commit: str
    parents: tuple[str, ...]
    tree: str
    subject: str


@record
class ReplayedMerge:
    """One merge and what became of it.

    `conflicts` are the paths on which both sides disagree, `paths` those on which the recorded tree differs from the
    one that was made, apart from the conflicts.
    """

    commit: str
    parents: tuple[str, ...]
    subject: str
    fate: MergeFate
    reason: str = ""
    conflicts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


@record
class MergesReport:
    """What `gluerun backtest --merges --json` prints. Keys are only ever added."""

    SCHEMA = "backtest-merges.v0"

    identical: int
    resolved: int
    strategy: int
    evil: int
    different: int
    octopus: int
    unreadable: int
    wall_seconds: float
    tip: str
    merges: tuple[ReplayedMerge, ...]

    @property
    def is_exact(self) -> bool:
        """Tell whether every merge that could be made again came out as it is, or for a reason that is known."""
        return not (self.different or self.unreadable)


@record
class Way:
    """Another way in which a person may have merged: how it is called, and what git is told."""

    name: str
    words: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()


# By an index and by the verb that people type: the witness against our own way of asking.
PLAIN = Way(name="git merge", words=("-s", "ort"))
# Only a setting differs, so that a list of merges is made again at once.
FOLLOWED = Way(name="renames of folders were followed", settings=("-c", "merge.directoryRenames=true"))
# `-X ours` and `-X theirs` settle conflicts only, as a hand does: nobody can tell one from the other.
WAYS: tuple[Way, ...] = (
    Way(name="-X ignore-space-change", words=("-X", "ignore-space-change")),
    Way(name="-X ignore-all-space", words=("-X", "ignore-all-space")),
    Way(name="-s recursive", words=("-s", "recursive")),
    # The newer strategy of git before 2.50 looks for renames whatever it is told.
    Way(name="-X no-renames", words=("-s", "recursive", "-X", "no-renames")),
    Way(name="-s recursive -X patience", words=("-s", "recursive", "-X", "patience")),
    Way(name="-s subtree", words=("-s", "subtree")),
)
# Where there are attributes; where the sides have several best common ancestors, and one of them was taken.
RENORMALIZED = Way(name="-X renormalize", words=("-X", "renormalize"))
RESOLVED = Way(name="-s resolve", words=("-s", "resolve"))


def beyond(differing: Sequence[str], conflicts: Sequence[str]) -> tuple[str, ...]:
    """Return the paths that differ although nobody disagreed about them."""
    disputed = set(conflicts)
    return tuple(path for path in differing if path not in disputed)


@record
class Outcome:
    """What `git merge` makes: the paths that differ from the recorded tree, and those that it could not settle.

    `tree` is empty where something could not be settled.
    """

    differing: tuple[str, ...]
    conflicts: tuple[str, ...]
    tree: str = ""


def fault(seen: Outcome | None, tree: str, conflicts: Sequence[str]) -> str:
    """Say why a tree that is not the recorded one is our fault; empty if git makes the same when asked for the same."""
    if seen is None:
        return "git merge cannot make it, so there is nothing to compare with"
    if not seen.differing:
        return "git merge makes the recorded tree, we do not"
    if bool(seen.conflicts) != bool(conflicts) or (seen.tree and seen.tree != tree):
        return "git merge makes a third tree"
    return ""


def is_by_hand(base: str, ours: str, theirs: str, recorded: str) -> bool:
    """Tell whether no way of merging makes *recorded* of a path: all sides have it, and they do not disagree."""
    if not (base and ours and theirs) or (base not in (ours, theirs) and ours != theirs):
        return False
    return recorded != (theirs if base == ours else ours)


def named(way: Way, conflicts: Sequence[str]) -> str:
    """Return how a merge came about that *way* makes, but for *conflicts*."""
    return f"{way.name}, and conflicts resolved by hand" if conflicts else way.name


def report(merges: Sequence[ReplayedMerge], tip: str, wall: float) -> MergesReport:
    """Count what became of the merges."""
    counts = {fate: sum(one.fate is fate for one in merges) for fate in MergeFate}
    return MergesReport(
        identical=counts[MergeFate.IDENTICAL],
        resolved=counts[MergeFate.RESOLVED],
        strategy=counts[MergeFate.STRATEGY],
        evil=counts[MergeFate.EVIL],
        different=counts[MergeFate.DIFFERENT],
        octopus=counts[MergeFate.OCTOPUS],
        unreadable=counts[MergeFate.UNREADABLE],
        wall_seconds=round(wall, 3),
        tip=tip,
        merges=tuple(merges),
    )

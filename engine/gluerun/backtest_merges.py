"""The merges of a repository's own history, made again as candidates are: the trees ought to be the same.

Nothing of the repository changes: what is made lies in a scratch repository, which reads the objects of the history.
"""

from __future__ import annotations

import os
import time
from functools import cache

from gluerun.adapters.git_history import Source
from gluerun.adapters.git_merge_history import MergeHistory
from gluerun.backtest import scratch_folder
from gluerun.core.merge_replay import (
    FOLLOWED,
    PLAIN,
    RENORMALIZED,
    RESOLVED,
    WAYS,
    MergeFate,
    ReplayedMerge,
    beyond,
    fault,
    is_by_hand,
    named,
    report,
)
from gluerun.errors import GitError, UsageError
from gluerun.records.record import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gluerun.adapters.git_history import Span
    from gluerun.backtest import Tell
    from gluerun.core.merge_replay import MergesReport, PastMerge, Way
    from gluerun.ports import Merge

ALL = "all"


@record
class MergeOptions:
    """What `gluerun backtest --merges` was asked: how many (`count`: a number, or all of them), and where."""

    repo: str
    count: str
    span: str | None = None
    keep: bool = False


def backtest_merges(options: MergeOptions, tell: Tell | None = None) -> MergesReport:
    """Make the newest merges of a history again and tell what came out; UsageError if there is none."""
    most = _count(options.count)
    source = Source(options.repo)
    source.check()
    span = replace(source.span(None, options.span), most=most)
    begun = time.monotonic()
    with scratch_folder(keep=options.keep, tell=tell) as place:

        @cache
        def another(number: int) -> MergeHistory:
            return MergeHistory(source.scratch(f"{place}/{number}").git)

        found = _Judging(another, span).run()
    if not found:
        raise UsageError("there is no merge in this history", "write --merges all, or a longer --range OLDER..NEWER")
    return report(found, span.tip, time.monotonic() - begun)


def _count(word: str) -> int | None:
    if word == ALL:
        return None
    if not (word.isascii() and word.isdigit() and 0 < int(word) < 10**9):
        raise UsageError(f"--merges {word}: there is nothing to replay", "give a number from 1 on, or all")
    return int(word)


@record
class _Open:
    """A merge that did not come out as it is: what was made of it, and where the recorded tree is another one."""

    past: PastMerge
    merge: Merge
    differing: tuple[str, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths that differ although nobody disagreed about them."""
        return beyond(self.differing, self.merge.conflicts)


class _Judging:
    """Merges on their way from the cheapest question, asked of all, to the dearest, asked of the few left."""

    def __init__(self, another: Callable[[int], MergeHistory], span: Span) -> None:
        self._another = another
        self._history = another(0)
        self._span = span
        self._ways = WAYS
        self._found: dict[str, ReplayedMerge] = {}

    def run(self) -> list[ReplayedMerge]:
        """Return what became of each merge, the newest first."""
        past = self._history.past(self._span)
        for one in past:
            if len(one.parents) > 2:
                self._settle(one, MergeFate.OCTOPUS, f"it has {len(one.parents)} parents")
        left = self._first([one for one in past if len(one.parents) == 2])
        resolved = [still for still in left if still.merge.conflicts and not still.paths]
        for still in resolved:
            self._settle(still.past, MergeFate.RESOLVED, "a conflict, resolved by hand", still)
        for still in self._made(resolved, FOLLOWED):
            if not still.differing and not still.merge.conflicts:
                self._settle(still.past, MergeFate.STRATEGY, FOLLOWED.name)
        self._explain(self._rest(left))
        return [self._found[one.commit] for one in past]

    def _first(self, past: Sequence[PastMerge]) -> list[_Open]:
        """Make merges as candidates are made, and settle what came out as it is, or not at all."""
        made = dict(zip((one.commit for one in past), self._history.again(_pairs(past)), strict=True))
        left = [one for one in past if not self._is_told(one, made[one.commit])]
        if left and self._history.has_attributes(self._span):
            self._ways = (*WAYS, RENORMALIZED)
            for one in left:
                made[one.commit] = self._history.again_with_attributes(_pair(one)) or made[one.commit]
            left = [one for one in left if not self._is_told(one, made[one.commit])]
        return self._compared([(one, merge) for one in left if not isinstance(merge := made[one.commit], GitError)])

    def _is_told(self, past: PastMerge, merge: Merge | GitError) -> bool:
        """Settle a merge that came out as it is, or not at all; False if there is more to find out."""
        if isinstance(merge, GitError):
            self._settle(past, MergeFate.UNREADABLE, merge.message)
            return True
        if merge.tree != past.tree or merge.conflicts:
            return False
        strangers = "its sides have no commit in common: the queue would refuse this" if merge.unrelated else ""
        self._settle(past, MergeFate.IDENTICAL, strangers)
        return True

    def _explain(self, left: list[_Open]) -> None:
        """Find out what merges are that hold more than a merge: another way of merging, a hand, or our fault."""
        for one in left:
            if reason := self._whole_side(one.past):
                self._settle(one.past, MergeFate.STRATEGY, reason, one)
        left = self._rest(left)
        for one, reason in zip(left, self._everywhere(_fault, left), strict=True):
            if reason:
                self._settle(one.past, MergeFate.DIFFERENT, reason, one)
        left = self._rest(left)
        for one, other in zip(left, self._made(left, FOLLOWED), strict=True):
            if not other.paths:
                self._settle(one.past, MergeFate.STRATEGY, named(FOLLOWED, other.merge.conflicts), one)
        left = self._rest(left)
        for one, reason in zip(left, self._everywhere(self._way, left), strict=True):
            fate = MergeFate.STRATEGY if reason else MergeFate.EVIL
            self._settle(one.past, fate, reason or self._words(one), one)

    def _everywhere(self, ask: Callable[[MergeHistory, _Open], str], left: Sequence[_Open]) -> list[str]:
        """Ask a dear question about each of *left*, in as many scratch repositories at once as there are CPUs."""
        from concurrent.futures import ThreadPoolExecutor

        count = min(os.cpu_count() or 1, 8, len(left)) or 1
        shares = [left[number::count] for number in range(count)]
        with ThreadPoolExecutor(max_workers=count) as pool:
            answers = pool.map(lambda number: [ask(self._another(number), one) for one in shares[number]], range(count))
            told = {one.past.commit: reason for share, said in zip(shares, answers, strict=True)
                    for one, reason in zip(share, said, strict=True)}  # fmt: skip
        return [told[one.past.commit] for one in left]

    def _way(self, history: MergeHistory, one: _Open) -> str:
        """Say in what other way git makes the recorded tree; empty if in none that we know."""
        bases = history.bases(one.past)
        if len(bases) == 1 and _is_by_hand(history, one, bases[0]):
            return ""
        ways = (*self._ways, RESOLVED) if len(bases) > 1 else self._ways
        for way in ways:
            seen = history.witness(one.past, way)
            if seen is not None and not seen.differing:
                return named(way, seen.conflicts)
        return ""

    def _words(self, one: _Open) -> str:
        words = "conflicts were resolved, and more was changed"
        words = words if one.merge.conflicts else "it changes what neither side did"
        bases = len(self._history.bases(one.past))
        return f"{words}; its sides have {bases} best common ancestors" if bases > 1 else words

    def _whole_side(self, past: PastMerge) -> str:
        """Say whether one side was taken whole, as it is or into a folder."""
        first, second = (self._history.tree_of(parent) for parent in past.parents)
        if past.tree == first:
            return "-s ours: the tree of the first parent"
        if past.tree == second:
            return "the tree of the second parent was taken whole"
        (paths,) = self._history.differing([(first, past.tree)])
        folder = _shared_folder(paths)
        while folder:
            if self._history.tree_at(past.commit, folder) == second:
                return f"-s subtree: the tree of the second parent lies in {folder}"
            folder = folder.rpartition("/")[0]
        return ""

    def _made(self, left: Sequence[_Open], way: Way) -> list[_Open]:
        """Make merges again in another way; what git refuses is as it was."""
        past = [one.past for one in left]
        made = self._history.again(_pairs(past), way)
        pairs = zip(left, made, strict=True)
        return self._compared([(one.past, one.merge if isinstance(new, GitError) else new) for one, new in pairs])

    def _compared(self, made: Sequence[tuple[PastMerge, Merge]]) -> list[_Open]:
        differing = self._history.differing([(merge.tree, past.tree) for past, merge in made]) if made else []
        pairs = zip(made, differing, strict=True)
        return [_Open(past=past, merge=merge, differing=paths) for (past, merge), paths in pairs]

    def _rest(self, left: Sequence[_Open]) -> list[_Open]:
        return [one for one in left if one.past.commit not in self._found]

    def _settle(self, past: PastMerge, fate: MergeFate, reason: str = "", known: _Open | None = None) -> None:
        self._found[past.commit] = ReplayedMerge(
            commit=past.commit,
            parents=past.parents,
            subject=past.subject,
            fate=fate,
            reason=reason,
            conflicts=known.merge.conflicts if known else (),
            paths=known.paths if known else (),
        )


def _fault(history: MergeHistory, one: _Open) -> str:
    return fault(history.witness(one.past, PLAIN), one.merge.tree, one.merge.conflicts)


def _is_by_hand(history: MergeHistory, one: _Open, base: str) -> bool:
    """Tell, without trying, whether a path is as only a hand can have made it."""
    plain = [path for path in one.paths if "\\x" not in path]
    ids = history.contents([(side, path) for path in plain for side in (base, *one.past.parents, one.past.commit)])
    return any(is_by_hand(*ids[at : at + 4]) for at in range(0, len(ids), 4))


def _pair(past: PastMerge) -> tuple[str, str]:
    return past.parents[0], past.parents[1]


def _pairs(past: Sequence[PastMerge]) -> list[tuple[str, str]]:
    return [_pair(one) for one in past]


def _shared_folder(paths: Sequence[str]) -> str:
    """Return the innermost folder that holds all of *paths*, empty if it is the whole tree."""
    folders = [path.split("/")[:-1] for path in paths]
    shared: list[str] = []
    for parts in zip(*folders, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return "/".join(shared)

"""Merges without a work tree: what candidates are made by, one at a time or a whole list in few processes."""

from __future__ import annotations

from gluerun.adapters.git_command import pieces, refusal
from gluerun.core.spelling import name_of
from gluerun.errors import GitError
from gluerun.ports import Merge
from gluerun.records.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gluerun.adapters.git_command import Answer, GitCommand

WORDS = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages")
ENDS = (0, 1, 128)
# What git says, in its own English, of histories without a common commit.
_REFUSED = b"unrelated histories"
# What it says of a program that it ran.
_KILLED = b" died of signal "
# One process of git answers this many; it is ended when it takes too long, and so they are not too many.
_AT_ONCE = 64
_CLEAN, _CONFLICTED = "1", "0"


def merge(
    git: GitCommand,
    ours: str,
    theirs: str,
    *,
    at: str | None = None,
    settings: Sequence[str] = (),
    tree: str = "",
    asked: Callable[[bytes], Answer] | None = None,
) -> Merge:
    """Merge two commits; *settings* (`-c`, `name=value`) come after those that are pinned.

    Attributes are read from the files of the work tree *at*, where one is named. Who knows the *tree* of the first
    commit spares git a question; *asked* is who asks it otherwise than by a start for this.
    """
    # The second question costs no process: what is there already, to tell whether the merge brings anything.
    questions = [f"{ours} {theirs}\n"] if tree else [f"{ours} {theirs}\n", f"{ours} {ours}\n"]
    give = "".join(questions).encode()
    answer = asked(give) if asked else git.run(*settings, *WORDS, "--stdin", at=at, give=give, ok=ENDS)
    if answer.code == 128 and _REFUSED in answer.err:
        return _strangers(git, ours, theirs, at, settings)
    told = list(_told(answer.out))
    if len(told) != len(questions) or _is_wrong(answer):
        raise refusal(f"git cannot merge {theirs} into {ours}", answer, git.root)
    return replace(told[0], empty=told[0].tree == (tree or told[1].tree))


def _strangers(git: GitCommand, ours: str, theirs: str, at: str | None, settings: Sequence[str]) -> Merge:
    words = (*settings, *WORDS, "--allow-unrelated-histories", ours, theirs)
    answer = git.run(*words, at=at, ok=(0, 1))
    tree, *paths = pieces(answer.out) or [""]
    if not tree or bool(answer.code) != bool(paths) or _is_wrong(answer):
        raise refusal(f"git cannot merge {theirs} into {ours}", answer, git.root)
    return Merge(tree=tree, conflicts=tuple(sorted(set(paths))), unrelated=True)


def merges(git: GitCommand, pairs: Sequence[tuple[str, str]], settings: Sequence[str] = ()) -> list[Merge | GitError]:
    """Return what git makes of each of *pairs*, or why it makes nothing of it."""
    if len(pairs) <= _AT_ONCE:
        return _chunk(git, pairs, settings)
    from concurrent.futures import ThreadPoolExecutor  # a dear import
    from os import cpu_count

    chunks = [pairs[begin : begin + _AT_ONCE] for begin in range(0, len(pairs), _AT_ONCE)]
    with ThreadPoolExecutor(max_workers=min(cpu_count() or 1, 8)) as pool:
        answers = pool.map(lambda chunk: _chunk(git, chunk, settings), chunks)
        return [one for answer in answers for one in answer]


def _chunk(git: GitCommand, pairs: Sequence[tuple[str, str]], settings: Sequence[str]) -> list[Merge | GitError]:
    """Answer *pairs* by one process. It ends at a pair that it refuses: that one is asked alone, then it goes on."""
    found: list[Merge | GitError] = []
    while len(found) < len(pairs):
        give = "".join(f"{ours} {theirs}\n" for ours, theirs in pairs[len(found) :]).encode()
        answer = git.run(*settings, *WORDS, "--stdin", give=give, ok=ENDS)
        if _is_wrong(answer):
            return [*found, *(_alone(git, pair, settings) for pair in pairs[len(found) :])]
        found.extend(_told(answer.out))
        if len(found) < len(pairs):
            found.append(_alone(git, pairs[len(found)], settings))
    return found


def _alone(git: GitCommand, pair: tuple[str, str], settings: Sequence[str]) -> Merge | GitError:
    try:
        return merge(git, *pair, settings=settings)
    except GitError as error:
        return error


def _is_wrong(answer: Answer) -> bool:
    """Tell whether git met an object that it cannot read: it takes that for an empty one, and goes on.

    A merge driver that was killed is named, too; what it did not merge is a conflict.
    """
    errors = [line for line in answer.err.splitlines() if line.startswith(b"error: ")]
    return any(_KILLED not in line for line in errors)


def _told(out: bytes) -> Iterator[Merge]:
    """Yield the whole answers of `merge-tree --stdin`: how it went, the tree, the paths, and an empty piece."""
    words = out.split(b"\0")[:-1]
    at = 0
    while at < len(words):
        try:
            end = words.index(b"", at)
        except ValueError:
            return
        how, tree, *paths = (name_of(word) for word in words[at:end])
        if (how == _CONFLICTED) != bool(paths) or how not in (_CLEAN, _CONFLICTED):
            return
        yield Merge(tree=tree, conflicts=tuple(sorted(set(paths))))
        at = end + 1

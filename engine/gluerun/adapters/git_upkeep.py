"""What commits say of themselves, what they weigh, and how git is let tidy its store."""

from __future__ import annotations

from gluerun.adapters.git_command import encode
from gluerun.adapters.git_trees import GITLINK, differences
from gluerun.errors import GitError
from gluerun.ports import Logged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gluerun.adapters.git_command import GitCommand

YOUNG = "2.weeks.ago"
# Given after the pinned settings, which forbid git to tidy in the middle of anything: the last word wins.
_TIDY = (
    "gc.auto=6700",
    "gc.autoDetach=false",
    "gc.pruneExpire=2.weeks.ago",
    "gc.worktreePruneExpire=never",
    "gc.reflogExpire=never",
    "gc.reflogExpireUnreachable=never",
)


def told(git: GitCommand, commits: Sequence[str]) -> tuple[Logged, ...]:
    """Return who follows whom, when, and in what words."""
    if not commits:
        return ()
    words = ("log", "--no-walk=unsorted", "--stdin", "-z", "--format=tformat:%H%n%P%n%ct%n%B")
    out = git.run(*words, give=encode("".join(f"{one}\n" for one in commits))).out.decode("utf-8", "replace")
    found = {}
    for one in out.split("\0")[:-1]:
        commit, parents, at, message = one.split("\n", 3)
        found[commit] = Logged(commit=commit, parents=tuple(parents.split()), at=int(at), message=message)
    return tuple(found[one] for one in commits)


def weight(git: GitCommand, old: str, new: str) -> tuple[int, int]:
    """Return how many paths differ, and how many bytes they hold in *new*."""
    found = differences(git, old, new)
    shas = [one.new[1] for one in found if one.new and one.new[0] != GITLINK]
    if not shas:
        return len(found), 0
    give = encode("".join(f"{sha}\n" for sha in shas))
    said = git.line("cat-file", "--batch-check=%(objectsize)", give=give)
    return len(found), sum(int(line) for line in said.split("\n") if line.isdigit())


def maintain(git: GitCommand) -> str:
    """Let git tidy its store if it finds that worth while; return "" or why it did not."""
    words = [word for setting in _TIDY for word in ("-c", setting)]
    try:
        git.run(*words, "gc", "--auto", "--quiet", f"--prune={YOUNG}")
    except GitError as error:
        return error.message
    return ""

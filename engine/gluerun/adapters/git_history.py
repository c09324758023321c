"""A repository's past, and a scratch repository to live it again in: same objects, nothing else shared."""
# Names are bytes here, and pathlib's import is dear.

from __future__ import annotations

import os

from gluerun.adapters import git_folders as folders
from gluerun.adapters.git_command import GitCommand, encode
from gluerun.adapters.git_trees import GITLINK, differences
from gluerun.core.backtest_plan import Past
from gluerun.core.spelling import name_of
from gluerun.errors import GitError, UsageError
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Contents are replayed byte for byte: no attribute of the history may convert what goes in or out.
ATTRIBUTES = "* -text -filter -ident !eol !working-tree-encoding !merge\n"
NAME, EMAIL = "gluerun", "gluerun@localhost"
# Nothing is ever committed there, so no work tree stands on the target branch.
NOWHERE = "refs/heads/nowhere"


@record
class Span:
    """Which part of a history is meant: everything behind `tip` but not behind `since`, the newest `most`."""

    tip: str
    since: str | None
    most: int | None


@record
class Arrival:
    """A merge of two parents, and when the last commit of the branch that it merged was made, in seconds."""

    commit: str
    at: int


class Source:
    """The repository whose history it is; it is only read."""

    def __init__(self, root: str) -> None:
        self._git = GitCommand(os.path.abspath(root), NAME, EMAIL)

    def check(self) -> None:
        """Raise UsageError unless this is a repository with its whole history."""
        try:
            shallow = self._ask("rev-parse", "--is-shallow-repository")
        except GitError:
            hint = "go to one, or name it: --repo PATH"
            raise UsageError(f"{self._git.root} is not a git repository", hint) from None
        if shallow == "true":
            raise UsageError("this clone is shallow: a part of its history is missing", "git fetch --unshallow")
        if self._git.run("config", "--get-regexp", r"^remote\..*\.promisor$", ok=(0, 1)).out:
            hint = "backtest a full clone, made without --filter"
            raise UsageError("this clone is partial: some contents of its history are missing", hint)

    def span(self, last: int | None, wanted: str | None) -> Span:
        """Return the part of the history that a person named; UsageError where there is none."""
        if wanted is None:
            tip = self._commit("HEAD")
            if tip is None:
                raise UsageError("this repository has no commit yet", "commit something first")
            return Span(tip=tip, since=None, most=last)
        begin, dots, end = wanted.partition("..")
        if not dots or end.startswith(".") or not (begin or end):
            raise UsageError(f"{wanted!r} is no range of commits", "write --range A..B, for example v1.0..HEAD")
        since, tip = (self._named(word or "HEAD") for word in (begin, end))
        return Span(tip=tip, since=since, most=None)

    def arrivals(self, span: Span) -> list[Arrival]:
        """Return the merges of two parents in *span*, oldest first; UsageError if there is none."""
        words = ["log", "--first-parent", "--min-parents=2", "--max-parents=2", "--format=%H %P"]
        words += [f"--max-count={span.most}"] if span.most is not None else []
        words += [span.tip, *([f"^{span.since}"] if span.since else [])]
        merges = [line.split() for line in self._git.run(*words).out.decode().splitlines()]
        if not merges:
            raise UsageError("there is no merge of two parents in this history", "name another one: --repo PATH")
        tips = "".join(f"{branch}\n" for _, _, branch in merges).encode()
        said = self._git.run("log", "--no-walk=unsorted", "--stdin", "--format=%H %ct", give=tips).out.decode()
        moments = dict(line.split() for line in said.splitlines())
        return [Arrival(commit=commit, at=int(moments[branch])) for commit, _, branch in reversed(merges)]

    def scratch(self, place: str) -> Scratch:
        """Make a scratch repository at *place*, which reads this one's objects and copies none."""
        kind = self._ask("rev-parse", "--show-object-format")
        objects = os.path.realpath(os.path.join(self._git.root, self._ask("rev-parse", "--git-path", "objects")))
        os.makedirs(encode(place), exist_ok=True)
        git = GitCommand(place, NAME, EMAIL)
        git.run("init", "--quiet", "--template=", f"--object-format={kind}")
        git.run("symbolic-ref", "HEAD", NOWHERE)
        for name, text in (("objects/info/alternates", f"{objects}\n"), ("info/attributes", ATTRIBUTES)):
            folders.put_durably(folders.join(place, f".git/{name}"), encode(text))
        return Scratch(git)

    def _named(self, word: str) -> str:
        found = self._commit(word)
        if found is None:
            raise UsageError(f"{word!r} names no commit here", "look with `git log --oneline`")
        return found

    def _commit(self, word: str) -> str | None:
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options")
        return self._git.run(*words, f"{word}^{{commit}}", ok=(0, 1, 128)).line or None

    def _ask(self, *words: str) -> str:
        return self._git.line(*words)


class Scratch:
    """The scratch repository. Replacements and grafts of the source do not reach it: the past is what it was."""

    def __init__(self, git: GitCommand) -> None:
        self.git = self._git = git
        self.root = git.root

    def past(self, span: Span) -> list[Past]:
        """Return the first-parent commits of *span*, oldest first; UsageError if there is none."""
        words = ["log", "--first-parent", "-z", "--format=tformat:%H%n%P%n%s"]
        words += [f"--max-count={span.most}"] if span.most is not None else []
        words += [span.tip, *([f"^{span.since}"] if span.since else [])]
        lines = self._git.run(*words).out.decode("utf-8", "replace").split("\0")[:-1]
        commits = [line.split("\n", 2) for line in reversed(lines)]
        if not commits:
            raise UsageError("there is no commit in this range", "write --range OLDER..NEWER")
        heads = [(commit, (parents.split(" ")[0] or None), subject) for commit, parents, subject in commits]
        touched = self._touched([(commit, parent) for commit, parent, _ in heads])
        return [
            Past(
                commit=commit,
                parent=parent,
                subject=subject,
                paths=tuple(path for path, _ in touched.get(commit, ())),
                submodules=tuple(path for path, is_link in touched.get(commit, ()) if is_link),
            )
            for commit, parent, subject in heads
        ]

    def begin(self, branch: str, first: Past) -> str:
        """Let *branch* stand where *first* begins and return that commit; the root begins at nothing."""
        empty = self._git.line("mktree")
        base = first.parent or self._git.line("commit-tree", "-m", "begin", empty)
        self._git.run("update-ref", f"refs/heads/{branch}", base)
        return base

    def differing(self, branch: str, tip: str) -> tuple[str, ...]:
        """Return the paths on which *branch* differs from *tip*."""
        return tuple(one.path for one in differences(self._git, f"refs/heads/{branch}", tip))

    def _touched(self, pairs: Sequence[tuple[str, str | None]]) -> dict[str, list[tuple[str, bool]]]:
        """Return for each commit the paths that differ from its parent, and whether each is a submodule."""
        give = "".join(f"{commit} {parent}\n" if parent else f"{commit}\n" for commit, parent in pairs)
        words = ("diff-tree", "--stdin", "--root", "-r", "-z", "--raw", "--no-renames", "--ignore-submodules=none")
        found: dict[str, list[tuple[str, bool]]] = {}
        here: list[tuple[str, bool]] = []
        for said, path in _pairs(self._git.run(*words, give=give.encode()).out):
            if path is None:
                here = found.setdefault(said, [])
            else:
                here.append((path, GITLINK in said.removeprefix(":").split(" ")[:2]))
        return found


def _pairs(out: bytes) -> Iterator[tuple[str, str | None]]:
    """Yield each commit, and each difference with its path, of `diff-tree --stdin -z`."""
    words = iter(out.split(b"\0")[:-1])
    for word in words:
        yield word.decode(), (name_of(next(words)) if word.startswith(b":") else None)

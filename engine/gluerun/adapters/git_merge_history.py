"""The merges of a history, and git itself as a witness of how each came about, in a scratch repository."""
# Names are bytes here, and pathlib's import is dear.

from __future__ import annotations

from gluerun.adapters import git_folders as folders
from gluerun.adapters.git_command import decode, pieces
from gluerun.adapters.git_merging import merge, merges
from gluerun.core.merge_replay import Outcome, PastMerge
from gluerun.core.spelling import bytes_of, name_of
from gluerun.errors import GitError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gluerun.adapters.git_command import Answer, GitCommand
    from gluerun.adapters.git_history import Span
    from gluerun.core.merge_replay import Way
    from gluerun.ports import Merge

# No filter converts what goes in or out, yet merge drivers and the rules for the ends of lines are the history's own.
ATTRIBUTES = b"* -filter -ident !working-tree-encoding\n"
# Nothing of a tree is written into the place where merges are tried but what says how to merge, and conflicts.
SPARSE = b".gitattributes\n"
UNSYNCED = ("-c", "core.fsync=none")


class MergeHistory:
    """Merges to be made again. The place of *git* is a scratch repository with the objects of the history."""

    def __init__(self, git: GitCommand) -> None:
        self._git = git
        self._stands = ""
        self._is_littered = False
        for name, data in (("info/attributes", ATTRIBUTES), ("info/sparse-checkout", SPARSE)):
            folders.put_durably(folders.join(git.root, f".git/{name}"), data)
        self._run("config", "core.sparseCheckout", "true")

    def past(self, span: Span) -> list[PastMerge]:
        """Return the merges of *span*, the newest first; only those of two parents are counted."""
        if span.most is None:
            return self._log(span, None)
        most = span.most
        while True:
            found = self._log(span, most)
            short = span.most - sum(len(one.parents) == 2 for one in found)
            if short <= 0 or len(found) < most:
                return found
            most += short

    def again(self, pairs: Sequence[tuple[str, str]], way: Way | None = None) -> list[Merge | GitError]:
        """Merge each of *pairs* as candidates are merged."""
        return merges(self._git, pairs, (*UNSYNCED, *(way.settings if way else ())))

    def has_attributes(self, span: Span) -> bool:
        """Tell whether a commit of the history may ever have had a file of attributes."""
        words = ("--no-literal-pathspecs", "rev-list", "--max-count=1", "--full-history", span.tip)
        answer = self._run(*words, "--", ":(glob)**/.gitattributes", ok=(0, 128))
        return bool(answer.code or answer.out)  # where an object is missing git cannot tell

    def again_with_attributes(self, pair: tuple[str, str]) -> Merge | GitError | None:
        """Merge a pair as in a checkout of its first side; None if that has no attributes."""
        try:
            self._stand(pair[0])
            if not self._run("ls-files", "-t", "-z").out.count(b"H "):
                return None
            return merge(self._git, *pair, settings=UNSYNCED)
        except GitError as error:
            return error

    def differing(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, ...]]:
        """Return for each pair of trees the paths on which they differ."""
        words = ("diff-tree", "--stdin", "-r", "-z", "--no-renames", "--no-ext-diff", "--ignore-submodules=none")
        give = "".join(f"{one} {other}\n" for one, other in pairs).encode()
        found: list[list[str]] = []
        words_out = iter(self._run(*words, give=give).out.split(b"\0")[:-1])
        for word in words_out:
            *heads, said = word.split(b"\n")
            found += [[] for _ in heads]
            if said:
                found[-1].append(name_of(next(words_out)))
        found += [[] for _ in range(len(pairs) - len(found))]
        return [tuple(paths) for paths in found]

    def witness(self, past: PastMerge, way: Way) -> Outcome | None:
        """Merge with `git merge`, in another way than ours; None where git does not know that way, or fails in it."""
        words = ("merge", "--quiet", "--no-commit", "--no-ff", "--allow-unrelated-histories", *way.words)
        try:
            self._stand(past.parents[0])
            self._stands = ""
            code = self._run(*way.settings, *words, past.parents[1], ok=(0, 1, 2, 128, 129)).code
            said = pieces(self._run("diff-index", "--cached", "-z", "--raw", "--no-renames", past.tree).out)
            conflicts = dict.fromkeys(path for how, path in zip(said[::2], said[1::2], strict=True) if how[-1] == "U")
            self._is_littered = self._is_littered or bool(conflicts)
            if code > 1 or bool(code) != bool(conflicts):
                return None
            differing = dict.fromkeys(path for path in said[1::2] if path not in conflicts)
            tree = "" if conflicts else self._run("write-tree").line
            return Outcome(differing=tuple(differing), conflicts=tuple(conflicts), tree=tree)
        except GitError:
            return None

    def bases(self, past: PastMerge) -> list[str]:
        """Return the best common ancestors of the two sides."""
        return decode(self._run("merge-base", "--all", *past.parents, ok=(0, 1)).out).split()

    def contents(self, asked: Sequence[tuple[str, str]]) -> list[str]:
        """Return the id of what lies at each path of a commit, empty where nothing does; no path may hold a newline."""
        give = b"".join(f"{commit}:".encode() + bytes_of(path) + b"\n" for commit, path in asked)
        out = self._run("cat-file", "--batch-check=%(objectname)", give=give).out if asked else b""
        return ["" if line.endswith(b" missing") else decode(line) for line in out.split(b"\n")[:-1]]

    def tree_at(self, commit: str, path: str) -> str:
        """Return the tree of a commit's folder, empty if there is none."""
        name = decode(bytes_of(path))
        return self._run("rev-parse", "--verify", "--quiet", f"{commit}:{name}", ok=(0, 1, 128)).line

    def tree_of(self, commit: str) -> str:
        """Return the tree of a commit."""
        return self._line("rev-parse", "--verify", f"{commit}^{{tree}}")

    def _log(self, span: Span, most: int | None) -> list[PastMerge]:
        words = ["log", "--min-parents=2", "-z", "--format=tformat:%H%n%P%n%T%n%s"]
        words += [f"--max-count={most}"] if most is not None else []
        words += [span.tip, *([f"^{span.since}"] if span.since else [])]
        lines = self._run(*words).out.decode("utf-8", "replace").split("\0")[:-1]
        found = [line.split("\n", 3) for line in lines]
        return [
            PastMerge(commit=commit, parents=tuple(parents.split(" ")), tree=tree, subject=subject)
            for commit, parents, tree, subject in found
        ]

    def _stand(self, commit: str) -> None:
        """Check *commit* out, as little of it as can be, and throw away what a merge left."""
        if self._stands == commit:
            return
        self._run("checkout", "--quiet", "--force", "--detach", commit)
        if self._is_littered:
            self._run("clean", "-ffdxq")
            self._is_littered = False
        self._stands = commit

    def _line(self, *words: str) -> str:
        return self._run(*words).line

    def _run(self, *words: str, ok: tuple[int, ...] = (0,), give: bytes = b"") -> Answer:
        """Ask git. What lies in a scratch repository need not survive anything."""
        return self._git.run(*UNSYNCED, *words, ok=ok, give=give)

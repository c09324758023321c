"""The links of a chain, built for less than as many starts of git as they take alone.

A merge needs the commit before it to be stored, so git cannot be told of a chain all at once. But one git stores all of
the commits, told of each as it comes; and the git of the next merge is started while that of the last one works.
"""

from __future__ import annotations

import os
import select
import time

from gluerun.adapters import git_folders as folders
from gluerun.adapters.git_command import (
    CHUNK,
    Answer,
    decode,
    encode,
    end_child,
    refusal,
)
from gluerun.adapters.git_merging import ENDS, merge
from gluerun.adapters.git_merging import WORDS as MERGE
from gluerun.adapters.git_publishing import commit_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gluerun.adapters.git_command import Beside, GitCommand
    from gluerun.errors import GitError
    from gluerun.ports import Merge

WORDS = ("hash-object", "-t", "commit", "-w", "--stdin-paths")
# In git's own folder; a crash may leave it there, and the next chain writes it anew.
DRAFT = "gluerun-commit"
# Whoever has another letter in the name is not worth the rules by which git leaves letters out.
_PLAIN = " @.-_+"


class Building:
    """Up to *count* links, one upon another, with commits by the engine's identity; it must be ended."""

    def __init__(self, git: GitCommand, count: int) -> None:
        self._git = git
        self._left = count
        self._next: Beside | None = None
        # What the next link is merged into is known without asking.
        self._trees: dict[str, str] = {}
        self._draft = folders.join(folders.folder_of(git.root) or "", DRAFT)
        self._child: tuple[int, int, int, int] | None = None

    def merge(self, ours: str, theirs: str) -> Merge:
        """Merge a link into the one before it."""
        return merge(self._git, ours, theirs, tree=self._trees.get(ours, ""), asked=self._asked)

    def _asked(self, give: bytes) -> Answer:
        words = (*MERGE, "--stdin")
        with self._next or self._git.beside(*words) as git:
            git.ask(give)
            self._left -= 1
            self._next = self._git.beside(*words) if self._left > 0 else None
            return git.answer(ENDS)

    def store(self, tree: str, parents: Sequence[str], message: str) -> str:
        """Store a commit, to the byte as `git commit-tree` would."""
        if not (_is_plain(self._git.name) and _is_plain(self._git.email)) or "\0" in message or "\n" in self._draft:
            return commit_tree(self._git, tree, parents, message, sign=False, author="")
        now = int(time.time())
        who = f"{self._git.name} <{self._git.email}> {now} {time.strftime('%z', time.localtime(now))}"
        about = [f"tree {tree}", *(f"parent {one}" for one in dict.fromkeys(parents))]
        text = "\n".join([*about, f"author {who}", f"committer {who}", "", message])
        try:
            folders.put(self._draft, encode(text))
        except OSError as error:
            raise self._refusal(encode(str(error))) from error
        commit = self._told()
        self._trees[commit] = tree
        return commit

    @property
    def process(self) -> int:
        """The process that stores them; 0 while there is none."""
        return self._child[0] if self._child is not None else 0

    def end(self) -> None:
        """Let git end, and leave nothing behind."""
        if self._next is not None:
            with self._next:
                self._next = None
        pid = self.process
        self._leave()
        if pid:
            os.waitpid(pid, 0)

    def _leave(self) -> None:
        """Let git find the end of what it is told."""
        for end in self._child[1:] if self._child is not None else ():
            os.close(end)
        self._child = None
        folders.discard(self._draft)

    def _told(self) -> str:
        """Let git store what is in the draft. Of errors it says little, and then it ends."""
        if self._child is None:
            self._child = self._git.begin(*WORDS)
        pid, into, out, err = self._child
        said = b""
        try:
            os.write(into, encode(f"{self._draft}\n"))
        except BrokenPipeError:
            pass  # it has ended, and said why
        waiting = select.poll()
        waiting.register(out, select.POLLIN)
        while not said.endswith(b"\n"):
            if not waiting.poll(self._git.limit * 1000):
                end_child(pid)
                self._leave()
                raise self._git.too_long(WORDS)
            if not (piece := os.read(out, CHUNK)):
                why = os.read(err, CHUNK)
                self.end()
                raise self._refusal(why)
            said += piece
        return decode(said).strip()

    def _refusal(self, why: bytes) -> GitError:
        return refusal("a commit cannot be stored", Answer(code=-1, out=b"", err=why), self._git.root)


def _is_plain(name: str) -> bool:
    return (name[:1] + name[-1:]).isalnum() and all(letter.isalnum() or letter in _PLAIN for letter in name)

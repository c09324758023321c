"""The one private way to start git: clean environment, pinned settings, a time limit, one kind of error.

It starts the program by itself instead of importing `subprocess`, whose import costs more than the call:
an idle cycle asks git one question.
"""
# Names are bytes here, and pathlib's import is dear.

from __future__ import annotations

import os

from gluerun.core.spelling import name_of
from gluerun.errors import GitError, ImpossibleError, NoRoomError, ToolMissingError
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

# What the system says, in its own English, of a disk and of a quota.
_FULL = (b"No space left on device", b"Disk quota exceeded")
TIME_LIMIT = 600.0
GRACE = 5.0
CHUNK = 1 << 16

# The user's settings stay (filters, credentials, ignore rules), but none of them may change what we promise.
PINNED: tuple[str, ...] = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "core.safecrlf=false",
    "core.fsync=committed,reference",
    "core.editor=true",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "push.gpgSign=false",
    "push.followTags=false",
    "push.recurseSubmodules=no",
    "fetch.recurseSubmodules=no",
    "submodule.recurse=false",
    "merge.directoryRenames=false",
    "merge.renames=true",
    "merge.renameLimit=7000",
    "merge.conflictStyle=merge",
    "merge.renormalize=false",
    "merge.default=text",
    "diff.renames=true",
    "diff.renameLimit=7000",
    "diff.orderFile=/dev/null",
    "diff.noprefix=false",
    "diff.mnemonicPrefix=false",
    "diff.submodule=short",
    "log.showSignature=false",
    "log.follow=false",
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
    "worktree.guessRemote=false",
    "branch.autoSetupMerge=false",
    "checkout.workers=1",
    "advice.addEmbeddedRepo=false",
    "advice.skippedCherryPicks=false",
    "color.ui=false",
)
SETTINGS = tuple(word for setting in PINNED for word in ("-c", setting))

# How the machine's owner reaches a remote is not ours to forget.
TRANSPORT = (b"GIT_SSH", b"GIT_SSH_COMMAND", b"GIT_SSH_VARIANT", b"GIT_PROXY_COMMAND", b"GIT_SSL_CAINFO")


def encode(text: str) -> bytes:
    """Return the bytes of a name that git gave us, also if it is not valid UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def decode(data: bytes) -> str:
    """Return git's bytes as text from which the bytes can be had again."""
    return data.decode("utf-8", "surrogateescape")


def pieces(data: bytes) -> list[str]:
    """Split git's NUL-terminated answer; names in it are as `name_of` writes them."""
    return [name_of(piece) for piece in data.split(b"\0")[:-1]]


@record
class Answer:
    """How git ended and what it wrote."""

    code: int
    out: bytes
    err: bytes

    @property
    def line(self) -> str:
        """The answer as one line of text."""
        return decode(self.out).strip("\n")


class GitCommand:
    """The program git, bound to one repository and to the engine's identity."""

    def __init__(self, root: str, name: str, email: str, *, limit: float = TIME_LIMIT) -> None:
        self.root = root
        self.limit = limit
        self.synced: dict[bytes, int] = {}
        self.name = name
        self.email = email
        self.started = 0

    def run(
        self,
        *args: str,
        at: str | None = None,
        index: str | None = None,
        give: bytes = b"",
        ok: tuple[int, ...] = (0,),
        also: Mapping[str, str] | None = None,
    ) -> Answer:
        """Run git to its end in the folder *at* (or the repository) and return its answer.

        *index* is a private index file to work on instead of the work tree's own, *give* its input, *also* what
        stands in its environment beside what always does. GitError if it ends with a code that is not in *ok*.
        """
        return self.judge(args, self._start(args, at, index, give, also=also), ok)

    def run_some(self, *args: str, enough: int) -> Answer:
        """Run git until it ended or wrote *enough* bytes."""
        answer = self._start(args, None, None, b"", enough)
        return answer if len(answer.out) >= enough else self.judge(args, answer, (0,))

    def line(self, *args: str, at: str | None = None, index: str | None = None, give: bytes = b"") -> str:
        """Run git and return its one line of answer."""
        return self.run(*args, at=at, index=index, give=give).line

    def _start(
        self,
        args: tuple[str, ...],
        at: str | None,
        index: str | None,
        give: bytes,
        enough: int = 0,
        also: Mapping[str, str] | None = None,
    ) -> Answer:
        try:
            return _finished(self.begin(*args, at=at, index=index, also=also), give, enough, self.limit)
        except TimeoutError:
            raise self.too_long(args) from None

    def beside(self, *args: str, at: str | None = None, index: str | None = None) -> Beside:
        """Begin to run git and return at once; who calls it goes on beside it and then asks for its answer."""
        return Beside(self, args, self.begin(*args, at=at, index=index))

    def begin(
        self, *args: str, at: str | None = None, index: str | None = None, also: Mapping[str, str] | None = None
    ) -> tuple[int, int, int, int]:
        """Start git; return its process, where its input is written, and where its two outputs are read."""
        # `check-ignore` takes no literal pathspecs; who calls it names paths that nothing else can be read from.
        literal = () if args[0] == "check-ignore" else ("--literal-pathspecs",)
        place = at or self.root
        argv = ("git", "--no-pager", *literal, *SETTINGS, "-C", place, *args)
        self.started += 1
        more = {encode(key): encode(value) for key, value in (also or {}).items()}
        try:
            return begin_child(argv, {**self._environment(place, index), **more})
        except FileNotFoundError:
            raise ToolMissingError("git is not installed", "install git 2.39 or newer") from None

    def too_long(self, args: Sequence[str]) -> GitError:
        """Return what to say of a git that did not end or answer in time."""
        words = f"{_summary(args)} took longer than {self.limit:.0f} seconds and was ended"
        return GitError(words, file=self.root)

    def judge(self, args: tuple[str, ...], answer: Answer, ok: tuple[int, ...]) -> Answer:
        """Return *answer*; GitError if it has a code that is not in *ok*."""
        if answer.code not in ok:
            raise refusal(f"{_summary(args)} failed with code {answer.code}", answer, self.root)
        return answer

    def _environment(self, place: str, index: str | None) -> Mapping[bytes, bytes]:
        kept = {
            key: value
            for key, value in os.environb.items()
            if not key.startswith((b"GIT_", b"LC_", b"SSH_ASKPASS")) or key in TRANSPORT
        }
        ours = {
            "LC_ALL": "C",
            "LANGUAGE": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
            "SSH_ASKPASS_REQUIRE": "never",
            "GIT_EDITOR": "true",
            "GIT_PAGER": "cat",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": self.name,
            "GIT_AUTHOR_EMAIL": self.email,
            "GIT_COMMITTER_NAME": self.name,
            "GIT_COMMITTER_EMAIL": self.email,
            # A folder that lost its own .git must never be taken for a part of the repository around it.
            "GIT_CEILING_DIRECTORIES": os.path.dirname(place.rstrip("/")),
            # Only a private index may be refreshed by a question; the user's own is never written.
            "GIT_OPTIONAL_LOCKS": "0" if index is None else "1",
        }
        if index is not None:
            ours["GIT_INDEX_FILE"] = index
        return {**kept, **{encode(key): encode(value) for key, value in ours.items()}}


class Beside:
    """A git at work beside its caller. Who leaves without its answer ends it."""

    def __init__(self, git: GitCommand, args: tuple[str, ...], child: tuple[int, int, int, int]) -> None:
        self._git = git
        self._args = args
        self._child: tuple[int, int, int, int] | None = child

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            for end in self._child[1:]:
                if end != _CLOSED:
                    os.close(end)
            end_child(self._child[0])

    def ask(self, give: bytes) -> None:
        """Let it have its whole input, of a few lines, and begin."""
        pid, into, *rest = self._taken()
        _feed(into, memoryview(give))
        os.close(into)
        self._child = (pid, _CLOSED, rest[0], rest[1])

    def answer(self, ok: tuple[int, ...] = (0,)) -> Answer:
        """Wait for its end and return its answer; GitError if it ended with a code that is not in *ok*."""
        try:
            return self._git.judge(self._args, _finished(self._taken(), b"", 0, self._git.limit), ok)
        except TimeoutError:
            raise self._git.too_long(self._args) from None

    def _taken(self) -> tuple[int, int, int, int]:
        if self._child is None:
            raise ImpossibleError("its answer was taken already")
        child, self._child = self._child, None
        return child


def refusal(words: str, answer: Answer, place: str) -> GitError:
    """Return the error that says what git said; one of its own where the disk is full."""
    said = answer.err.decode("utf-8", "replace").strip() or "it said nothing"
    is_full = any(word in answer.err for word in _FULL)
    return (NoRoomError if is_full else GitError)(f"{words}: {said[:2000]}", file=place)


def _finished(child: tuple[int, int, int, int], give: bytes, enough: int, limit: float) -> Answer:
    """Converse with a program until it ends or wrote *enough* bytes (0: all); TimeoutError if it takes too long."""
    pid, into, out, err = child
    try:
        texts = _converse(into, out, err, give, enough, limit)
    except BaseException:
        end_child(pid)
        raise
    finally:
        os.close(out)
        os.close(err)
    if enough and len(texts[0]) >= enough:
        end_child(pid)
        return Answer(code=0, out=texts[0], err=texts[1])
    return Answer(code=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out=texts[0], err=texts[1])


def begin_child(argv: tuple[str, ...], env: Mapping[bytes, bytes]) -> tuple[int, int, int, int]:
    """Start a program; return its process, where its input is written, and where its two outputs are read."""
    out, out_end = os.pipe()
    err, err_end = os.pipe()
    in_end, into = os.pipe()
    try:
        pid = os.posix_spawnp(
            argv[0],
            [encode(word) for word in argv],
            env,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, in_end, 0),
                (os.POSIX_SPAWN_DUP2, out_end, 1),
                (os.POSIX_SPAWN_DUP2, err_end, 2),
            ],
            # A group of its own: the user's Ctrl-C must not tear git in the middle of a write.
            setpgroup=0,
            # Python ignores these two; git wants to die of them.
            setsigdef=(_SIGPIPE, _SIGXFSZ),
        )
    except BaseException:
        for end in (out, err, into):
            os.close(end)
        raise
    finally:
        for end in (in_end, out_end, err_end):
            os.close(end)
    return pid, into, out, err


_SIGTERM, _SIGKILL, _SIGPIPE = 15, 9, 13
_SIGXFSZ = 25
# In the place of an end of a pipe that was closed.
_CLOSED = -1


def _converse(into: int, out: int, err: int, give: bytes, enough: int, limit: float) -> tuple[bytes, bytes]:
    import select
    import time

    deadline = time.monotonic() + limit
    texts: dict[int, bytearray] = {out: bytearray(), err: bytearray()}
    waiting = select.poll()
    rest = memoryview(give)
    open_ends = {out, err}
    try:
        for end in open_ends:
            waiting.register(end, select.POLLIN)
        if rest:
            os.set_blocking(into, False)
            waiting.register(into, select.POLLOUT)
        elif into != _CLOSED:
            os.close(into)
            into = _CLOSED
        while open_ends:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            for end, _ in waiting.poll(left * 1000):
                if end == into:
                    rest = _feed(into, rest)
                    if not rest:
                        waiting.unregister(into)
                        os.close(into)
                        into = _CLOSED
                elif piece := os.read(end, CHUNK):
                    texts[end] += piece
                else:
                    waiting.unregister(end)
                    open_ends.discard(end)
            if enough and len(texts[out]) >= enough:
                break
    finally:
        if into != _CLOSED:
            os.close(into)
    return bytes(texts[out]), bytes(texts[err])


def _feed(into: int, rest: memoryview) -> memoryview:
    try:
        return rest[os.write(into, rest[:CHUNK]) :]
    except BlockingIOError:
        return rest
    except BrokenPipeError:
        # It has read all it wanted; its exit code tells whether that was right.
        return rest[:0]


def end_child(pid: int) -> None:
    """End git the gentle way first: on TERM it removes its own locks."""
    import time

    for signal, patience in ((_SIGTERM, GRACE), (_SIGKILL, 60.0)):
        try:
            os.killpg(pid, signal)
        except ProcessLookupError:
            pass
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
            time.sleep(0.01)


def _summary(args: Sequence[str]) -> str:
    words = " ".join(("git", *args))
    return words if len(words) <= 120 else words[:119] + "…"

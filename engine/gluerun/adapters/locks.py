"""Locks of the kernel (flock): released when their holder dies, and at no other moment.

A lock file is never removed: two processes that lock two files of one name would both go on. Descriptors
are closed in every child, or a detached worker would keep the loop's locks for hours.
"""

from __future__ import annotations

import fcntl
import os
import time

from gluerun.adapters.files import DiskFiles, refusal
from gluerun.errors import BusyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from gluerun.records.origin import OriginHolder

# A look at the lock shares it for some microseconds, or for as long as the machine stops whoever looks: who wants it
# for good tries for so long where somebody has it, and for longer where it is only looked at.
LOOK_SECONDS, LONGEST_LOOK_SECONDS = 0.1, 60.0


class FlockLocks:
    """The loop's locks under one state folder."""

    def __init__(self, state_root: str, *, git_patience: float = 60.0) -> None:
        self._files = DiskFiles(state_root, has_ballast=True)
        self._folder = f"{self._files.root}/locks"
        self._git_patience = git_patience

    def origin(self, holder: OriginHolder) -> AbstractContextManager[None]:
        """Hold the loop's lock; BusyError naming the holder if another cycle has it."""
        return self._signed_lock(
            "origin",
            holder,
            lambda who: BusyError(f"another cycle holds the lock: {who}", "wait for it to finish, then run it again"),
        )

    def origin_holder(self) -> OriginHolder | None:
        """Return who holds the loop's lock, as far as it is known; None if nobody does."""
        return self._signed("origin") if is_held(f"{self._folder}/origin.lock") else None

    def resident_holder(self) -> OriginHolder | None:
        """Return who is the resident loop, as far as it is known; None if there is none."""
        return self._signed("auto") if is_held(f"{self._folder}/auto.lock") else None

    def resident(self, holder: OriginHolder) -> AbstractContextManager[None]:
        """Be the one resident loop of the repository; BusyError naming the one that there is already."""
        return self._signed_lock(
            "auto",
            holder,
            lambda who: BusyError(
                f"another resident loop runs in this repository: {who}", "`gluerun status` shows its work"
            ),
        )

    def git(self) -> AbstractContextManager[None]:
        """Hold the lock around changes of refs and work trees; waits up to a minute, then BusyError."""
        return _Held(
            f"{self._folder}/git.lock",
            self._git_patience,
            busy=lambda: BusyError(
                f"another process has been changing refs or work trees for {self._git_patience:.0f} s",
                "look for a git that hangs; `gluerun doctor` names the holder",
            ),
        )

    def _signed_lock(
        self, name: str, holder: OriginHolder, busy: Callable[[str], BusyError]
    ) -> AbstractContextManager[None]:
        """Return a lock beside which stands who holds it."""
        path = _record(name)

        def sign() -> None:
            from gluerun.records import codec

            self._files.write(path, codec.encode(holder), durable=False)

        def unsign() -> None:
            try:
                os.unlink(f"{self._files.root}/{path}")
            except OSError:
                pass  # advisory, and not worth the sync that our file door would make

        def refusal() -> BusyError:
            other = self._signed(name)
            return busy(f"{other.owner} (pid {other.pid}, run {other.run_id})" if other.pid else "somebody unknown")

        return _Held(
            f"{self._folder}/{name}.lock",
            LOOK_SECONDS,
            busy=refusal,
            entered=sign,
            leaving=unsign,
        )

    def _signed(self, name: str) -> OriginHolder:
        from datetime import UTC, datetime

        from gluerun.errors import GluerunError
        from gluerun.records import codec
        from gluerun.records.origin import OriginHolder

        try:
            data = self._files.read(_record(name))
            if data is not None:
                return codec.from_wire(OriginHolder, codec.decode(data, file=_record(name)))
        except (GluerunError, ValueError, AttributeError):
            pass  # the record is advisory: the lock itself has answered
        unknown = datetime.fromtimestamp(0, UTC)
        return OriginHolder(owner="unknown", run_id="", pid=0, started_at=unknown, expires_at=unknown)


def _record(name: str) -> str:
    return f"locks/{name}.lock.json"


class _Held:
    """A lock as a `with` block."""

    def __init__(
        self,
        path: str,
        patience: float,
        *,
        busy: Callable[[], BusyError],
        entered: Callable[[], object] | None = None,
        leaving: Callable[[], object] | None = None,
    ) -> None:
        self._path = path
        self._patience = patience
        self._busy = busy
        self._entered = entered
        self._leaving = leaving
        self._handle = -1

    def __enter__(self) -> None:
        handle = open_lock(self._path)
        try:
            if not take(handle, self._patience):
                raise self._busy()
            if self._entered is not None:
                self._entered()
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._leaving is not None:
                self._leaving()
        finally:
            os.close(self._handle)


def open_lock(path: str) -> int:
    """Open a lock file, making it and its folder where needed; children do not inherit it."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise refusal("open the lock", path, error) from error


def take(handle: int, patience: float) -> bool:
    """Take the lock, trying for *patience* seconds; tell whether it was taken."""
    started = time.monotonic()
    pause = 0.002
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            waited = time.monotonic() - started
            if waited >= patience and (waited >= LONGEST_LOOK_SECONDS or not _is_only_looked_at(handle)):
                return False
            time.sleep(min(pause, patience - waited) if waited < patience else pause)
            pause = min(pause * 1.5, 0.1)


def _is_only_looked_at(handle: int) -> bool:
    """Tell whether nobody has the lock for good: then it can be shared."""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(handle, fcntl.LOCK_UN)
    return True


def is_held(path: str) -> bool:
    """Tell whether some living process holds the lock, by taking a shared one for a moment."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(handle)

"""How a resident loop sleeps: on the pidfds of its runs' wrappers where there are any, else by the clock."""

from __future__ import annotations

import json
import os
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Without a pidfd a run's end is seen at most this much later.
_POLL_SECONDS = 0.05


class OsWatch:
    """Sleeps until a run's ending is there or its wrapper is gone. A hint only: the next look decides."""

    def __init__(self, state_root: str) -> None:
        self._state_root = state_root

    def wait(self, run_ids: Sequence[str], seconds: float) -> None:
        """Return when one of the runs has ended, or after *seconds*."""
        deadline = time.monotonic() + seconds
        handles: dict[str, int] = {}
        try:
            while (left := deadline - time.monotonic()) > 0:
                for run_id in run_ids:
                    if run_id not in handles and (handle := self._open(run_id)) >= 0:
                        handles[run_id] = handle
                if any(self._has_ended(run_id) for run_id in run_ids):
                    return
                if len(handles) == len(run_ids):
                    if _poll(handles.values(), left):
                        return
                elif _poll(handles.values(), min(left, _POLL_SECONDS)):
                    return
        finally:
            for handle in handles.values():
                os.close(handle)

    def _has_ended(self, run_id: str) -> bool:
        return os.path.exists(f"{self._state_root}/runs/{run_id}/ending.json")

    def _open(self, run_id: str) -> int:
        """Return a pidfd of the run's wrapper; -1 while it has not signed in, or where there are none."""
        try:
            with open(f"{self._state_root}/runs/{run_id}/identity.json", "rb") as file:
                pid = int(json.load(file)["pid"])
            return os.pidfd_open(pid)
        except (OSError, ValueError, KeyError, AttributeError):
            return -1


def _poll(handles: Iterable[int], seconds: float) -> bool:
    """Sleep on *handles*; True if one of them has become readable, that is, its process has ended."""
    poller = select.poll()
    for handle in handles:
        poller.register(handle, select.POLLIN)
    return bool(poller.poll(max(1, int(seconds * 1000))))

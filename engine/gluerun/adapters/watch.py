"""How a resident loop sleeps: on the pidfds of its runs' wrappers where there are any, else by the clock.

An order, and STOP, end every sleep: nobody waits it out.
"""

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
# An order is seen at most this much later: what is looked at are the marks of some names.
_ORDER_SECONDS = 0.5
_WOKEN_BY = ("STOP", "inbox/orders", "orders/done")


class OsWatch:
    """Sleeps until a run has ended or lost its wrapper, or an order came. A hint only: the next look decides."""

    def __init__(self, state_root: str) -> None:
        self._state_root = state_root
        self._seen = self._marks()

    def wait(self, run_ids: Sequence[str], seconds: float) -> None:
        """Return when one of the runs has ended, when an order came since the last sleep, or after *seconds*."""
        deadline = time.monotonic() + seconds
        handles: dict[str, int] = {}
        try:
            while (left := deadline - time.monotonic()) > 0:
                for run_id in run_ids:
                    if run_id not in handles and (handle := self._open(run_id)) >= 0:
                        handles[run_id] = handle
                if any(self._has_ended(run_id) for run_id in run_ids) or self._marks() != self._seen:
                    return
                longest = _ORDER_SECONDS if len(handles) == len(run_ids) else _POLL_SECONDS
                if _poll(handles.values(), min(left, longest)):
                    return
        finally:
            self._seen = self._marks()  # whatever came until now is seen by the next look
            for handle in handles.values():
                os.close(handle)

    def _marks(self) -> list[int]:
        """Return what shows that an order came or was carried out, or that somebody set STOP."""
        found = []
        for name in _WOKEN_BY:
            try:
                found.append(os.stat(f"{self._state_root}/{name}").st_mtime_ns)
            except OSError:
                found.append(0)
        return found

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

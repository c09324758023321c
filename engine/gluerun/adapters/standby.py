"""A process on standby: loaded already, it becomes the wrapper of a run as soon as it is told to.

Loading the engine takes longer than everything else between the end of a worker and the gate on its candidate. Who is
on standby has done nothing, holds nothing and knows nothing but the id that its run would have, which is in its
environment from the beginning, as that of every wrapper. It ends with whoever keeps it: its input is a pipe.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping

    Spawn = Callable[[list[str], Mapping[str, str]], "subprocess.Popen[bytes]"]

FLAG = "--on-standby"


class Standby:
    """The one process that one process keeps on standby."""

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self._run_id = ""
        self._enlisted = ""
        self._process: subprocess.Popen[bytes] | None = None

    def keep(self, run_id: str, argv: list[str], env: Mapping[str, str]) -> None:
        """Have a process loaded for *run_id*, unless one is there already."""
        if self._run_id and self._process is not None and self._process.poll() is None:
            return
        self.dismiss()
        self._process = self._spawn([*argv, FLAG], env)
        self._run_id = run_id

    def enlist(self) -> str:
        """Return the run that could start at once, and never again; empty if there is none."""
        found, self._run_id = self._run_id, ""
        self._enlisted = found if self._process is not None and self._process.poll() is None else ""
        return self._enlisted

    def start(self, run_id: str, log: str) -> subprocess.Popen[bytes] | None:
        """Let the process that was enlisted for *run_id* begin, with its output going to *log*; None if it cannot."""
        process = self._process
        if run_id != self._enlisted or process is None or process.stdin is None:
            return None
        self._enlisted, self._process = "", None
        try:
            process.stdin.write(os.fsencode(log) + b"\n")
            process.stdin.close()
        except OSError:
            process.kill()
            process.wait()
            return None
        return process

    def dismiss(self) -> None:
        """End the process, which has nothing in hand."""
        process, self._process, self._run_id, self._enlisted = self._process, None, "", ""
        if process is not None:
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()

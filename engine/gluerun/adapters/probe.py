"""A question to a program of this machine: its exit code and what it says, within a time limit."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from gluerun.errors import MISSING, TIMED_OUT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Probe = Callable[[Sequence[str]], tuple[int, str]]

# A git hook sets these for its own repository; we ask about the one we stand in.
_MISLEADING = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
)


def probe_at(folder: str, *, limit: float = 20.0) -> Probe:
    """Return a probe whose programs run in *folder*."""

    def ask(argv: Sequence[str]) -> tuple[int, str]:
        try:
            done = subprocess.run(
                argv,
                cwd=folder,
                env={name: value for name, value in os.environ.items() if name not in _MISLEADING},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="surrogateescape",
                timeout=limit,
                check=False,
            )
        except FileNotFoundError:
            return MISSING, f"{argv[0]} is not installed"
        except subprocess.TimeoutExpired:
            return TIMED_OUT, f"{argv[0]} did not answer within {limit:g} seconds"
        return done.returncode, (done.stdout if done.returncode == 0 else done.stdout + done.stderr).strip()

    return ask

"""The inside of a process on standby: what every prover begins with is done for nothing, then it waits for the word.

It holds nothing, writes nothing, and takes nothing that it has read along to its run.
"""

from __future__ import annotations

import os
import select

from gluerun.adapters.processes import speak_to

# What was started just before goes first.
_BREATH_MS = 500


def is_told(root: str, run_id: str) -> bool:
    """Load what a prover needs and wait for the word to begin; False if whoever would say it is gone."""
    word = select.poll()
    word.register(0, select.POLLIN)
    word.poll(_BREATH_MS)
    _rehearse(root, run_id)
    log = b""
    while not log.endswith(b"\n"):
        if not (part := os.read(0, 4096)):
            return False
        log += part
    speak_to(os.fsdecode(log[:-1]))
    return True


def _rehearse(root: str, run_id: str) -> None:
    """Import what a prover imports on its way to the gate, and read records as it will read its own."""
    import ctypes  # noqa: F401  # a waiter adopts orphans by it
    import shutil  # noqa: F401  # places are cleared with it
    from contextlib import suppress

    from gluerun.adapters import git_recycling, git_worktrees  # noqa: F401
    from gluerun.adapters.files import DiskFiles
    from gluerun.errors import GluerunError
    from gluerun.loop import run  # noqa: F401
    from gluerun.loop.house import kept_config
    from gluerun.loop.resident import resident
    from gluerun.records import schema
    from gluerun.records.dispatch import Dispatch, Role
    from gluerun.records.slot import SlotLease
    from gluerun.wiring import STATE, doors_of

    files = DiskFiles(f"{root}/{STATE}")
    with suppress(GluerunError, OSError):
        if (loop := resident(files)) is None:
            return
        doors_of(root, kept_config(files, loop.config_sha256), Role.PROVER)
        told = Dispatch(
            run_id=run_id,
            role=Role.PROVER,
            batch_id=run_id,
            target_branch="main",
            base_sha="0" * 40,
            started_at=loop.started_at,
            expires_at=loop.started_at,
            config_sha256=loop.config_sha256,
        )
        schema.load(Dispatch, schema.dump(told))
        schema.load(SlotLease, schema.dump(SlotLease(slot=0, run_id=run_id, taken_at=loop.started_at)))

"""Gates are asked about one commit: a run of its own, which the loop, or whoever asked, waits for."""

from __future__ import annotations

from datetime import timedelta

from gluerun.core import pipeline
from gluerun.records.dispatch import Dispatch, Role

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.loop.house import House
    from gluerun.records.pipeline import Occasion


def ask_gates(
    house: House, run_id: str, commit: str, occasion: Occasion, *, command: str | None = None, slot: int | None = None
) -> None:
    """Start a run of the gates of *occasion* on *commit*, whose record somebody has by now.

    *command* is the single gate, if not that of the configuration; without a *slot* it has a place of its own.
    """
    now, config = house.now(), house.config
    command = config.gate_command if command is None else command
    house.store.put_dispatch(
        Dispatch(
            run_id=run_id,
            role=Role.PROVER,
            batch_id=run_id,
            target_branch=config.target_branch,
            base_sha=commit,
            started_at=now,
            expires_at=now + timedelta(seconds=pipeline.prover_seconds(config, command, occasion)),
            config_sha256=house.keep_config(),
            candidate=commit,
            gate_command=command,
            occasion=occasion,
            slot=slot,
        )
    )
    house.doors.processes.start(run_id)

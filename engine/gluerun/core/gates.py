"""What a gate's receipt is keyed by."""

from __future__ import annotations

import hashlib

from gluerun.core import pipeline
from gluerun.records.codec import canonical, to_wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gluerun.records.config import Config
    from gluerun.records.pipeline import GateSpec


def held_mark(config: Config, head: str) -> str:
    """Return what a module's word about a node is bound to: the commit it looked at, and which modules were asked."""
    return f"{head} {','.join(config.modules)}"


def gate_sha256(command: str, config: Config, gates: Sequence[GateSpec] | None = None) -> str:
    """Return the digest of a gate: its command, and everything of the configuration that shapes its place.

    Of a pipeline it covers the *gates* that apply, in their order; all that the repository has, if none are given.
    """
    document: dict[str, object] = {
        "command": command,
        "bootstrap": list(config.bootstrap),
        "prewarm": config.prewarm,
        "provision": to_wire(config.provision_files),
        "environment": list(config.env_allowlist),
    }
    if config.gates:
        applying = pipeline.known(config, command) if gates is None else gates
        document["gates"] = pipeline.document(applying, config)
    return hashlib.sha256(canonical(document)).hexdigest()

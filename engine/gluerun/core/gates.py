"""What a gate's receipt is keyed by."""

from __future__ import annotations

import hashlib

from gluerun.records.codec import canonical, to_wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.records.config import Config


def held_mark(config: Config, head: str) -> str:
    """Return what a module's word about a node is bound to: the commit it looked at, and which modules were asked."""
    return f"{head} {','.join(config.modules)}"


def gate_sha256(command: str, config: Config) -> str:
    """Return the digest of a gate: its command, and everything of the configuration that shapes its place."""
    document = {
        "command": command,
        "bootstrap": list(config.bootstrap),
        "prewarm": config.prewarm,
        "provision": to_wire(config.provision_files),
        "environment": list(config.env_allowlist),
    }
    return hashlib.sha256(canonical(document)).hexdigest()

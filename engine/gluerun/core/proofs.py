"""Whether a node's gate result rests on what it must rest on: logs that are there, whole, and of the right colour."""

from __future__ import annotations

from gluerun.records.gate import COMMAND_LOG, DETERMINISTIC, RED_PROOF, NodeStatus, proof_wanted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gluerun.records.config import Config
    from gluerun.records.gate import GateEvidence, GateResult

_NEEDED = ("command", "exit_code", "log_ref", "sha256", "head_sha")
_WORDS = {"exit_code": "exitCode", "log_ref": "logRef", "head_sha": "headSha"}


def wrong_evidence(result: GateResult, layer: str, config: Config, sha256_of: Callable[[str], str | None]) -> str:
    """Say why a result that claims completion does not prove it; empty if it does.

    *sha256_of* is the digest of a log as it lies there now, None if it is gone.
    """
    if result.status is not NodeStatus.PASSED or not result.authoritative:
        return ""
    wants_red = proof_wanted(layer, result.node, config)
    if result.evidence_class != DETERMINISTIC:
        return f"layer {layer!r} wants evidence of the class {DETERMINISTIC!r}" if wants_red else ""
    logs = [one for one in result.evidence if one.kind == COMMAND_LOG]
    if not logs:
        return f"evidence of the class {DETERMINISTIC!r} needs a command-log"
    for one in logs:
        if why := _wrong_log(one, sha256_of):
            return f"the command-log {one.ref!r} {why}"
    if not [one for one in logs if not one.ref.endswith(RED_PROOF)]:
        return "no command-log shows the gate green"
    if wants_red and not [one for one in logs if one.ref.endswith(RED_PROOF)]:
        return f"layer {layer!r} wants a red command-log whose ref ends in {RED_PROOF!r}"
    return ""


def _wrong_log(one: GateEvidence, sha256_of: Callable[[str], str | None]) -> str:
    missing = next((name for name in _NEEDED if getattr(one, name) in (None, "")), "")
    if missing:
        return f"has no {_WORDS.get(missing, missing)}"
    is_red = one.ref.endswith(RED_PROOF)
    if (one.exit_code == 0) is is_red:
        return "is green where it must be red" if is_red else f"ended with {one.exit_code}"
    found = sha256_of(one.log_ref or "")
    if found is None:
        return f"names {one.log_ref}, which is not there"
    return "" if found == one.sha256 else f"names {one.log_ref}, whose content is another one"

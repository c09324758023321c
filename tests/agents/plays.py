"""What the model plays in stories about the whole loop: a worker's turns, an auditor's verdict."""

from __future__ import annotations

import json

DONE = {"text": "done"}
WORKS = {"tool": "write", "path": "src/1.txt", "content": "good\n"}
SPOILS = {"tool": "write", "path": "src/1.txt", "content": "bad\n"}
LOOKS = {"tool": "read", "path": "src/1.txt"}  # claude does not replace what it has not read
VERDICT = {"verdict": "accepted", "rationale": "It does what it should.", "headSha": "$headSha", "nonce": "$nonce"}
AUDITOR = {
    "when": "You audit one commit",
    "bind": {"headSha": r"headSha: (\w+)", "nonce": r"nonce: (\S+)"},
    "turns": [{"text": json.dumps(VERDICT)}],
}
SECOND_TRY = {"when": "## Try 2", "turns": [LOOKS, WORKS, {"text": "mended"}]}


def shells(*commands: str) -> dict[str, object]:
    """Return a worker's script of shell commands, one in each answer."""
    return {"turns": [*({"tool": "shell", "command": command} for command in commands), DONE]}

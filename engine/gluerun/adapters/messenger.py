"""How a person is told: a command of theirs gets the message on its standard input, a web address gets it posted.

Every cycle opens this door, and hardly one goes through it: what it needs it imports there.
"""

from __future__ import annotations

from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Who is told holds up nobody for longer.
PATIENCE = 30.0
_LONGEST_ANSWER = 200
_LONGEST_PRINTED = 4096


class OsMessenger:
    """Commands of the shell in the repository, and HTTP."""

    def __init__(self, root: str, *, patience: float = PATIENCE) -> None:
        self._root = root
        self._patience = patience

    def run(self, command: str, document: dict[str, Any]) -> str:
        """Give *document* as JSON to a command of the shell; say why that failed, empty if it did not."""
        return self._run(command, document, listens=False)[1]

    def ask(self, command: str, document: dict[str, Any]) -> tuple[str, str]:
        """Do as `run` does; return the beginning of what the command printed, and why it failed."""
        return self._run(command, document, listens=True)

    def _run(self, command: str, document: dict[str, Any], *, listens: bool) -> tuple[str, str]:
        import json
        import os
        import signal
        import subprocess

        try:
            child = subprocess.Popen(
                ["/bin/sh", "-c", command],
                cwd=self._root,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if listens else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            return "", f"the command could not be started: {error.strerror or error}"
        try:
            printed, said = child.communicate(json.dumps(document).encode(), timeout=self._patience)
        except subprocess.TimeoutExpired:
            with suppress(OSError):  # the shell may be over, and its group with it
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            for end in filter(None, (child.stdout, child.stderr)):
                end.close()
            return "", f"the command did not end within {self._patience:g} seconds"
        if child.returncode:
            words = said.decode("utf-8", "replace").strip()[-_LONGEST_ANSWER:]
            return "", f"the command ended with {child.returncode}{f': {words}' if words else ''}"
        return (printed or b"").decode("utf-8", "replace")[:_LONGEST_PRINTED], ""

    def post(self, url: str, document: dict[str, Any]) -> str:
        """Post *document* as JSON to an http or https address; say why that failed, empty if it did not."""
        import threading

        if not url.startswith(("http://", "https://")):
            return "a web address begins with http:// or https://"
        said: list[str] = []
        # A server may send one letter at a time for ever, and a name may take its time: no time-out of a socket helps.
        sender = threading.Thread(target=lambda: said.append(_post(url, document, self._patience)), daemon=True)
        sender.start()
        sender.join(self._patience)
        return said[0] if said else f"the web address did not answer within {self._patience:g} seconds"


def _post(url: str, document: dict[str, Any], patience: float) -> str:
    import http.client
    import json
    import urllib.error
    import urllib.request

    headers = {"Content-Type": "application/json", "User-Agent": "gluerun"}
    try:
        request = urllib.request.Request(url, json.dumps(document).encode(), headers)  # noqa: S310 looked at before
        with urllib.request.urlopen(request, timeout=patience):  # noqa: S310
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        return f"the web address answered {error.code}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", "") or error
        # Its path may be a secret: only what kind of failure it was is told.
        return f"the web address could not be reached: {str(reason).replace(url, 'it')[:_LONGEST_ANSWER]}"

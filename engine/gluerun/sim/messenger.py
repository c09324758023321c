"""A messenger that keeps what it was given, and fails when a story says so."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class SimMessenger:
    """Remembers every message: where it went, and its document."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.fails = ""
        self.prints = ""

    def run(self, command: str, document: dict[str, Any]) -> str:
        """Give *document* to a command."""
        return self._keep(command, document)

    def ask(self, command: str, document: dict[str, Any]) -> tuple[str, str]:
        """Give *document* to a command, and return what a story lets it print."""
        why = self._keep(command, document)
        return "" if why else self.prints, why

    def post(self, url: str, document: dict[str, Any]) -> str:
        """Give *document* to a web address."""
        return self._keep(url, document)

    def _keep(self, where: str, document: dict[str, Any]) -> str:
        if not self.fails:
            self.sent.append((where, document))
        return self.fails

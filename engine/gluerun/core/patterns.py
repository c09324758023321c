"""Patterns of paths, as people write them in the configuration."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def matcher(patterns: Iterable[str]) -> re.Pattern[str]:
    """Return an expression that matches a path if one of *patterns* does."""
    return re.compile("|".join(_translated(one) for one in patterns))


def _translated(pattern: str) -> str:
    """Return a pattern as an expression: `*` stays in a name, `**` does not, a last slash means all below."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.strip("/"))
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    body = "".join(words.get(part, re.escape(part)) for part in parts)
    start = "" if pattern.startswith("/") else "(?:.*/)?"
    return f"{start}{body}{'/.*' if pattern.endswith('/') else ''}"

"""The page that says where a project stands: counts only, so that it changes only when they do."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PAGE = "docs/orchestration/project-state.md"
START = "<!-- gluerun:reconcile-snapshot:start -->"
END = "<!-- gluerun:reconcile-snapshot:end -->"


def counts(by_status: Mapping[str, int], passed: Iterable[str]) -> str:
    """Return how many tasks stand where, and which nodes are complete."""
    lines = ["# State of the project", "", "Written by the loop; it changes only when what it says does.", ""]
    lines += [f"- {status}: {count}" for status, count in sorted(by_status.items())]
    lines += [f"- complete nodes: {', '.join(sorted(passed)) or 'none'}", ""]
    return "\n".join(lines)


def on_page(page: str, text: str) -> str:
    """Return the people's *page* with *text* between its markers; a page without both of them gets them at its end."""
    head, start, rest = page.partition(START)
    _, end, tail = rest.partition(END)
    if start and end:
        return f"{head}{START}\n{text}{END}{tail}"
    gap = "\n" if page and not page.endswith("\n\n") else ""
    return f"{page}{gap}{START}\n{text}{END}\n"

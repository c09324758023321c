"""Repository-relative paths as a scope names them: a file or a folder, compared by whole segments."""

from __future__ import annotations

from gluerun.errors import SchemaError

ORCHESTRATION = "docs/orchestration"
# Where records lie on the target branch, if they lie there at all; nobody but the engine changes these.
LIVING = f"{ORCHESTRATION}/live"
ARCHIVED = f"{ORCHESTRATION}/archive"
ASKED = f"{ORCHESTRATION}/asked"
ACCEPTED = f"{ORCHESTRATION}/accepted"
RECORDS = (LIVING, ACCEPTED, ARCHIVED, ASKED)
RUNTIME = (".gluerun-state", ".worktrees", ".gluerun-evidence", ".gluerun-cache")
# Only the predecessor makes these; this engine never does.
PREDECESSORS = (
    "docs/orchestration/packets/imported",
    "docs/orchestration/prompts/l0-origin.md",
    "schemas/orchestration",
    ".gluerun-state/dispatch",
)
CONTROL = ("gluerun.config.json", "gluerun.config.sh", ".gluerun-version")


def scope_entry(text: str) -> str:
    """Return *text* as a scope entry; SchemaError for globs, `..`, absolute paths and nothing at all."""
    entry = text.strip().rstrip("/")
    while entry.startswith("./"):
        entry = entry[2:]
    if not entry or entry == ".":
        raise SchemaError(f"{text.strip()!r} names no file or folder")
    if text.strip().startswith(("/", "~")) or "\\" in entry:
        raise SchemaError(f"{text.strip()!r} is not relative to the repository")
    if "*" in entry or "?" in entry:
        raise SchemaError(f"{text.strip()!r} is a pattern; name files or folders")
    if any(part in ("", ".", "..") for part in entry.split("/")):
        raise SchemaError(f"{text.strip()!r} has empty, `.` or `..` segments")
    if entry.split("/")[0] == ".git":
        raise SchemaError(f"{text.strip()!r} lies in git's own folder")
    return entry


def covers(entry: str, path: str) -> bool:
    """Tell whether *path* is *entry* or lies in it."""
    return path == entry or path.startswith(entry + "/")


def overlap(one: str, other: str) -> bool:
    """Tell whether one of two entries is, or contains, the other."""
    return covers(one, other) or covers(other, one)

"""The reports of tests that a gate leaves in its place: found by a pattern, never through a link, each bounded."""

from __future__ import annotations

from fnmatch import fnmatchcase

from gluerun.core import junit
from gluerun.core.secrets import redacted
from gluerun.errors import StateError
from gluerun.records.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gluerun.ports import Files

    Committed = Callable[[str], bytes | None]


def found(files: Files, pattern: str, committed: Committed) -> junit.Report:
    """Return what the reports say that match; what is part of the commit itself tells of no run."""
    read: list[tuple[str, junit.Report]] = []
    is_cut = False
    for path in paths(files, pattern):
        if len(read) == junit.MOST_REPORTS:
            is_cut = True
            break
        try:
            data = files.tail(path, junit.LONGEST_REPORT + 1)
        except StateError:
            read.append((path, junit.Report(note="cannot be read: it is no file")))
            continue
        if data != committed(path):
            read.append((path, junit.read(data)))
    whole = junit.added(read, pattern, is_cut=is_cut)
    return replace(whole, failures=tuple(redacted(name) for name in whole.failures), note=redacted(whole.note))


def clear_way(files: Files, pattern: str, committed: Committed) -> None:
    """Remove what an earlier gate left where this one leaves its reports, and nothing that belongs to the commit."""
    for path in paths(files, pattern):
        if committed(path) is not None:
            continue
        try:
            files.remove(path)
        except StateError:
            continue  # a folder of that name is no report


def paths(files: Files, pattern: str) -> Iterator[str]:
    """Yield the paths that match, name by name; a link is not followed."""
    yield from _below(files, "", [part for part in pattern.split("/") if part not in ("", ".")])


def _below(files: Files, folder: str, parts: list[str]) -> Iterator[str]:
    first, rest = parts[0], parts[1:]
    try:
        names = files.names(folder)
    except StateError:
        return
    for name in names:
        if not fnmatchcase(name, first):
            continue
        path = f"{folder}/{name}" if folder else name
        if files.is_link(path):
            continue
        if rest:
            yield from _below(files, path, rest)
        else:
            yield path

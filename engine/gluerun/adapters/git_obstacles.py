"""What stands where files are about to be written, looked at with our own eyes.

git spares untracked files in most commands, but not ignored ones; for us both are the user's.
"""
# Names are bytes here, and pathlib's import is dear.

from __future__ import annotations

import os
import stat

from gluerun.adapters.git_command import encode
from gluerun.core.spelling import bytes_of, name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Set


def obstacles(place: str, arriving: Iterable[str], leaving: Set[str]) -> set[str]:
    """Return what is in the way of the files *arriving* at *place*, apart from the tracked ones *leaving*."""
    found: set[str] = set()
    for path in arriving:
        for parent in _parents(path):
            mode = mode_of(place, parent)
            if mode is None:
                break
            if not stat.S_ISDIR(mode):
                found |= set() if parent in leaving else {parent}
                break
        else:
            found |= _at(place, path, leaving)
    return found


def mode_of(place: str, path: str) -> int | None:
    """Return what is at *path*, links not followed; None if nothing is."""
    try:
        return os.lstat(os.path.join(encode(place), bytes_of(path))).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def is_reachable(place: str, path: str) -> bool:
    """Tell whether every folder on the way to *path* is a real one."""
    return all(stat.S_ISDIR(mode_of(place, parent) or 0) for parent in _parents(path))


def _at(place: str, path: str, leaving: Set[str]) -> set[str]:
    mode = mode_of(place, path)
    if mode is None or (path in leaving and not stat.S_ISDIR(mode)):
        return set()
    if not stat.S_ISDIR(mode):
        return {path}
    whole = os.path.join(encode(place), bytes_of(path))
    within = (
        os.path.join(folder, name)
        for folder, subfolders, names in os.walk(whole)
        for name in (*names, *(one for one in subfolders if os.path.islink(os.path.join(folder, one))))
    )
    return {name_of(os.path.relpath(one, encode(place))) for one in within} - leaving


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]

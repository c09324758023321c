"""Finishing after a crash: a work tree follows its branch path by path and keeps what the user did since."""
# Names are bytes here, and pathlib's import is dear.

from __future__ import annotations

import os
import stat

from gluerun.adapters import git_folders as folders
from gluerun.adapters.git_command import encode
from gluerun.adapters.git_obstacles import is_reachable, mode_of, obstacles
from gluerun.adapters.git_trees import GITLINK, differences, entries, listed, put_entries
from gluerun.core.spelling import bytes_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.adapters.git_command import GitCommand
    from gluerun.adapters.git_trees import Difference, State


def follow(git: GitCommand, site: tuple[str, str, str], old: str, new: str) -> None:
    """Bring the files of a work tree from *old* to *new* and leave the matching index in its draft.

    *site* is its place, its git folder and the draft. A path whose file is neither the old one nor the
    new one keeps its content and only its index entry moves; what somebody staged since stays staged.
    """
    place, folder, draft = site
    touched = differences(git, old, new)
    if not folders.copy_index(folder, draft):
        git.run("read-tree", "--empty", at=place, index=draft)
    git.run("update-index", "-q", "--refresh", at=place, index=draft, ok=(0, 1))
    staged = _staged(entries(git, place, draft), touched)
    here = _states(git, place, folder, [one.path for one in touched])
    settled = {one.path: one.new for one in touched if _is_settled(git, place, one, here.get(one.path))}
    leaving = {one.path for one in touched if one.old is not None and one.path not in settled}
    for one in touched:
        if one.new is not None and one.path not in settled and obstacles(place, [one.path], leaving):
            settled[one.path] = one.new
    moved = {**settled, **{one.path: one.new for one in touched if one.path in staged}}
    zero = "0" * len(new)
    put_entries(git, place, draft, moved, zero)
    # What is settled is settled in the tree to come from, too: git would check it again where a folder replaces a file.
    git.run("read-tree", "-m", "-u", _moved_tree(git, folder, old, moved), new, at=place, index=draft)
    put_entries(git, place, draft, staged, zero)


def _moved_tree(git: GitCommand, folder: str, old: str, moved: dict[str, State | None]) -> str:
    """Return the tree *old* with the entries *moved* in it."""
    scratch = folders.join(folder, "gluerun-look.index")
    folders.discard(scratch)
    folders.discard(f"{scratch}.lock")
    try:
        git.run("read-tree", old, index=scratch)
        put_entries(git, git.root, scratch, moved, "0" * len(old))
        return git.line("write-tree", index=scratch)
    finally:
        folders.discard(scratch)


def _staged(indexed: dict[str, State], touched: tuple[Difference, ...]) -> dict[str, State | None]:
    """Return the entries that are neither the old ones nor the new ones."""
    return {one.path: indexed.get(one.path) for one in touched if indexed.get(one.path) not in (one.old, one.new)}


def _states(git: GitCommand, place: str, folder: str, paths: list[str]) -> dict[str, State]:
    """Return what git would make of the files at *paths*; folders and missing ones are left out."""
    there = [path for path in paths if is_reachable(place, path) and _is_file(mode_of(place, path))]
    if not there:
        return {}
    scratch = folders.join(folder, "gluerun-look.index")
    folders.discard(scratch)
    folders.discard(f"{scratch}.lock")
    try:
        git.run("update-index", "--add", "-z", "--stdin", at=place, index=scratch, give=listed(there))
        return entries(git, place, scratch)
    finally:
        folders.discard(scratch)


def _is_settled(git: GitCommand, place: str, one: Difference, here: State | None) -> bool:
    """Tell whether only the index has to move: the file is the new one already, or the user's own."""
    if GITLINK in ((one.new or ("",))[0], (one.old or ("",))[0]):
        return one.new is not None
    if here is None:
        # Missing: removed as it should be, or about to be written.
        return one.new is None and not _is_file(mode_of(place, one.path))
    if here == one.old:
        return False
    if here != one.new and one.new is not None and _is_torn(git, place, one.path, one.new):
        os.unlink(os.path.join(encode(place), bytes_of(one.path)))
        return False
    return True


def _is_torn(git: GitCommand, place: str, path: str, new: State) -> bool:
    """Tell whether the file is a true beginning of the new one: what a killed git leaves while writing."""
    mode = mode_of(place, path)
    if mode is None or not stat.S_ISREG(mode):
        return False
    with open(os.path.join(encode(place), bytes_of(path)), "rb") as file:
        begun = file.read()
    return git.run("cat-file", "blob", new[1]).out.startswith(begun)


def _is_file(mode: int | None) -> bool:
    return mode is not None and (stat.S_ISREG(mode) or stat.S_ISLNK(mode))

"""What git's own files say of branches, where they say it all: a process saved for each look.

Git writes a packed ref before it removes the loose one, so who reads loose files first misses nothing.
"""
# Names are bytes here, and pathlib's import is dear.

from __future__ import annotations

import os

from gluerun.adapters import git_folders as folders
from gluerun.adapters.git_command import decode, encode

_HEX = frozenset("0123456789abcdef")


def heads(root: str, branches: list[str]) -> dict[str, str] | None:
    """Return the commits of those of *branches* that exist; None if only git itself can tell."""
    found = refs(root, [f"refs/heads/{branch}" for branch in branches])
    return None if found is None else {ref.removeprefix("refs/heads/"): commit for ref, commit in found.items()}


def refs(root: str, wanted: list[str]) -> dict[str, str] | None:
    """Return what those of the *wanted* refs that exist point to; None if only git itself can tell."""
    shared = _shared(root)
    if shared is None:
        return None
    found, missing = {}, []
    for ref in wanted:
        said = _said(folders.join(shared, ref))
        if said is None:
            missing.append(ref)
        elif _is_commit(said):
            found[ref] = said
        else:
            return None  # a symbolic ref, or one that a crash broke
    packed = _packed(shared) if missing else {}
    return found | {ref: packed[ref] for ref in missing if ref in packed}


def below(root: str, prefix: str) -> dict[str, str] | None:
    """Return what *prefix*, and every ref in that folder, points to; None if only git itself can tell."""
    shared = _shared(root)
    if shared is None:
        return None
    found, waiting = {}, [prefix.rstrip("/")]
    while waiting:
        ref = waiting.pop()
        path = folders.join(shared, ref)
        try:
            waiting += [f"{ref}/{decode(name)}" for name in os.listdir(encode(path)) if not name.endswith(b".lock")]
            continue
        except FileNotFoundError:
            continue  # nobody, or removed since
        except NotADirectoryError:
            said = _said(path)
        if said is not None and not _is_commit(said):
            return None
        if said is not None:
            found[ref] = said
    packed = {ref: at for ref, at in _packed(shared).items() if f"{ref}/".startswith(f"{prefix.rstrip('/')}/")}
    return dict(sorted((packed | found).items()))


def is_elsewhere(root: str, branch: str) -> bool:
    """Tell whether every work tree is surely on another branch; False if only git itself can tell."""
    shared = _shared(root)
    if shared is None:
        return False
    own = folders.join(shared, "worktrees")
    try:
        names = os.listdir(encode(own))
    except FileNotFoundError:
        names = []
    places = [shared, *(folders.join(own, decode(name)) for name in names)]
    said = [_said(folders.join(place, "HEAD")) or "" for place in places]
    return all(one.startswith("ref: refs/heads/") and one != f"ref: refs/heads/{branch}" for one in said)


def _shared(root: str) -> str | None:
    folder = folders.folder_of(root)
    shared = folders.shared_of(folder) if folder is not None else None
    if shared is None or os.path.exists(encode(folders.join(shared, "reftable"))):
        return None
    return shared


def _said(path: str) -> str | None:
    data = folders.read(path)
    return None if data is None else decode(data).strip()


def _packed(shared: str) -> dict[str, str]:
    lines = decode(folders.read(folders.join(shared, "packed-refs")) or b"").splitlines()
    pairs = [line.split(" ") for line in lines]
    return {pair[1]: pair[0] for pair in pairs if len(pair) == 2 and _is_commit(pair[0])}


def _is_commit(text: str) -> bool:
    return len(text) in (40, 64) and _HEX.issuperset(text)

"""What the simulated repository is made of: trees as plain values, their ids, and a three-way merge."""

from __future__ import annotations

import hashlib
from fnmatch import fnmatchcase

from gluerun.ports import Change
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Set

FILE = "100644"

# Mode and content of one file.
Entry = tuple[str, bytes]
Tree = dict[str, Entry]


@record
class Commit:
    """A commit; `order` grows along every line of descent."""

    tree: str
    parents: tuple[str, ...]
    message: str
    order: int


def blob_id(data: bytes) -> str:
    """Return the id that git would give this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def tree_id(tree: Mapping[str, Entry]) -> str:
    """Return an id of a tree's content."""
    digest = hashlib.sha1(b"tree", usedforsecurity=False)
    for path in sorted(tree):
        mode, data = tree[path]
        digest.update(repr((path, mode, len(data))).encode("utf-8", "surrogateescape"))
        digest.update(data)
    return digest.hexdigest()


def commit_id(tree: str, parents: tuple[str, ...], message: str) -> str:
    """Return an id of a commit's content."""
    text = repr((tree, parents, message)).encode("utf-8", "surrogateescape")
    return hashlib.sha1(b"commit" + text, usedforsecurity=False).hexdigest()


def compare(old: Mapping[str, Entry], new: Mapping[str, Entry]) -> tuple[Change, ...]:
    """Return every path that differs between two trees."""
    found: list[Change] = []
    for path in sorted(old.keys() | new.keys()):
        before, after = old.get(path), new.get(path)
        if before == after:
            continue
        if after is None:
            found.append(Change(path=path, status="D"))
        else:
            letter = "A" if before is None else "T" if before[0][:3] != after[0][:3] else "M"
            found.append(Change(path=path, status=letter, mode=after[0], sha=blob_id(after[1])))
    return tuple(found)


def merge_trees(base: Tree, ours: Tree, theirs: Tree) -> tuple[Tree, tuple[str, ...]]:
    """Merge by whole files; where both sides changed one differently the tree holds both, marked."""
    merged: Tree = {}
    conflicts: set[str] = set()
    for path in base.keys() | ours.keys() | theirs.keys():
        was, one, other = base.get(path), ours.get(path), theirs.get(path)
        if one in (other, was):
            kept = other
        elif other == was:
            kept = one
        else:
            conflicts.add(path)
            kept = _both(one, other)
        if kept is not None:
            merged[path] = kept
    # One name cannot be a file and a folder; the file steps aside, as it does in git.
    for path in [path for path in merged if any(parent in merged for parent in parents_of(path))]:
        for parent in parents_of(path):
            if parent in merged:
                conflicts.add(parent)
                merged[f"{parent}~"] = merged.pop(parent)
    return merged, tuple(sorted(conflicts))


def hunk(path: str, old: Entry | None, new: Entry | None) -> str:
    """Return one file's part of a unified difference: everything out, everything in."""
    lines = [(entry or (FILE, b""))[1].decode("utf-8", "replace").splitlines() for entry in (old, new)]
    starts = [f"{1 if one else 0},{len(one)}" for one in lines]
    text = f"diff --git a/{path} b/{path}\n"
    text += f"--- {f'a/{path}' if old else '/dev/null'}\n+++ {f'b/{path}' if new else '/dev/null'}\n"
    text += f"@@ -{starts[0]} +{starts[1]} @@\n"
    return text + "".join(f"{sign}{line}\n" for sign, one in zip("-+", lines, strict=True) for line in one)


def obstacles(files: Mapping[str, Entry], arriving: Iterable[str], leaving: Set[str]) -> set[str]:
    """Return the files that are in the way of those *arriving*, apart from the tracked ones *leaving*."""
    found: set[str] = set()
    for path in arriving:
        found |= {path} & files.keys()
        found |= {parent for parent in parents_of(path) if parent in files}
        found |= {one for one in files if one.startswith(f"{path}/")}
    return found - leaving


def parents_of(path: str) -> list[str]:
    """Return the folders above *path*, outermost first."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def is_ignored(files: Mapping[str, Entry], path: str) -> bool:
    """Tell whether the rules in `.gitignore` name *path* or a folder above it; plain patterns only."""
    rules = files.get(".gitignore", (FILE, b""))[1].decode("utf-8", "replace").split("\n")
    for rule in (rule.strip() for rule in rules):
        if not rule or rule.startswith("#"):
            continue
        places = parents_of(path) if rule.endswith("/") else [*parents_of(path), path]
        pattern = rule.strip("/")
        for place in places:
            anchored = "/" in rule.rstrip("/")
            if fnmatchcase(place if anchored else place.rpartition("/")[2], pattern):
                return True
    return False


def trailers_of(message: str, key: str) -> list[str]:
    """Return the values of a trailer in the last paragraph of *message*."""
    paragraphs = message.strip().split("\n\n")
    if len(paragraphs) < 2:
        return []
    pairs = [line.partition(":") for line in paragraphs[-1].split("\n")]
    return [value.strip() for name, colon, value in pairs if colon and name.lower() == key.lower()]


def _both(one: Entry | None, other: Entry | None) -> Entry | None:
    if one is None or other is None:
        return one or other
    text = b"<<<<<<< ours\n%b\n=======\n%b\n>>>>>>> theirs\n" % (one[1].rstrip(b"\n"), other[1].rstrip(b"\n"))
    return (one[0], text)

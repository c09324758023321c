"""What git says about trees and indexes, as values: raw differences and index entries."""

from __future__ import annotations

from gluerun.adapters.git_command import decode, encode, pieces
from gluerun.core.spelling import bytes_of
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gluerun.adapters.git_command import GitCommand

GITLINK = "160000"

# A path's mode and blob in a tree or an index; None where it is not there.
State = tuple[str, str]


@record
class Difference:
    """One path, what it is on each side, and git's letter for it."""

    path: str
    letter: str
    old: State | None
    new: State | None


def differences(git: GitCommand, old: str, new: str) -> tuple[Difference, ...]:
    """Return every path that differs between two trees."""
    words = pieces(
        git.run("diff-tree", "-r", "-z", "--no-renames", "--no-ext-diff", "--ignore-submodules=none", old, new).out
    )
    found: list[Difference] = []
    for said, path in zip(words[::2], words[1::2], strict=True):
        old_mode, new_mode, old_sha, new_sha, letter = said.removeprefix(":").split(" ")
        found.append(
            Difference(path=path, letter=letter[0], old=_state(old_mode, old_sha), new=_state(new_mode, new_sha))
        )
    return tuple(found)


def entries(git: GitCommand, place: str, index: str) -> dict[str, State]:
    """Return the entries of a private index; an unmerged path has none."""
    found: dict[str, State] = {}
    for line in pieces(git.run("ls-files", "-s", "-z", at=place, index=index).out):
        said, _, path = line.partition("\t")
        mode, sha, stage = said.split(" ")
        if stage == "0":
            found[path] = (mode, sha)
    return found


def put_entries(git: GitCommand, place: str, index: str, states: Mapping[str, State | None], zero: str) -> None:
    """Set entries of a private index; None removes."""
    if not states:
        return
    # Removals go first: a file may make room for a folder of its name.
    ordered = sorted(states.items(), key=lambda item: item[1] is not None)
    lines = b"".join(
        encode(f"{state[0]} {state[1]}\t" if state else f"0 {zero}\t") + bytes_of(path) + b"\0"
        for path, state in ordered
    )
    git.run("update-index", "-z", "--index-info", at=place, index=index, give=lines)


def listed(paths: Iterable[str]) -> bytes:
    """Return paths the way git wants to be given them."""
    return b"".join(bytes_of(path) + b"\0" for path in paths)


def parse_tree(raw: bytes, width: int) -> list[tuple[bytes, bytes, bytes]]:
    """Return mode, name and id (of *width* bytes) of each entry of a raw tree."""
    found: list[tuple[bytes, bytes, bytes]] = []
    at = 0
    while at < len(raw):
        space = raw.index(b" ", at)
        end = raw.index(b"\0", space)
        found.append((raw[at:space], raw[space + 1 : end], raw[end + 1 : end + 1 + width]))
        at = end + 1 + width
    return found


def parse_batch(out: bytes, count: int) -> list[tuple[str, bytes, int] | None]:
    """Return kind, content and id width of each of *count* answers of `cat-file --batch`; None if missing."""
    found: list[tuple[str, bytes, int] | None] = []
    at = 0
    for _ in range(count):
        end = out.index(b"\n", at)
        words = decode(out[at:end]).split(" ")
        if len(words) == 3 and words[1] in ("blob", "tree", "commit", "tag") and words[2].isdigit():
            size = int(words[2])
            found.append((words[1], out[end + 1 : end + 1 + size], len(words[0]) // 2))
            at = end + 1 + size + 1
        else:
            found.append(None)
            at = end + 1
    return found


def _state(mode: str, sha: str) -> State | None:
    return None if set(mode) == {"0"} else (mode, sha)

"""Doors that take notes: a cycle goes through them, and afterwards it is known what it has looked at."""

from __future__ import annotations

from gluerun.loop import hosting
from gluerun.loop.house import House
from gluerun.records.dispatch import Life
from gluerun.records.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from gluerun.ports import FileMark, Files, Git, Processes


class Noticed:
    """What was looked at, and what was seen: paths from the repository's root, branches, runs that live.

    `unclear` names every question that was answered in two ways, or whose answer no file can tell again.
    """

    def __init__(self) -> None:
        self.paths: dict[str, bool] = {}
        self.heads: dict[str, str] = {}
        self.runs: set[str] = set()
        self.unclear: set[str] = set()

    def note_path(self, path: str, *, is_there: bool) -> None:
        """Note whether something is at *path*."""
        if self.paths.setdefault(path, is_there) is not is_there:
            self.unclear.add(path)

    def note_head(self, branch: str, head: str) -> None:
        """Note what a branch points to, empty for no such branch."""
        if self.heads.setdefault(branch, head) != head:
            self.unclear.add(branch)


def noticing(house: House) -> tuple[House, Noticed]:
    """Return *house* with doors that note what is looked at, and their notes."""
    noticed = Noticed()
    doors = house.doors
    inside = doors.state_root.removeprefix(doors.root).strip("/")
    state: Any = _Files(doors.state, f"{inside}/", noticed)
    work: Any = _Files(doors.work, "", noticed)
    git: Any = _Git(doors.git, noticed)
    processes: Any = _Processes(doors.processes, noticed)
    return House(replace(doors, state=state, work=work, git=git, processes=processes), house.config), noticed


class _Files:
    """A storage door that notes which files and folders were read, marked or listed; other questions are unclear."""

    # What is written is young, and nothing that is young is believed; the space that is left is asked again;
    # what a crash left half-written is nobody's.
    _CLEAR = frozenset({"write", "free_bytes", "sweep"})

    # Says by the clock that this machine is at work; it changes nothing that is to do.
    _ITS_OWN = frozenset({hosting.PATH})

    def __init__(self, files: Files, start: str, noticed: Noticed) -> None:
        self._files = files
        self._start = start
        self._noticed = noticed

    def read(self, path: str) -> bytes | None:
        """Read and note."""
        data = self._files.read(path)
        if path not in self._ITS_OWN:
            self._noticed.note_path(self._start + path, is_there=data is not None)
        return data

    def tail(self, path: str, limit: int) -> bytes:
        """Read the end of a file, and note that it was read."""
        is_there = self._files.mark(path) is not None
        self._noticed.note_path(self._start + path, is_there=is_there)
        return self._files.tail(path, limit)

    def names(self, folder: str) -> list[str]:
        """List and note; an empty folder is marked first, for none is listed like an empty one."""
        is_there = self._files.mark(folder) is not None
        self._noticed.note_path(self._start + folder, is_there=is_there)
        return self._files.names(folder)

    def mark(self, path: str) -> FileMark | None:
        """Mark and note."""
        mark = self._files.mark(path)
        self._noticed.note_path(self._start + path, is_there=mark is not None)
        return mark

    def __getattr__(self, name: str) -> Any:
        if name not in self._CLEAR:
            self._noticed.unclear.add(name)
        return getattr(self._files, name)


class _Git:
    """A repository door that notes which branches were asked for; whatever else is asked is unclear."""

    # Tells of a crash; whoever watches the record of landings knows the answer.
    _CLEAR = frozenset({"finish_landing"})

    def __init__(self, git: Git, noticed: Noticed) -> None:
        self._git = git
        self._noticed = noticed

    def heads(self, branches: Sequence[str]) -> dict[str, str]:
        """Ask and note."""
        heads = self._git.heads(branches)
        for branch in branches:
            self._noticed.note_head(branch, heads.get(branch, ""))
        return heads

    def __getattr__(self, name: str) -> Any:
        if name not in self._CLEAR:
            self._noticed.unclear.add(name)
        return getattr(self._git, name)


class _Processes:
    """A door to processes that notes which runs live; one that only half lives is unclear."""

    def __init__(self, processes: Processes, noticed: Noticed) -> None:
        self._processes = processes
        self._noticed = noticed

    def life(self, run_id: str) -> Life:
        """Look and note."""
        life = self._processes.life(run_id)
        self._noticed.runs.add(run_id)
        if life is not Life.ALIVE:
            self._noticed.unclear.add(run_id)
        return life

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processes, name)

"""Doors that take notes: a cycle goes through them, and afterwards it is known what it has looked at."""

from __future__ import annotations

from gluerun.loop.house import House
from gluerun.records.dispatch import Life
from gluerun.records.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from gluerun.ports import FileMark, Files, Git, Processes


class Noticed:
    """What was looked at: paths from the repository's root, branches, runs that live.

    `unclear` names every question whose answer cannot be watched by looking at files.
    """

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.branches: set[str] = set()
        self.runs: set[str] = set()
        self.unclear: set[str] = set()

    def covers(self, other: Noticed) -> bool:
        """Tell whether everything that *other* looked at was looked at here too."""
        return other.paths <= self.paths and other.branches <= self.branches and other.runs <= self.runs


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
    """A storage door that notes which files and folders were read, marked or listed."""

    def __init__(self, files: Files, start: str, noticed: Noticed) -> None:
        self._files = files
        self._start = start
        self._noticed = noticed

    def read(self, path: str) -> bytes | None:
        """Note and read."""
        self._note(path)
        return self._files.read(path)

    def tail(self, path: str, limit: int) -> bytes:
        """Note and read the end."""
        self._note(path)
        return self._files.tail(path, limit)

    def names(self, folder: str) -> list[str]:
        """Note and list."""
        self._note(folder)
        return self._files.names(folder)

    def mark(self, path: str) -> FileMark | None:
        """Note and mark."""
        self._note(path)
        return self._files.mark(path)

    def _note(self, path: str) -> None:
        self._noticed.paths.add(self._start + path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)


class _Git:
    """A repository door that notes which branches were asked for; whatever else is asked is unclear."""

    # Tells of a crash; whoever watches the record of landings knows the answer.
    _CLEAR = frozenset({"finish_landing"})

    def __init__(self, git: Git, noticed: Noticed) -> None:
        self._git = git
        self._noticed = noticed

    def heads(self, branches: Sequence[str]) -> dict[str, str]:
        """Note and ask."""
        self._noticed.branches.update(branches)
        return self._git.heads(branches)

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
        """Note and look."""
        life = self._processes.life(run_id)
        self._noticed.runs.add(run_id)
        if life is not Life.ALIVE:
            self._noticed.unclear.add(run_id)
        return life

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processes, name)

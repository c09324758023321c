"""The storage door at a simulated work tree: what is written here stands in that tree."""

from __future__ import annotations

from gluerun.sim.files import Operation, SimFiles
from gluerun.sim.git_model import FILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.sim.files import Fault
    from gluerun.sim.git import SimGit


class SimPlaceFiles(SimFiles):
    """Files over one work tree of a SimGit; modes of files that stay are kept."""

    def __init__(self, git: SimGit, place: str, fault: Fault | None = None) -> None:
        super().__init__()
        self._tree = git.worktrees[place].files
        for path, (_, data) in list(self._tree.items()):
            super()._apply(Operation(verb="write", path=path, data=data))
        self.fault = fault

    def _apply(self, done: Operation) -> None:
        super()._apply(done)
        for path in {done.path, done.new} - {""}:
            if path in self.files:
                mode = self._tree[path][0] if path in self._tree else FILE
                self._tree[path] = (mode, self.files[path])
            else:
                self._tree.pop(path, None)

"""Programs that have always just ended, the way a script says."""

from __future__ import annotations

from gluerun.sim.copying import copied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gluerun.records.child import Child, ChildDone

    Script = Callable[[str, Child], ChildDone]


class Replaced(BaseException):
    """The waiting process gave way, as on the real side; whoever simulates it starts it again."""


class SimChildren:
    """Children answered by `script`, which may also do to the world what the program would have done.

    With *replaces* the process that waits does not get the answer: it is replaced, as on the real side.
    """

    def __init__(self, script: Script, *, replaces: bool = False) -> None:
        self.script = script
        self.replaces = replaces
        self.waited: list[tuple[str, Child]] = []
        self._done: dict[tuple[str, str], ChildDone] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copied(self, memo, "script")

    def wait(self, run_id: str, child: Child) -> ChildDone:
        """Answer for *child* at once and remember the answer."""
        self.waited.append((run_id, child))
        self._done.pop((run_id, child.name), None)
        self._done[run_id, child.name] = done = self.script(run_id, child)
        if self.replaces:
            raise Replaced
        return done

    def finished(self, run_id: str, name: str) -> ChildDone | None:
        """Return how the child *name* of this run ended; None if it has not been waited for."""
        return self._done.get((run_id, name))

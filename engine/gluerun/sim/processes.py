"""Runs that exist only as a word in a table; a story decides when they work and how they die."""

from __future__ import annotations

from gluerun.errors import BusyError
from gluerun.records import codec
from gluerun.records.dispatch import Identity, Life
from gluerun.sim.copying import copied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gluerun.ports import Files
    from gluerun.sim.clock import SimClock


class SimProcesses:
    """The runs of one repository, each alive, orphaned or dead; with *state* they sign in where all can see."""

    def __init__(self, clock: SimClock, state: Files | None = None) -> None:
        self._clock = clock
        self._state = state
        self._next_pid = clock.pid() + 1
        self._lives: dict[str, Life] = {}
        self._who: dict[str, Identity] = {}
        self.started: list[str] = []
        self.standby = ""
        self.immortal: set[str] = set()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copied(self, memo, "_clock", "_state")

    def start(self, run_id: str) -> int:
        """Register a run as alive and return its pid; nothing runs until the story lets it."""
        self.started.append(run_id)
        return self._be_born(run_id).pid

    def stand_by(self, run_id: str) -> None:
        """Have a run stand by, unless one does."""
        self.standby = self.standby or run_id

    def enlist(self) -> str:
        """Return the run that stands by, once; empty if none does."""
        found, self.standby = self.standby, ""
        return found

    def dismiss(self) -> None:
        """Let nobody stand by."""
        self.standby = ""

    def life(self, run_id: str) -> Life:
        """Tell whether the run's wrapper lives, or only some of its tree, or nobody."""
        if run_id in self._who and self._who[run_id].boot_id != self._clock.boot_id():
            return Life.DEAD
        return self._lives.get(run_id, Life.DEAD)

    def end(self, run_id: str, *, grace: float) -> bool:
        """End every process of a run; True if none is left."""
        if run_id in self.immortal:
            return False
        self._lives[run_id] = Life.DEAD
        return True

    def sign_in(self, run_id: str) -> Identity:
        """Take the pulse of a run and return who it is; BusyError if orphans of it hold it."""
        if self.life(run_id) is Life.ORPHANED:
            raise BusyError(
                f"somebody else lives in the run {run_id}", "wait until it has ended; `gluerun status` shows it"
            )
        who = self._who[run_id] if self.life(run_id) is Life.ALIVE else self._be_born(run_id)
        path, data = f"runs/{run_id}/identity.json", codec.encode(who)
        if self._state is not None and self._state.read(path) != data:
            self._state.write(path, data)
        return who

    def due(self) -> list[str]:
        """Return the runs that were started and live, in the order of their start."""
        return [run_id for run_id in dict.fromkeys(self.started) if self.life(run_id) is Life.ALIVE]

    def finish(self, run_id: str) -> None:
        """Let a run end by itself, with all of its tree."""
        self._lives[run_id] = Life.DEAD

    def crash(self, run_id: str) -> None:
        """Let a run and all of its tree vanish the way a killed machine would."""
        self._lives[run_id] = Life.DEAD

    def orphan(self, run_id: str) -> None:
        """Let the wrapper vanish while somebody of its tree works on."""
        self._lives[run_id] = Life.ORPHANED

    def _be_born(self, run_id: str) -> Identity:
        pid = self._next_pid
        self._next_pid += 1
        self._lives[run_id] = Life.ALIVE
        self._who[run_id] = Identity(
            boot_id=self._clock.boot_id(),
            pid_namespace="sim",
            pid=pid,
            start_ticks=pid * 100,
            awake=self._clock.awake(),
        )
        return self._who[run_id]

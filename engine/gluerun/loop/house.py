"""House: one repository opened, with its doors, its records and its configuration, as one argument."""

from __future__ import annotations

from gluerun.loop.journal import Journal
from gluerun.loop.store import Store, run_path
from gluerun.records import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from gluerun.ports import Doors
    from gluerun.records.config import Config
    from gluerun.records.dispatch import Dispatch

CONTROL_REF = "refs/gluerun/control"
RESCUE = "refs/gluerun/rescue"
CONFIG = "config.json"


class House:
    """The doors of one repository, and what stands directly behind them."""

    def __init__(self, doors: Doors, config: Config) -> None:
        self.doors = doors
        self.config = config
        self.store = Store(doors.state)
        self.journal = Journal(doors.state)
        self._config: bytes | None = None

    def now(self) -> datetime:
        """Return the present moment."""
        return self.doors.clock.now()

    def tell(self, kind: str, message: str, **data: object) -> None:
        """Note a transition in the journal."""
        self.journal.tell(self.now(), kind, message, **data)

    def new_run(self) -> str:
        """Return a fresh id for a run."""
        return f"RUN-{self.now():%Y%m%dT%H%M%SZ}-{self.doors.clock.token(4)}"

    def ask(self, dispatch: Dispatch) -> None:
        """Write what a run is asked, and the configuration it keeps to whatever is edited meanwhile.

        The configuration is not synced: who loses power loses the run that would read it.
        """
        if self._config is None:
            self._config = codec.encode(self.config)
        self.store.files.write(run_path(dispatch.run_id, CONFIG), self._config, durable=False)
        self.store.put_dispatch(dispatch)

    def place(self, name: str) -> str:
        """Return the absolute path of a work tree."""
        return f"{self.doors.root}/.worktrees/{name}"

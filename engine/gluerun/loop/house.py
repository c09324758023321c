"""House: one repository opened, with its doors, its records and its configuration, as one argument."""

from __future__ import annotations

import hashlib

from gluerun.errors import GluerunError, StateError
from gluerun.loop.journal import Journal
from gluerun.loop.store import Store
from gluerun.records import codec, names
from gluerun.records.config import Config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from gluerun.ports import Doors, Files

CONTROL_REF = "refs/gluerun/control"
RESCUE = "refs/gluerun/rescue"


def config_path(digest: str) -> str:
    """Return where the configuration with this digest is kept."""
    return f"configs/{names.check(digest, names.SHA256, 'digest')}.json"


def kept_config(files: Files, digest: str) -> Config:
    """Return the configuration that a run was started with; StateError if it is gone."""
    data = files.read(config_path(digest))
    if data is None:
        raise StateError(f"the configuration {digest[:12]} is gone", file=config_path(digest))
    try:
        return codec.from_wire(Config, codec.decode(data, file=config_path(digest)))
    except (GluerunError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise StateError(f"the configuration {digest[:12]} cannot be used", file=config_path(digest)) from error


class House:
    """The doors of one repository, and what stands directly behind them."""

    def __init__(self, doors: Doors, config: Config) -> None:
        self.doors = doors
        self.config = config
        self.store = Store(doors.state)
        self.journal = Journal(doors.state)
        self._config_digest = ""

    def now(self) -> datetime:
        """Return the present moment."""
        return self.doors.clock.now()

    def tell(self, kind: str, message: str, **data: object) -> None:
        """Note a transition in the journal."""
        self.journal.tell(self.now(), kind, message, **data)

    def new_run(self) -> str:
        """Return a fresh id for a run."""
        return f"RUN-{self.now():%Y%m%dT%H%M%SZ}-{self.doors.clock.token(4)}"

    def keep_config(self) -> str:
        """Keep the configuration under its digest, once, and return the digest: runs read it there.

        A run keeps to the settings it was started with, flags included, whatever is edited meanwhile.
        """
        if not self._config_digest:
            data = codec.encode(self.config)
            digest = hashlib.sha256(data).hexdigest()
            # It is compared, not only looked for: with a broken one no run could ever begin.
            if self.doors.state.read(config_path(digest)) != data:
                self.doors.state.write(config_path(digest), data)
            self._config_digest = digest
        return self._config_digest

    def place(self, name: str) -> str:
        """Return the absolute path of a work tree."""
        return f"{self.doors.root}/.worktrees/{name}"

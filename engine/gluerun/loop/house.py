"""House: one repository opened, with its doors, its records and its configuration, as one argument."""

from __future__ import annotations

import hashlib

from gluerun.core.chain import Head
from gluerun.errors import GluerunError, SchemaError, StateError
from gluerun.loop.journal import Journal
from gluerun.loop.store import Store
from gluerun.records import codec, names, schema
from gluerun.records.config import Config
from gluerun.records.event import JournalAnchor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from gluerun.loop.modules import Listeners
    from gluerun.ports import Doors, Files
    from gluerun.records.event import Event

CONTROL_REF = "refs/gluerun/control"
JOURNAL_REF = "refs/gluerun/journal"
ANCHOR = "journal.json"
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
        self.journal = Journal(doors.state, limit=config.journal_file_bytes, anchored=self._anchored)
        if config.modules:
            self.journal.listener = self._hear
        self._listeners: Listeners | None = None
        self._config_digest = ""
        # What commits say to the roles; a commit never says anything else, and a cycle starts many from one.
        self.prompts_at: dict[str, dict[str, str]] = {}

    def _hear(self, events: list[Event]) -> None:
        """Let the modules that listen hear of events."""
        from gluerun.loop.modules import Listeners, load  # nothing of modules is imported where none is listed

        if self._listeners is None:
            git = self.doors.git
            head = git.commit_of(f"refs/heads/{self.config.target_branch}")
            loaded = load(self.config.modules, lambda path: git.file_at(head, path) if head else None)
            self._listeners = Listeners(loaded, self.tell)
        self._listeners.hear(events)

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
            data, digest = codec.encode(self.config), self.config_digest()
            # It is compared, not only looked for: with a broken one no run could ever begin.
            if self.doors.state.read(config_path(digest)) != data:
                self.doors.state.write(config_path(digest), data)
            self._config_digest = digest
        return self._config_digest

    def config_digest(self) -> str:
        """Return the digest of the configuration, kept or not."""
        return hashlib.sha256(codec.encode(self.config)).hexdigest()

    def anchor(self) -> None:
        """Let git know where the journal stands, if it has grown: one commit, on a ref that only grows."""
        if not self.journal.has_grown:
            return
        from gluerun.core.provenance import anchor_message  # a cycle that has nothing to tell anchors nothing

        head = self.journal.head()
        document = codec.encode(JournalAnchor(seq=head.seq, hash=head.hash))
        self.doors.git.publish(JOURNAL_REF, {ANCHOR: document}, anchor_message(head))
        self.journal.has_grown = False

    def _anchored(self) -> Head:
        """Return where the journal stood when git was told last; the genesis if it never was."""
        commit = self.doors.git.commit_of(JOURNAL_REF)
        data = self.doors.git.file_at(commit, ANCHOR) if commit else None
        try:
            anchor = schema.load(JournalAnchor, data or b"", file=ANCHOR)
        except SchemaError:
            return Head()
        return Head(seq=anchor.seq, hash=anchor.hash)

    def place(self, name: str) -> str:
        """Return the absolute path of a work tree."""
        return f"{self.doors.root}/.worktrees/{name}"

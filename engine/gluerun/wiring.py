"""The one place where real doors are chosen and a house is opened."""

from __future__ import annotations

import os
import sys

from gluerun import settings
from gluerun.adapters.children import WaitingChildren
from gluerun.adapters.clock import MachineClock
from gluerun.adapters.files import DiskFiles
from gluerun.adapters.git import RepositoryGit
from gluerun.adapters.locks import FlockLocks
from gluerun.adapters.messenger import OsMessenger
from gluerun.adapters.processes import OsProcesses
from gluerun.adapters.watch import OsWatch
from gluerun.errors import ConfigError, StateError
from gluerun.loop.house import House, kept_config
from gluerun.loop.store import Store
from gluerun.ports import Doors
from gluerun.records.dispatch import Role

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from gluerun.records.config import Config

STATE = ".gluerun-state"
_RUNNERS = "gluerun.adapters.runners"


def open_house(root: str, *, flags: Mapping[str, object] | None = None, default_push: bool = False) -> House:
    """Open the repository at *root*, an absolute path; ConfigError if its configuration cannot be used."""
    default_push = default_push or os.environ.get("GLUERUN_TIMER") == "1"
    loaded = settings.load(root, os.environ, flags or {}, default_push=default_push)
    return House(doors_of(root, loaded.config), loaded.config)


class Reopening:
    """Opens a repository again whenever a byte of its configuration has changed."""

    def __init__(self, root: str, flags: Mapping[str, object], *, default_push: bool = False) -> None:
        self._root = root
        self._flags = flags
        self._default_push = default_push
        self._seen = self._look()

    def __call__(self) -> House | None:
        """Return the house by its newest configuration; None if that is as it was, ConfigError if unusable.

        What cannot be used is complained of each time: who asks keeps it in mind.
        """
        seen = self._look()
        if seen == self._seen:
            return None
        house = open_house(self._root, flags=self._flags, default_push=self._default_push)
        settings.require_actable(house.config)
        self._seen = seen
        return house

    def _look(self) -> tuple[bytes | None, ...]:
        return tuple(settings.read_file(f"{self._root}/{name}") for name in (settings.FILE, *settings.SHELL_FILES))


def open_to_read(root: str, *, flags: Mapping[str, object] | None = None) -> tuple[House, str]:
    """Open a repository for somebody who only looks; where its configuration cannot be used, by the last good one.

    Return also why the newest one cannot be used, empty if it can. ConfigError if no loop ever had a good one.
    """
    try:
        return open_house(root, flags=flags), ""
    except ConfigError as error:
        from gluerun.loop.resident import resident  # an idle cycle has no use for it

        files = DiskFiles(f"{root}/{STATE}")
        last = resident(files)
        if last is None:
            raise
        try:
            config = kept_config(files, last.config_sha256)
        except StateError:
            raise error from None
        return House(doors_of(root, config), config), error.message


def open_run(root: str, run_id: str) -> House:
    """Open the repository for one of its runs, with the settings that the run was started with.

    The repository's own configuration is not read: an edit, or a mistake in it, cannot reach a run under way.
    """
    files = DiskFiles(f"{root}/{STATE}")
    dispatch = Store(files).dispatch(run_id)
    if dispatch is None:
        raise StateError(f"{run_id} has no dispatch", file=f"{STATE}/runs/{run_id}/dispatch.json")
    config = kept_config(files, dispatch.config_sha256)
    return House(doors_of(root, config, dispatch.role), config)


def doors_of(root: str, config: Config, role: Role | None = None) -> Doors:
    """Return the real doors of the repository at *root*; a run commits under the name of its *role*."""
    name, email = config.worker_identity if role is Role.WORKER else (config.identity_name, config.identity_email)
    state_root = f"{root}/{STATE}"
    return Doors(
        root=root,
        state_root=state_root,
        environ=dict(os.environ),
        programs={kind: (sys.executable, "-P", "-m", f"{_RUNNERS}.{kind}") for kind in ("scripted", "replay")},
        at=DiskFiles,
        clock=MachineClock(),
        state=DiskFiles(state_root, has_ballast=True),
        work=DiskFiles(root),
        locks=FlockLocks(state_root),
        git=RepositoryGit(root, state_root, identity_name=name, identity_email=email),
        processes=OsProcesses(root, state_root),
        children=WaitingChildren(state_root),
        watch=OsWatch(state_root),
        messenger=OsMessenger(root),
    )

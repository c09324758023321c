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
from gluerun.adapters.processes import OsProcesses
from gluerun.adapters.watch import OsWatch
from gluerun.errors import StateError
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
    loaded = settings.load(root, os.environ, flags or {}, default_push=default_push)
    return House(doors_of(root, loaded.config), loaded.config)


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
        state=DiskFiles(state_root),
        work=DiskFiles(root),
        locks=FlockLocks(state_root),
        git=RepositoryGit(root, state_root, identity_name=name, identity_email=email),
        processes=OsProcesses(root, state_root),
        children=WaitingChildren(state_root),
        watch=OsWatch(state_root),
    )

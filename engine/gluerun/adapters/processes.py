"""The processes of runs: started detached, proved alive by more than a pid, ended to the last one.

Three witnesses (house decision on liveness): the identity that no clock can move, the pulse (a lock whose
descriptor the wrapper passes down to its tree), and the marker in the environment of everybody in it.
"""

from __future__ import annotations

import os
import sys
import time

from gluerun.adapters import cgroups, locks, stopping, tree
from gluerun.adapters.files import DiskFiles
from gluerun.adapters.standby import Standby
from gluerun.errors import BusyError, StateError
from gluerun.records.dispatch import Life

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping, Sequence

    from gluerun.records.dispatch import Identity

MARKER = "GLUERUN_RUN"
PULSE = "GLUERUN_PULSE_FD"
# Beside the files of a child stands, while it lives, the name of the group that holds its tree.
GROUP_FILE = ".cgroup"
# What the module that starts processes calls these; an idle cycle does not import it.
_PIPE, _NOTHING = -1, -3


def wrapper_command(run_id: str) -> list[str]:
    """Return the argv of a run's wrapper; `-P` keeps a consumer's own `gluerun` folder off the path."""
    return [sys.executable, "-P", "-m", "gluerun", "run", run_id]


def born(pid: int) -> float | None:
    """Return when a process was started, in seconds since 1970; None if there is none that lives."""
    import psutil

    try:
        found = psutil.Process(pid)
        return None if found.status() == psutil.STATUS_ZOMBIE else float(found.create_time())
    except psutil.NoSuchProcess:
        return None


def speak_to(log: str) -> None:
    """Let this process, which stood by, say everything to its run's log from now on, and hear nothing, as a wrapper."""
    null, handle = os.open(os.devnull, os.O_RDONLY), _open_log(log)
    for old, new in ((null, 0), (handle, 1), (handle, 2)):
        os.dup2(old, new)
    os.close(null)
    os.close(handle)


def _open_log(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)


class OsProcesses:
    """The processes of one repository's runs."""

    def __init__(
        self,
        root: str,
        state_root: str,
        command: Callable[[str], Sequence[str]] = wrapper_command,
        *,
        patience: float = 5.0,
    ) -> None:
        self._root = root
        # A look may hold the pulse for a moment; a wrapper at its birth waits that long for it.
        self._patience = patience
        self._files = DiskFiles(state_root, has_ballast=True)
        self._command = command
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._pulses: dict[str, int] = {}
        self._standby = Standby(self._spawn_aside)

    def start(self, run_id: str) -> int:
        """Start the detached wrapper of a run whose folder stands, and return its pid at once."""
        self.reap()
        path = f"{self._files.root}/runs/{run_id}/wrapper.log"
        try:
            log = _open_log(path)
        except OSError as error:
            raise StateError(f"cannot open {path}: {error.strerror}", file=path) from error
        try:
            started = self._standby.start(run_id, path) or self._spawn(
                list(self._command(run_id)), _env(run_id), taken=_NOTHING, told=log
            )
        except OSError as error:
            raise StateError(
                f"cannot start the run {run_id}: {(error.strerror or 'unknown reason').lower()}",
                "`gluerun doctor` checks the installation",
            ) from error
        finally:
            os.close(log)
        self._started[run_id] = started
        return started.pid

    def stand_by(self, run_id: str) -> None:
        """Have a process loaded that `enlist` names and `start` only has to tell; it ends with this one."""
        try:
            self._standby.keep(run_id, list(self._command(run_id)), _env(run_id))
        except OSError:
            pass  # whoever starts the run will hear of it

    def enlist(self) -> str:
        """Return the run for which a process stands by, once; empty if none does."""
        return self._standby.enlist()

    def dismiss(self) -> None:
        """End the process that stands by."""
        self._standby.dismiss()

    def _spawn(self, argv: list[str], env: Mapping[str, str], *, taken: int, told: int) -> subprocess.Popen[bytes]:
        import subprocess

        return subprocess.Popen(
            argv,
            cwd=self._root,
            env=env,
            stdin=taken,
            stdout=told,
            stderr=told,
            start_new_session=True,
            close_fds=True,
        )

    def _spawn_aside(self, argv: list[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        return self._spawn(argv, env, taken=_PIPE, told=_NOTHING)

    def reap(self) -> None:
        """Take leave of the wrappers that have ended, so that they do not stay as zombies."""
        self._started = {run_id: started for run_id, started in self._started.items() if started.poll() is None}

    def life(self, run_id: str) -> Life:
        """Tell whether the run's wrapper lives, or only some of its tree, or nobody."""
        is_our_child = self._is_our_child(run_id)
        who = self._identity(run_id)
        if who is not None and _is_alive(who):
            return Life.ALIVE
        if who is None and is_our_child:
            return Life.ALIVE  # it need not be looked for among all processes
        is_held = locks.is_held(self._pulse(run_id))
        if who is None:
            # The wrapper signs in before it starts anything: whoever carries the marker is the wrapper.
            return Life.ALIVE if is_held or self._carriers(run_id) else Life.DEAD
        if is_held and who.pid_namespace != tree.pid_namespace() and who.boot_id == tree.boot_id():
            return Life.ALIVE
        return Life.ORPHANED if is_held or self._carriers(run_id) or self._has_company(run_id) else Life.DEAD

    def end(self, run_id: str, *, grace: float) -> bool:
        """End every process of a run: TERM, *grace* seconds, KILL, repeated; True if none is left.

        Its wrapper is asked first: it ends its program in the program's own way, and tells the end.
        """
        who = self._identity(run_id)
        first = who.pid if who is not None and _is_alive(who) else 0
        # Who cleared its environment may still have the pulse that it inherited.
        also = {*tree.holders(self._pulse(run_id)), first}
        kin = stopping.Kin(MARKER, run_id, also=also, groups=lambda: self._groups(run_id).values())
        left, _ = stopping.end(kin, grace=grace, first=first)
        # What its waiter would have put away, had nobody killed it.
        for path, group in self._groups(run_id).items():
            if group.remove():
                self._files.remove(path)
        self.reap()
        return not left and not locks.is_held(self._pulse(run_id))

    def sign_in(self, run_id: str) -> Identity:
        """Take the pulse of a run for this process and return who it is; BusyError if it is taken."""
        from gluerun.records import codec
        from gluerun.records.dispatch import Identity
        from gluerun.records.record import replace

        self._take_pulse(run_id)
        found = tree.identity(os.getpid())
        if found is None:
            raise StateError("this process cannot see itself", "is /proc mounted?")
        boot, namespace, pid, ticks = found
        who = Identity(boot_id=boot, pid_namespace=namespace, pid=pid, start_ticks=ticks, awake=int(time.monotonic()))
        before = self._identity(run_id)
        # After an exec it is still the same process, and as old as it is.
        if before is not None and before == replace(who, awake=before.awake):
            return before
        self._files.write(f"runs/{run_id}/identity.json", codec.encode(who))
        return who

    def _take_pulse(self, run_id: str) -> None:
        path = self._pulse(run_id)
        handle = _inherited(path)
        if handle < 0:
            handle = locks.open_lock(path)
        if not locks.take(handle, self._patience):
            os.close(handle)
            raise BusyError(
                f"somebody else lives in the run {run_id}", "wait until it has ended; `gluerun status` shows it"
            )
        # The whole tree holds the pulse, also the waiter that an exec makes of this process.
        os.set_inheritable(handle, True)
        os.environ[PULSE] = str(handle)
        self._pulses[run_id] = handle

    def _is_our_child(self, run_id: str) -> bool:
        """Tell whether we have started the run's wrapper ourselves and it lives."""
        started = self._started.get(run_id)
        return started is not None and started.poll() is None

    def _has_company(self, run_id: str) -> bool:
        """Tell whether anybody lives in a group that a waiter of this run has left."""
        return any(group.is_populated() for group in self._groups(run_id).values())

    def _groups(self, run_id: str) -> dict[str, cgroups.Group]:
        """Return the groups that waiters of this run have not put away, by the files that name them."""
        folder = f"runs/{run_id}/children"
        paths = [f"{folder}/{name}" for name in self._files.names(folder) if name.endswith(GROUP_FILE)]
        named = {path: (self._files.read(path) or b"").decode("utf-8", "replace") for path in paths}
        return {path: cgroups.Group(name) for path, name in named.items() if cgroups.is_group_name(name)}

    def _carriers(self, run_id: str) -> list[int]:
        # A process that forks and dies while the scan passes can hide its child from one scan.
        return tree.carriers(MARKER, run_id) or tree.carriers(MARKER, run_id)

    def _identity(self, run_id: str) -> Identity | None:
        from gluerun.errors import SchemaError
        from gluerun.records import codec
        from gluerun.records.dispatch import Identity

        path = f"runs/{run_id}/identity.json"
        data = self._files.read(path)
        if data is None:
            return None
        try:
            return codec.from_wire(Identity, codec.decode(data, file=path))
        except (SchemaError, AttributeError):
            return None  # the pulse and the marker still answer

    def _pulse(self, run_id: str) -> str:
        return f"{self._files.root}/runs/{run_id}/pulse"


def _env(run_id: str) -> dict[str, str]:
    env = {**os.environ, MARKER: run_id}
    env.pop(PULSE, None)
    return env


def _is_alive(who: Identity) -> bool:
    found = tree.identity(who.pid)
    return found == (who.boot_id, who.pid_namespace, who.pid, who.start_ticks)


def _inherited(path: str) -> int:
    """Return the descriptor of this very pulse that an exec has left to us; -1 if there is none."""
    number = os.environ.get(PULSE, "")
    if not number.isdigit():
        return -1
    try:
        mine, wanted = os.fstat(int(number)), os.stat(path)
    except OSError:
        return -1
    same = (mine.st_dev, mine.st_ino) == (wanted.st_dev, wanted.st_ino)
    return int(number) if same else -1

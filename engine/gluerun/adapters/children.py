"""How a run waits for a program: a small waiter takes the place of the run's own, big process."""

from __future__ import annotations

import os
import sys

from gluerun.adapters import tree, waiter, waiting
from gluerun.adapters.files import DiskFiles
from gluerun.adapters.processes import GROUP_FILE, MARKER, PULSE, wrapper_command
from gluerun.errors import StateError
from gluerun.ports import BALLAST
from gluerun.records.child import scratch_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gluerun.adapters.sandboxes import Prepared, Sandboxes
    from gluerun.records.child import Child, ChildDone

    Continuation = Callable[[str], Sequence[str]]

# PR_SET_CHILD_SUBREAPER
_SUBREAPER = 36


class WaitingChildren:
    """Children whose waiter replaces this process and starts the run's process again afterwards."""

    def __init__(
        self,
        state_root: str,
        continuation: Continuation | None = None,
        *,
        tiers: Sequence[str] = waiting.TIERS,
        sandboxes: Sandboxes | None = None,
    ) -> None:
        self._records = _Records(state_root, tiers, sandboxes)
        self._continuation = continuation or wrapper_command

    def wait(self, run_id: str, child: Child) -> ChildDone:
        """Become the waiter of *child*; this call does not return."""
        # A waiter that has to load what this call needs would no longer be small; the setting outlives the exec.
        adopts = self._records.may_adopt and adopt_orphans()
        argv = self._records.waiter(run_id, child, self._continuation(run_id), adopts=adopts)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        try:
            os.execv(argv[0], argv)
        except OSError as error:
            raise StateError(f"cannot start the waiter: {error.strerror}") from error

    def finished(self, run_id: str, name: str) -> ChildDone | None:
        """Return how the child *name* of this run ended; None if it has not been waited for."""
        return self._records.finished(run_id, name)


class InlineChildren:
    """Children whose waiter is a process of its own, while this one stays and waits for it."""

    def __init__(
        self, state_root: str, *, tiers: Sequence[str] = waiting.TIERS, sandboxes: Sandboxes | None = None
    ) -> None:
        self._records = _Records(state_root, tiers, sandboxes)

    def wait(self, run_id: str, child: Child) -> ChildDone:
        """Run *child* to its end."""
        import subprocess

        adopts = self._records.may_adopt
        argv = self._records.waiter(run_id, child, (), adopts=adopts)
        if not argv and (refused := self.finished(run_id, child.name)) is not None:
            return refused
        pulse = os.environ.get(PULSE, "")
        started = subprocess.Popen(
            argv,
            env={**os.environ, MARKER: run_id},
            stdin=subprocess.DEVNULL,
            pass_fds=[int(pulse)] if pulse else [],
            start_new_session=True,
            # Nothing but one call of the kernel's.
            preexec_fn=adopt_orphans if adopts else None,  # noqa: PLW1509
        )
        try:
            code = started.wait()
        except BaseException:
            # Somebody interrupts us: the child's whole tree goes first.
            started.terminate()
            started.wait()
            raise
        done = self.finished(run_id, child.name)
        if done is None:
            raise StateError(f"the waiter of {child.name} ended with {code} and left no record")
        return done

    def finished(self, run_id: str, name: str) -> ChildDone | None:
        """Return how the child *name* of this run ended; None if it has not been waited for."""
        return self._records.finished(run_id, name)


class _Records:
    """The two files of a child: what the waiter is told, and what it tells."""

    def __init__(self, state_root: str, tiers: Sequence[str], sandboxes: Sandboxes | None) -> None:
        self._sandboxes = sandboxes
        self._files = DiskFiles(state_root, has_ballast=True)
        self._tiers = tiers
        # The specification holds the child's environment: for the eyes of this user only.
        self._private = DiskFiles(state_root, mode=0o600, has_ballast=True)

    @property
    def may_adopt(self) -> bool:
        """Tell whether a waiter may and can be the one to whom the orphans of its tree fall."""
        return waiting.SUBREAPER in self._tiers and _prctl() is not None

    def waiter(self, run_id: str, child: Child, then: Sequence[str], *, adopts: bool = False) -> list[str]:
        """Write the specification of *child*, forget an older answer, and return the waiter's argv.

        *adopts* tells that the process that becomes the waiter adopts orphans. Where a required confinement
        cannot be had nothing is started: the answer says so, and *then* goes on.
        """
        import json

        from gluerun.records import codec
        from gluerun.records.record import replace

        spec, done = _spec(run_id, child.name), _done(run_id, child.name)
        if self._files.read(done) is not None:
            self._files.remove(done)
        told = replace(
            child,
            env={**child.env, MARKER: run_id, waiting.MARKER: child.marker},
            stdin=self._absolute(child.stdin) if child.stdin else "",
            log=self._absolute(child.log),
            slots=tuple(self._absolute(slot) for slot in child.slots),
            day=replace(child.day, file=self._absolute(child.day.file)) if child.day is not None else None,
        )
        self._lay_out(run_id, child)
        prepared = self._prepared(told)
        if prepared is not None and prepared.refusal:
            self._refuse(child, done, prepared.refusal)
            return list(then)
        # Escapes only: an environment may hold bytes that are no UTF-8 (lone surrogates, to Python).
        wire = codec.to_wire(told)
        wire |= {
            "tiers": [str(tier) for tier in self._tiers],
            "subreaper": adopts,
            "groupFile": self._absolute(_group(run_id, child.name)),
            "ballast": self._absolute(BALLAST),
        }
        if prepared is not None:
            wire |= {
                "argv": list(prepared.argv),
                "confined": prepared.confined,
                "pidNamespace": prepared.pid_namespace,
            }
        self._private.write(spec, json.dumps(wire).encode())
        return [
            sys.executable,
            "-I",
            "-S",
            os.path.abspath(waiter.__file__),
            self._absolute(spec),
            self._absolute(done),
            json.dumps(list(then)),
        ]

    def _lay_out(self, run_id: str, child: Child) -> None:
        """Make the folders of a child, its own scratch folder among them, and copy what it is given of the user's."""
        scratch = (self._absolute(scratch_of(run_id, child.name)),) if child.scratch else ()
        meter = (os.path.dirname(self._absolute(child.day.file)),) if child.day else ()
        slots = {os.path.dirname(self._absolute(slot)) for slot in child.slots}
        for folder in (*scratch, *meter, *slots, *child.folders):
            os.makedirs(folder, mode=0o700, exist_ok=True)
        for new, old in child.seeds.items():
            try:
                with open(f"{child.env.get('HOME', '')}{old[1:]}" if old.startswith("~/") else old, "rb") as file:
                    data = file.read()
            except FileNotFoundError:
                continue
            folder, _, name = new.rpartition("/")
            os.makedirs(folder, mode=0o700, exist_ok=True)
            DiskFiles(folder, mode=0o600).write(name, data, durable=False)

    def _prepared(self, child: Child) -> Prepared | None:
        """Return how *child* is confined; None if nobody wants it to be."""
        if child.confine is None:
            return None
        from gluerun.adapters.sandboxes import Sandboxes

        return (self._sandboxes or Sandboxes()).prepared(child)

    def _refuse(self, child: Child, done: str, refusal: str) -> None:
        from gluerun.adapters.sandboxes import REFUSED_CODE
        from gluerun.records import schema
        from gluerun.records.child import ChildDone, How

        answer = ChildDone(name=child.name, how=How.REFUSED, exit_code=REFUSED_CODE, duration_ms=0, refusal=refusal)
        self._files.write(done, schema.dump(answer))

    def finished(self, run_id: str, name: str) -> ChildDone | None:
        """Return what the waiter wrote; what the child had as its scratch folder is gone by then.

        An answer that cannot be read is none: the child is run again, and its new answer replaces the broken one.
        """
        from gluerun.errors import SchemaError
        from gluerun.records import schema
        from gluerun.records.child import ChildDone

        path = _done(run_id, name)
        data = self._files.read(path)
        try:
            done = None if data is None else schema.load(ChildDone, data, file=path)
        except SchemaError:
            return None
        if done is None:
            return None
        scratch = self._absolute(scratch_of(run_id, name))
        if os.path.isdir(scratch):
            import shutil

            # What cannot be removed is not worth a run; it lies in the run's folder and goes with it.
            shutil.rmtree(scratch, ignore_errors=True)
        return done

    def _absolute(self, path: str) -> str:
        return os.path.join(self._files.root, path)


def _spec(run_id: str, name: str) -> str:
    return f"runs/{run_id}/children/{name}.json"


def _done(run_id: str, name: str) -> str:
    return f"runs/{run_id}/children/{name}.done.json"


def _group(run_id: str, name: str) -> str:
    return f"runs/{run_id}/children/{name}{GROUP_FILE}"


def adopt_orphans() -> bool:
    """Let the orphans among this process's descendants fall to it, also after an exec; tell whether they do."""
    prctl = _prctl()
    return prctl is not None and prctl(_SUBREAPER, 1, 0, 0, 0) == 0


def _prctl() -> Callable[[int, int, int, int, int], int] | None:
    if not tree.LINUX:
        return None
    try:
        import ctypes

        return ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None

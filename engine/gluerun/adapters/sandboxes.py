"""How this machine can hold a program to what it may touch, and the command line that does it.

The best tier that really works is taken: each is tried with the flags of the program itself, on a program that
does nothing. Where none works, a role for which it is required is refused, and nothing is started.
"""

from __future__ import annotations

import os
import sys

from gluerun.adapters import confine
from gluerun.core import sandbox
from gluerun.records.record import record, replace
from gluerun.records.sandbox import Confinement, Network, SandboxMode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gluerun.records.child import Child

REFUSED_CODE = confine.REFUSED_CODE
TIERS = (sandbox.CONTAINER, sandbox.BWRAP, sandbox.LANDLOCK, sandbox.SEATBELT)

_TRIAL_SECONDS = 20.0
# Below it a file that may not be written can still be emptied.
_WHOLE_LANDLOCK = 3


@record
class Prepared:
    """A command line with its confinement around it.

    `confined` names the tier that holds it; `pid_namespace` says that its processes end with their first one.
    With a `refusal` there is no command line, and nothing may be started.
    """

    argv: tuple[str, ...]
    confined: str = ""
    pid_namespace: bool = False
    refusal: str = ""


@record
class _Held:
    """A tier that works, what it leaves open, and the words that it puts around a program."""

    tier: str
    around: tuple[str, ...] = ()
    leaves_open: str = ""
    env: str = ""

    @property
    def name(self) -> str:
        return f"{self.tier}, {self.leaves_open}" if self.leaves_open else self.tier


class Sandboxes:
    """The tiers of this machine; *tiers* are those that may be taken at all, best first."""

    def __init__(self, tiers: Sequence[str] = TIERS, *, search: str | None = None) -> None:
        self._tiers = tuple(tiers)
        self._search = os.environ.get("PATH", os.defpath) if search is None else search

    def tier(self, wanted: Confinement, cwd: str) -> str:
        """Return the name of the tier that would hold a program in *cwd*; `none` if nothing would."""
        held = self._best(_real(wanted, cwd))
        return held.name if held is not None else sandbox.NOTHING

    def prepared(self, child: Child) -> Prepared:
        """Return the command line that starts *child* within what it may touch."""
        wanted = child.confine
        if wanted is None or wanted.mode is SandboxMode.OFF:
            return Prepared(argv=child.argv)
        real = _real(wanted, child.cwd)
        held = self._best(real)
        trouble = self._trouble(real, held)
        if trouble and (wanted.mode is SandboxMode.REQUIRED or real.container):
            return Prepared(argv=(), refusal=trouble)
        if held is None:
            return Prepared(argv=child.argv, confined=sandbox.NOTHING)
        child = replace(child, argv=child.confined_argv or child.argv)
        if held.tier != sandbox.CONTAINER and _found(child) is None:
            # The waiter says best that a program is missing.
            return Prepared(argv=child.argv, confined=held.name)
        return Prepared(
            argv=self._argv(held, real, child), confined=held.name, pid_namespace=held.tier == sandbox.BWRAP
        )

    def _best(self, wanted: Confinement) -> _Held | None:
        if wanted.container:
            # Who configured one wants this and nothing less.
            works = sandbox.CONTAINER in self._tiers and not sandbox.container_trouble(wanted.container)
            return _Held(tier=sandbox.CONTAINER) if works and self._program(wanted.container[0]) else None
        finders = {sandbox.BWRAP: self._bwrap, sandbox.LANDLOCK: self._landlock, sandbox.SEATBELT: self._seatbelt}
        found = (finders[tier](wanted) for tier in self._tiers if tier in finders)
        return next((held for held in found if held is not None), None)

    def _bwrap(self, wanted: Confinement) -> _Held | None:
        program = self._program("bwrap")
        if program is None or not confine.LINUX:
            return None
        for env in (self._program("env") or "", ""):
            held = _Held(tier=sandbox.BWRAP, around=(*_alone(wanted), program), env=env)
            if self._works(self._words(held, wanted, ("true",), "/")):
                return held
        return None

    def _landlock(self, wanted: Confinement) -> _Held | None:
        version = confine.abi()
        if not version:
            return None
        gaps = [] if version >= _WHOLE_LANDLOCK else ["truncation open"]
        held = _Held(tier=sandbox.LANDLOCK, around=_launcher(wanted), leaves_open=", ".join(gaps))
        # Files need no trial: a kernel that tells its version does the rest, or the launcher starts nothing.
        if wanted.network is Network.OPEN or self._works(self._words(held, wanted, ("true",), "/")):
            return held
        connected = self._landlock(replace(wanted, network=Network.OPEN))
        return connected and replace(connected, leaves_open=", ".join([*gaps, "network open"]))

    def _seatbelt(self, wanted: Confinement) -> _Held | None:
        program = self._program("sandbox-exec") if sys.platform == "darwin" else None
        if program is None:
            return None
        held = _Held(tier=sandbox.SEATBELT, around=(program,))
        return held if self._works(self._words(held, wanted, ("true",), "/")) else None

    def _argv(self, held: _Held, wanted: Confinement, child: Child) -> tuple[str, ...]:
        if held.tier == sandbox.CONTAINER:
            return sandbox.container_argv(wanted, wanted.container, child.argv, os.path.realpath(child.cwd), child.env)
        return self._words(held, wanted, child.argv, child.cwd)

    def _words(self, held: _Held, wanted: Confinement, argv: Sequence[str], cwd: str) -> tuple[str, ...]:
        if held.tier == sandbox.LANDLOCK:
            return (*held.around, "--", *argv)
        *around, program = held.around
        if held.tier == sandbox.SEATBELT:
            return sandbox.seatbelt_argv(wanted, argv, program=program)
        inner = replace(wanted, network=Network.OPEN) if around else wanted
        return (*around, *sandbox.bwrap_argv(inner, argv, cwd, bwrap=program, env=held.env))

    def _works(self, argv: Sequence[str]) -> bool:
        """Tell whether a command line that does nothing ends well."""
        import subprocess

        key = tuple(argv)
        if key not in _TRIED:
            nothing = subprocess.DEVNULL
            try:
                done = subprocess.run(
                    argv, check=False, timeout=_TRIAL_SECONDS, stdin=nothing, stdout=nothing, stderr=nothing
                )
                _TRIED[key] = done.returncode == 0
            except (OSError, subprocess.TimeoutExpired):
                _TRIED[key] = False
        return _TRIED[key]

    def _program(self, name: str) -> str | None:
        import shutil

        return shutil.which(name, path=self._search)

    def _trouble(self, wanted: Confinement, held: _Held | None) -> str:
        """Return why a required confinement cannot be had, and what would help; empty if it can."""
        if held is not None and not held.leaves_open:
            return ""
        if wanted.container:
            said = sandbox.container_trouble(wanted.container)
            return said or f"the sandbox is a container, but {wanted.container[0]} is not on PATH: install it"
        if held is None:
            if sys.platform == "darwin":
                return "a sandbox is required, but sandbox-exec does not work here"
            return (
                "a sandbox is required, but this machine has none that works: install bubblewrap (bwrap), "
                "or use a kernel with landlock (Linux 6.2 or later)"
            )
        return (
            f"a sandbox is required, but the one of this machine leaves a gap ({held.leaves_open}): "
            "install bubblewrap (bwrap) and allow user namespaces"
        )


# What was found out about this machine, for as long as this process lives.
_TRIED: dict[tuple[str, ...], bool] = {}


def _real(wanted: Confinement, cwd: str) -> Confinement:
    """Return *wanted* with the paths that are there, free of links; folders named with a `/` at their end are made.

    What lies in the work tree may be a link that an agent put there: it must not lead out of it.
    """
    place = os.path.realpath(cwd)
    writable = []
    for path in wanted.writable:
        real = os.path.realpath(path)
        within = os.path.abspath(path).startswith(f"{os.path.abspath(cwd)}/")
        if within and not real.startswith(f"{place}/"):
            continue
        if path.endswith("/") and not os.path.lexists(real):
            os.makedirs(real, exist_ok=True)
        if os.path.exists(real):
            writable.append(real)
    protected = tuple(os.path.realpath(path) for path in wanted.protected if os.path.exists(path))
    return replace(wanted, writable=tuple(writable), protected=protected)


def _launcher(wanted: Confinement) -> tuple[str, ...]:
    import json

    what = {"network": wanted.network, "writable": wanted.writable, "protected": wanted.protected}
    return (sys.executable, "-I", "-S", os.path.abspath(confine.__file__), json.dumps(what))


def _alone(wanted: Confinement) -> tuple[str, ...]:
    """Return the words for a network in which there is nothing: bubblewrap's own has a loopback interface."""
    if wanted.network is not Network.NONE:
        return ()
    told = '{"network": "none"}'
    return (sys.executable, "-I", "-S", os.path.abspath(confine.__file__), told, "--")


def _found(child: Child) -> str | None:
    """Return where the program of *child* is; None if it cannot be started anyway."""
    import shutil

    name = child.argv[0]
    if "/" in name:
        name = os.path.join(child.cwd, name)
    return shutil.which(name, path=child.env.get("PATH", os.defpath)) if os.path.isdir(child.cwd) else None

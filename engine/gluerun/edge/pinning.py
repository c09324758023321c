"""Which engine a repository wants, which are installed, and how the first is set to one of the second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from gluerun import settings
from gluerun.adapters.files import DiskFiles
from gluerun.edge.setup import set_key
from gluerun.errors import OtherSchemaError, UsageError
from gluerun.records.record import record
from gluerun.release import SCHEMA
from gluerun.settings_walk import parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Probe = Callable[[Sequence[str]], tuple[int, str]]

PIN = ".gluerun-version"
MARKER = ".complete"


@record
class Pinned:
    """What `gluerun update` answers."""

    SCHEMA = "update.v0"

    before: str
    after: str
    acted: bool
    changed: tuple[str, ...]


def engine_root(environ: Mapping[str, str]) -> Path:
    """Return the folder that holds the installed versions."""
    return Path(environ.get("GLUERUN_HOME") or Path(environ.get("HOME") or "/", ".gluerun"))


def installed(root: Path) -> tuple[str, ...]:
    """Return the versions that are installed and whole."""
    return tuple(sorted(path.parent.name for path in (root / "versions").glob(f"[!.]*/{MARKER}")))


def pinned(root: str) -> tuple[str, str]:
    """Return what the two pins of a repository say, each empty where it says nothing; the first one wins."""
    words = (settings.read_file(f"{root}/{PIN}") or b"").decode(errors="replace").split()
    data = settings.read_file(f"{root}/{settings.FILE}")
    document = parsed(data, settings.FILE)[1] if data is not None else {}
    named = document.get("engineVersion") if isinstance(document, dict) else None
    return words[0] if words else "", named if isinstance(named, str) else ""


def update(root: str, version: str, environ: Mapping[str, str], probe: Probe, *, act: bool) -> Pinned:
    """Let the repository want *version*, else the current one; UsageError unless that is installed and fits."""
    home = engine_root(environ)
    known = installed(home)
    wanted = version or _current(home)
    if wanted not in known:
        what = f"gluerun {wanted} is not installed" if wanted else "no version is installed"
        hint = "run `python3 install.py` from a checkout of it"
        raise UsageError(what, f"{hint}; installed: {', '.join(known)}" if known else hint)
    python = str(home / "versions" / wanted / "bin" / "python")
    _require_schema(root, wanted, python, probe)
    file, key = pinned(root)
    changed = [name for name, said in ((PIN, file), ("engineVersion", key or wanted)) if said != wanted]
    if act:
        # This one wins, so it is first: what a crash leaves half done is right already.
        if PIN in changed:
            DiskFiles(root).write(PIN, f"{wanted}\n".encode())
        if "engineVersion" in changed:
            set_key(root, "engineVersion", wanted)
    return Pinned(before=file or key, after=wanted, acted=act, changed=tuple(changed))


def _current(home: Path) -> str:
    """Return the name of the current version: of the link, not of the build that it leads to."""
    try:
        return (home / "current").readlink().name
    except OSError:
        return ""


def _require_schema(root: str, wanted: str, python: str, probe: Probe) -> None:
    """Raise OtherSchemaError unless the wanted engine has the data contract that the repository is written for."""
    code, said = probe((python, "-P", "-m", "gluerun", "version", "--json"))
    try:
        theirs = json.loads(said)["schema"] if code == 0 else ""
    except (ValueError, KeyError, TypeError):
        theirs = ""
    if not theirs:
        raise UsageError(f"gluerun {wanted} does not start", "install it again: `python3 install.py` from a checkout")
    data = settings.read_file(f"{root}/{settings.FILE}")
    document = parsed(data, settings.FILE)[1] if data is not None else {}
    ours = str((document.get("schemaVersion") if isinstance(document, dict) else "") or SCHEMA)
    if theirs != ours:
        words = f"gluerun {wanted} has schema {theirs}, and this repository is written for {ours}"
        raise OtherSchemaError(words, f"first bring the repository there: `{python} -P -m gluerun migrate`")

"""Booby-traps: a test sees no real home, no network, no git identity of a person, and leaves nothing behind.

Each trap speaks through an exception or a message whose name says what was forgotten. Under xdist the
controller sets the traps and looks for leftovers; its workers inherit the environment.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import Any

import psutil
import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
SESSION = "GLUERUN_TEST_SESSION"
LEAVING = "GLUERUN_TEST_LEAVING"
KEPT = {
    *(SESSION, LEAVING, "GLUERUN_E2E_PYTHON", "GLUERUN_AGENT_PROGRAMS", "GLUERUN_LOOPBACK_ONLY"),
    *("GLUERUN_E2E_KILLS", "GLUERUN_SOAK_KILLS", "GLUERUN_SOAK_FILE"),
}
CACHES = ("benchmarks/soak.json", "__pycache__/", "_cache/", ".hypothesis/", ".coverage", ".gluerun-cache/", ".pyc")
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ


# --- before: nothing of the person who runs the tests ---------------------------------------------------


def _trap_environment(home: Path) -> None:
    """Replace every way in which a person's settings could reach a test."""
    for name in list(os.environ):
        if name.startswith(("GLUERUN_", "GIT_", "XDG_")) and name not in KEPT:
            del os.environ[name]
    # Who starts tests in the background may have let them ignore Ctrl-C, and so whatever they start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    (home / "gitconfig").touch()
    os.environ |= {
        SESSION: uuid.uuid4().hex,
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "XDG_RUNTIME_DIR": str(home),
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "A Test",
        "GIT_AUTHOR_EMAIL": "test@example.invalid",
        "GIT_COMMITTER_NAME": "A Test",
        "GIT_COMMITTER_EMAIL": "test@example.invalid",
    }


class YouForgotTheNetworkIsOff(Exception):  # noqa: N818 - the name is the message
    """A test, or what it calls, reached for another machine."""


def _is_local(host: object) -> bool:
    """Tell whether *host* is this machine."""
    if host in (None, "", b"", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host)).is_loopback
    except ValueError:
        return False


def _trap_network() -> None:
    """Let sockets of this process reach nothing but this machine."""

    def guarded(real: Any) -> Any:
        def connect(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
                raise YouForgotTheNetworkIsOff(address)
            return real(self, address)

        return connect

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_local(host):
            raise YouForgotTheNetworkIsOff(host)
        return look_up(host, *args, **kwargs)

    look_up = socket.getaddrinfo
    socket.socket.connect = guarded(socket.socket.connect)  # type: ignore[method-assign]
    socket.socket.connect_ex = guarded(socket.socket.connect_ex)  # type: ignore[method-assign]
    socket.getaddrinfo = getaddrinfo


# At import, before any test module can read what is being replaced.
if not IS_WORKER:
    _trap_environment(Path(tempfile.mkdtemp(prefix="gluerun-test-home-")))
_trap_network()


# --- after: nothing of ours -----------------------------------------------------------------------------


def _files_outside_git() -> set[str]:
    """Return what git sees in the checkout beside committed files; caches of tools do not count."""
    argv = ["git", "--no-optional-locks", "status", "--porcelain", "--ignored", "--untracked-files=all"]
    try:
        done = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return set()
    lines = (line for line in done.stdout.splitlines() if line[:2] in ("??", "!!"))
    return {line[3:] for line in lines if not any(cache in line for cache in CACHES)}


def _our_processes() -> list[psutil.Process]:
    """Return the living processes that carry this session's marker, but for this one."""
    found = []
    for process in psutil.process_iter():
        try:
            marked = process.environ().get(SESSION) == os.environ[SESSION]
            if marked and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue  # gone meanwhile, or of another user
    return found


def _leftover_processes() -> list[str]:
    """Describe and end the processes that tests started and did not end."""
    # Those that are just leaving may leave, however slow the machine is.
    _, alive = psutil.wait_procs(_our_processes(), timeout=float(os.environ.get(LEAVING, "60")))
    described = []
    for process in alive:
        try:
            described.append(f"process {process.pid} is still alive: {' '.join(process.cmdline())[:200]}")
            process.kill()
        except psutil.Error:
            continue
    return described


_before: pytest.StashKey[set[str]] = pytest.StashKey()
_leftovers: pytest.StashKey[list[str]] = pytest.StashKey()


def pytest_sessionstart(session: pytest.Session) -> None:
    if not IS_WORKER:
        session.config.stash[_before] = _files_outside_git()


@pytest.hookimpl(trylast=True)  # after xdist has ended its workers
def pytest_sessionfinish(session: pytest.Session) -> None:
    if IS_WORKER or _before not in session.config.stash:
        return
    new_files = sorted(_files_outside_git() - session.config.stash[_before])
    leftovers = [*_leftover_processes(), *(f"new file in the checkout: {name}" for name in new_files)]
    session.config.stash[_leftovers] = leftovers
    if leftovers:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    shutil.rmtree(os.environ["HOME"], ignore_errors=True)


def _show_faults(terminalreporter: Any) -> None:
    """Print what the fault matrix played, as one table; keep it as JSON where `CRASH_TABLE` says."""
    reports = [one for kind in ("passed", "failed") for one in terminalreporter.stats.get(kind, ())]
    told = [value for one in reports for name, value in one.user_properties if name == "fault matrix"]
    if not told:
        return
    if place := os.environ.get("CRASH_TABLE"):
        Path(place).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    kinds = {row["fault"]: [one for one in told if one["fault"] == row["fault"]] for row in told}
    keys = ("points", "states", "disks", "played", "toTheirEnd", "red", "cpuSeconds")
    sums = [(kind, "all", *(sum(row[key] for row in rows) for key in keys)) for kind, rows in kinds.items()]
    lines = [(row["fault"], row["scenario"], *(row[key] for key in keys)) for row in told]
    terminalreporter.section("faults (ways played in a minute of one core's time; what is counted: crashes.Matrix)")
    heads = ("points", "states", "disks", "played", "ends", "red", "a min")
    terminalreporter.write_line(f"{'fault':<12} {'scenario':<14} " + " ".join(f"{head:>7}" for head in heads))
    for fault, scenario, *counts, seconds in [*sorted(lines), *sorted(sums)]:
        rate = round(counts[3] / max(seconds, 0.001) * 60)
        terminalreporter.write_line(
            f"{fault:<12} {scenario:<14} " + " ".join(f"{count:>7,}" for count in (*counts, rate))
        )


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    _show_faults(terminalreporter)
    leftovers = config.stash.get(_leftovers, [])
    if leftovers:
        terminalreporter.section("you forgot to clean up", red=True)
        for leftover in leftovers:
            terminalreporter.write_line(leftover)

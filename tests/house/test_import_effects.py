"""Importing a module of ours does nothing: no file written, no process, no socket, no look at the clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
ENGINE = CHECKOUT / "engine"

# Runs in an interpreter of its own: an audit hook cannot be taken out again. Deeds are collected, not
# refused, so that one run names them all.
WATCHER = """
import json, os, sys, threading, time

PREFIXES = ("socket.", "subprocess.", "shutil.", "tempfile.", "fcntl.", "os.exec", "os.fork", "os.posix")
DEEDS = {"os." + deed for deed in (
    "system kill mkdir remove rename rmdir link symlink chmod truncate utime putenv unsetenv chdir".split())}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
deeds, module = [], ""

def watch(event, arguments):
    if event == "open":
        if isinstance(arguments[2], int) and arguments[2] & WRITING:
            deeds.append(f"{module}: writes {arguments[0]}")
    elif event in DEEDS or event.startswith(PREFIXES):
        deeds.append(f"{module}: {event}")

def watched_clock(name):
    real = getattr(time, name)
    def clock():
        if sys._getframe(1).f_globals.get("__name__", "").split(".")[0] == ROOT:
            deeds.append(f"{module}: time.{name}")
        return real()
    setattr(time, name, clock)

names = json.loads(sys.argv[1])
ROOT = names[0].split(".")[0]
for name in ("time", "time_ns", "monotonic", "perf_counter"):
    watched_clock(name)
sys.addaudithook(watch)
for module in names:
    __import__(module)
if threading.active_count() > 1:
    deeds.append("a thread was started")
print(json.dumps(deeds))
"""


def deeds_of_importing(folder: Path, package: str) -> list[str]:
    """Import every module of a package, without a home, and return what that did to the world."""
    files = [path.relative_to(folder).with_suffix("") for path in sorted((folder / package).rglob("*.py"))]
    names = [".".join(path.parts).removesuffix(".__init__") for path in files]
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": f"{folder}:{ENGINE}"}
    argv = [sys.executable, "-P", "-B", "-W", "error", "-c", WATCHER, json.dumps(sorted(names))]
    done = subprocess.run(argv, cwd="/", env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.parametrize(("folder", "package"), [(ENGINE, "gluerun"), (CHECKOUT, "gluerun_ext")])
def test_importing_has_no_effect(folder, package):
    assert deeds_of_importing(folder, package) == []


def test_the_watcher_sees_deeds(tmp_path):
    (tmp_path / "guilty").mkdir()
    (tmp_path / "guilty" / "__init__.py").write_text(
        "import socket, subprocess, time\n"
        f"open({str(tmp_path / 'file')!r}, 'w').close()\n"
        "socket.socket().close()\n"
        "subprocess.run(['true'])\n"
        "time.time()\n"
    )

    deeds = deeds_of_importing(tmp_path, "guilty")

    for deed in (f"writes {tmp_path / 'file'}", "socket.__new__", "subprocess.Popen", "time.time"):
        assert f"guilty: {deed}" in deeds

"""Processes killed at random moments: loops, wrappers, agents and git. What was accepted lands exactly once."""

from __future__ import annotations

import json
import os
import platform
import random
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.e2e.backlog import git, writes
from tests.e2e.conftest import outside_environment
from tests.patience import PATIENCE, until

SEED = 20_260_101
KILLS = int(os.environ.get("GLUERUN_E2E_KILLS", "30"))
TASKS = max(KILLS // 6, 4)
CALLS = "rename,renameat,renameat2,link,linkat,fsync,fdatasync,unlink,unlinkat"
# The k-th such call of a process kills it; enough of them to meet engine and git in every part of their work.
POINTS = (*range(1, 12), *range(12, 60, 4))[:: 1 if KILLS > 100 else 3]
SOAKED = os.environ.get("GLUERUN_SOAK_FILE", "")
STUBBORN = {"GLUERUN_MAX_RETRIES": "30", "GLUERUN_ORPHAN_GRACE": "0", "GLUERUN_MAX_CONSEC_FAILS": "1000",
            "GLUERUN_WORKER_INFRA_MAX": "5", "GLUERUN_KILL_GRACE_SEC": "1"}  # fmt: skip
# What is left of many tasks when the killing is over is work, two or three seconds of it for each.
ENOUGH = PATIENCE + 20 * TASKS
# A loop that begins takes a while until it has started anybody; so often it is let come so far.
BEGUN = 0.75


def kill(pid: int) -> bool:
    """Kill a process; tell whether it was still there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def alive_in(root: Path) -> list[int]:
    """The processes of runs that work in this repository."""
    found = []
    for name in os.listdir("/proc") if Path("/proc/self/environ").exists() else ():
        if not name.isdigit():
            continue
        try:
            environ = Path(f"/proc/{name}/environ").read_bytes()
            folder = os.readlink(f"/proc/{name}/cwd")
        except OSError:
            continue
        if b"GLUERUN_RUN=" in environ and folder.startswith(str(root)):
            found.append(int(name))
    return found


def test_kills_at_random_lose_nothing_and_double_nothing(backlog, wheel_python, capsys):
    chance = random.Random(SEED)
    tasks = [backlog.task(number, writes(number, hold=0.2)) for number in range(1, TASKS + 1)]
    backlog.configure(env=STUBBORN)
    started = time.monotonic()

    def loop() -> subprocess.Popen[bytes]:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        birth = time.monotonic()
        born = subprocess.Popen([wheel_python, "-P", "-m", "gluerun", "auto"], cwd=backlog.root, **quiet)
        if chance.random() < BEGUN:
            until(lambda: born.poll() is not None or alive_in(backlog.root), "somebody works")
            pace.append(time.monotonic() - birth)
        return born

    pace = [0.4]  # a slow machine gets further between two kills if these are further apart
    kills, running = 0, loop()
    while kills < KILLS:
        time.sleep(chance.uniform(0.05, min(pace[-1], 5)))
        if running.poll() is not None:
            running = loop()
        kills += kill(chance.choice([*alive_in(backlog.root), running.pid]))
    running.wait(ENOUGH)
    killed = time.monotonic()
    assert backlog.run("auto", timeout=ENOUGH).returncode == 0

    merged = git(backlog.root, "log", "--first-parent", "--format=%(trailers:key=Gluerun-Task,valueonly)").split()
    with capsys.disabled():
        print(f"\n  {kills} kills, {len(merged)} of {TASKS} merged, {TASKS - len(merged)} parked")
        print(
            f"  {killed - started:.0f} s until the last loop had ended, {time.monotonic() - killed:.0f} s for the rest"
        )
    _note_figures(kills, len(tasks), len(merged), time.monotonic() - started)
    assert len(merged) == len(set(merged))
    _check(backlog, tasks, merged)


def _check(backlog, tasks, merged):
    """Nothing lost or doubled, and nothing left."""
    for task in tasks:
        record = backlog.record(task)
        assert (record["status"] == "integrated") == (task in merged)
        assert record["status"] == "integrated" or record["lastFailure"]["reason"]
    branches = git(backlog.root, "for-each-ref", "--format=%(refname:short)", "refs/heads/agent").split()
    assert [branch for branch in branches if any(task in branch for task in merged)] == []
    assert list((backlog.root / ".gluerun-state/leases").iterdir()) == []
    assert [*(backlog.root / ".git").rglob("*.lock")] == []
    assert git(backlog.root, "fsck", "--no-dangling") == ""
    assert git(backlog.root, "status", "--porcelain", "--", "src") == ""
    assert alive_in(backlog.root) == []


def _note_figures(kills, tasks, merged, seconds):
    """Keep what a long run has found where the benchmarks are shown."""
    if not SOAKED:
        return
    found = {
        "kills": kills, "tasks": tasks, "merged": merged, "parked": tasks - merged, "seed": SEED,
        "seconds": round(seconds), "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "python": platform.python_version(), "git": git(Path.cwd(), "version").removeprefix("git version "),
        "system": f"{platform.system()} {platform.release()}",
    }  # fmt: skip
    Path(SOAKED).write_text(json.dumps(found, indent=2) + "\n")


def _strace(tmp_path):
    """The words that kill at the k-th call; skips where they do not work."""
    # Not with --seccomp-bpf: then it kills nobody.
    words = ["strace", "-f", "-qq", "-A", "-o", str(tmp_path / "traced"), "-e", f"trace={CALLS}"]
    try:
        done = subprocess.run([*words, "true"], capture_output=True, check=False, cwd=tmp_path)
    except FileNotFoundError:
        pytest.skip("strace is not installed")
    if done.returncode:
        pytest.skip(f"strace cannot trace here: {done.stderr.decode(errors='replace').strip()[:200]}")
    return words


def test_a_kill_at_any_rename_link_sync_or_unlink_loses_nothing(backlog, wheel_python, tmp_path, capsys):
    strace = _strace(tmp_path)
    backlog.configure(env=STUBBORN)
    tasks = []
    for number, point in enumerate(POINTS, 1):
        tasks.append(backlog.task(number, writes(number)))
        inject = ["-e", f"inject={CALLS}:signal=KILL:when={point}"]
        argv = [*strace, *inject, wheel_python, "-P", "-m", "gluerun", "auto"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "timeout": PATIENCE}
        subprocess.run(argv, cwd=backlog.root, env=outside_environment(), check=False, **quiet)
    # Nobody tells when whom a kill has orphaned ends; who drains waits for it.
    assert backlog.run("auto", timeout=ENOUGH).returncode == 0

    merged = git(backlog.root, "log", "--first-parent", "--format=%(trailers:key=Gluerun-Task,valueonly)").split()
    killed = (tmp_path / "traced").read_text(errors="replace").count("killed by SIGKILL")
    with capsys.disabled():
        print(f"\n  {killed} killed at calls {POINTS}: {len(merged)} of {len(tasks)} merged")
    assert killed >= len(POINTS) // 2, "too few were killed for this to say anything"
    assert len(merged) == len(set(merged))
    _check(backlog, tasks, merged)


def test_a_lock_of_somebody_elses_git_is_left_and_named(backlog):
    """Only what a dead worker's own git left is removed."""
    backlog.configure(env={**STUBBORN, "GLUERUN_MAX_RETRIES": "1"})
    task = backlog.task(1, writes(1, until="never"))
    backlog.run("reconcile", "--actuate")
    pid = backlog.wrapper(task)
    own = git(backlog.root / ".worktrees" / task, "rev-parse", "--absolute-git-dir") if _stands(backlog, task) else ""
    branch = git(backlog.root, "for-each-ref", "--format=%(refname)", "refs/heads/agent")
    refs = backlog.root / ".git/refs/heads"
    mine = [Path(own) / "index.lock", Path(own) / "HEAD.lock", backlog.root / f".git/{branch}.lock"]
    foreign = [
        refs / "main-of-somebody.lock",
        backlog.root / ".git/packed-refs.lock",
        backlog.root / ".git/config.lock",
    ]
    for victim in {pid, *alive_in(backlog.root)}:
        kill(victim)
    for lock in (*mine, *foreign):
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()

    backlog.until(lambda: backlog.run("recover").returncode == 0 and not mine[0].exists(), "the dead were settled")

    assert [lock for lock in foreign if not lock.exists()] == []
    assert [lock for lock in mine if lock.exists()] == []
    told = (backlog.root / ".gluerun-state/events.ndjson").read_text()
    assert all(f"removed {name}" in told for name in ("index.lock", "HEAD.lock", f"{branch}.lock"))


def _stands(backlog, task):
    place = backlog.root / ".worktrees" / task / ".git"
    backlog.until(place.exists, "the work tree stands")
    return True

"""Processes killed at random moments: loops, wrappers, agents and git. What was accepted lands exactly once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

from tests.e2e.backlog import git, writes

SEED = 20_260_101
KILLS = int(os.environ.get("GLUERUN_E2E_KILLS", "30"))
TASKS = KILLS // 5
SECONDS = 10 + KILLS


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
    backlog.configure(
        env={"GLUERUN_MAX_RETRIES": "30", "GLUERUN_ORPHAN_GRACE": "0", "GLUERUN_MAX_CONSEC_FAILS": "1000",
             "GLUERUN_WORKER_INFRA_MAX": "5", "GLUERUN_KILL_GRACE_SEC": "1"}
    )  # fmt: skip

    def loop() -> subprocess.Popen[bytes]:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen([wheel_python, "-P", "-m", "gluerun", "auto"], cwd=backlog.root, **quiet)

    kills, running, deadline = 0, loop(), time.monotonic() + SECONDS
    while kills < KILLS and time.monotonic() < deadline:
        time.sleep(chance.uniform(0.05, 0.4))
        victims = [*alive_in(backlog.root), running.pid]
        try:
            os.kill(chance.choice(victims), signal.SIGKILL)
            kills += 1
        except OSError:
            continue  # it has ended by itself meanwhile
        if running.poll() is not None:
            running = loop()
    running.wait()
    backlog.ask("auto")

    merged = git(backlog.root, "log", "--first-parent", "--format=%(trailers:key=Gluerun-Task,valueonly)").split()
    with capsys.disabled():
        print(f"\n  {kills} kills, {len(merged)} of {TASKS} merged, {TASKS - len(merged)} parked")
    assert len(merged) == len(set(merged))
    for task in tasks:
        record = backlog.record(task)
        assert (record["status"] == "integrated") == (task in merged)
        assert record["status"] == "integrated" or record["lastFailure"]["reason"]
    assert list((backlog.root / ".gluerun-state/leases").iterdir()) == []
    assert [*(backlog.root / ".git").rglob("*.lock")] == []
    assert git(backlog.root, "fsck", "--no-dangling") == ""
    assert git(backlog.root, "status", "--porcelain", "--", "src") == ""
    assert alive_in(backlog.root) == []

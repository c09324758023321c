"""Processes killed at random moments: loops, wrappers, agents and git. What was accepted lands exactly once."""

from __future__ import annotations

import json
import os
import platform
import random
import shutil
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
KILLS = int(os.environ.get("GLUERUN_E2E_KILLS", "52"))
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
            if running.returncode == 0:  # all is done, and there is more to kill
                more = len(tasks) + 1
                tasks.append(backlog.task(more, writes(more, hold=0.2)))
            running = loop()
        kills += kill(chance.choice([*alive_in(backlog.root), running.pid]))
    running.wait(ENOUGH)
    killed = time.monotonic()
    assert backlog.run("auto", timeout=ENOUGH).returncode == 0

    merged = merged_in(backlog)
    with capsys.disabled():
        print(f"\n  {kills} kills, {len(merged)} of {len(tasks)} merged, {len(tasks) - len(merged)} parked")
        print(
            f"  {killed - started:.0f} s until the last loop had ended, {time.monotonic() - killed:.0f} s for the rest"
        )
    _note_figures(kills, len(tasks), len(merged), time.monotonic() - started)
    assert wrong(backlog, tasks) == []


def merged_in(backlog):
    return git(backlog.root, "log", "--first-parent", "--format=%(trailers:key=Gluerun-Task,valueonly)").split()


def wrong(backlog, tasks):
    """Say what was lost or doubled, and what is left."""
    root, merged = backlog.root, merged_in(backlog)
    found = [f"{task} is merged {merged.count(task)} times" for task in tasks if merged.count(task) > 1]
    for task in tasks:
        record = backlog.record(task)
        if (record["status"] == "integrated") != (task in merged):
            found.append(f"{task} is {record['status']}, merged are {merged}")
        elif record["status"] != "integrated" and not record["lastFailure"]["reason"]:
            found.append(f"{task} is parked without a reason")
        number = int(task.removeprefix("TASK-"))
        if task in merged and f"src/{number}.txt" not in git(root, "ls-tree", "-r", "--name-only", "HEAD").split():
            found.append(f"the work of {task} is lost")
    branches = git(root, "for-each-ref", "--format=%(refname:short)", "refs/heads/agent").split()
    found += [f"{branch} is left" for branch in branches if any(task in branch for task in merged)]
    found += [f"{lease.name} is left" for lease in (root / ".gluerun-state/leases").iterdir()]
    found += [f"{lock.name} is left" for lock in (root / ".git").rglob("*.lock")]
    checked = subprocess.run(
        ["git", "-C", str(root), "fsck", "--no-dangling"], capture_output=True, text=True, check=False
    )
    if checked.returncode or checked.stdout.strip():
        found.append(f"git's store is broken: {checked.stdout}{checked.stderr}")
    if dirt := git(root, "status", "--porcelain", "--", "src"):
        found.append(f"the checkout is not as committed: {dirt}")
    return found + [f"{pid} is alive" for pid in alive_in(root)]


def land_again(root):
    git(root, "commit", "--quiet", "--allow-empty", "--message", "again\n\nGluerun-Task: TASK-0001")


def lose_a_merge(root):
    git(root, "reset", "--quiet", "--hard", "HEAD~1")


def lose_its_work(root):
    git(root, "rm", "--quiet", "src/1.txt")
    git(root, "commit", "--quiet", "--message", "gone")


def lose_an_object(root):
    blob = git(root, "rev-parse", "HEAD:src/start.txt")
    (root / ".git/objects" / blob[:2] / blob[2:]).unlink()


def leave_a_process(root):
    env = os.environ | {"GLUERUN_RUN": "RUN-planted"}
    return subprocess.Popen(["sleep", "600"], cwd=root, env=env)


PLANTED = {
    "a merge twice": (land_again, "TASK-0001 is merged 2 times"),
    "a merge lost": (lose_a_merge, "TASK-0001 is integrated, merged are []"),
    "work lost": (lose_its_work, "the work of TASK-0001 is lost"),
    "an object": (lose_an_object, "git's store is broken"),
    "a lock": (lambda root: (root / ".git/refs/heads/main.lock").touch(), "main.lock is left"),
    "a branch": (lambda root: git(root, "branch", "agent/src/TASK-0001-task-1"), "agent/src/TASK-0001-task-1 is left"),
    "a lease": (lambda root: (root / ".gluerun-state/leases/TASK-0001.json").touch(), "TASK-0001.json is left"),
    "a file": (lambda root: (root / "src/1.txt").write_text("half"), "the checkout is not as committed"),
    "a process": (leave_a_process, "is alive"),
}


def test_what_judges_the_kills_sees_what_was_lost_or_doubled_or_left(backlog, tmp_path):
    task = backlog.task(1, writes(1))
    backlog.ask("auto")
    assert wrong(backlog, [task]) == []

    whole, missed = backlog.root, []
    for name, (plant, words) in PLANTED.items():
        if name == "a process" and not alive_is_seen():
            continue
        backlog.root = Path(shutil.copytree(whole, tmp_path / name.replace(" ", "-"), symlinks=True))
        process = plant(backlog.root)
        try:
            if not any(words in one for one in wrong(backlog, [task])):
                missed.append(name)
        finally:
            if isinstance(process, subprocess.Popen):
                process.kill()
                process.wait()
    assert missed == []


def alive_is_seen():
    return Path("/proc/self/environ").exists()


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

    merged = merged_in(backlog)
    killed = (tmp_path / "traced").read_text(errors="replace").count("killed by SIGKILL")
    with capsys.disabled():
        print(f"\n  {killed} killed at calls {POINTS}: {len(merged)} of {len(tasks)} merged")
    assert killed >= len(POINTS) // 2, "too few were killed for this to say anything"
    assert wrong(backlog, tasks) == []


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

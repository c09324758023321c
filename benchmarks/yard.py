"""Repositories to measure in: real git, real records, as many tasks as wanted."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gluerun.adapters import tree
from gluerun.loop.observe import TASKS, mark_text
from gluerun.loop.store import archive_path
from gluerun.records import codec, schema, taskfile
from gluerun.records.dispatch import Dispatch, Identity, Role
from gluerun.records.lease import Lease, LeaseStatus
from gluerun.records.record import replace
from gluerun.records.task import Status, Task
from gluerun.wiring import STATE, open_house

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.loop.house import House

CONFIG = {
    "schemaVersion": "v1",
    "targetBranch": "main",
    "gateCommand": "",
    "runner": "script",
    "runners": {"script": {"kind": "scripted", "scenario": "none.json", "timeoutSeconds": 3600}},
    "controlState": "off",
    "requireAudit": False,
    "maxConcurrent": 50,
    "maxDispatch": 50,
    "minDiskGb": 0,
}


def git(root: Path, *words: str, given: str = "") -> str:
    """Run git in *root* and return what it says."""
    pinned = ("-c", "user.name=bench", "-c", "user.email=bench@example.invalid", "-c", "gc.auto=0")
    argv = ["git", *pinned, *words]
    return subprocess.run(argv, cwd=root, input=given, check=True, capture_output=True, text=True).stdout.strip()


def repository(root: Path, files: int = 20) -> Path:
    """Make a repository with *files* small files in folders of a hundred."""
    for number in range(files):
        path = root / f"src/part{number // 100:03d}/module{number:05d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {number}\n" * 10)
    (root / "gluerun.config.json").write_text(json.dumps(CONFIG, indent=2))
    (root / ".gitignore").write_text(f"{STATE}/\n.worktrees/\n")
    (root / TASKS).mkdir(parents=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "the beginning")
    return root


def markdown(number: int) -> str:
    """Return the text of a task that owns a file of its own."""
    return (
        f"# TASK-{number:06d}: improve module {number}\n\nStatus: ready\nArea: src\n\n"
        f"## Objective\n\nMake module {number} better, as everybody has wanted for years.\n\n"
        f"## Scope\n\nOwned files:\n- src/own/file{number:06d}.txt\n\n"
        "## Acceptance criteria\n\n- it is better than it was\n- its tests say so\n"
    )


def task_of(house: House, number: int, status: Status) -> Task:
    """Write a task's Markdown and return its record, as a cycle would have made it."""
    path = f"{TASKS}/TASK-{number:06d}.md"
    text = markdown(number)
    (Path(house.doors.root) / path).write_text(text)
    file = taskfile.parse(text, house.config)
    mark = house.doors.work.mark(path)
    assert mark is not None
    now = house.now() - timedelta(minutes=5)
    return Task(
        task_id=file.spec.task_id,
        status=status,
        spec=file.spec,
        source_sha256=file.sha256,
        source_mark=mark_text(mark),
        source_path=path,
        created_at=now,
        updated_at=now,
    )


def archive(root: Path, first: int, count: int) -> None:
    """Add *count* integrated tasks, numbered from *first*: Markdown and record."""
    house = open_house(str(root))
    like = task_of(house, first, Status.INTEGRATED)
    record = schema.dump(like).decode()
    state = Path(house.doors.state_root)
    for number in range(first, first + count):
        name = f"TASK-{number:06d}"
        (root / f"{TASKS}/{name}.md").write_text(f"# {name}: done long ago\n")
        place = state / archive_path(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(record.replace(like.task_id, name))


class Crowd:
    """Workers that live: every run's identity and pulse are this process's own."""

    def __init__(self, root: Path) -> None:
        self._house = open_house(str(root))
        self._pulses: list[int] = []

    def add(self, count: int, first: int = 900_000) -> None:
        """Let *count* more tasks be worked on."""
        for number in range(first, first + count):
            self._one(number)

    def leave(self) -> None:
        """Let go of every pulse."""
        for pulse in self._pulses:
            os.close(pulse)

    def _one(self, number: int) -> None:
        house = self._house
        now = house.now() - timedelta(minutes=4)
        run_id = f"RUN-{now:%Y%m%dT%H%M%SZ}-{number:08x}"
        base = house.doors.git.head("main") or ""
        task = replace(task_of(house, number, Status.READY), epoch=1, run_id=run_id, base_sha=base)
        house.store.put_task(task)
        house.store.grant(_lease(house, task, now))
        house.store.put_dispatch(_dispatch(house, task, now))
        found = tree.identity(os.getpid())
        assert found is not None
        boot, namespace, pid, ticks = found
        who = Identity(boot_id=boot, pid_namespace=namespace, pid=pid, start_ticks=ticks)
        house.store.put_document(run_id, "identity.json", codec.to_wire(who))
        pulse = os.open(f"{house.doors.state_root}/runs/{run_id}/pulse", os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(pulse, fcntl.LOCK_EX)
        self._pulses.append(pulse)


def _lease(house: House, task: Task, now: datetime) -> Lease:
    return Lease(
        task_id=task.task_id,
        branch=task.spec.worker_branch,
        area=task.spec.area,
        owned_files=task.owned,
        forbidden_files=(),
        base_sha=task.base_sha or "",
        batch_id=f"ORIGIN-{now:%Y%m%dT%H%M%SZ}-1",
        run_id=task.run_id or "",
        worktree=f".worktrees/{task.task_id}",
        status=LeaseStatus.RUNNING,
        retry_count=0,
        max_retries=3,
        created_at=now,
        updated_at=now,
        expires_at=now + timedelta(days=1),
        epoch=task.epoch,
        boot_id=house.doors.clock.boot_id(),
    )


def _dispatch(house: House, task: Task, now: datetime) -> Dispatch:
    return Dispatch(
        run_id=task.run_id or "",
        role=Role.WORKER,
        batch_id=f"ORIGIN-{now:%Y%m%dT%H%M%SZ}-1",
        target_branch="main",
        base_sha=task.base_sha or "",
        started_at=now,
        expires_at=now + timedelta(days=1),
        config_sha256=house.config.sha256,
        epoch=task.epoch,
        task_id=task.task_id,
        spec=task.spec,
        owned_files=task.owned,
        max_tries=4,
    )


def command() -> list[str]:
    """Return how the engine is started: its own program if it is installed, else the module."""
    program = Path(sys.executable).with_name("gluerun")
    return [str(program)] if program.exists() else [sys.executable, "-P", "-m", "gluerun"]


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)

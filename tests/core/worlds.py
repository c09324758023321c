"""Small worlds for tables: every builder gives something valid, and each test changes only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gluerun.core.world import Sighting, World
from gluerun.records.config import Config
from gluerun.records.dispatch import Ending, Life, Outcome, Role
from gluerun.records.graph import Graph, Node
from gluerun.records.lease import Lease, LeaseStatus, NodeLease, NodeLeaseStatus
from gluerun.records.proposal import ProposedTask, TaskBatch
from gluerun.records.record import replace
from gluerun.records.task import Proof, ProofState, Status, Task, TaskSpec
from gluerun.records.taskfile import TaskFile

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
BOOT = "0b7f2f3e-boot"
TARGET = "a" * 40
HEAD = "b" * 40
CANDIDATE = "c" * 40
CONFIG = Config(target_branch="main", gate_command="make check", roles={"planner": "fake", "decider": "fake"})


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def task_id(number: int) -> str:
    return f"TASK-{number:04d}"


def run_id(number: int) -> str:
    return f"RUN-20260131T115900Z-{number:08x}"


def spec(number: int = 1, **changes: object) -> TaskSpec:
    plain = TaskSpec(
        task_id=task_id(number),
        title=f"Thing {number}",
        area="src",
        target_branch="main",
        worker_branch=f"agent/src/{task_id(number)}-thing",
        objective="Let there be a thing.",
        owned_files=(f"src/thing{number}",),
        acceptance_criteria=("there is a thing",),
        gate_command="make check",
    )
    return replace(plain, **changes)


def file_of(task_spec: TaskSpec, status: Status = Status.READY, sha256: str = "1" * 64) -> TaskFile:
    return TaskFile(spec=task_spec, status=status, sha256=sha256)


def task(number: int = 1, status: Status = Status.READY, *, of: dict[str, object] | None = None, **changes) -> Task:
    """A task; *of* changes its specification, the rest its record."""
    plain = Task(
        task_id=task_id(number),
        status=status,
        spec=spec(number, **(of or {})),
        source_sha256="0" * 64,
        source_mark="1:2:3",
        source_path=f"docs/orchestration/tasks/{task_id(number)}.md",
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(plain, **changes)


def running(number: int = 1, **changes) -> Task:
    """A task whose first run is under way."""
    return task(number, **{"epoch": 1, "run_id": run_id(number), "base_sha": TARGET, **changes})


def accepted(number: int = 1, **changes) -> Task:
    """A task whose run was accepted at HEAD."""
    return running(number, **{"status": Status.ACCEPTED, "tries": 1, "head_sha": HEAD, **changes})


def proof(state: ProofState = ProofState.PROVED, **changes) -> Proof:
    plain = Proof(state=state, branch_head=HEAD, target_head=TARGET, candidate=CANDIDATE, tree="d" * 40, since=NOW)
    return replace(plain, **{"run_id": run_id(99) if state is ProofState.PROVING else None, **changes})


def lease(of: Task, **changes) -> Lease:
    plain = Lease(
        task_id=of.task_id,
        branch=of.spec.worker_branch,
        area=of.spec.area,
        owned_files=of.owned,
        forbidden_files=of.spec.forbidden_files,
        base_sha=TARGET,
        batch_id="ORIGIN-20260131T115900Z-1",
        run_id=of.run_id or run_id(1),
        worktree=f".worktrees/{of.task_id}",
        status=LeaseStatus.RUNNING,
        retry_count=0,
        max_retries=3,
        created_at=NOW,
        updated_at=NOW,
        expires_at=after(3600),
        epoch=of.epoch,
        boot_id=BOOT,
    )
    return replace(plain, **changes)


def node_lease(node: str = "api", **changes) -> NodeLease:
    plain = NodeLease(
        node=node,
        area="src",
        stage="one",
        layer="base",
        status=NodeLeaseStatus.PLANNING,
        run_id=run_id(77),
        base_sha=TARGET,
        target_branch="main",
        allowed_write_scopes=("src",),
        started_at=NOW,
        updated_at=NOW,
        expires_at=after(1800),
    )
    return replace(plain, **changes)


def ending(of: Task, outcome: Outcome = Outcome.FAILED, **changes) -> Ending:
    plain = Ending(
        run_id=of.run_id or "",
        role=Role.WORKER,
        epoch=of.epoch,
        outcome=outcome,
        finished_at=NOW,
        tries=1,
        task_id=of.task_id,
    )
    return replace(plain, **changes)


def seen(run: str, life: Life = Life.DEAD, **changes) -> dict[str, Sighting]:
    return {run: Sighting(run_id=run, life=life, **changes)}


def node(name: str = "api", *needs: str, **changes) -> Node:
    plain = Node(
        id=name, stage="one", area="src", layer="base", kind="code", required_completion="done", depends_on=needs
    )
    return replace(plain, **changes)


def graph(*nodes: Node, **changes) -> Graph:
    return Graph(nodes=nodes, **changes)


def markdown(number: int, *headers: str, owned: str = "", title: str = "") -> str:
    """A task file as a planner writes it."""
    lines = [
        f"# {task_id(number)}: {title or f'Thing {number}'}",
        *headers,
        "## Objective\nLet there be a thing.",
        f"## Scope\nOwned files:\n- {owned or f'src/thing{number}'}",
        "## Acceptance Criteria\n- there is a thing",
    ]
    return "\n\n".join(lines) + "\n"


def batch(*texts: str) -> TaskBatch:
    """A batch of these task files, each under the id in its heading."""
    return TaskBatch(tasks=tuple(ProposedTask(task_id=text[2:].split(":")[0], markdown=text) for text in texts))


def world(*tasks: Task, **changes) -> World:
    """A world with these tasks; everything in *changes* that Config knows changes the configuration."""
    knobs = {name: changes.pop(name) for name in list(changes) if name in Config.__fields__}
    plain = World(
        now=NOW,
        config=replace(CONFIG, **knobs),
        origin_run="ORIGIN-20260131T115900Z-1",
        boot_id=BOOT,
        target_head=TARGET,
        tasks=tasks,
    )
    return replace(plain, **changes)

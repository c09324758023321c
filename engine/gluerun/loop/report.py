"""What one cycle did, for the one who called it; and the snapshots that other programs read."""

from __future__ import annotations

from gluerun.core.actions import subject
from gluerun.core.launch import dispatch_gate
from gluerun.core.masking import masked_text
from gluerun.core.project_state import counts
from gluerun.core.recording import moved
from gluerun.errors import SchemaError
from gluerun.records import codec
from gluerun.records.origin import OriginState
from gluerun.records.record import record, replace
from gluerun.records.task import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gluerun.core.actions import Action
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.records.task import Task


@record
class Line:
    """One action as a person reads it."""

    kind: str
    task: str
    reason: str


@record
class Reaped:
    """How many runs were taken in, by how they ended."""

    ok: int = 0
    failed: int = 0
    crashed: int = 0


@record
class CycleReport:
    """What `gluerun reconcile` answers."""

    SCHEMA = "reconcile.v0"

    mode: str
    run_id: str
    target_branch: str
    head: str
    quiet: bool
    actions: tuple[Line, ...] = ()
    imported: tuple[str, ...] = ()
    integrated: tuple[str, ...] = ()
    dispatched: tuple[str, ...] = ()
    reaped: Reaped = Reaped()
    running: int = 0
    dispatch_gate: str = ""
    refused_imports: tuple[str, ...] = ()
    failed_integrations: tuple[str, ...] = ()
    trouble: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    busy_holder: str | None = None
    timed_out: bool = False


class Notes:
    """What a cycle notes down about itself while it acts."""

    def __init__(self) -> None:
        self.imported: list[str] = []
        self.integrated: list[str] = []
        self.promoted: list[str] = []
        self.dispatched: list[str] = []
        self.refused_imports: list[str] = []
        self.failed_integrations: list[str] = []
        self.trouble: list[str] = []
        self.held: list[str] = []
        self.lines: list[Line] = []
        self.refused: dict[str, str] = {}
        self.refusals: dict[str, str] = {}
        self.node_tasks: dict[str, list[str]] = {}
        self.exhausted: dict[str, str] = {}
        self.held_nodes: dict[str, str] = {}
        self.green_head = ""
        self.green_run = ""
        self.is_green_unproved = False
        self.red_head = ""
        self.followed: tuple[str, str] | None = None
        self.has_reverted = False
        # Whether what moves the target may go to its remote first: who asked for a cycle that integrates sees to it.
        self.sends = False
        self.next_task = 0
        self.next_approval = 0
        self.has_seen_inputs = False
        self.reaped_ok = 0
        self.reaped_failed = 0
        self.reaped_crashed = 0

    def act(self, action: Action) -> None:
        """Note that an action is carried out."""
        self.lines.append(line_of(action))

    def refuse(self, path: str, mark: str, reason: str, hint: str) -> None:
        """Note an input that cannot be used; the next cycle stays silent about it until it changes."""
        self.refused[path] = mark
        self.refusals[path] = masked_text(f"{reason} ({hint})" if hint else reason)
        self.refused_imports.append(path)

    def settled(self, *, vanished: bool) -> None:
        """Note that a failed run was settled."""
        if vanished:
            self.reaped_crashed += 1
        else:
            self.reaped_failed += 1

    def landed(self, task: Task, commit: str, gate: str) -> None:
        """Note a task whose work is in the target branch; it shows a green *gate* only where that is its own."""
        self.integrated.append(task.task_id)
        if task.spec.gate_command == gate:
            self.green_head, self.green_run = commit, task.run_id or ""
        if task.spec.dag_node:
            self.node_tasks.setdefault(task.spec.dag_node, []).append(task.task_id)

    def follow(self, old: str, new: str) -> None:
        """Let what is noted of the target's head be about a newer one that brought nothing but records."""
        self.followed = (old, new)
        self.green_head, self.red_head = moved(self.green_head, old, new), moved(self.red_head, old, new)
        self.exhausted = {node: moved(head, old, new) for node, head in self.exhausted.items()}
        self.held_nodes = {node: moved(mark, old, new) for node, mark in self.held_nodes.items()}

    @property
    def has_progressed(self) -> bool:
        """Tell whether something durable came of this cycle: work accepted or merged, a node completed.

        A new task is none, or a planner that goes on inventing them would keep the breaker from ever opening.
        """
        return bool(self.integrated or self.reaped_ok or self.promoted)

    @property
    def failures(self) -> int:
        """Return how many runs and integrations failed in this cycle."""
        return self.reaped_failed + self.reaped_crashed


def line_of(action: Action) -> Line:
    """Return an action as a person reads it: kind, subject, reason."""
    name = type(action).__name__
    kind = "".join("-" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("-")
    return Line(kind=kind, task=subject(action), reason=masked_text(action.reason))


def report_of(world: World, mode: str, lines: Sequence[Line], notes: Notes) -> CycleReport:
    """Return what a cycle answers, from its last look and its notes."""
    return CycleReport(
        mode=mode,
        run_id=world.origin_run,
        target_branch=world.config.target_branch,
        head=world.target_head or "",
        quiet=not lines,
        actions=tuple(lines),
        imported=tuple(notes.imported),
        integrated=tuple(notes.integrated),
        dispatched=tuple(notes.dispatched),
        reaped=Reaped(ok=notes.reaped_ok, failed=notes.reaped_failed, crashed=notes.reaped_crashed),
        running=len(world.leases),
        dispatch_gate=dispatch_gate(world),
        refused_imports=tuple(notes.refused_imports),
        failed_integrations=tuple(notes.failed_integrations),
        trouble=tuple(masked_text(one) for one in notes.trouble),
        held=tuple(masked_text(one) for one in notes.held),
    )


def merged(first: CycleReport, later: CycleReport) -> CycleReport:
    """Return what two cycles did together, standing where the later one ended."""
    return replace(
        later,
        mode=first.mode,
        quiet=first.quiet and later.quiet,
        actions=first.actions + later.actions,
        imported=first.imported + later.imported,
        integrated=first.integrated + later.integrated,
        dispatched=first.dispatched + later.dispatched,
        reaped=Reaped(
            ok=first.reaped.ok + later.reaped.ok,
            failed=first.reaped.failed + later.reaped.failed,
            crashed=first.reaped.crashed + later.reaped.crashed,
        ),
        refused_imports=first.refused_imports + later.refused_imports,
        failed_integrations=first.failed_integrations + later.failed_integrations,
        trouble=tuple(dict.fromkeys(first.trouble + later.trouble)),
        held=tuple(dict.fromkeys(first.held + later.held)),
    )


def write_snapshot(house: House, world: World) -> bool:
    """Write `origin-state.json`, `STATUS.md` and `project-state.md` if what they mean has changed; True if it had."""
    state = _origin_state(world)
    timeless = codec.encode(replace(state, run_id="", generated_at=_EPOCH))
    before = house.doors.state.read("origin-state.json")
    if before is not None and _timeless(before) == codec.decode(timeless):
        return False
    house.doors.state.write("STATUS.md", masked_text(_words(world)).encode(), durable=False)
    page = counts(state.task_counts, state.completed_nodes)
    house.doors.state.write("project-state.md", page.encode(), durable=False)
    house.doors.state.write("origin-state.json", codec.encode(state), durable=False)
    return True


_EPOCH = codec.moment("1970-01-01T00:00:00Z")


def _timeless(data: bytes) -> object:
    try:
        document = codec.decode(data)
    except SchemaError:
        return None
    if not isinstance(document, dict):
        return None
    return document | {"runId": "", "generatedAt": codec.stamp(_EPOCH)}


def _origin_state(world: World) -> OriginState:
    counts: dict[str, int] = {}
    for task in world.tasks:
        counts[task.status.value] = counts.get(task.status.value, 0) + 1
    return OriginState(
        run_id=world.origin_run,
        generated_at=world.now,
        branch=world.config.target_branch,
        head_sha=world.target_head or "",
        target_branch=world.config.target_branch,
        active_leases=len(world.leases),
        ready_tasks=tuple(task.task_id for task in world.tasks if task.status is Status.READY),
        lease_files=tuple(f"leases/{lease.task_id}.json" for lease in world.leases),
        task_counts=counts,
        completed_nodes=tuple(sorted(world.passed)),
    )


def _words(world: World) -> str:
    lines = [f"# {world.config.target_branch} at {(world.target_head or 'nothing')[:12]}", ""]
    lines += [f"- {task.task_id} {task.status}: {task.spec.title}" for task in world.tasks]
    lines += ["", f"{len(world.leases)} running; nodes complete: {', '.join(sorted(world.passed)) or 'none'}", ""]
    return "\n".join(lines)

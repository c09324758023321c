"""The merge queue as a person reads it: who stands where, what is being proved, and when it may be through."""

from __future__ import annotations

from datetime import datetime, timedelta

from gluerun.core.integration import is_waiting_for_target
from gluerun.core.matters import held_by_person
from gluerun.core.queue import is_asked, is_second_look, queue_of
from gluerun.core.requests import waits_for
from gluerun.core.steering import batch_size
from gluerun.records.record import record
from gluerun.records.task import ProofState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.queue import Queue
    from gluerun.core.world import World
    from gluerun.records.task import Proof, Task


@record
class QueueLine:
    """One accepted task: its place, what becomes of its candidate, and when that may be over.

    `state` is `queued`, `chained`, `proving`, `proved`, `red`, `asked again`, `approval` or `waiting`; `proved_with` is
    the task whose candidate is proved and holds this one's work too.
    """

    place: int
    task: str
    title: str
    state: str
    since: datetime
    words: str = ""
    slot: int | None = None
    run: str | None = None
    proved_with: str | None = None
    candidate: str | None = None
    expected_at: datetime | None = None


@record
class QueuePage:
    """What `gluerun queue` answers.

    `bad_rate` is how likely it is that one change is bad, `flake_rate` that a gate is red for nothing, by what gates
    said lately; `batch` is how many changes are proved together at most, `gate_seconds` how long a gate takes.
    """

    SCHEMA = "queue-page.v0"

    target_branch: str
    head: str
    slots: int
    proving: int
    batch: int
    bad_rate: float
    flake_rate: float
    gate_seconds: float | None
    lines: tuple[QueueLine, ...]
    red_main: str = ""
    push: str = ""


def queue_page(world: World) -> QueuePage:
    """Return the queue as it stands."""
    queue, state = queue_of(world), world.queue_state
    gate = timedelta(milliseconds=state.gate_ms) if state.gate_ms is not None else None
    batch = batch_size(state.rate.value, world.config.gate_slots)
    linked = [task.task_id for task in queue.chain]
    others = [task for task in queue.order if task.task_id not in linked]
    lines = [_line(world, queue, task, place, gate, batch) for place, task in enumerate((*queue.chain, *others), 1)]
    return QueuePage(
        target_branch=world.config.target_branch,
        head=world.target_head or "",
        slots=world.config.gate_slots,
        proving=sum(line.state in ("proving", "asked again") for line in lines),
        batch=batch,
        bad_rate=round(state.rate.value, 3),
        flake_rate=round(state.rate.flake, 3),
        gate_seconds=gate.total_seconds() if gate is not None else None,
        lines=tuple(lines),
        red_main=_red_main(world),
        push=_push(world),
    )


def _push(world: World) -> str:
    """Say that what has landed is not pushed, and when that is tried again; empty if nothing was refused."""
    if world.push_backoff is None:
        return ""
    from gluerun.core.outside import push_words  # where nothing is refused, none of it is needed

    return f"{world.config.target_branch} is {push_words(world.push_backoff)}, or by `gluerun clear-backoff push`"


def _red_main(world: World) -> str:
    red = world.red_main
    if red is None or red.is_over:
        return ""
    from gluerun.core.repairing import command, words  # most targets are never red

    typed = command(red)
    return words(red, world.config.target_branch) + (f"; type `{typed}`" if typed.startswith("git") else "")


def _line(world: World, queue: Queue, task: Task, place: int, gate: timedelta | None, batch: int) -> QueueLine:
    held, cut = held_by_person(world, task), _cut_over(queue, task)
    proof = task.proof if task not in queue.stale else None
    target = "the target itself may be red: it waits for that" if is_waiting_for_target(world, task) else ""
    words = held or target or (waits_for(task) if is_asked(world, task) else _blocked(proof))
    return QueueLine(
        place=place,
        task=task.task_id,
        title=task.spec.title,
        state="approval" if held else _state(proof),
        since=proof.since if proof is not None else task.updated_at,
        words=words,
        slot=proof.slot if proof is not None else None,
        run=proof.run_id if proof is not None else None,
        proved_with=cut.task_id if cut is not None and cut is not task else None,
        candidate=proof.candidate if proof is not None else None,
        expected_at=None if words else _expected(world, queue, task, place, gate, batch),
    )


def _blocked(proof: Proof | None) -> str:
    blocked = proof.blocked_paths if proof is not None else ()
    return f"your checkout has changes in {', '.join(blocked[:3])}" if blocked else ""


def _state(proof: Proof | None) -> str:
    if proof is None:
        return "queued"
    if proof.is_in_the_way:
        return "waiting"
    return "asked again" if is_second_look(proof) and proof.state is ProofState.PROVING else proof.state.value


def _cut_over(queue: Queue, task: Task) -> Task | None:
    """Return the task whose candidate is being proved, and which stands on this one's."""
    if task not in queue.chain:
        return task if task.proof is not None and task.proof.state is ProofState.PROVING else None
    later = queue.chain[queue.chain.index(task) :]
    return next((one for one in later if one.proof and one.proof.state is ProofState.PROVING), None)


def _expected(
    world: World, queue: Queue, task: Task, place: int, gate: timedelta | None, batch: int
) -> datetime | None:
    """Return when a task may land if every gate is green and takes as long as lately; None while nobody knows."""
    if gate is None:
        return None
    cut = _cut_over(queue, task)
    if cut is not None and cut.proof is not None:
        return max(world.now, cut.proof.since + gate)
    rounds = 1 + (place - 1) // batch if task in queue.chain else 2 + max(0, place - 1 - len(queue.chain)) // batch
    return world.now + rounds * gate

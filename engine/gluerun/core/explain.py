"""Where one task is, why, since when, and what would change it: answered from the tables, never guessed."""

from __future__ import annotations

from datetime import datetime

from gluerun.core import actions
from gluerun.core.frontier import frontier, held_scopes, nobody_asked, obstacles
from gluerun.core.graph import circle
from gluerun.core.integration import is_waiting_for_target, plan_integration
from gluerun.core.knowing import Known
from gluerun.core.launch import closed, seats
from gluerun.core.matters import held_by_person, reason_of
from gluerun.core.nodes import node_line
from gluerun.core.obstacle import FOR_EVER, Why
from gluerun.core.queue import is_asked, queue_of
from gluerun.core.recovery import plan_recovery, tries_left
from gluerun.core.ways import HELPS, WAYS
from gluerun.records.dispatch import Life
from gluerun.records.failure import Failure
from gluerun.records.record import record
from gluerun.records.task import ProofState, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluerun.core.actions import Action
    from gluerun.core.world import World
    from gluerun.records.lease import Lease
    from gluerun.records.task import Task


@record
class Because:
    """One reason: what holds, since when, what would change it, and the command for that if there is one."""

    why: str
    words: str
    change: str = ""
    command: str = ""
    since: datetime | None = None
    by: tuple[str, ...] = ()


@record
class NodePage:
    """The node of a task: where it stands, and why."""

    id: str
    state: str
    words: str


@record
class Explanation:
    """What `gluerun explain` answers."""

    SCHEMA = "explain.v0"

    task: str
    title: str
    where: str
    words: str
    needs_you: bool
    reasons: tuple[Because, ...] = ()
    since: datetime | None = None
    next: str = ""
    run: str | None = None
    retries_left: int = 0
    node: NodePage | None = None


# What the next cycle does with a task that is under way, as a sentence.
STEPS: dict[type, str] = {
    actions.Close: "the next cycle takes its accepted work in",
    actions.Settle: "the next cycle answers its failure",
    actions.HoldBack: "the next cycle notes that its provider cannot be asked, and keeps its work",
    actions.Pause: "the next cycle keeps its work, and a person is asked whether it may go on",
    actions.Unlease: "the next cycle removes what is left of its lease",
    actions.MarkOrphan: "the next cycle notes that its wrapper is gone",
    actions.Stop: "the next cycle ends its processes",
    actions.AskApproval: "the next cycle asks a person whether it may land",
    actions.LapseApproval: "the next cycle notes that the request about it is out of date",
    actions.Chain: "the next cycle builds its candidate",
    actions.Prove: "the next cycle has the gate run on its candidate",
    actions.CallOff: "the next cycle gives up its proof, which is about something else by now",
    actions.ProofRed: "the next cycle notes that its candidate's gate was red",
    actions.ProofDone: "the next cycle notes that its candidate is proved",
    actions.Advance: "the next cycle lands its candidate",
    actions.SuspectTarget: "the next cycle has the gate run on the target itself, before it is sent back",
    actions.Notice: "the next cycle notes that the target branch holds it already",
}


def explain(world: World, task_id: str, known: Known, settled: Task | None = None) -> Explanation | None:
    """Explain one task; *settled* is its record if it is not among the living. None if nobody knows it."""
    task = world.task(task_id) or settled
    refused = _refused(world, task_id, known)
    if task is None:
        return _of_refused(task_id, refused) if refused else None
    if task.is_terminal:
        return _of_settled(world, task)
    lease = world.lease(task_id)
    if lease is not None:
        found = _of_running(world, task, lease, known)
    elif task.status is Status.ACCEPTED:
        found = _of_accepted(world, task, known)
    elif task.status is Status.BLOCKED:
        found = _of_parked(world, task)
    else:
        found = _of_ready(world, task, known)
    where, words, since, reasons, following = found
    reasons = [*reasons, *([refused] if refused else []), *_ordered(world, task_id)]
    return Explanation(
        task=task_id,
        title=task.spec.title,
        where=where,
        words=words,
        since=since,
        needs_you=where == "parked" or any(one.why in _NEEDS_YOU for one in reasons),
        reasons=tuple(reasons),
        next=following,
        run=task.run_id,
        retries_left=max(0, tries_left(world, task, 0)),
        node=_node(world, task, known),
    )


if TYPE_CHECKING:
    # Where it is, in which words, since when, why, and what happens by itself.
    _Found = tuple[str, str, datetime | None, list[Because], str]

NO_LOOP = "no-loop"
_NEEDS_YOU = frozenset(
    {*FOR_EVER, Why.BREAKER, Why.NO_TARGET, Why.NOT_APPROVED, "need-circle", "refused", "in-the-way", "switched-off"}
)


def _ordered(world: World, task_id: str) -> Iterator[Because]:
    """Yield the orders about a task that the loop has not carried out yet."""
    for one in world.orders:
        if one.subject == task_id:
            words = f"{one.by} ordered `{one.verb}`: {one.reason}".removesuffix(": ")
            yield Because(why="order", words=words, change="the next cycle carries it out", since=one.at)


def _of_refused(task_id: str, refused: Because) -> Explanation:
    words = "its file cannot be used, so there is no such task yet"
    return Explanation(task=task_id, title="", where="refused", words=words, needs_you=True, reasons=(refused,))


def _of_settled(world: World, task: Task) -> Explanation:
    words = {
        Status.INTEGRATED: f"it is in {task.spec.target_branch} as {(task.merge_commit or 'nothing known')[:12]}",
        Status.CANCELLED: "it was cancelled; nothing happens to it any more",
        Status.SUPERSEDED: f"{task.superseded_by or 'another task'} took its place; nothing happens to it any more",
    }[task.status]
    return Explanation(
        task=task.task_id,
        title=task.spec.title,
        where=task.status.value,
        words=words,
        since=task.updated_at,
        needs_you=False,
        run=task.run_id,
        node=_node(world, task, Known()),
    )


def _of_running(world: World, task: Task, lease: Lease, known: Known) -> _Found:
    phase, attempt = known.phases.get(lease.run_id, ("starting", task.tries + 1))
    words = f"it is {phase}, in try {attempt or task.tries + 1} of {1 + world.config.max_retries}"
    action = _step(plan_recovery(world), task)
    seen = world.sightings.get(lease.run_id)
    reasons = []
    if lease.orphaned_since is not None or (seen is not None and seen.life is Life.ORPHANED):
        change = "whatever lives on is ended after a grace, then another run follows"
        reasons.append(Because(why="orphaned", words="its wrapper is gone, some of its tree lives on", change=change,
                               since=lease.orphaned_since))  # fmt: skip
    if action is not None:
        return "running", words, lease.created_at, [*reasons, *_idle(known)], _following(action)
    if seen is not None and seen.life is Life.DEAD:
        return "running", "its run is just being started", lease.created_at, reasons, "it signs in by itself"
    following = f"it is ended if it is not done by {lease.expires_at:%Y-%m-%d %H:%M:%SZ}"
    return "running", words, lease.created_at, reasons, following


def _of_accepted(world: World, task: Task, known: Known) -> _Found:
    proof, target = task.proof, world.config.target_branch
    since = proof.since if proof else task.updated_at
    if world.target_head is None:
        return "accepted", "it waits for its target branch", since, [_because(world, Why.NO_TARGET, "", task)], ""
    action = _step(plan_integration(world), task)
    if not world.config.auto_integrate:
        change = "land it yourself, or set `autoIntegrate`"
        off = Because(why="switched-off", words="integration is switched off", change=change,
                      command="gluerun integrate")  # fmt: skip
        return "accepted", "its work is accepted and waits for you to land it", since, [off], ""
    if action is None and (held := held_by_person(world, task)):
        change, command = WAYS[Why.NOT_APPROVED]
        why = Because(why=Why.NOT_APPROVED.value, words=held, change=change, command=command, since=since)
        return "accepted", "its gate is green, and it waits for a person", since, [why], "it lands once it is approved"
    if is_asked(world, task) and not isinstance(action, actions.Notice):
        way = Because(why="pull-request", words=reason_of(world, task), change="merge it; the next cycle sees it",
                      command=f"gh pr view {task.spec.worker_branch}", since=since)  # fmt: skip
        return "accepted", "its candidate is proved, and a person merges it", since, [way], ""
    if proof is not None and proof.is_in_the_way and not isinstance(action, actions.Chain):
        paths = ", ".join(proof.blocked_paths[:5])
        change = "commit, stash or remove your changes there; it lands with the next cycle"
        way = Because(why="in-the-way", words=f"your checkout has changes in {paths}", change=change,
                      command="git status", since=proof.since)  # fmt: skip
        return "accepted", "its candidate is proved, and cannot land", since, [way], ""
    if (red := world.red_main) is not None and action is None and is_waiting_for_target(world, task):
        from gluerun.core import repairing  # most targets are never red

        change, _ = WAYS[Why.RED_MAIN]
        why = Because(why=Why.RED_MAIN.value, words=repairing.words(red, target), change=change.format(target=target),
                      command=repairing.command(red), since=red.since)  # fmt: skip
        return "accepted", "its gate was red, and it waits for the target", since, [why], "it is proved again then"
    if action is not None:
        words = _CANDIDATE[proof.state] if proof else "its work is accepted"
        return "accepted", words, since, list(_idle(known)), _following(action)
    if proof is not None and proof.state is ProofState.PROVING:
        return "accepted", f"the gate runs on its candidate for {target}", since, [], "it lands if the gate is green"
    return _of_queued(world, task)


_CANDIDATE = {
    ProofState.CHAINED: "its candidate is built",
    ProofState.PROVING: "its candidate was being proved",
    ProofState.PROVED: "its candidate is proved",
    ProofState.RED: "the gate was red on its candidate",
    ProofState.WAITING: "its candidate is proved",
}


def _of_queued(world: World, task: Task) -> _Found:
    queue = queue_of(world)
    since = task.proof.since if task.proof else task.updated_at
    if task in queue.chain:
        names = [one.task_id for one in queue.chain]
        place = names.index(task.task_id)
        proving = next((name for name, one in zip(names[place:], queue.chain[place:], strict=True)
                        if one.proof and one.proof.state is ProofState.PROVING), "")  # fmt: skip
        words = f"it is number {place + 1} of {len(names)} in the merge queue"
        following = f"it lands with {proving} if the gate is green there" if proving else "it is proved with others"
        return "accepted", words, since, [], following
    names = [one.task_id for one in queue.order]
    ahead = tuple(names[: names.index(task.task_id)])
    busy = Because(why="queued", words="the gate slots are taken", by=ahead,
                   change="its candidate is built as soon as it can be proved")  # fmt: skip
    return "accepted", f"its work is accepted; {len(ahead)} before it", since, [busy], "its candidate is built then"


def _of_parked(world: World, task: Task) -> _Found:
    note, decision = task.last_failure, task.decision
    command = f"gluerun unpark {task.task_id}"
    if (order := task.parked_by) is not None:
        words = f"{order.by} ordered it: {order.reason}".removesuffix(": ")
        change = "nothing happens before you say so"
        why = Because(why="ordered", words=words, change=change, command=command, since=order.at)
        return "parked", "it is parked until you act", order.at, [why], ""
    if note is None:
        change = "nothing happens before you say so; an edit of its file makes it ready, too"
        why = Because(why="parked", words=decision.rationale if decision else "nobody noted why", change=change,
                      command=command, since=task.updated_at)  # fmt: skip
        return "parked", "it is parked until you act", task.updated_at, [why], ""
    words = f"{note.failure_class}: {note.reason}"
    if decision is not None and decision.rationale and decision.rationale not in words:
        words += f" ({decision.rationale}; decided by {decision.authority})"
    change = f"{HELPS[note.failure_class]}; then let it go on, or edit {task.source_path or 'its file'}"
    found = [Because(why=note.failure_class.value, words=words, change=change, command=command, since=note.at)]
    if note.places:
        found.append(Because(why="places", words=", ".join(note.places[:10])))
    if note.run_id is not None and note.failure_class is not Failure.STALE_LEASE:
        found.append(Because(why="log", words=f"what it printed is kept with {note.run_id}",
                             command=f"gluerun logs {task.task_id}"))  # fmt: skip
    said = f"it is parked until you act: {task.tries} of {1 + world.config.max_retries} tries are used up"
    return "parked", said, note.at, found, ""


def _of_ready(world: World, task: Task, known: Known) -> _Found:
    reasons = [_because(world, why, words, task, known) for why, words in closed(world)]
    if (nobody := nobody_asked(world)) is not None:
        reasons.append(_because(world, *nobody, task, known))
    held = held_scopes(world)
    start, waits = frontier(world, max(seats(world), 0))
    # Who is started in the same cycle, because its id is lower, holds its scope as well.
    held |= {one.task_id: one.owned for one in start if one.task_id != task.task_id}
    reasons += [_because(world, one.why, one.reason, task, known, one.blocked_by) for one in
                obstacles(world, task, held)]  # fmt: skip
    needs = {one.task_id: one.spec.depends_on for one in world.tasks}
    found = circle({task.task_id: needs.get(task.task_id, ()), **needs})
    if task.task_id in found and len(found) > 2:
        words = f"tasks depend on each other in a circle: {' → '.join(found)}"
        change = f"take one of them out of `Depends on:`, as in {_file(task)}"
        reasons.append(Because(why="need-circle", words=words, change=change, by=tuple(found[:-1])))
    mine = next((one for one in waits if one.task_id == task.task_id), None)
    if mine is not None and mine.why is Why.NO_SEAT:
        by = tuple(lease.task_id for lease in world.leases) or tuple(one.task_id for one in start)
        reasons.append(_because(world, mine.why, mine.reason, task, known, by))
    tried = f"; {task.tries} tries are used up, {max(0, tries_left(world, task, 0))} left" if task.tries else ""
    if reasons:
        return "waiting", f"it is ready, and held up{tried}", task.updated_at, reasons, ""
    words = "its work is done and waits for its audit" if task.audit_sha else f"it is ready{tried}"
    return "ready", words, task.updated_at, list(_idle(known)), "the next cycle starts it"


def _because(
    world: World, why: Why, words: str, task: Task, known: Known | None = None, by: tuple[str, ...] = ()
) -> Because:
    change, command = WAYS[why]
    target = world.config.target_branch
    filled = {"by": ", ".join(by), "task": task.task_id, "target": target, "file": _file(task)}
    return Because(
        why=why.value,
        words=words or f"the target branch {target!r} does not exist",
        change=change.format(**filled),
        command=command.format(**filled | {"by": by[0] if by else ""}),
        since=_since(world, why, known) or (task.updated_at if by or why in FOR_EVER else None),
        by=by,
    )


def _since(world: World, why: Why, known: Known | None) -> datetime | None:
    match why:
        case Why.STOP:
            return known.stop_since if known else None
        case Why.BREAKER:
            return world.circuit.updated_at if world.circuit else None
        case Why.PROVIDER_HELD:
            return min((one.started_at for one in world.backoffs.values()), default=None)
        case _:
            return None


def _idle(known: Known) -> Iterator[Because]:
    """Yield that nobody runs cycles: without one nothing goes on by itself."""
    if not known.loop:
        last = f"; the last was at work at {known.seen_at:%Y-%m-%d %H:%M:%SZ}" if known.seen_at else ""
        yield Because(why=NO_LOOP, words=f"no loop is at work here{last}", change="start one, or run a cycle",
                      command="gluerun auto", since=known.seen_at)  # fmt: skip


def _step(plan: list[Action], task: Task) -> Action | None:
    return next((one for one in plan if task.task_id in actions.subjects(one)), None)


def _following(action: Action) -> str:
    return f"{STEPS[type(action)]}: {action.reason}"


def _refused(world: World, task_id: str, known: Known) -> Because | None:
    """Return that a file of the task cannot be used, whether it was just seen or is known to the loop."""
    fresh = {one.path: f"{one.error} ({one.hint})" if one.hint else one.error for one in world.inputs if one.error}
    for path, words in sorted((known.refusals | fresh).items()):
        name = path.rpartition("/")[2]
        if name.startswith((f"{task_id}.", f"{task_id}-")):
            return Because(why="refused", words=words, change=f"mend {path}; the next cycle reads it again")
    return None


def _file(task: Task) -> str:
    return task.source_path or "its file"


def _node(world: World, task: Task, known: Known) -> NodePage | None:
    name = task.spec.dag_node
    if name is None:
        return None
    if world.graph_error:
        return NodePage(id=name, state="unknown", words=world.graph_error)
    node = next((one for one in world.graph.nodes if one.id == name), None) if world.graph else None
    if node is None:
        return NodePage(id=name, state="unknown", words="it is not in the planning graph, and no gate is asked for it")
    line = node_line(world, node)
    return NodePage(id=name, state=line.state, words=world.node_words.get(name, "") or line.words)

"""What needs attention, one sentence each: the one list that the board, the health and the report show."""

from __future__ import annotations

from datetime import datetime, timedelta

from gluerun.core import actions
from gluerun.core.backoff import day_is_spent, holds
from gluerun.core.frontier import frontier
from gluerun.core.graph import circle, finished_nodes
from gluerun.core.integration import is_waiting_for_target
from gluerun.core.launch import closed
from gluerun.core.obstacle import FOR_EVER, Why
from gluerun.core.plan import plan_cycle
from gluerun.core.queue import is_asked
from gluerun.core.recovery import plan_recovery
from gluerun.core.requests import waits_for
from gluerun.core.ways import WAYS
from gluerun.records.record import record, replace
from gluerun.records.spent import Spent
from gluerun.records.task import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluerun.core.knowing import Known
    from gluerun.core.world import World
    from gluerun.records.task import Task

_LATELY = timedelta(days=1)


@record
class Matter:
    """One thing that needs attention: of which kind, about what, since when, and the command that helps.

    With `needs_you` nothing but a person can see to it.
    """

    kind: str
    about: str
    words: str
    needs_you: bool
    command: str = ""
    since: datetime | None = None


def matters(world: World, known: Known) -> tuple[Matter, ...]:
    """Return everything that needs attention, what needs a person first."""
    found = [
        *_of_settings(known),
        *_of_tasks(world),
        *_of_people(world),
        *_of_files(world, known),
        *_of_providers(world),
        *_of_the_loop(world, known),
        *_of_flakes(world),
    ]
    return (*(one for one in found if one.needs_you), *(one for one in found if not one.needs_you))


def held_by_person(world: World, task: Task) -> str:
    """Say in one sentence that accepted work waits for a person's word; empty if it does not."""
    if not world.approvals and not world.graph_error:
        return ""
    from gluerun.core.approvals import landing_wait  # where nobody is asked, none of it is needed

    return landing_wait(world, task)


def reason_of(world: World, task: Task) -> str:
    """Say in one sentence why a task that does not run stands where it is; empty if nothing is to be said."""
    if held := held_by_person(world, task):
        return held
    if is_asked(world, task):
        return f"its candidate is proved; {waits_for(task)}"
    if task.proof is not None and task.proof.is_in_the_way:
        return f"its candidate cannot land: {', '.join(task.proof.blocked_paths[:3])} in your checkout"
    if is_waiting_for_target(world, task):
        return f"the gate is red on it, as it may be on {world.config.target_branch} itself: it waits for that"
    if task.status is Status.ACCEPTED and not world.config.auto_integrate:
        return "integration is switched off; type `gluerun integrate`"
    if (order := task.parked_by) is not None:
        return f"parked by {order.by}: {order.reason}".removesuffix(": ")
    if task.last_failure is None:
        return ""
    words = f"{task.last_failure.failure_class}: {task.last_failure.reason}"
    if task.status is not Status.BLOCKED or task.decision is None or task.decision.rationale in words:
        return words
    return f"{words} ({task.decision.rationale})"


def _of_settings(known: Known) -> Iterator[Matter]:
    if known.trouble:
        words = f"the configuration is not used, the last good one is: {known.trouble}"
        yield _matter("configuration", "configuration", words, needs_you=True, command="gluerun doctor")


def _of_tasks(world: World) -> Iterator[Matter]:
    for task in world.tasks:
        if task.status is Status.BLOCKED:
            words = f"{task.task_id} is parked: {reason_of(world, task)}"
            command = f"gluerun unpark {task.task_id}"
            yield _matter("parked", task.task_id, words, needs_you=True, command=command, since=task.updated_at)
    for task in world.tasks:
        proof = task.proof
        if task.status is Status.ACCEPTED and proof is not None and (proof.is_in_the_way or is_asked(world, task)):
            words = f"{task.task_id}: {reason_of(world, task)}"
            way = ("in-the-way", "git status")
            if is_asked(world, task):
                way = ("pull-request", f"gh pr view {task.spec.worker_branch}")
            yield _matter(way[0], task.task_id, words, needs_you=True, command=way[1], since=proof.since)
    yield from _for_ever(world)
    for action in plan_recovery(world):
        if isinstance(action, actions.Stop | actions.MarkOrphan):
            about = action.task_id or action.run_id
            words = f"{about}: {action.run_id} is stuck: {action.reason}"
            yield _matter("stuck", about, words, command=f"gluerun explain {about}" if action.task_id else "")


def _of_people(world: World) -> Iterator[Matter]:
    """Yield what waits for a person's approval: tasks, and nodes whose work is there."""
    if world.asks_people:
        from gluerun.core.approvals import unanswered

        for about, words, command, since in unanswered(world):
            yield _matter("approval", about, f"{about}: {words}", needs_you=True, command=command, since=since)
    for node in finished_nodes(world) if world.unapproved else ():
        if why := world.unapproved.get(node.id):
            words = f"node {node.id} waits for a person's approval: {why}"
            yield _matter("approval", node.id, words, needs_you=True, command=f"gluerun human-gate status {node.id}")


def _for_ever(world: World) -> Iterator[Matter]:
    """Yield the tasks that wait for what will never come by itself. (C14)"""
    if not any(task.status is Status.READY for task in world.tasks):
        return
    _, waits = frontier(replace(world, backoffs={}, spent_today=Spent()), len(world.tasks))
    for one in waits:
        if one.why in FOR_EVER:
            words = f"{one.task_id} waits for ever: {one.reason}"
            needs_you = one.why is not Why.NEED_PARKED
            yield _matter("waits", one.task_id, words, needs_you=needs_you, command=f"gluerun explain {one.task_id}")
    found = circle({task.task_id: task.spec.depends_on for task in world.tasks})
    if len(found) > 2:
        words = f"tasks depend on each other in a circle: {' → '.join(found)}"
        yield _matter("circle", found[0], words, needs_you=True, command=f"gluerun explain {found[0]}")


def _of_files(world: World, known: Known) -> Iterator[Matter]:
    for path, words in known.refusals.items():
        yield _matter("refused", path, words, needs_you=True)
    for one in world.broken:
        yield _matter("broken", one.path, f"{one.path}: {one.reason}", needs_you=True)
    if world.graph_error:
        yield _matter("graph", "graph", world.graph_error, needs_you=True, command="gluerun validate-dag")
    for name in sorted(world.node_blocked):
        words = f"node {name} is blocked: {world.node_words.get(name, 'its gate file blocks it')}"
        yield _matter("gate-file", name, words, needs_you=True, command="gluerun gates")
    nodes = {node.id for node in world.graph.nodes} if world.graph else set()
    for note in world.plan_notes.values():
        # Nobody can do anything about a node that was taken out of the graph.
        if note.is_parked and note.node in nodes - world.passed:
            words = f"node {note.node} is not planned: {note.reason}; `gluerun plan {note.node}` tries again"
            yield _matter("not-planned", note.node, words, needs_you=True, command=f"gluerun plan {note.node}")


def _of_providers(world: World) -> Iterator[Matter]:
    for one in world.backoffs.values():
        if holds(world, one):
            words = f"{one.provider}: {one.reason}; it is asked again at {one.until:%H:%M:%SZ}"
            yield _matter("back-off", one.provider, words, needs_you=one.needs_you, command="gluerun clear-backoff",
                          since=one.started_at)  # fmt: skip
    rest = world.backoff
    if rest is not None and world.now < rest.until:
        words = f"planning is held back until {rest.until:%Y-%m-%d %H:%M:%SZ}: {rest.node}, {rest.failure_class}"
        yield _matter("back-off", rest.node, words, command="gluerun clear-backoff", since=rest.started_at)
    if (push := world.push_backoff) is not None:
        from gluerun.core.outside import push_words  # where nothing is refused, none of it is needed

        yield _matter("back-off", push.branch, f"{push.branch} is {push_words(push)}", needs_you=push.needs_you,
                      command="gluerun clear-backoff push", since=push.started_at)  # fmt: skip
    if words := day_is_spent(world):
        yield _matter("day-spent", "day", words, command="gluerun costs --by day")


def _of_the_loop(world: World, known: Known) -> Iterator[Matter]:
    target = world.config.target_branch
    red = world.red_main
    if red is not None and red.is_red:
        from gluerun.core.repairing import command as mends  # most targets are never red
        from gluerun.core.repairing import words as said

        yield _matter("red", target, said(red, target), needs_you=True, command=mends(red), since=red.since)
    elif world.red_tree:
        yield _matter("red", target, f"the gate is red on {target} itself", needs_you=True)
    if world.has_nights and (night := world.nightly) is not None:
        from gluerun.core.nightly import words as of_the_night  # few repositories have gates of the night

        if told := of_the_night(night, target):
            yield _matter("nightly", target, told, needs_you=True, command="gluerun gates", since=night.since)
    if world.outside is not None:
        from gluerun.core.outside import trouble  # where nothing is pushed, none of it is needed

        words, command = trouble(world.outside, target)
        if words:
            yield _matter("remote", target, words, needs_you=True, command=command)
    for why, words in closed(world):
        if why is Why.RED_MAIN:
            continue  # it is told above, whether anything is begun or not
        # With STOP somebody has said so; it needs attention, and nobody's help.
        since = known.stop_since if why is Why.STOP else world.circuit.updated_at if world.circuit else None
        command = WAYS[why][1].format(target=target)
        held = since if why in (Why.STOP, Why.BREAKER) else None
        needs_you = why is Why.LOW_DISK or (why is not Why.STOP and not world.stop)
        yield _matter(why.value, "loop", words, needs_you=needs_you, command=command, since=held)
    waiting = [] if known.loop else _would(world)
    if waiting:
        last = f" since {known.seen_at:%Y-%m-%d %H:%M:%SZ}" if known.seen_at else ""
        words = f"no loop is at work here{last}, and {', '.join(waiting[:3])} could go on"
        yield _matter("no-loop", "loop", words, command="gluerun auto", since=known.seen_at)


def _would(world: World) -> list[str]:
    """Return what a cycle would do something about."""
    found = [actions.subject(one) for one in plan_cycle(world) if not isinstance(one, actions.Refuse)]
    return sorted(set(found) - {""})


def _matter(
    kind: str, about: str, words: str, *, needs_you: bool = False, command: str = "", since: datetime | None = None
) -> Matter:
    return Matter(kind=kind, about=about, words=words, needs_you=needs_you, command=command, since=since)


def _of_flakes(world: World) -> Iterator[Matter]:
    """Name what flaked within a day, and what a person once let off and nobody has mended or released since."""
    for one in world.flakes.flakes:
        kept = one.quarantine
        if world.now - one.last_seen < _LATELY:
            words = f"{one.name} was red and then green on the same commit, {one.seen} of {one.runs} times"
            yield _matter("flake", one.name, words, command="gluerun flakes", since=one.last_seen)
        if kept is not None and not one.is_quarantined(world.now):
            words = f"the quarantine of {one.name} is over since {kept.expires_at:%Y-%m-%d %H:%M}Z: {kept.owner}"
            yield _matter("quarantine", one.name, words, command="gluerun flakes", since=kept.expires_at)

"""A red target: it is asked before anybody is sent back for it, searched for its culprit, and a way out is proposed."""

from __future__ import annotations

from gluerun.core import bisecting
from gluerun.core.actions import Diagnose, LandRevert, Probed, ProbeTarget, Stop, SuspectTarget
from gluerun.core.gate_runs import answer_of, deadline_of
from gluerun.records.config import IntegrationMode, OnRedMain
from gluerun.records.gate import GateVerdict
from gluerun.records.pipeline import Occasion
from gluerun.records.redmain import RedState
from gluerun.records.task import ProofState, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluerun.core.actions import Action
    from gluerun.core.world import World
    from gluerun.records.redmain import Probe, RedMain
    from gluerun.records.task import Proof, Task


# --- accepted work --------------------------------------------------------------------------------------------


def waits(world: World, task: Task) -> bool:
    """Tell whether an accepted task waits for its target: red on a head that is suspected, or known, to be red."""
    red, proof = world.red_main, task.proof
    if red is None or red.is_over or proof is None or task.status is not Status.ACCEPTED:
        return False
    is_about_it = proof.target_head == world.target_head == red.head
    return is_about_it and proof.state is ProofState.RED and task.task_id in world.unsure


def suspicion(world: World, task: Task, proof: Proof) -> SuspectTarget | None:
    """Return that the target is to be asked before a task is sent back; None if it has been."""
    red, head = world.red_main, world.target_head
    if head is None or proof.target_head != head or task.task_id not in world.unsure:
        return None
    if red is not None and red.head == head:
        return None  # it was asked, and gave no answer
    return SuspectTarget(
        task_id=task.task_id,
        commit=head,
        gate_command=task.spec.gate_command,
        reason=f"the gate was red on {task.task_id}, which stands on it",
    )


# --- the repair -----------------------------------------------------------------------------------------------


def plan_repair(world: World, free: list[int]) -> Iterator[Action]:
    """Yield what the search calls for next, in gate slots that are *free*; who takes one takes it out of the list."""
    red, head = world.red_main, world.target_head
    if head is None:
        return
    if red is None or red.is_over:
        is_known = red is not None and red.head == head and red.occasion is Occasion.NODE
        if world.red_tree and not is_known:
            yield SuspectTarget(
                task_id="",
                commit=head,
                gate_command=world.config.gate_command,
                occasion=Occasion.NODE,
                is_red=True,
                reason="the gate of a finished node is red on it",
            )
        return
    if red.head != head:
        yield Diagnose(state=RedState.SUSPECTED, commit=head, reason="the target moved")
        return
    done = [action for probe in red.probes if (action := _judge(world, red, probe)) is not None]
    yield from done
    if any(not isinstance(action, Stop) for action in done):
        return
    match red.state:
        case RedState.SUSPECTED:
            yield from _probe(red, (head,), free, "is the target itself red?")
        case RedState.RED:
            yield Diagnose(state=RedState.BISECTING, commit=head, reason="the gate is red on the target itself")
        case RedState.BISECTING:
            yield from _bisect(red, free)
        case RedState.FOUND if red.revert and red.revert_is_green is None:
            yield from _probe(red, (red.revert,), free, "is the target green without the culprit?")
        case RedState.FOUND if red.revert_is_green and _may_land(world):
            yield LandRevert(commit=red.revert, onto=head, reason=f"the target is green without {red.culprit[:12]}")


def _may_land(world: World) -> bool:
    """Tell whether a revert may land by itself; where people merge pull requests the target is theirs."""
    config = world.config
    return config.on_red_main is OnRedMain.REVERT and config.integration.mode is not IntegrationMode.PULL_REQUEST


def _bisect(red: RedMain, free: list[int]) -> Iterator[Action]:
    places = {commit: place for place, commit in enumerate(red.line)}
    found = bisecting.search(
        len(red.line),
        [places[one] for one in red.green if one in places],
        [places[one] for one in red.red if one in places],
        [places[one.commit] for one in red.probes if one.commit in places],
        len(free),
    )
    if found.culprit is not None:
        culprit = red.line[found.culprit]
        yield Diagnose(state=RedState.FOUND, commit=culprit, reason=f"{red.line[found.culprit - 1][:12]} is green")
    elif found.is_red_to_the_end:
        words = f"red on each commit that was asked, back to {red.line[0][:12]}: it may be the environment"
        yield Diagnose(state=RedState.UNFOUND, commit=red.head, reason=words)
    else:
        yield from _probe(red, tuple(red.line[place] for place in found.ask), free, "who made the target red?")


def _probe(red: RedMain, commits: tuple[str, ...], free: list[int], why: str) -> Iterator[ProbeTarget]:
    asked = {one.commit for one in red.probes}
    for commit in commits:
        if commit not in asked and free:
            yield ProbeTarget(commit=commit, slot=free.pop(0), reason=why)


def _judge(world: World, red: RedMain, probe: Probe) -> Action | None:
    """Return what has happened to one probe; None while it runs."""
    deadline = deadline_of(world.config, probe.since, red.gate_command, red.occasion)
    answer = answer_of(world, probe.run_id, probe.since, deadline, "the gate on the target")
    if answer is None:
        return None
    if answer.is_late:
        return Stop(run_id=probe.run_id, task_id=None, reason=answer.reason)
    if answer.verdict is GateVerdict.INCONCLUSIVE and probe.again < world.config.worker_infra_max:
        again = f"again: {answer.reason}"
        return ProbeTarget(commit=probe.commit, slot=probe.slot, again=probe.again + 1, reason=again)
    is_green = {GateVerdict.GREEN: True, GateVerdict.RED: False}.get(answer.verdict)
    return Probed(commit=probe.commit, run_id=probe.run_id, is_green=is_green, reason=answer.reason)


# --- in words -------------------------------------------------------------------------------------------------


def words(red: RedMain, target: str) -> str:
    """Say in one sentence what is known of a red target."""
    said = f"the gate is red on {target} itself ({red.head[:12]}, since {red.since:%Y-%m-%d %H:%M:%SZ})"
    match red.state:
        case RedState.SUSPECTED if not red.was_red:
            return f"the gate may be red on {target} itself ({red.head[:12]}); that is being asked"
        case RedState.SUSPECTED:
            return f"the gate was red on {target} itself; its new head {red.head[:12]} is being asked"
        case RedState.BISECTING:
            return f"{said}; the culprit is being looked for among {len(red.line)} commits"
        case RedState.UNFOUND:
            return f"{said}; no culprit was found: {red.reason}"
        case RedState.FOUND:
            return f"{said}; it is since {red.culprit[:12]} {red.subject!r}{_proposal(red)}"
        case _:
            return said


def _proposal(red: RedMain) -> str:
    if red.conflicts:
        return f", which cannot be reverted by itself: {', '.join(red.conflicts[:3])} changed since"
    if not red.revert:
        return ", and nothing is left of it to revert"
    if red.revert_is_green is None:
        return "; a revert of it is being proved"
    if red.blocked_paths:
        paths = ", ".join(red.blocked_paths[:3])
        return f"; a revert of it is green and lands as soon as it can: {paths} in your checkout"
    return f"; a revert of it is {'green' if red.revert_is_green else 'red, too'}: {red.ref}"


def command(red: RedMain) -> str:
    """Return what a person types to mend it, with the target checked out."""
    if red.blocked_paths:
        return "git status"
    if red.ref and red.revert_is_green:
        return f"git merge --ff-only {red.ref}"
    return f"git revert {red.culprit}" if red.conflicts else "gluerun queue"

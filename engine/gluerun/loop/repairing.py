"""The hands of a repair: gates are run on the target's own commits, its line is drawn, a revert is built and kept."""

from __future__ import annotations

import hashlib

from gluerun.core import provenance
from gluerun.core.actions import Diagnose, LandRevert, Probed, ProbeTarget, SuspectTarget
from gluerun.errors import GitError
from gluerun.loop import receipts
from gluerun.loop.asking import ask_gates
from gluerun.loop.evidence import RECEIPT
from gluerun.loop.gating import gate_key
from gluerun.loop.moving import move_target
from gluerun.loop.rescue import tidy_run
from gluerun.loop.store import run_path
from gluerun.ports import Landed, Landing
from gluerun.records import codec
from gluerun.records.pipeline import Occasion
from gluerun.records.record import replace
from gluerun.records.redmain import Probe, RedMain, RedState
from gluerun.records.task import ProofState
from gluerun.release import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import Notes
    from gluerun.records.task import Task

    Step = SuspectTarget | ProbeTarget | Probed | Diagnose | LandRevert

# Further back nobody looks for a commit that was green.
LONGEST_LINE = 64


def unsure(house: House, tasks: Sequence[Task]) -> frozenset[str]:
    """Return the tasks with a red candidate that stands on a commit which no gate has shown to be green here."""
    red = [task for task in tasks if task.proof is not None and task.proof.state is ProofState.RED]
    return frozenset(task.task_id for task in red if not _is_sound(house, task))


def _is_sound(house: House, task: Task) -> bool:
    if task.proof is None:
        return True
    base, candidate, command = task.proof.target_head, task.proof.candidate, task.spec.gate_command
    try:
        key = gate_key(house, command, Occasion.MERGE, base, candidate)
        return _is_green(house, base, command, Occasion.MERGE, key)
    except GitError:
        return True  # nothing can be asked about a commit that is lost


def _is_green(house: House, commit: str, command: str, occasion: Occasion, key: str = "") -> bool:
    """Tell whether the gates of an occasion were green on a commit; with *key*, whether those of that receipt were."""
    tree = house.doors.git.code_tree(commit)
    whole = gate_key(house, command, occasion, commit, commit)
    return receipts.is_green(house, tree, whole) or (bool(key) and receipts.is_green(house, tree, key))


def handle(house: House, world: World, action: Step, notes: Notes) -> bool:
    """Carry out one step of a repair. Each may be cut at any line: the record goes first, or last."""
    red = house.store.red_main()
    if isinstance(action, SuspectTarget):
        return suspect(house, action)
    if red is None:
        return False
    match action:
        case ProbeTarget():
            return _probe(house, red, action)
        case Probed():
            return _take(house, red, action)
        case Diagnose(state=RedState.SUSPECTED):
            return _follow(house, red, action.commit)
        case Diagnose(state=RedState.BISECTING):
            house.store.put_red_main(_with_line(house, red))
            return True
        case Diagnose(state=RedState.FOUND):
            return _found(house, red, action)
        case Diagnose():
            house.store.put_red_main(replace(red, state=action.state, reason=action.reason))
            house.tell("target.unfound", action.reason, commit=red.head)
            return True
        case LandRevert():
            return _land(house, world, red, action, notes)


def suspect(house: House, action: SuspectTarget) -> bool:
    """Begin a repair, unless one is under way."""
    red = house.store.red_main()
    if red is not None and not red.is_over:
        return False
    house.store.put_red_main(
        RedMain(
            state=RedState.RED if action.is_red else RedState.SUSPECTED,
            head=action.commit,
            since=house.now(),
            gate_command=action.gate_command,
            occasion=action.occasion,
            reason=action.reason,
            was_red=action.is_red,
            red=(action.commit,) if action.is_red else (),
        )
    )
    kind = "target.red" if action.is_red else "target.suspected"
    house.tell(kind, f"{house.config.target_branch}: {action.reason}", task=action.task_id or None,
               commit=action.commit)  # fmt: skip
    return True


def _probe(house: House, red: RedMain, action: ProbeTarget) -> bool:
    """Start a gate run on one commit. The record knows of it first, so that no run is without its repair."""
    for one in red.probes:
        if one.commit == action.commit:
            tidy_run(house, one.run_id)
    run_id = house.new_run()
    probe = Probe(commit=action.commit, run_id=run_id, slot=action.slot, since=house.now(), again=action.again)
    others = tuple(one for one in red.probes if one.commit != action.commit)
    house.store.put_red_main(replace(red, probes=(*others, probe)))
    ask_gates(house, run_id, action.commit, red.occasion, command=red.gate_command, slot=action.slot)
    house.tell("target.asked", f"{action.commit[:12]}: {action.reason}", run=run_id, commit=action.commit)
    return True


def _take(house: House, red: RedMain, action: Probed) -> bool:
    """Take in what a probe said. A head that is green ends the repair; one that gives no answer is not blamed."""
    house.store.sweep_run(action.run_id)
    receipts.file_receipt(house, action.run_id)
    tidy_run(house, action.run_id)
    probes = tuple(one for one in red.probes if one.commit != action.commit)
    after = replace(red, probes=probes)
    if action.is_green:
        after = replace(after, green=(*red.green, action.commit))
    elif action.is_green is not None:
        shown = {**red.shown, action.commit: action.run_id}
        after = replace(after, red=(*red.red, action.commit), shown=shown)
    if action.commit == red.revert:
        after = replace(after, revert_is_green=bool(action.is_green))
        said = "is green" if action.is_green else f"is not: {action.reason}"
        house.tell("target.revert", f"without {red.culprit[:12]} the target {said}", run=action.run_id,
                   commit=action.commit)  # fmt: skip
    elif red.state is RedState.SUSPECTED:
        house.store.put_red_main(_judged(house, after, action))
        return True
    elif action.is_green is None:
        reason = f"{action.commit[:12]} gave no answer: {action.reason}"
        after = replace(after, state=RedState.UNFOUND, reason=reason)
        house.tell("target.unfound", reason, run=action.run_id, commit=action.commit)
    house.store.put_red_main(after)
    return True


def _judged(house: House, red: RedMain, action: Probed) -> RedMain:
    """Return the record once the head itself was asked."""
    target = house.config.target_branch
    if action.is_green is False:
        house.tell("target.red", f"{target}: {action.reason}", run=action.run_id, commit=action.commit)
        return replace(red, state=RedState.RED, was_red=True, run=action.run_id, reason=action.reason)
    if action.is_green is None and red.was_red:
        return replace(red, state=RedState.UNFOUND, reason=f"its new head gave no answer: {action.reason}")
    return _over(house, red, action.reason)


def _over(house: House, red: RedMain, reason: str) -> RedMain:
    if red.was_red:
        house.tell("target.green", f"{house.config.target_branch}: {reason}", commit=red.head)
    return replace(red, state=RedState.OVER, reason=reason)


def _follow(house: House, red: RedMain, head: str) -> bool:
    """Go on with the target's new head. What was asked about the old one is ended; receipts remember what was said."""
    for probe in red.probes:
        if not house.doors.processes.end(probe.run_id, grace=house.config.kill_grace_sec):
            return False
        tidy_run(house, probe.run_id)
    anew = RedMain(
        state=RedState.SUSPECTED,
        head=head,
        since=red.since,
        gate_command=red.gate_command,
        occasion=red.occasion,
        was_red=red.was_red,
    )
    if _is_green(house, head, red.gate_command, red.occasion):
        anew = _over(house, anew, "its new head is green")
    house.store.put_red_main(anew)
    return True


def _with_line(house: House, red: RedMain) -> RedMain:
    """Draw the target's line back to what is known to be green, to a landing of our own, or as far as is sensible."""
    line, green = [red.head], []
    while len(line) < LONGEST_LINE:
        parents = house.doors.git.told([line[-1]])[0].parents
        if not parents:
            break
        line.append(parents[0])
        if _is_green(house, parents[0], red.gate_command, red.occasion):
            green.append(parents[0])
            break
        if red.occasion is Occasion.MERGE and _is_ours(house, parents[0]):
            break
    line.reverse()
    return replace(red, state=RedState.BISECTING, line=tuple(line), green=tuple(green), red=(red.head,))


def _is_ours(house: House, commit: str) -> bool:
    return bool(provenance.of_message(house.doors.git.told([commit])[0].message).task)


def _found(house: House, red: RedMain, action: Diagnose) -> bool:
    """Name the culprit, and build the commit that takes it back: a merge with a commit that only undoes it."""
    culprit, git = action.commit, house.doors.git
    (told,) = git.told([culprit])
    subject = told.message.partition("\n")[0]
    good = told.parents[0] if told.parents else ""
    found = replace(red, state=RedState.FOUND, culprit=culprit, subject=subject, good=good, reason=action.reason)
    with house.doors.locks.git():
        undone = git.commit_tree(git.tree_of(good), [culprit], f"Undo {culprit}\n")
        merge = git.merge(red.head, undone)
        if merge.conflicts:
            found = replace(found, conflicts=merge.conflicts)
        elif not merge.empty:
            revert = git.commit_tree(merge.tree, [red.head], _message(house, red, culprit, subject))
            found = replace(found, revert=revert)
            git.keep(found.ref, revert)
    house.store.put_red_main(found)
    house.tell("target.culprit", f"{culprit[:12]} {subject!r} made {house.config.target_branch} red", commit=culprit)
    return True


def _message(house: House, red: RedMain, culprit: str, subject: str) -> str:
    """Return what a revert says of itself: what it takes back, and which run of which receipt showed that to be red."""
    run = red.shown.get(culprit, "")
    data = house.store.files.read(run_path(run, RECEIPT)) if run else None
    receipt = hashlib.sha256(codec.canonical(codec.decode(data))).hexdigest() if data is not None else ""
    said = provenance.Provenance(reverts=culprit, run=run, gate=receipt, engine=VERSION)
    return provenance.revert_message(subject, said)


def _land(house: House, world: World, red: RedMain, action: LandRevert, notes: Notes) -> bool:
    """Land the revert by one compare-and-swap; what follows from it is seen by the next look."""
    target = house.config.target_branch
    if red.blocked_paths:  # it waits for a change there, and locks nothing of yours to find out
        with house.doors.locks.git():
            foreseen = house.doors.git.could_land(target, action.commit, action.onto)
        if foreseen == Landed(landing=Landing.BLOCKED, paths=red.blocked_paths):
            return False
    landed = move_target(house, world, action.commit, action.onto, notes)
    if landed.landing is Landing.BLOCKED:
        house.store.put_red_main(replace(red, blocked_paths=landed.paths))
        words = f"the revert of {red.culprit[:12]} waits: {', '.join(landed.paths[:3])} in a checkout"
        house.tell("target.revert_waiting", words, commit=action.commit, paths=list(landed.paths))
        return False
    if landed.landing is Landing.LANDED:
        notes.has_reverted = True
        house.tell("target.reverted", f"{target}: {action.reason}", commit=action.commit)
    return True

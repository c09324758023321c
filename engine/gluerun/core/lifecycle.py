"""The state machine of a task, as a table, and what each trigger makes of its record."""

from __future__ import annotations

from enum import StrEnum

from gluerun.core.limits import added
from gluerun.errors import ImpossibleError
from gluerun.records.failure import Answer, Failure, FailureNote
from gluerun.records.pause import Span
from gluerun.records.record import replace
from gluerun.records.spent import Spent
from gluerun.records.task import Proof, ProofState, Status, Task, TaskSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from gluerun.records.config import Config
    from gluerun.records.dispatch import Ending
    from gluerun.records.failure import Decision
    from gluerun.records.pause import Paused
    from gluerun.records.task import Ordered
    from gluerun.records.taskfile import TaskFile


class Trigger(StrEnum):
    """What can happen to a task."""

    ACCEPT = "accept"
    INTEGRATE = "integrate"
    RETRY = "retry"
    PARK = "park"
    CANCEL = "cancel"
    SUPERSEDE = "supersede"
    EDIT = "edit"
    UNPARK = "unpark"


TRANSITIONS: dict[tuple[Status, Trigger], Status] = {
    (Status.READY, Trigger.ACCEPT): Status.ACCEPTED,
    (Status.READY, Trigger.RETRY): Status.READY,
    (Status.READY, Trigger.PARK): Status.BLOCKED,
    (Status.READY, Trigger.CANCEL): Status.CANCELLED,
    (Status.READY, Trigger.SUPERSEDE): Status.SUPERSEDED,
    (Status.READY, Trigger.EDIT): Status.READY,
    (Status.ACCEPTED, Trigger.INTEGRATE): Status.INTEGRATED,
    (Status.ACCEPTED, Trigger.RETRY): Status.READY,
    (Status.ACCEPTED, Trigger.PARK): Status.BLOCKED,
    (Status.ACCEPTED, Trigger.CANCEL): Status.CANCELLED,
    (Status.ACCEPTED, Trigger.SUPERSEDE): Status.SUPERSEDED,
    (Status.BLOCKED, Trigger.EDIT): Status.READY,
    (Status.BLOCKED, Trigger.UNPARK): Status.READY,
    (Status.BLOCKED, Trigger.CANCEL): Status.CANCELLED,
    (Status.BLOCKED, Trigger.SUPERSEDE): Status.SUPERSEDED,
}

TRIGGER_OF: dict[Answer, Trigger] = {
    Answer.RETRY: Trigger.RETRY,
    Answer.RERUN_TESTS: Trigger.RETRY,
    Answer.REBUILD_CONTEXT: Trigger.RETRY,
    Answer.REVALIDATE_EVIDENCE: Trigger.RETRY,
    Answer.REBASE: Trigger.RETRY,
    Answer.FORK: Trigger.RETRY,
    Answer.RELEASE: Trigger.RETRY,
    Answer.AMEND_SCOPE: Trigger.RETRY,
    Answer.ACCEPT_WAIVER: Trigger.ACCEPT,
    Answer.CANCEL: Trigger.CANCEL,
    Answer.SUPERSEDE: Trigger.SUPERSEDE,
    Answer.SPLIT_TASK: Trigger.PARK,
    Answer.ESCALATE_PARKED: Trigger.PARK,
    Answer.ESCALATE_INFRA: Trigger.PARK,
    Answer.ASK_MODEL: Trigger.PARK,
}


def advance(status: Status, trigger: Trigger) -> Status:
    """Return the status after *trigger*; ImpossibleError if it cannot happen there."""
    try:
        return TRANSITIONS[status, trigger]
    except KeyError:
        raise ImpossibleError(f"a task that is {status} cannot {trigger}") from None


def admitted(file: TaskFile, path: str, mark: str, now: datetime) -> Task:
    """Return the record of a task that was never seen before; `accepted` on paper counts as ready."""
    status = Status.READY if file.status is Status.ACCEPTED else file.status
    return Task(
        task_id=file.spec.task_id,
        status=status,
        spec=file.spec,
        source_sha256=file.sha256,
        source_mark=mark,
        source_path=path,
        created_at=now,
        updated_at=now,
    )


def edited(task: Task, file: TaskFile, path: str, mark: str, now: datetime) -> Task:
    """Return a task after its Markdown changed; a parked one is ready again with all its tries and its whole limit.

    What was spent stays booked, of the day and in the history.

    If only the file's mark changed, nothing but the mark does.
    """
    if file.sha256 == task.source_sha256:
        return replace(task, source_mark=mark, source_path=path)
    return replace(
        task,
        status=advance(task.status, Trigger.EDIT),
        spec=file.spec,
        source_sha256=file.sha256,
        source_mark=mark,
        source_path=path,
        updated_at=now,
        tries=0,
        infra_tries=0,
        amended_files=(),
        last_failure=None,
        decision=None,
        audit_sha=None,
        priority=task.priority if file.spec.priority == task.spec.priority else None,
        ordered=None,
        spent=Spent(),
        limit_from=None,
        paused=None,
        seed_sha=None if task.paused else task.seed_sha,
    )


def started(task: Task, run_id: str, base: str, now: datetime) -> Task:
    """Return a task as its next run begins: a new epoch, a recorded base."""
    return replace(task, epoch=task.epoch + 1, run_id=run_id, base_sha=base, updated_at=now)


def accepted(task: Task, ending: Ending, now: datetime) -> Task:
    """Return a task whose run was accepted."""
    return replace(
        task,
        status=advance(task.status, Trigger.ACCEPT),
        tries=task.tries + ending.tries,
        infra_tries=0,
        head_sha=ending.head_sha,
        packet_sha256=ending.packet_sha256,
        green_tree=ending.green_tree,
        green_gate=ending.green_gate,
        seed_sha=None,
        audit_sha=None,
        proof=None,
        last_failure=None,
        decision=None,
        paused=None,
        updated_at=now,
    )


def settled(task: Task, decision: Decision, note: FailureNote, *, tries: int, seed: str | None, now: datetime) -> Task:
    """Return a task after a failure was answered; amended paths join its scope."""
    trigger = TRIGGER_OF[decision.action]
    paths = decision.paths if decision.action is Answer.AMEND_SCOPE else ()
    return replace(
        task,
        status=advance(task.status, trigger),
        tries=task.tries + tries,
        infra_tries=0,
        amended_files=task.amended_files + paths,
        seed_sha=seed if trigger is Trigger.RETRY and decision.action is not Answer.FORK else None,
        head_sha=None,
        packet_sha256=None,
        green_tree=None,
        green_gate=None,
        proof=None,
        last_failure=note,
        decision=decision,
        updated_at=now,
        audit_sha=None,
        paused=None,
    )


def withdrawn(task: Task, trigger: Trigger, ordered: Ordered, *, tries: int, now: datetime) -> Task:
    """Return a task that a person took out of the running; one that is only parked begins again where its work was."""
    return replace(
        task,
        status=advance(task.status, trigger),
        tries=task.tries + tries,
        infra_tries=0,
        seed_sha=task.head_sha or task.audit_sha or task.seed_sha if trigger is Trigger.PARK else None,
        head_sha=None,
        packet_sha256=None,
        green_tree=None,
        green_gate=None,
        proof=None,
        audit_sha=None,
        ordered=ordered,
        updated_at=now,
    )


def sent_back(task: Task, ordered: Ordered, *, tries_left: int, now: datetime) -> Task:
    """Return accepted work that a person rejected: tried again from where it is, or parked if no try is left."""
    trigger = Trigger.RETRY if tries_left > 0 else Trigger.PARK
    return replace(withdrawn(task, trigger, ordered, tries=0, now=now), seed_sha=task.head_sha or task.seed_sha)


def wanted_again(task: Task, ordered: Ordered, *, tries: int, now: datetime) -> Task:
    """Return a task that a person wants tried again, with *tries* spent; what its last try failed of is kept."""
    trigger = Trigger.UNPARK if task.status is Status.BLOCKED else Trigger.RETRY
    return replace(
        task,
        status=advance(task.status, trigger),
        tries=tries,
        infra_tries=0,
        decision=None,
        ordered=ordered,
        updated_at=now,
    )


def charged(task: Task, spent: Spent) -> Task:
    """Return a task to whose costs those of its run are added, which is thereby taken in, once and for all."""
    return replace(task, spent=added(task.spent, spent), settled_run=task.run_id)


def held(task: Task, ending: Ending, now: datetime) -> Task:
    """Return a task whose run was broken off because its provider cannot be asked: what it had done is kept.

    Only the tries that ended by themselves count. Work with a green gate waits for its audit alone.
    """
    note = task.last_failure
    if ending.failure is not None:
        note = FailureNote(
            failure_class=ending.failure, reason=ending.reason, at=now, run_id=ending.run_id, detail=ending.detail
        )
    return replace(
        task,
        tries=task.tries + ending.tries,
        audit_sha=ending.head_sha,
        last_failure=note,
        updated_at=now,
    )


def paused(task: Task, ending: Ending, seed: str | None, now: datetime) -> Task:
    """Return a task whose run was broken off at a limit, and that waits for a person from there."""
    if ending.paused is None:
        raise ImpossibleError(f"{ending.run_id} is not paused")
    return replace(held(task, ending, now), paused=replace(ending.paused, seed_sha=seed))


def let_go_on(task: Task, ordered: Ordered, now: datetime) -> Task:
    """Return a task that a person lets go on beyond a limit: from where its work was, and the limit counts anew."""
    pause = _pause_of(task)
    return replace(
        task,
        paused=replace(pause, is_allowed=True),
        seed_sha=pause.seed_sha or task.seed_sha,
        limit_from=task.spent if pause.span is Span.TASK else task.limit_from,
        ordered=ordered,
        updated_at=now,
    )


def stopped(task: Task, ordered: Ordered, now: datetime) -> Task:
    """Return a task that a person does not let go on beyond a limit: parked with its work, and the try counts."""
    pause = _pause_of(task)
    note = FailureNote(
        failure_class=Failure.LIMIT_REACHED,
        reason=f"{pause.reason}; {ordered.by} says no: {ordered.reason}",
        at=now,
        run_id=pause.run_id,
    )
    after = withdrawn(task, Trigger.PARK, ordered, tries=1, now=now)
    return replace(after, seed_sha=pause.seed_sha or after.seed_sha, paused=None, last_failure=note, decision=None)


def _pause_of(task: Task) -> Paused:
    if task.paused is None:
        raise ImpossibleError(f"{task.task_id} is not paused")
    return task.paused


def proving(task: Task, proof: Proof) -> Task:
    """Return a task whose candidate exists and is proved, or is being proved."""
    return replace(task, proof=proof)


def proved(task: Task, now: datetime) -> Task:
    """Return a task whose candidate's gate was green."""
    if task.proof is None:
        raise ImpossibleError(f"{task.task_id} has no proof to complete")
    proof = replace(task.proof, state=ProofState.PROVED, run_id=None, slot=None, since=now)
    return replace(task, proof=proof, infra_tries=0)


def found_red(task: Task, now: datetime, flaky: tuple[str, ...] = ()) -> Task:
    """Return a task whose candidate's gate was red, maybe only by what is known to flake; its run is kept."""
    if task.proof is None:
        raise ImpossibleError(f"{task.task_id} has no proof to be red")
    return replace(
        task, proof=replace(task.proof, state=ProofState.RED, slot=None, since=now, flaky=flaky), infra_tries=0
    )


def called_off(task: Task, *, unchain: bool, alone: bool, now: datetime) -> Task:
    """Return a task whose proof was given up: its candidate waits to be asked again, leaves the chain, or goes."""
    proof = task.proof
    if proof is None or unchain:
        return replace(task, proof=None)
    if alone:
        return replace(task, proof=replace(proof, alone=True, since=now))
    return replace(task, proof=replace(proof, state=ProofState.CHAINED, run_id=None, slot=None, since=now))


def waiting(task: Task, paths: tuple[str, ...], now: datetime) -> Task:
    """Return a task whose proved candidate cannot land because of *paths* in a checkout."""
    if task.proof is None:
        raise ImpossibleError(f"{task.task_id} has no proof to wait with")
    proof = task.proof
    if proof.state is ProofState.WAITING and proof.blocked_paths == paths:
        return task
    # What was shown green only together with others is not, by itself: it is asked alone, once there is time.
    is_green = proof.state in (ProofState.PROVED, ProofState.WAITING)
    state = ProofState.WAITING if is_green else ProofState.CHAINED
    return replace(task, proof=replace(proof, state=state, blocked_paths=paths, alone=True, run_id=None, since=now))


def integrated(task: Task, commit: str, now: datetime) -> Task:
    """Return a task whose work is in the target branch."""
    return replace(
        task,
        status=advance(task.status, Trigger.INTEGRATE),
        merge_commit=commit,
        proof=None,
        updated_at=now,
    )


def found_merged(task_id: str, before: Task | None, commit: str, config: Config, now: datetime) -> Task:
    """Return the record of a task that a trailer of the target branch shows as merged, known or not."""
    if before is not None:
        return replace(before, status=Status.INTEGRATED, merge_commit=commit, proof=None)
    spec = TaskSpec(
        task_id=task_id,
        title="known only from the target branch",
        area="root",
        target_branch=config.target_branch,
        worker_branch=f"agent/root/{task_id}",
        objective="known only from the target branch",
        owned_files=(),
    )
    return Task(
        task_id=task_id,
        status=Status.INTEGRATED,
        spec=spec,
        source_sha256="0" * 64,
        source_mark="",
        created_at=now,
        updated_at=now,
        merge_commit=commit,
    )

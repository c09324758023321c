"""Pull requests: what they say is written down first; then, without the lock, the branch is pushed and gh is asked."""

from __future__ import annotations

from contextlib import suppress

from gluerun.core.outside import push_hint
from gluerun.core.requests import address_in, asking, commands, gh_hint
from gluerun.errors import BusyError
from gluerun.loop.hosting import holder
from gluerun.loop.outside import secrets_in
from gluerun.loop.store import run_path
from gluerun.records.record import replace
from gluerun.records.task import ProofState, Request, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import Notes
    from gluerun.records.task import Task

BODY = "pull-request.md"


def propose(house: House, task: Task, notes: Notes) -> bool:
    """Write the page of a task's pull request, and let the task wait; say what is typed where nothing is pushed."""
    proof = task.proof
    if proof is None or task.run_id is None:
        return False
    house.store.sweep_run(task.run_id)  # of what a crash has cut off
    house.store.files.write(run_path(task.run_id, BODY), _page(house, task).encode())
    asked = replace(proof, state=ProofState.WAITING, request=Request.WANTED, since=house.now())
    house.store.put_task(replace(task, proof=asked))
    house.tell("integration.proposed", f"{task.task_id}: a person merges it", task=task.task_id)
    if not house.config.push:
        push, create = _commands(house, task)
        notes.held.append(f"{task.task_id} is proved; a person merges it: {push} && {create}")
    return True


def make_requests(house: House, world: World, origin_run: str, notes: Notes) -> None:
    """Make the pull requests that are wanted; without the lock, for the network takes its time.

    One that cannot be made stays wanted. One that is there already, for a crash came between, is taken as made.
    """
    for task in world.tasks:
        if task.status is not Status.ACCEPTED or task.proof is None or task.proof.request is not Request.WANTED:
            continue
        branch = task.spec.worker_branch
        why, hint, where = secrets_in(house, branch), "", ""
        if not why:
            why = house.doors.git.push(branch)
            hint = push_hint(why)
        if not why:
            _, create = _commands(house, task)
            printed, why = house.doors.messenger.ask(asking(branch, create), {"task": task.task_id})
            where = address_in(printed)
            hint = gh_hint(why)
        if why:
            notes.trouble.append(f"{task.task_id}: no pull request: {why}" + (f" ({hint})" if hint else ""))
            continue
        with suppress(BusyError), house.doors.locks.origin(holder(house, origin_run)):
            now = house.store.live_task(task.task_id)
            if now is not None and now.proof is not None and now.proof.request is Request.WANTED:
                house.store.put_task(replace(now, proof=replace(now.proof, request=Request.MADE, pull_request=where)))
                house.tell("integration.requested", f"{task.task_id}: pull request of {branch}", task=task.task_id,
                           url=where or None)  # fmt: skip
                house.journal.flush()


def merged_elsewhere(house: House, tasks: list[Task], target: str) -> dict[str, str]:
    """Return the tasks whose pull request was merged: by their branch's commit, or by a trailer that came with it."""
    waiting = [task for task in tasks if task.proof is not None and task.proof.request is not None and task.head_sha]
    found: dict[str, str] = {}
    told: dict[str, str] | None = None
    for task in waiting:
        head = task.head_sha or ""
        if house.doors.git.contains(target, head):
            found[task.task_id] = head
            continue
        told = house.doors.git.trailers(house.config.target_branch, "Gluerun-Task") if told is None else told
        if task.task_id in told:
            found[task.task_id] = told[task.task_id]
    return found


def _commands(house: House, task: Task) -> tuple[str, str]:
    return commands(task, "", f"{house.doors.state_root}/{run_path(task.run_id or '', BODY)}")


def _page(house: House, task: Task) -> str:
    """Return the evidence of a task as the text of its pull request, without what looks like a secret."""
    from gluerun.core.masking import masked_text
    from gluerun.loop.evidence import evidence_of

    known, spec = evidence_of(house.store, task), task.spec
    lines = [spec.objective, "", "## Acceptance criteria", "", *(f"- {one}" for one in spec.acceptance_criteria), ""]
    lines += ["## Evidence", "", "| what | digest |", "|---|---|", f"| run | `{task.run_id}` |"]
    lines += [f"| commit | `{task.head_sha}` |", f"| packet | `{task.packet_sha256}` |"]
    lines += [f"| {name} | `{value}` |" for name, value in (("gate", known.gate), ("prompt", known.prompt)) if value]
    if task.proof is not None:
        lines += [f"| proved on | `{task.proof.target_head}` |", f"| proved tree | `{task.proof.tree}` |"]
    lines += ["", f"The gate `{spec.gate_command}` was green on the merge of this commit." if spec.gate_command else ""]
    lines += ["", f"Gluerun-Task: {task.task_id}", f"Gluerun-Run: {task.run_id}", ""]
    return masked_text("\n".join(lines))

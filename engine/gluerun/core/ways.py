"""The way out of everything that can hold a task up: what changes it, and what to type. Data a person can read."""

from __future__ import annotations

from gluerun.core.obstacle import Why
from gluerun.records.failure import Failure

# What changes it, and the command that helps where there is one; {by}, {task}, {target}, {file} are filled in.
WAYS: dict[Why, tuple[str, str]] = {
    Why.STOP: ("nothing is started before STOP is taken away; what is under way goes on", "gluerun resume"),
    Why.NO_TARGET: ("make the branch, or set `targetBranch` to one that exists", "git branch {target}"),
    Why.BREAKER: ("it closes with the next work that lands, or when you reset it", "gluerun breaker reset"),
    Why.RED_MAIN: ("it goes on by itself once the gate is green on {target}: mend it, or land the proposed revert",
                   "gluerun queue"),
    Why.LOW_DISK: ("it goes on by itself when enough is free", "gluerun gc --dry-run"),
    Why.PROVIDER_HELD: ("the provider is asked again by itself at that time, or when you say so",
                        "gluerun clear-backoff"),
    Why.DAY_SPENT: ("it goes on by itself tomorrow, or when `limits.day` is raised", "gluerun costs --by day"),
    Why.ODD_MODE: ("only `canonical` tasks are dispatched: write `Dispatch mode: canonical` in {file}", ""),
    Why.OTHER_TARGET: ("write `Target branch: {target}` in {file}, or run a loop for its own target", ""),
    Why.NOT_APPROVED: ("it goes on once a person has approved it; silence never does", "gluerun approvals"),
    Why.NEED_UNKNOWN: ("write a task {by}, or take it out of `Depends on:` in {file}", "gluerun task list --all"),
    Why.NEED_GIVEN_UP: ("{by} will never be integrated: name its successor, or nothing, in `Depends on:` in {file}",
                        "gluerun task show {by}"),
    Why.NEED_PARKED: ("{by} is parked: it goes on when somebody has seen to that", "gluerun explain {by}"),
    Why.NEED_ITSELF: ("no task can wait for itself: take {by} out of `Depends on:` in {file}", ""),
    Why.NEED_OPEN: ("it starts by itself once {by} is integrated", "gluerun explain {by}"),
    Why.SCOPE_HELD: ("it starts by itself once {by} has landed, or is parked", "gluerun explain {by}"),
    Why.NO_SEAT: ("it starts by itself when a run ends, or when `maxConcurrent` is raised", "gluerun status"),
}  # fmt: skip

# What a person does about a task that a failure parked.
HELPS: dict[Failure, str] = {
    Failure.GATE_RED: "see what the gate printed; mend the gate, or say in the task what is missing",
    Failure.WORKER_NO_PACKET: "see what the agent printed: it ended without an answer",
    Failure.PACKET_INVALID: "see what the agent answered, and whether somebody moved its branch",
    Failure.NO_CHANGES: "the work may be there already: cancel the task, or say what is still missing",
    Failure.COMMIT_FAILED: "git said why it could not commit; mend that",
    Failure.SCOPE_VIOLATION: "add the paths to `Owned files:`, or say that they must stay as they are",
    Failure.WORKER_INFRA: "see why the program could not run; `gluerun doctor` checks it",
    Failure.AUDIT_INFRA: "see why the auditor could not run; `gluerun doctor` checks it",
    Failure.AUDIT_NEEDS_FIX: "read the findings; make the criteria clearer, or smaller",
    Failure.AUDIT_BLOCKED: "read what the auditor says; the task may ask for the impossible",
    Failure.AUDIT_NEEDS_HUMAN: "the auditor wants a decision of yours: write it into the task",
    Failure.AUDIT_UNKNOWN: "the auditor gave no usable verdict: see what it printed",
    Failure.SECRET_DETECTED: "look at the named places; take the secret out, and change it if it was real",
    Failure.PROOF_SKIP_DETECTED: "see which tests prove less than before, and whether they may",
    Failure.LIMIT_REACHED: "raise the limit, or make the task smaller",
    Failure.STALE_LEASE: "its runs kept vanishing: look at the machine (memory, disk, who ends processes)",
    Failure.INTEGRATION_CONFLICT: "the target moved the same lines again and again: bring the task up to date",
    Failure.INTEGRATION_GATE_RED: "it is green alone and red on the target: see what the gate printed there",
}

"""Records → text: what each role is told. No prompt holds an example that a schema would accept."""

from __future__ import annotations

import hashlib

from gluerun.core import gate_words, pipeline
from gluerun.core.continuity import open_findings
from gluerun.records.dispatch import Role
from gluerun.records.failure import Failure
from gluerun.records.pipeline import Occasion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gluerun.records.attempt import Attempt
    from gluerun.records.config import Config
    from gluerun.records.dispatch import Dispatch
    from gluerun.records.failure import FailureNote
    from gluerun.records.gate import GateCheck
    from gluerun.records.packet import PacketClaim
    from gluerun.records.pipeline import GateSpec
    from gluerun.records.task import TaskSpec
    from gluerun.records.verdict import Ledger

_WORKER = """You are a software developer working on one task in a git work tree of your own.

Rules
- Change only the owned paths. Everything else is read-only for you; the engine checks every path.
- Do not run git: the engine computes what changed, commits it and runs the gate on that commit.
- Nobody can answer questions. If you cannot go on, say so under `blockers`.
- When you are done, write one JSON object to the file named by the environment variable GLUERUN_OUTPUT
  (or print it as the last thing you say). Its keys are all optional and no others are allowed: status,
  summary, changedFiles (paths), commands (objects with cmd and exitCode), tests (objects with name, phase
  and status), evidence (objects with kind and ref), blockers (objects with reason), nextAction.
- What you claim is kept as a claim. What counts is what the engine finds in the work tree.
"""

_AUDITOR = """You audit one commit that another agent made. You may read everything and change nothing.

Judge only this: does the commit do what the acceptance criteria say, completely, by honest means? Check
literal names and numbers in the criteria against the difference. Look for tests that were weakened,
skipped or made to pass without the behaviour. The gate's result below was measured by the engine.

Write one JSON object to the file named by the environment variable GLUERUN_OUTPUT (or print it as the
last thing you say). Required keys: verdict (one of: accepted, needs-fix, blocked, needs-human),
rationale, headSha, nonce. Optional keys: findings, requiredFixes, evidenceReviewed, commandsRun (lists of
sentences), findingsStatus (an object from finding id to resolved or still-open). No other keys.
"""

_DECIDER = """A try at a task failed in a way that no rule decides. Say what is to be done.

Write one JSON object to the file named by the environment variable GLUERUN_OUTPUT (or print it as the
last thing you say). Required keys: failureClass (repeat the one below), action, rationale, nonce.
Actions: retry (another try with your rationale as advice), escalate-parked (a person must look), cancel,
supersede, split-task, release, accept-waiver (only where the work is right and a judgement was too
strict; never for red gates, secrets, scope or missing answers). No other keys but nextOwner, confidence.
"""

_TEMPLATES = {Role.WORKER: _WORKER, Role.AUDITOR: _AUDITOR, Role.DECIDER: _DECIDER}


def clipped(text: str, limit: int) -> str:
    """Return the end of *text*, at most *limit* characters, saying what was left out."""
    return text if len(text) <= limit else f"[… {len(text) - limit} characters left out]\n{text[-limit:]}"


def bullets(items: Sequence[str]) -> str:
    """Return *items* as a Markdown list; a dash if there are none."""
    return "\n".join(f"- {item}" for item in items) or "- (none)"


def task_section(spec: TaskSpec, owned: Sequence[str]) -> str:
    """Return a task as every role sees it."""
    parts = [
        f"# {spec.task_id}: {spec.title}",
        f"## Objective\n{spec.objective}",
        f"## Owned paths\n{bullets(owned)}",
        f"## Forbidden paths\n{bullets((*spec.forbidden_files, 'docs/orchestration'))}",
        f"## Acceptance criteria\n{bullets(spec.acceptance_criteria)}",
    ]
    if spec.prerequisites:
        parts.append(f"## Prerequisites\n{bullets(spec.prerequisites)}")
    if spec.test_policy:
        parts.append(f"## Test policy\n{spec.test_policy}")
    if spec.notes:
        parts.append(f"## Notes of the task's author\n{spec.notes}")
    return "\n\n".join(parts)


def own_words(dispatch: Dispatch, role: Role) -> list[str]:
    """Return what the repository says to a role itself, below the rules that hold in every repository."""
    text = dispatch.own_prompts.get(role.value, "").strip()
    return [f"## From this repository (where it differs from the rules above, those hold)\n{text}"] if text else []


def worker(dispatch: Dispatch, attempt: int, trouble: str, config: Config) -> str:
    """Return a worker's prompt; with *trouble* it says, as plain text, what was wrong with the last try.

    The first line of *trouble* is its class and reason and is never cut.
    """
    limit = config.context_section_max_chars
    spec = _spec(dispatch)
    parts = [_WORKER, *own_words(dispatch, Role.WORKER), task_section(spec, dispatch.owned_files)]
    if gates := pipeline.known(config, dispatch.gate_command, Occasion.TASK):
        parts.append(f"## Gate\nThe engine will run: {_commands(gates)}")
    if dispatch.paused and attempt == dispatch.tries_used + 1:
        parts.append(
            f"## You go on from where you were stopped\nA limit stopped the last run ({dispatch.paused.reason}), and a "
            "person lets it go on. The work tree holds what was done by then. Finish it with as little more as you can."
        )
    if dispatch.told:
        parts.append(f"## What a person says about this try\n{dispatch.told}")
    if trouble:
        first, _, rest = trouble.partition("\n")
        parts.append(
            f"## Try {attempt}: what was wrong with the last one\n{first[:limit]}\n{clipped(rest, limit)}".rstrip()
        )
    return "\n\n".join(parts) + "\n"


def template_sha256(role: Role) -> str:
    """Return the hash of what every prompt of a role begins with; another one is another conversation."""
    return hashlib.sha256(_TEMPLATES[role].encode()).hexdigest()


def auditor(
    dispatch: Dispatch,
    head: str,
    nonce: str,
    *,
    claim: PacketClaim | None,
    gate: GateCheck | None,
    patch: str,
    ledger: Ledger | None,
    again: str = "",
    tests: str = "",
) -> str:
    """Return an auditor's prompt about one commit; *again* is what it is told of the audit before."""
    parts = [
        _AUDITOR,
        *own_words(dispatch, Role.AUDITOR),
        f"headSha: {head}\nnonce: {nonce}",
        task_section(_spec(dispatch), dispatch.owned_files),
    ]
    parts.append(f"## Gate\n{_gate_words(gate)}")
    if tests:
        parts.append(f"## What became of the tests (counted by the engine)\n{tests}")
    if claim and claim.summary:
        parts.append(f"## What the developer says (claims, not facts)\n{clipped(claim.summary, 2000)}")
    if again:
        parts.append(again)
    elif standing := open_findings(ledger):
        lines = [f"({finding.id}) {finding.text[:500]}" for finding in standing]
        parts.append(f"## Earlier findings to check\n{bullets(lines)}")
    parts.append(f"## Difference {dispatch.base_sha}..{head}\n{patch}")
    return "\n\n".join(parts) + "\n"


def decider(dispatch: Dispatch, failure: Failure, nonce: str, trouble: str, attempts: Sequence[Attempt]) -> str:
    """Return the prompt that asks a model what to do about a failure."""
    history = [
        f"try {one.n}: {one.failure_class or ('' if one.reason else 'accepted')} {one.reason[:200]}" for one in attempts
    ]
    return "\n\n".join(
        [
            _DECIDER,
            *own_words(dispatch, Role.DECIDER),
            f"failureClass: {failure}\nnonce: {nonce}",
            task_section(_spec(dispatch), dispatch.owned_files),
            f"## Tries so far\n{bullets(history)}",
            f"## What happened\n{clipped(trouble, 8000)}",
            "",
        ]
    )


def carried_over(note: FailureNote | None) -> str:
    """Return what a new run is told about the failure that ended the last one."""
    return f"{note.failure_class}: {note.reason}\n{lead(note)}\n{note.detail}".strip() if note else ""


def lead(note: FailureNote) -> str:
    """Return what the failure of the last run means for the next one, in one sentence that names the paths."""
    words = {
        Failure.INTEGRATION_CONFLICT: "Your branch conflicts with the target branch. The work tree holds both "
        "sides between conflict markers on the new base; resolve them in",
        Failure.INTEGRATION_GATE_RED: "Merged with the target branch, the gate was red. The work tree holds your "
        "work on the new base. Paths",
        Failure.SCOPE_VIOLATION: "The last try changed paths outside its scope. Paths",
        Failure.STALE_LEASE: "The last try vanished before it ended; whatever it left uncommitted was rescued. Paths",
    }
    first = words.get(note.failure_class, "The last run failed. Paths")
    places = f" {', '.join(note.places)}" if note.places else ": none named"
    return f"{first}{places}."


def _commands(gates: Sequence[GateSpec]) -> str:
    """Return what will be run: one command, or those of a pipeline with their names."""
    if len(gates) == 1:
        return gates[0].command
    lines = [f"{gate.name}: {gate.command}" + ("" if gate.required else " (not required)") for gate in gates]
    return "\n" + bullets(lines)


def _gate_words(gate: GateCheck | None) -> str:
    if gate is None:
        return "No gate is configured: nothing was measured."
    if gate.gates:
        return f"On {gate.commit}: {gate.result}.\n{gate_words.summary(gate.gates)}".rstrip()
    return f"`{gate.cmd}` on {gate.commit}: {gate.result}, exit code {gate.exit_code}, {gate.duration_ms} ms."


def _spec(dispatch: Dispatch) -> TaskSpec:
    if dispatch.spec is None:
        raise ValueError(f"{dispatch.run_id} has no task")
    return dispatch.spec

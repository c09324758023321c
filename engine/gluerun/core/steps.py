"""What a run may do, one step at a time, and what each step answers. A drive thinks; its run acts.

Every answer is kept in the run's folder, so that a run whose process is replaced while it waits for a
program goes on exactly where it was: the drive is fed the same answers again.
"""

from __future__ import annotations

from enum import StrEnum

from gluerun.core.tamper import Tamper
from gluerun.records.attempt import AttemptsIndex
from gluerun.records.child import How
from gluerun.records.dispatch import Role, Seat, Usage
from gluerun.records.fault import Fault, Limit
from gluerun.records.gate import GateCheck, GateRun
from gluerun.records.objection import Objection
from gluerun.records.pause import Span
from gluerun.records.pipeline import GateSpec
from gluerun.records.record import record


class Place(StrEnum):
    """The work trees of one run: where the worker works, and where a commit is looked at."""

    WORK = "work"
    GATE = "gate"
    AUDIT = "audit"


@record
class Prepare:
    """Make a work tree, put the provisioned files there; `seed` is a tree or commit to start from."""

    place: Place
    commit: str
    seed: str | None = None


@record
class Prepared:
    """Whether the work tree stands; its set-up commands come next. `trouble` is empty if all went well."""

    trouble: str = ""
    setup: tuple[str, ...] = ()


@record
class RunSetup:
    """Run one set-up command in a place."""

    place: Place
    attempt: int
    index: int
    command: str


@record
class Clear:
    """Rescue what stands at a place and remove it; `label` tells one rescue of a run from another."""

    place: Place
    reason: str
    label: str = ""


@record
class Done:
    """A step that has nothing to tell but its trouble, if any."""

    trouble: str = ""


@record
class OpenDispatch:
    """Ask for the id and the secret of the next agent run."""

    role: Role
    attempt: int


@record
class Opened:
    """The id and the secret of one agent run; for a worker also where it stands, and at which commit."""

    dispatch_id: str
    nonce: str
    cwd: str = ""
    head: str = ""


@record
class RunAgent:
    """Let an agent play a role in a place; `resume` names the session of an earlier try to go on with."""

    role: Role
    attempt: int
    place: Place
    dispatch_id: str
    nonce: str
    prompt: str
    resume: str = ""


@record
class AgentDone:
    """How an agent's run ended, and the answer document it left (None if it left none).

    `answers` is how many different complete answers it gave; more than one is ambiguous.
    `trouble` says why the run did not succeed; it is empty if it did. `tail` is the end of what it printed.
    `fault` is the class of that trouble, `until` the moment before which asking the provider again is useless
    (as the wire has it; empty: nobody said), `limit` what stopped it, and `span` whose limit that is. `seat` is who
    really played the role.
    """

    how: How
    exit_code: int
    trouble: str = ""
    answer: object = None
    answer_error: str = ""
    answers: int = 0
    tail: str = ""
    fault: Fault | None = None
    until: str = ""
    limit: Limit | None = None
    usage: Usage = Usage()
    seat: Seat | None = None
    span: Span | None = None


@record
class Inspect:
    """Look at everything between the base and what now stands in the worker's place."""

    attempt: int
    base: str


@record
class Inspected:
    """What an agent really changed, what looks like a secret in it, and what it did to the tests."""

    changed: tuple[str, ...]
    diff_sha256: str
    secrets: tuple[str, ...] = ()
    trouble: str = ""
    tamper: Tamper | None = None
    objections: tuple[Objection, ...] = ()


@record
class Commit:
    """Commit what stands in the worker's place on top of the base."""

    attempt: int
    base: str
    message: str


@record
class Committed:
    """The commit, and the digest of its code tree."""

    head: str = ""
    code_tree: str = ""
    trouble: str = ""


@record
class RunGate:
    """Run the gate on exactly one commit, in the place prepared for it; what is no receipt is not kept as one.

    Of a pipeline it is one `gate`, in its `stage`; its receipt follows when all have run.
    """

    attempt: int
    commit: str
    command: str
    is_receipt: bool = True
    gate: GateSpec | None = None
    stage: int = 1


@record
class Gated:
    """The receipt of the gate, and the end of its log; of one gate of a pipeline, its `run`."""

    check: GateCheck | None = None
    tail: str = ""
    trouble: str = ""
    run: GateRun | None = None


@record
class KeepReceipt:
    """Keep the receipt of a whole pipeline on one commit: what came of each gate, and by which key it is found."""

    attempt: int
    commit: str
    gate_sha256: str
    runs: tuple[GateRun, ...]


@record
class Compare:
    """Ask which paths differ between two commits."""

    old: str
    new: str


@record
class Compared:
    """The paths that differ between two commits."""

    paths: tuple[str, ...] = ()


@record
class Restore:
    """Let paths in a place be what they are in a commit: not there, if they are not there."""

    attempt: int
    commit: str
    paths: tuple[str, ...]
    place: Place = Place.WORK


@record
class Patch:
    """Ask for the readable difference of two commits; one that is not `needed` may name a commit that is gone."""

    old: str
    new: str
    limit: int
    needed: bool = True


@record
class Patched:
    """A readable difference; not known if one of the commits is gone."""

    text: str
    is_known: bool = True


@record
class Keep:
    """Keep a document in the run's folder; with `attempt` also in the folder of that try."""

    name: str
    document: object
    attempt: int | None = None


@record
class KeepText:
    """Keep a text in the run's folder."""

    name: str
    text: str


@record
class KeepAttempts:
    """Keep the index of tries: before one starts and after it ended."""

    index: AttemptsIndex


@record
class Recall:
    """Read a document that an earlier run of the task kept, or this one."""

    run_id: str
    name: str


@record
class Recalled:
    """A document that was kept; None if there is none."""

    document: object = None


@record
class Tell:
    """Ask for the time of day."""


@record
class Told:
    """The time of day, as the wire has it."""

    now: str


Step = (
    Prepare
    | RunSetup
    | Clear
    | OpenDispatch
    | RunAgent
    | Inspect
    | Commit
    | RunGate
    | KeepReceipt
    | Compare
    | Restore
    | Patch
    | Keep
    | KeepText
    | KeepAttempts
    | Recall
    | Tell
)
Answered = Prepared | Done | Opened | AgentDone | Inspected | Committed | Gated | Compared | Patched | Recalled | Told

"""The verbs of the house: everything a cycle can do, one value each, with the reason a person reads."""

from __future__ import annotations

from gluerun.records.dispatch import Ending
from gluerun.records.failure import Decision, FailureNote
from gluerun.records.gate import GateVerdict
from gluerun.records.origin import PlannerBackoff, ProviderBackoff
from gluerun.records.pipeline import Occasion
from gluerun.records.proposal import TaskBatch
from gluerun.records.record import record
from gluerun.records.redmain import RedState
from gluerun.records.taskfile import TaskFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.records.approval import Approval
    from gluerun.records.flake import Flakes
    from gluerun.records.humangate import GateApproval, GateRequest
    from gluerun.records.order import Order
    from gluerun.records.task import Task


@record
class Admit:
    """Take in a task that was never seen before."""

    task_id: str
    path: str
    mark: str
    file: TaskFile
    reason: str


@record
class Readmit:
    """Take in a task's Markdown again because it changed."""

    task_id: str
    path: str
    mark: str
    file: TaskFile
    reason: str


@record
class Refuse:
    """Remember and report once that an input cannot be used."""

    path: str
    mark: str
    reason: str
    hint: str = ""


@record
class SetAside:
    """Move one of our own files out of the way because it cannot be used."""

    path: str
    reason: str


@record
class Shelve:
    """Finish moving a terminal task to the archive."""

    task_id: str
    reason: str


@record
class Close:
    """A run was accepted: take its packet in, give the lease back."""

    task_id: str
    run_id: str
    ending: Ending
    reason: str


@record
class Settle:
    """A run, or an integration, failed: carry out the decision, give the lease back."""

    task_id: str
    run_id: str | None
    decision: Decision
    note: FailureNote
    tries: int
    reason: str
    seed: bool = False


@record
class HoldBack:
    """A run was broken off because its provider cannot be asked now: note the back-off, give the lease back."""

    task_id: str | None
    node: str | None
    run_id: str
    ending: Ending
    reason: str


@record
class Pause:
    """A run was broken off at a limit: keep its work, give the lease back; a person is asked whether it may go on."""

    task_id: str
    run_id: str
    ending: Ending
    reason: str


@record
class Shorten:
    """A back-off that was written by a clock which has been set back since: let it begin anew."""

    provider: str | None
    backoff: PlannerBackoff | ProviderBackoff
    reason: str


@record
class Unlease:
    """Remove a lease whose run was settled already, or whose task is gone."""

    task_id: str
    run_id: str
    reason: str


@record
class MarkOrphan:
    """Remember since when a run has lost its wrapper while some of its tree lives."""

    run_id: str
    task_id: str | None
    node: str | None
    reason: str


@record
class Stop:
    """End every process of a run."""

    run_id: str
    task_id: str | None
    reason: str


@record
class Chain:
    """Build the candidates of accepted tasks one upon another, the first *onto* a commit: links of the merge queue.

    With `alone` nothing will be built on it. Those `behind` are not built yet, only asked whether they clash with the
    target.
    """

    task_ids: tuple[str, ...]
    onto: str
    reason: str
    alone: bool = False
    behind: tuple[str, ...] = ()


@record
class Prove:
    """Have the gate run on a task's candidate, in a gate slot of its own, unless a receipt answers for it.

    With `rerun` it is asked once more, because it was red.
    """

    task_id: str
    slot: int
    reason: str
    rerun: bool = False


@record
class CallOff:
    """Give up a proof: its run is ended. With `unchain` the candidate goes too, with `alone` it leaves the chain."""

    task_id: str
    reason: str
    unchain: bool = False
    alone: bool = False


@record
class ProofDone:
    """A prover ended green: its candidate may land."""

    task_id: str
    run_id: str
    reason: str


@record
class ProofRed:
    """A prover ended red: this candidate, with everything before it, may not land."""

    task_id: str
    run_id: str
    reason: str


@record
class Advance:
    """Land the proved candidate of a task, and with it those it stands on: one compare-and-swap of the target branch.

    `links` are the tasks whose work lands, in their order.
    """

    task_id: str
    links: tuple[str, ...]
    reason: str


@record
class Notice:
    """The work is in the target branch already: a crash cut the landing from its record."""

    task_id: str
    commit: str
    reason: str


@record
class Propose:
    """Leave the landing of a proved candidate to a person: write down the pull request that is made of it."""

    task_id: str
    reason: str


@record
class Follow:
    """Move the target branch forward to what somebody else pushed."""

    commit: str
    old: str
    reason: str


@record
class SuspectTarget:
    """The target itself may be red, as *task_id* is on its head: nobody is sent back before it was asked.

    With `is_red` it was asked already.
    """

    task_id: str
    commit: str
    gate_command: str
    reason: str
    occasion: Occasion = Occasion.MERGE
    is_red: bool = False


@record
class ProbeTarget:
    """Have the gate run on one commit of the target's line, or on a proposed revert; *again* after so many faults."""

    commit: str
    slot: int
    reason: str
    again: int = 0


@record
class Probed:
    """A probe of the target has ended: green, red, or, with None, without an answer."""

    commit: str
    run_id: str
    is_green: bool | None
    reason: str


@record
class Diagnose:
    """Take the search for what made the target red a step on: a new head, its line, the culprit, or the end."""

    state: RedState
    commit: str
    reason: str


@record
class LandRevert:
    """Land the proved revert of what made the target red, where that is allowed."""

    commit: str
    onto: str
    reason: str


@record
class AwaitNightly:
    """Remember since when the gates of the night are waited for: what lies before is not made up for."""

    reason: str


@record
class ProveNightly:
    """Have the gates of the night run on the target's head, in a place of their own; *again* after so many faults."""

    commit: str
    reason: str
    again: int = 0


@record
class NightlyProved:
    """The night's gates have ended: what they said together."""

    commit: str
    run_id: str
    result: GateVerdict
    reason: str


@record
class Start:
    """Lease a ready task to a new worker."""

    task_id: str
    base: str
    reason: str


@record
class StartPlanner:
    """Lease a node to a planner."""

    node: str
    base: str
    reason: str


@record
class ImportBatch:
    """Admit a planner's batch whole, under ids that a crash cannot give twice."""

    node: str
    run_id: str
    batch: TaskBatch
    final_ids: dict[str, str]
    reason: str


@record
class EndPlanner:
    """Give a node back: its planner failed, or proposed nothing.

    A planner that proposed nothing is not asked again about this node before the target has moved.
    """

    node: str
    run_id: str
    failed: bool
    reason: str
    is_empty: bool = False


@record
class RejectBatch:
    """Give a node back because its planner's batch is not taken in; the planner is told why when it is asked next."""

    node: str
    run_id: str
    reason: str
    park: bool = False


@record
class ProveNode:
    """Run the gate on the target's head, because all tasks of a node are integrated and nothing shows it green."""

    node: str
    reason: str


@record
class NodeProved:
    """A node's gate run has ended: green, red, or without an answer."""

    node: str
    run_id: str
    commit: str
    is_green: bool
    is_red: bool
    reason: str


@record
class Promote:
    """Record that a node is complete, with its evidence."""

    node: str
    reason: str


# The name under which planning's own back-off goes, among those of providers.
PLANNING = "planning"
# The same for the push of the target.
PUSHING = "push"


@record
class Obey:
    """Carry out an order as it was decided, tell of it under the word *event*, and put it with those that are done.

    `tasks` are records as they shall be; with `ends_runs` whatever runs for its task is ended and rescued first.
    `stop` sets STOP or takes it away; `backoffs` are the providers that may be asked again; `approvals`
    are requests as a person decided them, `papers` what they ask and answer about nodes, by path; `flakes` is what is
    known of flakes, with what a person ordered of one.
    """

    order: Order
    event: str
    reason: str
    task_id: str = ""
    tasks: tuple[Task, ...] = ()
    ends_runs: bool = False
    stop: bool | None = None
    resets_breaker: bool = False
    backoffs: tuple[str, ...] = ()
    approvals: tuple[Approval, ...] = ()
    papers: dict[str, GateRequest | GateApproval] = {}  # noqa: RUF012 a default that is never changed
    flakes: Flakes | None = None
    is_repeated: bool = False


@record
class AskApproval:
    """Ask a person about a task: a request that is bound to what it is about, under the next free number."""

    task_id: str
    approval: Approval
    reason: str


@record
class LapseApproval:
    """A request is about something else by now, nobody answered it in time, or it has served; no answer counts as yes.

    One that `is_over` goes to those that are done.
    """

    task_id: str
    approval: Approval
    reason: str
    is_over: bool = False


Action = (
    Admit
    | Readmit
    | Refuse
    | SetAside
    | Shelve
    | Close
    | Settle
    | HoldBack
    | Pause
    | Shorten
    | Unlease
    | MarkOrphan
    | Stop
    | Chain
    | Prove
    | CallOff
    | ProofDone
    | ProofRed
    | Advance
    | Notice
    | Follow
    | Propose
    | SuspectTarget
    | ProbeTarget
    | Probed
    | Diagnose
    | LandRevert
    | AwaitNightly
    | ProveNightly
    | NightlyProved
    | Start
    | StartPlanner
    | ImportBatch
    | EndPlanner
    | RejectBatch
    | ProveNode
    | NodeProved
    | Promote
    | Obey
    | AskApproval
    | LapseApproval
)


def subjects(action: Action) -> tuple[str, ...]:
    """Return every task that an action is about."""
    match action:
        case Chain(task_ids=names) | Advance(links=names):
            return names
        case _:
            name = getattr(action, "task_id", None)
            return (name,) if name else ()


def subject(action: Action) -> str:
    """Return what an action is about: a task, a node, a run, a file or a commit."""
    for name in ("task_id", "node", "run_id", "path", "provider"):
        if value := getattr(action, name, None):
            return str(value)
    if commit := getattr(action, "commit", None):
        return str(commit)[:12]
    if isinstance(action, Chain):
        return action.task_ids[0]
    return action.order.subject if isinstance(action, Obey) else ""

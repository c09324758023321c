"""World: everything that a cycle may know, as one value. Whoever thinks, thinks about this and nothing else."""

from __future__ import annotations

from datetime import datetime

from gluerun.records.config import ApprovalRule, Config
from gluerun.records.dispatch import Ending, Life
from gluerun.records.flake import Flakes
from gluerun.records.graph import Graph
from gluerun.records.lease import Lease, NodeLease
from gluerun.records.nightly import Nightly
from gluerun.records.origin import Circuit, PlannerBackoff, ProviderBackoff, PushBackoff
from gluerun.records.pipeline import Occasion
from gluerun.records.planning import PlanNote
from gluerun.records.proposal import TaskBatch
from gluerun.records.queue import QueueState
from gluerun.records.record import record
from gluerun.records.redmain import RedMain
from gluerun.records.spent import Spent
from gluerun.records.task import Status, Task
from gluerun.records.taskfile import TaskFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.humangates import GateSeen
    from gluerun.core.relation import Outside
    from gluerun.core.risks import Facts
    from gluerun.records.approval import Approval
    from gluerun.records.order import Order


@record
class Sighting:
    """What can be seen of one run: whether somebody of it lives, and its ending if it has one.

    `was_asked` tells whether its dispatch was written, `signed_in` whether its wrapper has ever said who it is;
    `tries` counts the tries it has begun, `age` the seconds that its machine was awake since it signed in under this
    boot. `final_ids` is there once the import of its batch has begun.
    """

    run_id: str
    life: Life
    was_asked: bool = True
    signed_in: bool = False
    ending: Ending | None = None
    tries: int = 0
    age: int | None = None
    batch: TaskBatch | None = None
    final_ids: dict[str, str] | None = None


@record
class Input:
    """A task's Markdown that is new or has changed: what it says, or why it cannot be used."""

    path: str
    mark: str
    task_id: str = ""
    file: TaskFile | None = None
    error: str = ""
    hint: str = ""


@record
class Broken:
    """One of our own files that cannot be used."""

    path: str
    reason: str


@record
class World:
    """One look at one repository. `done` holds the settled tasks that living ones depend on.

    `node_words` says of a node what its gate file says; `red_proofs` are the nodes whose red proof is at hand;
    `facts` is what is known of proved candidates that a person may have to approve; `human_gates` is what
    lies there about the nodes that a person has to approve, `unapproved` what each lacks of it; `queue_state` is what
    the merge queue has learned of its gates, `flakes` which of their tests flake.
    """

    now: datetime
    config: Config
    origin_run: str
    boot_id: str
    target_head: str | None
    tasks: tuple[Task, ...] = ()
    done: dict[str, Status] = {}  # noqa: RUF012 a default that is never changed
    leases: tuple[Lease, ...] = ()
    node_leases: tuple[NodeLease, ...] = ()
    sightings: dict[str, Sighting] = {}  # noqa: RUF012
    branch_heads: dict[str, str] = {}  # noqa: RUF012
    landed: dict[str, str] = {}  # noqa: RUF012
    inputs: tuple[Input, ...] = ()
    broken: tuple[Broken, ...] = ()
    graph: Graph | None = None
    graph_error: str = ""
    passed: frozenset[str] = frozenset()
    node_blocked: frozenset[str] = frozenset()
    node_tasks: dict[str, tuple[str, ...]] = {}  # noqa: RUF012
    exhausted: frozenset[str] = frozenset()
    plan_notes: dict[str, PlanNote] = {}  # noqa: RUF012
    node_words: dict[str, str] = {}  # noqa: RUF012
    red_proofs: frozenset[str] = frozenset()
    green_tree: bool = False
    red_tree: bool = False
    # What is known of a target that is red by itself, and the red candidates whose base nothing shows to be green.
    red_main: RedMain | None = None
    unsure: frozenset[str] = frozenset()
    # The last night's gates; None where they were never awaited.
    nightly: Nightly | None = None
    # Finished nodes that a module holds back as the target stands now, and why.
    held: dict[str, str] = {}  # noqa: RUF012 a default that is never changed
    stop: bool = False
    circuit: Circuit | None = None
    backoff: PlannerBackoff | None = None
    backoffs: dict[str, ProviderBackoff] = {}  # noqa: RUF012
    spent_today: Spent = Spent()
    free_bytes: int = 1 << 62
    next_task: int = 1
    orders: tuple[Order, ...] = ()
    approvals: tuple[Approval, ...] = ()
    facts: dict[str, Facts] = {}  # noqa: RUF012
    next_approval: int = 1
    human_gates: dict[str, GateSeen] = {}  # noqa: RUF012
    unapproved: dict[str, str] = {}  # noqa: RUF012
    queue_state: QueueState = QueueState()
    flakes: Flakes = Flakes()
    # What was last seen of the target on its remote; None where nothing is pushed, or nothing was seen.
    outside: Outside | None = None
    # Tasks whose work is there already, although the target here has not followed.
    sent: frozenset[str] = frozenset()
    # Until when a push that was refused is not made again.
    push_backoff: PushBackoff | None = None

    @property
    def asks_people(self) -> bool:
        """Tell whether a person may ever have to approve anything here; most repositories never ask."""
        config = self.config
        return (
            config.approve_plan is not ApprovalRule.NONE
            or config.approval is not ApprovalRule.NONE
            # A graph that cannot be read may ask for something.
            or bool(config.area_policy or self.approvals or self.graph_error)
            or any(task.spec.approve_plan or task.spec.approval or task.paused for task in self.tasks)
            or any(node.approve_plan or node.approval for node in (self.graph.nodes if self.graph else ()))
        )

    @property
    def has_nights(self) -> bool:
        """Tell whether any gate is meant for the night."""
        return any(Occasion.NIGHTLY in gate.when for gate in self.config.gates)

    def task(self, task_id: str) -> Task | None:
        """Return a living task by its id."""
        return next((task for task in self.tasks if task.task_id == task_id), None)

    def lease(self, task_id: str) -> Lease | None:
        """Return the lease on a task."""
        return next((lease for lease in self.leases if lease.task_id == task_id), None)

    def status_of(self, task_id: str) -> Status | None:
        """Return the status of a task, living or settled; None if nobody knows it."""
        task = self.task(task_id)
        return task.status if task else self.done.get(task_id)

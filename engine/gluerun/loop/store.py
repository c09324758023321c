"""Where each record lies, and how it is read and written. The layout is by state: a cycle lists only what lives.

Writers: the loop writes everything here but `runs/<run>/`, which belongs to its run from the moment that
`dispatch.json` is there.
"""

from __future__ import annotations

from gluerun.core.world import Broken
from gluerun.errors import GluerunError, SchemaError
from gluerun.records import codec, names, schema
from gluerun.records.attempt import AttemptsIndex
from gluerun.records.dispatch import Dispatch, Ending, Identity
from gluerun.records.flake import Flakes
from gluerun.records.lease import Lease, NodeLease
from gluerun.records.nightly import Nightly
from gluerun.records.origin import Circuit, CycleMemory, PlannerBackoff, ProviderBackoff, PushBackoff
from gluerun.records.planning import PlanNote
from gluerun.records.queue import QueueState
from gluerun.records.record import replace
from gluerun.records.redmain import RedMain
from gluerun.records.task import Status, Task
from gluerun.release import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime
    from typing import Any, TypeVar

    from gluerun.ports import Files
    from gluerun.records.approval import Approval
    from gluerun.records.lease import LeaseStatus
    from gluerun.records.order import Order
    from gluerun.records.rate import Rate

    T = TypeVar("T")

LIVE = "tasks/live"
ARCHIVE = "tasks/archive"
FLOORS = "tasks/floors"
LEASES = "leases"
NODE_LEASES = "l1-leases"
PLAN_NOTES = "plan-notes"
MEMORY = "cycle.json"
CIRCUIT = "circuit.json"
QUEUE = "queue.json"
RED_MAIN = "red-main.json"
NIGHTLY = "nightly.json"
FLAKES = "flakes.json"
BACKOFF = "planner-backoff.json"
BACKOFFS = "backoffs"
PUSH_BACKOFF = "push-backoff.json"
STOP = "STOP"
ASIDE = "aside"
IMPORT = "import.json"
SINCE = "tasks/since.json"
ORDERS = "inbox/orders"
ORDERS_DONE = "orders/done"
APPROVALS = "approvals/live"
APPROVALS_DONE = "approvals/done"
SLOTS = "slots"


def archive_path(task_id: str) -> str:
    """Return where a settled task lies: a hundred folders by the last two digits of its id."""
    return f"{ARCHIVE}/{names.check(task_id, names.TASK, 'task id')[-2:]}/{task_id}.json"


def run_path(run_id: str, name: str) -> str:
    """Return the path of a file in a run's folder."""
    return f"runs/{names.check(run_id, names.RUN, 'run id')}/{name}"


def backoff_name(provider: str) -> str:
    """Return a provider's name as the name of a file."""
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in provider).lstrip(".") or "-"


def memory_of(tasks: Collection[Task]) -> CycleMemory:
    """Return what must be remembered of *tasks*: their ids, and what they did for their nodes."""
    node_tasks: dict[str, tuple[str, ...]] = {}
    for task in tasks:
        if task.spec.dag_node and task.status is Status.INTEGRATED:
            node_tasks[task.spec.dag_node] = (*node_tasks.get(task.spec.dag_node, ()), task.task_id)
    highest = max((int(task.task_id.removeprefix("TASK-")) for task in tasks), default=0)
    return CycleMemory(next_task=highest + 1, node_tasks=node_tasks)


class Store:
    """The records of one repository, over its storage door."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.shelved: set[str] = set()

    def is_new(self) -> bool:
        """Tell whether this state folder has never been used, or was lost and is not whole again yet."""
        return self.files.mark(SINCE) is None

    def begin(self, since: str) -> None:
        """Say that the state folder is whole from now on."""
        self.files.write(SINCE, codec.encode({"since": since}))

    # tasks

    def live_tasks(self) -> tuple[list[Task], list[Broken]]:
        """Return the living tasks, and the files that cannot be used."""
        return self._all(Task, LIVE)

    def live_task(self, task_id: str) -> Task | None:
        """Return one living task."""
        return self._one(Task, f"{LIVE}/{names.check(task_id, names.TASK, 'task id')}.json")

    def settled_task(self, task_id: str) -> Task | None:
        """Return one settled task."""
        return self._one(Task, archive_path(task_id))

    def any_task(self, task_id: str) -> Task | None:
        """Return a task, living or settled."""
        return self.live_task(task_id) or self.settled_task(task_id)

    def is_settled(self, task_id: str) -> bool:
        """Tell whether a task lies in the archive."""
        return self.files.mark(archive_path(task_id)) is not None

    def put_task(self, task: Task) -> None:
        """Write a task; a terminal one leaves the living by a rename, its last word already written."""
        self.put_tasks([task])

    def put_tasks(self, tasks: Sequence[Task]) -> None:
        """Write many tasks as one at a time, but for less."""
        self.files.write_all({f"{LIVE}/{task.task_id}.json": schema.dump(task) for task in tasks})
        for task in tasks:
            if task.is_terminal:
                self.shelve(task.task_id)

    def shelve(self, task_id: str) -> None:
        """Move a terminal task to the archive; a power loss may undo it, and then the next look does it again."""
        self.files.move(f"{LIVE}/{task_id}.json", archive_path(task_id), durable=False)
        self.shelved.add(task_id)

    def settled_ids(self) -> list[str]:
        """Return every settled id: slow, for verbs that list history, never for a cycle."""
        found: list[str] = []
        for folder in self.files.names(ARCHIVE):
            found += [name.removesuffix(".json") for name in self.files.names(f"{ARCHIVE}/{folder}")]
        return sorted(found, key=lambda one: (len(one), one))

    def settled_tasks(self) -> list[Task]:
        """Return every settled task that can be read: as slow, for whoever lost or never had what a cycle remembers."""
        found = []
        for task_id in self.settled_ids():
            try:
                task = self.settled_task(task_id)
            except GluerunError:
                continue
            found += [task] if task else []
        return found

    def floor(self, task_id: str) -> int:
        """Return the epoch below which a task may never be given again; 0 unless its record was once lost."""
        path = f"{FLOORS}/{names.check(task_id, names.TASK, 'task id')}.json"
        try:
            found = codec.decode(self.files.read(path) or b"{}", file=path)
        except SchemaError:
            return 0
        epoch = found.get("epoch") if isinstance(found, dict) else None
        return epoch if isinstance(epoch, int) else 0

    def put_floor(self, task_id: str, epoch: int) -> None:
        """Write the epoch below which a task may never be given again."""
        self.files.write(f"{FLOORS}/{task_id}.json", codec.encode({"epoch": epoch}))

    # leases

    def leases(self) -> tuple[list[Lease], list[Broken]]:
        """Return the leases on tasks, and the files that cannot be used."""
        return self._all(Lease, LEASES)

    def grant(self, lease: Lease) -> bool:
        """Write a new lease; False if the task has one."""
        return self.files.create(f"{LEASES}/{lease.task_id}.json", schema.dump(lease))

    def put_lease(self, lease: Lease) -> None:
        """Write a lease again."""
        self.files.write(f"{LEASES}/{lease.task_id}.json", schema.dump(lease))

    def end_lease(self, lease: Lease, status: LeaseStatus) -> None:
        """Give a lease back: its last word goes to its run's folder, then it is gone."""
        self.files.write(run_path(lease.run_id, "lease.json"), schema.dump(replace(lease, status=status)))
        self.sweep_run(lease.run_id)
        self.files.remove(f"{LEASES}/{lease.task_id}.json")

    def node_leases(self) -> tuple[list[NodeLease], list[Broken]]:
        """Return the leases on nodes, and the files that cannot be used."""
        return self._all(NodeLease, NODE_LEASES)

    def put_node_lease(self, lease: NodeLease) -> None:
        """Write a planner's lease."""
        self.files.write(f"{NODE_LEASES}/{lease.node}.json", schema.dump(lease))

    def end_node_lease(self, lease: NodeLease) -> None:
        """Give a node back; its planner's last word stays in its run's folder."""
        self.files.write(run_path(lease.run_id, "lease.json"), schema.dump(lease))
        self.sweep_run(lease.run_id)
        self.files.remove(f"{NODE_LEASES}/{lease.node}.json")

    def plan_notes(self) -> dict[str, PlanNote]:
        """Return why the last batches of nodes were not taken in; a note that cannot be read says nothing."""
        found = [self._or_none(PlanNote, f"{PLAN_NOTES}/{name}") for name in self.files.names(PLAN_NOTES)]
        return {one.node: one for one in found if one is not None}

    def put_plan_note(self, note: PlanNote) -> None:
        """Write why a node's last batch was not taken in."""
        self.files.write(f"{PLAN_NOTES}/{note.node}.json", schema.dump(note))

    def end_plan_note(self, node: str) -> None:
        """Forget what was held against a node's batches: one was taken in."""
        self.files.remove(f"{PLAN_NOTES}/{node}.json")

    # runs

    def put_dispatch(self, dispatch: Dispatch) -> None:
        """Write what a run is asked, before the run exists; who books a run after a power loss asks for it."""
        ours = replace(dispatch, engine_version=VERSION)
        self.files.write(run_path(dispatch.run_id, "dispatch.json"), schema.dump(ours))

    def dispatch(self, run_id: str) -> Dispatch | None:
        """Return what a run is asked."""
        return self._one(Dispatch, run_path(run_id, "dispatch.json"))

    def known_dispatch(self, run_id: str) -> Dispatch | None:
        """Return what a run was asked; None also if that can no longer be read, for whoever only tidies up."""
        try:
            return self.dispatch(run_id)
        except GluerunError:
            return None

    def ending(self, run_id: str) -> Ending | None:
        """Return how a run ended; None if it has not, or if what it left is no ending."""
        try:
            return self._one(Ending, run_path(run_id, "ending.json"))
        except SchemaError:
            return None

    def put_ending(self, ending: Ending) -> None:
        """Write how a run ended; this is the commit point of the run."""
        self.files.write(run_path(ending.run_id, "ending.json"), schema.dump(ending))

    def tries_begun(self, run_id: str) -> int:
        """Return how many tries a run has begun."""
        try:
            index = self._one(AttemptsIndex, run_path(run_id, "attempts/index.json"))
        except SchemaError:
            return 1
        return len(index.attempts) if index else 0

    def sessions(self, run_id: str) -> dict[str, str]:
        """Return what each try of a run did about the session of the try before, as far as that can be read."""
        try:
            index = self._one(AttemptsIndex, run_path(run_id, "attempts/index.json"))
        except SchemaError:
            return {}
        return {str(one.n): one.session for one in index.attempts if one.session} if index else {}

    def was_asked(self, run_id: str) -> bool:
        """Tell whether a run's dispatch was written; without it the run cannot have been started."""
        return self.files.mark(run_path(run_id, "dispatch.json")) is not None

    def has_signed_in(self, run_id: str) -> bool:
        """Tell whether a run's wrapper has said who it is."""
        return self.files.mark(run_path(run_id, "identity.json")) is not None

    def identity(self, run_id: str) -> Identity | None:
        """Return who a run's wrapper is; None if it has not signed in, or if that cannot be read."""
        return self._or_none(Identity, run_path(run_id, "identity.json"))

    def document(self, run_id: str, name: str) -> Any:
        """Return a document of a run's folder; None if it is not there. SchemaError if it is no JSON."""
        path = run_path(run_id, name)
        data = self.files.read(path)
        return None if data is None else codec.decode(data, file=path)

    def known(self, cls: type[T], run_id: str, name: str) -> T | None:
        """Return a record of a run's folder; None if it is not there, or if what is there cannot be used."""
        try:
            return schema.admit(cls, self.document(run_id, name))
        except SchemaError:
            return None

    def final_ids(self, run_id: str) -> dict[str, str] | None:
        """Return the ids that a batch's tasks got for good, by their own; None if it was not taken in."""
        try:
            document = self.document(run_id, IMPORT)
        except SchemaError:
            return None
        return document if isinstance(document, dict) else None

    def put_document(self, run_id: str, name: str, document: object) -> None:
        """Write a document into a run's folder."""
        self.files.write(run_path(run_id, name), codec.encode(document))

    # the loop's own

    def memory(self) -> CycleMemory:
        """Return what the last cycle remembered; if that is lost, what the tasks' records can tell of it.

        A settled one may still lie among the living: a power loss can undo its move.
        """
        known = self._or_none(CycleMemory, MEMORY)
        return known or memory_of([*self.settled_tasks(), *self.live_tasks()[0]])

    def has_memory(self) -> bool:
        """Tell whether anything is remembered."""
        return self.files.mark(MEMORY) is not None

    def put_memory(self, memory: CycleMemory, *, durable: bool = False) -> None:
        """Write what the next cycle may know; most of it only a cache, so without a power-loss promise."""
        self.files.write(MEMORY, schema.dump(memory), durable=durable)

    def circuit(self) -> Circuit | None:
        """Return the breaker's count; None if nothing has failed yet."""
        return self._or_none(Circuit, CIRCUIT)

    def put_circuit(self, circuit: Circuit) -> None:
        """Write the breaker's count."""
        self.files.write(CIRCUIT, schema.dump(circuit))

    def queue_state(self) -> QueueState:
        """Return what the merge queue has learned of its gates."""
        return self._or_none(QueueState, QUEUE) or QueueState()

    def put_queue_state(self, state: QueueState) -> None:
        """Write what the merge queue has learned; nothing is lost with it."""
        self.files.write(QUEUE, schema.dump(state), durable=False)

    def learn_rate(self, words: Callable[[Rate], Rate]) -> None:
        """Keep what gates have shown: by it the batches get their size."""
        state = self.queue_state()
        self.put_queue_state(replace(state, rate=words(state.rate)))

    def red_main(self) -> RedMain | None:
        """Return what is known of a target that is red by itself; None if it never was, or nobody can read it."""
        return self._or_none(RedMain, RED_MAIN)

    def put_red_main(self, red: RedMain) -> None:
        """Write what is known of a red target; lost, it is asked again."""
        self.files.write(RED_MAIN, schema.dump(red))

    def nightly(self) -> Nightly | None:
        """Return what came of the last night's gates; None if they were never awaited."""
        return self._or_none(Nightly, NIGHTLY)

    def put_nightly(self, nightly: Nightly) -> None:
        """Write when the night's gates were asked, and what came of it; lost, the next night is awaited anew."""
        self.files.write(NIGHTLY, schema.dump(nightly))

    def flakes(self) -> Flakes:
        """Return what has flaked."""
        return self._or_none(Flakes, FLAKES) or Flakes()

    def put_flakes(self, flakes: Flakes) -> None:
        """Write what has flaked; a quarantine in it is a person's order, so it is kept through a loss of power."""
        self.files.write(FLAKES, schema.dump(flakes))

    def backoff(self) -> PlannerBackoff | None:
        """Return until when no planner is started."""
        return self._or_none(PlannerBackoff, BACKOFF)

    def put_backoff(self, backoff: PlannerBackoff) -> None:
        """Write until when no planner is started."""
        self.files.write(BACKOFF, schema.dump(backoff))

    def backoffs(self) -> dict[str, ProviderBackoff]:
        """Return the back-offs by provider; one that cannot be read holds nobody."""
        found = [self._or_none(ProviderBackoff, f"{BACKOFFS}/{name}") for name in self.files.names(BACKOFFS)]
        return {one.provider: one for one in found if one is not None}

    def put_provider_backoff(self, backoff: ProviderBackoff) -> None:
        """Write until when a provider is held back."""
        self.files.write(f"{BACKOFFS}/{backoff_name(backoff.provider)}.json", schema.dump(backoff))

    def put_any_backoff(self, backoff: PlannerBackoff | ProviderBackoff) -> None:
        """Write a back-off where it belongs."""
        if isinstance(backoff, ProviderBackoff):
            self.put_provider_backoff(backoff)
        else:
            self.put_backoff(backoff)

    def end_provider_backoff(self, backoff: ProviderBackoff) -> None:
        """Forget a back-off: its provider has answered since."""
        self.files.remove(f"{BACKOFFS}/{backoff_name(backoff.provider)}.json")

    def end_provider_backoff_of(self, provider: str) -> None:
        """Forget the back-off of a provider, because somebody ordered it."""
        self.files.remove(f"{BACKOFFS}/{backoff_name(provider)}.json")

    def end_backoff(self) -> None:
        """Forget until when no planner is started."""
        self.files.remove(BACKOFF)

    def push_backoff(self) -> PushBackoff | None:
        """Return until when a push that was refused is not made again."""
        return self._or_none(PushBackoff, PUSH_BACKOFF)

    def put_push_backoff(self, backoff: PushBackoff) -> None:
        """Write until when a push that was refused is not made again."""
        self.files.write(PUSH_BACKOFF, schema.dump(backoff))

    def end_push_backoff(self) -> None:
        """Forget that a push was refused."""
        self.files.remove(PUSH_BACKOFF)

    def reset_circuit(self, now: datetime) -> None:
        """Begin the breaker's count anew."""
        self.put_circuit(Circuit(consec_fails=0, updated_at=now))

    def set_stop(self, words: str) -> None:
        """Set STOP, with a line that says who did."""
        self.files.write(STOP, f"{words}\n".encode())

    def clear_stop(self) -> None:
        """Take STOP away."""
        self.files.remove(STOP)

    # orders

    def orders(self) -> tuple[list[Order], list[Broken]]:
        """Return the orders that wait, in the order in which they were given, those already decided first."""
        if not (found := self.files.names(ORDERS)):
            return [], []
        from gluerun.records.order import Order

        orders, broken = self._all(Order, ORDERS)
        broken += [
            Broken(path=f"{ORDERS}/{order.id}.json", reason=f"{ORDERS}: an order under another name than its own")
            for order in orders
            if f"{order.id}.json" not in found
        ]

        def turn(order: Order) -> tuple[bool, datetime, int, str]:
            # Two of one second: the file system knows which came first.
            mark = self.files.mark(f"{ORDERS}/{order.id}.json")
            return (order.outcome is None, order.at, mark.mtime_ns if mark else 0, order.id)

        return sorted((one for one in orders if f"{one.id}.json" in found), key=turn), broken

    def put_order(self, order: Order) -> None:
        """Write an order, given or decided."""
        self.files.write(f"{ORDERS}/{names.check(order.id, names.ORDER, 'order id')}.json", schema.dump(order))

    def end_order(self, order: Order) -> None:
        """Put a decided order with those that are done."""
        self.files.move(f"{ORDERS}/{order.id}.json", f"{ORDERS_DONE}/{order.id}.json")

    def done_order(self, order_id: str) -> Order | None:
        """Return an order that is done; None if it is not."""
        from gluerun.records.order import Order

        return self._one(Order, f"{ORDERS_DONE}/{names.check(order_id, names.ORDER, 'order id')}.json")

    # requests for approval

    def approvals(self) -> tuple[list[Approval], list[Broken]]:
        """Return the requests that matter to a task, by number, and the files that cannot be used."""
        if not self.files.names(APPROVALS):
            return [], []
        from gluerun.records.approval import Approval

        found, broken = self._all(Approval, APPROVALS)
        return sorted(found, key=lambda one: (len(one.id), one.id)), broken

    def settled_approvals(self) -> list[Approval]:
        """Return the requests of which nothing will come any more: slow, for verbs that list history."""
        from gluerun.records.approval import Approval

        found, _ = self._all(Approval, APPROVALS_DONE)
        return sorted(found, key=lambda one: (len(one.id), one.id))

    def settled_approval(self, name: str) -> Approval | None:
        """Return one request of which nothing will come any more."""
        from gluerun.records.approval import Approval

        return self._one(Approval, f"{APPROVALS_DONE}/{names.check(name, names.APPROVAL, 'request id')}.json")

    def has_approval(self, name: str) -> bool:
        """Tell whether a request's number was given before."""
        return any(self.files.mark(f"{folder}/{name}.json") for folder in (APPROVALS, APPROVALS_DONE))

    def put_approval(self, approval: Approval, *, is_over: bool = False) -> None:
        """Write a request; one of which nothing will come any more leaves the others by a rename."""
        name = f"{names.check(approval.id, names.APPROVAL, 'request id')}.json"
        self.files.write(f"{APPROVALS}/{name}", schema.dump(approval))
        if is_over or approval.is_over:
            self.files.move(f"{APPROVALS}/{name}", f"{APPROVALS_DONE}/{name}")
            self.shelved.add(approval.id)

    # the rest

    def is_stopped(self) -> bool:
        """Tell whether STOP is set."""
        return self.files.mark(STOP) is not None

    def copy_aside(self, path: str) -> str:
        """Keep a copy of one of our own files where nobody reads it, beside earlier ones, and return where."""
        data = self.files.read(path) or b""
        plain = place = f"{ASIDE}/{path.replace('/', '__')}"
        number = 1
        while (there := self.files.read(place)) is not None and there != data:
            number += 1
            place = f"{plain}.{number}"
        if there is None:
            self.files.write(place, data)
        return place

    def sweep(self) -> None:
        """Remove what a crashed cycle left half-written."""
        planning = (NODE_LEASES, PLAN_NOTES, "imports")
        for folder in (
            "",
            "configs",
            "tasks",
            LIVE,
            FLOORS,
            ASIDE,
            LEASES,
            *planning,
            BACKOFFS,
            ORDERS,
            APPROVALS,
            SLOTS,
        ):
            self.files.sweep(folder)

    def sweep_run(self, run_id: str) -> None:
        """Remove what a run that is over left half-written."""
        attempts = run_path(run_id, "attempts")
        tries = [f"{attempts}/{name}" for name in self.files.names(attempts) if name.isdigit()]
        for folder in (f"runs/{run_id}", run_path(run_id, "outputs"), run_path(run_id, "usage"), attempts, *tries):
            self.files.sweep(folder)

    def _all(self, cls: type[T], folder: str) -> tuple[list[T], list[Broken]]:
        found: list[T] = []
        broken: list[Broken] = []
        for name in self.files.names(folder):
            path = f"{folder}/{name}"
            try:
                one = self._one(cls, path)
            except GluerunError as error:
                broken.append(Broken(path=path, reason=error.message))
                continue
            if one is not None:
                found.append(one)
        return found, broken

    def _one(self, cls: type[T], path: str) -> T | None:
        data = self.files.read(path)
        return None if data is None else schema.load(cls, data, file=path)

    def _or_none(self, cls: type[T], path: str) -> T | None:
        try:
            return self._one(cls, path)
        except SchemaError:
            return None

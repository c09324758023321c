"""The past is looked through and, where a policy or a person says so, given up: under the loop's own lock.

Each removal can be cut at any point and done again; what is removed is chosen anew each time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gluerun.core.collecting import (
    KEPT,
    ConfigSeen,
    GiveUp,
    Kind,
    ReceiptSeen,
    RescueSeen,
    RevertSeen,
    RunSeen,
    Seen,
    SlotSeen,
    plan_collection,
)
from gluerun.errors import GitError, GluerunError, SchemaError, StateError
from gluerun.loop.booking import EXPENSES
from gluerun.loop.hosting import claim, holder, new_origin_run
from gluerun.loop.house import RESCUE
from gluerun.loop.receipts import RECEIPTS, written_at
from gluerun.loop.receipts import sweep as sweep_receipts
from gluerun.loop.store import run_path
from gluerun.records import codec, names
from gluerun.records.dispatch import Life
from gluerun.records.record import record
from gluerun.records.redmain import REVERTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluerun.loop.house import House
    from gluerun.loop.store import Store
    from gluerun.ports import Logged
    from gluerun.records.task import Task

CONFIGS = "configs"


@record
class Given:
    """One thing that was given up, or would be."""

    kind: Kind
    name: str
    reason: str
    bytes: int


@record
class Collected:
    """What `gluerun gc` answers."""

    SCHEMA = "gc.v0"

    acted: bool
    bytes: int
    given: tuple[Given, ...]
    kept_rescues: int


def collect(house: House, *, acting: bool, rescues_older_than: int | None = None) -> Collected:
    """Look through the past and, when *acting*, give up what may be; BusyError if a cycle is at work."""
    if not acting:
        return _collected(*_plan(house, rescues_older_than, with_rescues=True), acted=False)
    with house.doors.locks.origin(holder(house, new_origin_run(house))):
        claim(house)
        house.store.sweep()
        sweep_receipts(house)
        plan, rescues = _plan(house, rescues_older_than, with_rescues=True)
        _give_up(house, plan)
        with house.doors.locks.git():
            house.doors.git.sweep()
        house.journal.flush()
    return _collected(plan, rescues, acted=True)


def tidy(house: House) -> None:
    """Give up what is cheap to: files of old runs and unused settings; the caller holds the loop's lock."""
    _give_up(house, _plan(house, None, with_rescues=False)[0])


def _collected(plan: list[GiveUp], rescues: int, *, acted: bool) -> Collected:
    given = tuple(Given(kind=one.kind, name=one.name, reason=one.reason, bytes=one.size) for one in plan)
    gone = sum(one.kind is Kind.RESCUE for one in plan)
    return Collected(acted=acted, bytes=sum(one.size for one in plan), given=given, kept_rescues=rescues - gone)


def _plan(house: House, rescues_older_than: int | None, *, with_rescues: bool) -> tuple[list[GiveUp], int]:
    tasks, broken = house.store.live_tasks()
    if broken:
        hint = "let a cycle put it aside first: gluerun reconcile --apply"
        words = f"{broken[0].path} cannot be used, so nobody can tell what is still needed"
        raise StateError(words, hint, file=broken[0].path)
    runs = tuple(_runs(house, tasks))
    rescues = tuple(_rescues(house, tasks)) if with_rescues else ()
    seen = Seen(
        now=house.now(),
        runs=runs,
        configs=tuple(_configs(house)),
        rescues=rescues,
        reverts=tuple(_reverts(house)) if with_rescues else (),
        current_config=house.config_digest(),
        slots=tuple(_slots(house)) if with_rescues else (),
        wanted_slots=house.config.gate_slots,
        receipts=tuple(_receipts(house)),
    )
    return plan_collection(seen, house.config.gc, rescues_older_than=rescues_older_than), len(rescues)


def _runs(house: House, tasks: list[Task]) -> Iterator[RunSeen]:
    store = house.store
    live = _living_runs(house, tasks)
    for run_id in store.files.names("runs"):
        began = _moment(run_id)
        if began is None:
            continue
        paths = tuple(path for path in _walk(store, run_path(run_id, "").rstrip("/")) if not _is_history(run_id, path))
        is_live = run_id in live or _may_live(house, run_id)
        size = sum(mark.size for path in paths if (mark := store.files.mark(path)))
        config = _config_of(store, run_id)
        yield RunSeen(run_id=run_id, began=began, paths=paths, size=size, is_live=is_live, config=config)


def _living_runs(house: House, tasks: list[Task]) -> set[str | None]:
    """Return the runs that a lease, a living task, its next try or a node's proof may still look into."""
    leases, broken = house.store.leases()
    nodes, more = house.store.node_leases()
    found: set[str | None] = {lease.run_id for lease in leases}
    found.update(lease.run_id for lease in nodes)
    found.add(house.store.memory().green_run)
    if (red := house.store.red_main()) is not None and not red.is_over:
        found |= {red.run, *(probe.run_id for probe in red.probes)}
    if (night := house.store.nightly()) is not None:
        found.add(night.run)
    if broken or more:
        found.update(house.store.files.names("runs"))
    for task in tasks:
        found |= {task.run_id, task.proof.run_id if task.proof else None}
        asked = _dispatch_of(house.store, task.run_id) if task.run_id else None
        found.add(asked.get("previousRun") if asked else None)
    return found


def _may_live(house: House, run_id: str) -> bool:
    if house.store.ending(run_id) is not None:
        return False
    return _lives(house, run_id)


def _walk(store: Store, folder: str) -> Iterator[str]:
    for name in store.files.names(folder):
        path = f"{folder}/{name}"
        inside = store.files.names(path)
        if inside:
            yield from _walk(store, path)
        else:
            yield path


def _is_history(run_id: str, path: str) -> bool:
    name = path.removeprefix(f"runs/{run_id}/")
    return name in KEPT or name.startswith((f"{EXPENSES}/", "decision-"))


def _dispatch_of(store: Store, run_id: str) -> dict[str, str] | None:
    try:
        document = store.document(run_id, "dispatch.json")
    except GluerunError:
        return None
    return document if isinstance(document, dict) else None


def _config_of(store: Store, run_id: str) -> str:
    return str((_dispatch_of(store, run_id) or {}).get("configSha256", ""))


def _moment(run_id: str) -> datetime | None:
    try:
        names.check(run_id, names.RUN, "run id")
        return datetime.strptime(run_id[4:20], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except (GluerunError, ValueError):
        return None


def _slots(house: House) -> Iterator[SlotSeen]:
    from gluerun.loop import slots  # only who gives something up by word looks at them

    for number, run_id in slots.known(house).items():
        yield SlotSeen(number=number, is_live=bool(run_id) and _lives(house, run_id))


def _lives(house: House, run_id: str) -> bool:
    return house.doors.processes.life(run_id) is not Life.DEAD


def _configs(house: House) -> Iterator[ConfigSeen]:
    files = house.store.files
    for name in files.names(CONFIGS):
        path = f"{CONFIGS}/{name}"
        mark = files.mark(path)
        if mark is not None and name.endswith(".json"):
            at = datetime.fromtimestamp(mark.mtime_ns // 1_000_000_000, UTC)
            yield ConfigSeen(digest=name.removesuffix(".json"), path=path, size=mark.size, at=at)


def _receipts(house: House) -> Iterator[ReceiptSeen]:
    files, border = house.store.files, house.now() - timedelta(days=house.config.gc.keep_days)
    for folder in files.names(RECEIPTS):
        for name in files.names(f"{RECEIPTS}/{folder}"):
            path = f"{RECEIPTS}/{folder}/{name}"
            mark = files.mark(path)
            if mark is None:
                continue
            at = datetime.fromtimestamp(mark.mtime_ns // 10**9, UTC)
            if at <= border:  # a folder that was copied has other time stamps; only what may go is read
                at = written_at(house, path) or at
            yield ReceiptSeen(path=path, size=mark.size, at=at)


def _rescues(house: House, tasks: list[Task]) -> Iterator[RescueSeen]:
    git = house.doors.git
    live = {task.task_id for task in tasks}
    needed = {task.seed_sha for task in tasks} | {task.head_sha for task in tasks} | {task.audit_sha for task in tasks}
    kept = git.kept(RESCUE)
    target = git.head(house.config.target_branch)
    told = {one.commit: one for one in git.told(tuple(dict.fromkeys(kept.values())))}
    for ref, commit in kept.items():
        subject = ref.removeprefix(f"{RESCUE}/").split("/")[0]
        yield RescueSeen(
            ref=ref,
            commit=commit,
            at=when(told[commit]),
            is_live=subject in live or commit in needed,
            is_elsewhere=target is not None and _is_elsewhere(house, commit, told[commit], target),
        )


def _reverts(house: House) -> Iterator[RevertSeen]:
    git, red = house.doors.git, house.store.red_main()
    kept = git.kept(REVERTS)
    told = {one.commit: one for one in git.told(tuple(dict.fromkeys(kept.values())))} if kept else {}
    for ref, commit in kept.items():
        at = datetime.fromtimestamp(told[commit].at, UTC)
        yield RevertSeen(ref=ref, commit=commit, at=at, is_live=red is not None and not red.is_over)


def when(told: Logged) -> datetime:
    """Return when a rescue was made: as its trailer says, or else when its commit was."""
    said = trailer(told.message, "Gluerun-Rescue")
    try:
        return codec.moment(said)
    except (ValueError, SchemaError):  # a ref that somebody else put there
        return datetime.fromtimestamp(told.at, UTC)


def trailer(message: str, key: str) -> str:
    """Return the value of a trailer; empty if there is none."""
    lines = [line.removeprefix(f"{key}: ") for line in message.splitlines() if line.startswith(f"{key}: ")]
    return lines[-1].strip() if lines else ""


def _is_elsewhere(house: House, commit: str, told: Logged, target: str) -> bool:
    """Tell whether the target has this commit, or every path that it changed just as it has it."""
    git = house.doors.git
    if git.contains(target, commit):
        return True
    base = trailer(told.message, "Gluerun-Rescue-Base")
    try:
        # The way from the base may hold what the end no longer shows; only one step is looked into.
        parents = told.parents
        if not base or any(not git.contains(target, one) for one in parents):
            return False
        changed = {one.path for one in git.changes(base, commit)}
        return changed.isdisjoint(one.path for one in git.changes(target, commit))
    except GitError:
        return False


def _give_up(house: House, plan: list[GiveUp]) -> None:
    files = house.store.files
    for one in plan:
        if one.kind in (Kind.RESCUE, Kind.REVERT):
            house.doors.git.forget(one.name, one.commit)
            house.tell(f"{one.kind}.given-up", f"{one.name}: {one.reason}", ref=one.name, commit=one.commit)
            continue
        if one.kind is Kind.SLOT:
            from gluerun.loop import slots

            slots.give_up(house, int(one.name))
            continue
        for path in one.paths:
            files.drop(path) or files.remove(path)
        if one.kind is Kind.RUN:
            _drop_empty(house.store, f"runs/{one.name}")
    if plan:
        size = sum(one.size for one in plan)
        house.tell("state.collected", f"{len(plan)} things of the past were given up", bytes=size, count=len(plan))


def _drop_empty(store: Store, folder: str) -> None:
    for name in store.files.names(folder):
        _drop_empty(store, f"{folder}/{name}")
    store.files.drop(folder)

"""What the programs of a task printed: of the current try, of a past one, or as it comes."""

from __future__ import annotations

import re

from gluerun.core.masking import Mask
from gluerun.errors import GluerunError, UsageError
from gluerun.loop.store import run_path
from gluerun.records.record import record
from gluerun.records.task import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gluerun.loop.house import House
    from gluerun.records.task import Task

PROVER = "prover"
ROLES = ("worker", "auditor", "decider", "gate", "setup", PROVER)
# The one group that no role fills is the name of a gate; `gates` is what sums up a pipeline.
_LOG = re.compile(r"^([0-9]+)-(?:([a-z0-9][a-z0-9-]*)-(?=gate\.))?([a-z]+)\.log$")
# What moves a cursor or gives a colour means nothing in a page of lines.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_PAUSE = 0.25
# A file that grows while it is looked at is looked at again, so often; then it is read whole.
_LOOKS = 3
_LONGEST = 8_388_608


@record
class LogFile:
    """What one program printed, and which program of which try that was."""

    run: str
    role: str
    attempt: int
    number: int
    path: str
    gate: str = ""


@record
class LogPage:
    """What `gluerun logs --json` answers: the last lines of one log; no role if nothing was printed yet."""

    SCHEMA = "logs.v0"

    task: str
    lines: tuple[str, ...]
    is_cut: bool = False
    run: str = ""
    role: str = ""
    attempt: int = 0
    path: str = ""
    gate: str = ""


@record
class Piece:
    """A part of what is followed: the beginning of a log, a line, or in one word how it ended."""

    log: LogFile | None = None
    line: str | None = None
    over: str = ""


@record
class Wanted:
    """Which logs are meant: of which role or gate (empty: any), of which try (0: the latest)."""

    role: str = ""
    attempt: int = 0
    gate: str = ""


def page(house: House, task_id: str, wanted: Wanted, count: int) -> LogPage:
    """Return the last *count* lines (0: all) of the latest log that is meant."""
    logs = logs_of(house, _task(house, task_id), wanted)
    if not logs:
        if wanted.attempt or wanted.role or wanted.gate:
            raise UsageError(
                f"{task_id} has no log of {_meant(wanted)}", "`gluerun task show` lists its tries; gc gives up old logs"
            )
        return LogPage(task=task_id, lines=())
    log = logs[-1]
    lines, is_cut = _last_lines(house, log, count)
    return LogPage(
        task=task_id,
        lines=lines,
        is_cut=is_cut,
        run=log.run,
        role=log.role,
        attempt=log.attempt,
        path=log.path,
        gate=log.gate,
    )


def logs_of(house: House, task: Task, wanted: Wanted) -> list[LogFile]:
    """Return the logs of a task's runs that are still there, in the order in which they were begun."""
    found: list[LogFile] = []
    for run_id, is_proof in _runs(house, task):
        for attempt in sorted(filter(str.isdigit, house.store.files.names(run_path(run_id, "attempts"))), key=int):
            folder = run_path(run_id, f"attempts/{attempt}")
            names = [match for name in house.store.files.names(folder) if (match := _LOG.match(name))]
            found += [
                LogFile(
                    run=run_id,
                    role=PROVER if is_proof else match[3].removesuffix("s"),
                    attempt=int(attempt),
                    number=int(match[1]),
                    path=f"{folder}/{match[0]}",
                    gate=match[2] or "",
                )
                for match in sorted(names, key=lambda match: int(match[1]))
            ]
    return [one for one in found if _is_meant(one, wanted)]


def follow(house: House, task_id: str, wanted: Wanted, count: int) -> Iterator[Piece]:
    """Yield what is printed from now on, the last *count* lines before it, until the task has settled."""
    task = _task(house, task_id)
    earlier = logs_of(house, task, wanted)
    done = {one.path for one in earlier[:-1]}
    streams: dict[str, _Stream] = {}
    if earlier:
        last = earlier[-1]
        yield Piece(log=last)
        lines, _ = _last_lines(house, last, count)
        yield from (Piece(line=line) for line in lines)
        mark = house.store.files.mark(last.path)
        # What came between the two looks is shown by the next one, or twice: nothing is left out.
        streams[last.path] = _Stream(house, last.path, at=_whole(house, last.path, mark.size if mark else 0))
    while True:
        task = _task(house, task_id)
        is_over = _is_over(house, task)
        logs = [one for one in logs_of(house, task, wanted) if one.path not in done]
        for log in logs:
            if log.path not in streams:
                streams[log.path] = _Stream(house, log.path)
                yield Piece(log=log)
            is_last = log.path == logs[-1].path
            yield from (Piece(line=line) for line in streams[log.path].more(to_the_end=is_over or not is_last))
        done |= {one.path for one in logs[:-1]}
        if is_over:
            yield Piece(over=task.status.value if task.status is not Status.BLOCKED else "parked")
            return
        house.doors.watch.wait((), _PAUSE)


class _Stream:
    """A log as it grows, in whole lines without secrets."""

    def __init__(self, house: House, path: str, at: int = 0) -> None:
        self._files = house.store.files
        self._path = path
        self._at = at
        self._rest = b""
        self._mask = Mask()

    def more(self, *, to_the_end: bool) -> list[str]:
        """Return the lines that came since; with *to_the_end* also one that was not ended."""
        data = self._rest + self._grown()
        lines = data.split(b"\n")
        self._rest = lines.pop()
        if to_the_end and self._rest:
            lines.append(self._rest)
            self._rest = b""
        return [text for line in lines if (text := clean(line, self._mask.line)) is not None]

    def _grown(self) -> bytes:
        for _ in range(_LOOKS):
            mark = self._files.mark(self._path)
            if mark is None or mark.size <= self._at:
                return b""
            data = self._files.tail(self._path, mark.size - self._at)
            again = self._files.mark(self._path)
            if again is not None and again.size == mark.size:
                self._at = mark.size
                return data
        data = (self._files.read(self._path) or b"")[self._at :]
        self._at += len(data)
        return data


def clean(line: bytes, mask: Callable[[bytes], bytes]) -> str | None:
    """Return a line as it may leave: without secrets, and with nothing that a terminal obeys; None for a key's part."""
    bare = line.rstrip(b"\r")
    kept = mask(bare)
    if bare and not kept:
        return None
    return _ESCAPES.sub("", kept.decode("utf-8", "replace"))


def _last_lines(house: House, log: LogFile, count: int) -> tuple[tuple[str, ...], bool]:
    """Return the last whole lines of a log, and whether there were more."""
    data, size = b"", 65_536
    while True:
        data = house.store.files.tail(log.path, size)
        if len(data) < size or size >= _LONGEST or (count and data.count(b"\n") > count + 1):
            break
        size *= 4
    is_cut = len(data) == size
    if is_cut:
        data = data.partition(b"\n")[2]
    mask = Mask()
    lines = [text for line in data.splitlines() if (text := clean(line, mask.line)) is not None]
    kept = lines[-count:] if count else lines
    return tuple(kept), is_cut or len(kept) < len(lines)


def _whole(house: House, path: str, size: int) -> int:
    """Return where the last whole line of a log ends: what follows is shown when it is whole."""
    tail = house.store.files.tail(path, 65_536)
    return size - (len(tail) - tail.rfind(b"\n") - 1) if b"\n" in tail else size


def _task(house: House, task_id: str) -> Task:
    from gluerun.edge.views import known_task

    return known_task(house, task_id)


def _runs(house: House, task: Task) -> list[tuple[str, bool]]:
    """Return the runs of a task, oldest first, and of each whether it is the proof of its candidate."""
    found: list[tuple[str, bool]] = []
    run_id = task.run_id
    while run_id is not None and (run_id, False) not in found:
        found.insert(0, (run_id, False))
        dispatch = house.store.known_dispatch(run_id)
        run_id = dispatch.previous_run if dispatch else None
    if task.proof is not None and task.proof.run_id is not None:
        found.append((task.proof.run_id, True))
    return found


def _is_meant(log: LogFile, wanted: Wanted) -> bool:
    return wanted.role in ("", log.role) and wanted.attempt in (0, log.attempt) and wanted.gate in ("", log.gate)


def _meant(wanted: Wanted) -> str:
    role = f"a {wanted.role}" if wanted.role else "any program"
    role = f"the gate {wanted.gate}" if wanted.gate else role
    return f"{role} in try {wanted.attempt}" if wanted.attempt else role


def _is_over(house: House, task: Task) -> bool:
    """Tell whether nothing more will be printed before a person acts."""
    if task.is_terminal or task.status is Status.BLOCKED:
        return True
    try:
        leases, _ = house.store.leases()
    except GluerunError:
        return False
    held = any(lease.task_id == task.task_id for lease in leases)
    return task.status is Status.ACCEPTED and not house.config.auto_integrate and not held

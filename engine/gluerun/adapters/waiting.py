"""What the small waiter does: start one child, watch its limits, end its tree, tell how it ended, go on.

It stands in for a run's wrapper while an agent or a gate works for hours, in the same process and with the
same pulse, at a fraction of its memory. So it imports next to nothing; a test measures what is left.
"""

from __future__ import annotations

import errno
import os
import time

from gluerun.adapters import tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Any, NoReturn
else:
    # The public module wraps every number in an enum: 0.8 MiB in each waiting process.
    import _signal as signal

MARKER = "GLUERUN_DISPATCH"

MISSING_CODE = 127
CONTINUATION_FAILED = 70
# How often the log is looked at; a death or a TERM is noticed at once.
_TICK = 0.25
# A machine that wakes from sleep finds its deadlines passed: its agents get this long to go on.
_WAKE_GRACE = 60.0
# The last processes of a pipeline may end a moment after the child itself.
_SETTLE = 0.1

_STOPS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_WATCHED = _STOPS | {signal.SIGCHLD}
# What a program may find ignored though it never asked for that: by the interpreter, by `nohup`, by a `&`.
_USUAL = _STOPS | {signal.SIGPIPE, signal.SIGXFSZ, signal.SIGQUIT, signal.SIGCHLD}


def main(argv: list[str]) -> int:
    """Wait for one child, write how it ended, and become the program that goes on."""
    spec_path, done_path, then_json = argv
    watch = _Watch()
    spec = parse(_slurp(spec_path))
    # The environment in it may hold secrets; nobody needs it any more.
    os.unlink(spec_path)
    started = _now()
    how, code, survivors = _run(spec, watch)
    duration_ms = int((_now() - started) * 1000)
    # The name is one of our own ids: letters, digits, dots, dashes.
    _write_whole(
        done_path,
        "{\n"
        '  "schema": "gluerun.orchestration.child-done.v0",\n'
        f'  "name": "{spec["name"]}",\n  "how": "{how}",\n  "exitCode": {code},\n'
        f'  "durationMs": {duration_ms},\n  "survivors": {survivors},\n'
        f'  "confined": "{spec.get("confined", "")}"\n'
        "}\n",
    )
    then = parse(then_json.encode())
    watch.close(forget=how == "killed")
    return _become(then) if then else 0


def parse(data: bytes) -> Any:
    """Read JSON, with the interpreter's own scanner where it has one: the full module costs 0.4 MiB."""
    text = data.decode()
    try:
        from _json import make_scanner
    except ImportError:
        import json

        return json.loads(text)
    value, _ = make_scanner(_Scan())(text.lstrip(), 0)  # type: ignore[arg-type]  # any object with these fields will do
    return value


class _Scan:
    """What the scanner wants to know of a decoder."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


class _Watch:
    """The signals that wake the waiter: a child's death, and requests to stop."""

    def __init__(self) -> None:
        # Where a parent ignored it, and that is inherited, the kernel would throw exit codes away.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._stopped = False
        self._waits = hasattr(signal, "sigtimedwait")
        if self._waits:
            signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        else:
            for number in _STOPS:
                signal.signal(number, self._stop)

    def pause(self, seconds: float) -> bool:
        """Wait for *seconds* or until something happens; tell whether somebody wants us to stop."""
        if self._waits:
            caught = signal.sigtimedwait(_WATCHED, max(seconds, 0.0))
            return caught is not None and caught.si_signo in _STOPS
        time.sleep(min(max(seconds, 0.0), 0.05))
        return self._stopped

    def close(self, *, forget: bool) -> None:
        """Let signals act again; with *forget* the ones that wait are dropped, their work is done."""
        if not self._waits:
            return
        while forget and signal.sigtimedwait(_WATCHED, 0) is not None:
            pass
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)

    def _stop(self, *_: object) -> None:
        self._stopped = True


class _Limits:
    """What a child may use: seconds in all, seconds of silence, bytes of output."""

    def __init__(self, spec: dict[str, Any], log: int) -> None:
        self._log = log
        self._floor = self._size = os.fstat(log).st_size
        self._cap = spec["maxLogBytes"]
        self._idle = spec["idle"]
        self._grown_at = time.monotonic()
        self._deadline = _now() + spec["timeout"] if spec["timeout"] else None
        self._asleep = _now() - time.monotonic()

    def broken(self) -> str:
        """Return how a child must end whose limit is passed now; empty if none is."""
        now, awake = _now(), time.monotonic()
        if now - awake - self._asleep > 1 and self._deadline is not None:
            self._deadline = max(self._deadline, now + _WAKE_GRACE)
        self._asleep = now - awake
        size = os.fstat(self._log).st_size
        if size != self._size:
            self._size, self._grown_at = size, awake
        if self._cap and size - self._floor > self._cap:
            return "killed"
        if self._deadline is not None and now >= self._deadline:
            return "timed-out"
        if self._idle and awake - self._grown_at >= self._idle:
            return "idle"
        return ""

    def next_look(self) -> float:
        """Return how many seconds may pass until the next look."""
        left = _TICK if self._deadline is None else min(_TICK, self._deadline - _now())
        return max(left, 0.001)

    def trim(self) -> None:
        """Cut what a child wrote beyond its cap before it could be stopped."""
        if self._cap and os.fstat(self._log).st_size - self._floor > self._cap:
            os.ftruncate(self._log, self._floor + self._cap)
            os.write(self._log, b"\ngluerun: the output was cut here: it had passed its limit\n")


def _run(spec: dict[str, Any], watch: _Watch) -> tuple[str, int, int]:
    log = _open_log(spec["log"])
    limits = _Limits(spec, log)
    child, reason = _spawn(spec, log)
    if reason:
        os.write(log, f"gluerun: cannot start {spec['argv'][0]}: {reason}\n".encode())
        return "missing", MISSING_CODE, 0
    how = ""
    while not how and not _has_ended(child):
        if watch.pause(limits.next_look()):
            how = "killed"
        elif not _has_ended(child):
            how = limits.broken()
    # The dead child is not reaped before its tree is gone, so that its session's number stays its own.
    outlived = 0 if how else len(_still_there(spec["marker"]))
    left = tree.end_carriers(MARKER, spec["marker"], grace=spec["grace"], also=(child,))
    limits.trim()
    return how or "exited", _reap(child), outlived or len(left)


def _spawn(spec: dict[str, Any], log: int) -> tuple[int, str]:
    """Start the child in a session of its own; return its pid, or why it could not be started."""
    answer, tell = os.pipe()
    child = os.fork()
    if child == 0:
        _be_the_child(spec, log, tell)
    os.close(tell)
    told = os.read(answer, 4096)
    os.close(answer)
    if told:
        os.waitpid(child, 0)
    return child, told.decode(errors="replace")


def _be_the_child(spec: dict[str, Any], log: int, tell: int) -> NoReturn:
    try:
        os.setsid()
        for number in _USUAL:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.dup2(os.open(spec["stdin"] or os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(spec["cwd"])
        os.execvpe(spec["argv"][0], spec["argv"], spec["env"])
    except BaseException as error:  # noqa: BLE001  # nothing may unwind into a second waiter
        os.write(tell, str(error).encode()[:4096])
    os._exit(MISSING_CODE)


def _has_ended(child: int) -> bool:
    """Tell whether the child is dead, leaving it unreaped where the system can do that."""
    if hasattr(os, "waitid"):
        return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    if child not in _REAPED:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            _REAPED[child] = status
    return child in _REAPED


_REAPED: dict[int, int] = {}


def _reap(child: int) -> int:
    """Return the child's exit code, negative for a signal; -9 if even KILL did not end it."""
    if child not in _REAPED:
        pid, status = os.waitpid(child, os.WNOHANG)
        if not pid:
            return -signal.SIGKILL
        _REAPED[child] = status
    return os.waitstatus_to_exitcode(_REAPED[child])


def _still_there(marker: str) -> list[int]:
    """Return who outlived the child by more than a moment."""
    deadline = time.monotonic() + _SETTLE
    while (found := tree.carriers(MARKER, marker)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def _write_whole(path: str, text: str) -> None:
    folder, base = os.path.split(path)
    temporary = f"{folder}/.{base}.{os.urandom(6).hex()}.tmp"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        os.write(handle, text.encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    os.rename(temporary, path)
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _become(argv: list[str]) -> int:
    """Replace this process by the program that goes on; return only if that is not possible."""
    try:
        os.execv(argv[0], argv)
    except OSError as error:
        os.write(2, f"gluerun: cannot go on with {argv[0]}: {error}\n".encode())
    return CONTINUATION_FAILED


def _open_log(path: str) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    try:
        return os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return os.open(path, flags, 0o666)


def _slurp(path: str) -> bytes:
    handle = os.open(path, os.O_RDONLY)
    try:
        data = b""
        while part := os.read(handle, 65_536):
            data += part
        return data
    finally:
        os.close(handle)


def _now() -> float:
    """Return seconds that also pass while the machine sleeps, where the system counts them."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()

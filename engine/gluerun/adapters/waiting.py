"""What the small waiter does: start one child, keep its output, watch its limits, end its tree, tell, go on.

It stands in for a run's wrapper while an agent or a gate works for hours, in the same process and with the
same pulse, at a fraction of its memory. So it imports next to nothing; a test measures what is left.
"""

from __future__ import annotations

import errno
import os
import select
import time

from gluerun.adapters import cgroups, stopping, tree
from gluerun.adapters.output import Output, lines_of
from gluerun.adapters.stopping import Kin

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from typing import Any, NoReturn

    from gluerun.adapters.metering import Meter
else:
    # The public module wraps every number in an enum: 0.8 MiB in each waiting process.
    import _signal as signal

MARKER = "GLUERUN_DISPATCH"

# By what means a tree may be ended, the best first; all that may be used are used together.
CGROUP, PID_NAMESPACE, SUBREAPER, BY_MARKER = TIERS = ("cgroup", "pid-namespace", "subreaper", "marker")

MISSING_CODE = 127
REFUSED_CODE = 126
CONTINUATION_FAILED = 70
# How long nothing is looked at; a death, a TERM and output are noticed at once. A sleep of the machine is not.
_TICK = 1.0
# A machine that wakes from sleep finds its deadlines passed: its agents get this long to go on.
_WAKE_GRACE = 60.0
# How long nobody notices that a slot was left.
_SLOT_TICK = 0.2
# The last processes of a pipeline may end a moment after the child itself.
_SETTLE = 0.1
# What a dead tree has printed lies in the pipe; somebody who outlives it may go on printing.
_DRAIN = 1.0
_NO_LIMIT = ("", "")
_COUNTED = ("usd", "tokens", "turns")
_SIGNALS = {"INT": signal.SIGINT, "TERM": signal.SIGTERM}

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
    slot, refusal = _slot(spec, watch) if spec.get("slots") else (-1, "")
    started = _now()
    end = _End("refused", REFUSED_CODE) if refusal else _run(spec, watch)
    duration_ms = int((_now() - started) * 1000)
    if slot >= 0:
        os.close(slot)
    # The names are our own words: letters, digits, dots, dashes.
    text = (
        "{\n"
        '  "schema": "gluerun.orchestration.child-done.v0",\n'
        f'  "name": "{spec["name"]}",\n  "how": "{end.how}",\n  "exitCode": {end.code},\n'
        f'  "durationMs": {duration_ms},\n  "survivors": {end.survivors},\n'
        + (f'  "tier": "{end.tier}",\n' if end.tier else "")
        + (f'  "limit": "{end.limit}",\n' if end.limit else "")
        + (f'  "confined": "{spec["confined"]}",\n' if spec.get("confined") else "")
        + (f'  "refusal": "{refusal}",\n' if refusal else "")
        + f'  "ended": {end.ended}\n'
        "}\n"
    )
    try:
        _write_whole(done_path, text)
    except OSError as error:
        # A full disk: what was held back for that, as the storage door does it.
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        os.unlink(spec["ballast"])
        _write_whole(done_path, text)
    then = parse(then_json.encode())
    watch.close()
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
    """What wakes the waiter: a child's death, requests to stop, and output."""

    def __init__(self) -> None:
        self.is_stopped = False
        self._heeded = False
        self._pending = 0
        self._bell, ring = os.pipe()
        for handle in (self._bell, ring):
            os.set_blocking(handle, False)
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
        # Where a parent ignored a death, and that is inherited, the kernel would throw exit codes away.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._before = {number: signal.signal(number, self._stop) for number in _STOPS}
        self._poll = select.poll()
        self._poll.register(self._bell, select.POLLIN)
        self._output: Output | None = None
        self._child = 0

    def attach(self, output: Output, child: int) -> None:
        """Wake on the output of *child*, too, and take it."""
        self._output = output
        self._child = child
        for stream in output.open:
            self._poll.register(stream, select.POLLIN)

    def pause(self, seconds: float) -> None:
        """Wait for *seconds* or until something happens, and take what there is to take."""
        for handle, _ in self._poll.poll(max(int(seconds * 1000), 1)):
            if handle == self._bell:
                self._answer()
            elif self._output is None or handle not in self._output.open or self._output.has_ended(handle):
                self._poll.unregister(handle)
        _reap_adopted(self._child)

    def heed(self) -> None:
        """Do what a stop asks for: whoever asks again from now on asks for nothing new."""
        self._heeded = True

    def close(self) -> None:
        """Let signals act as they did; a stop that came too late for the child acts now."""
        signal.set_wakeup_fd(-1)
        for number, action in self._before.items():
            signal.signal(number, signal.SIG_DFL if action is None else action)
        if self._pending and not self._heeded:
            os.kill(os.getpid(), self._pending)

    def _answer(self) -> None:
        try:
            while os.read(self._bell, 512):
                pass
        except BlockingIOError:
            pass

    def _stop(self, number: int, *_: object) -> None:
        self.is_stopped = True
        self._pending = number


class _Limits:
    """What a child may use: seconds in all, seconds of silence, bytes of output, and what a meter counts."""

    def __init__(self, spec: dict[str, Any], output: Output, meter: Meter | None) -> None:
        limits = spec.get("limits") or {}
        seconds = _smaller(spec["timeout"], limits.get("seconds"))
        self._output = output
        self._meter = meter
        self._idle = _smaller(spec["idle"], limits.get("idleSeconds"))
        self._deadline = _now() + seconds if seconds else None
        self._asleep = _now() - time.monotonic()
        own = limits.get("outputBytes")
        self._spent = "limit" if own and own == _cap(spec) else "killed"

    def broken(self) -> tuple[str, str]:
        """Return how a child must end whose limit is passed now, and the limit; nothing if none is."""
        now, awake = _now(), time.monotonic()
        if now - awake - self._asleep > 1 and self._deadline is not None:
            self._deadline = max(self._deadline, now + _WAKE_GRACE)
        self._asleep = now - awake
        if (spent := self.spent()) != _NO_LIMIT:
            return spent
        if self._deadline is not None and now >= self._deadline:
            return "timed-out", "seconds"
        if self._idle and awake - self._output.heard_at >= self._idle:
            return "idle", "idle"
        return _NO_LIMIT

    def spent(self) -> tuple[str, str]:
        """Return the same for what does not depend on time: it counts for a child that has just ended, too."""
        if self._output.is_over:
            return self._spent, "output"
        if self._meter is not None and self._meter.over and not self._meter.has_ended:
            return "limit", self._meter.over
        return _NO_LIMIT

    def next_look(self) -> float:
        """Return how many seconds may pass until the next look."""
        left = _TICK
        if self._deadline is not None:
            left = min(left, self._deadline - _now())
        if self._idle:
            left = min(left, self._output.heard_at + self._idle - time.monotonic())
        return max(left, 0.001)


class _End:
    """How a child came to its end."""

    def __init__(self, how: str, code: int, *, tier: str = "", limit: str = "") -> None:
        self.how = how
        self.code = code
        self.tier = tier
        self.limit = limit
        self.survivors = 0
        self.ended = 0


def _run(spec: dict[str, Any], watch: _Watch) -> _End:
    log = _open_log(spec["log"])
    meter = _meter(spec)
    output = Output(log, _cap(spec), _mask(spec), meter.feed if meter else None)
    limits = _Limits(spec, output, meter)
    # Who has become our child before this one, through a stop or an exec, is none of its tree.
    strangers = tree.children(os.getpid())
    group, entrance = _group(spec)
    child, reason, is_inside = _spawn(spec, output, entrance)
    if reason or not is_inside:
        _put_away(spec, group)
        group = None
    if reason:
        os.write(log, f"gluerun: cannot start {spec['argv'][0]}: {reason}\n".encode())
        return _End("missing", MISSING_CODE)
    watch.attach(output, child)
    how, limit = _NO_LIMIT
    while not how and not _has_ended(child):
        watch.pause(limits.next_look())
        if watch.is_stopped:
            watch.heed()
            how = "killed"
        elif not _has_ended(child):
            how, limit = limits.broken()
    kin = Kin(
        MARKER,
        spec["marker"],
        spare=strangers,
        also=(child,),
        groups=lambda: (group,) if group is not None else (),
        adopts=True,
        boxed=spec.get("pidNamespace", False),
    )
    output.drain(_DRAIN)
    is_alone = False
    if not how:
        how, limit = limits.spent()
        # A program that has said its last word is not stopped; that it took too much is told all the same.
        limit = limit or (meter.over if meter is not None else "")
        is_alone = _has_settled(kin, watch)
    end = _End(how or "exited", 0, tier=_tier(spec, is_inside=is_inside), limit=limit)
    # The dead child is not reaped before its tree is gone, so that its session's number stays its own.
    if not is_alone:
        left, end.ended = stopping.end(
            kin, grace=spec["grace"], first=child, number=_SIGNALS[spec["stop"]], pause=watch.pause
        )
        end.survivors = len(left)
    output.drain(_DRAIN)
    output.flush()
    _put_away(spec, group)
    end.code = _reap(child)
    return end


def _slot(spec: dict[str, Any], watch: _Watch) -> tuple[int, str]:
    """Wait until one of the child's slots is free; return its lock, or why none was had. Its log says that it waits."""
    started = _now()
    is_told = False
    while True:
        for path in spec["slots"]:
            if (handle := _taken(path)) >= 0:
                return handle, ""
        if watch.is_stopped:
            watch.heed()
            return -1, "it was stopped while it waited for a slot"
        if spec["timeout"] and _now() - started >= spec["timeout"]:
            return -1, f"none of its {len(spec['slots'])} slots was free for {spec['timeout']} s"
        if not is_told:
            is_told = True
            log = _open_log(spec["log"])
            os.write(log, f"gluerun: waiting for one of {len(spec['slots'])} slots\n".encode())
            os.close(log)
        watch.pause(_SLOT_TICK)


def _taken(path: str) -> int:
    """Return a descriptor that holds the lock at *path* until it is closed, in no child; -1 if somebody has it."""
    import fcntl

    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return -1
    return handle


def _smaller(one: int, other: int | None) -> int:
    """Return the smaller of two limits, where nothing and zero are no limit."""
    return min(one, other) if one and other else one or other or 0


def _cap(spec: dict[str, Any]) -> int:
    return _smaller(spec["maxLogBytes"], (spec.get("limits") or {}).get("outputBytes"))


def _mask(spec: dict[str, Any]) -> Callable[[], Callable[[bytes], bytes]] | None:
    if not spec["mask"]:
        return None
    from gluerun.core.masking import Mask, found_in

    def for_a_stream() -> Callable[[bytes], bytes]:
        mask = Mask()

        def masked(text: bytes) -> bytes:
            # One look at everything is far cheaper than one at each line.
            if not mask.is_within_key and not found_in(text):
                return text
            return b"".join(map(mask.line, lines_of(text)))

        return masked

    return for_a_stream


def _meter(spec: dict[str, Any]) -> Meter | None:
    limits = spec.get("limits") or {}
    counts = spec.get("day") or limits.get("noWrite") or any(limits.get(kind) is not None for kind in _COUNTED)
    if spec["dialect"] == "text" or not counts:
        return None
    from gluerun.adapters.metering import Meter

    return Meter(spec, parse)


def _tier(spec: dict[str, Any], *, is_inside: bool) -> str:
    """Return the strongest means by which this child's tree can be ended."""
    if is_inside:
        return CGROUP
    if spec.get("pidNamespace") and PID_NAMESPACE in spec["tiers"]:
        return PID_NAMESPACE
    return SUBREAPER if spec["subreaper"] else BY_MARKER


def _group(spec: dict[str, Any]) -> tuple[cgroups.Group | None, int]:
    """Make a group for the child where that can be done; return it and the descriptor of its entrance."""
    place = cgroups.place() if CGROUP in spec["tiers"] else ""
    if not place:
        return None, -1
    cgroups.sweep(place)
    group = cgroups.Group(f"{place}/{cgroups.name()}")
    # First the name, then the group: who ends this run without us finds every group that there is.
    _write_whole(spec["groupFile"], group.path, durable=False)
    return group, group.make()


def _put_away(spec: dict[str, Any], group: cgroups.Group | None) -> None:
    """Remove a group that nobody is in, and then what names it."""
    if group is None or not group.remove():
        return
    try:
        os.unlink(spec["groupFile"])
    except FileNotFoundError:
        pass  # somebody ends the whole run, and has put it away


def _has_settled(kin: Kin, watch: _Watch) -> bool:
    """Wait a moment for those who are about to end by themselves; tell whether nobody is left."""
    deadline = time.monotonic() + _SETTLE
    while not (is_alone := not kin.members() and kin.are_proved_gone()) and time.monotonic() < deadline:
        watch.pause(0.02)
    return is_alone


def _spawn(spec: dict[str, Any], output: Output, entrance: int) -> tuple[int, str, bool]:
    """Start the child in a session of its own; return its pid, why that failed, and whether it is in its group."""
    answer, tell = os.pipe()
    pipes = os.pipe(), os.pipe()
    # A signal between fork and exec must find the child, not a copy of our own ears.
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    child = os.fork()
    if child == 0:
        _be_the_child(spec, pipes[0][1], pipes[1][1], tell, entrance)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
    for handle in (tell, pipes[0][1], pipes[1][1], entrance):
        if handle >= 0:
            os.close(handle)
    told = b""
    while part := os.read(answer, 4096):
        told += part
    os.close(answer)
    for end, _ in pipes:
        os.set_blocking(end, False)
    output.attach(pipes[0][0], pipes[1][0])
    if told.strip(b"\0"):
        os.waitpid(child, 0)
    return child, told.strip(b"\0").decode(errors="replace"), entrance >= 0 and not told.startswith(b"\0")


def _be_the_child(spec: dict[str, Any], out: int, err: int, tell: int, entrance: int) -> NoReturn:
    try:
        if entrance >= 0:
            _enter(entrance, tell)
        os.setsid()
        for number in _USUAL:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.dup2(os.open(spec["stdin"] or os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        # Plain text is read by people, in the order in which it was written; a stream must stay whole lines.
        os.dup2(out if spec["dialect"] == "text" else err, 2)
        os.chdir(spec["cwd"])
        os.execvpe(spec["argv"][0], spec["argv"], spec["env"])
    except BaseException as error:  # noqa: BLE001  # nothing may unwind into a second waiter
        os.write(tell, str(error).encode()[:4096])
    os._exit(MISSING_CODE)


def _enter(entrance: int, tell: int) -> None:
    """Enter the group; who may not is told of, and held by weaker means."""
    try:
        os.write(entrance, b"0")
    except OSError:
        os.write(tell, b"\0")


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


def _reap_adopted(child: int) -> None:
    """Take leave of the dead that were left to us; of our own child only when its tree is gone."""
    if not hasattr(os, "waitid"):
        return
    try:
        while (dead := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if dead.si_pid == child:
                return
            os.waitpid(dead.si_pid, 0)
    except ChildProcessError:
        pass


def _write_whole(path: str, text: str, *, durable: bool = True) -> None:
    folder, base = os.path.split(path)
    temporary = f"{folder}/.{base}.{os.urandom(6).hex()}.tmp"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        data = text.encode()
        if os.write(handle, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # what a disk says that is about to be full
        if durable:
            os.fsync(handle)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(handle)
    if not durable:
        return
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

"""The judgement about an agent program after its end: did it do its work, and if not, what went wrong with it.

Only what the program says of itself is judged, in the envelope of its answer, its exit and its own plain lines;
never the words of the agent inside, who may write whatever it likes about limits and keys.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

from gluerun.core.faults import (
    CODES,
    EXITS,
    GEMINI_STATUSES,
    LIMITS,
    NO_SESSION,
    PROVIDERS,
    SENTENCES,
    SESSION_IN_USE,
    STATUSES,
    STOPPED,
    STRANGE_OPTION,
)
from gluerun.core.prices import estimate, price_of
from gluerun.core.secrets import redacted
from gluerun.core.stream import amount, count, moment, stream_of, table, without, word
from gluerun.records.child import How
from gluerun.records.codec import canonical
from gluerun.records.dispatch import Role, Seat, Usage
from gluerun.records.fault import Fault, Limit
from gluerun.records.record import record, replace
from gluerun.records.runner import Dialect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gluerun.core.faults import Cause
    from gluerun.core.stream import Stream
    from gluerun.records.child import ChildDone
    from gluerun.records.runner import Price, RunnerSpec

UNKNOWN = "unknown"
LONGEST_WORDS = 300
# Of a program's plain lines only the last are of interest: they say why it ends.
PLAIN_LINES = 20
LONGEST_WAIT = timedelta(days=60)
# By convention a program of the user's own says with this code that it does not know the session.
EXIT_SESSION_REFUSED = 86
# Dialects in which a program says itself that it has come to its end.
ENDING = {Dialect.CLAUDE, Dialect.CODEX, Dialect.GEMINI, Dialect.OPENCODE, Dialect.COPILOT}
# How qwen and gemini write an error where the answer should stand.
API_ERROR = "[API Error"
# Faults that pass by themselves, so that the provider may have said when.
PASSING = (Fault.USAGE_LIMIT, Fault.OVERLOAD, Fault.ENTITLEMENT)


@record
class Reading:
    """What became of one program: no fault is success. `trouble` is one sentence for a person, empty on success.

    `until` is the moment before which asking again is useless, if the provider told one.
    """

    fault: Fault | None
    trouble: str
    until: datetime | None
    limit: Limit | None
    usage: Usage
    seat: Seat
    text: str
    structured: object
    refused_session: bool


@record
class Rollout:
    """What codex wrote down about one session: who played, and what its last turn used."""

    model: str = ""
    provider: str = ""
    version: str = ""
    fresh: int | None = None
    cached: int | None = None
    output: int | None = None
    retry_at: float | None = None


ADVICE: dict[Fault, str] = {
    Fault.USAGE_LIMIT: "its usage limit is reached: it is asked again once the limit is lifted",
    Fault.OVERLOAD: "its provider is overloaded or cannot be reached: it is asked again later",
    Fault.ENTITLEMENT: "its account may not do this: look at its plan, its balance and its permissions",
    Fault.BAD_KEY: "its key is refused: renew it, for example by logging in with the program itself",
    Fault.CONTEXT_TOO_LONG: "the question is too long for the model: make the task smaller or take a larger model",
    Fault.UNKNOWN_MODEL: "it does not know the model: correct the model's name in the configuration",
    Fault.TIMEOUT: "it was stopped because its time was up: raise the runner's timeout or make the task smaller",
    Fault.IDLE: "it was stopped because it said nothing for too long: look at its log",
    Fault.LIMIT: "it was stopped by a limit: raise the limit or make the task smaller",
    Fault.KILLED: "it was stopped from outside: nothing has to be done if that was you",
    Fault.CRASHED: "it ended with an error of its own: look at its log",
    Fault.NO_OUTPUT: "it ended without an answer: look at its log",
    Fault.MISSING: "it cannot be started: install it or correct the runner's command line",
    Fault.TOO_OLD: "it is older than what is asked for: bring it up to date",
    Fault.NOT_CONFINED: "it was not started because it could not be confined: allow the sandbox or set it to off",
    Fault.SESSION_REFUSED: "it refuses the session it was given: a new one is begun",
    Fault.BROKEN_STREAM: "what it printed breaks off in the middle: look at its log",
}

_STATUS = re.compile(r"(?:API Error: |\"code\": ?|\bstatus:? )([45][0-9]{2})\b")
_AGAIN = re.compile(
    r"(?:try again|retry|available|resets?) (?:in|after) "
    r"((?:[0-9]{1,9}(?:\.[0-9]{1,9})? ?(?:days?|d|hours?|h|minutes?|mins?|m|seconds?|secs?|s|ms)\b[ ,]{0,2}(?:and )?|"
    r"[0-9]{1,9}(?:\.[0-9]{1,9})?[dhms](?=[0-9])){1,8})",
    re.IGNORECASE,
)
_TERM = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|[dhms])", re.IGNORECASE)
_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def session_in(log: bytes, dialect: Dialect) -> str:
    """Return the session that a program named in what it printed; empty if it named none."""
    stream = stream_of(dialect)
    for line in log.splitlines():
        stream.feed_line(line, json.loads)
        if stream.session:
            return stream.session
    return ""


def read(
    spec: RunnerSpec,
    done: ChildDone,
    log: bytes,
    now: datetime,
    *,
    text_file: str = "",
    prices: Mapping[str, Price],
    role: Role,
    resumed: bool = False,
    rollout: Iterable[bytes] = (),
) -> Reading:
    """Judge a program that has ended by what it printed and how it ended.

    `text_file` is what it wrote where it was told to put its last message, `rollout` the lines of codex's own
    record of the session: its stream tells neither the model nor, of a session that goes on, its own tokens.
    """
    stream, plain = folded(spec.dialect, log)
    own = codex_rollout(rollout)
    said = plain_text(log) if spec.dialect is Dialect.TEXT else stream.text
    text = text_file if text_file.strip() else said
    cause, words = _judged(spec, done, stream, plain, role=role, text=text, resumed=resumed)
    fault, limit = cause or (None, None)
    seat = _seat(spec, stream, own)
    usage = _priced(_usage(spec, stream, own, resumed=resumed), (seat.model, spec.model), stream, prices)
    return Reading(
        fault=fault,
        trouble=_trouble(spec, done, fault, words),
        until=_until(stream, own, words, now)
        if fault in (Fault.USAGE_LIMIT, Fault.OVERLOAD, Fault.ENTITLEMENT)
        else None,
        limit=limit,
        usage=usage,
        seat=seat,
        text=writable(text),
        structured=_structured(stream.structured),
        refused_session=fault is Fault.SESSION_REFUSED,
    )


def folded(dialect: Dialect, log: bytes) -> tuple[Stream, list[str]]:
    """Return the fold of a whole log, and the last of its plain lines: what the program itself had to say."""
    stream = stream_of(dialect)
    plain: list[bytes] = []
    for line in log.split(b"\n"):
        stream.feed_line(line, _parsed)
        if line[:1] not in (b"{", b"[", b"") and line.strip():
            plain = [*plain[-PLAIN_LINES + 1 :], line[:LONGEST_WORDS]]
    return stream, [] if dialect is Dialect.TEXT else [plain_text(line).strip() for line in plain]


def plain_text(data: bytes) -> str:
    """Return printed bytes as text, whatever they are."""
    return data.decode("utf-8", "replace")


def writable(text: str) -> str:
    """Return *text* without what could never be written down again (half characters)."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _parsed(line: bytes) -> object:
    document: object = json.loads(plain_text(line))
    return document


# --- what went wrong --------------------------------------------------------------------------------------


def _judged(
    spec: RunnerSpec, done: ChildDone, stream: Stream, plain: list[str], *, role: Role, text: str, resumed: bool
) -> tuple[Cause | None, str]:
    """Return what went wrong, None if nothing did, and the program's own words about it."""
    if done.how is not How.EXITED:
        return (STOPPED[done.how], done.limit if done.how is How.LIMIT else None), done.refusal
    words = _words(spec, stream, plain, text)
    if done.limit is not None:
        # It told its figures with its last word: nobody was left to stop, and a limit fails the try all the same.
        return (Fault.LIMIT, done.limit), ""
    if done.exit_code and (told := spec.exits.get(str(done.exit_code))) in set(Fault):
        cause = _caused(spec, done, stream, words)
        return (Fault(told), cause[1] if cause and cause[0] == told else None), words
    if done.exit_code == 0 and not stream.failed and not _is_api_error(spec, stream, text):
        return _quiet(spec, stream, role=role, text=text), words if stream.code else ""
    if refusal := _refused_session(done, [words, *plain], resumed=resumed):
        return (Fault.SESSION_REFUSED, None), refusal
    if not stream.session and (strange := next((line for line in plain if STRANGE_OPTION.search(line)), "")):
        return (Fault.TOO_OLD, None), strange
    return _caused(spec, done, stream, words) or (Fault.CRASHED, None), words


def _words(spec: RunnerSpec, stream: Stream, plain: list[str], text: str) -> str:
    """Return the sentence with which the program explains itself."""
    if stream.failed:
        return _inner(stream.message)[0] or stream.code
    if _is_api_error(spec, stream, text) and spec.dialect is Dialect.CLAUDE:
        return text
    return stream.code or (plain[-1] if plain else "")


def _is_api_error(spec: RunnerSpec, stream: Stream, text: str) -> bool:
    """Tell whether an error stands where the answer should: claude, which tells its price, has a flag for it."""
    is_qwen = spec.dialect is Dialect.CLAUDE and stream.ended and stream.cost is None
    return (is_qwen or spec.dialect is Dialect.GEMINI) and text.startswith(API_ERROR)


def _caused(spec: RunnerSpec, done: ChildDone, stream: Stream, words: str) -> Cause | None:
    """Return what the envelope, the exit and the program's last words say; None if they say nothing known."""
    if own := EXITS.get((spec.dialect, done.exit_code)):
        return own
    code = _inner(stream.message)[1] or stream.code
    if limit := LIMITS.get(code):
        return Fault.LIMIT, limit
    status = stream.status or _status_of(spec, done, words)
    if fault := STATUSES.get(status or 0):
        return fault, None
    for pattern, cause in SENTENCES:
        if pattern.search(words):
            return cause
    return (CODES[code], None) if code in CODES else None


def _status_of(spec: RunnerSpec, done: ChildDone, words: str) -> int | None:
    if found := _STATUS.search(words):
        return int(found[1])
    if spec.dialect is Dialect.GEMINI:
        return next((status for status in sorted(GEMINI_STATUSES) if status % 256 == done.exit_code), None)
    return None


def _inner(message: str) -> tuple[str, str]:
    """Return sentence and machine word of an envelope that a program passes on as it came."""
    if not message.startswith("{"):
        return message, ""
    try:
        document = table(json.loads(message))
    except (ValueError, RecursionError):
        return message, ""
    error = table(document.get("error")) or document
    return word(error.get("message")) or message, word(error.get("code")) or word(error.get("type"))


def _refused_session(done: ChildDone, said: list[str], *, resumed: bool) -> str:
    """Return the words with which a program refused the session it was given; empty if it did not."""
    for line in said:
        if SESSION_IN_USE.search(line) or (resumed and NO_SESSION.search(line)):
            return line
    return "it said so by its exit code" if resumed and done.exit_code == EXIT_SESSION_REFUSED else ""


def _quiet(spec: RunnerSpec, stream: Stream, *, role: Role, text: str) -> Cause | None:
    """Return what is wrong with a program that ended without an error; None if nothing is.

    A worker may be silent: its work stands in the work tree. Nobody else's does.
    """
    if spec.dialect is Dialect.TEXT:
        return None
    if spec.dialect in ENDING and not stream.ended:
        if stream.code in LIMITS:
            return Fault.LIMIT, LIMITS[stream.code]
        return (Fault.BROKEN_STREAM if stream.garbled else Fault.NO_OUTPUT), None
    is_silent = text.strip() in ("", "[]") and stream.structured is None
    has_worked = role is Role.WORKER and stream.wrote
    if stream.output == 0 or (is_silent and not has_worked):
        return Fault.NO_OUTPUT, None
    return None


def _trouble(spec: RunnerSpec, done: ChildDone, fault: Fault | None, words: str) -> str:
    if fault is None:
        return ""
    # What looks like a secret goes before the rest is clipped: half of it would not be known for one.
    clean = " ".join(writable(redacted(words)).split())[:LONGEST_WORDS]
    code = f" (exit {done.exit_code})" if done.how is How.EXITED and done.exit_code else ""
    return f"{spec.name}{code}: {ADVICE[fault]}{f' – it said: {clean}' if clean else ''}"


# --- until when ------------------------------------------------------------------------------------------


def _until(stream: Stream, own: Rollout, words: str, now: datetime) -> datetime | None:
    """Return the moment before which asking again is useless, if somebody told one that can be believed."""
    wait = stream.retry_after if stream.retry_after is not None else _wait_in(words)
    at = stream.retry_at if stream.retry_at is not None else own.retry_at
    if wait is None and at is None:
        return None
    passed = wait if at is None else at - now.timestamp()
    if passed is None or not 0 < passed <= LONGEST_WAIT.total_seconds():
        return None
    told = now.astimezone(UTC) + timedelta(seconds=passed)
    # Times are whole seconds; asking a moment later is right, a moment earlier is not.
    return told if told.microsecond == 0 else told.replace(microsecond=0) + timedelta(seconds=1)


def _wait_in(words: str) -> float | None:
    """Return the seconds in a sentence like `try again in 2 hours 5 minutes`."""
    found = _AGAIN.search(words)
    if found is None:
        return None
    return sum(float(number) * _UNITS[unit.lower()] for number, unit in _TERM.findall(found[1]))


# --- who, and for how much --------------------------------------------------------------------------------


def _seat(spec: RunnerSpec, stream: Stream, own: Rollout) -> Seat:
    model = stream.model or own.model
    return Seat(
        runner=spec.name,
        provider=writable(stream.provider or own.provider or _provider_of(model)) or UNKNOWN,
        model=writable(model) or UNKNOWN,
        session=writable(stream.session) or UNKNOWN,
        version=writable(stream.version or own.version) or UNKNOWN,
    )


def _provider_of(model: str) -> str:
    name = model.rpartition("/")[2].lower()
    return next((provider for beginning, provider in PROVIDERS if name.startswith(beginning)), "")


def _usage(spec: RunnerSpec, stream: Stream, own: Rollout, *, resumed: bool) -> Usage:
    """Return the tokens of this run alone: of a session that goes on codex tells those of all its runs."""
    is_whole_session = spec.dialect is Dialect.CODEX and resumed
    told = own if own.output is not None or is_whole_session else stream
    return Usage(fresh_tokens=told.fresh, cached_tokens=told.cached, output_tokens=told.output, turns=stream.turns)


def _priced(usage: Usage, models: tuple[str, str], stream: Stream, prices: Mapping[str, Price]) -> Usage:
    """Price what a program used: by its own word, else by the model it named, else by the one it was asked for."""
    if stream.cost is not None:
        return replace(usage, cost_usd=stream.cost)
    known = (price_of(model, prices) for model in models if model != UNKNOWN)
    cost = estimate(usage, next((price for price in known if price is not None), None))
    return usage if cost is None else replace(usage, cost_usd=cost, estimated=True)


def _structured(value: object) -> object:
    try:
        canonical(value)
    except (ValueError, RecursionError):
        return None  # what could never be written again is no answer
    return value


def codex_rollout(lines: Iterable[bytes]) -> Rollout:
    """Return what codex's own record of a session tells: its model and provider, and what the last run used.

    The record of a session that goes on is one file, and its totals are those of the session: so the total that
    stood when the last run began is taken away.
    """
    rollout = Rollout()
    total: dict[str, object] = {}
    before: dict[str, object] = {}
    for line in lines:
        try:
            document = table(_parsed(line))
        except (ValueError, RecursionError):
            continue
        payload = table(document.get("payload"))
        match word(document.get("type")), word(payload.get("type")):
            case "session_meta", _:
                provider, version = word(payload.get("model_provider")), word(payload.get("cli_version"))
                rollout = replace(rollout, provider=provider or rollout.provider, version=version or rollout.version)
            case "turn_context", _:
                rollout = replace(rollout, model=word(payload.get("model")) or rollout.model)
            case "event_msg", "task_started":
                before, total = total or before, {}
            case "event_msg", "token_count":
                total = table(table(payload.get("info")).get("total_token_usage")) or total
                rollout = replace(rollout, retry_at=_reset_in(table(payload.get("rate_limits"))))
    if not total:
        return rollout
    used = {name: without(count(total.get(name)), count(before.get(name))) for name in _TOKENS}
    cached = used["cached_input_tokens"]
    fresh = without(used["input_tokens"], cached)
    return replace(rollout, fresh=fresh, cached=cached, output=used["output_tokens"])


_TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens")


def _reset_in(limits: dict[str, object]) -> float | None:
    """Return when a window that is used up begins anew; the latest, if both are."""
    windows = [table(limits.get(name)) for name in ("primary", "secondary")]
    moments = [moment(one.get("resets_at")) for one in windows if (amount(one.get("used_percent")) or 0) >= 100]
    return max((one for one in moments if one is not None), default=None)

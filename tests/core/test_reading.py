"""The judgement about a program that has ended: tables over what the real programs printed, and over our own stops."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.samples import CASES, DIALECTS, dialect, documents, log
from tests.core.test_stream import ODD, places, spoilt
from tests.records.documents import examples

from gluerun.core.faults import CODES, LIMITS, SENTENCES, STATUSES, STOPPED
from gluerun.core.reading import ADVICE, LONGEST_WORDS, Rollout, codex_rollout, read
from gluerun.records.child import ChildDone, How
from gluerun.records.codec import canonical, encode
from gluerun.records.dispatch import Role, Seat, Usage
from gluerun.records.fault import Fault, Limit
from gluerun.records.runner import Dialect, Price, RunnerSpec

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
SONNET_COST = 0.00642
KEY = "sk-" + "ant-" + "Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0"


def spec(which, **changes):
    return RunnerSpec(name="agent", dialect=which, **changes)


def ended(code=0, how=How.EXITED, **changes):
    return ChildDone(name="worker", how=how, exit_code=code, duration_ms=1, **changes)


def judged(case, code=0, **changes):
    """Read a sample that ended with an exit code."""
    given = {"prices": {}, "role": Role.WORKER, **changes}
    data = given.pop("log") if "log" in given else log(case)
    which = given.pop("spec") if "spec" in given else spec(dialect(case))
    return read(which, given.pop("done", ended(code)), data, NOW, **given)


def printed(*lines):
    return "".join(f"{json.dumps(line) if isinstance(line, dict) else line}\n" for line in lines).encode()


def failing(message, status=None, **changes):
    """Return what claude prints when it gives up."""
    result = {"type": "result", "subtype": "success", "is_error": True, "result": message, "total_cost_usd": 0}
    return printed({**result, "api_error_status": status, **changes})


def of_log(data, which=Dialect.CLAUDE, code=1, **changes):
    return judged("", code, log=data, spec=spec(which), **changes)


# --- success ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case",
    [
        *(f"{program}/success" for program in DIALECTS),
        *("claude/schema", "claude/429-once", "claude/readonly", "codex/schema", "codex/429-once"),
        *("codex/drop-once", "codex/patch", "codex/resume", "gemini/denied", "qwen/schema", "vibe/denied"),
    ],
)
def test_what_went_well_has_no_fault(case):
    reading = judged(case)

    assert (reading.fault, reading.trouble, reading.until, reading.limit) == (None, "", None, None)
    assert reading.refused_session is False
    assert reading.text


@pytest.mark.parametrize("code", [0, 1, 3, 86, -15])
def test_of_plain_text_only_the_exit_counts(code):
    data = b"[API Error: 401]\n429 rate limit, quota exceeded\n" + b'{"type": "resul'

    reading = of_log(data, Dialect.TEXT, code)

    assert reading.fault is (Fault.CRASHED if code else None)
    assert "quota" not in reading.trouble
    assert reading.text == data.decode()
    assert reading.usage == Usage()
    assert reading.seat == Seat(runner="agent")


# --- what went wrong ---------------------------------------------------------------------------------------

FAULTS = [
    ("claude/401", 1, Fault.BAD_KEY, None),
    ("claude/403", 1, Fault.ENTITLEMENT, None),
    ("claude/429", 1, Fault.USAGE_LIMIT, None),
    ("claude/429-long", 1, Fault.USAGE_LIMIT, None),
    ("claude/limit", 1, Fault.USAGE_LIMIT, None),
    ("codex/limit", 1, Fault.USAGE_LIMIT, None),
    ("claude/quota", 1, Fault.USAGE_LIMIT, None),
    ("claude/credit", 1, Fault.ENTITLEMENT, None),
    ("claude/context", 1, Fault.CONTEXT_TOO_LONG, None),
    ("claude/404", 1, Fault.UNKNOWN_MODEL, None),
    ("claude/400", 1, Fault.CRASHED, None),
    ("claude/500", 1, Fault.OVERLOAD, None),
    ("claude/503", 1, Fault.OVERLOAD, None),
    ("claude/529", 1, Fault.OVERLOAD, None),
    ("claude/sse-error", 1, Fault.OVERLOAD, None),
    ("claude/drop", 1, Fault.OVERLOAD, None),
    ("claude/refuse", 1, Fault.OVERLOAD, None),
    ("claude/garbage", 1, Fault.CRASHED, None),
    ("claude/truncated", 1, Fault.LIMIT, Limit.TOKENS),
    ("claude/empty", 0, Fault.NO_OUTPUT, None),
    ("claude/max-turns", 1, Fault.LIMIT, Limit.TURNS),
    ("claude/max-budget", 1, Fault.LIMIT, Limit.MONEY),
    ("claude/int", 1, Fault.CRASHED, None),
    ("claude/term", 143, Fault.CRASHED, None),
    ("claude/term", -9, Fault.CRASHED, None),
    ("claude/term", 0, Fault.NO_OUTPUT, None),
    ("claude/success", 1, Fault.CRASHED, None),
    ("codex/401", 1, Fault.BAD_KEY, None),
    ("codex/403", 1, Fault.ENTITLEMENT, None),
    ("codex/429", 1, Fault.USAGE_LIMIT, None),
    ("codex/429-retries", 1, Fault.USAGE_LIMIT, None),
    ("codex/quota", 1, Fault.USAGE_LIMIT, None),
    ("codex/credit", 1, Fault.ENTITLEMENT, None),
    ("codex/context", 1, Fault.CONTEXT_TOO_LONG, None),
    ("codex/404", 1, Fault.UNKNOWN_MODEL, None),
    ("codex/400", 1, Fault.CRASHED, None),
    ("codex/500", 1, Fault.OVERLOAD, None),
    ("codex/503", 1, Fault.OVERLOAD, None),
    ("codex/529", 1, Fault.OVERLOAD, None),
    ("codex/html", 1, Fault.OVERLOAD, None),
    ("codex/sse-error", 1, Fault.OVERLOAD, None),
    ("codex/drop", 1, Fault.OVERLOAD, None),
    ("codex/refuse", 1, Fault.OVERLOAD, None),
    ("codex/truncated", 1, Fault.LIMIT, Limit.TOKENS),
    ("codex/empty", 0, Fault.NO_OUTPUT, None),
    ("codex/int", 1, Fault.CRASHED, None),
    ("codex/term", -15, Fault.CRASHED, None),
    ("gemini/401", 145, Fault.BAD_KEY, None),
    ("gemini/429", 173, Fault.USAGE_LIMIT, None),
    ("gemini/500", 244, Fault.OVERLOAD, None),
    ("gemini/context", 144, Fault.CONTEXT_TOO_LONG, None),
    ("gemini/empty", 0, Fault.NO_OUTPUT, None),
    ("gemini/max-turns", 53, Fault.LIMIT, Limit.TURNS),
    ("gemini/term", 0, Fault.NO_OUTPUT, None),
    ("gemini/term", 41, Fault.BAD_KEY, None),
    ("opencode/401", 1, Fault.BAD_KEY, None),
    ("opencode/429", 1, Fault.USAGE_LIMIT, None),
    ("opencode/529", 1, Fault.OVERLOAD, None),
    ("opencode/context", 1, Fault.CONTEXT_TOO_LONG, None),
    ("opencode/term", 0, Fault.NO_OUTPUT, None),
    ("opencode/truncated", 0, Fault.LIMIT, Limit.TOKENS),
    ("copilot/401", 1, Fault.BAD_KEY, None),
    ("copilot/429", 1, Fault.USAGE_LIMIT, None),
    ("copilot/500", 1, Fault.OVERLOAD, None),
    ("copilot/context", 1, Fault.CONTEXT_TOO_LONG, None),
    ("qwen/401", 0, Fault.BAD_KEY, None),
    ("qwen/429", 0, Fault.USAGE_LIMIT, None),
    ("qwen/500", 0, Fault.OVERLOAD, None),
    ("qwen/context", 0, Fault.CONTEXT_TOO_LONG, None),
    ("qwen/empty", 0, Fault.NO_OUTPUT, None),
    ("qwen/max-turns", 53, Fault.LIMIT, Limit.TURNS),
    ("vibe/401", 1, Fault.BAD_KEY, None),
    ("vibe/max-turns", 3, Fault.LIMIT, Limit.TURNS),
    ("vibe/max-price", 3, Fault.LIMIT, Limit.MONEY),
    ("vibe/term", 3, Fault.CRASHED, None),
]


@pytest.mark.parametrize(("case", "code", "fault", "limit"), FAULTS)
def test_what_went_wrong_is_named(case, code, fault, limit):
    reading = judged(case, code)

    assert (reading.fault, reading.limit) == (fault, limit)
    assert ADVICE[fault] in reading.trouble
    assert reading.trouble.startswith(f"agent (exit {code}): " if code else "agent: ")


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("claude/credit", "it said: Credit balance is too low"),
        ("claude/max-turns", "it said: Reached maximum number of turns (2)"),
        ("codex/credit", "it said: Your credit balance is too low to access the API."),
        ("codex/500", "it said: We’re currently experiencing high demand"),
        ("codex/int", "failed to record rollout items"),
        ("qwen/401", "it said: [API Error: 401 invalid x-api-key]"),
        ("opencode/truncated", "it said: length"),
        ("vibe/term", "it said: Stopped: terminated"),
    ],
)
def test_the_program_is_quoted(case, words):
    code = next(code for name, code, *_ in FAULTS if name == case)

    assert words in judged(case, code).trouble


@pytest.mark.parametrize(
    ("data", "fault", "limit"),
    [
        (failing("x", 402), Fault.ENTITLEMENT, None),
        (failing("x", 413), Fault.CONTEXT_TOO_LONG, None),
        (failing("x", 408), Fault.OVERLOAD, None),
        (failing("x", 418), Fault.CRASHED, None),
        (failing("nothing here", 404), Fault.CRASHED, None),
        (failing("Your organization has reached its spend limit"), Fault.USAGE_LIMIT, None),
        (failing("You've hit your weekly limit"), Fault.USAGE_LIMIT, None),
        (failing("Not logged in · Please run /login"), Fault.BAD_KEY, None),
        (failing("This model needs a subscription"), Fault.ENTITLEMENT, None),
        (failing("x", subtype="error_max_structured_output_retries"), Fault.NO_OUTPUT, None),
        (failing("", subtype="error_during_execution"), Fault.CRASHED, None),
        (failing('{"error": {"message": "m", "code": "rate_limit_exceeded"}}'), Fault.USAGE_LIMIT, None),
        (failing('{"message": "m", "type": "model_not_found"}'), Fault.UNKNOWN_MODEL, None),
        (failing('{"error": "broken'), Fault.CRASHED, None),
        (failing("{" + "[" * 100_000), Fault.CRASHED, None),
        (printed("Stopped: token_limit"), Fault.LIMIT, Limit.TOKENS),
        (printed("Stopped: time_limit"), Fault.LIMIT, Limit.SECONDS),
        (printed("--dangerously-skip-permissions cannot be used with root privileges"), Fault.CRASHED, None),
        (b"", Fault.CRASHED, None),
    ],
)
def test_statuses_sentences_and_machine_words(data, fault, limit):
    reading = of_log(data)

    assert (reading.fault, reading.limit) == (fault, limit)


def claude_success(text, **changes):
    usage = {"input_tokens": 1, "output_tokens": 1}
    return {"type": "result", "subtype": "success", "result": text, "total_cost_usd": 1, "usage": usage, **changes}


PROSE = [
    "[API Error: 429 rate limit, quota exceeded, retry in 3 hours]",
    "Error 401: the API key is invalid. No conversation found.",
    "credit balance is too low; prompt is too long; at capacity",
]


@pytest.mark.parametrize("prose", PROSE)
def test_the_agents_own_prose_is_never_judged(prose):  # A1
    said = {"type": "assistant", "message": {"model": "m", "content": [{"type": "text", "text": prose}]}}
    item = {"type": "item.completed", "item": {"type": "agent_message", "text": prose}}
    part = {"type": "text", "part": {"text": prose}}

    assert of_log(printed(said, claude_success(prose)), code=0).fault is None
    assert of_log(printed(said), code=1, resumed=True).fault is Fault.CRASHED
    assert of_log(printed(item, {"type": "turn.completed"}), Dialect.CODEX, code=0).fault is None
    assert of_log(printed(item), Dialect.CODEX, code=1, resumed=True).fault is Fault.CRASHED
    assert of_log(printed(part), Dialect.OPENCODE, code=1, resumed=True).fault is Fault.CRASHED
    assert of_log(printed({"role": "assistant", "content": prose}), Dialect.VIBE, code=0).fault is None


def test_an_error_where_geminis_answer_should_stand_is_no_answer_and_no_limit_either():
    said = {"type": "message", "role": "assistant", "content": PROSE[0]}

    reading = of_log(printed(said, {"type": "result", "status": "success"}), Dialect.GEMINI, code=0)

    assert (reading.fault, reading.until) == (Fault.CRASHED, None)


# --- silence and half a stream -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "role", "fault"),
    [
        (printed(claude_success("")), Role.WORKER, Fault.NO_OUTPUT),
        (printed(claude_success("[]")), Role.WORKER, Fault.NO_OUTPUT),
        (printed(claude_success(" \n")), Role.AUDITOR, Fault.NO_OUTPUT),
        (printed(claude_success([])), Role.WORKER, Fault.NO_OUTPUT),
        (printed(claude_success("", structured_output={"a": 1})), Role.AUDITOR, None),
        (printed(claude_success("done", usage={"output_tokens": 0})), Role.WORKER, Fault.NO_OUTPUT),
        (printed(*documents("claude/success")[:3], claude_success("")), Role.WORKER, None),
        (printed(*documents("claude/success")[:3], claude_success("")), Role.AUDITOR, Fault.NO_OUTPUT),
        (printed(*documents("claude/success")[:3]), Role.WORKER, Fault.NO_OUTPUT),
        (log("claude/success")[:-40], Role.WORKER, Fault.BROKEN_STREAM),
        (b"", Role.WORKER, Fault.NO_OUTPUT),
    ],
)
def test_silence_is_no_success_unless_a_worker_has_written(data, role, fault):
    assert of_log(data, code=0, role=role).fault is fault


def test_what_stands_in_the_file_for_the_last_message_is_the_text():
    assert judged("codex/empty", text_file="from the file").fault is None
    assert judged("codex/success", text_file="from the file").text == "from the file"
    assert judged("codex/success", text_file=" \n").text == "done"


def test_half_a_stream_that_crashed_has_crashed():
    assert of_log(log("claude/success")[:-40], code=1).fault is Fault.CRASHED


# --- sessions --------------------------------------------------------------------------------------------

SESSIONS = [(f"{program}/unknown-session", 42 if program == "gemini" else 1) for program in DIALECTS]


@pytest.mark.parametrize(("case", "code"), SESSIONS)
def test_a_session_that_is_not_known_is_refused(case, code):
    reading = judged(case, code, resumed=True)

    assert (reading.fault, reading.refused_session) == (Fault.SESSION_REFUSED, True)
    assert "session" in reading.trouble


@pytest.mark.parametrize(("case", "code"), SESSIONS)
def test_no_session_is_refused_that_was_not_asked_for(case, code):
    assert judged(case, code).refused_session is False


def test_a_session_that_is_in_use_is_refused():
    assert judged("claude/in-use", 1).fault is Fault.SESSION_REFUSED


@pytest.mark.parametrize("which", Dialect)
@pytest.mark.parametrize(("resumed", "fault"), [(True, Fault.SESSION_REFUSED), (False, Fault.CRASHED)])
def test_exit_86_refuses_a_session_by_convention(which, resumed, fault):
    assert of_log(b"", which, 86, resumed=resumed).fault is fault


@pytest.mark.parametrize(
    ("which", "line"),
    [
        (Dialect.CLAUDE, b"error: unknown option '--include-partial-messages'\n"),
        (Dialect.CODEX, b"error: unexpected argument '--disable' found\n\n  tip: ...\n"),
        (Dialect.GEMINI, b"Unknown arguments: session-id, sessionId\n"),
    ],
)
def test_a_program_that_does_not_know_a_word_of_its_call_is_too_old(which, line):
    reading = of_log(line, which, 1)

    assert reading.fault is Fault.TOO_OLD
    assert "bring it up to date" in reading.trouble


def test_an_agent_that_speaks_of_unknown_options_is_not_too_old():
    begun = b'{"type":"thread.started","thread_id":"s-1"}\n'
    assert of_log(begun + b"error: unexpected argument in my plan\n", Dialect.CODEX, 1).fault is Fault.CRASHED


@pytest.mark.parametrize("limit", [Limit.TOKENS, Limit.MONEY, Limit.TURNS, Limit.DAY])
def test_a_limit_that_shows_only_with_the_last_word_fails_the_try_too(limit):
    reading = judged("codex/success", done=ended(0, How.EXITED, limit=limit))

    assert (reading.fault, reading.limit) == (Fault.LIMIT, limit)
    assert reading.usage.output_tokens


# --- our own stops, and the user's table of exits ----------------------------------------------------------


@pytest.mark.parametrize("how", STOPPED)
@pytest.mark.parametrize("case", ["claude/success", "claude/429", "codex/unknown-session"])
def test_our_own_stop_wins_over_whatever_it_printed(how, case):
    done = ended(1, how, limit=Limit.MONEY if how is How.LIMIT else None)

    reading = judged(case, done=done, resumed=True)

    assert reading.fault is STOPPED[how]
    assert reading.limit is (Limit.MONEY if how is How.LIMIT else None)
    assert reading.until is None
    assert " – it said" not in reading.trouble


def test_every_end_that_is_not_its_own_has_a_fault():
    assert set(STOPPED) == set(How) - {How.EXITED}


def test_what_was_used_before_a_stop_is_counted():
    usage = judged("claude/term", done=ended(143, How.TIMED_OUT)).usage

    assert (usage.fresh_tokens, usage.cached_tokens, usage.output_tokens, usage.turns) == (800, 200, 1, 1)
    assert (usage.cost_usd, usage.estimated) == (pytest.approx(0.002475), True)


def test_why_it_was_not_started_is_told():
    reading = judged("claude/success", done=ended(0, How.REFUSED, refusal="no bwrap on this machine"))

    assert reading.trouble == f"agent: {ADVICE[Fault.NOT_CONFINED]} – it said: no bwrap on this machine"


@pytest.mark.parametrize(
    ("case", "code", "exits", "fault", "limit"),
    [
        ("claude/429", 1, {"1": "overload"}, Fault.OVERLOAD, None),
        ("claude/max-turns", 1, {"1": "limit"}, Fault.LIMIT, Limit.TURNS),
        ("claude/429", 1, {"1": "limit"}, Fault.LIMIT, None),
        ("claude/429", 1, {"1": "no such word"}, Fault.USAGE_LIMIT, None),
        ("claude/429", 1, {"2": "overload"}, Fault.USAGE_LIMIT, None),
        ("claude/success", 0, {"0": "overload"}, None, None),
        ("claude/term", -9, {"-9": "killed"}, Fault.KILLED, None),
        ("claude/term", 86, {"86": "overload"}, Fault.OVERLOAD, None),
    ],
)
def test_the_declaration_says_what_an_exit_means(case, code, exits, fault, limit):
    reading = judged(case, code, spec=spec(dialect(case), exits=exits), resumed=True)

    assert (reading.fault, reading.limit) == (fault, limit)


def test_the_declaration_holds_for_plain_text_too():
    which = spec(Dialect.TEXT, exits={"75": "usage-limit"})

    assert judged("", 75, log=b"x", spec=which).fault is Fault.USAGE_LIMIT


# --- until when ------------------------------------------------------------------------------------------


def later(**after):
    return NOW + timedelta(**after)


@pytest.mark.parametrize(
    ("message", "until"),
    [
        ("rate limit: please try again in 20s.", later(seconds=20)),
        ("rate limit: please try again in 20ms", later(seconds=1)),
        ("rate limit, Please retry in 34.07s.", later(seconds=35)),
        ("hit your usage limit, try again in 3 days 4 hours 12 minutes.", later(days=3, hours=4, minutes=12)),
        ("usage limit, try again in 1 hour, 5 mins and 3 secs", later(hours=1, minutes=5, seconds=3)),
        ("quota will reset after 2h31m4s.", later(hours=2, minutes=31, seconds=4)),
        ("rate limit, available in 5 minutes", later(minutes=5)),
        ("rate limit, try again in 99999 days", None),
        ("rate limit, try again in 0s", None),
        ("rate limit, try again later", None),
        ("rate limit, try again in 9 tries", None),
    ],
)
def test_until_is_read_off_the_envelopes_sentence(message, until):
    assert of_log(failing(message, 429)).until == until


@pytest.mark.parametrize(
    ("seconds", "until"),
    [(3600, later(hours=1)), (-5, None), (10**9, None), (10**14, None)],
)
def test_until_is_the_moment_claude_told(seconds, until):
    info = {"status": "rejected", "resetsAt": int(NOW.timestamp()) + seconds, "rateLimitType": "five_hour"}
    event = printed({"type": "rate_limit_event", "rate_limit_info": info})

    assert of_log(event + failing("x", 429)).until == until
    assert of_log(event + failing("x", 401)).until is None
    assert of_log(event + printed(claude_success("done")), code=0).until is None


def test_until_is_when_a_subscriptions_limit_is_lifted():
    assert judged("claude/limit", 1).until == later(hours=2)
    assert judged("codex/limit", 1).until is None, "its sentence has the time of day of some zone"
    assert judged("codex/limit", 1, rollout=log("codex/limit-rollout").splitlines()).until == later(hours=2)


def test_until_is_what_the_provider_told_opencode():
    assert judged("opencode/429", 1).until == later(seconds=20)


def test_times_in_other_zones_are_the_same_times():
    zone = datetime.fromisoformat("2026-01-31T13:00:00.5+01:00")
    done = read(spec(Dialect.OPENCODE), ended(1), log("opencode/429"), zone, prices={}, role=Role.WORKER)

    assert done.until == later(seconds=21)


# --- who, and for how much -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("claude-opus-4-5", "anthropic"),
        ("vendor/claude-opus-4-5", "anthropic"),
        ("GPT-5", "openai"),
        ("o3", "openai"),
        ("codex-mini-latest", "openai"),
        ("gemini-2.5-pro", "google"),
        ("lab-model", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_provider_is_known_by_the_model_that_was_reported(model, provider):
    data = printed({"type": "system", "subtype": "init", "model": model}, claude_success("x"))
    configured = spec(Dialect.CLAUDE, provider="other", model="gpt-5")

    seat = judged("", log=data, spec=configured).seat

    assert (seat.provider, seat.model) == (provider, model or "unknown")


def test_a_seat_is_what_the_program_reported():
    assert judged("claude/success").seat == Seat(
        runner="agent",
        provider="anthropic",
        model="claude-sonnet-4-5",
        session="8a4c02d3-1285-42da-afbc-c0d9313547a4",
        version="2.1.197",
    )
    assert judged("codex/success").seat == Seat(runner="agent", session="01a1fccd-2063-7a91-bc42-83d158d6b3d6")


PRICE = {"lab-model": Price(fresh=3.0, cached=0.3, output=15.0)}


@pytest.mark.parametrize(
    ("case", "prices", "cost", "is_estimated"),
    [
        ("claude/success", {}, SONNET_COST, False),
        ("claude/success", {"claude-": Price(fresh=1, cached=1, output=1)}, SONNET_COST, False),
        ("opencode/success", {}, SONNET_COST, False),
        ("qwen/success", PRICE, SONNET_COST, True),
        ("qwen/success", {}, None, False),
        ("codex/success", PRICE, None, False),
        ("gemini/success", {}, 0.00305, True),
        ("vibe/success", PRICE, None, False),
    ],
)
def test_money_is_reported_or_estimated_or_unknown(case, prices, cost, is_estimated):
    usage = judged(case, prices=prices).usage

    assert usage.cost_usd == (None if cost is None else pytest.approx(cost))
    assert usage.estimated is is_estimated


# --- what codex writes down itself -------------------------------------------------------------------------


def rollout():
    return log("codex/rollout").splitlines()


def first_run():
    return rollout()[:6]


def test_codex_writes_down_who_played_and_what_the_last_run_used():
    assert codex_rollout(first_run()) == Rollout(
        model="lab-model", provider="lab", version="0.169.0", fresh=1600, cached=400, output=100
    )
    assert codex_rollout(rollout()) == codex_rollout(first_run()), "the totals are those of the session"
    assert codex_rollout([*rollout(), b"{}", b'{"type": "event', b"[1]"]) == codex_rollout(rollout())
    assert codex_rollout([]) == Rollout()


def test_a_resumed_codex_tells_the_tokens_of_the_whole_session():
    own = Usage(fresh_tokens=1600, cached_tokens=400, output_tokens=100, turns=2)

    assert judged("codex/resume").usage.fresh_tokens == 3200
    assert judged("codex/resume", resumed=True).usage == Usage(turns=2), "what is not known is not guessed"
    assert judged("codex/resume", resumed=True, rollout=rollout()).usage == own


def test_the_record_tells_what_a_codex_used_that_was_stopped():
    reading = judged("codex/term", done=ended(-15, How.LIMIT, limit=Limit.TURNS), rollout=first_run(), prices=PRICE)

    assert reading.usage.cost_usd == pytest.approx(SONNET_COST)
    assert (reading.seat.model, reading.seat.provider, reading.seat.version) == ("lab-model", "lab", "0.169.0")


def limits(primary, secondary):
    told = {"primary": primary, "secondary": secondary}
    return printed({"type": "event_msg", "payload": {"type": "token_count", "info": None, "rate_limits": told}})


def window(percent, seconds):
    return {"used_percent": percent, "window_minutes": 300, "resets_at": int(NOW.timestamp()) + seconds}


@pytest.mark.parametrize(
    ("primary", "secondary", "until"),
    [
        (window(100.0, 60), window(20.0, 900), later(seconds=60)),
        (window(100, 60), window(100, 900), later(seconds=900)),
        (window(99.0, 60), None, None),
        (None, None, None),
    ],
)
def test_the_record_tells_when_a_limit_of_codex_is_lifted(primary, secondary, until):
    lines = limits(primary, secondary).splitlines()

    assert judged("codex/429", 1, rollout=lines).until == until


# --- what may be written down ------------------------------------------------------------------------------


def test_no_secret_is_quoted_not_even_half_of_one():
    for padding in (0, LONGEST_WORDS - 20, LONGEST_WORDS + 20):
        trouble = of_log(failing("x" * padding + " " + KEY, 401)).trouble
        assert KEY[:12] not in trouble
        assert len(trouble) < LONGEST_WORDS + 150


def test_a_long_sentence_is_clipped_and_stays_one_line():
    trouble = of_log(failing("a\n\tb " * 10_000, 401)).trouble

    words = trouble.partition(" – it said: ")[2]
    assert words == ("a b " * 1000)[:LONGEST_WORDS]
    assert "\n" not in trouble


@pytest.mark.parametrize("value", [float("nan"), {"a": "\ud800"}, {"\ud800": 1}, [float("inf")]])
def test_a_structured_answer_that_cannot_be_written_down_is_none(value):
    reading = of_log(printed(claude_success("x", structured_output=value)), code=0)

    assert (reading.fault, reading.structured) == (None, None)


def test_half_characters_do_not_get_through():
    data = printed(
        {"type": "system", "subtype": "init", "model": "\ud800", "session_id": "\udfff"}, claude_success("\ud800")
    )

    reading = of_log(data, code=0)

    assert (reading.text, reading.seat.model, reading.seat.session) == ("?", "?", "?")


def test_invalid_bytes_in_a_line_do_not_lose_it():
    data = log("claude/success").replace(b"hello from", b"hello \xff\xfe from")

    assert judged("claude/success", log=data).usage == judged("claude/success").usage


@pytest.mark.parametrize("case", CASES)
def test_a_log_may_have_plain_lines_between(case):
    noise = b"\nwarning: something\n\xff\xfe\x00\n   \n"
    noisy = b"first words\n" + noise.join(log(case).splitlines()) + b"\n"

    quiet, loud = judged(case), judged(case, log=noisy)

    assert (quiet.usage, quiet.seat, quiet.structured) == (loud.usage, loud.seat, loud.structured)
    assert quiet.fault == loud.fault


def check(reading):
    """Hold a reading against what it promised: all of it can be written down."""
    canonical({"trouble": reading.trouble, "text": reading.text, "structured": reading.structured})
    encode(reading.seat), encode(reading.usage)
    assert (reading.fault is None) is (reading.trouble == "")
    assert reading.limit is None or reading.fault is Fault.LIMIT
    assert reading.until is None or reading.until > NOW
    assert "\n" not in reading.trouble


EXITS = st.sampled_from([0, 1, 3, 42, 53, 86, 127, 143, 145, 173, -9, -15])


@examples(200)
@given(st.sampled_from(Dialect), st.binary(max_size=200), EXITS, st.booleans())
def test_any_bytes_can_be_read(which, data, code, resumed):
    check(of_log(data, which, code, resumed=resumed, rollout=[data]))


@examples(250)
@given(st.data())
def test_any_value_may_stand_at_any_place_of_a_log(data):
    case = data.draw(st.sampled_from([case for case in CASES if documents(case)]))
    docs = documents(case)
    number = data.draw(st.integers(0, len(docs) - 1))
    path = data.draw(st.sampled_from(list(places(docs[number]))))
    docs[number] = spoilt(docs[number], path, data.draw(ODD))
    lines = "".join(f"{json.dumps(one)}\n" for one in docs).encode()

    role, resumed = data.draw(st.sampled_from(Role)), data.draw(st.booleans())
    check(judged(case, data.draw(EXITS), log=lines, role=role, resumed=resumed, rollout=lines.splitlines()))


@examples(100)
@given(st.data())
def test_a_log_may_break_off_anywhere(data):
    case = data.draw(st.sampled_from(CASES))
    cut = data.draw(st.integers(1, len(log(case))))

    check(judged(case, data.draw(EXITS), log=log(case)[:cut], resumed=data.draw(st.booleans())))


# --- the tables themselves --------------------------------------------------------------------------------


def test_every_fault_has_its_advice():
    assert set(ADVICE) == set(Fault)
    assert [word for word in ADVICE.values() if "\n" in word or word.endswith(".")] == []


def test_every_row_of_the_tables_can_be_reached():
    assert set(STATUSES.values()) | set(CODES.values()) | {cause[0] for _, cause in SENTENCES} <= set(Fault)
    assert set(LIMITS) & set(CODES) == set()
    tried = [judged(case, code).trouble for case, code, *_ in FAULTS]
    assert all(tried)

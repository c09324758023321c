"""The fold of what agent programs print: the same figures from every dialect, and no line that can break it."""

from __future__ import annotations

import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.samples import CASES, DIALECTS, dialect, documents, fed, log
from tests.records.documents import JSON_VALUES, examples

from gluerun.core import stream as module
from gluerun.core.stream import STREAMS, Stream, count, moment, stream_of
from gluerun.records.runner import Dialect

FIGURES = ("turns", "fresh", "cached", "output", "cost")
ATTRIBUTES = [name for name in Stream.__slots__ if not name.startswith("_")]


def figures(stream):
    return tuple(getattr(stream, name) for name in FIGURES)


def after(which, *docs):
    stream = stream_of(which)
    for document in docs:
        stream.feed(document)
    return stream


# --- who, what, how much ----------------------------------------------------------------------------------


def test_there_is_a_stream_for_every_dialect():
    assert set(STREAMS) == set(Dialect)
    assert type(stream_of("something-new")) is type(stream_of("text"))


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("claude/success", (2, 1600, 400, 100, 0.00642)),
        ("claude/partial", (2, 1600, 400, 100, 0.00642)),
        ("claude/json", (2, 1600, 400, 100, 0.00642)),
        ("codex/success", (2, 1600, 400, 100, None)),
        ("gemini/success", (2, 1600, 400, 100, None)),
        ("qwen/success", (2, 1600, 400, 100, None)),
        ("opencode/success", (2, 1600, 400, 100, 0.00642)),
        ("copilot/success", (2, None, None, None, None)),
        ("copilot/usage", (None, 1600, 400, 100, None)),
        ("vibe/success", (2, None, None, None, None)),
        ("claude/unknown-session", (0, 0, 0, 0, 0.0)),
        ("codex/unknown-session", (None, None, None, None, None)),
        ("codex/429", (None, None, None, None, None)),
    ],
)
def test_the_same_work_is_the_same_figures_in_every_dialect(case, expected):
    assert figures(fed(case)) == expected


@pytest.mark.parametrize("program", sorted(DIALECTS))
def test_a_run_that_succeeded_has_ended_without_an_error(program):
    stream = fed(f"{program}/success")

    assert stream.text == "done"
    assert stream.session
    assert stream.ended is (program != "vibe")
    assert stream.wrote is (program != "codex"), "codex writes by its shell in this sample"
    state = (stream.failed, stream.status, stream.code, stream.message, stream.waits, stream.garbled, stream.denied)
    assert state == (False, None, "", "", "", 0, 0)


@pytest.mark.parametrize(
    ("case", "model", "version"),
    [
        ("claude/success", "claude-sonnet-4-5", "2.1.197"),
        ("claude/401", "claude-sonnet-4-5", "2.1.197"),
        ("claude/json", "claude-sonnet-4-5", ""),
        ("qwen/success", "lab-model", "0.15.10"),
        ("gemini/success", "gemini-2.5-pro", ""),
        ("codex/success", "", ""),
        ("opencode/success", "", ""),
    ],
)
def test_the_model_is_the_one_the_program_named(case, model, version):
    stream = fed(case)

    assert (stream.model, stream.version) == (model, version)


def test_copilot_may_tell_itself_who_plays():
    start = {"sessionId": "s", "selectedModel": "m", "copilotVersion": "1.0"}

    stream = after("copilot-jsonl", {"type": "session.start", "data": start})

    assert (stream.session, stream.model, stream.version) == ("s", "m", "1.0")


@pytest.mark.parametrize(
    ("case", "structured"),
    [
        ("claude/schema", {"verdict": "pass", "notes": "fine"}),
        ("qwen/schema", {"verdict": "pass"}),
        ("codex/schema", None),
        ("claude/success", None),
    ],
)
def test_a_structured_answer_is_kept_as_it_came(case, structured):
    assert fed(case).structured == structured


# --- while it runs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "lines", "expected"),
    [
        ("claude/success", 1, (None, None, None, None, None)),
        ("claude/success", 2, (1, 800, 200, 1, None)),
        ("claude/success", 4, (2, 1600, 400, 2, None)),
        ("claude/partial", 3, (1, 800, 200, 1, None)),
        ("claude/partial", 5, (1, 800, 200, 50, None)),
        ("claude/partial", 10, (2, 1600, 400, 100, None)),
        ("claude/term", None, (1, 800, 200, 1, None)),
        ("codex/success", 4, (None, None, None, None, None)),
        ("codex/success", 5, (1, None, None, None, None)),
        ("qwen/success", 2, (1, 800, 200, 50, None)),
        ("opencode/success", 3, (1, 800, 200, 50, 0.00321)),
        ("gemini/success", 4, (1, None, None, None, None)),
    ],
)
def test_what_is_used_up_is_counted_while_it_runs(case, lines, expected):
    assert figures(fed(case, lines)) == expected


def claude_message(name, output, parent=None, **usage):
    told = {"input_tokens": 10, "cache_creation_input_tokens": 5, "output_tokens": output, **usage}
    message = {"id": name, "model": "m", "content": [{"type": "text", "text": f"{name} said"}], "usage": told}
    return {"type": "assistant", "message": message, "parent_tool_use_id": parent}


def test_a_message_in_several_events_counts_once_with_its_largest_figures():
    stream = after("claude-jsonl", claude_message("a", 1), claude_message("a", 7), claude_message("a", 3))

    assert figures(stream) == (1, 15, None, 7, None)


def test_tokens_of_a_helper_count_but_its_turns_and_words_do_not():
    stream = after("claude-jsonl", claude_message("a", 1), claude_message("b", 2, parent="tool-1"))

    assert figures(stream) == (1, 30, None, 3, None)
    assert stream.text == "a said"


def test_many_messages_are_counted_and_few_remembered():
    stream = after("claude-jsonl", *(claude_message(f"m{number}", 1) for number in range(1000)))

    assert figures(stream) == (1000, 15000, None, 1000, None)
    assert len(stream._messages) == module.REMEMBERED


def test_a_piece_of_a_message_nobody_began_counts_nothing():
    piece = {"type": "stream_event", "event": {"type": "message_delta", "usage": {"output_tokens": 5}}}

    assert figures(after("claude-jsonl", piece)) == (None, None, None, None, None)


def test_messages_without_a_name_count_each():
    stream = after("claude-jsonl", claude_message(None, 1), claude_message(None, 1))

    assert figures(stream) == (2, 30, None, 2, None)


def test_a_result_that_tells_no_figures_leaves_those_that_were_counted():
    stream = after("claude-jsonl", claude_message("a", 4), {"type": "result", "subtype": "success", "usage": {}})

    assert figures(stream) == (1, 15, None, 4, None)


@pytest.mark.parametrize(
    ("case", "lines", "hint"),
    [
        ("claude/429", 2, "rate_limit 429, attempt 1 of 1"),
        ("claude/refuse", 2, "unknown, attempt 1 of 1"),
        ("claude/limit", 2, "limit five_hour"),
        ("codex/429-once", 4, "Reconnecting... 1/5 (exceeded retry limit, last status: 429 Too Many Requests)"),
        ("gemini/429", 3, "Attempt 1 failed with status 429. Retrying with backoff..."),
    ],
)
def test_that_it_waits_is_told_until_it_goes_on(case, lines, hint):
    assert fed(case, lines).waits == hint
    assert fed(case).waits == ""


def limit_event(status, **info):
    return {"type": "rate_limit_event", "rate_limit_info": {"status": status, "rateLimitType": "five_hour", **info}}


@pytest.mark.parametrize("told", [1_800_000_000, 1_800_000_000_000])
def test_a_rejected_limit_tells_when_it_is_lifted(told):
    stream = after("claude-jsonl", limit_event("rejected", resetsAt=told))

    assert (stream.retry_at, stream.waits) == (1_800_000_000.0, "limit five_hour")

    stream.feed(limit_event("allowed"))

    assert (stream.retry_at, stream.waits) == (None, "")


# --- errors ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "status", "code", "message"),
    [
        ("claude/401", 401, "authentication_failed", "Invalid API key"),
        ("claude/429", 429, "rate_limit", "API Error: Request rejected (429)"),
        ("claude/credit", 400, "billing_error", "Credit balance is too low"),
        ("claude/truncated", None, "max_output_tokens", "API Error: Claude's response exceeded"),
        ("claude/max-turns", None, "error_max_turns", "Reached maximum number of turns (2)"),
        ("claude/max-budget", None, "error_max_budget_usd", "Reached maximum budget ($0.01)"),
        ("claude/unknown-session", None, "error_during_execution", "No conversation found"),
        ("codex/401", 401, "", "unexpected status 401 Unauthorized"),
        ("codex/429", 429, "", "exceeded retry limit, last status: 429"),
        ("codex/500", None, "", "We’re currently experiencing high demand"),
        ("codex/html", 502, "", "unexpected status 502 Bad Gateway"),
        ("gemini/401", None, "unknown", "[API Error: invalid x-api-key]"),
        ("gemini/max-turns", None, "FatalTurnLimitedError", "Reached max session turns"),
        ("opencode/429", 429, "APIError", "This request would exceed"),
        ("copilot/429", 429, "rate_limit", "Failed to get response"),
    ],
)
def test_the_envelope_of_an_error_is_taken_apart(case, status, code, message):
    stream = fed(case)

    assert stream.failed is True
    assert (stream.status, stream.code) == (status, code)
    assert stream.message.startswith(message)


def test_the_first_words_of_an_error_count_even_if_nothing_follows():
    stream = fed("claude/429", 3)

    assert (stream.failed, stream.code) == (False, "rate_limit")
    assert stream.message.startswith("API Error")


@pytest.mark.parametrize("case", ["claude/429-once", "codex/429-once", "codex/drop-once"])
def test_an_error_it_recovered_from_is_none(case):
    stream = fed(case)

    assert (stream.ended, stream.failed, stream.text) == (True, False, "done")


def test_an_error_item_of_codex_is_a_remark():
    remark = {"type": "item.completed", "item": {"type": "error", "message": "Model metadata not found"}}

    stream = after("codex-jsonl", remark)

    assert (stream.failed, stream.turns) == (False, None)


def test_a_copilot_that_goes_on_after_an_error_has_recovered():
    stream = after("copilot-jsonl", *documents("copilot/429")[:1], {"type": "assistant.turn_end", "data": {}})

    assert (stream.failed, stream.status, stream.code) == (False, None, "")


def test_an_error_of_qwen_may_stand_in_a_field_of_its_own():
    stream = after(
        "claude-jsonl", {"type": "result", "subtype": "error_during_execution", "error": {"message": "no such thing"}}
    )

    assert (stream.failed, stream.message) == (True, "no such thing")


def test_a_remark_of_gemini_is_the_error_of_a_result_without_words():
    stream = after("gemini-jsonl", {"type": "error", "message": "why"}, {"type": "result", "status": "error"})

    assert (stream.failed, stream.message) == (True, "why")


@pytest.mark.parametrize(
    ("told", "seconds"), [("20", 20.0), (20, 20.0), (1.5, 1.5), ("soon", None), ("²", None), (None, None)]
)
def test_opencode_passes_on_when_to_ask_again(told, seconds):
    data = {"statusCode": 429, "responseHeaders": {"retry-after": told}}

    assert after("opencode-jsonl", {"type": "error", "error": {"data": data}}).retry_after == seconds


@pytest.mark.parametrize(
    ("case", "ended"),
    [
        ("opencode/success", True),
        ("opencode/term", False),
        ("opencode/truncated", False),
        ("opencode/401", False),
        ("codex/term", False),
        ("codex/int", False),
        ("claude/term", False),
        ("claude/int", True),
        ("gemini/term", False),
    ],
)
def test_only_its_own_end_marker_is_an_end(case, ended):
    assert fed(case).ended is ended


# --- text ------------------------------------------------------------------------------------------------


def test_the_final_message_of_gemini_is_what_it_says_after_the_last_tool():
    assert fed("gemini/success", 5).text == "I will write it."
    assert fed("gemini/success", 6).text == "do"


def test_parts_of_one_step_of_opencode_belong_together():
    part = {"type": "text", "part": {"text": "more"}}

    stream = after("opencode-jsonl", part, part, {"type": "step_start"}, {"type": "text", "part": {"text": "last"}})

    assert stream.text == "last"
    assert after("opencode-jsonl", part, part).text == "more\nmore"


def test_a_long_answer_in_many_pieces_is_put_together():
    stream = stream_of("gemini-jsonl")
    piece = {"type": "message", "role": "assistant", "content": "0123456789" * 10, "delta": True}
    for _ in range(20_000):
        stream.feed(piece)

    assert len(stream.text) == 2_000_000


@pytest.mark.parametrize("said", [[], [{"type": "text", "text": ""}], None, 7])
def test_a_result_of_claude_that_is_no_text_is_nothing_said(said):
    assert after("claude-jsonl", {"type": "result", "subtype": "success", "result": said}).text == ""


def test_the_text_of_a_message_may_stand_there_plainly():
    assert after("claude-jsonl", {"type": "assistant", "message": {"content": "plain"}}).text == "plain"


# --- writing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "wrote", "denied"),
    [
        ("claude/success", True, 0),
        ("claude/readonly", False, 1),
        ("claude/max-turns", False, 0),
        ("codex/patch", True, 0),
        ("codex/patch-ro", False, 0),
        ("gemini/denied", False, 0),
        ("vibe/denied", False, 0),
    ],
)
def test_only_a_write_that_succeeded_has_written(case, wrote, denied):
    stream = fed(case)

    assert (stream.wrote, stream.denied) == (wrote, denied)


def test_a_change_that_codex_may_not_make_is_a_denial():
    item = {"type": "file_change", "status": "declined"}

    stream = after("codex-jsonl", {"type": "item.completed", "item": item})

    assert (stream.wrote, stream.denied) == (False, 1)


def test_results_of_tools_that_nobody_began_are_nothing():
    stream = after("copilot-jsonl", {"type": "tool.execution_complete", "data": {"toolCallId": "t", "success": True}})

    assert stream.wrote is False


def test_few_open_tools_are_remembered():
    use = [{"type": "tool_use", "id": f"t{n}", "name": "Write"} for n in range(1000)]

    stream = after("claude-jsonl", {"type": "assistant", "message": {"content": use}})

    assert len(stream._open) == module.REMEMBERED


# --- nonsense --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "garbled"),
    [
        (b"", 0),
        (b"plain words", 0),
        (b" {", 0),
        (b"{}", 0),
        (b"[]", 0),
        (b'{"type": "resu', 1),
        (b"[oops", 1),
        (b'{"a": "\xff"}', 1),
        (b"[" * 200_000, 1),
        (b'{"type":"result","result":"' + b"x" * 3_000_000, 1),
    ],
)
@pytest.mark.parametrize("which", [one for one in Dialect if one is not Dialect.TEXT])
def test_only_what_looks_like_json_and_is_none_is_garbled(which, line, garbled):
    stream = stream_of(which)

    stream.feed_line(line, json.loads)

    assert stream.garbled == garbled


def test_what_a_program_of_plain_text_prints_is_its_own():
    stream = stream_of("text")

    stream.feed_line(b'{"type": "result"', json.loads)
    stream.feed({"type": "result", "result": "x"})

    assert (stream.garbled, stream.text, stream.ended) == (0, "", False)


def test_a_megabyte_in_one_line_is_one_message():
    line = json.dumps({"type": "result", "subtype": "success", "result": "x" * 2_000_000}).encode()
    stream = stream_of("claude-jsonl")

    stream.feed_line(line, json.loads)

    assert len(stream.text) == 2_000_000


@pytest.mark.parametrize("which", Dialect)
@pytest.mark.parametrize("kind", ["something.new", "message", "assistant", "assistant.message", "text", "result", 7])
def test_an_event_that_holds_nothing_known_says_nothing(which, kind):
    stream = after(which, {"type": kind, "role": kind}, {"type": kind, "role": "assistant", "data": 1, "part": 1})

    assert (stream.text, stream.session, stream.output) == ("", "", None)


def test_a_list_of_documents_is_as_good_as_lines():
    stream = stream_of("claude-jsonl")

    stream.feed(documents("qwen/success"))

    assert figures(stream) == figures(fed("qwen/success"))


@pytest.mark.parametrize("value", [True, -1, 10**15, 10**400, 1.5, "7", None, [], {}, float("nan")])
def test_what_can_be_no_count_is_unknown(value):
    assert count(value) is None


@pytest.mark.parametrize("value", [True, -1, 10**400, "7", None, float("nan"), float("inf")])
def test_what_can_be_no_moment_is_unknown(value):
    assert moment(value) is None


# Far outside of what programs print, but JSON all the same.
ODD = JSON_VALUES | st.sampled_from(
    [10**400, -(10**400), float("nan"), float("inf"), "\ud800", "x" * 10_000, [[]], [{}], {"": {}}, True, -1]
)


def check(stream):
    """Hold what a stream says against what it promised."""
    for name in ("session", "model", "provider", "version", "text", "code", "message", "waits"):
        assert isinstance(getattr(stream, name), str)
    for name in ("turns", "fresh", "cached", "output", "status"):
        value = getattr(stream, name)
        assert value is None or (type(value) is int and value >= 0)
    for name in ("cost", "retry_after", "retry_at"):
        value = getattr(stream, name)
        assert value is None or (type(value) is float and value >= 0)
    for name in ("ended", "failed", "wrote"):
        assert type(getattr(stream, name)) is bool
    for name in ("garbled", "denied"):
        assert type(getattr(stream, name)) is int


@examples(200)
@given(st.sampled_from(Dialect), st.lists(ODD, max_size=3))
def test_any_json_can_be_fed(which, values):
    check(after(which, *values))


def places(value, path=()):
    """Yield the path of every value within a document."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


def spoilt(document, path, value):
    """Return a document with one value replaced."""
    if not path:
        return value
    copy = deepcopy(document)
    target = copy
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return copy


@examples(400)
@given(st.data())
def test_any_value_may_stand_at_any_place_of_what_programs_print(data):
    case = data.draw(st.sampled_from([case for case in CASES if documents(case)]))
    docs = documents(case)
    number = data.draw(st.integers(0, len(docs) - 1))
    path = data.draw(st.sampled_from(list(places(docs[number]))))
    docs[number] = spoilt(docs[number], path, data.draw(ODD))

    check(after(dialect(case), *docs))


@examples(100)
@given(st.data())
def test_a_stream_may_break_off_anywhere(data):
    case = data.draw(st.sampled_from(CASES))
    cut = log(case)[: data.draw(st.integers(0, len(log(case))))]
    stream = stream_of(dialect(case))

    for line in cut.split(b"\n"):
        stream.feed_line(line, json.loads)

    check(stream)
    assert stream.garbled <= 1


# --- what it costs ---------------------------------------------------------------------------------------


def test_it_imports_nothing():
    engine = Path(module.__file__).resolve().parents[2]
    code = "import sys; old = set(sys.modules); import gluerun.core.stream; print(*sorted(set(sys.modules) - old))"
    argv = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({str(engine)!r}); {code}"]

    done = subprocess.run(argv, capture_output=True, text=True, check=True)

    assert set(done.stdout.split()) <= {"__future__", "gluerun", "gluerun.core", "gluerun.core.stream"}


@pytest.mark.parametrize("which", Dialect)
def test_a_stream_has_no_room_for_more(which):
    stream = stream_of(which)

    assert not hasattr(stream, "__dict__")
    assert {name: getattr(stream, name) for name in ATTRIBUTES}

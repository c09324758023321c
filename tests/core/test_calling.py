"""How programs are called: each option in its place, every placeholder filled, nothing left in braces."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from gluerun.core.calling import ARGUMENT_BYTES, Ask, call_of, session_of
from gluerun.records.dispatch import Role
from gluerun.records.placeholder import FILLED, OPTIONS, filled, names_in
from gluerun.records.record import replace
from gluerun.records.runner import PromptBy, RunnerSpec, Sessions
from gluerun.settings_runners import declaration, declared_names

ASK = Ask(
    role=Role.WORKER,
    writes=True,
    prompt="do it {model}",
    prompt_file="/s/prompt.md",
    worktree="/w",
    home="/s/home",
    tmp="/s/tmp",
    output="/s/out.json",
    last_message="/s/last.txt",
    schema_file="/s/schema.json",
)
SCHEMA = {"type": "object"}


def words(name: str, spec: dict[str, Any] | None = None, **ask: Any) -> str:
    call = call_of(replace(declaration(name), **(spec or {})), replace(ASK, **ask))
    return " ".join(call.argv)


CLAUDE = "claude -p --output-format stream-json --verbose"
METERED = "--include-partial-messages"
WRITES = "--permission-mode acceptEdits --allowedTools Bash"
CODEX_END = (
    '-c approval_policy="never" -c sandbox_workspace_write.exclude_slash_tmp=true -c check_for_update_on_startup=false '
    '-c analytics.enabled=false -c web_search="disabled" --disable plugins'
)
CODEX = "--json --skip-git-repo-check -o /s/last.txt"
CALLS: tuple[tuple[str, str, dict[str, Any], dict[str, Any], str], ...] = (
    ("a worker", "claude", {}, {}, f"{CLAUDE} {WRITES}"),
    ("a model", "claude", {"model": "opus"}, {}, f"{CLAUDE} --model opus {WRITES}"),
    ("a new session", "claude", {}, {"session": "u-1"}, f"{CLAUDE} --session-id u-1 {WRITES}"),
    ("an old session", "claude", {}, {"session": "u-1", "resume": "u-0"}, f"{CLAUDE} --resume u-0 {WRITES}"),
    ("an auditor", "claude", {}, {"writes": False}, f"{CLAUDE} --tools Read,Grep,Glob"),
    ("a schema", "claude", {}, {"schema": SCHEMA}, f'{CLAUDE} {WRITES} --json-schema {{"type":"object"}}'),
    ("limits", "claude", {}, {"max_turns": 9, "max_usd": 1.5},
     f"{CLAUDE} {WRITES} --max-turns 9 --max-budget-usd 1.5 {METERED}"),
    ("a small sum", "claude", {}, {"max_usd": 0.00012}, f"{CLAUDE} {WRITES} --max-budget-usd 0.0001 {METERED}"),
    ("a limit of tokens", "claude", {}, {"max_tokens": 9}, f"{CLAUDE} {WRITES} {METERED}"),
    ("our sandbox", "claude", {}, {"confined": True}, f"{CLAUDE} {WRITES}"),
    ("a worker", "codex", {}, {}, f'codex exec {CODEX} -c sandbox_mode="workspace-write" {CODEX_END} -'),
    ("no preset", "codex", {}, {"session": "u"}, f'codex exec {CODEX} -c sandbox_mode="workspace-write" {CODEX_END} -'),
    ("our sandbox", "codex", {}, {"confined": True},
     f'codex exec {CODEX} -c sandbox_mode="danger-full-access" {CODEX_END} -'),
    ("our sandbox, reading", "codex", {}, {"confined": True, "writes": False},
     f'codex exec {CODEX} -c sandbox_mode="danger-full-access" {CODEX_END} -'),
    ("reading", "codex", {}, {"writes": False}, f'codex exec {CODEX} -c sandbox_mode="read-only" {CODEX_END} -'),
    ("our sandbox, reading", "claude", {"options": {"confined": ("--all",), "readOnly": ("--ro",)}},
     {"confined": True, "writes": False}, f"{CLAUDE} --ro"),
    ("our sandbox, writing", "claude", {"options": {"confined": ("--all",), "write": ("--w",)}},
     {"confined": True}, f"{CLAUDE} --all"),
    ("an old session", "codex", {}, {"resume": "t-0"},
     f'codex exec resume {CODEX} -c sandbox_mode="workspace-write" {CODEX_END} t-0 -'),
    ("words of one's own", "claude", {"options": {"args": ("--mcp-config", "{worktree}/m")}}, {},
     f"{CLAUDE} --mcp-config /w/m"),
    ("words of one's own", "codex", {"options": {"args": ("-c", "a=1"), "resumeId": ("{session}",),
     "resume": ("resume",)}}, {"resume": "t-0"}, f"codex exec resume {CODEX} -c a=1 {CODEX_END} t-0 -"),
    ("by argument", "mini-swe-agent", {}, {},
     "mini -y --exit-immediately -o /s/tmp/trajectory.json -t do it {model}"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "spec", "ask", "wanted"), [row[1:] for row in CALLS], ids=[f"{row[1]}: {row[0]}" for row in CALLS]
)
def test_the_words_of_a_call(name: str, spec: dict[str, Any], ask: dict[str, Any], wanted: str) -> None:
    assert words(name, spec, **ask) == wanted


@pytest.mark.parametrize("name", declared_names())
@pytest.mark.parametrize("writes", [True, False])
@pytest.mark.parametrize("resume", ["", "s-1"])
def test_no_declaration_leaves_a_brace(name: str, writes: bool, resume: str) -> None:
    ask = replace(ASK, prompt="x", writes=writes, resume=resume, session="s-2", schema=SCHEMA, max_turns=1, max_usd=2.0)
    call = call_of(replace(declaration(name), model="m"), ask)

    assert not [word for word in (*call.argv, *call.env.values()) if re.search(r"\{\+?[A-Za-z_]+\}", word)]
    assert call.trouble == ""
    assert call.resumed == (bool(resume) and declaration(name).can_resume)
    if call.resumed:
        assert any("s-1" in word for word in call.argv)


def test_the_schema_goes_into_a_file_only_where_one_is_named() -> None:
    spec = RunnerSpec(name="a", argv=("a", "{+schema}"), options={"schema": ("--schema", "{schema_file}")})

    call = call_of(spec, replace(ASK, schema=SCHEMA))

    assert call.argv == ("a", "--schema", "/s/schema.json")
    assert {path: json.loads(text) for path, text in call.files.items()} == {"/s/schema.json": SCHEMA}
    assert call_of(spec, ASK).files == {}
    assert call_of(declaration("claude"), replace(ASK, schema=SCHEMA)).files == {}


def test_own_homes_and_seeds_lie_below_the_programs_own_folder() -> None:
    call = call_of(declaration("opencode"), ASK)

    assert call.env["XDG_DATA_HOME"] == "/s/home/data"
    assert call.env["TMPDIR"] == "/s/tmp"
    assert call.seeds == {"/s/home/data/opencode/auth.json": "~/.local/share/opencode/auth.json"}
    assert call.folders == ("/s/home", "/s/tmp", "/s/home/data")


def test_who_names_a_session() -> None:
    ask = replace(ASK, session="u-1")
    assert call_of(declaration("claude"), ask).session == "u-1"
    assert call_of(declaration("codex"), ask).session == ""
    assert call_of(declaration("codex"), replace(ask, resume="t-1")).session == "t-1"
    never = replace(declaration("claude"), sessions=Sessions.NONE)
    assert call_of(never, replace(ask, resume="u-0")).session == ""


@pytest.mark.parametrize(("by", "stdin"), [(PromptBy.STDIN, True), (PromptBy.FILE, False), (PromptBy.ARGUMENT, False)])
def test_only_one_way_of_the_prompt_is_limited(by: PromptBy, stdin: bool) -> None:
    spec = RunnerSpec(name="a", argv=("a", "{prompt_file}"), prompt=by)
    for size in (ARGUMENT_BYTES, ARGUMENT_BYTES + 1):
        call = call_of(spec, replace(ASK, prompt="x" * size))
        assert call.stdin is stdin
        assert bool(call.trouble) is (by is PromptBy.ARGUMENT and size > ARGUMENT_BYTES)


def test_bytes_are_counted_and_not_letters() -> None:
    spec = RunnerSpec(name="a", argv=("a", "{prompt}"), prompt=PromptBy.ARGUMENT)
    assert "the worker's prompt has 100002 bytes" in call_of(spec, replace(ASK, prompt="é" * 50_001)).trouble


def test_a_session_id_is_a_uuid_of_its_question() -> None:
    one, other = session_of("RUN-1.1"), session_of("RUN-1.2")
    assert one == session_of("RUN-1.1") != other
    form = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert re.fullmatch(form, one)
    assert re.fullmatch(form, other)


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("{model}", "M"), ("a{model}b{tmp}", "aMbT"), ("{{model}}", "{model}"), ("${model}", "${model}"), ("{}", "{}"),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}}'), ("{unknown}", "{unknown}"), ("plain", "plain"),
    ],
)  # fmt: skip
def test_filling_in(word: str, wanted: str) -> None:
    assert filled(word, {"model": "M", "tmp": "T"}) == wanted


def test_what_is_filled_in_is_not_filled_again() -> None:
    assert filled("{prompt}", {"prompt": "{model}", "model": "M"}) == "{model}"


def test_names_in_braces() -> None:
    assert names_in("{+model} {tmp} {{x}} ${HOME}") == ("+model", "tmp")


def test_every_option_of_a_declaration_has_its_place() -> None:
    for name in declared_names():
        spec = declaration(name)
        assert {f"{{+{option}}}" for option in (*spec.options, "args")} <= set(spec.argv), name
        assert set(spec.options) <= set(OPTIONS)
        used = {word for text in (*spec.argv, *spec.env.values()) for word in names_in(text) if word[0] != "+"}
        assert used <= set(FILLED)

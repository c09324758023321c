"""What a person can say about agent programs, how it goes over a declaration, and what is refused with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gluerun import settings, settings_runners
from gluerun.errors import ConfigError
from gluerun.records.codec import wire_name
from gluerun.records.config import Collection, Config, Independence
from gluerun.records.pause import OnLimit
from gluerun.records.record import fields_of, replace
from gluerun.records.runner import Dialect, Limits, Price, PromptBy, RunnerKind, RunnerSpec, Sessions
from gluerun.records.sandbox import Network, RoleSandbox, Sandbox, SandboxMode
from gluerun.settings_runners import FOLDER, declaration, declared_names


def load(document: object, environ: dict[str, str] | None = None) -> Config:
    text = document if isinstance(document, str) else json.dumps(document)
    return settings.load("/repo", environ or {}, files=lambda _: text.encode(), shell=lambda _: {}).config


def runner(entry: dict[str, Any], name: str = "mine") -> RunnerSpec:
    return load({"runners": {name: entry}}).runners[name]


def test_every_field_of_a_runner_has_a_key() -> None:
    said = set(settings_runners.RUNNER_KEYS)
    assert said == {wire_name(field) for field in fields_of(RunnerSpec)} - {"name", "declaration"}


def test_every_key_of_a_runner() -> None:
    found = runner(
        {
            "kind": "command",
            "argv": ["a", "{+model}", "{prompt_file}", "{{x}}"],
            "timeoutSeconds": 1,
            "idleSeconds": 2,
            "env": {"A": "{home}"},
            "credentials": ["KEY"],
            "provider": "p",
            "model": "m",
            "options": {"model": ["-m", "{model}"]},
            "prompt": "file",
            "dialect": "codex-jsonl",
            "sessions": "captured",
            "stop": "INT",
            "exits": {"7": "usage-limit", "-9": "killed"},
            "state": ["~/.a", "/opt/a/", "$A_HOME/x"],
            "ownHomes": {"A_HOME": "a/b"},
            "seeds": {"a/key": "~/.a/key"},
            "version": ["a", "--version"],
            "minVersion": "1.2",
            "ownSandbox": True,
            "limits": {"usd": 1, "tokens": 2, "turns": 3, "seconds": 4, "idleSeconds": 5, "outputBytes": 6,
                       "noWrite": True},
        }
    )  # fmt: skip
    assert found == RunnerSpec(
        name="mine",
        argv=("a", "{+model}", "{prompt_file}", "{{x}}"),
        timeout_seconds=1,
        idle_seconds=2,
        env={"A": "{home}"},
        credentials=("KEY",),
        provider="p",
        model="m",
        options={"model": ("-m", "{model}")},
        prompt=PromptBy.FILE,
        dialect=Dialect.CODEX,
        sessions=Sessions.CAPTURED,
        stop="INT",
        exits={"7": "usage-limit", "-9": "killed"},
        state=("~/.a", "/opt/a/", "$A_HOME/x"),
        own_homes={"A_HOME": "a/b"},
        seeds={"a/key": "~/.a/key"},
        version=("a", "--version"),
        min_version="1.2",
        own_sandbox=True,
        limits=Limits(usd=1.0, tokens=2, turns=3, seconds=4, idle_seconds=5, output_bytes=6, no_write=True),
    )


@pytest.mark.parametrize("name", declared_names())
def test_every_declaration_can_be_used_as_it_is_and_copied(name: str) -> None:
    shipped = declaration(name)
    copied = json.loads(Path(FOLDER, f"{name}.json").read_text(encoding="utf-8"))

    assert (shipped.name, shipped.declaration) == (name, name)
    assert shipped.kind is RunnerKind.COMMAND
    assert runner(copied) == replace(shipped, name="mine", declaration="")
    assert runner({"kind": name}) == replace(shipped, name="mine")
    assert runner({}, name) == shipped
    assert load({"roles": {"worker": {"runner": name}}}).runners == {name: shipped}
    assert load({}, {"GLUERUN_RUNNER": name}).runner_of("auditor") == name
    assert load(load_text(name)).runners[name] == shipped


def load_text(name: str) -> str:
    return json.dumps({"runner": name})


def test_a_declaration_keeps_its_house_in_order() -> None:
    for name in declared_names():
        spec = declaration(name)
        assert spec.env["TMPDIR"] == "{tmp}", name
        assert spec.env["CI"] == "1", name
        assert spec.timeout_seconds, name
        assert not set(spec.env) & set(spec.credentials), name
        assert (spec.sessions is not Sessions.NONE) == ("resume" in spec.options), name
        assert (spec.sessions is Sessions.PRESET) == ("preset" in spec.options), name
        assert not spec.version or spec.version[0] == spec.argv[0], name


def test_an_entry_goes_over_its_declaration() -> None:
    base = declaration("claude")
    found = runner(
        {
            "kind": "claude",
            "model": "opus",
            "env": {"CI": "0", "MINE": "1"},
            "options": {"write": ["--dangerously-skip-permissions"]},
            "exits": {"9": "overload"},
            "limits": {"usd": 2},
            "credentials": ["ONLY_THIS"],
        }
    )
    assert (found.name, found.declaration, found.model) == ("mine", "claude", "opus")
    assert found.env == {**base.env, "CI": "0", "MINE": "1"}
    assert found.options == {**base.options, "write": ("--dangerously-skip-permissions",)}
    assert found.credentials == ("ONLY_THIS",)
    assert (found.exits, found.limits, found.argv) == ({"9": "overload"}, Limits(usd=2.0), base.argv)


def test_another_program_under_a_declaration_has_no_version_of_ours() -> None:
    base = declaration("claude")
    stub = runner({"argv": ["python3", "stub.py"]}, "claude")
    assert (stub.version, stub.min_version, stub.dialect) == ((), "", base.dialect)
    same = runner({"argv": ["claude", "-p"]}, "claude")
    assert (same.version, same.min_version) == (base.version, base.min_version)
    told = runner({"argv": ["c2"], "version": ["c2", "-V"], "minVersion": "3"}, "claude")
    assert (told.version, told.min_version) == (("c2", "-V"), "3")


def test_a_kind_of_its_own_leaves_the_declaration_alone() -> None:
    found = runner({"kind": "command", "argv": ["x"]}, "claude")
    assert found == RunnerSpec(name="claude", argv=("x",))
    assert runner({"kind": "scripted", "scenario": "s.json"}, "codex").kind is RunnerKind.SCRIPTED


def test_a_role_can_have_a_model_of_its_own() -> None:
    config = load({"runner": "claude", "roles": {"auditor": {"model": "haiku"}, "planner": {"runner": "codex",
                  "model": "big"}}})  # fmt: skip
    assert config.roles == {
        "worker": "claude", "auditor": "claude@auditor", "planner": "codex@planner", "decider": "claude",
    }  # fmt: skip
    auditor, worker = config.runners["claude@auditor"], config.runners["claude"]
    assert (auditor.model, worker.model, auditor.argv) == ("haiku", "", worker.argv)
    assert auditor.held_as == worker.held_as


def test_the_sandbox() -> None:
    assert load({"sandbox": "required"}).sandbox == Sandbox(mode=SandboxMode.REQUIRED)
    found = load(
        {
            "sandbox": {
                "mode": "auto",
                "network": "loopback",
                "writable": ["~/.cache", "/opt/x"],
                "roles": {"gate": {"mode": "off", "network": "none", "writable": ["/srv"]}, "auditor": {}},
                "container": ["podman", "run", "{mounts}", "{argv}"],
            }
        }
    ).sandbox
    assert found == Sandbox(
        network=Network.LOOPBACK,
        writable=("~/.cache", "/opt/x"),
        roles={
            "gate": RoleSandbox(mode=SandboxMode.OFF, network=Network.NONE, writable=("/srv",)),
            "auditor": RoleSandbox(),
        },
        container=("podman", "run", "{mounts}", "{argv}"),
    )


def test_what_is_kept_of_the_past() -> None:
    wanted = {"keepDays": 0, "keepRuns": 1, "maxMb": 2, "rescueDays": 3, "auto": True}

    assert load({"gc": wanted}).gc == Collection(keep_days=0, keep_runs=1, max_mb=2, rescue_days=3, auto=True)
    assert load({}).gc == Collection()


def test_limits_prices_and_review() -> None:
    config = load(
        {
            "limits": {"try": {"usd": 1.5, "noWrite": True}, "task": {"tokens": 7}, "day": {"usd": 20}},
            "prices": {"big": {"fresh": 3, "cached": 0.3, "output": 15}},
            "review": {"independence": "provider"},
        }
    )
    assert config.limits_try == Limits(usd=1.5, no_write=True)
    assert (config.limits_task, config.limits_day) == (Limits(tokens=7), Limits(usd=20.0))
    assert config.prices == {"big": Price(fresh=3.0, cached=0.3, output=15.0)}
    assert config.independence is Independence.PROVIDER


def test_a_limit_stops_or_lets_a_person_say_whether_it_goes_on() -> None:
    def rules(limits: dict[str, Any], **more: Any) -> tuple[OnLimit, OnLimit]:
        config = load({"limits": limits, **more})
        return config.on_limit_try, config.on_limit_task

    stop, pause = OnLimit.STOP, OnLimit.PAUSE
    assert rules({"try": {"turns": 5}, "task": {"usd": 1}}) == (stop, stop)
    assert rules({"try": {"onLimit": "stop"}, "task": {"seconds": 5, "onLimit": "pause"}}) == (stop, pause)
    # The limit may be a runner's own.
    assert rules({"try": {"onLimit": "pause"}}, **entry(limits={"tokens": 9})) == (pause, stop)


def entry(**more: Any) -> dict[str, Any]:
    return {"runners": {"a": {"argv": ["x"], **more}}}


BAD: tuple[tuple[str, object, str, str], ...] = (
    ("a kind", {"runners": {"a": {"kind": "cluade"}}}, "no kind of runner", "did you mean `claude`"),
    ("a key over a declaration", {"runners": {"claude": {"modle": "x"}}}, "`runners.claude.modle`", "`model`"),
    ("an unknown runner", {"roles": {"worker": {"runner": "codx"}}}, "`roles.worker.runner` names the runner 'codx'",
     "did you mean `codex`"),
    ("an unknown default", '{\n "runner": "geminy"\n}', "json:2: `runner` names", "did you mean `gemini`"),
    ("a model without a runner", {"roles": {"worker": {"model": "x"}}}, "has no `runner`", "write"),
    ("an option", entry(options={"readonly": ["-r"]}), "`runners.a.options.readonly`", "`readOnly`"),
    ("an option's words", entry(options={"model": "-m"}), "`runners.a.options.model` must be a list", "brackets"),
    ("a placeholder", entry(argv=["x", "{modl}"]), "`runners.a.argv[1]` names {modl}", "did you mean `model`"),
    ("an option's place", entry(argv=["x", "{+modl}"]), "names {+modl}", "did you mean `+model`"),
    ("an option within a word", entry(argv=["x={+model}"]), "names {+model}", "double braces"),
    ("a placeholder in env", entry(env={"A": "{hom}"}), "`runners.a.env.A` names {hom}", "`home`"),
    ("a placeholder in options", entry(options={"model": ["{+model}"]}), "`runners.a.options.model[0]`", ""),
    ("a prompt nowhere", entry(prompt="argument"), "`argv` has no {prompt}", "put it there"),
    ("a prompt file nowhere", entry(prompt="file"), "`argv` has no {prompt_file}", "put it there"),
    ("a way of prompts", entry(prompt="pipe"), "no way of a prompt", "known here: argument, file, stdin"),
    ("a dialect", entry(dialect="claude-json"), "is no dialect", "did you mean `claude-jsonl`"),
    ("sessions", entry(sessions="present"), "no way of sessions", "did you mean `preset`"),
    ("a signal", entry(stop="KILL"), "must be one of 'INT', 'TERM'", ""),
    ("an exit code", entry(exits={"x": "killed"}), "cannot be an exit code", ""),
    ("a fault", entry(exits={"1": "overlod"}), "is no fault", "did you mean `overload`"),
    ("a state", entry(state=["a"]), "`runners.a.state[0]` 'a' is no absolute path", "~/"),
    ("a state's variable", entry(state=["$A-B/c"]), "'A-B' cannot be the name of a variable", ""),
    ("a home", entry(ownHomes={"A": "../x"}), "`runners.a.ownHomes.A`", ""),
    ("a seed", entry(seeds={"a": "b"}), "is no absolute path", "~/"),
    ("a version", entry(minVersion="new"), "cannot be a version", ""),
    ("a credential", entry(credentials=["A-B"]), "the name of a variable", ""),
    ("a flag", entry(ownSandbox="yes"), "true or false", ""),
    ("a runner's limit", entry(limits={"usdd": 1}), "`runners.a.limits.usdd`", "did you mean `usd`"),
    ("limits", {"limits": {"try": {"usd": -1}}}, "`limits.try.usd` must be a number that is not below 0", ""),
    ("no tokens", {"limits": {"task": {"tokens": 0}}}, "whole number above 0", "leave it out"),
    ("true tokens", {"limits": {"task": {"tokens": True}}}, "whole number above 0", ""),
    ("endless money", '{"limits": {"day": {"usd": Infinity}}}', "must be a number", ""),
    ("a day that writes", {"limits": {"day": {"noWrite": True}}}, "`limits.day.noWrite` is no known key", ""),
    ("a span", {"limits": {"week": {}}}, "`limits.week` is no known key", "known here: day, task, try"),
    ("what a limit does", {"limits": {"try": {"turns": 1, "onLimit": "pauze"}}},
     "`limits.try.onLimit` 'pauze' is no way", "did you mean `pause`"),
    ("a limit that says yes", {"limits": {"task": {"turns": 1, "onLimit": True}}}, "`limits.task.onLimit` must be", ""),
    ("a day that asks", {"limits": {"day": {"usd": 1, "onLimit": "pause"}}}, "`limits.day.onLimit` asks nobody", "out"),
    ("a runner that asks", entry(limits={"turns": 1, "onLimit": "pause"}), "`runners.a.limits.onLimit` is said once",
     "`limits.try.onLimit`"),
    ("a pause nowhere", '{"limits": {"task":\n {"onLimit": "pause"}}}', "json:2: `limits.task.onLimit` has no limit",
     "under `limits.task`"),
    ("a pause at silence", {"limits": {"try": {"idleSeconds": 9, "onLimit": "pause"}}}, "has no limit to pause at", ""),
    ("half a price", {"prices": {"m": {"fresh": 1, "cached": 1}}}, "`prices.m` has no `output`", "million"),
    ("a price", {"prices": {"m": {"fresh": 1, "cached": 1, "out": 1}}}, "`prices.m.out`", "`output`"),
    ("the past", {"gc": {"keepDay": 1}}, "is no known key", "did you mean `keepDays`?"),
    ("days", {"gc": {"keepDays": -1}}, "must be a whole number from 0", ""),
    ("auto", {"gc": {"auto": 1}}, "must be true or false", ""),
    ("a review", {"review": {"independence": "modell"}}, "no kind of independence", "did you mean `model`"),
    ("a sandbox", {"sandbox": "on"}, "no mode of the sandbox", ""),
    ("a sandbox's shape", {"sandbox": True}, "must be an object, not true or false", ""),
    ("a sandbox's network", {"sandbox": {"network": "closed"}}, "no kind of network", ""),
    ("a sandbox's role", {"sandbox": {"roles": {"gates": {}}}}, "`sandbox.roles.gates`", "did you mean `gate`"),
    ("a container without a program", {"sandbox": {"container": ["podman", "run", "{mounts}"]}},
     "`sandbox.container` has no word {argv}", "for example"),
    ("a container without a place", {"sandbox": {"container": ["podman", "{argv}"]}}, "neither {mounts} nor", ""),
    ("a silent task", {"limits": {"task": {"idleSeconds": 5}}}, "`limits.task.idleSeconds` is no known key", ""),
    ("a role's container", {"sandbox": {"roles": {"gate": {"container": []}}}}, "is no known key", ""),
)  # fmt: skip


@pytest.mark.parametrize(("document", "message", "hint"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_slip_gets_one_sentence_with_its_place(document: object, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(document)
    assert caught.value.message.startswith("gluerun.config.json:")
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint


def money(runner: object, **more: object) -> dict[str, object]:
    return {"runner": "a", "runners": {"a": runner}, "limits": {"task": {"usd": 5}}, **more}


TEXT = {"argv": ["x"]}
CODEX = {"kind": "codex"}
PRICED = {"prices": {"mine": {"fresh": 1, "cached": 1, "output": 1}}}
UNKEPT: tuple[tuple[str, dict[str, object], str, str], ...] = (
    ("text", money(TEXT), "`limits.task.usd` nobody could keep to it: the runner 'a', which plays the worker",
     "take `limits.task.usd` out"),
    ("text with a priced model", money({**TEXT, "model": "mine"}, **PRICED), "the runner 'a'", "take"),
    ("codex without a model", money(CODEX), "does not tell what it costs", "name its `model`"),
    ("codex with a strange model", money({**CODEX, "model": "mine"}), "does not tell", "the price of 'mine'"),
    ("copilot", money({"kind": "copilot"}), "does not tell", ""),
    ("gemini", money({"kind": "gemini"}), "does not tell", ""),
    ("qwen, which speaks like claude", money({"kind": "qwen"}), "does not tell", ""),
    ("vibe, over a sum", money({"kind": "vibe"}), "`limits.task.usd` nobody", "take"),
    ("one try", money(TEXT, limits={"try": {"usd": 1}}), "`limits.try.usd` nobody", ""),
    ("a day", money(TEXT, limits={"day": {"usd": 1}}), "`limits.day.usd` nobody", ""),
    ("a runner's own", money({**TEXT, "limits": {"usd": 1}}, limits={}), "`runners.a.limits.usd` nobody", ""),
    ("the auditor", {**money({"kind": "claude"}), "roles": {"auditor": {"runner": "codex"}}},
     "the runner 'codex', which plays the auditor", ""),
    ("a model of a role's own", {**money({**CODEX, "model": "gpt-5"}), "roles": {"worker": {"model": "mine"}}},
     "the runner 'a@worker'", "the price of 'mine'"),
)  # fmt: skip


@pytest.mark.parametrize(("document", "message", "hint"), [row[1:] for row in UNKEPT], ids=[row[0] for row in UNKEPT])
def test_a_limit_of_money_that_nobody_could_keep_is_refused(
    document: dict[str, object], message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(document)
    assert message in caught.value.message
    assert hint in caught.value.hint


KEPT: tuple[tuple[str, dict[str, object]], ...] = (
    ("claude", money({"kind": "claude"})),
    ("opencode", money({"kind": "opencode"})),
    ("a claude of one's own", money({**TEXT, "dialect": "claude-jsonl"})),
    ("codex with a known model", money({**CODEX, "model": "gpt-5"})),
    ("codex with a priced model", money({**CODEX, "model": "mine"}, **PRICED)),
    ("qwen with a priced model", money({"kind": "qwen", "model": "mine"}, **PRICED)),
    ("vibe, which keeps to one try's itself", money({"kind": "vibe"}, limits={"try": {"usd": 1}})),
    ("no money", money(TEXT, limits={"task": {"seconds": 60}})),
    ("nobody plays it", {"runners": {"a": {**TEXT, "limits": {"usd": 1}}}, "limits": {"day": {"usd": 1}}}),
    ("an auditor who is not asked",
     {**money({"kind": "claude"}), "roles": {"auditor": {"runner": "codex"}}, "requireAudit": False}),
    ("a planner, who works on no task", {**money({"kind": "claude"}), "roles": {"planner": {"runner": "codex"}}}),
)  # fmt: skip


@pytest.mark.parametrize("document", [row[1] for row in KEPT], ids=[row[0] for row in KEPT])
def test_a_limit_of_money_that_can_be_kept_is_taken(document: dict[str, object]) -> None:
    assert load(document)

"""The settings: precedence of every knob, and one clear sentence with its place for every slip."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gluerun import settings
from gluerun.errors import ConfigError, UsageError
from gluerun.records.config import ApprovalRule, Config, ControlState, TamperRule
from gluerun.records.pipeline import GateSpec, Occasion
from gluerun.records.record import fields_of
from gluerun.records.runner import RunnerKind
from gluerun.settings_place import line_of
from gluerun.settings_table import HIGH, KNOBS, SHAPES, Knob

MINE = {"mine": {"argv": ["./agent.sh"]}}
STRUCTURED = {
    "runners", "roles", "areas", "provision_files", "bootstrap", "env_allowlist", "env", "identity_name",
    "identity_email", "identity_l1_name", "identity_l1_email",
    "sha256", "sandbox", "limits_try", "limits_task", "limits_day", "on_limit_try", "on_limit_task", "prices",
    "independence", "gc", "integration", "test_paths", "gates", "area_policy", "risk_paths", "sparse", "sparse_always",
    "proof_layers", "proof_grandfather", "single_slice_layers", "modules", "control_commit_seconds",
}  # fmt: skip


def load(
    document: object,
    environ: dict[str, str] | None = None,
    flags: dict[str, object] | None = None,
    shell: dict[str, dict[str, str]] | None = None,
    **more: Any,
) -> settings.Settings:
    text = document if isinstance(document, str) else json.dumps(document)
    return settings.load(
        "/repo", environ or {}, flags or {}, files=lambda _: text.encode(), shell=lambda _: shell or {}, **more
    )


def refusal(document: object, *more: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(document, *more)
    return caught.value


def samples(knob: Knob) -> list[tuple[object, str, object]]:
    """Return five values that differ: as JSON has them, as a shell has them, as the record has them."""
    if knob.field == "control_state":
        return [(word, word, ControlState(word)) for word in ("off", "ref", "branch", "off", "branch")]
    if knob.field == "test_tamper":
        return [(word, word, TamperRule(word)) for word in ("block", "warn", "block", "warn", "block")]
    if knob.field == "runner":
        return [(word, word, word) for word in "abcde"]
    if knob.type is bool:
        return [(at % 2 == 0, str(int(at % 2 == 0)), at % 2 == 0) for at in range(5)]
    if knob.choices:
        return [(word, word, word) for word in (knob.choices * 5)[:5]]
    if knob.field == "nightly_at":
        return [(word, word, word) for word in ("00:00", "23:59", "never", "07:30", "19:05")]
    if knob.type is str:
        return [(f"t{at}", f"t{at}", f"t{at}") for at in range(5)]
    return [(at, str(at), knob.type(at)) for at in range(1025, 1030)]


def value_of(found: settings.Settings, knob: Knob) -> object:
    return found.config.roles["worker"] if knob.field == "runner" else getattr(found.config, knob.field)


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.field)
def test_each_layer_goes_over_the_one_before(knob: Knob) -> None:
    document: dict[str, object] = {"runners": {name: {"argv": ["x"]} for name in "abcde"}}
    file, file_shell, local, env, flag = samples(knob)
    shells = {"gluerun.config.sh": {knob.env: file_shell[1]}, ".gluerun-state/config.local.sh": {knob.env: local[1]}}
    steps = [
        (load({**document, knob.key: file[0]}), file, "file"),
        (load({**document, "env": {knob.env: file[1]}}), file, "file"),
        (load({**document, knob.key: file[0]}, shell=dict([*shells.items()][:1])), file_shell, "file"),
        (load({**document, knob.key: file[0]}, shell=shells), local, "local file"),
        (load({**document, knob.key: file[0]}, {knob.env: env[1]}, shell=shells), env, "environment"),
        (load({**document, knob.key: file[0]}, {knob.env: env[1]}, {knob.field: flag[0]}, shells), flag, "flag"),
        (load({**document, knob.key: file[0]}, {knob.env: env[1]}, {knob.field: flag[1]}, shells), flag, "flag"),
    ]
    for found, sample, source in steps:
        assert (value_of(found, knob), found.sources[knob.field]) == (sample[2], source)


@pytest.mark.parametrize("knob", [knob for knob in KNOBS if knob.field != "runner"], ids=lambda knob: knob.field)
def test_the_default_of_a_knob_is_the_records_default(knob: Knob) -> None:
    found = load({})
    assert (value_of(found, knob), found.sources[knob.field]) == (getattr(Config, knob.field, ""), "default")


def test_every_field_of_the_configuration_has_a_way_in() -> None:
    assert {knob.field for knob in KNOBS} - {"runner"} | STRUCTURED == set(fields_of(Config))


def test_a_word_of_a_closed_list_is_one_of_it() -> None:
    config = load({"testTamper": "block", "testPaths": ["checks/", "*_proof.py"]}).config

    assert config.test_tamper is TamperRule.BLOCK
    assert config.test_paths == ("checks/", "*_proof.py")
    assert "testPaths[1]" in refusal({"testPaths": ["a", 1]}).message


def test_names_are_used_once() -> None:
    for names in ([k.env for k in KNOBS], [k.field for k in KNOBS], [k.key for k in KNOBS]):
        assert len(set(names)) == len(names)
    assert {shape.key for shape in SHAPES} & {knob.key for knob in KNOBS} == {"controlState"}


def test_pushing_is_the_callers_default() -> None:
    assert load({}, default_push=True).config.push
    assert not load({"push": False}, default_push=True).config.push
    assert not load({}, {"GLUERUN_PUSH": "0"}, default_push=True).config.push


def test_the_remote_is_the_same_switch_by_another_key() -> None:
    for word, pushes in (("push", True), ("none", False)):
        document = {"integration": {"remote": word}}
        assert load(document, default_push=not pushes).config.push is pushes
        assert load(document, {"GLUERUN_PUSH": "0" if pushes else "1"}).config.push is not pushes
    assert not load({"integration": {}}).config.integration.sign
    assert load({"integration": {"sign": True}}).config.integration.sign


def test_an_empty_variable_and_a_missing_flag_set_nothing() -> None:
    found = load({"maxRetries": 7}, {"GLUERUN_MAX_RETRIES": ""}, {"max_retries": None})
    assert found.config.max_retries == 7


def test_the_whole_file() -> None:
    document = {
        "_comment": ["hello", "reader"],
        "schemaVersion": "v1",
        "engineVersion": "0.1.0",
        "targetBranch": "main",
        "gateCommand": "pytest -q",
        "runner": "mine",
        "runners": {
            "mine": {"kind": "command", "argv": ["./a.sh"], "timeoutSeconds": 9, "idleSeconds": 3, "env": {"A": ""}},
            "play": {"kind": "scripted", "scenario": "s.json", "credentials": ["API_KEY"]},
        },
        "roles": {"auditor": {"runner": "play"}},
        "areas": {"core": ["src/", "./lib"], "docs": "docs"},
        "provisionFiles": [{"source": ".env"}, {"source": "a", "target": "b/c", "required": False}],
        "bootstrap": {"commands": [{"command": "npm ci"}, "true"]},
        "envAllowlist": ["HOME", "CI"],
        "env": {"LANG": "C"},
        "identity": {"l0": {"name": "Robot", "email": "r@example.org"}},
        "controlState": {"mode": "branch", "commitIntervalSeconds": 60},
        "modules": [],
        "minDiskGb": 1,
    }
    found = load(document)
    config = found.config
    assert (found.schema_version, found.engine_version, found.warnings) == ("v1", "0.1.0", ())
    assert config.roles == {"worker": "mine", "auditor": "play", "planner": "mine", "decider": "mine"}
    assert config.runners["mine"].timeout_seconds == 9
    assert config.runners["play"].kind is RunnerKind.SCRIPTED
    assert config.areas == {"core": ("src", "lib"), "docs": ("docs",)}
    assert [file.target for file in config.provision_files] == [".env", "b/c"]
    assert config.bootstrap == ("npm ci", "true")
    assert (config.identity_name, config.identity_email) == ("Robot", "r@example.org")
    assert (config.control_state, config.min_disk_gb, config.env) == (ControlState.BRANCH, 1.0, {"LANG": "C"})
    assert config.control_commit_seconds == 60
    assert load({"bootstrap": ["a", "b"]}).config.bootstrap == ("a", "b")


@pytest.mark.parametrize("knob", [knob for knob in KNOBS if knob.choices], ids=lambda knob: knob.key)
def test_a_word_of_a_closed_list_is_one_of_the_list_wherever_it_comes_from(knob) -> None:
    word = knob.choices[-1].value

    for found in (load({knob.key: word}), load({}, {knob.env: word})):
        assert getattr(found.config, knob.field) is knob.choices[-1]


def test_what_areas_ask_of_people() -> None:
    policy = {"approval": "risk", "owner": "ada", "questions": ["Why?"], "expiresHours": 1.5}
    config = load({"areaPolicy": {"pay": policy, "web": {"owner": ["a", "b"]}}, "riskPaths": ["*.sql"]}).config

    pay, web = config.area_policy["pay"], config.area_policy["web"]
    assert (pay.approve_plan, pay.approval, pay.owners) == (None, ApprovalRule.RISK, ("ada",))
    assert (pay.questions, pay.expires_hours) == (("Why?",), 1.5)
    assert (web.owners, web.expires_hours, config.risk_paths) == (("a", "b"), None, ("*.sql",))


def test_a_worker_may_have_a_part_of_the_tree() -> None:
    for value, sparse, always in ((True, True, ()), (False, False, ()), (["tools/", "lib"], True, ("tools", "lib"))):
        config = load({"sparse": value}).config
        assert (config.sparse, tuple(one.rstrip("/") for one in config.sparse_always)) == (sparse, always)
    assert "sparse[0]" in refusal({"sparse": ["../out"]}).message
    assert "sparse" in refusal({"sparse": 1}).message


def test_the_hash_tells_configurations_apart() -> None:
    one, other = load({}), load({}, {"GLUERUN_MAX_RETRIES": "4"})
    assert len(one.config.sha256) == 64
    assert one.config.sha256 == load({}).config.sha256 != other.config.sha256


UNIT = {"name": "unit", "command": "make test"}
BAD: tuple[tuple[str, object, str, str], ...] = (
    ("no JSON", '{\n "a" 1}', ":2:6: not JSON", "mend"),
    ("a comment", "// no", ":1:1: not JSON", "mend"),
    ("a list", "[]", ":1: must be an object", "braces"),
    ("a double key", '{"push": true, "push": false}', "'push' stands twice", "mend"),
    ("an unknown key", '{\n "gateComand": "x"}', ":2: `gateComand` is no known key", "did you mean `gateCommand`"),
    ("no gate", {"gates": []}, "`gates` names no gate", "take it out"),
    ("a gate's name", {"gates": [{"command": "x"}]}, "`gates[0]` has no `name`", "write"),
    ("a gate's command", {"gates": [{"name": "a"}]}, "`gates[0]` has no `command`", "write"),
    ("a gate's lines", {"gates": [{"name": "a", "command": "x\ny"}]}, "`gates[0].command` must be a single", "script"),
    ("a gate's letters", {"gates": [{"name": "A b", "command": "x"}]}, "cannot be the name of a gate", ""),
    ("a gate's key", {"gates": [{"name": "a", "command": "x", "need": []}]}, "`gates[0].need` is no known", "`needs`"),
    (
        "a gate's needs",
        {"gates": [UNIT, {"name": "a", "command": "x", "needs": ["unti"]}]},
        "`gates[1].needs` 'unti' is no gate",
        "did you mean `unit`",
    ),
    ("gates twice", {"gates": [UNIT, UNIT]}, "`gates[1].name` 'unit' is the name of another gate (gates[0])", ""),
    (
        "gates in a circle",
        {"gates": [{**UNIT, "needs": ["unit"]}]},
        "`gates[0].needs` goes in a circle: unit → unit",
        "",
    ),
    (
        "an occasion",
        {"gates": [{**UNIT, "when": ["task", "nightl"]}]},
        "`gates[0].when[1]` 'nightl' is no",
        "`nightly`",
    ),
    ("no occasion", {"gates": [{**UNIT, "when": []}]}, "`gates[0].when` names no occasion", "task, merge, node"),
    ("a report", {"gates": [{**UNIT, "junit": "../x.xml"}]}, "is no path of the work tree", "reports/*.xml"),
    ("tests uncounted", {"gates": [{**UNIT, "minTests": 1}]}, "`gates[0].minTests` needs `junit`", ""),
    ("no slots", {"gates": [{**UNIT, "slots": 0}]}, "`gates[0].slots` must be a whole number above 0", "no limit"),
    (
        "two kinds of gate",
        {"gateCommand": "make", "gates": [UNIT]},
        "`gateCommand` is set, and `gates`, too",
        "take one",
    ),
    ("a far-off key", {"zzzz": 1}, "`zzzz` is no known key", "known here: "),
    ("a later key", {"promoter": ""}, "`promoter` is not built yet", "take it out"),
    ("a later inner key", {"bootstrap": {"required": True}}, "`bootstrap.required` is not built yet", "take it out"),
    ("modules", {"modules": ["../x.py"]}, "`modules[0]` '../x.py' is no module", "tools/guards/mine.py"),
    ("modules of shell", {"modules": ["guards/mine.sh"]}, "is a shell module, which is not run here", "as Python"),
    ("modules by the old name", {"modules": ["a-guard"]}, "'a-guard' is neither", "gluerun_ext.a_guard"),
    ("modules by word", {"modules": ["a b"]}, "'a b' is neither a dotted name", "tools/guards/mine.py"),
    ("a mode", {"controlState": {"mode": "reff"}}, "`controlState.mode` must be one of 'ref'", "default"),
    ("an interval", {"controlState": {"commitIntervalSeconds": -1}}, "whole number of seconds", "0 means"),
    ("a text for a number", {"maxRetries": "3"}, "`maxRetries` must be a whole number, not '3'", "default is 3"),
    ("a fraction", {"maxRetries": 1.5}, "must be a whole number, not 1.5", "default is 3"),
    ("true for a number", {"maxRetries": True}, "must be a whole number, not True", "default is 3"),
    ("a number for a flag", {"push": 1}, "must be true or false, not 1", "default is false"),
    ("a remote", {"integration": {"remote": "psh"}}, "'psh' is no word for the remote", "did you mean `push`"),
    ("both words for a push", {"push": True, "integration": {"remote": "push"}}, "`push` says, too", "keep one"),
    ("a flag for the remote", {"integration": {"remote": True}}, "`integration.remote` must be a text", ""),
    (
        "what is not built",
        {"integration": {"syncInFlight": True}},
        "`integration.syncInFlight` is not built yet",
        "out",
    ),
    ("a mode of integration", {"integration": {"mode": "sqush"}}, "'sqush' is no mode of int", "did you mean `squash`"),
    ("a word for signing", {"integration": {"sign": "yes"}}, "`integration.sign` must be true or false", ""),
    ("an inner slip", {"integration": {"remot": "push"}}, "`integration.remot` is no known key", "`remote`"),
    ("too small", {"maxConcurrent": 0}, "from 1 to", "default is 5"),
    ("too big", {"sleep": HIGH * 10}, "must be a number from 0", "default is 20"),
    ("no number", '{"maxHours": NaN}', "must be a number from 0", "default is 12"),
    ("two lines", {"gateCommand": "a\nb"}, "single line", ""),
    ("a branch name", {"targetBranch": "-x y"}, "cannot be a branch name", "main"),
    ("a time", {"nightlyAt": "24:00"}, "'24:00' is no time of day", "02:00"),
    ("a time of many lines", {"nightlyAt": "02:00\n"}, "is no time of day", ""),
    ("a time without a zero", {"nightlyAt": "2:00"}, "is no time of day", "02:00"),
    ("null", {"runners": None}, "`runners` must be an object, not null", "braces"),
    ("a runner's name", {"runners": {"a b": {}}}, "cannot be the name of a runner", ""),
    ("a runner's key", {"runners": {"a": {"args": []}}}, "`runners.a.args` is no known key", "did you mean `argv`"),
    ("a runner's kind", {"runners": {"a": {"kind": "comand"}}}, "no kind of runner", "did you mean `command`"),
    ("no argv", {"runners": {"a": {}}}, "`runners.a` has no `argv`", "name the program"),
    ("no scenario", {"runners": {"a": {"kind": "scripted"}}}, "has no `scenario`", "name its file"),
    ("argv text", {"runners": {"a": {"argv": "x y"}}}, "must be a list, not a text", "brackets"),
    ("argv numbers", {"runners": {"a": {"argv": ["x", 1]}}}, "`runners.a.argv[1]` must be a text", "quotes"),
    ("a time-out", {"runners": {"a": {"argv": ["x"], "timeoutSeconds": "9"}}}, "whole number of seconds", "no limit"),
    ("a variable", {"runners": {"a": {"argv": ["x"], "env": {"A B": "1"}}}}, "name of a variable", ""),
    ("a role", {"roles": {"worke": {"runner": "a"}}}, "`roles.worke` is no known key", "did you mean `worker`"),
    ("a role's text", {"roles": {"worker": "mine"}}, "must be an object", 'write {"runner": "mine"}'),
    ("an empty role", {"roles": {"worker": {}}}, "has no `runner`", "write"),
    ("a role's runner", {"runners": MINE, "roles": {"worker": {"runner": "mien"}}}, "'mien', which", "`mine`"),
    ("no such runner", {"runner": "mine"}, "`runner` names the runner 'mine'", "describe it"),
    ("a rule", {"approval": "alway"}, "`approval` must be one of 'none', 'risk', 'always', not 'alway'", "default"),
    ("an area's rule", {"areaPolicy": {"a": {"approval": "riks"}}}, "'riks' is no rule", "did you mean `risk`"),
    ("an area's policy", {"areaPolicy": {"a": {"owners": "x"}}}, "`areaPolicy.a.owners` is no known", "`owner`"),
    ("an empty owner", {"areaPolicy": {"a": {"owner": ""}}}, "must not be empty", ""),
    ("hours", {"areaPolicy": {"a": {"expiresHours": -1}}}, "`areaPolicy.a.expiresHours`", ""),
    ("an area's name", {"areas": {"a/b": "c"}}, "cannot be the name of an area", ""),
    ("an area's path", {"areas": {"a": ["../x"]}}, "`areas.a[0]` '../x'", "this repository"),
    ("an empty area", {"areas": {"a": []}}, "names no path", ""),
    ("a file", {"provisionFiles": [{"target": "x"}]}, "`provisionFiles[0]` has no `source`", ""),
    ("an absolute file", {"provisionFiles": [{"source": "/etc/passwd"}]}, "not relative", "this repository"),
    ("required", {"provisionFiles": [{"source": "x", "required": 1}]}, "true or false", ""),
    ("bootstrap", {"bootstrap": [1]}, "`bootstrap[0]` must be a text, not a number", "quotes"),
    ("bootstrap keys", {"bootstrap": {"commands": [{"cmd": "x"}]}}, "`bootstrap.commands[0].cmd`", "`command`"),
    ("an allow-list", {"envAllowlist": ["CI_*"]}, "name of a variable", ""),
    ("an identity", {"identity": {"l0": {"name": "a <b>"}}}, "one line without", ""),
    ("env", {"env": {"1A": "x"}}, "name of a variable", ""),
    ("env values", {"env": {"A": 1}}, "`env.A` must be a text", "quotes"),
    ("env knobs", {"env": {"GLUERUN_MAX_RETRY": "1"}}, "is no setting", "did you mean `GLUERUN_MAX_RETRIES`"),
    ("env knob values", {"env": {"GLUERUN_PUSH": "maybe"}}, "`env.GLUERUN_PUSH` must be 1 or 0", ""),
    ("a comment's shape", {"_comment": 1}, "must be a list", ""),
    ("a version", {"schemaVersion": 1}, "`schemaVersion` must be a text", "quotes"),
)


def test_gates_are_read_with_all_that_they_say() -> None:
    text = {"name": "unit", "command": "make", "when": "merge", "paths": ["src/"], "timeout": 9, "slots": 1,
            "required": False, "needs": ["lint"], "junit": "build/*.xml", "minTests": 3}  # fmt: skip
    lint, unit = load({"gates": [{"name": "lint", "command": "make lint"}, text]}).config.gates
    assert lint == GateSpec(name="lint", command="make lint", when=(Occasion.TASK, Occasion.MERGE, Occasion.NODE))
    assert unit == GateSpec(
        name="unit", command="make", when=(Occasion.MERGE,), paths=("src/",), timeout=9, slots=1, required=False,
        needs=("lint",), junit="build/*.xml", min_tests=3,
    )  # fmt: skip


def test_a_single_gate_from_elsewhere_is_refused_beside_a_pipeline_and_says_where_it_is_from() -> None:
    with pytest.raises(ConfigError) as caught:
        load({"gates": [UNIT]}, {"GLUERUN_DEFAULT_GATE_CMD": "make"})
    assert caught.value.message.startswith("GLUERUN_DEFAULT_GATE_CMD in the environment: `gateCommand` is set")


@pytest.mark.parametrize(("document", "message", "hint"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_slip_in_the_file_gets_one_sentence_with_its_place(document: object, message: str, hint: str) -> None:
    error = refusal(document)
    assert error.message.startswith("gluerun.config.json")
    assert message in error.message
    assert hint in error.hint
    assert "\n" not in error.message + error.hint
    assert (error.file, error.code) == ("gluerun.config.json", 2)


def test_no_file_names_the_command_that_writes_one() -> None:
    with pytest.raises(ConfigError) as caught:
        settings.load("/repo", {}, files=lambda _: None)
    assert "gluerun init" in caught.value.hint


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ConfigError, match="not readable as UTF-8"):
        settings.load("/repo", {}, files=lambda _: b'{"a": "\xff"}')


def test_an_editors_byte_order_mark_is_no_error() -> None:
    found = settings.load("/repo", {}, files=lambda _: b'\xef\xbb\xbf{"maxRetries": 1}')
    assert found.config.max_retries == 1


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"GLUERUN_MAX_RETRIES": "three"}, "GLUERUN_MAX_RETRIES in the environment must be a whole number"),
        ({"GLUERUN_PUSH": "2"}, "GLUERUN_PUSH in the environment must be 1 or 0"),
        ({"GLUERUN_TARGET_BRANCH": "a..b"}, "GLUERUN_TARGET_BRANCH in the environment: 'a..b' cannot be"),
        ({"GLUERUN_MAX_HOURS": "nan"}, "must be a number from 0"),
        ({"GLUERUN_RUNNER": "x"}, "GLUERUN_RUNNER in the environment: `runner` names the runner 'x'"),
    ],
)
def test_a_slip_in_the_environment_names_the_variable(environ: dict[str, str], message: str) -> None:
    assert message in refusal({}, environ).message


def test_a_slip_in_a_flag_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="--max-retries must be"):
        load({}, {}, {"max_retries": "x"})
    with pytest.raises(UsageError) as caught:
        load({}, {}, {"max_retry": 1})
    assert caught.value.hint == "did you mean `max_retries`?"


def test_only_near_misses_in_the_environment_are_worth_a_word() -> None:
    others = {"GLUERUN_RUN": "x", "GLUERUN_DISPATCH_BASE": "x", "GLUERUN_E2E_PYTHON": "x", "GLUERUN_ZEBRA": "x"}
    assert load({}, others).warnings == ()
    (word,) = load({}, {"GLUERUN_MAX_RETRYS": "1"}).warnings
    assert "did you mean GLUERUN_MAX_RETRIES?" in word


def test_an_unknown_name_in_a_shell_file_is_worth_a_word() -> None:
    found = load({}, shell={"gluerun.config.sh": {"GLUERUN_CODEX_MODEL": "x"}})
    assert found.warnings[0].startswith("gluerun.config.sh: GLUERUN_CODEX_MODEL is no setting")


def test_acting_needs_a_target_and_its_runners() -> None:
    with pytest.raises(ConfigError, match="no target branch"):
        settings.require_actable(load({}).config)
    with pytest.raises(ConfigError, match="plays the worker"):
        settings.require_actable(load({"targetBranch": "main"}).config)
    worker = {"targetBranch": "main", "runners": MINE, "roles": {"worker": {"runner": "mine"}}}
    with pytest.raises(ConfigError, match="plays the auditor"):
        settings.require_actable(load(worker).config)
    settings.require_actable(load({**worker, "requireAudit": False}).config)


def test_the_line_of_a_value() -> None:
    text = '{\n "a": [1,\n  {"b": "x}",\n   "c": 2}],\n "d": {}\n}'
    places: dict[tuple[str | int, ...], int] = {
        (): 1, ("a",): 2, ("a", 1): 3, ("a", 1, "c"): 4, ("d",): 5, ("d", "e"): 5, ("a", 0, "x"): 2,
    }  # fmt: skip
    assert {place: line_of(text, place) for place in places} == places


LOOKALIKE = "AKIA" + "ABCDEFGHIJKLMNOP"
NAMED = "wJa1rXUtnFEM1/K7MDENG+bPxRf1CYzz0q8Lk2Qp"


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"gateCommand": f"K={LOOKALIKE} make"}, "gluerun.config.json:2: `gateCommand`"),
        ({"push": True, "env": {"A": "1", "KEY": LOOKALIKE}}, "gluerun.config.json:5: `env.KEY`"),
        ({"env": {"AWS_SECRET_ACCESS_KEY": NAMED}}, "gluerun.config.json:3: `env.AWS_SECRET_ACCESS_KEY`"),
        ({"runners": {"a": {"argv": ["x", f"--key={LOOKALIKE}"]}}}, "gluerun.config.json:6: `runners.a.argv[1]`"),
        ({"runners": {"a": {"argv": ["x"], "env": {"K": LOOKALIKE}}}}, "gluerun.config.json:8: `runners.a.env.K`"),
        ({"nobodyKnowsThis": [LOOKALIKE]}, "gluerun.config.json:3: `nobodyKnowsThis[0]`"),
        ({"env": {LOOKALIKE: "1"}}, "gluerun.config.json:3: looks"),
        ({"maxRetries": LOOKALIKE}, "gluerun.config.json:2: `maxRetries`"),
        (f'{{"a": 1,\n"b": "{LOOKALIKE}"', "gluerun.config.json:2: looks"),
    ],
)  # fmt: skip
def test_a_secret_in_the_committed_file_is_refused_with_its_place_and_without_its_value(document, place) -> None:
    error = refusal(document if isinstance(document, str) else json.dumps(document, indent=1))

    assert error.message.startswith(place) and "looks like a secret (cloud " in error.message
    assert ".gluerun-state/config.local.sh" in error.hint
    assert LOOKALIKE not in str(vars(error)) and NAMED not in str(vars(error))


@pytest.mark.parametrize(
    ("text", "variables", "place"),
    [
        (f"# mine\nexport GLUERUN_RUNNER={LOOKALIKE}\n", {}, "gluerun.config.sh:2: `GLUERUN_RUNNER`"),
        (f"curl {LOOKALIKE}\n", {}, "gluerun.config.sh:1: looks"),
        ("GLUERUN_RUNNER=$(cat key)\n", {"GLUERUN_RUNNER": LOOKALIKE}, "gluerun.config.sh: `GLUERUN_RUNNER`"),
    ],
)
def test_a_secret_in_the_committed_shell_file_is_refused(text, variables, place) -> None:
    files = {"/repo/gluerun.config.json": b"{}", "/repo/gluerun.config.sh": text.encode()}
    with pytest.raises(ConfigError) as caught:
        settings.load("/repo", {}, files=files.get, shell=lambda _: {"gluerun.config.sh": variables})

    assert caught.value.message.startswith(place) and LOOKALIKE not in str(vars(caught.value))


def test_a_secret_may_stand_where_nobody_commits_it() -> None:
    local = {".gluerun-state/config.local.sh": {"GLUERUN_PREWARM_CMD": f"use {LOOKALIKE}"}}
    assert load({}, shell=local).config.prewarm == f"use {LOOKALIKE}"
    assert load({}, {"GLUERUN_PREWARM_CMD": f"use {LOOKALIKE}"}).config.prewarm == f"use {LOOKALIKE}"


def test_modules_are_listed_in_the_file_or_in_the_environment():
    document = {"modules": ["gluerun_ext.storage_proof", "tools/guard.py"]}

    assert load(document).config.modules == ("gluerun_ext.storage_proof", "tools/guard.py")
    found = load(document, {"GLUERUN_MODULES": "one.two, three"})
    assert (found.config.modules, found.sources["modules"]) == (("one.two", "three"), "environment")
    assert load(document, {"GLUERUN_MODULES": ""}).config.modules == load(document).config.modules
    assert "GLUERUN_MODULES in the environment: '../x.py'" in refusal({}, {"GLUERUN_MODULES": "../x.py"}).message

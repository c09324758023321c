"""The JSON Schema of `gluerun.config.json`, for editors: printed from the table of settings, judged by nobody here.

The reader in `settings_file` is the judge, and a test holds the two to the same answers. What only the whole file can
tell, as a role that names no runner, is not said by the schema.
"""

from __future__ import annotations

from gluerun.records.codec import wire_name
from gluerun.records.config import ApprovalRule, ControlState, Independence, IntegrationMode, Remote
from gluerun.records.fault import Fault
from gluerun.records.names import AREA
from gluerun.records.pause import OnLimit
from gluerun.records.pipeline import GATE_NAME, MOST_GATES, Occasion
from gluerun.records.placeholder import OPTIONS
from gluerun.records.runner import Dialect, PromptBy, RunnerKind, Sessions
from gluerun.records.sandbox import Network, SandboxMode
from gluerun.release import SCHEMA
from gluerun.settings_file import ROLES
from gluerun.settings_runners import CONFINED_ROLES, STOPS, declared_names
from gluerun.settings_table import BY_ENV, HIGH, KNOBS, PREFIX, SHAPES, Knob
from gluerun.settings_walk import VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from enum import StrEnum
    from typing import Any

    Schema = dict[str, Any]

NAME = "gluerun.config.schema.json"
_NAME = AREA + r"(?!\n)"
_DOTTED = rf"^(?!.*\.(?:py|sh)$){VARIABLE}(?:\.{VARIABLE})*(?!\n)$"
_PYTHON = r"^(?!\./)[^\s](?:.|\n)*\.py(?!\n)$"
_SEGMENT = r"(?!\.{1,2}(?:/|\s*$))[^/\\*?\u0000]+"
_PATH = rf"^\s*(?=\S)(?![/~])(?:\./)*(?!\.git(?:/|\s*$)){_SEGMENT}(?:/{_SEGMENT})*/*\s*$"


def document() -> Schema:
    """Return the whole schema."""
    shapes = _shapes()
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "gluerun.orchestration.config.v0",
        "title": "Config",
        "description": "The configuration of one repository, as `gluerun.config.json` has it.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **{one.key: {"description": one.doc, **shapes.get(one.key, {})} for one in SHAPES},
            # A key that is plain for most and an object for some is described as the shape.
            **{knob.key: _of_knob(knob) for knob in KNOBS if knob.key not in shapes},
        },
    }


def unsaid() -> set[str]:
    """Return the structured keys that nobody has described here yet."""
    return {one.key for one in SHAPES} - _shapes().keys()


def _of_knob(knob: Knob) -> Schema:
    found: Schema = {"description": f"{knob.doc} ({knob.env})"}
    if knob.default != "":
        found["default"] = knob.default
    return found | _value_of(knob)


def _value_of(knob: Knob) -> Schema:
    if knob.choices:
        return {"enum": [str(one) for one in knob.choices]}
    if knob.type is bool:
        return {"type": "boolean"}
    if knob.type is str:
        # One line; a text may end in a line break, which is no second one.
        return {"type": "string", "pattern": r"^\s*[^\n\u0000]*\s*$"}
    low = int(knob.low) if float(knob.low).is_integer() else knob.low
    return {"type": "integer" if knob.type is int else "number", "minimum": low, "maximum": HIGH}


def _shapes() -> dict[str, Schema]:
    return {
        "$schema": _WORD,
        "schemaVersion": {"const": SCHEMA},
        "engineVersion": _WORD,
        "_comment": _either(_TEXT, _list(_WORD)),
        "runners": _map(_runner(), _NAME),
        "roles": _object({role: _role() for role in ROLES}),
        "sandbox": _either(_choice(SandboxMode), _sandbox()),
        "limits": _object({"try": _limits(of_try=True, asks=True), "task": _limits(asks=True), "day": _limits()}),
        "prices": _map(_object(dict.fromkeys(_PRICE, _AMOUNT), required=_PRICE)),
        "review": _object({"independence": _choice(Independence)}),
        "gc": _object({**dict.fromkeys(("keepDays", "keepRuns", "maxMb", "rescueDays"), _WHOLE), "auto": _FLAG}),
        "integration": _object({"remote": _choice(Remote), "mode": _choice(IntegrationMode), "sign": _FLAG}),
        "gates": {**_list(_gate()), "minItems": 1, "maxItems": MOST_GATES},
        "sparse": _either(_FLAG, _list(_PATHS)),
        "areas": _map(_either(_PATHS, {**_list(_PATHS), "minItems": 1}), _NAME),
        "areaPolicy": _map(_policy(), _NAME),
        "riskPaths": _list(_WORD),
        "testPaths": _list(_WORD),
        **dict.fromkeys(("proofLayers", "proofGrandfather", "singleSliceLayers"), _list(_WORD)),
        "provisionFiles": _list(_object({"source": _PATHS, "target": _PATHS, "required": _FLAG}, required=("source",))),
        "bootstrap": _either(_list(_command()), _object({"commands": _list(_command())})),
        "envAllowlist": _list({"type": "string", "pattern": f"^{VARIABLE}(?!\\n)$"}),
        "env": _env(),
        "identity": _object(dict.fromkeys(("l0", "l1"), _object(dict.fromkeys(("name", "email"), _LINE)))),
        "controlState": _either(
            _choice(ControlState), _object({"mode": _choice(ControlState), "commitIntervalSeconds": _SECONDS})
        ),
        "modules": _list(_either({"type": "string", "pattern": _DOTTED}, {"allOf": [_PATHS, {"pattern": _PYTHON}]})),
    }


_FLAG: dict[str, Any] = {"type": "boolean"}
_TEXT: dict[str, Any] = {"type": "string"}
_ANY_TEXT: dict[str, Any] = {"type": "string", "pattern": r"^[^\u0000]*$"}
_WORD: dict[str, Any] = {"type": "string", "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"}
_LINE: dict[str, Any] = {"type": "string", "pattern": r"^[^\u0000<>\n\r]*[^\s\u0000<>][^\u0000<>\n\r]*(?!\n)$"}
_PATHS: dict[str, Any] = {"type": "string", "pattern": _PATH}
_SECONDS: dict[str, Any] = {"type": "integer", "minimum": 0}
_WHOLE: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 1_000_000}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 1}
_AMOUNT: dict[str, Any] = {"type": "number", "minimum": 0}
_PRICE = ("fresh", "cached", "output")


def _object(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "additionalProperties": False, **needed, "properties": dict(properties)}


def _map(value: Schema, names: str = "") -> Schema:
    found: Schema = {"type": "object", "additionalProperties": value}
    return {**found, "propertyNames": {"pattern": names}} if names else found


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _either(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def _choice(words: type[StrEnum] | Iterable[str]) -> Schema:
    return {"enum": [str(word) for word in words]}


def _command() -> Schema:
    return _either(_WORD, _object({"command": _WORD}, required=("command",)))


def _gate() -> Schema:
    found = {
        "name": {"type": "string", "pattern": f"^{GATE_NAME}(?!\\n)$"},
        "command": {"type": "string", "pattern": r"^\s*[^\s\u0000][^\n\u0000]*\s*$"},
        "when": _either(_choice(Occasion), {**_list(_choice(Occasion)), "minItems": 1}),
        "paths": _list(_WORD),
        **dict.fromkeys(("timeout", "slots", "minTests"), _COUNT),
        "required": _FLAG,
        "needs": _list(_WORD),
        "junit": {
            "type": "string",
            "pattern": r"^(?![/~])(?!(?:.*/)?\.\.(?:/|$))(?!.*\*\*)[^\u0000]*[^\s\u0000][^\u0000]*$",
        },
    }
    return _object(found, required=("name", "command"))


def _policy() -> Schema:
    rules = dict.fromkeys(("approvePlan", "approval"), _choice(ApprovalRule))
    owner = _either(_WORD, _list(_WORD))
    return _object({**rules, "owner": owner, "questions": _list(_WORD), "expiresHours": _AMOUNT})


def _role() -> Schema:
    return {**_object({"runner": _WORD, "model": _WORD}), "minProperties": 1}


def _limits(*, of_try: bool = False, asks: bool = False) -> Schema:
    found: dict[str, Schema] = {"onLimit": _choice(OnLimit)} if asks else {}
    found |= {"usd": _AMOUNT, **dict.fromkeys(("tokens", "turns", "seconds"), _COUNT)}
    if of_try:
        found |= {"idleSeconds": _COUNT, "outputBytes": _COUNT, "noWrite": _FLAG}
    return _object(found)


def _confinement() -> dict[str, Schema]:
    return {"mode": _choice(SandboxMode), "network": _choice(Network), "writable": _list(_WORD)}


def _sandbox() -> Schema:
    roles = _object(dict.fromkeys(CONFINED_ROLES, _object(_confinement())))
    return _object({**_confinement(), "roles": roles, "container": _list(_WORD)})


def _env() -> Schema:
    known = {knob.env: {"description": knob.doc, **_ANY_TEXT} for knob in KNOBS}
    names = {"pattern": f"^(?!{PREFIX}){VARIABLE}(?!\\n)$|^(?:{'|'.join(sorted(BY_ENV))})(?!\\n)$"}
    return {"type": "object", "properties": known, "propertyNames": names, "additionalProperties": _ANY_TEXT}


def _runner() -> Schema:
    texts = _map(_ANY_TEXT, f"^{VARIABLE}(?!\\n)$")
    fields: dict[str, Schema] = {
        "kind": _choice((*RunnerKind, *declared_names())),
        "argv": _list(_WORD),
        "timeout_seconds": _SECONDS,
        "idle_seconds": _SECONDS,
        "env": texts,
        "credentials": _list({"type": "string", "pattern": f"^{VARIABLE}(?!\\n)$"}),
        "scenario": _WORD,
        "provider": _WORD,
        "model": _WORD,
        "options": _object(dict.fromkeys(OPTIONS, _list(_WORD))),
        "prompt": _choice(PromptBy),
        "dialect": _choice(Dialect),
        "sessions": _choice(Sessions),
        "stop": _choice(STOPS),
        "exits": _map(_choice(Fault), r"^-?[0-9]{1,3}(?!\n)$"),
        "state": _list({"type": "string", "pattern": rf"^(?:/|~/|\${VARIABLE}(?:/|(?!\n)$))[^\u0000]*$"}),
        "own_homes": {**texts, "additionalProperties": _PATHS},
        "seeds": _map({"type": "string", "pattern": r"^(?:/|~/)[^\u0000]*$"}, _PATH),
        "version": _list(_WORD),
        "min_version": {"type": "string", "pattern": r"^\d+(\.\d+)*(?!\n)$"},
        "own_sandbox": _FLAG,
        "limits": _limits(of_try=True),
    }
    return _object({wire_name(name): value for name, value in fields.items()})

"""What an editor is told about `gluerun.config.json` is what the reader says of it."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from jsonschema.validators import extend

from gluerun import settings_schema
from gluerun.errors import ConfigError
from gluerun.settings_file import KEYS, read
from gluerun.settings_table import BY_KEY, KNOBS

PRINTED = Path(__file__).resolve().parents[2] / "schemas" / "config" / settings_schema.NAME
# What only the whole of a runner can tell is said by the reader alone.
WHOLE = re.compile(
    r"has no `(argv|scenario|runner)`|which nothing can be put for|takes its prompt by|`env\.GLUERUN_\w+`|"
    r"not built yet|what `push` says, too"
)
# A file says 1.0 where a whole number is meant: an editor lets it pass, the reader does not.
STRICT = extend(
    Draft7Validator,
    type_checker=Draft7Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)
JUDGE = STRICT(settings_schema.document())

FULL: dict[str, Any] = {
    "$schema": "docs/orchestration/gluerun.config.schema.json",
    "schemaVersion": "v1",
    "engineVersion": "0.1.0",
    "_comment": ["one", "two"],
    "runner": "mine",
    "runners": {
        "mine": {
            "kind": "command", "argv": ["./agent.sh", "{model}"], "timeoutSeconds": 9, "idleSeconds": 0, "model": "m",
            "env": {"A": ""}, "credentials": ["KEY"], "provider": "p", "options": {"model": ["--model", "{model}"]},
            "prompt": "stdin", "dialect": "text", "sessions": "none", "stop": "INT", "exits": {"-9": "timeout"},
            "state": ["~/.mine", "$HOME/x"], "ownHomes": {"MINE_HOME": "home"}, "seeds": {"auth.json": "~/auth.json"},
            "version": ["./agent.sh", "-v"], "minVersion": "1.2", "ownSandbox": False,
            "limits": {"usd": 1.5, "tokens": 5, "turns": 1, "seconds": 7, "idleSeconds": 3, "outputBytes": 9,
                       "noWrite": True},
        },
        "script": {"kind": "scripted", "scenario": "s.json"},
        "claude": {},
    },
    "roles": {"worker": {"runner": "mine", "model": "big"}, "auditor": {"runner": "claude"}},
    "sandbox": {"mode": "auto", "network": "loopback", "writable": ["/x"], "container": ["podman"],
                "roles": {"gate": {"mode": "off", "network": "none", "writable": []}}},
    "limits": {"try": {"usd": 0, "noWrite": False}, "task": {"tokens": 1, "onLimit": "pause"}, "day": {"seconds": 2}},
    "prices": {"big": {"fresh": 1, "cached": 0.1, "output": 2.5}},
    "review": {"independence": "model"},
    "integration": {"mode": "squash", "sign": True},
    "gc": {"keepDays": 1, "keepRuns": 0, "maxMb": 5, "rescueDays": 9, "auto": True},
    "areas": {"core": "src", "two": ["a/b", "c.py"]},
    "proofLayers": ["storage"],
    "proofGrandfather": ["N1"],
    "singleSliceLayers": [],
    "testPaths": ["tests/", "*_test.py"],
    "provisionFiles": [{"source": ".env", "target": "x/.env", "required": False}],
    "bootstrap": ["make deps", {"command": "make more"}],
    "envAllowlist": ["JAVA_HOME"],
    "env": {"CI": "1", "GLUERUN_SLEEP": "3"},
    "identity": {"l0": {"name": "bot", "email": "bot@localhost"}, "l1": {"name": "dev"}},
    "controlState": {"mode": "off", "commitIntervalSeconds": 300},
    "modules": ["gluerun_ext.storage_proof", "tools/guard.py"],
    **{knob.key: knob.default for knob in KNOBS if knob.key not in ("controlState", "runner")},
}  # fmt: skip


def refused(document: object) -> str:
    """Return how the reader refuses *document*; empty if it takes it."""
    try:
        read(json.dumps(document).encode(), "gluerun.config.json")
    except ConfigError as error:
        return error.message
    return ""


def agree(document: object) -> None:
    complaint = refused(document)
    found = next(JUDGE.iter_errors(document), None)
    assert bool(complaint) == (found is not None) or WHOLE.search(complaint), (complaint, found and found.message)


def test_the_printed_schema_is_that_of_the_table_of_settings():
    assert json.loads(PRINTED.read_text(encoding="utf-8")) == settings_schema.document()
    Draft7Validator.check_schema(settings_schema.document())


def test_every_key_is_described_and_no_other():
    assert set(settings_schema.document()["properties"]) == KEYS
    assert settings_schema.unsaid() == set()


def test_a_full_file_is_taken_by_both():
    assert refused(FULL) == ""
    assert list(JUDGE.iter_errors(FULL)) == []


def test_an_editor_sees_defaults_and_meanings():
    told = settings_schema.document()["properties"]["maxConcurrent"]

    assert (told["default"], told["minimum"]) == (5, 1)
    assert BY_KEY["maxConcurrent"].doc in told["description"]


def places(value: object, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield from places(one, (*here, name))


def changed(place: tuple[Any, ...], value: object, *, key: str = "") -> object:
    """Return what the full document says at *place*, with another value or one more key there."""
    if not place:
        return value if not key else {key: value}
    found: dict[str, Any] = {place[0]: copy.deepcopy(FULL[place[0]])}
    at: Any = found
    for part in place[:-1]:
        at = at[part]
    if key and isinstance(at[place[-1]], dict):
        at[place[-1]][key] = value
    else:
        at[place[-1]] = value
    return found


ODD = [
    "", " ", "x", "true", "0", "-1", "a\nb", "x\n", "\0", "../x", "/x", "~", "~/x", "$X/y", "$", ".", "./x", "a//b",
    "a/", "a/ ", "a /", "*", ".git", ".git/x", ".gitx", "a/..", "a/./b", "..x", "\\", "<x>", "9X", "A=B", "GLUERUN_X",
    "./", ".//x", "./.git", "./..", " ./x ", "a/.git", "...", "v1", None, True, False, 0, 1, -1, 0.5, 1e99, 10**10,
    [], [""], ["x", 1], [[]], {}, {"x": 1}, {"command": "x"}, {"runner": "x"}, [{}], [{"source": "x"}],
    [{"command": " "}],
]  # fmt: skip
PLACES = list(places(FULL))


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)) or "the whole")
def test_schema_and_reader_agree_about_odd_values_everywhere(place):
    for value in ODD:
        agree(changed(place, value))
    for key in ("x", "A", "comment", "argv", "9", ""):
        agree(changed(place, "x", key=key))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.sampled_from(ODD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@how(max_examples=150, deadline=None, database=None)
@given(place=st.sampled_from(PLACES), value=JSON, key=st.text(max_size=4) | st.just(""))
def test_schema_and_reader_agree_about_anything(place, value, key):
    agree(changed(place, value, key=key))

"""Schemas and records say the same, and the generated validators are those of the schemas."""

from __future__ import annotations

import subprocess
import sys
from enum import Enum
from types import GenericAlias, NoneType, UnionType
from typing import get_type_hints

import pytest
from jsonschema import Draft7Validator
from tests.patience import PATIENCE
from tests.records.documents import FROM_AGENTS, ROOT, bound_classes, schemas

from gluerun.records import codec
from gluerun.records.validators import table

KEYWORDS = {
    "$schema", "$id", "title", "description", "type", "properties", "required", "additionalProperties",
    "items", "enum", "const", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems",
    "maxItems", "$ref", "definitions", "oneOf",
}  # fmt: skip
NOT_SAID = {"ask-model"}  # an instruction to the loop; a decision on the wire is never that


def parts(schema):
    """Every schema inside a schema, itself first."""
    yield schema
    for key in ("properties", "definitions"):
        for inner in schema.get(key, {}).values():
            yield from parts(inner)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from parts(schema[key])
    for inner in schema.get("oneOf", ()):
        yield from parts(inner)


def objects(schema, cls):
    """Each object of a schema with the record class it is the shape of."""
    waiting, seen = [(schema, cls)], set()
    while waiting:
        part, owner = waiting.pop()
        if owner in seen:
            continue
        seen.add(owner)
        yield part, owner
        for name, hint in get_type_hints(owner).items():
            inner = nested(hint)
            if inner is not None:
                waiting.append((follow(schema, part["properties"][codec.wire_name(name)]), inner))


def nested(hint):
    if hasattr(hint, "__fields__"):
        return hint
    return next(filter(None, map(nested, getattr(hint, "__args__", ()))), None)


def follow(schema, part):
    part = part.get("items", part)
    return schema["definitions"][part["$ref"].removeprefix("#/definitions/")]


def bound():
    return [pytest.param(name, cls, id=name) for name, cls in sorted(bound_classes().items())]


def shaped():
    return [
        pytest.param(name, part, owner, id=f"{name}-{owner.__name__}")
        for name, cls in sorted(bound_classes().items())
        for part, owner in objects(schemas()[name], cls)
    ]


def test_every_bound_record_has_a_schema_and_every_schema_a_record():
    assert set(schemas()) == set(bound_classes()) == set(table.NAMES)


@pytest.mark.parametrize(("name", "cls"), bound())
def test_ids_match_the_file_names(name, cls):
    schema = schemas()[name]
    assert schema["$id"] == codec.PREFIX + name
    assert schema["properties"]["schema"] == {"const": codec.PREFIX + name}
    assert schema["title"] == cls.__name__


@pytest.mark.parametrize(("name", "part", "cls"), shaped())
def test_properties_are_the_fields(name, part, cls):
    own = ["schema"] if hasattr(cls, "SCHEMA") else []
    assert list(part["properties"]) == own + [codec.wire_name(field) for field in cls.__fields__]
    assert part["additionalProperties"] is False
    assert part["type"] == "object"


@pytest.mark.parametrize(("name", "part", "cls"), shaped())
def test_required_are_the_fields_without_a_default(name, part, cls):
    own = {"schema"} if hasattr(cls, "SCHEMA") and cls.SCHEMA not in FROM_AGENTS else set()
    assert set(part.get("required", ())) == own | {codec.wire_name(field) for field in cls.__required__}


@pytest.mark.parametrize(("name", "part", "cls"), shaped())
def test_types_are_those_of_the_fields(name, part, cls):
    for field, hint in get_type_hints(cls).items():
        shape = part["properties"][codec.wire_name(field)]
        optional = isinstance(hint, UnionType)
        if optional:
            hint = next(inner for inner in hint.__args__ if inner is not NoneType)  # noqa: PLW2901 peeled
        if isinstance(hint, GenericAlias) and hint.__origin__ is dict:
            assert shape["type"] == "object"
            continue
        if isinstance(hint, GenericAlias):
            assert kind(shape) == ("array", optional and name in FROM_AGENTS), field
            shape, hint, optional = shape["items"], hint.__args__[0], False  # noqa: PLW2901 peeled
        if "$ref" in shape:
            assert hasattr(hint, "__fields__"), field
            continue
        assert kind(shape) == (word(hint), optional and name in FROM_AGENTS), field
        if issubclass(hint, Enum):
            left_out = NOT_SAID if cls.__name__ == "Decision" else set()
            assert set(shape["enum"]) == {member.value for member in hint} - left_out, field


def kind(shape):
    kinds = shape["type"] if isinstance(shape["type"], list) else [shape["type"]]
    return kinds[0], "null" in kinds


def word(hint):
    return {int: "integer", bool: "boolean", float: "number"}.get(hint, "string")


@pytest.mark.parametrize("name", sorted(schemas()))
def test_only_known_keywords_and_definite_rules(name):
    schema = schemas()[name]
    Draft7Validator.check_schema(schema)
    for part in parts(schema):
        assert part.keys() <= KEYWORDS
        if "pattern" in part:
            # Python's `$` lets one newline pass, ECMA's does not: the look-ahead makes them agree.
            assert part["pattern"].startswith("^")
            assert part["pattern"].endswith(r"$(?!\n)")
        if part.get("type") in ("integer", "number"):
            assert {"minimum", "maximum"} <= part.keys()
        if "enum" in part:
            assert len(part["enum"]) == len(set(part["enum"]))
    used = {part["$ref"] for part in parts(schema) if "$ref" in part}
    assert used == {"#/definitions/" + key for key in schema.get("definitions", {})}


def test_the_validators_are_those_of_the_schemas():
    done = subprocess.run(
        [sys.executable, str(ROOT / "schemas" / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_validator_brings_no_library_with_it():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.path.insert(0, 'engine')\n"
            "from gluerun.records.validators.table import NAMES, validator\n"
            "validator('lease.v0')\n"
            "print(sorted(m for m in sys.modules if m.startswith('gluerun.records.validators.')))\n"
            "for name in NAMES: validator(name)\n"
            "print(sorted({'fastjsonschema', 'jsonschema', 'decimal', 'typing'} & set(sys.modules)))",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    loaded, foreign = done.stdout.splitlines()
    assert [module.rpartition(".")[2] for module in eval(loaded)] == ["invalid", "lease_v0", "table"]
    assert foreign == "[]"

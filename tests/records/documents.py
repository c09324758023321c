"""What the tests of this ring share: every record class, its schema, and strategies for both."""

from __future__ import annotations

import importlib
import json
import pkgutil
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import get_args, get_origin, get_type_hints

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import gluerun.records
from gluerun.records import names

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "schemas"
END = ".schema.json"
# What agents send: they may leave `schema` out, and may write null for what they do not know.
FROM_AGENTS = frozenset(
    {"packet-claim.v0", "audit-verdict.v0", "decider-verdict.v0", "task-batch.v0", "plan-critique.v0"}
)


def examples(count):
    return settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@cache
def record_classes():
    """Every record class, by name."""
    found = {}
    for module in pkgutil.iter_modules(gluerun.records.__path__):
        if not module.ispkg:
            for member in vars(importlib.import_module(f"gluerun.records.{module.name}")).values():
                if isinstance(member, type) and hasattr(member, "__fields__"):
                    found[member.__name__] = member
    return found


@cache
def bound_classes():
    """Every record class with a schema, by the schema's short name."""
    return {cls.SCHEMA: cls for cls in record_classes().values() if hasattr(cls, "SCHEMA")}


@cache
def schemas():
    """Every schema, by its short name."""
    return {
        path.name.removesuffix(END): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(SCHEMAS.glob("*" + END))
    }


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@cache
def instances(cls):
    """A strategy for instances of a record class, from its annotations alone."""
    hints = get_type_hints(cls)
    return st.builds(cls, **{name: _value(hints[name]) for name in cls.__fields__})


def _value(hint):
    if isinstance(hint, UnionType):
        return st.none() | _value(next(part for part in get_args(hint) if part is not NoneType))
    if get_origin(hint) is tuple:
        return st.lists(_value(get_args(hint)[0]), max_size=2).map(tuple)
    if get_origin(hint) is dict:
        return st.dictionaries(st.text(max_size=3), _value(get_args(hint)[1]), max_size=2)
    if hint is object:
        return JSON_VALUES
    if hasattr(hint, "__fields__"):
        return instances(hint)
    if issubclass(hint, Enum):
        return st.sampled_from(hint)
    simple = {
        str: st.text(max_size=8),
        bool: st.booleans(),
        int: st.integers(0, 2**53 - 1),
        float: st.floats(allow_nan=False, allow_infinity=False),
        datetime: st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
            lambda moment: moment.replace(microsecond=0)
        ),
    }
    return simple[hint]


def documents(schema):
    """A strategy for documents that *schema* accepts."""
    return _document(schema, schema)


def _document(part, root):
    if "$ref" in part:
        return _definition(root["$id"], part["$ref"].removeprefix("#/definitions/"))
    if "const" in part:
        return st.just(part["const"])
    if "enum" in part:
        return (
            st.sampled_from(part["enum"]) if isinstance(part["type"], str) else st.sampled_from([*part["enum"], None])
        )
    kinds = part["type"] if isinstance(part["type"], list) else [part["type"]]
    return st.one_of([_KINDS[kind](part, root) for kind in kinds])


@cache
def _definition(identity, name):
    schema = schemas()[identity.removeprefix("gluerun.orchestration.")]
    return _document(schema["definitions"][name], schema)


# Drawing from an expression again and again is slow: each pattern has a few texts that keep it.
KEEPING = {
    names.TASK: ["TASK-0001", "TASK-999999999999"],
    names.RUN: ["RUN-20260131T235959Z-0123abcd"],
    names.ORIGIN: ["ORIGIN-20260131T235959Z-1", "ORIGIN-20260131T235959Z-4194304123"],
    names.APPROVAL: ["APR-0001", "APR-999999999999"],
    names.ORDER: ["ORD-20260131T235959Z-0123abcd"],
    names.NODE: ["N", "api.v1.a-b.c_d", "0" * 40],
    names.AREA: ["core", "A_b-9"],
    names.NONCE: ["0123456789abcdef" * 2],
    names.SHA: ["a" * 40, "0" * 64],
    names.SHA256: ["0123456789abcdef" * 4],
    names.STAMP: ["2026-01-31T23:59:59Z", "1970-01-01T00:00:00Z"],
    names.FINDING: ["f-0123456789ab"],
    names.BRANCH: ["main", "agent/core/TASK-0001-a_b.c", "a+b"],
}


@cache
def matching(pattern):
    """A strategy for texts that keep a pattern of a schema."""
    known = KEEPING.get(pattern.removesuffix(r"(?!\n)"))
    return st.sampled_from(known) if known else st.from_regex(pattern).filter(lambda text: len(text) < 120)


def _text(part, root):
    if "pattern" in part:
        return matching(part["pattern"])
    return st.text(min_size=part.get("minLength", 0), max_size=part.get("maxLength", 12))


def _mapping(part, root):
    if "properties" not in part:
        inner = part["additionalProperties"]
        return st.dictionaries(
            st.text(max_size=4), JSON_VALUES if inner is True else _document(inner, root), max_size=2
        )
    known = {name: _document(inner, root) for name, inner in part["properties"].items()}
    required = set(part.get("required", ()))
    return st.fixed_dictionaries(
        {name: inner for name, inner in known.items() if name in required},
        optional={name: inner for name, inner in known.items() if name not in required},
    )


_KINDS = {
    "string": _text,
    "object": _mapping,
    "null": lambda part, root: st.none(),
    "boolean": lambda part, root: st.booleans(),
    "integer": lambda part, root: st.integers(part["minimum"], part["maximum"]),
    "number": lambda part, root: st.floats(part["minimum"], part["maximum"]),
    "array": lambda part, root: st.lists(
        _document(part["items"], root),
        min_size=part.get("minItems", 0),
        max_size=max(2, part.get("minItems", 0)),
    ),
}

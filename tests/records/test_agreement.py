"""The generated validators and jsonschema give the same answer, about good documents and bad ones."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from tests.records.documents import documents, examples, schemas

from gluerun.records.validators.table import Invalid, validator

JUNK_VALUES = [
    None, True, False, 0, 1, -1, 1.0, 0.5, -0.0, 2**53 - 1, 2**53, 1e300, float("inf"), float("nan"),
    "", "\n", "x", "x\n", "/etc", "..", "a/b", "a\0b", "TASK-0001", "TASK-0001\n", "0" * 40, "0" * 40 + "\n",
    "0" * 64, "2026-01-31T23:59:59Z", "2026-01-31T23:59:59Z\n", "main", "main\n", "a.lock", "accepted",
    "٣" * 40, [], [None], ["a\n"], {}, {"schema": 1}, {"x": "resolved"},
]  # fmt: skip
# Copied, so that one example's junk can never grow into the next one's.
JUNK = st.sampled_from(JUNK_VALUES).map(copy.deepcopy)


def places(document):
    """Every container of a document with each of its keys or indexes."""
    found, waiting = [], [document]
    while waiting:
        holder = waiting.pop()
        for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
            found.append((holder, key))
            if isinstance(holder[key], (dict, list)):
                waiting.append(holder[key])
    return found


def drop(draw, holder, key):
    del holder[key]


def swap(draw, holder, key):
    holder[key] = draw(JUNK)


def grow(draw, holder, key):
    target = holder[key] if isinstance(holder[key], (dict, list)) else holder
    if isinstance(target, dict):
        target[draw(st.sampled_from(["extra", "schema", "taskId", "reason", "a\n"]))] = draw(JUNK)
    else:
        target.append(draw(JUNK))


def twist(draw, holder, key):
    """Change a value a little: the newline, the bool, the float that is an integer."""
    value = holder[key]
    if isinstance(value, str):
        holder[key] = draw(st.sampled_from([value + "\n", "\n" + value, value[:-1], value + "/", value.upper()]))
    elif isinstance(value, bool):
        holder[key] = int(value)
    elif isinstance(value, int):
        holder[key] = draw(st.sampled_from([float(value), bool(value), -value - 1, value + 0.5]))
    else:
        holder[key] = draw(JUNK)


@st.composite
def mutants(draw, schema):
    document = copy.deepcopy(draw(documents(schema)))
    for _ in range(draw(st.integers(1, 2))):
        found = places(document)
        if found:
            holder, key = draw(st.sampled_from(found))
            draw(st.sampled_from([drop, swap, grow, twist, twist]))(draw, holder, key)
        else:
            document["extra"] = 1
    return document


def accepts(name, document):
    before = json.dumps(document)
    try:
        validator(name)(document)
    except Invalid as error:
        assert len(str(error)) < 900
        assert "\n" not in str(error)
        return False
    finally:
        assert json.dumps(document) == before
    return True


@pytest.mark.parametrize("name", sorted(schemas()))
def test_good_documents_are_accepted_by_both(name):
    judge = Draft7Validator(schemas()[name])

    @examples(15)
    @given(documents(schemas()[name]))
    def agree(document):
        assert judge.is_valid(document)
        assert accepts(name, document)

    agree()


@pytest.mark.parametrize("name", sorted(schemas()))
def test_both_say_the_same_of_changed_documents(name):
    judge = Draft7Validator(schemas()[name])

    @examples(60)
    @given(mutants(schemas()[name]))
    def agree(document):
        assert accepts(name, document) is judge.is_valid(document)

    agree()


@pytest.mark.parametrize("name", sorted(schemas()))
@pytest.mark.parametrize("document", [None, True, 1, 1.0, "", [], {}, (), {"schema": None}], ids=repr)
def test_both_say_the_same_of_what_is_no_document(name, document):
    assert accepts(name, document) is Draft7Validator(schemas()[name]).is_valid(document)

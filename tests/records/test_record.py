"""A record is a frozen value with keyword-only fields."""

from __future__ import annotations

import pytest

from gluerun.records.failure import Failure
from gluerun.records.gate import DeclaredOutput
from gluerun.records.packet import Blocker, Evidence
from gluerun.records.record import fields_of, record, replace

NOTE = Evidence(kind="log", ref="a.log")


def test_fields_cannot_be_set_or_deleted():
    with pytest.raises(AttributeError, match=r"Evidence\.ref: records are frozen; use replace\(\)"):
        NOTE.ref = "b.log"
    with pytest.raises(AttributeError, match="frozen"):
        NOTE.new = 1
    with pytest.raises(AttributeError, match="frozen"):
        del NOTE.ref
    assert Evidence(kind="log", ref="a.log") == NOTE


def test_fields_are_given_by_name_only():
    with pytest.raises(TypeError):
        Evidence("log", "a.log")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kind": "log"}, r"Evidence: unknown fields \[\], missing fields \['ref'\]"),
        ({}, r"missing fields \['kind', 'ref'\]"),
        ({"kind": "log", "ref": "a", "size": 1}, r"unknown fields \['size'\], missing fields \[\]"),
    ],
)
def test_unknown_and_missing_fields(values, words):
    with pytest.raises(TypeError, match=words):
        Evidence(**values)


def test_equality_is_by_value_and_type():
    assert Evidence(kind="log", ref="a.log") == NOTE
    assert Evidence(kind="log", ref="b.log") != NOTE
    assert DeclaredOutput(path="p", sha256="s") != Blocker(path="p", reason="s")
    assert NOTE != {"kind": "log", "ref": "a.log", "sha256": None}


def test_equal_records_are_one_member_of_a_set():
    assert len({NOTE, Evidence(kind="log", ref="a.log"), replace(NOTE, ref="b")}) == 2
    assert len({DeclaredOutput(path="p", sha256="s"), Blocker(path="p", reason="s")}) == 2


def test_replace_returns_another_and_leaves_the_first():
    other = replace(NOTE, sha256="0" * 64)
    assert (other.kind, other.ref, other.sha256, NOTE.sha256) == ("log", "a.log", "0" * 64, None)
    with pytest.raises(TypeError, match="unknown fields"):
        replace(NOTE, size=1)


def test_repr_and_match():
    assert repr(NOTE) == "Evidence(kind='log', ref='a.log', sha256=None)"
    match NOTE:
        case Evidence(kind, ref):
            assert (kind, ref) == ("log", "a.log")


def test_fields_keep_their_order_and_defaults():
    @record
    class Sample:
        a: int
        b: Failure = Failure.GATE_RED
        c: tuple[str, ...] = ()

    assert fields_of(Sample) == ("a", "b", "c")
    assert vars(Sample(c=("x",), a=1)) == {"a": 1, "b": Failure.GATE_RED, "c": ("x",)}


def test_derived_words_of_a_task():
    from gluerun.records.task import TERMINAL, Status, Task, TaskSpec

    spec = TaskSpec(
        task_id="TASK-0001", title="t", area="a", target_branch="main", worker_branch="w", objective="o",
        owned_files=("a",),
    )  # fmt: skip
    for status in Status:
        task = Task(
            task_id="TASK-0001", status=status, spec=spec, source_sha256="", source_mark="",
            created_at=None, updated_at=None, amended_files=("b",),
        )  # fmt: skip
        assert task.owned == ("a", "b")
        assert task.is_terminal is (status in TERMINAL)

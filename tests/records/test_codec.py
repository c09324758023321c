"""What goes out comes back the same, and what cannot be read says where."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from freezegun import freeze_time
from hypothesis import given
from tests.records.documents import (
    JSON_VALUES,
    bound_classes,
    documents,
    examples,
    instances,
    record_classes,
    schemas,
)

from gluerun.errors import SchemaError
from gluerun.records import codec, schema
from gluerun.records.dispatch import Identity, Usage
from gluerun.records.failure import Answer, Decision, Failure
from gluerun.records.gate import GateCheck
from gluerun.records.graph import Graph
from gluerun.records.lease import Lease, LeaseStatus
from gluerun.records.origin import Circuit
from gluerun.records.packet import PacketClaim
from gluerun.records.task import Task
from gluerun.records.verdict import Verdict

NOW = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
LEASE = Lease(
    task_id="TASK-0001",
    branch="agent/core/TASK-0001-a",
    area="core",
    owned_files=("src/a.py",),
    forbidden_files=(),
    base_sha="a" * 40,
    batch_id="b",
    run_id="RUN-20260131T235959Z-0123abcd",
    worktree="/w",
    status=LeaseStatus.RUNNING,
    retry_count=0,
    max_retries=2,
    created_at=NOW,
    updated_at=NOW,
    expires_at=NOW,
    epoch=1,
    boot_id="boot",
)


@pytest.mark.parametrize("cls", [pytest.param(cls, id=name) for name, cls in sorted(record_classes().items())])
def test_every_record_comes_back_the_same(cls):
    @examples(15)
    @given(instances(cls))
    def round_trip(value):
        document = codec.to_wire(value)
        assert codec.from_wire(cls, document) == value
        assert codec.from_wire(cls, codec.decode(codec.encode(value))) == value

    round_trip()


@pytest.mark.parametrize("name", sorted(bound_classes()))
def test_every_good_document_becomes_a_record_and_good_bytes_again(name):
    cls = bound_classes()[name]

    @examples(15)
    @given(documents(schemas()[name]))
    def round_trip(document):
        value = schema.load(cls, codec.encode(document))
        assert schema.load(cls, schema.dump(value)) == value

    round_trip()


@pytest.mark.parametrize(
    ("field", "key"),
    [("base_sha", "baseSha"), ("id", "id"), ("diff_sha256", "diffSha256"), ("cost_usd", "costUsd")],
)
def test_wire_names(field, key):
    assert codec.wire_name(field) == key


def test_a_bound_record_carries_its_id_first_and_no_none():
    assert codec.to_wire(Circuit(consec_fails=2, updated_at=NOW)) == {
        "schema": "gluerun.orchestration.circuit.v0",
        "consecFails": 2,
        "updatedAt": "2026-01-31T23:59:59Z",
    }
    assert next(iter(codec.to_wire(LEASE))) == "schema"
    assert codec.to_wire(Usage(turns=0)) == {"turns": 0, "estimated": False}


@examples(200)
@given(JSON_VALUES)
def test_encode_writes_what_the_standard_library_would(value):
    assert codec.encode(value).decode() == json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def test_encode_writes_two_spaces_and_one_newline():
    assert codec.encode({"a": ["ü"]}) == '{\n  "a": [\n    "ü"\n  ]\n}\n'.encode()


@pytest.mark.parametrize(
    ("document", "form"),
    [
        ({}, b"{}"),
        ({"b": 1, "a": [1, {"d": None, "c": True}]}, b'{"a":[1,{"c":true,"d":null}],"b":1}'),
        ({"é": "a\n\u2028"}, '{"é":"a\\n\u2028"}'.encode()),
        ([0.1, -0.0, 1e16, 10], b"[0.1,-0.0,1e+16,10]"),
        ({"Z": 1, "a": 2, "A": 3}, b'{"A":3,"Z":1,"a":2}'),
    ],
)
def test_the_canonical_form(document, form):
    assert codec.canonical(document) == form


@pytest.mark.parametrize("write", [codec.encode, codec.canonical])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_json_does_not_know_is_not_written(write, value):
    with pytest.raises(ValueError, match="JSON"):
        write({"a": value})


def test_stamps():
    east = datetime(2026, 2, 1, 1, 59, 59, 999_999, timezone(timedelta(hours=2)))
    assert codec.stamp(east) == "2026-01-31T23:59:59Z"
    assert codec.moment("2026-01-31T23:59:59Z") == NOW
    assert codec.moment("2026-01-31T23:59:59Z").utcoffset() == timedelta(0)


def test_a_stamp_that_is_no_moment():
    document = codec.to_wire(Circuit(consec_fails=0, updated_at=NOW)) | {"updatedAt": "2026-02-30T00:00:00Z"}
    with pytest.raises(SchemaError, match="'2026-02-30T00:00:00Z' is no moment in time"):
        schema.admit(Circuit, document)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{\n  "a" 1}', "x.json: line 2, column 7: Expecting ':' delimiter"),
        (b"", "x.json: line 1, column 1: Expecting value"),
        (b"{} {}", "x.json: line 1, column 4: Extra data"),
        (b"\xff", "x.json: not readable as UTF-8 JSON"),
        (b'"\xed\xa0\x80"', "x.json: not readable as UTF-8 JSON"),
        (b'"\\ud800"', "x.json: not readable as UTF-8 JSON"),
        (b"[NaN]", "x.json: not readable as UTF-8 JSON"),
        (b"[-Infinity]", "x.json: not readable as UTF-8 JSON"),
        (b"[1e400]", "x.json: not readable as UTF-8 JSON"),
        (b"1" * 5000, "x.json: not readable as UTF-8 JSON"),
        (b"[" * 100_000, "x.json: not readable as UTF-8 JSON"),
    ],
    ids=range(11),
)
def test_what_cannot_be_read_says_where(data, words):
    with pytest.raises(SchemaError) as caught:
        codec.decode(data, file="x.json")
    assert (caught.value.message, caught.value.file) == (words, "x.json")


def test_a_document_without_a_file_is_called_so():
    with pytest.raises(SchemaError, match=r"^document: line 1, column 2"):
        codec.decode(b"{")


def test_whole_pairs_of_surrogates_are_text():
    assert codec.decode(b'"\\ud83d\\ude00 \\u00e9"') == "😀 é"


def test_an_unknown_key_is_refused():
    with pytest.raises(SchemaError, match="Usage has no field 'tokens'"):
        codec.from_wire(Usage, {"tokens": 1})


def test_a_missing_field_is_refused():
    with pytest.raises(SchemaError, match="missing fields \\['updated_at'\\]"):
        codec.from_wire(Circuit, {"consecFails": 1})


def test_null_and_whole_floats_from_agents():
    claim = schema.load(PacketClaim, b'{"summary": null, "commands": [{"cmd": "x", "exitCode": 1.0, "logRef": null}]}')
    assert claim.summary is None
    assert repr(claim.commands[0].exit_code) == "1"
    assert schema.dump(claim).count(b"null") == 0


@pytest.mark.parametrize("cls", [Lease, Task, GateCheck])
def test_moments_are_read_while_the_clock_is_frozen(cls):
    with freeze_time("1999-12-31"):
        decode = codec._decoders(cls)["createdAt"][1]
        assert decode("2026-01-31T23:59:59Z") == NOW
        assert codec.to_wire(datetime.now(UTC)) == "1999-12-31T00:00:00Z"
        assert codec.from_wire(Lease, codec.to_wire(LEASE)) == LEASE


@pytest.mark.parametrize(
    ("cls", "document", "words"),
    [
        (PacketClaim, [], "packet-claim.v0: document must be an object"),
        (PacketClaim, {"nope": 1, "also": 2}, "packet-claim.v0: document has unknown keys also, nope"),
        (PacketClaim, {"commands": [{"cmd": "x"}]}, "packet-claim.v0: commands[0] lacks exitCode"),
        (PacketClaim, {"changedFiles": ["a", 3]}, "packet-claim.v0: changedFiles[1] must be a string, not 3"),
        (PacketClaim, {"runId": True}, "packet-claim.v0: runId must be a string or null, not true"),
        (PacketClaim, {"schema": None},
         "packet-claim.v0: schema must be gluerun.orchestration.packet-claim.v0, not null"),
        (PacketClaim, {"a\nb": 1}, "packet-claim.v0: document has unknown keys a\\nb"),
        (Graph, {"schema": "gluerun.orchestration.dag.v0", "nodes": {}}, "dag.v0: nodes must be a list"),
    ],
)  # fmt: skip
def test_an_invalid_document_says_where_and_what(cls, document, words):
    with pytest.raises(SchemaError) as caught:
        schema.admit(cls, document)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ownedFiles": ["a", "/b"]}, r"ownedFiles[1] must match ^[^/\x00\n][^\x00\n]*$, not '/b'"),
        ({"epoch": -1}, "epoch must be at least 0, not -1"),
        ({"epoch": 2**53}, "epoch must be at most 9007199254740991, not 9007199254740992"),
        ({"bootId": ""}, "bootId must not be empty, not ''"),
        ({"taskId": "T" * 999}, "taskId must match ^TASK-[0-9]{4,12}$, not '" + "T" * 78 + "…"),
    ],
)
def test_an_invalid_lease_is_not_read(change, words):
    with pytest.raises(SchemaError) as caught:
        schema.load(Lease, codec.encode(codec.to_wire(LEASE) | change), file="leases/TASK-0001.json")
    assert str(caught.value) == "leases/TASK-0001.json: " + words
    assert caught.value.file == "leases/TASK-0001.json"


def test_an_invalid_record_is_not_born():
    asking = Decision(failure_class=Failure.GATE_RED, action=Answer.ASK_MODEL, rationale="the table has none")
    with pytest.raises(SchemaError, match=r"decision.v0: action must be one of retry, .*, not 'ask-model'"):
        schema.dump(asking)


def test_the_schema_of_an_agent_is_optional_but_binding():
    answer = {"verdict": "accepted", "rationale": "good", "headSha": "a" * 40, "nonce": "0" * 32}
    assert schema.admit(Verdict, answer) == schema.admit(
        Verdict, answer | {"schema": "gluerun.orchestration.audit-verdict.v0"}
    )
    with pytest.raises(SchemaError, match="schema must be"):
        schema.admit(Verdict, answer | {"schema": "gluerun.orchestration.audit-verdict.v1"})


def test_our_own_records_need_their_schema():
    document = codec.to_wire(Identity(boot_id="b", pid_namespace="", pid=1, start_ticks=0))
    del document["schema"]
    with pytest.raises(SchemaError, match=r"identity.v0: document lacks schema"):
        schema.admit(Identity, document)


def test_an_unknown_schema_is_a_defect_of_ours():
    with pytest.raises(KeyError):
        schema.check("nothing.v0", {})

"""The journal's canonical form, by its published vectors: the engine and the program of the docs agree on each."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.patience import PATIENCE

from gluerun.core.chain import Fault, Head, Segment, follow, follow_all, line_of, seal, segments
from gluerun.records import codec

ROOT = Path(__file__).resolve().parents[2]
VECTORS = json.loads((ROOT / "tests/data/journal/vectors.json").read_text(encoding="utf-8"))
LINES = [one["line"].encode() for one in VECTORS["events"]]
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def independent(data):
    """What the program of docs/journal.md says of a journal."""
    page = (ROOT / "docs/journal.md").read_text(encoding="utf-8")
    program = re.search(r"```text\n(import .*?)```", page, re.DOTALL)[1]
    argv = [sys.executable, "-I", "-S", "-c", program]
    return subprocess.run(argv, input=data, capture_output=True, check=False, timeout=PATIENCE)


def test_the_engine_seals_the_vectors_as_they_are_written_down():
    head = Head()
    for one in VECTORS["events"]:
        told = one["event"]
        event = seal(head, codec.moment(told["ts"]), told["type"], told["message"], told["data"])
        assert codec.canonical(told).decode() == one["sealed"]
        assert (event.hash, line_of(event).decode()) == (one["hash"], one["line"] + "\n")
        head = Head(seq=event.seq, hash=event.hash)
    assert follow_all(Head(), LINES) == head


def test_the_program_of_the_docs_says_the_same():
    done = independent(b"".join(line + b"\n" for line in LINES))

    assert done.stdout.decode().split() == [str(len(LINES)), VECTORS["events"][-1]["hash"]]


@pytest.mark.parametrize("one", VECTORS["refused"], ids=[one["why"] for one in VECTORS["refused"]])
def test_a_line_that_is_not_its_event_is_refused_by_both(one):
    line = one["line"].encode()

    assert isinstance(follow(Head(), line), Fault)
    if "schema" not in one["why"] and "too many" not in one["why"] and "truth" not in one["why"]:
        # The program of the docs looks at what is sealed; the engine also at what is not.
        assert independent(line + b"\n").returncode != 0


@pytest.mark.parametrize("number", range(len(LINES)))
def test_a_changed_line_is_named_by_its_number_by_both(number):
    changed = [*LINES]
    changed[number] = changed[number].replace(b'"message":"', b'"message":"x')

    assert follow_all(Head(), changed).seq == number + 1
    done = independent(b"".join(line + b"\n" for line in changed))
    assert done.stderr.decode().strip() == f"event {number + 1} is bad"


def test_names_of_sealed_files_are_read_back_in_the_order_of_their_events():
    found = segments(["10-12.ndjson", "1-9.ndjson", "13-13.broken.ndjson", "x.ndjson", ".1-2.ndjson.tmp", "1-2.json"])

    assert found == [
        Segment(first=1, last=9), Segment(first=10, last=12), Segment(first=13, last=13, is_broken=True)
    ]  # fmt: skip
    assert [one.name for one in found] == ["1-9.ndjson", "10-12.ndjson", "13-13.broken.ndjson"]


def test_a_hundred_thousand_events_take_seconds():
    head, lines = Head(), []
    for number in range(100_000):
        data = {"task": f"TASK-{number:06d}", "run": "RUN-20260131T115900Z-00000001", "epoch": number}
        event = seal(head, NOW, "origin.dispatch", f"TASK-{number:06d}: it is ready", data)
        head = Head(seq=event.seq, hash=event.hash)
        lines.append(line_of(event)[:-1])

    started = time.process_time()
    assert follow_all(Head(), lines) == head
    assert time.process_time() - started < 30

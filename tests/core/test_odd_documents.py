"""Every reader against documents that nobody should have written: it reads, or refuses by its own error, and soon.

`ODD_DOCUMENTS` says how many are tried, `ODD_SEED` from which dice on; a failure names the document.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.worlds import CONFIG, node
from tests.records.documents import bound_classes, documents, examples, schemas

from gluerun import quiet, settings_file
from gluerun.core import answers, graph, limits, metering, reading
from gluerun.core.stream import stream_of
from gluerun.errors import GluerunError, SchemaError
from gluerun.loop.journal import broken_link
from gluerun.loop.nodes import GRAPH, node_view, read_graph
from gluerun.records import codec, schema, taskfile
from gluerun.records.child import ChildDone, How
from gluerun.records.config import Config
from gluerun.records.dispatch import Role
from gluerun.records.runner import Dialect, RunnerSpec
from gluerun.sim.files import SimFiles

DATA = Path(__file__).resolve().parents[1] / "data"
COUNT = int(os.environ.get("ODD_DOCUMENTS") or 20_000)
SEED = int(os.environ.get("ODD_SEED") or 1)
LONGEST = 5.0
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ENDED = ChildDone(name="001-agent", how=How.EXITED, exit_code=1, duration_ms=1)
WORDS = [b"{", b"}", b"[", b"]", b'"', b"\\", b":", b",", b"null", b"NaN", b"1e999", b"-0", b"\xff", b"\x00", b"\n"]
WORDS += [b"\\ud800", b"\xe2\x80\xa8", b"9" * 400, b'"schema"', b"true", b"1.0", b"-1", b"\r\n", b"\t", b" " * 50, b"'"]
WORDS += [b"2026-13-45T99:99:99Z", b"0000-00-00T00:00:00Z", b"../../etc", b"{" * 500, b"[" * 3000, b'{"a":' * 1500]


def read_stream(dialect):
    def read(data):
        spec = RunnerSpec(name="odd", argv=("odd",), dialect=dialect)
        reading.read(spec, ENDED, data, NOON, prices={}, role=Role.WORKER, rollout=data.splitlines())
        stream = stream_of(dialect)
        for line in data.split(b"\n"):
            stream.feed_line(line, json.loads)

    return read


def read_answer(data):
    text = data.decode("utf-8", "replace")
    for role in (Role.WORKER, Role.AUDITOR, Role.DECIDER, Role.PLANNER):
        answers.last_answer(text, role)


def read_meter(data):
    metering.counted(data)
    limits.metered(data)


def read_note(data):
    try:
        quiet.Note(data.decode("utf-8", "surrogateescape"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass  # what `quiet.answer` takes for no note


def read_nodes(data):
    found = read_graph(lambda path: data if path == GRAPH else None)
    if found is not None:
        graph.faults(found)


def _kept(path, data):
    """Return a storage door in memory that holds one file."""
    files = SimFiles()
    files.write(path, data)
    return files


@cache
def readers():
    """Every reader by name: what takes bytes, and raises nothing but errors of ours."""
    found = {name: lambda data, cls=cls: schema.load(cls, data, file="odd") for name, cls in bound_classes().items()}
    found |= {f"stream-{dialect.value}": read_stream(dialect) for dialect in Dialect}
    found["config"] = lambda data: settings_file.read(data, "gluerun.config.json")
    found["task"] = lambda data: taskfile.parse(
        data.decode("utf-8", "replace"), Config(target_branch="main", gate_command="check")
    )
    found["graph"] = read_nodes
    found["gate"] = lambda data: node_view(lambda _: data, node("core"), CONFIG)
    found["journal"] = lambda data: broken_link(_kept("events.ndjson", data))
    found["answer"] = read_answer
    found["meter"] = read_meter
    found["note"] = read_note
    found["json"] = codec.decode
    return found


class TooLongError(BaseException):
    """A reader is still at it; nothing that it catches."""


def judge(name, data):
    """Let a reader read; return what is wrong with how it did."""
    return judged(readers()[name], name, data)


def judged(read, name, data, longest=LONGEST):
    """Let a reader read for so many seconds of its own at most; return what is wrong with how it did."""

    def stop(*_):
        raise TooLongError

    before = signal.signal(signal.SIGVTALRM, stop)
    # Again and again: what is raised while the collector calls somebody back is heard by nobody.
    signal.setitimer(signal.ITIMER_VIRTUAL, longest, longest)
    try:
        read(data)
    except GluerunError:
        pass
    except TooLongError:
        return f"{name} took more than {longest:g} s for {len(data)} bytes: {data[:100]!r}"
    except Exception as error:  # exactly these are looked for
        return f"{name} raised {error!r} for {data[:300]!r}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    return ""


def raises(data):
    """A reader that is not made for what it gets."""
    return {}[data]


def refuses(data):
    """A reader that knows what it cannot read."""
    raise SchemaError(f"{len(data)} bytes of nonsense")


def hangs(data):
    """A reader that never ends, whatever it meets."""
    while True:
        try:
            int(data)
        except ValueError:
            pass


def recurses(data):
    """A reader that goes as deep as the document does."""
    return recurses(data)


@pytest.mark.parametrize(
    ("read", "wrong"),
    [
        (raises, "it raised KeyError"),
        (recurses, "it raised RecursionError"),
        (hangs, "it took more than 0.2 s"),
        (refuses, ""),
        (len, ""),
    ],
)
def test_a_reader_that_breaks_or_hangs_is_found_and_named(read, wrong):
    said = judged(read, "it", b"odd", longest=0.2)

    assert said.startswith(wrong)
    assert bool(said) is bool(wrong)


@cache
def corpus():
    """The documents that others are made of: those kept for their oddity, recorded streams, and plain ones."""
    found = [path.read_bytes() for path in sorted((DATA / "odd").iterdir())]
    found += [path.read_bytes()[:20_000] for path in sorted((DATA / "streams").rglob("*.jsonl"))]
    found += [plain(name) for name in sorted(schemas())]
    return found


@cache
def plain(name):
    """A document that a schema accepts, always the same."""
    found = []

    @examples(1)
    @given(documents(schemas()[name]))
    def keep(document):
        found.append(json.dumps(document).encode())

    keep()
    return found[0]


def odd(chance):
    """Return one odd document."""
    data = bytearray(chance.choice(corpus()))
    for _ in range(chance.randint(1, 6)):
        place = chance.randint(0, len(data))
        match chance.randint(0, 5):
            case 0:
                del data[place : place + chance.choice([1, 2, 8, 64, 4096])]
            case 1 | 2:
                data[place:place] = chance.choice(WORDS)
            case 3 if data:
                data[place % len(data)] = chance.randrange(256)
            case 4:
                data[place:place] = data[chance.randint(0, len(data)) :][: chance.randint(1, 200)]
            case _:
                del data[place:]
    return bytes(data[:100_000])


def test_odd_documents_by_the_thousand():
    chance = random.Random(SEED)
    names = sorted(readers())
    for number in range(COUNT):
        name, data = names[number % len(names)], odd(chance)
        if name in schemas() and chance.random() < 0.7:
            data = spoilt(name, chance)
        assert judge(name, data) == "", f"document {number} of ODD_SEED={SEED}"


def spoilt(name, chance):
    """Return a valid document in which one value was replaced by an odd one."""
    document = json.loads(plain(name))
    values = (
        None,
        -1,
        0,
        1e300,
        "",
        "x" * 5000,
        [],
        {},
        [[]],
        True,
        "2026-02-30T00:00:00Z",
        "9999-99-99T99:99:99Z",
        10**30,
    )
    at, key = document, chance.choice([*document] or [""])
    while isinstance(at.get(key), dict) and at[key] and chance.random() < 0.8:
        at = at[key]
        key = chance.choice([*at])
    at[key] = chance.choice(values)
    return json.dumps(document).encode()


@pytest.mark.parametrize("name", sorted(path.name for path in (DATA / "odd").iterdir()))
def test_every_reader_lives_through_what_is_kept_for_its_oddity(name):
    data = (DATA / "odd" / name).read_bytes()

    assert [wrong for reader in readers() if (wrong := judge(reader, data))] == []


@pytest.mark.parametrize("reader", sorted(readers()))
@examples(60)
@given(data=st.binary(max_size=400))
def test_any_bytes(reader, data):
    assert judge(reader, data) == ""


@pytest.mark.parametrize(
    "text",
    ["{" * 200_000, '{"a":' * 40_000, '{"a":{"b":1},"c":' * 15_000, '{"a":["' * 40_000, '{"a' * 60_000, "[{" * 90_000],
    ids=["braces", "nested", "with whole ones", "lists", "open strings", "both"],
)
def test_answers_are_found_in_a_time_that_grows_with_the_text(text):
    wanted = {"verdict": "accepted", "nonce": "n"}

    started = time.process_time()
    found = answers.objects_in(text + "\n\n" + json.dumps(wanted))
    assert time.process_time() - started < LONGEST
    assert found == [] or found[-1] == wanted or text.count('"') % 2 == 0


def test_an_answer_in_broken_prose_is_found():
    said = 'I wrote {"a": "unfinished... {not json} and {"k": [1, {"verdict": "accepted"}'

    assert {"verdict": "accepted"} in answers.objects_in(said)

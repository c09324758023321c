"""What the real agent programs printed, shortened: `tests/data/streams/<program>/<case>.jsonl`."""

from __future__ import annotations

import json
from pathlib import Path

from gluerun.core.stream import stream_of
from gluerun.records.runner import Dialect

STREAMS = Path(__file__).resolve().parents[1] / "data" / "streams"
DIALECTS = {
    "claude": Dialect.CLAUDE,
    "qwen": Dialect.CLAUDE,
    "codex": Dialect.CODEX,
    "gemini": Dialect.GEMINI,
    "opencode": Dialect.OPENCODE,
    "copilot": Dialect.COPILOT,
    "vibe": Dialect.VIBE,
}
CASES = sorted(f"{path.parent.name}/{path.stem}" for path in STREAMS.glob("*/*.jsonl"))


def log(case):
    """Return the bytes of one sample."""
    return (STREAMS / f"{case}.jsonl").read_bytes()


def dialect(case):
    """Return the dialect of the program of a sample."""
    return DIALECTS[case.split("/")[0]]


def documents(case):
    """Return the JSON documents of one sample."""
    return [json.loads(line) for line in log(case).splitlines() if line[:1] in (b"{", b"[")]


def fed(case, lines=None):
    """Return the stream after a sample, or after its first lines."""
    stream = stream_of(dialect(case))
    for line in log(case).splitlines()[:lines]:
        stream.feed_line(line, json.loads)
    return stream

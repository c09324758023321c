"""The engine knows no project: no word of the predecessor's consumer, of a module, or of one language's habits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ENGINE = Path(__file__).resolve().parents[2] / "engine" / "gluerun"
FILES = sorted(
    path
    for path in ENGINE.rglob("*")
    if path.suffix in (".py", ".json", ".md") and "validators" not in path.parts and path.is_file()
)
WORDS = {
    "a node by the consumer's own numbering": r"\[DS\]\\d|\b[DS][0-9]+\.[a-z]",
    "the consumer's name": r"(?i)\bpm-?go\b|\bpmgo\b",
    "the consumer's layout as a default": r"[\"']internal/[\"']",
    "a database of the consumer": r"(?i)\bpostgres|\bsqlc\b|\bgoose\b",
    "the consumer's starter node": r"M0\.scaffold",
    "the predecessor's later name": r"\bsingular\b(?!ity)",
}


@pytest.mark.parametrize("kind", sorted(WORDS))
def test_no_word_of_a_project_stands_in_the_engine(kind):
    found = [
        f"{path.relative_to(ENGINE)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(WORDS[kind], line)
    ]

    assert found == []


def test_planners_are_told_of_no_language():  # A47
    text = (ENGINE / "core" / "prompts_planner.py").read_text(encoding="utf-8")

    assert re.search(r"(?i)\bgolang\b|go test|\bpytest\b|\bnpm\b|\.go\b", text) is None

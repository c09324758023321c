"""The page of defects misses none, every test that it names is there, and the test's file names the defect."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.house.test_parity import CHECKOUT, named_in

PAGE = CHECKOUT / "docs" / "defects.md"
ROW = re.compile(r"^\| ((?:A|C|FR-)\d[^|]*) \| (.+?) \| (.+?) \|$")
WHY_NOT = "*does not apply*, because "

# Those of the report of its own use that concern an engine.
_REPORTED = """
    1 2 3 4 5 8 9 10 11 12 13 15 16 17 18 19 20 21 22 23 24 25 26 27 29 30 31 32 33 34 35 36 37 39 40 42 43 45 46 47
    48 49 50 51 52 53
"""
DEFECTS = [
    *(f"A{number}" for number in range(1, 54)),
    *(f"FR-{int(number):03d}" for number in _REPORTED.split()),
    *(f"C{number}" for number in range(1, 32)),
]


def rows() -> list[tuple[str, str, str]]:
    """Return each defect of the page with what must not happen and its test."""
    found = [match.groups() for line in PAGE.read_text(encoding="utf-8").splitlines() if (match := ROW.match(line))]
    return [(one, words, test) for ids, words, test in found for one in ids.split(", ")]


def test_no_defect_is_missing_and_none_stands_twice():
    assert sorted(one for one, _, _ in rows()) == sorted(DEFECTS)


@pytest.mark.parametrize(("defect", "words", "test"), rows(), ids=[one for one, _, _ in rows()])
def test_a_defect_names_a_test_that_names_it(defect, words, test):
    if test.startswith(WHY_NOT):
        assert len(test) > len(WHY_NOT)
        return
    path, _, name = test.strip("`").partition("::")
    assert words.endswith(".")
    assert name in named_in(path)
    assert re.search(rf"\b{defect}\b", (CHECKOUT / Path(path)).read_text(encoding="utf-8")), f"{path} has no {defect}"

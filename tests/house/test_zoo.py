"""The zoo's table, its programs and its page are one thing."""

from __future__ import annotations

import re
from pathlib import Path

from gluerun.adapters.runners.animals import AUDITORS, WORKERS
from gluerun.records.failure import Failure
from gluerun.torture import words_of
from gluerun.zoo import ANIMALS, TRIES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "zoo.md"


def test_every_animal_has_a_program_and_every_program_is_promised():
    assert sorted(one.name for one in ANIMALS) == sorted({*WORKERS, *AUDITORS})


def test_every_end_is_one_that_there_can_be():
    assert {one.failure for one in ANIMALS} <= {"", *Failure}
    assert all(1 <= one.tries <= TRIES for one in ANIMALS)
    assert all((one.state == "integrated") is (one.failure == "") for one in ANIMALS)


def test_the_page_shows_the_table():
    rows = re.findall(r"^\| ([a-z-]+) \| (.+?) \| (.+?) \| (yes)? ?\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert rows == [
        (one.name, one.does, words_of(one.state, one.failure, one.tries), "yes" if one.needs_sandbox else "")
        for one in ANIMALS
    ]

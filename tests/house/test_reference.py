"""The reference pages are the tables of the source, printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gluerun.cli import reference

PAGES = Path(__file__).resolve().parents[2] / "docs" / "reference"


@pytest.mark.parametrize(
    ("name", "page"), [("configuration", reference.configuration_page), ("commands", reference.commands_page)]
)
def test_the_committed_page_is_the_printed_one(name, page):
    committed = (PAGES / f"{name}.md").read_text(encoding="utf-8")

    assert committed == page(), "print them again: PYTHONPATH=engine python -m gluerun.cli.reference"


def test_printing_writes_both_pages(tmp_path):
    reference.write(tmp_path / "pages")

    assert sorted(path.name for path in (tmp_path / "pages").iterdir()) == ["commands.md", "configuration.md"]

"""The repository holds nothing that its own detector would find: samples are put together where they are used."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gluerun.core.secrets import in_text

ROOT = Path(__file__).parents[2]


def tracked() -> list[str]:
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=False)
    return [name for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def found(text: str) -> str:
    hit = in_text(text)
    return f"{hit.line} ({hit.kind})" if hit else ""


def test_no_file_holds_what_looks_like_a_secret():
    names = tracked()
    if not names:
        pytest.skip("not a work tree of git")

    hits = {name: found((ROOT / name).read_bytes().decode("utf-8", "replace")) for name in names}

    assert {name: hit for name, hit in hits.items() if hit} == {}
    assert not [name for name in names if Path(name).name == ".env" or Path(name).name.startswith(".env.")]


def test_the_look_would_find_one():
    assert found("one\nkey = " + "gh" + "p_" + "Ab1" * 12) == "2 (forge token)"

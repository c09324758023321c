"""Entries of a scope: what may be one, and that they are compared by whole segments."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.records.documents import examples

from gluerun.errors import SchemaError
from gluerun.records.paths import covers, overlap, scope_entry


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("src", "src"),
        ("src/", "src"),
        ("src///", "src"),
        (" src/a.py\n", "src/a.py"),
        ("./src", "src"),
        ("././src/", "src"),
        ("README.md", "README.md"),
        (".github", ".github"),
        (".gitignore", ".gitignore"),
        ("src/.git-hooks", "src/.git-hooks"),
        ("a b/c", "a b/c"),
        ("ä/ö.txt", "ä/ö.txt"),
        ("a..b", "a..b"),
        ("...", "..."),
        ("-rf", "-rf"),
        ("a[0]", "a[0]"),
    ],
)
def test_entries(text, entry):
    assert scope_entry(text) == entry


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "names no file or folder"),
        ("  ", "names no file or folder"),
        (".", "names no file or folder"),
        ("./", "names no file or folder"),
        ("/", "names no file or folder"),
        ("/etc", "is not relative to the repository"),
        ("~", "is not relative to the repository"),
        ("~me/x", "is not relative to the repository"),
        ("a\\b", "is not relative to the repository"),
        ("C:\\x", "is not relative to the repository"),
        ("src/*", "is a pattern; name files or folders"),
        ("**/a.py", "is a pattern; name files or folders"),
        ("a?", "is a pattern; name files or folders"),
        ("..", "has empty, `.` or `..` segments"),
        ("../a", "has empty, `.` or `..` segments"),
        ("a/../b", "has empty, `.` or `..` segments"),
        ("a/..", "has empty, `.` or `..` segments"),
        ("a/./b", "has empty, `.` or `..` segments"),
        ("a//b", "has empty, `.` or `..` segments"),
        (".git", "lies in git's own folder"),
        (".git/hooks", "lies in git's own folder"),
        ("./.git", "lies in git's own folder"),
    ],
)
def test_what_is_no_entry(text, why):
    with pytest.raises(SchemaError, match=re.escape(f"{text.strip()!r} {why}")):
        scope_entry(text)


@pytest.mark.parametrize(
    ("entry", "path", "is_covered"),
    [
        ("src", "src", True),
        ("src", "src/a.py", True),
        ("src", "src/b/c.py", True),
        ("src", "src2", False),
        ("src", "src2/a.py", False),
        ("src", "lib/src/a.py", False),
        ("src/a.py", "src", False),
        ("src/a.py", "src/a.py", True),
        ("src/a.py", "src/a.pyc", False),
        ("README.md", "README.md", True),
        ("README.md", "docs/README.md", False),
        ("a b", "a b/ü.txt", True),
    ],
)
def test_an_entry_covers_itself_and_what_lies_in_it(entry, path, is_covered):
    assert covers(entry, path) is is_covered


SEGMENT = st.sampled_from(["a", "b", "ab", "a.b", "ä"])
PATH = st.lists(SEGMENT, min_size=1, max_size=4).map("/".join)


@examples(200)
@given(PATH, PATH)
def test_overlap_is_symmetric_and_means_that_one_covers_the_other(one, other):
    expected = one.split("/")[: other.count("/") + 1] == other.split("/")[: one.count("/") + 1]

    assert overlap(one, other) == overlap(other, one) == (covers(one, other) or covers(other, one)) == expected


@examples(100)
@given(PATH, PATH, PATH)
def test_covering_goes_on_from_folder_to_folder(one, two, three):
    assert covers(one, one)
    assert not (covers(one, two) and covers(two, three)) or covers(one, three)


@examples(100)
@given(PATH, st.sampled_from(["", "/", "//"]), st.sampled_from(["", "./", "././"]), st.sampled_from(["", " ", "\n"]))
def test_every_spelling_of_an_entry_is_the_same_entry(path, end, start, blank):
    assert scope_entry(f"{blank}{start}{path}{end}{blank}") == path == scope_entry(path)

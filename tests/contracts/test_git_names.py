"""Names of files are bytes to git and proper text to everybody else; nothing is lost between the two."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluerun.core.spelling import bytes_of, name_of

NASTY = st.lists(st.sampled_from([b"\\", b"x", b"4", b"e9", b"\n", b"\xe9", b"\xc3\xa9", b"/", b" ", b"\x7f"])).map(
    b"".join
)


@settings(max_examples=300, deadline=None, database=None)
@given(NASTY | st.binary(max_size=30).filter(lambda data: b"\0" not in data))
def test_a_name_leads_back_to_its_bytes_and_is_fit_for_every_record(data):
    name = name_of(data)

    assert bytes_of(name) == data
    assert name.encode("utf-8").decode("utf-8") == name
    assert not set(name) & {"\n", "\r", "\x1b", "\x7f"}
    assert name.count("/") == data.count(b"/")


@settings(max_examples=300, deadline=None, database=None)
@given(NASTY, NASTY)
def test_different_names_stay_different(one, other):
    assert (name_of(one) == name_of(other)) == (one == other)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"src/plain.py", "src/plain.py"),
        ("naïve-日本.txt".encode(), "naïve-日本.txt"),
        (b"back\\slash", "back\\slash"),
        (b'quo"te', 'quo"te'),
        (b"caf\xe9", "caf\\xe9"),
        (b"new\nline", "new\\x0aline"),
        (b"\\x41", "\\x5cx41"),
    ],
)
def test_only_odd_names_look_odd(data, name):
    assert name_of(data) == name

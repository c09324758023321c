"""Who made a line of commits red: tables, and that whoever it is, he is named in few rounds."""

from __future__ import annotations

from math import ceil, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluerun.core.bisecting import Search, search


@pytest.mark.parametrize(
    ("length", "green", "red", "running", "slots", "want"),
    [
        (2, [0], [1], [], 2, Search(culprit=1)),
        (1, [], [0], [], 2, Search(is_red_to_the_end=True)),
        (5, [], [0, 4], [], 2, Search(is_red_to_the_end=True)),
        (5, [0], [4], [], 1, Search(ask=(2,))),
        (5, [0], [4], [2], 1, Search(ask=(1,))),
        (5, [0, 2], [3, 4], [], 2, Search(culprit=3)),
        (5, [], [4], [], 1, Search(ask=(0,))),
        (5, [], [4], [0], 1, Search(ask=(2,))),
        (5, [], [4], [], 2, Search(ask=(0, 2))),
        (3, [0], [2], [], 5, Search(ask=(1,))),
        (10, [0], [9], [], 2, Search(ask=(3, 6))),
        (5, [0], [4], [], 0, Search()),
        (3, [0], [2], [1], 2, Search()),
        # What was red before and green again is not the culprit of today.
        (7, [0, 4], [2, 6], [], 1, Search(ask=(5,))),
    ],
)
def test_what_is_asked_next(length, green, red, running, slots, want):
    assert search(length, green, red, running, slots) == want


@given(st.integers(2, 70), st.integers(1, 6), st.data())
def test_the_culprit_is_named_in_few_rounds_and_nothing_is_asked_twice(length, slots, data):
    culprit = data.draw(st.integers(1, length - 1))
    green, red, rounds = {0}, {length - 1}, 0
    while (found := search(length, green, red, (), slots)).culprit is None:
        assert found.ask
        assert len(found.ask) <= slots
        assert not set(found.ask) & (green | red)
        green |= {place for place in found.ask if place < culprit}
        red |= {place for place in found.ask if place >= culprit}
        rounds += 1

    assert found.culprit == culprit
    assert rounds <= ceil(log(length, slots + 1)) + 1


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 5))
def test_even_where_it_was_red_before_the_culprit_is_red_and_stands_on_green(line, slots):
    line = [*line, False]
    green, red = set(), {len(line) - 1}
    for _ in range(len(line) + 1):
        found = search(len(line), green, red, (), slots)
        if found.culprit is not None or found.is_red_to_the_end:
            break
        green |= {place for place in found.ask if line[place]}
        red |= {place for place in found.ask if not line[place]}

    if found.culprit is None:
        assert found.is_red_to_the_end and not line[0]
    else:
        assert not line[found.culprit] and line[found.culprit - 1]

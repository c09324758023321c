"""The layout of the planning graph and the pictures of it: the same each time, whole, and nobody's text is obeyed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.records.documents import examples

from gluerun.core.drawing import Bar, Box, cut, graph_mermaid, graph_svg, timeline_svg
from gluerun.core.layers import depths, layout

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
EVIL = "<script>alert('x')</script>&\"]-->\x1b[31m"
SVG = "{http://www.w3.org/2000/svg}"


def box(name, *needs, state="open", note="no tasks"):
    return Box(id=name, state=state, words="why", note=note, needs=needs)


SOME = [box("a"), box("b", "a", state="passed"), box("c", "a"), box("d", "b", "c", "a"), box("e")]


def test_who_needs_nothing_stands_first_and_long_lines_pass_between():
    found = layout({one.id: one.needs for one in SOME})

    assert [[name for name in column if " " not in name] for column in found.columns] == [["a", "e"], ["b", "c"], ["d"]]
    assert [way for way in found.ways if len(way) == 3] == [("a", "a d 1", "d")]
    assert depths({"x": (), "y": ("x",), "z": ("y", "x")}) == {"x": 0, "y": 1, "z": 2}


def test_lines_cross_less_than_as_written():
    found = layout({"a": (), "b": (), "x": ("b",), "y": ("a",)})

    assert found.columns in ((("a", "b"), ("y", "x")), (("b", "a"), ("x", "y")))


@st.composite
def needs(draw):
    names = [f"n{number}" for number in range(draw(st.integers(0, 9)))]
    return {name: tuple(draw(st.lists(st.sampled_from(names[:at]), max_size=3)) if at else ())
            for at, name in enumerate(names)}  # fmt: skip


@examples(60)
@given(needs())
def test_every_name_stands_once_and_behind_what_it_needs(graph):
    found = layout(graph)
    column = {name: at for at, names in enumerate(found.columns) for name in names}

    assert sorted(name for name in column if name in graph) == sorted(graph)
    assert all(column[need] < column[name] for name in graph for need in graph[name])
    assert all([column[name] for name in way] == list(range(column[way[0]], column[way[-1]] + 1)) for way in found.ways)
    assert layout(graph) == found


def test_the_picture_is_well_formed_and_needs_nothing_else():
    text = graph_svg([*SOME, box(EVIL, "a", note=EVIL)])
    root = ET.fromstring(text)

    assert len(root.findall(f".//{SVG}path")) == 6
    assert [one.text for one in root.findall(f".//{SVG}text")][:2] == ["a", "open · no tasks"]
    assert "<script" not in text
    assert "\x1b" not in text
    assert text.count("http") == 1, "the name of the format, and no other address"
    assert text == graph_svg([*SOME, box(EVIL, "a", note=EVIL)])


def test_a_graph_without_nodes_is_a_picture_too():
    assert ET.fromstring(graph_svg([])).tag == f"{SVG}svg"


def test_the_timeline_keeps_within_its_paper():
    end = NOON + timedelta(hours=3)
    bars = [
        Bar(row="TASK-0001", label=EVIL, kind="accepted", begin=NOON, end=end),
        Bar(row=EVIL, label="x", kind="failed", begin=end, end=end),
    ]
    root = ET.fromstring(timeline_svg(bars, NOON, end))
    ends = [float(one.get("x")) + float(one.get("width")) for one in root.findall(f".//{SVG}rect")]

    assert len(ends) == 2
    assert max(ends) <= float(root.get("width"))


@pytest.mark.parametrize("hours", [0, 0.1, 3, 200])
def test_the_timeline_of_any_length_has_its_times(hours):
    end = NOON + timedelta(hours=hours)
    bar = Bar(row="a", label="a", kind="held", begin=NOON, end=end)

    assert len(ET.fromstring(timeline_svg([bar], NOON, end)).findall(f".//{SVG}line")) == 5


def test_the_flowchart_quotes_every_name():
    text = graph_mermaid([box("a"), box('x"]; click a "js', "a", state="blocked"), box("end", "nobody")])

    assert text.splitlines() == [
        "flowchart LR",
        '  n0["a<br/>open, no tasks"]',
        '  n1["x#quot;]; click a #quot;js<br/>blocked, no tasks"]',
        '  n2["end<br/>open, no tasks"]',
        "  n0 --> n1",
        "  classDef open stroke:#1f6feb,stroke-width:3px",
        "  class n0,n2 open",
        "  classDef blocked stroke:#c62f3b,stroke-width:3px",
        "  class n1 blocked",
    ]


def test_a_long_name_is_cut():
    assert (cut("abc", 3), cut("abcd", 3), cut("a\x1bb", 9)) == ("abc", "ab…", "a\ufffdb")

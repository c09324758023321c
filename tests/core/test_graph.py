"""The planning graph: what is wrong with it, what may be worked on, what is complete."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.worlds import graph, node, task, world
from tests.records.documents import examples

from gluerun.core.graph import circle, eligible, faults, finished_nodes, is_complete


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        (graph(), []),
        (graph(node("a"), node("b", "a"), node("c", "a", "b")), []),
        (graph(node("a"), layers=("base",), kinds=("code",), required_nodes=("a",)), []),
        (graph(node("a"), node("a")), ["node 'a' stands twice"]),
        (graph(node("a", "x")), ["node 'a' depends on 'x', which is not there"]),
        (graph(node("a"), layers=("top",)), ["node 'a' has the unknown layer 'base'"]),
        (graph(node("a"), kinds=()), ["node 'a' has the unknown kind 'code'"]),
        (graph(node("a"), required_nodes=("a", "z")), ["required node 'z' is not there"]),
        (graph(node("a", "a")), ["nodes depend on each other in a circle: a → a"]),
        (graph(node("z"), node("a", "b"), node("b", "c", "z"), node("c", "a")),
         ["nodes depend on each other in a circle: a → b → c → a"]),
        (graph(node("s", "a"), node("a", "b"), node("b", "a")), ["nodes depend on each other in a circle: a → b → a"]),
        (graph(node("a", "x", "a"), layers=(), kinds=(), required_nodes=("y",)),
         ["node 'a' depends on 'x', which is not there", "node 'a' has the unknown layer 'base'",
          "node 'a' has the unknown kind 'code'", "required node 'y' is not there",
          "nodes depend on each other in a circle: a → a"]),
    ],
)  # fmt: skip
def test_faults(given, wrong):
    assert faults(given) == wrong


NAMES = "abcdef"
NEEDS = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3), max_size=6)


def is_sortable(needs):
    """Tell whether names can be taken one by one, each after all of its needs."""
    left = dict(needs)
    while free := [name for name, wanted in left.items() if not set(wanted) & left.keys()]:
        for name in free:
            del left[name]
    return not left


@examples(80)
@given(NEEDS)
def test_a_circle_is_found_exactly_where_there_is_no_order(needs):
    found = circle(needs)

    assert bool(found) is not is_sortable(needs)
    assert all(later in needs[name] for name, later in itertools.pairwise(found))
    assert found[:1] == found[-1:]


LINE = graph(node("a"), node("b", "a"), node("c", "a", "b"))


@pytest.mark.parametrize(
    ("passed", "blocked", "names"),
    [
        ((), (), ["a"]),
        (("a",), (), ["b"]),
        (("a", "b"), (), ["c"]),
        (("a", "b", "c"), (), []),
        ((), ("a",), []),
        (("a",), ("b",), []),
        (("b",), (), ["a"]),
    ],
)
def test_eligible_nodes(passed, blocked, names):
    assert [one.id for one in eligible(LINE, set(passed), set(blocked))] == names


@pytest.mark.parametrize(
    ("required", "passed", "complete"),
    [
        (None, (), False),
        (None, ("a", "b"), False),
        (None, ("a", "b", "c"), True),
        (("b",), ("a",), False),
        (("b",), ("b",), True),
        ((), (), True),
    ],
)
def test_completeness(required, passed, complete):
    assert is_complete(graph(*LINE.nodes, required_nodes=required), set(passed)) is complete


TASKS = {"a": ("TASK-0001",)}


@pytest.mark.parametrize(
    ("seen", "names"),
    [
        (world(), []),
        (world(graph=LINE), []),
        (world(graph=LINE, node_tasks=TASKS), ["a"]),
        (world(graph=LINE, node_tasks={"a": ()}), []),
        (world(graph=LINE, node_tasks={"b": ("TASK-0001",)}), []),
        (world(task(2, of={"dag_node": "a"}), graph=LINE, node_tasks=TASKS), []),
        (world(task(2, of={"dag_node": "b"}), graph=LINE, node_tasks=TASKS), ["a"]),
        (world(graph=LINE, node_tasks=TASKS, passed=frozenset("a")), []),
        (world(graph=LINE, node_tasks=TASKS, node_blocked=frozenset("a")), []),
    ],
    ids=[
        "no graph", "no task yet", "all integrated", "an empty memory", "a need is missing", "one is on its way",
        "another node's task", "complete already", "blocked",
    ],
)  # fmt: skip
def test_finished_nodes(seen, names):
    assert [one.id for one in finished_nodes(seen)] == names

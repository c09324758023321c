"""What is said of a merge that did not come out as it is recorded."""

from __future__ import annotations

import pytest

from gluerun.core.merge_replay import WAYS, MergeFate, Outcome, ReplayedMerge, beyond, fault, is_by_hand, named, report

ONE, TWO = "1" * 40, "2" * 40


@pytest.mark.parametrize(
    ("seen", "conflicts", "said"),
    [
        (None, (), "nothing to compare with"),
        (Outcome(differing=(), conflicts=(), tree=TWO), (), "makes the recorded tree, we do not"),
        (Outcome(differing=(), conflicts=(), tree=TWO), ("a",), "makes the recorded tree, we do not"),
        (Outcome(differing=(), conflicts=("a",)), (), "makes the recorded tree, we do not"),
        (Outcome(differing=("b",), conflicts=(), tree=TWO), (), "a third tree"),
        (Outcome(differing=("b",), conflicts=("a",)), (), "a third tree"),
        (Outcome(differing=("b",), conflicts=(), tree=ONE), ("a",), "a third tree"),
        (Outcome(differing=("b",), conflicts=(), tree=ONE), (), ""),
        (Outcome(differing=("b",), conflicts=("a",)), ("a",), ""),
    ],
)
def test_a_tree_is_our_fault_unless_git_itself_makes_it(seen, conflicts, said):
    answer = fault(seen, ONE, conflicts)

    assert said in answer and bool(answer) == bool(said)


@pytest.mark.parametrize(
    ("sides", "said"),
    [
        (("0", "0", "0", "1"), True),
        (("0", "0", "0", ""), True),
        (("0", "1", "0", "1"), False),
        (("0", "1", "0", "2"), True),
        (("0", "0", "1", "1"), False),
        (("0", "0", "1", "0"), True),
        (("0", "1", "1", "2"), True),
        (("0", "1", "1", "1"), False),
        (("0", "1", "2", "3"), False),  # both changed it: who knows how a strategy weighs that
        (("", "1", "1", "2"), False),  # a rename may lead here
        (("0", "", "0", "1"), False),
        (("0", "0", "", "1"), False),
    ],
)
def test_only_a_hand_changes_what_was_changed_on_one_side_at_most(sides, said):
    assert is_by_hand(*sides) is said


def test_what_nobody_disagreed_about_is_beyond_the_conflicts():
    assert beyond(("a", "b", "c"), ("b", "d")) == ("a", "c")


def test_a_way_says_whether_a_hand_was_needed_too():
    assert named(WAYS[0], ()) == WAYS[0].name
    assert named(WAYS[0], ("a",)) == f"{WAYS[0].name}, and conflicts resolved by hand"


@pytest.mark.parametrize("fate", MergeFate)
def test_only_what_is_different_or_unreadable_is_no_success(fate):
    merge = ReplayedMerge(commit=ONE, parents=(ONE, TWO), subject="s", fate=fate)

    said = report([merge, merge], TWO, 1.23456)

    assert (getattr(said, fate), said.wall_seconds, said.tip) == (2, 1.235, TWO)
    assert said.is_exact == (fate not in {"different", "unreadable"})

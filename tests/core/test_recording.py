"""Where records lie on the target branch, and when the engine may commit them by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluerun.core import recording
from gluerun.core.scope import violations
from gluerun.errors import SchemaError
from gluerun.records.origin import CycleMemory
from gluerun.records.record import replace

IDS = st.integers(0, 10**12 - 1)
OLD, NEW = "a" * 40, "b" * 40


@pytest.mark.parametrize(
    ("number", "shelf"),
    [
        ("0001", "000"),
        ("0999", "000"),
        ("1000", "001"),
        ("00001000", "001"),
        ("998999", "998"),
        ("999000", "999/000/000/999"),
        ("1234567", "999/000/001/234"),
        ("202601011234", "999/202/601/011"),
    ],
)
def test_a_task_lies_on_the_shelf_of_its_thousand(number, shelf):
    task = f"TASK-{number}"

    assert recording.shelf(task) == shelf
    assert recording.living_path(task) == f"docs/orchestration/live/{shelf}/{task}.json"
    assert recording.archived_path(task) == f"docs/orchestration/archive/{shelf}/{task}/task.json"
    assert recording.archived_path(task, "audit.json") == f"docs/orchestration/archive/{shelf}/{task}/audit.json"


@given(IDS, IDS)
def test_no_folder_ever_has_more_than_a_thousand_entries(one, other):
    # A folder holds either folders, whose names are three digits, or tasks, which then share all but three digits.
    shelves = [recording.shelf(f"TASK-{number:04d}").split("/") for number in (one, other)]

    for parts in shelves:
        assert all(len(part) == 3 and part.isdigit() for part in parts)
        assert len(parts) == (4 if parts[0] == "999" else 1)
    assert (shelves[0] == shelves[1]) == (one // 1000 == other // 1000)


def test_nothing_but_the_id_of_a_task_has_a_shelf():
    with pytest.raises(SchemaError):
        recording.shelf("../../etc")


@pytest.mark.parametrize("protected", [True, False])
def test_no_task_may_own_records(protected):
    paths = ("docs/orchestration/live/000/TASK-0001.json", "docs/orchestration/archive/000/TASK-0001/task.json",
             "docs/orchestration/asked/000/APR-0001.json")  # fmt: skip

    assert violations(paths, ("docs",), (), protect_orchestration=protected) == paths


def test_a_request_for_approval_lies_on_the_shelf_of_its_thousand():
    assert recording.asked_path("APR-0007") == "docs/orchestration/asked/000/APR-0007.json"
    assert recording.asked_path("APR-12345") == "docs/orchestration/asked/012/APR-12345.json"
    with pytest.raises(SchemaError):
        recording.asked_path("TASK-0001")


def test_what_is_known_of_the_head_goes_with_it():
    memory = CycleMemory(
        green_head=OLD,
        red_head="c" * 40,
        exhausted={"one": OLD, "two": "c" * 40},
        held={"one": f"{OLD} a.guard\nnot today", "two": f"{'c' * 40} \nno"},
    )

    assert recording.carried(memory, OLD, NEW) == replace(
        memory,
        green_head=NEW,
        exhausted={"one": NEW, "two": "c" * 40},
        held={"one": f"{NEW} a.guard\nnot today", "two": f"{'c' * 40} \nno"},
    )


def test_a_difference_is_shown_without_the_records_that_ride_in_it():
    code = "diff --git a/src/a b/src/a\n@@ -1 +1 @@\n-1\n+diff --git a/docs/orchestration/live/x\n"
    ours = "diff --git a/docs/orchestration/archive/000/x b/docs/orchestration/archive/000/x\n+{}\n"
    guide = "diff --git a/docs/orchestration/liveliness b/docs/orchestration/liveliness\n+x\n"

    assert recording.without_records(ours + guide + code + ours) == guide + code
    assert recording.without_records("") == ""

"""A planner's batch: final ids that corrupt nothing, and every reason to refuse it whole."""

from __future__ import annotations

import pytest
from tests.core.worlds import accepted, batch, markdown, node_lease, spec, task, world

from gluerun.core.batches import files_of, final_ids, numbered, refusal
from gluerun.records.proposal import ProposedTask, TaskBatch
from gluerun.records.record import replace
from gluerun.records.task import Status

WORLD = world(task(1), task(2), next_task=7)
LEASE = node_lease("api")


def one(*headers, **changes):
    return batch(markdown(9001, "Area: src", *headers, **changes))


def test_a_batch_gets_the_next_ids_and_its_node():
    proposed = batch(
        markdown(9001, "Area: src", owned="src/a"),
        markdown(9002, "Area: src", "Depends on: TASK-9001", "DAG node: api", owned="src/b").rstrip("\n"),
    )

    assert numbered(proposed, "api", final_ids(proposed, WORLD)) == {
        "TASK-0007": markdown(7, "DAG node: api", "Area: src", owned="src/a", title="Thing 9001"),
        "TASK-0008": markdown(
            8, "Area: src", "Depends on: TASK-0007", "DAG node: api", owned="src/b", title="Thing 9002"
        ),
    }


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("see TASK-0001", "see TASK-0001"),
        ("see TASK-9002 and TASK-9001", "see TASK-0008 and TASK-0007"),
        ("see TASK-90011 and XTASK-9001", "see TASK-90011 and XTASK-9001"),
        ("(TASK-9001)", "(TASK-0007)"),
        ("TASK-0007", "TASK-0007"),
    ],
    ids=["a real task", "both temporary ones", "longer words", "between brackets", "an id that is given out now"],
)
def test_only_temporary_ids_are_replaced_and_each_of_them_once(words, text):
    proposed = batch(markdown(9001, "Area: src", words), markdown(9002, "Area: src"))

    assert text in numbered(proposed, "api", final_ids(proposed, WORLD))["TASK-0007"].splitlines()


def test_ids_that_swap_places_do_not_run_into_each_other():
    proposed = batch(markdown(8, "Depends on: TASK-0007", owned="a"), markdown(7, owned="b"))
    files = files_of(proposed, "api", WORLD)

    assert {task_id: (file.spec.title, file.spec.depends_on) for task_id, file in files.items()} == {
        "TASK-0007": ("Thing 8", ("TASK-0008",)),
        "TASK-0008": ("Thing 7", ()),
    }


@pytest.mark.parametrize(
    ("proposed", "seen", "why"),
    [
        (one(), WORLD, ""),
        (one("Depends on: TASK-0001, TASK-0002"), WORLD, ""),
        (one("Depends on: TASK-0005"), replace(WORLD, done={"TASK-0005": Status.INTEGRATED}), ""),
        (batch(markdown(9001, owned="src/a"), markdown(9002, owned="src/b")), WORLD, ""),
        (batch(markdown(9001, owned="src/a"), markdown(9002, "Depends on: TASK-9001", owned="src/a")), WORLD, ""),
        (batch(markdown(7, owned="src/a")), WORLD, ""),
        (one(owned="lib/a"), WORLD, "TASK-0007: lib/a lies outside the area"),
        (batch(markdown(9001), markdown(9001)), WORLD, "an id stands twice"),
        (batch(markdown(9001), markdown(2, owned="src/b")), WORLD,
         "TASK-0002 is not a temporary id: it is, or may have been, another task's"),
        (batch(markdown(6)), WORLD, "TASK-0006 is not a temporary id: it is, or may have been, another task's"),
        (one("Owner: me"), WORLD, "proposal TASK-0007:7: unknown header 'Owner'"),
        (one(owned="src/*"), WORLD, "proposal TASK-0007:12: 'src/*' is a pattern; name files or folders"),
        (TaskBatch(tasks=(ProposedTask(task_id="TASK-9001", markdown="no task"),)), WORLD,
         "proposal TASK-0007:1: the first heading must read `# TASK-NNNN: title`"),
        (TaskBatch(tasks=(ProposedTask(task_id="TASK-9001", markdown=markdown(9002, "Area: src")),)), WORLD,
         "TASK-0007: its heading names TASK-9002"),
        (one("Status: blocked"), WORLD, "TASK-0007: a proposed task is ready and canonical"),
        (one("Dispatch mode: manual"), WORLD, "TASK-0007: a proposed task is ready and canonical"),
        (one("DAG node: cli"), WORLD, "TASK-0007: it belongs to cli in src, not to api in src"),
        (batch(markdown(9001, "Area: lib")), WORLD, "TASK-0007: it belongs to api in lib, not to api in src"),
        (one("Depends on: TASK-0005"), WORLD, "TASK-0007: it depends on TASK-0005, which nobody knows"),
        (one("Depends on: TASK-9002"), WORLD, "TASK-0007: it depends on TASK-9002, which nobody knows"),
        (batch(markdown(9001, owned="src/a"), markdown(9002, owned="src/a/b")), WORLD,
         "TASK-0007: it shares files with TASK-0008, and neither depends on the other"),
        (one("Depends on: TASK-9001"), WORLD, "tasks depend on each other in a circle: TASK-0007 → TASK-0007"),
        (batch(markdown(9001, "Depends on: TASK-9002"), markdown(9002, "Depends on: TASK-9001")), WORLD,
         "tasks depend on each other in a circle: TASK-0007 → TASK-0008 → TASK-0007"),
        (one(owned="src/thing1", title="Thing 1"), WORLD, "TASK-0007: it repeats the active TASK-0001"),
        (one(owned="src/thing1", title="Thing 3"), WORLD, ""),
        (one(owned="src/thing3", title="Thing 1"), WORLD, ""),
        (one(owned="src/thing1", title="Thing 1"), replace(WORLD, tasks=(task(1, Status.BLOCKED),)), ""),
        (one(owned="src/thing1", title="Thing 1"), replace(WORLD, tasks=(accepted(1),)),
         "TASK-0007: it repeats the active TASK-0001"),
    ],
    ids=[
        "a good one", "real needs", "a settled need", "two apart", "two in order", "the very next id",
        "a foreign path", "one id twice", "a real id as a temporary one", "an id of the past",
        "a header nobody knows", "a pattern", "no task at all", "another heading", "a parked task", "a task by hand",
        "another node", "another area", "an unknown need", "a need outside the batch", "two that share files",
        "a need of itself", "needs in a circle", "a repetition", "the same files for another thing",
        "the same title for other files", "a successor of a parked task", "a repetition of accepted work",
    ],
)  # fmt: skip
def test_refusals(proposed, seen, why):
    assert refusal(proposed, LEASE, seen) == why


def test_a_node_without_paths_of_its_own_may_name_any():
    assert refusal(one(owned="lib/a"), node_lease("api", allowed_write_scopes=()), WORLD) == ""


def test_a_final_file_reads_as_the_task_it_will_be():
    [(task_id, file)] = files_of(one(), "api", WORLD).items()

    assert (task_id, file.status, file.spec) == (
        "TASK-0007",
        Status.READY,
        spec(7, title="Thing 9001", worker_branch="agent/src/TASK-0007-thing-9001", owned_files=("src/thing9001",),
             dag_node="api"),
    )  # fmt: skip

"""The life of a task: every status meets every trigger, and each leaves exactly its traces."""

from __future__ import annotations

import itertools

import pytest
from tests.core.worlds import CONFIG, HEAD, NOW, accepted, after, ending, file_of, proof, running, spec, task

from gluerun.core import lifecycle
from gluerun.core.lifecycle import Trigger, advance
from gluerun.errors import ImpossibleError
from gluerun.records.dispatch import Outcome
from gluerun.records.failure import Answer, Decision, Failure, FailureNote
from gluerun.records.record import replace
from gluerun.records.task import ProofState, Status, Task

LATER = after(60)
ROWS = {
    Status.READY: "accepted - ready blocked cancelled superseded ready -",
    Status.ACCEPTED: "- integrated ready blocked cancelled superseded - -",
    Status.INTEGRATED: "- - - - - - - -",
    Status.BLOCKED: "- - - - cancelled superseded ready ready",
    Status.CANCELLED: "- - - - - - - -",
    Status.SUPERSEDED: "- - - - - - - -",
}
CELLS = [
    (status, trigger, word) for status, row in ROWS.items() for trigger, word in zip(Trigger, row.split(), strict=True)
]


def test_the_table_below_names_every_cell():
    assert {(status, trigger) for status, trigger, _ in CELLS} == set(itertools.product(Status, Trigger))


@pytest.mark.parametrize(("status", "trigger", "word"), CELLS, ids=str)
def test_every_status_meets_every_trigger(status, trigger, word):
    if word != "-":
        assert advance(status, trigger) is Status(word)
    else:
        with pytest.raises(ImpossibleError, match=f"a task that is {status} cannot {trigger}"):
            advance(status, trigger)


@pytest.mark.parametrize("status", Status)
def test_a_new_task_is_what_its_file_says_but_nothing_is_accepted_on_paper(status):
    is_so = Status.READY if status is Status.ACCEPTED else status

    assert lifecycle.admitted(file_of(spec(), status), "t.md", "4:5:6", NOW) == Task(
        task_id="TASK-0001",
        status=is_so,
        spec=spec(),
        source_sha256="1" * 64,
        source_mark="4:5:6",
        source_path="t.md",
        created_at=NOW,
        updated_at=NOW,
    )


NOTE = FailureNote(failure_class=Failure.GATE_RED, reason="red", at=NOW)
PARKED = task(
    status=Status.BLOCKED,
    tries=4,
    infra_tries=1,
    amended_files=("lib",),
    last_failure=NOTE,
    decision=Decision(failure_class=Failure.GATE_RED, action=Answer.ESCALATE_PARKED, rationale="red"),
)


@pytest.mark.parametrize("before", [PARKED, replace(PARKED, status=Status.READY)], ids=["parked", "ready"])
def test_an_edited_task_is_ready_with_all_its_tries(before):
    new = spec(title="Another thing")

    assert lifecycle.edited(before, file_of(new), "new.md", "7:8:9", LATER) == task(
        of={"title": "Another thing"},
        source_sha256="1" * 64,
        source_mark="7:8:9",
        source_path="new.md",
        updated_at=LATER,
    )


def test_a_file_that_was_only_touched_changes_nothing_but_its_mark():
    assert lifecycle.edited(PARKED, file_of(PARKED.spec, sha256="0" * 64), "new.md", "7:8:9", LATER) == replace(
        PARKED, source_mark="7:8:9", source_path="new.md"
    )


@pytest.mark.parametrize("status", [Status.ACCEPTED, Status.INTEGRATED, Status.CANCELLED, Status.SUPERSEDED])
def test_what_is_accepted_or_settled_cannot_be_edited(status):
    with pytest.raises(ImpossibleError):
        lifecycle.edited(task(status=status), file_of(spec(title="x")), "t.md", "1", NOW)


def test_a_start_is_a_new_epoch_on_a_recorded_base():
    assert lifecycle.started(task(epoch=4, tries=2), "RUN", HEAD, LATER) == task(
        epoch=5, tries=2, run_id="RUN", base_sha=HEAD, updated_at=LATER
    )


def test_an_accepted_run_leaves_its_head_its_receipt_and_its_tries():
    before = running(tries=1, infra_tries=1, seed_sha="f" * 40, last_failure=NOTE, proof=proof())
    done = ending(before, Outcome.ACCEPTED, tries=2, head_sha=HEAD, packet_sha256="p", green_tree="t", green_gate="g")

    assert lifecycle.accepted(before, done, LATER) == running(
        status=Status.ACCEPTED,
        tries=3,
        head_sha=HEAD,
        packet_sha256="p",
        green_tree="t",
        green_gate="g",
        updated_at=LATER,
    )


def decision(action: Answer, **changes) -> Decision:
    return replace(Decision(failure_class=Failure.GATE_RED, action=action, rationale="so"), **changes)


@pytest.mark.parametrize(
    ("action", "status", "seed", "added"),
    [
        (Answer.RETRY, Status.READY, "s", ()),
        (Answer.RERUN_TESTS, Status.READY, "s", ()),
        (Answer.REBUILD_CONTEXT, Status.READY, "s", ()),
        (Answer.REVALIDATE_EVIDENCE, Status.READY, "s", ()),
        (Answer.REBASE, Status.READY, "s", ()),
        (Answer.FORK, Status.READY, None, ()),
        (Answer.RELEASE, Status.READY, "s", ()),
        (Answer.AMEND_SCOPE, Status.READY, "s", ("lib/x",)),
        (Answer.CANCEL, Status.CANCELLED, None, ()),
        (Answer.SUPERSEDE, Status.SUPERSEDED, None, ()),
        (Answer.SPLIT_TASK, Status.BLOCKED, None, ()),
        (Answer.ESCALATE_PARKED, Status.BLOCKED, None, ()),
        (Answer.ESCALATE_INFRA, Status.BLOCKED, None, ()),
        (Answer.ASK_MODEL, Status.BLOCKED, None, ()),
    ],
    ids=str,
)
@pytest.mark.parametrize("before", [running(), accepted(proof=proof(), packet_sha256="p", green_tree="t")],
                         ids=["ready", "accepted"])  # fmt: skip
def test_a_settled_task(before, action, status, seed, added):
    given = decision(action, paths=("lib/x",))

    after_it = lifecycle.settled(replace(before, amended_files=("a",), infra_tries=1), given, NOTE, tries=2, seed="s",
                                 now=LATER)  # fmt: skip

    assert after_it == running(
        status=status,
        tries=before.tries + 2,
        seed_sha=seed,
        amended_files=("a", *added),
        last_failure=NOTE,
        decision=given,
        updated_at=LATER,
    )


def test_a_candidate_is_proving_then_proved_then_in_the_target():
    proving = lifecycle.proving(accepted(infra_tries=1), proof(ProofState.PROVING))
    proved = lifecycle.proved(proving, LATER)
    landed = lifecycle.integrated(proved, "m" * 40, after(90))

    assert [proving, proved, landed] == [
        accepted(infra_tries=1, proof=proof(ProofState.PROVING)),
        accepted(proof=proof(since=LATER)),
        accepted(status=Status.INTEGRATED, merge_commit="m" * 40, updated_at=after(90)),
    ]


def test_a_candidate_that_waits_remembers_since_when_and_for_what():
    waits = lifecycle.waiting(accepted(proof=proof()), ("a", "b"), LATER)

    assert waits == accepted(proof=proof(ProofState.WAITING, blocked_paths=("a", "b"), since=LATER, alone=True))
    assert lifecycle.waiting(waits, ("a", "b"), after(90)) is waits
    assert lifecycle.waiting(waits, ("a",), after(90)).proof == proof(
        ProofState.WAITING, blocked_paths=("a",), since=after(90), alone=True
    )


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda: lifecycle.proved(accepted(), NOW), "has no proof to complete"),
        (lambda: lifecycle.waiting(accepted(), (), NOW), "has no proof to wait with"),
        (lambda: lifecycle.integrated(running(), "m", NOW), "cannot integrate"),
        (lambda: lifecycle.accepted(accepted(), ending(accepted()), NOW), "cannot accept"),
    ],
)
def test_what_cannot_happen_is_our_own_defect(step, words):
    with pytest.raises(ImpossibleError, match=words):
        step()


def test_a_task_that_the_target_shows_as_merged_is_integrated_known_or_not():
    known = lifecycle.found_merged("TASK-0001", accepted(proof=proof()), "m" * 40, CONFIG, LATER)
    unknown = lifecycle.found_merged("TASK-0009", None, "m" * 40, CONFIG, LATER)

    assert known == accepted(status=Status.INTEGRATED, merge_commit="m" * 40)
    assert (unknown.task_id, unknown.status, unknown.merge_commit, unknown.owned, unknown.created_at) == (
        "TASK-0009",
        Status.INTEGRATED,
        "m" * 40,
        (),
        LATER,
    )

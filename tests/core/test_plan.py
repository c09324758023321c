"""The whole promise: each phase thinks about what the one before would leave, and changes nothing itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.worlds import (
    HEAD,
    NOW,
    TARGET,
    accepted,
    after,
    ending,
    file_of,
    graph,
    lease,
    node,
    proof,
    run_id,
    running,
    seen,
    spec,
    task,
    world,
)
from tests.records.documents import examples

from gluerun.core import actions, decider, lifecycle
from gluerun.core.actions import subject
from gluerun.core.expect import expect
from gluerun.core.plan import PHASES, plan_cycle
from gluerun.core.world import Input
from gluerun.records.dispatch import Life, Outcome
from gluerun.records.failure import Answer, Decision, Failure, FailureNote
from gluerun.records.record import replace
from gluerun.records.task import ProofState, Status

FILE = file_of(spec(1))
NOTE = FailureNote(failure_class=Failure.GATE_RED, reason="red", at=NOW)
RETRY = decider.decide(Failure.GATE_RED, 1)
CANCEL = Decision(failure_class=Failure.GATE_RED, action=Answer.CANCEL, rationale="no longer needed")
ADMIT = actions.Admit(task_id="TASK-0001", path="t.md", mark="9", file=FILE, reason="")
READMIT = actions.Readmit(task_id="TASK-0001", path="t.md", mark="9", file=FILE, reason="")
DONE = ending(running(), Outcome.ACCEPTED, head_sha=HEAD)
CLOSE = actions.Close(task_id="TASK-0001", run_id=run_id(1), ending=DONE, reason="")
UNLEASE = actions.Unlease(task_id="TASK-0001", run_id=run_id(1), reason="")
START = actions.Start(task_id="TASK-0001", base=TARGET, reason="")
BUSY = world(running(), running(2), leases=(lease(running()), lease(running(2))))


def settle(decision, *, seed=False):
    return actions.Settle(task_id="TASK-0001", run_id=None, decision=decision, note=NOTE, tries=1, reason="", seed=seed)


@pytest.mark.parametrize(
    ("before", "action", "after_it"),
    [
        (world(task(2)), ADMIT, world(lifecycle.admitted(FILE, "t.md", "9", NOW), task(2))),
        (world(task(10000), task(9999)), replace(ADMIT, file=file_of(spec(1), Status.CANCELLED)),
         world(task(10000), task(9999), done={"TASK-0001": Status.CANCELLED})),
        (world(task(1, Status.BLOCKED)), READMIT,
         world(lifecycle.edited(task(1, Status.BLOCKED), FILE, "t.md", "9", NOW))),
        (BUSY, CLOSE, world(lifecycle.accepted(running(), DONE, NOW), running(2), leases=(lease(running(2)),))),
        (BUSY, settle(RETRY),
         world(lifecycle.settled(running(), RETRY, NOTE, tries=1, seed=None, now=NOW), running(2),
               leases=(lease(running(2)),))),
        (world(accepted()), settle(RETRY, seed=True),
         world(lifecycle.settled(accepted(), RETRY, NOTE, tries=1, seed=HEAD, now=NOW))),
        (BUSY, settle(CANCEL),
         world(running(2), leases=(lease(running(2)),), done={"TASK-0001": Status.CANCELLED})),
        (BUSY, UNLEASE, world(running(), running(2), leases=(lease(running(2)),))),
        (world(accepted()), actions.Notice(task_id="TASK-0001", commit=HEAD, reason=""),
         world(done={"TASK-0001": Status.INTEGRATED})),
        (world(task()), START, world(task(epoch=1, run_id="", base_sha=TARGET))),
        (world(passed=frozenset("a")), actions.Promote(node="b", reason=""), world(passed=frozenset("ab"))),
        (BUSY, actions.Stop(run_id=run_id(1), task_id="TASK-0001", reason=""), BUSY),
        (BUSY, actions.Prove(task_id="TASK-0001", slot=0, reason=""), BUSY),
    ],
    ids=[
        "admitted", "admitted as settled", "edited", "closed", "settled", "sent back with its work", "cancelled",
        "unleased", "noticed", "started", "promoted", "stopped", "to be proved",
    ],
)  # fmt: skip
def test_the_world_after_an_action(before, action, after_it):
    assert expect(before, action) == after_it


def test_nobody_can_act_on_a_task_that_is_not_there():
    with pytest.raises(LookupError, match="TASK-0001"):
        expect(world(), START)


@pytest.mark.parametrize(
    ("action", "about"),
    [
        (START, "TASK-0001"),
        (actions.Promote(node="api", reason=""), "api"),
        (actions.Stop(run_id="RUN", task_id=None, reason=""), "RUN"),
        (actions.MarkOrphan(run_id="RUN", task_id=None, node="api", reason=""), "api"),
        (actions.SetAside(path="x.json", reason=""), "x.json"),
        (object(), ""),
    ],
)
def test_what_an_action_is_about(action, about):
    assert subject(action) == about


def names(plan):
    return [(type(action).__name__, subject(action)) for action in plan]


NEW = Input(path="t.md", mark="9", task_id="TASK-0001", file=FILE)
CLOSING = world(
    running(),
    task(2, of={"owned_files": ("src/thing1",)}),
    leases=(lease(running()),),
    sightings=seen(run_id(1), ending=DONE),
    branch_heads={running().spec.worker_branch: HEAD},
)


@pytest.mark.parametrize(
    ("now", "plan"),
    [
        (world(), []),
        (world(inputs=(NEW,)), [("Admit", "TASK-0001"), ("Start", "TASK-0001")]),
        (world(inputs=(NEW,), stop=True), [("Admit", "TASK-0001")]),
        (CLOSING, [("Close", "TASK-0001"), ("Chain", "TASK-0001")]),
        (replace(CLOSING, config=replace(CLOSING.config, auto_integrate=False)),
         [("Close", "TASK-0001"), ("Start", "TASK-0002")]),
        (replace(CLOSING, stop=True), [("Close", "TASK-0001"), ("Chain", "TASK-0001")]),
        (world(running(), leases=(lease(running()),), sightings=seen(run_id(1), signed_in=True)),
         [("Settle", "TASK-0001"), ("Start", "TASK-0001")]),
        (world(accepted(proof=proof()), task(2, of={"depends_on": ("TASK-0001",)}), landed={"TASK-0001": HEAD}),
         [("Notice", "TASK-0001"), ("Start", "TASK-0002")]),
    ],
    ids=[
        "nothing", "a new task starts at once", "but not when stopped", "accepted work is proved and holds its scope",
        "without integration it holds nothing", "integration goes on when stopped", "a vanished one starts again",
        "landed work frees who waits for it",
    ],
)  # fmt: skip
def test_a_cycle(now, plan):
    assert names(plan_cycle(now)) == plan


def test_the_order_of_the_phases():
    assert [phase.__name__ for phase in PHASES] == [
        "plan_intake", "plan_recovery", "plan_asking", "plan_remote", "plan_integrating", "plan_nights", "plan_launch"
    ]  # fmt: skip


STATES = [
    lambda n: (task(n), ()),
    lambda n: (task(n, Status.BLOCKED), ()),
    lambda n: (task(n, of={"depends_on": (f"TASK-{n - 1:04d}",)}), ()),
    lambda n: (running(n), (lease(running(n)),)),
    lambda n: (accepted(n), ()),
    lambda n: (accepted(n, proof=proof(ProofState.PROVING, run_id=run_id(n))), ()),
    lambda n: (accepted(n, proof=proof()), ()),
    lambda n: (task(n, Status.INTEGRATED), ()),
]
LIVES = st.fixed_dictionaries({"life": st.sampled_from(Life), "signed_in": st.booleans(), "tries": st.integers(0, 5)})


@examples(150)
@given(st.lists(st.tuples(st.sampled_from(STATES), LIVES), max_size=6), st.integers(0, 9000), st.booleans())
def test_a_plan_can_be_made_of_any_world_and_says_nothing_twice(states, seconds, stop):
    made = [state(number) for number, (state, _) in enumerate(states, 1)]
    now = world(
        *(one for one, _ in made),
        leases=tuple(held for _, leases in made for held in leases),
        sightings={k: v for n, (_, life) in enumerate(states, 1) for k, v in seen(run_id(n), **life).items()},
        branch_heads={one.spec.worker_branch: HEAD for one, _ in made},
        graph=graph(node("a")),
        now=after(seconds),
        stop=stop,
    )
    plan = plan_cycle(now)

    assert len(set(names(plan))) == len(plan)
    assert plan_cycle(now) == plan
    assert not stop or not [one for one in plan if isinstance(one, actions.Start | actions.StartPlanner)]
    assert len([one for one in plan if isinstance(one, actions.Prove)]) <= max(
        1, len([one for one, _ in made if one.proof and one.proof.state is ProofState.PROVING])
    )

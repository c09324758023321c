"""The merge queue as a person reads it."""

from __future__ import annotations

import pytest
from tests.core.test_integration import links, now
from tests.core.worlds import accepted, after, proof, seen

from gluerun.core.outline import queue_page
from gluerun.records.dispatch import Life
from gluerun.records.queue import QueueState
from gluerun.records.task import ProofState

C, P, G, R = ProofState.CHAINED, ProofState.PROVING, ProofState.PROVED, ProofState.RED
KNOWN = {"queue_state": QueueState(gate_ms=60_000)}


def rows(world):
    lines = queue_page(world).lines
    return [(one.place, one.task, one.state, one.proved_with, one.slot, one.expected_at) for one in lines]


def test_nobody_waits():
    page = queue_page(now())

    assert (page.lines, page.proving, page.slots, page.gate_seconds) == ((), 0, 2, None)


def test_the_chain_comes_first_and_then_who_waits_for_a_place_in_it():
    world = links(C, P, **KNOWN, now=after(20))
    later = world.tasks[0]
    waits = accepted(7, updated_at=after(9))
    world = now(*world.tasks, waits, sightings=world.sightings, now=after(20), **KNOWN)

    assert rows(world) == [
        (1, later.task_id, "chained", "TASK-0002", None, after(60)),
        (2, "TASK-0002", "proving", None, 1, after(60)),
        (3, "TASK-0007", "queued", None, None, after(140)),
    ]
    assert queue_page(world).proving == 1


def test_without_a_gate_that_has_run_nobody_knows_when():
    assert [row[-1] for row in rows(links(P, C))] == [None, None]


def test_a_gate_that_takes_longer_than_usual_is_expected_now():
    assert rows(links(P, **KNOWN, now=after(100)))[0][-1] == after(100)


@pytest.mark.parametrize(
    ("own", "state", "words"),
    [
        (proof(alone=True, state=P, reruns=1), "asked again", ""),
        (proof(ProofState.WAITING, blocked_paths=("a.txt",)), "waiting", "your checkout has changes in a.txt"),
        (proof(R), "red", ""),
        (proof(G), "proved", ""),
        (proof(G, target_head="9" * 40), "queued", ""),
        (None, "queued", ""),
    ],
)
def test_what_becomes_of_one(own, state, words):
    world = now(accepted(1, proof=own), sightings=seen(own.run_id, Life.ALIVE) if own and own.run_id else {})
    (line,) = queue_page(world).lines

    assert (line.state, line.words) == (state, words)

"""What `gluerun queue` prints, for a person."""

from __future__ import annotations

from tests.core.test_integration import links
from tests.core.worlds import after

from gluerun.cli.queue import _say
from gluerun.core.outline import queue_page
from gluerun.records.queue import QueueState
from gluerun.records.record import replace
from gluerun.records.task import ProofState


def said(page, capsys):
    _say(page)
    return capsys.readouterr().out


def test_the_queue_says_who_stands_where_and_with_whom_it_is_proved(capsys):
    world = links(ProofState.CHAINED, ProofState.PROVING, queue_state=QueueState(gate_ms=60_000), now=after(20))

    words = said(queue_page(world), capsys)

    assert "1 of 2 gate slots taken, a gate takes 60 s" in words
    assert "were bad lately" in words
    chained, proving = [line for line in words.splitlines() if "TASK-" in line]
    assert "with TASK-0002" in chained
    assert "12:01:00Z" in proving


def test_what_nobody_has_seen_yet_is_told_as_assumed(capsys):
    words = said(queue_page(links()), capsys)

    assert "it is assumed until gates have run" in words
    assert "nobody waits to land" in words
    assert "lately" not in words


def test_a_red_target_is_told_before_the_queue(capsys):
    page = replace(queue_page(links()), red_main="main is red by itself since abc")

    assert "main is red by itself since abc" in said(page, capsys)

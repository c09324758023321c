"""How far the auditor must sit from the worker, and that silence proves nothing."""

from __future__ import annotations

import pytest

from gluerun.core.independence import said, why_not
from gluerun.records.config import Independence
from gluerun.records.dispatch import Seat

NONE, SESSION, MODEL, PROVIDER = Independence


def seat(provider="p1", model="m1", session="s1", runner="mine"):
    return Seat(runner=runner, provider=provider, model=model, session=session)


ALIKE = (seat(), seat())
OTHER_SESSION = (seat(), seat(session="s2"))
OTHER_MODEL = (seat(), seat(session="s2", model="m2"))
OTHER_PROVIDER = (seat(), seat(session="s2", model="m2", provider="p2"))
OTHER_RUNNER = (seat(session="unknown"), Seat(runner="yours"))
SILENT = (Seat(runner="mine"), Seat(runner="mine"))


@pytest.mark.parametrize(
    ("seats", "enough"),
    [
        ((None, None), {NONE}),
        ((None, seat()), {NONE}),
        ((seat(), None), {NONE}),
        (SILENT, {NONE}),
        (ALIKE, {NONE}),
        (OTHER_SESSION, {NONE, SESSION}),
        (OTHER_MODEL, {NONE, SESSION, MODEL}),
        (OTHER_PROVIDER, {NONE, SESSION, MODEL, PROVIDER}),
        (OTHER_RUNNER, {NONE, SESSION}),
        ((seat(), seat(runner="yours")), {NONE, SESSION}),
        ((seat(), seat(session="unknown", model="m2", provider="p2")), {NONE, MODEL, PROVIDER}),
        ((seat(), seat(session="s2", model="unknown", provider="p2")), {NONE, SESSION, PROVIDER}),
        ((seat(provider="unknown"), seat(session="s2", model="m2", provider="p2")), {NONE, SESSION, MODEL}),
        ((seat(), seat(model="", provider=" ")), {NONE}),
        ((seat(), seat(model="M1", provider="P1 ")), {NONE}),
        ((seat(provider="unknown"), seat(provider="unknown")), {NONE}),
    ],
)
def test_how_far_is_far_enough(seats, enough):
    assert {one for one in Independence if why_not(one, *seats) == ""} == enough


@pytest.mark.parametrize("independence", [MODEL, PROVIDER])
@pytest.mark.parametrize("known", [seat(), seat(session="s2", model="m2", provider="p2"), Seat(runner="yours")])
def test_unknown_never_satisfies(independence, known):
    assert why_not(independence, Seat(runner="mine"), known)
    assert why_not(independence, known, Seat(runner="mine"))


@pytest.mark.parametrize(
    ("independence", "seats", "words"),
    [
        (MODEL, (None, seat()), "independence is set to model, and the worker did not report who played it"),
        (SESSION, (seat(), None), "independence is set to session, and the auditor did not report who played it"),
        (MODEL, (Seat(runner="mine"), seat()), "independence is set to model, and the worker (mine) did not report it"),
        (PROVIDER, (seat(), Seat(runner="yours")),
         "independence is set to provider, and the auditor (yours) did not report it"),
        (PROVIDER, ALIKE, "independence is set to provider, and the auditor has the worker's own: p1"),
    ],
)  # fmt: skip
def test_why_not_is_one_sentence(independence, seats, words):
    assert why_not(independence, *seats) == words


def test_a_seat_in_one_line():
    assert said("worker", seat()) == "worker mine p1/m1 session s1 version unknown"

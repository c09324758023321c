"""What the queue does next: a table, and what holds for whatever may be seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.records.documents import examples

from gluerun.core.steering import LARGEST_BATCH, Seen, Steer, batch_size, is_worth_asking, steer
from gluerun.records.rate import Rate
from gluerun.records.record import replace


@pytest.mark.parametrize(
    ("seen", "done"),
    [
        pytest.param(Seen(length=0), Steer(), id="nothing there"),
        pytest.param(Seen(length=0, waiting=1), Steer(append=1, probe=(1,)), id="one change"),
        pytest.param(
            Seen(length=0, waiting=4, slots=4), Steer(append=4, probe=(1, 2, 3, 4)), id="a slot for each change"
        ),
        pytest.param(Seen(length=0, waiting=4, slots=1), Steer(append=4, probe=(4,)), id="one slot asks about all"),
        pytest.param(
            Seen(length=0, waiting=99, slots=4, rate=0.05),
            Steer(append=32, probe=(5, 10, 15, 32)),
            id="a red segment of slots + 1 links is searched in one round",
        ),
        pytest.param(Seen(length=0, waiting=99, slots=4, busy=4), Steer(), id="no slot is free"),
        pytest.param(Seen(length=4, green=(2,), running=(4,), busy=1), Steer(land=2), id="the rest stays valid"),
        pytest.param(
            Seen(length=4, green=(2,), running=(1, 4)),
            Steer(land=2, stop=(1,), probe=(3,)),
            id="what has landed is known",
        ),
        pytest.param(
            Seen(length=4, green=(1, 3), slots=1), Steer(land=3, probe=(4,)), id="the longest green cut lands"
        ),
        pytest.param(
            Seen(length=4, green=(4,), red=(2,), running=(1,)), Steer(land=4, stop=(1,)), id="green beats a smaller red"
        ),
        pytest.param(Seen(length=4, red=(4,), slots=1), Steer(probe=(2,)), id="one slot halves"),
        pytest.param(Seen(length=4, red=(4,), slots=4), Steer(probe=(1, 2, 3)), id="each inner cut at once"),
        pytest.param(
            Seen(length=8, red=(4,), running=(2, 8), waiting=9),
            Steer(stop=(8,), probe=(1,)),
            id="beyond a red is no use",
        ),
        pytest.param(Seen(length=8, red=(4,), running=(1, 2), waiting=9), Steer(), id="a search is not disturbed"),
        pytest.param(
            Seen(length=4, red=(3, 4), green=(2,), slots=1),
            Steer(land=2, suspect=3, again=True),
            id="the first red after the longest green",
        ),
        pytest.param(
            Seen(length=9, red=(1,), running=(4, 9), slots=4),
            Steer(suspect=1, again=True, stop=(4, 9)),
            id="all behind a suspect is built anew",
        ),
        pytest.param(Seen(length=1, red=(1,), rate=0.3), Steer(suspect=1), id="most reds are true: not asked again"),
        pytest.param(Seen(length=1, red=(1,), rate=0.3, flake=0.1), Steer(suspect=1, again=True), id="a flaky gate"),
    ],
)
def test_what_is_done_next(seen, done):
    assert steer(seen) == done


cuts = st.lists(st.integers(1, 20), max_size=6, unique=True).map(tuple)


@st.composite
def sights(draw):
    """Return whatever may be seen, the odd included: cuts asked again, more running than there are slots."""
    length = draw(st.integers(0, 20))
    found = {kind: tuple(cut for cut in draw(cuts) if cut <= length) for kind in ("green", "red", "running")}
    return Seen(
        length=length,
        **found,
        waiting=draw(st.integers(0, 20)),
        slots=draw(st.integers(1, 9)),
        busy=draw(st.integers(0, 3)),
        rate=draw(st.sampled_from((0.0, 0.01, 0.05, 0.1, 0.3, 0.35, 0.5, 1.0))),
    )


def _first_red(seen):
    return min((cut for cut in seen.red if cut > max(seen.green, default=0)), default=None)


@examples(80)
@given(sights())
def test_only_a_green_cut_lands_and_only_the_link_behind_it_is_suspected(seen):
    done = steer(seen)
    assert done.land == max(seen.green, default=0)
    assert done.suspect in (None, done.land + 1)
    assert (done.suspect is not None) == (_first_red(seen) == done.land + 1)


@examples(80)
@given(sights())
def test_never_more_cuts_are_asked_about_than_there_are_slots(seen):
    done = steer(seen)
    kept = set(seen.running) - set(done.stop)
    assert set(done.stop) <= set(seen.running)
    assert not kept & set(done.probe)
    assert not done.probe or len(kept) + len(done.probe) + seen.busy <= seen.slots
    assert all(done.land < cut <= seen.length + done.append for cut in done.probe)
    assert done.append <= seen.waiting


@examples(80)
@given(sights())
def test_no_slot_is_idle_while_a_cut_is_left_to_ask(seen):
    done = steer(seen)
    asked = set(seen.running) - set(done.stop) | set(done.probe)
    red = _first_red(seen)
    if done.suspect is not None or len(asked) + seen.busy >= seen.slots:
        return
    batch = done.land + batch_size(seen.rate, seen.slots)
    end = min(batch, seen.length + seen.waiting) if red is None else red - 1
    assert set(range(done.land + 1, end + 1)) <= asked


@examples(80)
@given(sights(), st.randoms(use_true_random=False))
def test_the_same_is_said_again_in_whatever_order_things_are_seen(seen, chance):
    mixed = {
        kind: tuple(chance.sample(getattr(seen, kind), len(getattr(seen, kind))))
        for kind in ("green", "red", "running")
    }
    assert steer(replace(seen, **mixed)) == steer(seen)


@examples(80)
@given(sights())
def test_what_was_done_is_not_done_again(seen):
    done = steer(seen)
    if done.suspect is not None:
        return
    after = replace(
        seen,
        length=seen.length + done.append - done.land,
        waiting=seen.waiting - done.append,
        green=(),
        red=tuple(cut - done.land for cut in seen.red if cut > done.land),
        running=tuple(cut - done.land for cut in {*seen.running, *done.probe} - set(done.stop)),
    )
    assert steer(after) == Steer()


@examples(80)
@given(sights())
def test_who_only_lands_and_asks_again_is_told_the_rest(seen):
    done = steer(seen)
    landed = replace(
        seen,
        length=seen.length - done.land,
        **{
            kind: tuple(cut - done.land for cut in getattr(seen, kind) if cut > done.land)
            for kind in ("red", "running")
        },
        green=(),
    )
    rest = steer(landed)
    assert [cut + done.land for cut in rest.probe] == list(done.probe)
    assert [cut + done.land for cut in rest.stop] == [cut for cut in done.stop if cut > done.land]
    assert (rest.append, rest.suspect and rest.suspect + done.land) == (done.append, done.suspect)


@pytest.mark.parametrize(
    ("rate", "slots", "size"),
    [
        (0.0, 1, 32),
        (0.01, 1, 32),
        (0.05, 1, 10),
        (0.1, 1, 5),
        (0.5, 1, 1),
        (0.1, 4, 16),
        (0.3, 2, 4),
        (0.3, 4, 4),
        (0.3, 8, 8),
        (0.35, 8, 8),
        (0.5, 8, 4),
        (1.0, 1, 1),
    ],
)
def test_a_batch_is_smaller_the_more_changes_are_bad(rate, slots, size):
    assert batch_size(rate, slots) == size


@examples(80)
@given(st.floats(0, 1), st.integers(1, 16))
def test_a_batch_fills_the_slots_and_has_a_bound(rate, slots):
    assert min(slots, 4) <= batch_size(rate, slots) <= max(LARGEST_BATCH, slots)


def test_the_rate_follows_what_gates_say():
    rate = Rate()
    assert rate.value == pytest.approx(0.1)
    assert rate.after_green(8).value < 0.1 < rate.after_culprit().value
    assert rate.after_flake().value == rate.value


def test_a_gate_is_trusted_once_it_has_shown_that_it_is_stable():
    rate = Rate()
    assert is_worth_asking(0.3, rate.flake)
    for _ in range(100):
        rate = rate.after_green(1)
    assert not is_worth_asking(0.3, rate.flake)
    assert is_worth_asking(0.05, rate.flake)
    for _ in range(5):
        rate = rate.after_flake()
    assert is_worth_asking(0.3, rate.flake)

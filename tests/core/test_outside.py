"""The target here and on its remote: what follows from who holds which head, and what is said."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.core.worlds import CANDIDATE, HEAD, NOW, TARGET, accepted, proof, world

from gluerun.core.actions import Advance, Chain, Follow, Prove, subject
from gluerun.core.board import board
from gluerun.core.due import next_due
from gluerun.core.expect import expect
from gluerun.core.knowing import Known
from gluerun.core.matters import matters
from gluerun.core.orders import held_now
from gluerun.core.outline import queue_page
from gluerun.core.outside import TOLD, plan_following, push_hint, push_words, refused, rests, trouble
from gluerun.core.plan import plan_cycle, plan_landing, plan_remote
from gluerun.core.relation import Outside, Relation, relation
from gluerun.records.origin import PushBackoff
from gluerun.records.record import replace


@pytest.mark.parametrize(
    ("there_in_here", "here_in_there", "agreed_in_here", "agreed_in_there", "found"),
    [
        (True, True, True, True, Relation.SAME),
        (True, True, False, True, Relation.SAME),
        (True, False, True, True, Relation.AHEAD),
        (False, True, True, True, Relation.BEHIND),
        (False, False, True, True, Relation.DIVERGED),
        (True, False, True, False, Relation.REWOUND),
        (False, False, True, False, Relation.REWOUND),
        (False, True, False, True, Relation.TAKEN_BACK),
        (False, False, False, True, Relation.DIVERGED),
        # Both were moved back: whoever did it meant it.
        (True, False, False, False, Relation.AHEAD),
        (False, True, False, False, Relation.BEHIND),
        (False, False, False, False, Relation.DIVERGED),
    ],
)
def test_how_the_two_stand(there_in_here, here_in_there, agreed_in_here, agreed_in_there, found):
    assert found is relation(
        there_in_here=there_in_here,
        here_in_there=here_in_there,
        agreed_in_here=agreed_in_here,
        agreed_in_there=agreed_in_there,
    )


@pytest.mark.parametrize("one", Relation)
def test_only_what_is_behind_follows_and_what_is_told_has_a_sentence_a_command_and_a_place_among_the_matters(one):
    seen = Outside(head=CANDIDATE, relation=one)
    here = world(outside=seen)
    follows = one is Relation.BEHIND

    assert (
        plan_remote(here)
        == plan_following(here)
        == ([Follow(commit=CANDIDATE, old=TARGET, reason="its remote is at cccccccccccc")] if follows else [])
    )
    words, command = trouble(seen, "main")
    assert bool(words) == bool(command) == (one in TOLD)
    about = [matter for matter in matters(here, Known()) if matter.kind == "remote"]
    assert [(matter.words, matter.command) for matter in about] == ([(words, command)] if words else [])


def test_nothing_is_built_proved_or_landed_on_a_target_that_has_yet_to_follow():
    proved = accepted(1, proof=proof())
    here = world(proved, accepted(2), branch_heads={t.spec.worker_branch: HEAD for t in (proved, accepted(2))})
    behind = replace(here, outside=Outside(head=CANDIDATE, relation=Relation.BEHIND))

    assert any(isinstance(action, Prove | Advance) for action in plan_landing(here))
    assert plan_landing(behind) == []
    unbuilt = replace(here, tasks=(accepted(2),))
    assert [type(action) for action in plan_landing(unbuilt)] == [Chain]
    assert plan_landing(replace(unbuilt, outside=behind.outside)) == []
    told = plan_cycle(behind)
    assert isinstance(told[0], Follow) and subject(told[0]) == "c" * 12
    assert expect(behind, told[0]).target_head == CANDIDATE


NETWORK, PROTECTED = "fatal: unable to access: Could not resolve host", "remote: error: GH006: Protected branch"


def pushed_back(why: str, times: int, *, here: str = HEAD) -> tuple[PushBackoff, int]:
    """Return the back-off after so many refusals in a row, and how many seconds it lasts."""
    found = None
    for _ in range(times):
        found = refused("main", why, here, TARGET, found, NOW)
    assert found is not None
    return found, int((found.until - NOW).total_seconds())


@pytest.mark.parametrize(
    ("why", "times", "seconds", "needs_you"),
    [
        (NETWORK, 1, 60, False),
        (NETWORK, 2, 120, False),
        (NETWORK, 6, 1920, False),
        (NETWORK, 7, 3600, False),
        (NETWORK, 2000, 3600, False),
        ("a word that nobody knows", 3, 240, False),
        (PROTECTED, 1, 3600, True),
        (PROTECTED, 9, 3600, True),
        ("fatal: Authentication failed", 1, 3600, True),
    ],
)
def test_a_refused_push_rests_twice_as_long_each_time_up_to_an_hour(why, times, seconds, needs_you):
    found, lasts = pushed_back(why, times)

    assert (lasts, found.needs_you, found.reason) == (seconds, needs_you, why)
    assert f"not pushed: {why}" in push_words(found) and f"{found.until:%H:%M:%SZ}" in push_words(found)


@pytest.mark.parametrize(
    ("here", "there", "seconds", "holds"),
    [
        (HEAD, TARGET, 0, True),
        (HEAD, TARGET, 59, True),
        (HEAD, TARGET, 60, False),
        (CANDIDATE, TARGET, 1, False),
        (HEAD, CANDIDATE, 1, False),
        (HEAD, "", 1, False),
        # A clock that was set back must not keep anybody from pushing for years.
        (HEAD, TARGET, -1, False),
    ],
)
def test_what_has_moved_is_pushed_at_once(here, there, seconds, holds):
    found, _ = pushed_back(NETWORK, 1)

    assert rests(found, here, there, NOW + timedelta(seconds=seconds)) is holds
    assert refused("main", NETWORK, here, there, found, NOW).times == (2 if (here, there) == (HEAD, TARGET) else 1)


@pytest.mark.parametrize("why", [NETWORK, PROTECTED])
def test_a_refused_push_is_among_the_matters_on_the_board_and_in_the_queue(why):
    found, _ = pushed_back(why, 1)
    here = world(push_backoff=found)

    (matter,) = (one for one in matters(here, Known()) if one.kind == "back-off")
    assert (matter.about, matter.command, matter.needs_you) == ("main", "gluerun clear-backoff push", found.needs_you)
    assert why in matter.words
    assert [(one.provider, one.until) for one in board(here, Known()).backoffs] == [("push", found.until)]
    assert why in queue_page(here).push and queue_page(world()).push == ""
    assert next_due(here) == found.until
    assert held_now(here) == ["push"]


@pytest.mark.parametrize(
    ("why", "hint"),
    [
        ("! refs/heads/main [remote rejected] (branch is currently checked out)", "updateInstead"),
        ("! [remote rejected] (pre-receive hook declined)", '"pull-request"'),
        ("remote: error: GH006: Protected branch update failed", '"pull-request"'),
        ("remote: Commits must have verified signatures.", "`integration.sign`"),
        ("! [remote rejected] (shallow update not allowed)", "--unshallow"),
        ("! refs/heads/main [rejected] (fetch first)", "nothing was overwritten"),
        ("fatal: could not read Username for 'x'", "credential helper"),
        ("fatal: unable to access 'x': Could not resolve host: x", "tried again"),
        ("a word that nobody knows", ""),
    ],
)
def test_what_a_remote_says_has_a_hint(why, hint):
    assert hint in push_hint(why) and bool(hint) == bool(push_hint(why))

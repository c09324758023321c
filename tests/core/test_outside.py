"""The target here and on its remote: what follows from who holds which head, and what is said."""

from __future__ import annotations

import pytest
from tests.core.worlds import CANDIDATE, HEAD, TARGET, accepted, proof, world

from gluerun.core.actions import Advance, Chain, Follow, Prove, subject
from gluerun.core.expect import expect
from gluerun.core.knowing import Known
from gluerun.core.matters import matters
from gluerun.core.outside import TOLD, plan_following, push_hint, trouble
from gluerun.core.plan import plan_cycle, plan_landing, plan_remote
from gluerun.core.relation import Outside, Relation, relation
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

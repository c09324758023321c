"""Stories of gate slots: one run at a time, a place that is right whoever was there before, nothing lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gluerun.core import sandbox
from gluerun.core.collecting import Kind
from gluerun.loop import slots
from gluerun.loop.collecting import collect
from gluerun.records.dispatch import Dispatch, Life, Outcome, Role
from gluerun.records.sandbox import RoleSandbox, Sandbox, SandboxMode
from gluerun.sim.crash import SimCrash
from gluerun.testing import ROOT, SimHouse

PLACE = f"{ROOT}/.worktrees/gate-0"
STRAY = "made by the gate\n"


def candidate(house, name, text="text\n"):
    """Return a commit on top of the target that no ref reaches."""
    ref = f"refs/gluerun/candidates/{name}"
    with house.fuse.out():
        house.git.keep(ref, house.git.head("main"))
        commit = house.git.publish(ref, {f"{name}.txt": text.encode()}, name)
        house.git.forget(ref, commit)
    return commit


def files(house, commit):
    """Return the files of a commit."""
    return {path: data.decode() for path, (_, data) in house.git._tree(commit).items()}


def prover(house, number, commit, slot=0):
    """Start a prover of *commit* in a slot, and return its run."""
    run_id = f"RUN-20260101T000000Z-{number:08x}"
    opened = house.open()
    now = opened.now()
    opened.store.put_dispatch(
        Dispatch(
            run_id=run_id,
            role=Role.PROVER,
            batch_id="ORIGIN-20260101T000000Z-1",
            target_branch="main",
            base_sha=house.git.head("main"),
            started_at=now,
            expires_at=now + timedelta(hours=1),
            config_sha256=opened.keep_config(),
            task_id="TASK-0001",
            candidate=commit,
            gate_command="check",
            slot=slot,
        )
    )
    house.processes.start(run_id)
    return run_id


def ending(house, run_id):
    return house.open().store.ending(run_id)


@pytest.fixture
def house():
    return SimHouse()


def watched(house):
    """Let the gate note what it sees, and leave a mess."""
    seen = []

    def judge(tree):
        seen.append(tree)
        house.git.write(PLACE, "README.md", b"spoilt")
        house.git.write(PLACE, "left.txt", b"left")
        return 0

    house.gate(judge)
    return seen


def test_each_gate_of_a_slot_sees_exactly_its_commit_in_the_same_place(house):
    seen = watched(house)
    commits = [candidate(house, name) for name in ("one", "two", "one")]

    for number, commit in enumerate(commits):
        run_id = prover(house, number, commit)
        house.let_work()
        assert ending(house, run_id).outcome is Outcome.PROVED

    assert seen == [files(house, commit) for commit in commits]
    assert [name for name in house.fuse.names if "add_worktree:before" in name] == ["git add_worktree:before"]


def test_slots_have_places_ports_and_caches_of_their_own(house):
    for slot in (0, 1):
        prover(house, slot, candidate(house, f"c{slot}"), slot)
    house.let_work()

    said = [child for _, child in house.children.waited]
    places = [child.cwd for child in said]
    assert places == [f"{ROOT}/.worktrees/gate-0", f"{ROOT}/.worktrees/gate-1"]
    for slot, child in enumerate(said):
        first = str(20_000 + 100 * slot)
        cache = f"{ROOT}/.worktrees/gate-{slot}.cache"
        words = {"GLUERUN_SLOT": str(slot), "GLUERUN_PORT_BASE": first, "GLUERUN_CACHE_DIR": cache}
        assert words.items() <= child.env.items()
        assert child.folders == (cache,) and child.scratch and "/scratch/" in child.env["TMPDIR"]


def test_a_confined_gate_may_write_its_cache():
    house = SimHouse(sandbox=Sandbox(roles={sandbox.GATE: RoleSandbox(mode=SandboxMode.REQUIRED)}))
    prover(house, 1, candidate(house, "one"))
    house.let_work()

    ((_, child),) = house.children.waited
    assert f"{PLACE}.cache" in child.confine.writable


def test_no_gate_begins_where_another_one_still_is(house):
    seen = watched(house)
    first, second = (prover(house, number, candidate(house, f"c{number}")) for number in (1, 2))
    opened = house.open()
    slots.begin(opened, opened.store.dispatch(first), 0, candidate(house, "c1"))

    house._perform(second)

    assert seen == []
    assert ending(house, second).outcome is Outcome.FAILED and first in ending(house, second).reason
    house._perform(first)
    assert ending(house, first).outcome is Outcome.PROVED


@pytest.mark.parametrize("immortal", [False, True])
def test_what_an_ended_run_left_alive_is_ended_before_its_slot_is_taken(house, immortal):
    seen = watched(house)
    first = prover(house, 1, candidate(house, "one"))
    house.let_work()
    house.processes.orphan(first)
    house.processes.immortal |= {first} if immortal else set()

    second = prover(house, 2, candidate(house, "two"))
    house.let_work()

    assert len(seen) == (1 if immortal else 2)
    assert ending(house, second).outcome is (Outcome.FAILED if immortal else Outcome.PROVED)
    assert (house.processes.life(first) is Life.DEAD) is not immortal


def test_a_commit_that_a_gate_made_is_kept_before_its_place_is_used_again(house):
    def judge(tree):
        house.git.write(PLACE, "work.txt", STRAY.encode())
        house.git.commit(PLACE, "by the gate")
        return 0

    house.gate(judge)
    prover(house, 1, candidate(house, "one"))
    house.let_work()
    house.gate(lambda tree: 0)
    prover(house, 2, candidate(house, "two"))
    house.let_work()

    kept = house.git.kept("refs/gluerun/rescue/TASK-0001")
    assert [house.files_at(ref).get("work.txt") for ref in kept] == [STRAY]


def test_an_odd_place_is_made_anew(house):
    seen = watched(house)
    commits = [candidate(house, name) for name in ("one", "two")]
    prover(house, 1, commits[0])
    house.let_work()
    house.git.worktrees[PLACE].locks.add("index.lock")
    prover(house, 2, commits[1])
    house.let_work()

    assert seen == [files(house, commit) for commit in commits]
    assert sum("add_worktree:before" in name for name in house.fuse.names) == 2


def test_a_crash_anywhere_in_a_slot_never_shows_the_next_gate_anything_but_its_commit():
    for point in range(1, 300):
        house = SimHouse()
        seen = watched(house)
        prover(house, 1, candidate(house, "one"))
        house.let_work()
        second = prover(house, 2, candidate(house, "two"))
        house.fuse.crash_at = frozenset({house.fuse.count + point})
        house.let_work()
        house.fuse.crash_at = frozenset()
        assert house.processes.life(second) is Life.DEAD
        last = candidate(house, "three")
        third = prover(house, 3, last)
        house.let_work()
        assert ending(house, third).outcome is Outcome.PROVED, point
        assert seen[-1] == files(house, last), point
        assert not house.git.kept("refs/gluerun/rescue"), point
        if not house.crashed:
            break
    assert 12 < point < 299


def test_a_slot_that_is_not_wanted_any_more_is_given_up_with_its_place_and_cache(house):
    for slot in (0, 1, 2):
        prover(house, slot, candidate(house, f"c{slot}"), slot)
    house.let_work()
    house.configure(gate_slots=1)
    house.processes.orphan("RUN-20260101T000000Z-00000002")

    plan = collect(house.open(), acting=False).given
    assert [(one.kind, one.name) for one in plan] == [(Kind.SLOT, "1")]
    assert f"{ROOT}/.worktrees/gate-1" in house.git.worktrees
    collect(house.open(), acting=True)

    places = {f"{ROOT}/.worktrees/gate-{slot}" for slot in (0, 2)}
    assert {place for place in house.git.worktrees if "gate-" in place} == places
    assert house.state_files.names("slots") == ["0.json", "2.json"]


@pytest.mark.parametrize("data", [b"", b"{}", b"nonsense"])
def test_a_broken_record_of_a_slot_is_in_nobodys_way(house, data):
    house.state_files.write("slots/0.json", data)
    run_id = prover(house, 1, candidate(house, "one"))
    house.let_work()
    assert ending(house, run_id).outcome is Outcome.PROVED


def test_a_run_that_is_cut_while_it_recycles_leaves_a_place_that_nobody_believes(house):
    house.fuse.once("git recycle_worktree:begun", lambda: (_ for _ in ()).throw(SimCrash("here")))
    prover(house, 1, candidate(house, "one"))
    house.let_work()
    second = prover(house, 2, candidate(house, "two"))
    house.let_work()
    assert ending(house, second) is None
    assert house.git.recycle_worktree(PLACE, house.git.head("main")) == "it was not left in order"

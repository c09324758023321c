"""Stories about what agents leave behind: nothing of it is lost, and it is given up only by policy or by word."""

from __future__ import annotations

import json

import pytest
from tests.scenarios.crashes import Crashing, Matrix

from gluerun.edge import rescues
from gluerun.errors import BusyError, StateError, UsageError
from gluerun.loop.collecting import collect
from gluerun.loop.rescue import remove_place, restore_branch, restore_place
from gluerun.ports import BALLAST
from gluerun.records.config import Collection
from gluerun.testing import Move, SimHouse, run_files

ONE, TWO, LAST = "TASK-0001", "TASK-0002", "TASK-0003"
RESCUE = f"refs/gluerun/rescue/{ONE}"
DAY = 24 * 60
ALL = Collection(keep_days=1, keep_runs=0, rescue_days=1)
PATIENT = {"worker_infra_max": 3, "max_retries": 6, "max_consec_fails": 99}


def commits(text):
    """Return a move of an agent that commits by itself, detached, and goes back."""

    def act(scene):
        git = scene.house.git
        branch = git.worktrees[scene.place].branch
        git.checkout(scene.place, None, git.worktree_head(scene.place))
        scene.write("mine.txt", text)
        git.commit(scene.place, "by myself")
        git.checkout(scene.place, branch)
        scene.house.written[:] = scene.house.written[:-1]

    return Move(act=act)


def kept_texts(house, path, task=ONE):
    return [house.files_at(ref).get(path) for ref in house.git.kept(f"refs/gluerun/rescue/{task}")]


# --- what is kept ----------------------------------------------------------------------------------------


def test_a_detached_commit_of_an_agent_is_kept():
    house = SimHouse(max_retries=0).given(ONE, owned=["a.txt"])
    house.agent(ONE, [Move(writes={"a.txt": "good"}, act=commits("committed, then left").act)])

    house.until_quiet()

    assert "committed, then left" in kept_texts(house, "mine.txt")


def test_a_commit_left_in_an_auditors_place_is_kept():
    house = SimHouse().given(ONE, owned=["a.txt"])

    def judge(scene):
        scene.house.git.write(scene.place, "note.txt", b"a note of the auditor")
        scene.house.git.commit(scene.place, "a note")
        scene.answer(scene.verdict("accepted"))

    house.auditor(ONE, [Move(act=judge)]).until_quiet()

    assert house.state(ONE) == "integrated"
    assert kept_texts(house, "note.txt") == ["a note of the auditor"]
    (line,) = rescues.rescues(house.open()).rescues
    assert (line.task, line.reason) == (ONE, "commits left where nobody works")


def test_the_files_of_a_work_tree_that_lost_its_git_are_kept():
    house = SimHouse(max_retries=0).given(ONE, owned=["a.txt"]).hold(ONE)
    house.agent(ONE, [Move(writes={"a.txt": "half"}, act=lambda scene: scene.house.git.break_place(scene.place))])
    house.cycle()
    house.crash(ONE)

    house.cycle()

    assert kept_texts(house, "a.txt") == ["half"]
    assert list(house.git.worktrees) == ["/sim"]


def test_two_rescues_of_one_run_stay_beside_each_other_and_the_same_one_is_kept_once():
    house = SimHouse().given(ONE, owned=["a.txt"]).hold(ONE)
    house.cycle()
    task, place = house.record(ONE), f"/sim/.worktrees/{ONE}"

    def leave(text):
        house.git.add_worktree(place, task.base_sha)
        house.git.write(place, "a.txt", text.encode())
        return remove_place(house.open(), task, task.run_id, place, "why")

    first, again, second = leave("one"), leave("one"), leave("two")

    assert first == again != second
    assert kept_texts(house, "a.txt") == ["one", "two"]
    assert list(house.git.kept(RESCUE)) == [f"{RESCUE}/{task.run_id}", f"{RESCUE}/{task.run_id}.2"]


def test_what_is_set_aside_twice_is_there_twice():
    house = SimHouse().given(ONE).given(TWO).hold(ONE, TWO)
    house.cycle()
    for broken in (b"{1", b"{2"):
        house.state_files.write(f"tasks/live/{ONE}.json", broken)
        house.cycle()

    there = [house.state_files.read(f"aside/{name}") for name in house.state_files.names("aside")]
    assert there == [b"{1", b"{2"]


def test_a_rescue_says_what_it_is_of():
    house = SimHouse(max_retries=0).given(ONE, owned=["a.txt"]).agent(ONE, [Move(writes={"a.txt": "half"})]).hold(ONE)
    house.cycle()
    run_id = house.lease(ONE).run_id
    house.crash(ONE)
    house.cycle()

    (line,) = rescues.rescues(house.open(), ONE).rescues
    found = rescues.page(house.open(), ONE, patch=True)

    assert (line.ref, line.task, line.run) == (f"{RESCUE}/{run_id}", ONE, run_id)
    assert (line.reason, line.files, line.bytes) == ("stale-lease", 1, 4)
    assert [(one.path, one.status) for one in found.paths] == [("a.txt", "A")]
    assert "+half" in found.patch
    message = house.git.told((line.commit,))[0].message
    assert all(f"Gluerun-Rescue{key}: " in message for key in ("", "-Task", "-Run", "-Reason", "-Base"))


# --- how it is got back ----------------------------------------------------------------------------------


def rescued():
    house = SimHouse(max_retries=0).given(ONE, owned=["a.txt"]).agent(ONE, [Move(writes={"a.txt": "half"})]).hold(ONE)
    house.cycle()
    house.crash(ONE)
    house.cycle()
    return house


def test_a_rescue_comes_back_as_a_new_branch_and_as_a_new_work_tree():
    house = rescued()
    ref, commit = rescues.named(house.open(), ONE)

    restore_branch(house.open(), commit, "again")
    restore_place(house.open(), commit, "/elsewhere")

    assert house.files_at("refs/heads/again")["a.txt"] == "half"
    assert house.git.worktrees["/elsewhere"].files["a.txt"][1] == b"half"
    assert ref in house.git.refs
    with pytest.raises(UsageError, match="there is a branch 'again' already"):
        restore_branch(house.open(), commit, "again")
    with pytest.raises(UsageError, match="cannot be a branch name"):
        restore_branch(house.open(), commit, "-f")


@pytest.mark.parametrize(
    ("word", "says", "hint"),
    [
        ("TASK-0009", "'TASK-0009' names no rescue", "did you mean `TASK-0001`?"),
        ("", "names no rescue", "known here"),
    ],
)
def test_a_word_that_names_no_rescue(word, says, hint):
    with pytest.raises(UsageError, match=says) as error:
        rescues.named(rescued().open(), word)

    assert hint in error.value.hint


def test_branches_of_no_living_task_are_named_and_left():
    house = rescued()
    house.git.refs["refs/heads/agent/other/work"] = house.git.head("main")
    house.git.refs["refs/stash"] = house.git.head("main")

    assert rescues.rescues(house.open()).others == ("refs/heads/agent/other/work", "refs/stash")


# --- what is given up ------------------------------------------------------------------------------------


def settled(**changes):
    """Return a house with a settled task, a living one, one after whose gate nothing changed, and days gone by."""
    house = SimHouse(**PATIENT, gc=ALL, **changes).given(ONE, owned=["a.txt"]).given(TWO).given(LAST, depends_on=[ONE])
    house.agent(ONE, [Move(writes={"a.txt": "bad"}), Move(writes={"a.txt": "good"})])
    house.gate(lambda tree: int(tree.get("a.txt") == "bad")).hold(TWO)
    for _ in range(6):
        house.cycle()
    house.clock.tick(minutes=3 * DAY)
    return house


def test_an_old_settled_run_keeps_its_history_and_loses_its_logs():
    house = settled()
    run_id, living = house.record(ONE).run_id, house.lease(TWO).run_id
    house.state_files.write(f"runs/{living}/attempts/1/001-worker.log", b"under way")
    before = {path: data for path, data in house.state_files.files.items() if living in path}

    said = collect(house.open(), acting=False)
    assert not said.acted
    assert said.bytes > 0
    collect(house.open(), acting=True)

    assert run_files(house, run_id, "attempts") == ["index.json"]
    assert {"ending.json", "packet.json", "dispatch.json", "lease.json"} <= set(run_files(house, run_id))
    assert "prompt" not in " ".join(path for path in house.state_files.files if run_id in path)
    assert {path: data for path, data in house.state_files.files.items() if living in path} == before
    assert collect(house.open(), acting=True).given == ()


def test_the_log_of_the_last_green_gate_stays_for_the_node_that_will_rest_on_it():
    house = settled()
    last = house.record(LAST).run_id
    before = run_files(house, last, "attempts/1")

    collect(house.open(), acting=True)

    assert house.open().store.memory().green_run == last
    assert run_files(house, last, "attempts/1") == before


def test_a_dry_run_changes_nothing_and_takes_no_lock():
    house = settled()
    before, refs = dict(house.state_files.files), dict(house.git.refs)

    with house.locks.origin(_holder(house)):
        assert collect(house.open(), acting=False).given
        with pytest.raises(BusyError):
            collect(house.open(), acting=True)

    assert (house.state_files.files, house.git.refs) == (before, refs)


def test_costs_meters_and_the_journal_stay():
    house = settled()
    sacred = ("events.ndjson", "costs/", "meters/", "tasks/", "leases/")
    house.state_files.write("meters/2026-01-01", b"1 2 3")
    house.state_files.write("costs/2026-01-01/x.json", b"{}")
    before = {path: data for path, data in house.state_files.files.items() if path.startswith(sacred)}

    collect(house.open(), acting=True)

    after = {path: data for path, data in house.state_files.files.items() if path.startswith(sacred)}
    assert after.pop("events.ndjson").startswith(before.pop("events.ndjson"))
    assert after == before


def test_the_newest_runs_and_the_young_ones_stay():
    for changes in ({"keep_runs": 9, "keep_days": 1}, {"keep_runs": 0, "keep_days": 9}):
        house = settled().configure(gc=Collection(**changes))
        assert [one.kind for one in collect(house.open(), acting=False).given if one.kind == "run"] == []


def heavy(**policy):
    """A house in which the logs of a settled run and of a living one weigh two megabytes each, all of them young."""
    house = settled().configure(gc=Collection(keep_days=99, keep_runs=0, **policy))
    for run_id in (house.record(ONE).run_id, house.lease(TWO).run_id):
        house.state_files.write(f"runs/{run_id}/attempts/1/big.log", b"x" * 2_000_000)
    house.state_files.hold_back(16_000_000)
    return house


def test_too_many_megabytes_take_the_logs_of_settled_runs_and_nothing_that_lives_or_cannot_be_reached():
    house = heavy(max_mb=1)
    run_id, living = house.record(ONE).run_id, house.lease(TWO).run_id
    refs = dict(house.git.refs)
    assert refs

    (given,) = collect(house.open(), acting=True).given

    assert (given.kind, given.name, given.reason, given.bytes > 2_000_000) == ("run", run_id, "beyond 1 MB", True)
    assert run_files(house, run_id, "attempts") == ["index.json"]
    assert "big.log" in run_files(house, living, "attempts/1")
    assert house.git.refs == refs
    assert house.state_files.mark(BALLAST).size == 16_000_000
    assert collect(house.open(), acting=True).given == (), "what lives is too heavy, and stays"


@pytest.mark.parametrize("policy", [{"max_mb": 0}, {"max_mb": 5}])
def test_where_everything_fits_or_nobody_counts_nothing_goes(policy):
    assert collect(heavy(**policy).open(), acting=False).given == ()


def test_a_rescue_that_nothing_else_holds_stays_until_a_person_says_otherwise():
    house = rescued().configure(gc=ALL)
    house.release(ONE)
    house.clock.tick(minutes=DAY)
    live = collect(house.open(), acting=True, rescues_older_than=0)
    assert live.kept_rescues == 1, "its task lives"
    house.configure(max_retries=9)
    house.state_files.move(f"tasks/live/{ONE}.json", f"tasks/archive/01/{ONE}.json")
    house.clock.tick(minutes=900 * DAY)

    assert collect(house.open(), acting=True).kept_rescues == 1
    assert collect(house.open(), acting=True, rescues_older_than=902).kept_rescues == 1
    assert collect(house.open(), acting=True, rescues_older_than=899).kept_rescues == 0
    assert house.git.kept(RESCUE) == {}
    assert [event["data"]["ref"] for event in house.events("rescue.given-up")]


def test_a_rescue_whose_content_is_in_the_target_goes_when_it_is_old():
    house = rescued().configure(gc=ALL)
    house.state_files.move(f"tasks/live/{ONE}.json", f"tasks/archive/01/{ONE}.json")
    house.colleague("a.txt", "half")

    assert collect(house.open(), acting=True).kept_rescues == 1, "too young"
    house.clock.tick(minutes=2 * DAY)
    assert collect(house.open(), acting=True).kept_rescues == 0


def test_a_broken_record_of_a_task_stops_it():
    house = settled()
    house.state_files.write(f"tasks/live/{TWO}.json", b"{")

    with pytest.raises(StateError, match="nobody can tell what is still needed"):
        collect(house.open(), acting=True)


def test_cycles_give_nothing_up_by_themselves_unless_it_is_wanted():
    house = settled()
    run_id = house.record(ONE).run_id
    house.release(TWO).until_quiet()
    house.cycles(3, minutes=2 * DAY)
    assert len(run_files(house, run_id, "attempts")) > 1

    house.configure(gc=Collection(keep_days=1, keep_runs=0, auto=True))
    house.cycles(3, minutes=2 * DAY)
    assert run_files(house, run_id, "attempts") == ["index.json"]


def test_git_may_tidy_once_a_day_while_nobody_works():
    house = SimHouse().given(ONE).hold(ONE)
    house.cycles(3, minutes=DAY)
    assert house.git.maintained == 0, "somebody works"

    house.release(ONE).until_quiet()
    before = house.git.maintained
    house.cycles(4, minutes=6 * 60)

    assert house.git.maintained == before + 1


def _holder(house):
    from gluerun.loop.hosting import holder

    return holder(house.open(), "ORIGIN-20260101T000000Z-1")


# --- crashes ---------------------------------------------------------------------------------------------


def collecting(house):
    house.configure(gc=ALL)
    house.clock.tick(minutes=3 * DAY)
    collect(house.open(), acting=True)


def loose_commits():
    """A task whose agent commits where no branch is, and vanishes once."""
    house = SimHouse(**PATIENT).given(ONE, owned=["a.txt"]).given(TWO, owned=["b.txt"])
    return house.agent(ONE, [Move(writes={"a.txt": "bad"}), Move(writes={"a.txt": "good"})]).gate(
        lambda tree: int(tree.get("a.txt") == "bad")
    )


def let_cycle(house):
    house.cycle()


def beside(house):
    house.colleague("c.txt", "hers")


@pytest.mark.parametrize("stride", [7])
def test_a_crash_while_the_past_is_given_up_loses_nothing_that_lives(stride, capsys):
    scenario = Crashing(
        loose_commits,
        let_cycle,
        collecting,
        beside,
        let_cycle,
        collecting,
        let_cycle,
        let_cycle,
        collecting,
        wants={ONE: "integrated", TWO: "integrated"},
        files=("a.txt", "b.txt", "c.txt"),
    )

    matrix = Matrix(scenario, stride=stride).run()

    with capsys.disabled():
        print(f"\n  {matrix.words()}")
    assert matrix.red == {}


def test_what_a_cut_collection_left_the_next_one_finishes():
    whole = settled()
    collect(whole.open(), acting=True)
    wanted = _past(whole)
    points = settled()
    start = points.fuse.count
    collect(points.open(), acting=True)
    count = points.fuse.count - start
    assert count > 10

    for at in range(1, count + 1):
        house = settled()
        house.fuse.crash_at = frozenset([house.fuse.count + at])
        _survive(house)
        house.fuse.crash_at = frozenset()
        collect(house.open(), acting=True)
        assert _past(house) == wanted, at


def _past(house):
    skip = ("events.ndjson",)
    return {path: data for path, data in house.state_files.files.items() if path not in skip}, house.git.refs


def _survive(house):
    from gluerun.sim.crash import SimCrash

    try:
        collect(house.open(), acting=True)
    except SimCrash:
        house.locks.crash()


def test_the_answer_is_a_document():
    from gluerun.records import codec

    document = json.loads(codec.encode(collect(settled().open(), acting=False)))

    assert {"acted", "bytes", "given", "keptRescues"} <= document.keys()

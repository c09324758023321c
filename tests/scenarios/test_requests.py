"""Stories about work that a person merges, by a pull request."""

from __future__ import annotations

import pytest

from gluerun.core.requests import address_in
from gluerun.edge.queues import queue
from gluerun.edge.views import board
from gluerun.loop.store import run_path
from gluerun.records.config import Integration, IntegrationMode
from gluerun.testing import Move, SimHouse

ONE, TWO = "TASK-0001", "TASK-0002"


def asking(**changes: object) -> SimHouse:
    house = SimHouse(integration=Integration(mode=IntegrationMode.PULL_REQUEST), **{"push": True, **changes})
    house.git.remote = {"main": house.git.head("main") or ""}
    return house.given(ONE, owned=["a.txt"]).agent(ONE, [Move(writes={"a.txt": "1"})])


def merge(house: SimHouse, task_id: str, *, how: str) -> None:
    """Let a person merge a pull request on the remote."""
    git, task = house.git, house.record(task_id)
    there, head = git.remote["main"], task.head_sha
    message = {"merge": "Merge pull request #1", "squash": git.commits[head].message}[how]
    parents = [there, head] if how == "merge" else [there]
    git.remote["main"] = git.commit_tree(git.merge(there, head).tree, parents, message)


def test_what_is_proved_becomes_a_request_with_its_evidence_and_nothing_lands():
    house = asking()
    before = house.git.head("main")

    house.until_quiet()

    task = house.record(ONE)
    ((command, _),) = house.messenger.sent
    branch = task.spec.worker_branch
    assert house.git.head("main") == house.git.remote["main"] == before
    assert house.git.remote[branch] == task.head_sha
    body = f"/sim/.gluerun-state/{run_path(task.run_id, 'pull-request.md')}"
    assert command == (
        f"url=$(gh pr view {branch} --json url,state --jq 'select(.state != \"CLOSED\") | .url' 2>/dev/null); "
        f'if [ -n "$url" ]; then echo "$url"; else gh pr create --base main --head {branch} '
        f"--title 'TASK-0001: Do TASK-0001' --body-file {body}; fi"
    )
    page = house.state_files.read(run_path(task.run_id, "pull-request.md")).decode()
    assert task.head_sha in page and task.packet_sha256 in page and "- It is done." in page
    assert page.endswith(f"Gluerun-Task: {ONE}\nGluerun-Run: {task.run_id}\n")
    assert "a person merges it" in str(board(house.open()))


def test_the_address_of_a_pull_request_is_kept_and_shown():
    house = asking()
    house.messenger.prints = "\nCreating pull request\n\nhttps://example.org/us/it/pull/7\n"

    house.until_quiet()

    assert house.record(ONE).proof.pull_request == "https://example.org/us/it/pull/7"
    for shown in (board(house.open()), queue(house.open())):
        assert "https://example.org/us/it/pull/7" in str(shown)
    assert house.events("integration.requested")[0]["data"]["url"].endswith("/7")


@pytest.mark.parametrize(
    ("printed", "found"),
    [
        ("", ""),
        ("https://x/1\n", "https://x/1"),
        ("Warning: 1 change\nhttps://x/1\nhttps://x/2\n", "https://x/2"),
        ("\x1b[31mhttps://x/1\x1b[0m", ""),
        ("https://x/" + "1" * 600, ""),
        ("ftp://x/1 javascript:alert(1)", ""),
    ],
)
def test_only_a_web_address_is_taken_for_one(printed, found):
    assert address_in(printed) == found


@pytest.mark.parametrize("how", ["merge", "squash"])
def test_what_a_person_merged_is_followed_and_noticed(how):
    house = asking().until_quiet()
    branch = house.record(ONE).spec.worker_branch
    merge(house, ONE, how=how)

    house.until_quiet()

    assert house.state(ONE) == "integrated"
    assert house.git.head("main") == house.git.remote["main"]
    assert house.git.heads([branch]) == {} and len(house.messenger.sent) == 1


def test_a_request_holds_nobody_up_and_is_not_proved_again_for_every_move_of_the_target():
    runs = []
    house = asking().gate(lambda tree: runs.append(1) or 0).until_quiet()
    count = len(runs)
    house.colleague("theirs.txt", "theirs").cycles(3)
    assert len(runs) == count

    house.given(TWO).until_quiet()
    assert house.states() == {ONE: "waiting", TWO: "waiting"} and len(house.messenger.sent) == 2


def test_who_does_not_push_is_told_what_to_type():
    house = asking(push=False)
    held = [words for _ in range(5) for words in house.cycle().held]

    assert house.messenger.sent == [] and len(held) == 1
    assert f"{ONE} is proved; a person merges it: git push origin agent/" in held[0] and "&& gh pr create" in held[0]


@pytest.mark.parametrize(
    ("why", "hint"),
    [
        ("the command ended with 127: /bin/sh: 1: gh: not found", "gh is not installed"),
        ("the command ended with 4: To get started with GitHub CLI, please run: gh auth login", "gh auth login"),
    ],
)
def test_a_request_that_cannot_be_made_is_named_and_made_later(why, hint):
    house = asking()
    house.messenger.fails = why

    last = house.cycles(5).cycle()
    assert why in last.trouble[0] and hint in last.trouble[0]
    assert house.state(ONE) == "waiting"

    house.messenger.fails = ""
    house.cycles(2)
    assert len(house.messenger.sent) == 1 and not house.cycle().trouble


def test_each_is_proved_alone_on_the_target_and_nothing_is_built_on_what_a_person_may_not_merge():
    house = asking(gate_slots=2, max_concurrent=9, max_dispatch=9).given(TWO).given("TASK-0003").until_quiet()

    proofs = [house.record(name).proof for name in (ONE, TWO, "TASK-0003")]
    assert {proof.target_head for proof in proofs} == {house.git.head("main")} and all(one.alone for one in proofs)
    assert len(house.messenger.sent) == 3


def test_a_branch_that_is_removed_with_its_request_parks_nobody():
    house = asking().until_quiet()
    task = house.record(ONE)
    del house.git.refs[f"refs/heads/{task.spec.worker_branch}"]

    house.cycles(2)
    assert house.state(ONE) == "waiting"

    merge(house, ONE, how="squash")
    assert house.until_quiet().state(ONE) == "integrated"


def test_who_lands_by_merges_again_lands_what_was_asked_for_and_a_stale_one_is_proved_anew():
    house = asking().until_quiet()
    house.colleague("theirs.txt", "theirs")

    house.configure(integration=Integration(), push=False).until_quiet()

    assert house.state(ONE) == "integrated" and "theirs.txt" in house.target_files()

"""Stories about the whole engine with real programs: limits, back-offs, confinement, sessions, seats, secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.agents.model.script import USAGE
from tests.agents.model.server import FakeModel
from tests.agents.plays import AUDITOR, DONE, LOOKS, SPOILS, VERDICT, WORKS, shells
from tests.agents.pointed import claude, codex
from tests.e2e.backlog import Backlog, git
from tests.patience import PATIENCE


def set_up(backlog: Backlog, model: FakeModel, worker: str = "claude", auditor: str = "codex", **more: object) -> None:
    """Commit one task, and the configuration under which the two programs will work on it."""
    roles = {"worker": {"runner": worker}, "auditor": {"runner": auditor}}
    entries = {"claude": claude(model), "codex": codex(model)} | more.pop("runners", {})
    backlog.configure(runners=entries, runner=worker, roles=roles, **more)
    backlog.task(1)
    backlog.commit("a task")


def state_of(backlog: Backlog) -> Path:
    return backlog.root / ".gluerun-state"


def children(backlog: Backlog, role: str) -> list[dict[str, object]]:
    """Return the records of the programs that played a role, in order."""
    return [
        json.loads(file.read_text()) for file in sorted(state_of(backlog).glob(f"runs/*/children/*-{role}.done.json"))
    ]


# --- limits ---

EIGHT = [f"echo {number} >> src/1.txt" for number in range(8)]
# Where the tree is not clean there is nothing good, and the task does not land.
CLEANLY = {"when": "## Try 2", **shells("test ! -e src/1.txt && echo good > src/1.txt")}


@pytest.mark.parametrize(
    ("worker", "limit", "shown"),
    [("claude", {"turns": 3}, 3), ("codex", {"turns": 3}, 4), ("claude", {"usd": 0.008}, 3)],
    ids=["claude-turns", "codex-turns", "claude-usd"],
)
def test_a_try_that_reaches_its_limit_fails_and_what_it_wrote_is_rescued(backlog, worker, limit, shown):
    # Once its stream has *shown* that it is past the limit, the model thinks until the program is stopped.
    turns = shells(*EIGHT)["turns"]
    thinks = [{**turn, "delay": 0 if number < shown else PATIENCE} for number, turn in enumerate(turns)]
    with FakeModel({"cases": [AUDITOR, CLEANLY], "turns": thinks}) as model:
        free = {"fake-model": {"fresh": 0, "cached": 0, "output": 0}} if "usd" in limit else {}
        limits = {"try": limit}
        set_up(backlog, model, worker=worker, limits=limits, prices=free, env={"GLUERUN_SESSION_AFFINITY": "0"})
        ended = backlog.ask("auto")

    first, second = children(backlog, "worker")
    tried = [one for one in model.requests if "You audit" not in one.prompt and "## Try 2" not in one.prompt]
    assert first["limit"] == ("money" if "usd" in limit else "turns")
    assert second.get("limit") is None
    assert shown <= len(tried) <= shown + 1
    rescued = git(backlog.root, "for-each-ref", "--format=%(refname)", "refs/gluerun/rescue")
    assert rescued.endswith("-try-1")
    assert git(backlog.root, "show", f"{rescued}:src/1.txt").splitlines()[:2] == ["0", "1"]
    assert ended["integrated"] == ["TASK-0001"]
    assert backlog.record("TASK-0001")["tries"] == 2
    (line,) = [one for one in backlog.ask("costs", "--by", "role")["lines"] if one["name"] == "worker"]
    calls_booked = line["outputTokens"] / USAGE["output"]
    # All that was answered and told; what was under way when it was stopped may be told by nobody.
    assert len(tried) + 1 <= calls_booked <= len(tried) + 2
    assert line["programs"] == 2
    assert line.get("costUsd") == (pytest.approx(0.00321 * calls_booked) if worker == "claude" else None)


# --- back-off ---


def test_a_usage_limit_costs_no_try_and_nobody_is_started_until_it_is_lifted(backlog):
    with FakeModel({"cases": [AUDITOR], "turns": [WORKS, DONE]}, faults=["429"], retry_after=3600) as model:
        set_up(backlog, model)
        backlog.ask("reconcile", "--actuate")
        backlog.ask("reconcile", "--drain", "--timeout", str(PATIENCE // 2))
        held = backlog.ask("status")
        asked = len(model.requests)
        backlog.ask("reconcile", "--actuate")
        tries = backlog.record("TASK-0001")["tries"]
        count = len(model.requests)
        (file,) = state_of(backlog).glob("backoffs/*.json")
        backoff = json.loads(file.read_text())
        model.faults = []
        file.write_text(json.dumps(backoff | {"until": backoff["startedAt"]}))
        ended = backlog.ask("auto")

    (line,) = held["backoffs"]
    assert (line["provider"], line["fault"]) == ("anthropic", "usage-limit")
    assert line["until"] > backoff["startedAt"]
    assert held["breaker"] == 0
    assert (tries, count) == (0, asked)
    assert ended["integrated"] == ["TASK-0001"]
    assert backlog.record("TASK-0001")["tries"] == 1
    assert backlog.ask("status")["backoffs"] == []


# --- confinement ---


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_a_worker_writes_nowhere_but_in_its_work_tree(backlog, mode):
    places = [backlog.root / ".worktrees/outside", Path.home() / "outside", backlog.root / "src/outside"]
    outside = "; ".join(f"echo x > {place}" for place in ["../outside", '"$HOME/outside"', *places[2:]])
    with FakeModel({"cases": [AUDITOR], **shells(outside, "echo good > src/1.txt")}) as model:
        set_up(backlog, model, sandbox=mode)
        ended = backlog.ask("auto")

    tiers = {str(done.get("confined")) for role in ("worker", "auditor") for done in children(backlog, role)}
    if mode == "auto" and "none" in tiers:
        pytest.skip("this machine has no sandbox")
    assert tiers <= {"bwrap", "landlock", "seatbelt"}
    assert ended["integrated"] == ["TASK-0001"]
    assert [place for place in places if place.exists()] == []
    assert not list(backlog.root.rglob("outside"))


def test_nobody_is_started_where_the_required_sandbox_cannot_be_had(backlog):
    box = {"mode": "required", "container": ["no-such-program", "run", "{mounts}", "{argv}"]}
    with FakeModel({"cases": [AUDITOR], "turns": [WORKS, DONE]}) as model:
        set_up(backlog, model, sandbox=box)
        backlog.ask("reconcile", "--actuate")
        backlog.ask("reconcile", "--drain", "--timeout", str(PATIENCE // 2))
        held = backlog.ask("status")

    assert model.requests == []
    assert [one["fault"] for one in held["backoffs"]] == ["not-confined"]
    assert any("no-such-program is not on PATH" in words for words in held["needsYou"])
    assert backlog.record("TASK-0001")["tries"] == 0


# --- sessions ---


def test_a_second_try_goes_on_with_the_first_ones_session_or_not_and_comes_to_the_same(backlog):
    trees, heard = [], []
    other = Backlog(backlog.root.parent / "other", backlog._gluerun)
    for affinity, one in (("1", backlog), ("0", other)):
        mends = {"when": "## Try 2", "turns": [LOOKS, WORKS, DONE]}
        with FakeModel({"cases": [AUDITOR, mends], "turns": [SPOILS, DONE]}) as model:
            set_up(one, model, env={"GLUERUN_SESSION_AFFINITY": affinity})
            one.ask("auto")
        second = next(asked for asked in model.requests if "## Try 2" in asked.prompt)
        heard.append([message["role"] for message in second.body["messages"]].count("assistant"))
        trees.append(git(one.root, "rev-parse", "main:src"))

    assert heard == [2, 0]
    assert trees[0] == trees[1]


# --- independence ---


@pytest.mark.parametrize(
    ("provider", "counts"), [("fake", True), ("anthropic", False)], ids=["another-provider", "the-same-provider"]
)
def test_who_shares_the_workers_provider_is_no_independent_auditor(backlog, provider, counts):
    with FakeModel({"cases": [AUDITOR], "turns": [WORKS, DONE]}) as model:
        set_up(
            backlog,
            model,
            review={"independence": "provider"},
            runners={"codex": codex(model, provider=provider)},
            maxRetries=1,
        )
        ended = backlog.ask("auto")

    assert ended["integrated"] == (["TASK-0001"] if counts else [])
    why = backlog.record("TASK-0001").get("lastFailure", {}).get("reason", "")
    assert ("the auditor has the worker's own: anthropic" in why) is not counts


# --- secrets ---


def test_a_secret_that_an_agent_prints_is_in_no_log_and_no_record(backlog):
    secret = "ghp" + "_" + "A1b2C3d4E5f6" * 3
    verdict = json.dumps({**VERDICT, "rationale": f"The key is {secret}."})
    auditor = {**AUDITOR, "turns": [{"tool": "shell", "command": f"echo {secret}"}, {"text": verdict}]}
    worker = {"turns": [{"tool": "shell", "command": f"echo token={secret}"}, WORKS, {"text": f"I saw {secret}."}]}
    with FakeModel({"cases": [auditor], **worker}) as model:
        set_up(backlog, model)
        ended = backlog.ask("auto")

    assert ended["integrated"] == ["TASK-0001"]
    assert secret in json.dumps([one.body for one in model.requests]), "it was said"
    told = [path for path in state_of(backlog).rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert told == []
    assert secret not in git(backlog.root, "log", "--all", "--patch")

"""The loop as installed, on real git, with real detached workers and scripted agents."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from tests.e2e.backlog import IGNORED, git, writes

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas" / "cli"


def test_one_command_takes_a_backlog_to_merge_commits(backlog):
    first = backlog.task(1, writes(1))
    second = backlog.task(2, writes(2, "bad\n"), writes(2), needs=first)

    ended = backlog.ask("auto")

    assert ended["integrated"] == [first, second]
    assert ended["why"] == "nothing is left to do"
    assert git(backlog.root, "show", "main:src/2.txt") == "good"
    assert (backlog.root / "src/1.txt").read_text() == "good\n"
    assert git(backlog.root, "status", "--porcelain", "--", "src") == ""
    trailers = git(
        backlog.root, "log", "--first-parent", "-1", "--format=%(trailers:key=Gluerun-Task,valueonly)", "main"
    )
    assert trailers.strip() == second
    assert git(backlog.root, "branch", "--list", "agent/*") == ""


def test_actuate_returns_at_once_and_drain_finishes(backlog):
    task = backlog.task(1, writes(1, until="go"))
    backlog.run("reconcile", "--apply")

    started = backlog.ask("reconcile", "--actuate")
    assert started["dispatched"] == [task]
    assert started["running"] == 1
    (backlog.root / "go").write_text("")
    drained = backlog.ask("reconcile", "--drain")

    assert drained["integrated"] == [task]
    assert drained["running"] == 0


def test_dispatch_that_is_not_detached_ends_in_the_same_state(backlog):
    task = backlog.task(1, writes(1))

    done = backlog.ask("--set", "detachedDispatch=0", "reconcile", "--actuate")

    assert done["integrated"] == [task]
    assert backlog.record(task)["status"] == "integrated"


def test_without_an_option_nothing_is_changed(backlog):
    backlog.task(1, writes(1))
    before = sorted(str(path) for path in backlog.root.rglob("*"))

    planned = backlog.ask("reconcile")

    assert [line["kind"] for line in planned["actions"]] == ["admit", "start"]
    assert sorted(str(path) for path in backlog.root.rglob("*")) == before


def test_a_killed_worker_leaves_its_untracked_files_under_a_rescue_ref_and_is_tried_again(backlog):
    task = backlog.task(1, {"write": {"src/1.txt": "half\n"}, "stay": True}, writes(1))
    backlog.ask("reconcile", "--actuate")
    half = backlog.root / f".worktrees/{task}/src/1.txt"
    backlog.until(half.exists, "the agent wrote its file")

    os.killpg(os.getsid(backlog.wrapper(task)), signal.SIGKILL)
    ended = backlog.ask("--set", "orphanGrace=0", "auto")

    assert ended["integrated"] == [task]
    rescued = git(backlog.root, "for-each-ref", "--format=%(refname)", f"refs/gluerun/rescue/{task}").splitlines()
    assert len(rescued) == 1
    assert git(backlog.root, "show", f"{rescued[0]}:src/1.txt") == "half"
    assert backlog.record(task)["tries"] == 2


def test_a_loop_that_is_killed_loses_nothing(backlog, wheel_python):
    tasks = [backlog.task(number, writes(number, until="go")) for number in range(1, 4)]
    loop = subprocess.Popen(
        [wheel_python, "-P", "-m", "gluerun", "auto"],
        cwd=backlog.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    backlog.until((backlog.root / ".gluerun-state/leases/TASK-0001.json").exists, "the first task was leased")
    loop.kill()
    loop.wait()
    (backlog.root / "go").write_text("")

    ended = backlog.ask("auto")

    assert sorted(task for task in tasks if backlog.record(task)["status"] == "integrated") == tasks
    assert ended["parked"] == []
    merges = git(backlog.root, "log", "--first-parent", "--format=%(trailers:key=Gluerun-Task,valueonly)", "main")
    assert sorted(merges.split()) == tasks


def test_a_dirty_checkout_is_never_touched_and_the_candidate_lands_once_it_is_clean(backlog):
    task = backlog.task(1, {"write": {"src/start.txt": "changed\n"}, "answer": {}}, owned="src/start.txt")
    (backlog.root / "src/start.txt").write_text("mine\n")

    ended = backlog.ask("auto")
    board = backlog.ask("status")

    assert ended["integrated"] == []
    assert (backlog.root / "src/start.txt").read_text() == "mine\n"
    assert "src/start.txt" in board["tasks"][0]["reason"]
    assert backlog.run("status", "--exit-code").returncode == 1
    git(backlog.root, "checkout", "--", "src/start.txt")
    assert backlog.ask("auto")["integrated"] == [task]
    assert (backlog.root / "src/start.txt").read_text() == "changed\n"


def test_stop_takes_away_dispatch_and_nothing_else(backlog):
    first = backlog.task(1, writes(1, until="go"))
    backlog.ask("reconcile", "--actuate")
    second = backlog.task(2, writes(2))
    (backlog.root / ".gluerun-state/STOP").write_text("")
    (backlog.root / "go").write_text("")

    ended = backlog.ask("auto")

    assert ended["integrated"] == [first]
    assert backlog.record(second)["status"] == "ready"
    assert ended["why"] == "STOP is set"


def test_a_second_cycle_is_told_who_holds_the_lock(backlog, wheel_python):
    backlog.task(1, writes(1))
    hold = (
        "import sys\nfrom gluerun.wiring import open_house\nfrom gluerun.loop.hosting import holder\n"
        "house = open_house(sys.argv[1])\n"
        "with house.doors.locks.origin(holder(house, 'ORIGIN-20260101T000000Z-1')):\n"
        "    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [wheel_python, "-P", "-c", hold, str(backlog.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"

    refused = backlog.run("reconcile", "--actuate", "--json")
    holder.communicate("")

    assert refused.returncode == 75
    assert f"pid {holder.pid}" in json.loads(refused.stdout)["error"]["message"]


def test_a_lost_state_folder_comes_back_from_the_repository(backlog):
    merged = backlog.task(1, writes(1))
    backlog.task(2, {"write": {"elsewhere.txt": "x\n"}, "answer": {"status": "x"}}, owned="src/2.txt")
    backlog.configure(env={"GLUERUN_MAX_RETRIES": "0"})
    backlog.ask("auto")
    shutil.rmtree(backlog.root / ".gluerun-state")

    again = backlog.ask("auto")

    assert again["integrated"] == []
    assert backlog.record(merged)["status"] == "integrated"


def test_auto_pushes_and_direct_verbs_do_not(backlog, tmp_path):
    remote = tmp_path / "remote.git"
    git(backlog.root, "init", "--quiet", "--bare", str(remote))
    git(backlog.root, "remote", "add", "origin", str(remote))
    git(backlog.root, "push", "--quiet", "--set-upstream", "origin", "main")
    start = git(remote, "rev-parse", "main")
    backlog.task(1, writes(1))

    backlog.ask("--set", "detachedDispatch=0", "reconcile", "--actuate")
    assert git(remote, "rev-parse", "main") == start
    backlog.task(2, writes(2))
    backlog.ask("auto")

    assert git(remote, "rev-parse", "main") == git(backlog.root, "rev-parse", "main")


def test_without_integration_accepted_work_waits_for_integrate(backlog):
    task = backlog.task(1, writes(1))
    backlog.configure(env={"GLUERUN_AUTO_INTEGRATE": "0"})

    backlog.ask("auto")
    assert backlog.record(task)["status"] == "accepted"
    assert "gluerun integrate" in backlog.ask("status")["tasks"][0]["reason"]
    done = backlog.ask("integrate")

    assert done["integrated"] == [task]


def test_every_work_tree_gets_its_provisioned_files_and_its_bootstrap(backlog):
    task = backlog.task(1, writes(1))
    (backlog.root / ".gitignore").write_text(IGNORED + "secret.env\nbuilt/\n")
    (backlog.root / "secret.env").write_text("here\n")
    git(backlog.root, "commit", "--quiet", "--all", "--message", "ignore more")
    backlog.configure(
        provisionFiles=[{"source": "secret.env", "target": "secret.env"}],
        bootstrap=["mkdir built && cp secret.env built/made"],
        gateCommand="grep -q here built/made && test -f src/1.txt",
    )

    assert backlog.ask("auto")["integrated"] == [task]
    check = next((backlog.root / ".gluerun-state/runs").glob("*/gate-check.json"))
    assert [one["path"] for one in json.loads(check.read_text())["outputs"]] == ["secret.env"]


def test_a_file_that_git_would_take_is_never_provisioned_and_no_gate_is_blamed(backlog):
    task = backlog.task(1, writes(1))
    (backlog.root / "open.env").write_text("here\n")
    backlog.configure(provisionFiles=[{"source": "open.env", "target": "open.env"}])

    backlog.ask("auto")

    failure = backlog.record(task)["lastFailure"]
    assert failure["failureClass"] == "worker-infra"
    assert "open.env" in failure["reason"]
    assert backlog.record(task)["tries"] == 0


def test_a_run_keeps_the_settings_it_was_started_with(backlog):
    task = backlog.task(1, writes(1, until="go"))
    backlog.ask("--set", "requireAudit=false", "reconcile", "--actuate")
    config = (backlog.root / "gluerun.config.json").read_text()
    (backlog.root / "gluerun.config.json").write_text("{ half a file")
    (backlog.root / "go").write_text("")
    backlog.until(lambda: [*(backlog.root / ".gluerun-state/runs").glob("*/ending.json")] != [], "the run ended")
    (backlog.root / "gluerun.config.json").write_text(config)

    assert backlog.ask("reconcile", "--drain")["integrated"] == [task]
    assert [*(backlog.root / ".gluerun-state/runs").glob("*/audit.json")] == []


def test_every_document_keeps_its_schema(backlog):
    task = backlog.task(1, writes(1))
    backlog.task(2, {"say": "no"}, needs="TASK-0099")
    documents = {
        "reconcile": ("reconcile",),
        "status": ("status",),
        "auto": ("auto",),
        "task-page": ("task", "show", task),
    }

    for name, words in documents.items():
        schema = json.loads((SCHEMAS / f"{name}.v0.schema.json").read_text())
        assert list(Draft7Validator(schema).iter_errors(backlog.ask(*words))) == []
    refused = backlog.run("task", "show", "TASK-9999", "--json")
    schema = json.loads((SCHEMAS / "error.v0.schema.json").read_text())
    assert list(Draft7Validator(schema).iter_errors(json.loads(refused.stdout))) == []
    assert refused.returncode == 2


@pytest.mark.parametrize(
    ("moves", "code", "words"),
    [
        pytest.param([writes(1)], 0, "integrated", id="a good one lands"),
        pytest.param([writes(1, "bad\n")], 3, "gate-red", id="a red one is parked"),
    ],
)
def test_drive_takes_one_task_to_its_end(backlog, moves, code, words):
    task = backlog.task(1, *moves)
    other = backlog.task(2, writes(2))
    backlog.configure(env={"GLUERUN_MAX_RETRIES": "0"})

    done = backlog.run("drive", task)

    assert done.returncode == code
    assert words in done.stdout
    assert not (backlog.root / f".gluerun-state/leases/{other}.json").exists()
    assert git(backlog.root, "branch", "--list", "agent/*/TASK-0002*") == ""


def test_drive_refuses_a_task_that_cannot_start(backlog):
    task = backlog.task(1, writes(1), needs="TASK-0099")

    done = backlog.run("drive", task)

    assert done.returncode == 2
    assert "TASK-0099" in done.stdout


def test_the_demonstration_shows_what_it_promises(gluerun, tmp_path):
    done = gluerun("demo", "--folder", str(tmp_path / "kitchen"), "--json")

    played = json.loads(done.stdout)
    schema = json.loads((SCHEMAS / "demo.v0.schema.json").read_text())
    assert list(Draft7Validator(schema).iter_errors(played)) == []
    assert len(played["integrated"]) == 11
    assert played["parked"] == ["TASK-0007"]
    assert played["ended"] == "every node of the graph is complete"

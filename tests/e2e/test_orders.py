"""Orders at the installed engine: a loop that sleeps hears them, and a run that is cancelled is gone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import jsonschema
from tests.e2e.backlog import writes
from tests.e2e.conftest import outside_environment
from tests.patience import PATIENCE

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas" / "cli"


def asked(backlog, *words, schema):
    """Type a verb with --json and return its document, which keeps its schema."""
    found = backlog.ask(*words)
    jsonschema.validate(found, json.loads((SCHEMAS / f"{schema}.v0.schema.json").read_text()))
    return found


def test_a_run_that_is_cancelled_is_gone_and_its_work_is_rescued(backlog):
    task = backlog.task(1, writes(1, "half\n", stay=True))
    backlog.commit("a task")
    assert backlog.run("reconcile", "--actuate").returncode == 0
    backlog.until((backlog.root / ".worktrees" / task / "src/1.txt").exists, "the agent wrote")
    wrapper = backlog.wrapper(task)

    (lease,) = asked(backlog, "lease", "list", schema="leases")["leases"]
    page = asked(backlog, "lease", "show", task, schema="lease-page")
    answer = asked(backlog, "cancel", task, "--reason", "never mind", schema="ordered")

    assert (lease["life"], page["run"]) == ("alive", lease["run"])
    assert (answer["outcome"], answer["applied"]) == ("applied", True)
    assert not Path(f"/proc/{wrapper}").exists() or "Z" in Path(f"/proc/{wrapper}/stat").read_text().split(") ")[1][:1]
    assert backlog.record(task)["status"] == "cancelled"
    assert not asked(backlog, "lease", "list", schema="leases")["leases"]
    assert [one["files"] for one in backlog.ask("rescue", "list", "--task", task)["rescues"]] == [1]
    again = backlog.run("cancel", task)
    assert (again.returncode, again.stderr.splitlines()[0]) == (3, f"gluerun: {task} is cancelled, and stays so")


def test_a_loop_that_sleeps_ends_at_once_when_it_is_stopped(backlog, wheel_python):  # A14
    backlog.configure(sleep=600)
    argv = [wheel_python, "-P", "-m", "gluerun", "auto", "--forever"]
    with subprocess.Popen(argv, cwd=backlog.root, env=outside_environment(), stdout=subprocess.PIPE, text=True) as loop:
        backlog.until((backlog.root / ".gluerun-state/origin-state.json").exists, "the loop looked")

        answer = asked(backlog, "stop", f"--wait={PATIENCE}", "--reason", "enough", schema="ordered")
        said, _ = loop.communicate(timeout=PATIENCE)

    assert answer["outcome"] in ("applied", "queued")
    assert (loop.returncode, said.splitlines()[0]) == (0, "ended: STOP is set")
    assert asked(backlog, "breaker", "show", schema="breaker")["isOpen"] is False
    events = [json.loads(line) for line in (backlog.root / ".gluerun-state/events.ndjson").read_text().splitlines()]
    (event,) = [one for one in events if one["type"] == "operator.stop_requested"]
    assert event["data"]["reason"] == "enough"

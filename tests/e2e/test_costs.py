"""A program that tells what it costs, and whose provider has a limit: what is booked, shown, and waited for."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas" / "cli"
# It hits the wall as long as `wall` is there: a number of seconds until it opens, or nothing for a wall that says
# nothing. One that opens is gone for the next one.
AGENT = f"""#!{sys.executable}
import json, os, pathlib, sys, time
sys.stdin.read()
wall = pathlib.Path(os.path.dirname(os.path.abspath(__file__)), "wall")
def tell(**more):
    usage = {{"input_tokens": 90, "cache_read_input_tokens": 0, "output_tokens": 10}}
    print(json.dumps({{"type": "result", "subtype": "success", "is_error": False, "session_id": "s", "num_turns": 2,
                      "result": "done", "usage": usage, **more}}))
print(json.dumps({{"type": "system", "subtype": "init", "session_id": "s", "model": "claude-sonnet-4-5"}}))
if wall.exists():
    if seconds := wall.read_text():
        wall.unlink()
        window = {{"status": "rejected", "resetsAt": time.time() + int(seconds)}}
        print(json.dumps({{"type": "rate_limit_event", "rate_limit_info": window}}))
    tell(is_error=True, api_error_status=429, result="You've hit your limit", total_cost_usd=0.125)
    sys.exit(1)
pathlib.Path("src", os.environ["GLUERUN_TASK"][-1] + ".txt").write_text("good\\n")
tell(total_cost_usd=0.5)
"""


@pytest.fixture
def priced(backlog):
    """A backlog of one task, whose worker tells what it costs."""
    (backlog.root / "agent.py").write_text(AGENT)
    (backlog.root / "agent.py").chmod(0o755)
    with (backlog.root / ".gitignore").open("a") as ignored:
        ignored.write("wall\n")
    agent = {"argv": ["./agent.py"], "dialect": "claude-jsonl", "provider": "anthropic"}
    # Where a sandbox holds the worker it cannot take the wall away.
    backlog.configure(runner="talker", runners={"talker": agent}, requireAudit=False, generate=False, sandbox="off")
    backlog.task(1)
    backlog.commit("an agent that tells what it costs")
    return backlog


def document(backlog, *words: str, schema: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(backlog.run(*words, "--json").stdout)
    described = json.loads((SCHEMAS / f"{schema}.v0.schema.json").read_text())
    assert list(Draft7Validator(described).iter_errors(found)) == []
    return found


def test_a_wall_is_waited_for_and_both_runs_are_booked(priced):
    (priced.root / "wall").write_text("2")

    ended = document(priced, "auto", schema="auto")

    assert ended["integrated"] == ["TASK-0001"]
    assert (priced.record("TASK-0001")["tries"], ended["parked"]) == (1, [])
    found = document(priced, "costs", schema="costs")
    (line,) = found["lines"]
    assert (found["by"], line["name"], line["programs"], line["turns"]) == ("task", "TASK-0001", 2, 4)
    assert (line["costUsd"], line["freshTokens"], line["outputTokens"], line["unknown"]) == (0.625, 180, 20, 0)
    assert priced.record("TASK-0001")["spent"]["usd"] == 0.625
    for by, name in (("role", "worker"), ("runner", "talker"), ("model", "claude-sonnet-4-5")):
        assert [one["name"] for one in document(priced, "costs", "--by", by, schema="costs")["lines"]] == [name]
    said = priced.run("costs").stdout
    assert all(word in said for word in ("TASK-0001", "total", "0.6250"))


def test_what_nobody_has_booked_yet_is_said_in_words(priced):
    assert priced.run("costs").stdout == "nothing has been booked yet\n"
    assert document(priced, "costs", "--since", "2999-01-01", schema="costs")["total"]["programs"] == 0


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("--by", "modell"), "costs are not added up by 'modell'", "did you mean `model`?"),
        (("--since", "today"), "'today' is no day", "write it as 2026-01-31"),
    ],
)
def test_a_slip_gets_one_sentence(priced, words, message, hint):
    done = priced.run("costs", *words)

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert hint in done.stderr
    assert document(priced, "costs", *words, schema="error")["error"]["message"] == message


def test_a_provider_that_is_held_back_is_on_the_board(priced):
    (priced.root / "wall").write_text("")
    priced.run("reconcile", "--actuate")
    priced.run("reconcile", "--drain")

    board = document(priced, "status", schema="status")
    said = priced.run("status").stdout

    (held,) = board["backoffs"]
    assert (held["provider"], held["fault"], board["breaker"], board["waiting"]) == ("anthropic", "usage-limit", 0, 1)
    assert "anthropic is held back until" in said
    assert "You've hit your limit" in said
    assert document(priced, "reconcile", "--actuate", schema="reconcile")["dispatched"] == []
    assert priced.run("status", "--exit-code").returncode == 0


def test_a_limit_of_money_that_nobody_could_keep_is_refused_before_anything_starts(priced):
    priced.configure(limits={"day": {"usd": 5}})

    done = priced.run("reconcile", "--actuate")

    assert done.returncode != 0
    assert "`limits.day.usd` nobody could keep to it: the runner 'script', which plays the worker" in done.stderr


def test_the_day_is_counted_while_programs_run_and_then_nobody_is_started(priced):
    config = json.loads((priced.root / "gluerun.config.json").read_text())
    priced.configure(**config, limits={"day": {"usd": 0.5}})
    assert document(priced, "reconcile", "--actuate", schema="reconcile")["dispatched"] == ["TASK-0001"]
    priced.run("reconcile", "--drain")
    priced.task(2)

    (counter,) = (priced.root / ".gluerun-state/meters").iterdir()
    report = document(priced, "reconcile", "--actuate", schema="reconcile")

    assert counter.read_text().split()[0].lstrip("0") == "500000"
    assert (priced.record("TASK-0001")["status"], report["dispatched"]) == ("integrated", [])
    assert "the day's limit of $0.5 is used up" in priced.run("status").stdout

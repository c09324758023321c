"""A program that its limit stops: a person is asked, and it goes on in its session, with its files, once it may."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from jsonschema import Draft7Validator

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas" / "cli"
# It never ends by itself but in the session that it began, and there it needs what it had written before.
AGENT = f"""#!{sys.executable}
import json, pathlib, sys, time
sys.stdin.read()
work = pathlib.Path("src", "1.txt")
is_resumed = sys.argv[1:] == ["--resume", "the-one"]
def tell(turns):
    usage = {{"input_tokens": 9, "cache_read_input_tokens": 0, "output_tokens": 1}}
    print(json.dumps({{"type": "result", "subtype": "success", "is_error": False, "session_id": "the-one",
                      "num_turns": turns, "result": "done", "usage": usage, "total_cost_usd": 0.5}}), flush=True)
print(json.dumps({{"type": "system", "subtype": "init", "session_id": "the-one", "model": "m"}}), flush=True)
if is_resumed:
    work.write_text(work.read_text() + "good\\n")
    tell(2)
else:
    work.write_text("half, ")
    for number in range(9):
        said = {{"id": f"m{{number}}", "role": "assistant", "model": "m", "content": [],
                "usage": {{"input_tokens": 9, "cache_read_input_tokens": 0, "output_tokens": 1}}}}
        print(json.dumps({{"type": "assistant", "session_id": "the-one", "message": said}}), flush=True)
    time.sleep(600)
"""


def document(backlog, *words: str, schema: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(backlog.run(*words, "--json").stdout)
    described = json.loads((SCHEMAS / f"{schema}.v0.schema.json").read_text())
    assert list(Draft7Validator(described).iter_errors(found)) == []
    return found


def test_a_program_that_its_limit_stops_goes_on_once_a_person_says_so(backlog):
    (backlog.root / "agent.py").write_text(AGENT)
    (backlog.root / "agent.py").chmod(0o755)
    talker = {"argv": ["./agent.py", "{+resume}"], "dialect": "claude-jsonl", "sessions": "captured",
              "options": {"resume": ["--resume", "{session}"]}}  # fmt: skip
    limits = {"try": {"turns": 5, "onLimit": "pause"}}
    backlog.configure(runner="talker", runners={"talker": talker}, requireAudit=False, generate=False, limits=limits)
    backlog.task(1)
    backlog.commit("an agent that needs more turns than it may have")

    ended = document(backlog, "auto", schema="auto")

    assert (ended["integrated"], ended["parked"]) == ([], [])
    (line,) = document(backlog, "approvals", schema="approvals")["approvals"]
    assert (line["id"], line["point"], line["state"]) == ("APR-0001", "limit", "waiting")
    shown = document(backlog, "approval", "show", "TASK-0001", schema="approval-page")
    assert (shown["bound"]["limit"], shown["bound"]["span"]) == ("turns", "try")
    assert shown["bound"]["spent"]["turns"] > 5
    assert any("+half, " in one["text"] for one in shown["sections"])

    backlog.run("approve", "TASK-0001", "--reason", "A little more.")
    ended = document(backlog, "auto", schema="auto")

    assert ended["integrated"] == ["TASK-0001"]
    assert backlog.record("TASK-0001")["tries"] == 1
    assert (backlog.root / "src" / "1.txt").read_text() == "half, good\n"

"""A person is asked by the installed engine, looks at the page, sends the work back, and lets the next one land."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
from tests.e2e.backlog import git, writes

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas" / "cli"


def asked(backlog, *words, schema):
    """Type a verb with --json and return its document, which keeps its schema."""
    found = backlog.ask(*words)
    jsonschema.validate(found, json.loads((SCHEMAS / f"{schema}.v0.schema.json").read_text()))
    return found


def test_work_lands_as_it_was_approved_and_not_as_it_was_rejected(backlog, tmp_path):
    backlog.configure(approval="always")
    task = backlog.task(1, writes(1, "first\n"), writes(1, "second\n"))
    backlog.commit("a task")
    assert "nothing can go on by itself" in backlog.run("auto").stdout

    (line,) = asked(backlog, "approvals", schema="approvals")["approvals"]
    page = asked(backlog, "approval", "show", task, "--html", str(tmp_path / "page.html"), schema="approval-page")

    assert (line["id"], line["state"], line["task"]) == ("APR-0001", "waiting", task)
    assert "+first" in next(one["text"] for one in page["sections"] if one["title"] == "The difference")
    assert "<ins>+first</ins>" in (tmp_path / "page.html").read_text()

    asked(backlog, "reject", task, "--reason", "Say second.", schema="ordered")
    backlog.run("auto")
    (backlog.root / "src/other.txt").write_text("a colleague's\n")
    backlog.commit("beside it")  # the target moves while the person looks
    answer = asked(backlog, "approve", "APR-0002", schema="ordered")
    backlog.run("auto")

    assert answer["applied"] is True
    assert backlog.record(task)["status"] == "integrated"
    assert git(backlog.root, "show", "main:src/1.txt") == "second"
    states = {one["id"]: one["state"] for one in backlog.ask("approvals", "--all")["approvals"]}
    assert states == {"APR-0001": "rejected", "APR-0002": "approved"}

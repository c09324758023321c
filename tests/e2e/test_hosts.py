"""A state folder that another machine has worked in."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from tests.e2e.backlog import writes

BUSY = 75


def moved(backlog, *, minutes):
    """Let another machine have been at work here, *minutes* ago."""
    seen = (datetime.now(UTC) - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    path = backlog.root / ".gluerun-state/host.json"
    document = json.loads(path.read_text()) | {"hostId": "f" * 32, "bootId": "another", "seenAt": seen}
    path.write_text(json.dumps(document))


def test_another_machines_folder_is_refused_and_taken_over_on_request(backlog):
    task = backlog.task(1, writes(1, until="go"))
    backlog.run("reconcile", "--actuate")
    backlog.wrapper(task)
    moved(backlog, minutes=0)

    for words in (("reconcile", "--actuate"), ("auto",), ("recover",)):
        refused = backlog.run(*words)
        assert (refused.returncode, "another machine" in refused.stderr) == (BUSY, True), refused
        assert "gluerun recover --take-over" in refused.stderr
    early = backlog.run("recover", "--take-over")
    assert (early.returncode, "--yes" in early.stderr) == (BUSY, True)

    taken = backlog.run("recover", "--take-over", "--yes")

    assert taken.returncode == 0, taken.stderr
    (backlog.root / "go").touch()
    backlog.ask("auto")
    assert backlog.record(task)["status"] == "integrated"


def test_a_folder_in_which_nothing_lives_moves_by_itself(backlog):
    backlog.run("reconcile", "--actuate")
    moved(backlog, minutes=5)

    assert backlog.run("reconcile", "--actuate").returncode == 0


def test_what_is_unlocked_by_yes_is_said_before(backlog):
    assert backlog.run("recover", "--yes").returncode == 2
    assert backlog.run("recover", "--scan", "--take-over").returncode == 2

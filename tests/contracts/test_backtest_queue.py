"""`gluerun backtest --queue`: the branches of a real history in the merge queue, at the times they were finished."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from gluerun.adapters.files import DiskFiles
from gluerun.cli import main
from gluerun.edge.gates import GateRun
from gluerun.edge.queue_past import QueueOptions, backtest_queue, failure_rate, gate_seconds
from gluerun.errors import UsageError
from gluerun.loop.store import Store
from gluerun.records.queue import QueueState
from gluerun.records.rate import Rate

SCHEMA = Path(__file__).resolve().parents[2] / "schemas/cli/backtest-queue.v0.schema.json"
DAY = 1_700_000_000
MERGES = 12


def git(root: Path, *words: str, give: str = "") -> str:
    return subprocess.run(["git", *words], cwd=root, input=give, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    """Return a history of branches that were finished a minute apart and merged much later."""
    root = tmp_path_factory.mktemp("history")
    git(root, "init", "-q", "-b", "main")
    lines = ["commit refs/heads/main", "mark :1", f"committer a <a@b> {DAY} +0000", "data 1", "0", ""]
    for number in range(MERGES):
        came, merged = DAY + 60 * number, DAY + 90_000 + number
        lines += [f"commit refs/heads/b{number}", f"committer a <a@b> {came} +0000", "data 1", "b", "from :1", ""]
        lines += ["commit refs/heads/main", f"committer a <a@b> {merged} +0000", "data 1", "m"]
        lines += [f"merge refs/heads/b{number}", ""]
    git(root, "fast-import", "--quiet", "--force", give="\n".join(lines))
    return root


def options(root: Path, **changes) -> QueueOptions:
    return QueueOptions(repo=str(root), gate_seconds=600.0, failure_rate=0.1, **changes)


def test_branches_are_queued_when_they_were_finished_and_not_when_they_were_merged(repo):
    report = backtest_queue(options(repo, slots=4), None)

    assert (report.since, report.until) == (datetime.fromtimestamp(DAY, UTC), datetime.fromtimestamp(DAY + 660, UTC))
    assert [(one.policy, one.landed + one.sent_back) for one in report.policies] == [
        ("ours", MERGES),
        ("serial", MERGES),
        ("speculation", MERGES),
    ]


def test_the_newest_merges_are_taken_and_the_answer_is_always_the_same(repo):
    report = backtest_queue(options(repo, merges="5"), None)

    assert report.merges == 5
    assert report.last == git(repo, "rev-parse", "main").strip()
    assert backtest_queue(options(repo, merges="5"), None) == report
    assert backtest_queue(options(repo, merges="all"), None).merges == MERGES


def test_what_is_not_given_is_assumed_and_said_to_be(repo):
    report = backtest_queue(QueueOptions(repo=str(repo), failure_rate=0.0), None)

    assert (report.gate_seconds_from, report.failure_rate_from) == ("assumed", "given")


def test_time_and_rate_are_learned():
    def run(result: str, seconds: int) -> GateRun:
        at = datetime.fromtimestamp(DAY, UTC)
        return GateRun(
            run="RUN-20260101T000000Z-00000001", about="TASK-0001", role="prover", result=result, exit_code=0,
            duration_ms=1000 * seconds, commit="0" * 40, at=at, command="true", log="log",
        )  # fmt: skip

    runs = [run("green", 30), run("green", 60), run("green", 90), run("red", 1), run("inconclusive", 1)]

    assert gate_seconds(runs) == 60.0
    assert gate_seconds([]) is None
    assert failure_rate(QueueState()) is None
    assert failure_rate(QueueState(rate=Rate().after_culprit())) == pytest.approx(0.18, abs=0.01)


def test_what_the_queue_itself_has_learned_is_taken(repo, tmp_path, capsys, monkeypatch):
    git(tmp_path, "clone", "-q", str(repo), "copy")
    copy = tmp_path / "copy"
    (copy / ".gluerun-state/runs").mkdir(parents=True)
    (copy / "gluerun.config.json").write_text('{"schemaVersion": "v1", "targetBranch": "main", "gateSlots": 3}')
    Store(DiskFiles(str(copy / ".gluerun-state"))).put_queue_state(QueueState(rate=Rate().after_green(9)))
    monkeypatch.chdir(copy)

    assert main.run(["backtest", "--queue", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["slots"], report["failureRateFrom"]) == (3, "learned")
    assert report["failureRate"] < 0.1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slots": 0}, "--slots 0"),
        ({"gate_seconds": 0.0}, "--gate-seconds 0"),
        ({"gate_seconds": float("nan")}, "--gate-seconds nan"),
        ({"failure_rate": 1.5}, "--failure-rate 1.5"),
        ({"merges": "some"}, "--merges some"),
        ({"merges": "3", "span": "main..main"}, "--merges and --range"),
        ({"span": "main..main"}, "no merge of two parents"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(repo, changes, words):
    with pytest.raises(UsageError, match=words):
        backtest_queue(QueueOptions(repo=str(repo), **changes), None)


def test_one_document_or_one_table(repo, capsys, monkeypatch):
    monkeypatch.chdir(repo)
    words = ["backtest", "--queue", "--slots", "4", "--gate-seconds", "600", "--failure-rate", "0"]

    assert main.run([*words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(report)
    assert main.run(words) == 0
    told = capsys.readouterr().out

    ours, serial, plain = report["policies"]
    assert ours["latencyP95"] <= plain["latencyP95"] < serial["latencyP95"]
    assert ours["gateRuns"] < plain["gateRuns"]
    assert "12 merges" in told
    assert "speculation" in told


@pytest.mark.parametrize(("words", "said"), [(["--queue", "--last", "3"], "--last"), (["--slots", "3"], "--queue")])
def test_an_option_in_the_wrong_company_is_refused(repo, capsys, monkeypatch, words, said):
    monkeypatch.chdir(repo)

    assert main.run(["backtest", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_configuration_that_cannot_be_used_teaches_nothing_and_stops_nobody(repo, tmp_path, capsys, monkeypatch):
    git(tmp_path, "clone", "-q", str(repo), "copy")
    copy = tmp_path / "copy"
    (copy / ".gluerun-state/runs").mkdir(parents=True)
    (copy / "gluerun.config.json").write_text('{"noSuchKey": 1}')
    monkeypatch.chdir(copy)

    assert main.run(["backtest", "--queue"]) == 0
    told = capsys.readouterr()
    assert "nothing is learned from its gate runs" in told.err
    assert "assumed" in told.out


def test_looking_writes_nothing(repo, tmp_path, capsys, monkeypatch):
    git(tmp_path, "clone", "-q", str(repo), "copy")
    copy = tmp_path / "copy"
    (copy / ".gluerun-state/runs").mkdir(parents=True)
    (copy / "gluerun.config.json").write_text('{"schemaVersion": "v1", "targetBranch": "main"}')
    monkeypatch.chdir(copy)
    before = sorted(copy.rglob("*"))

    assert main.run(["backtest", "--queue", "--json"]) == 0
    assert capsys.readouterr().err == ""
    assert sorted(copy.rglob("*")) == before

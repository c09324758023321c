"""Many processes at once: one loop at work, the others told so, and nothing of what they write together lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import pytest
from tests.e2e.backlog import git, writes
from tests.e2e.conftest import outside_environment
from tests.patience import PATIENCE

MANY = 20
BUSY = 75


def all_at_once(backlog, python, *words, count=MANY, but_one=lambda: None):
    """Start the same command many times at the same instant, a number in place of each `{}`; return how each ended.

    When all but one have ended *but_one* is called.
    """
    argv = [python, "-P", "-m", "gluerun"]
    gate_out, gate_in = os.pipe()
    # Everybody waits for the one byte that is never written: all of them go on when the pipe is closed.
    code = "import os, sys; os.read(int(sys.argv[1]), 1); os.execv(sys.argv[2], sys.argv[2:])"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(gate_out), *argv, *(word.format(number) for word in words)],
            cwd=backlog.root,
            env=outside_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=(gate_out,),
        )
        for number in range(count)
    ]
    os.close(gate_out)
    os.close(gate_in)
    with ThreadPoolExecutor(count) as pool:
        said = [pool.submit(process.communicate, timeout=PATIENCE) for process in started]
        for number, _ in enumerate(as_completed(said), 1):
            if number == count - 1:
                but_one()
    return [(process.returncode, *one.result()) for process, one in zip(started, said, strict=True)]


def torn_or_lost(data):
    """Say what is wrong with a journal: lines that cannot be read, numbers that are missing or there twice."""
    numbers, found = [], [] if data.endswith(b"\n") else ["its last line is torn"]
    for at, line in enumerate(data.splitlines(), 1):
        try:
            numbers.append(json.loads(line)["seq"])
        except (ValueError, KeyError, TypeError):
            found.append(f"line {at} cannot be read")
    found += [f"{seq} is lost" for seq in range(1, max(numbers, default=0) + 1) if seq not in numbers]
    found += [f"{seq} is there {numbers.count(seq)} times" for seq in set(numbers) if numbers.count(seq) > 1]
    return found + (["they are not in order"] if numbers != sorted(numbers) else [])


LINES = [json.dumps({"seq": number}).encode() + b"\n" for number in range(1, 6)]


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        (LINES, []),
        ([*LINES[:2], *LINES[3:]], ["3 is lost"]),
        ([*LINES[:2], LINES[2][:5], *LINES[3:]], ["line 3 cannot be read", "3 is lost", "4 is lost"]),
        ([*LINES, b'{"seq"'], ["its last line is torn", "line 6 cannot be read"]),
        ([*LINES, LINES[4]], ["5 is there 2 times"]),
        ([LINES[1], LINES[0], *LINES[2:]], ["they are not in order"]),
    ],
    ids=["whole", "lost", "torn", "torn at the end", "twice", "order"],
)
def test_what_judges_the_crowds_sees_a_line_that_was_lost_or_torn(lines, wrong):
    assert torn_or_lost(b"".join(lines)) == wrong


def test_of_loops_started_at_one_instant_exactly_one_runs(backlog, wheel_python):  # A32
    backlog.task(1, writes(1, until="go"))

    ended = all_at_once(backlog, wheel_python, "auto", but_one=(backlog.root / "go").touch)

    winners = [one for one in ended if one[0] == 0]
    assert len(winners) == 1, ended
    others = [one for one in ended if one[0] != 0]
    assert {code for code, _, _ in others} == {BUSY}
    assert all("another resident loop runs" in err and "pid" in err for _, _, err in others), others
    assert backlog.record("TASK-0001")["status"] == "integrated"


def test_of_cycles_started_at_one_instant_nobody_does_what_another_does(backlog, wheel_python):
    tasks = [backlog.task(number, writes(number)) for number in range(1, 4)]

    ended = all_at_once(backlog, wheel_python, "reconcile", "--actuate")

    assert {code for code, _, _ in ended} <= {0, BUSY}
    assert any(code == 0 for code, _, _ in ended)
    assert all("pid" in err or "unknown" in err for code, _, err in ended if code == BUSY)
    backlog.ask("auto")
    merged = git(backlog.root, "log", "--first-parent", "--format=%(trailers:key=Gluerun-Task,valueonly)").split()
    assert sorted(merged) == tasks
    assert [backlog.record(task)["epoch"] for task in tasks] == [1, 1, 1]


def test_tasks_written_at_one_instant_have_each_its_own_id(backlog, wheel_python):
    asked = ("--title", "thing {}", "--objective", "there is thing {}", "--owned", "src/{}.txt", "--accept", "it is")

    ended = all_at_once(backlog, wheel_python, "task", "new", *asked)

    wrong = [one for one in ended if one[0] not in (0, BUSY)]
    assert wrong == []
    written = [code for code, _, _ in ended if code == 0]
    files = sorted(path.name for path in Path(backlog.root, "docs/orchestration/tasks").iterdir())
    ids = [name.split(".")[0].split("-")[1] for name in files]
    assert len(files) == len(set(ids)) == len(written) == MANY


def test_what_readers_see_while_others_write_is_always_whole(backlog, wheel_python):
    tasks = [backlog.task(number, writes(number)) for number in range(1, 4)]
    argv = [wheel_python, "-P", "-m", "gluerun", "auto"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    loop = subprocess.Popen(argv, cwd=backlog.root, env=outside_environment(), **quiet)
    try:
        while loop.poll() is None:
            for code, out, err in all_at_once(backlog, wheel_python, "status", "--json", count=4):
                assert code == 0, err
                json.loads(out)
    finally:
        loop.wait()

    assert torn_or_lost((backlog.root / ".gluerun-state/events.ndjson").read_bytes()) == []
    assert [backlog.record(task)["status"] for task in tasks] == ["integrated"] * 3

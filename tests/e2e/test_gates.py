"""A pipeline of real programs: reports that pytest writes, and those of other languages as they write them."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

from tests.e2e.backlog import writes

PYTEST = f"{shlex.quote(sys.executable)} -B -m pytest -q -p no:cacheprovider -c /dev/null --rootdir . checks"
# What each program was seen to write; the script stands for the program, which need not be installed.
SAMPLES = {
    "go": '<testsuites tests="2"><testsuite name="example.org/sum" tests="2"><testcase classname="example.org/sum" '
          'name="TestAdds" time="0.0"></testcase><testcase classname="example.org/sum" name="TestAdds/twice">'
          '<failure message="Failed" type="">sum_test.go:9</failure></testcase></testsuite></testsuites>',
    "cargo": '<testsuites name="nextest-run" tests="1"><testsuite name="sum::adds" tests="1">'
             '<testcase name="tests::adds" classname="sum::adds"/></testsuite></testsuites>',
    "node": '<testsuites><testcase name="adds" time="0.1" classname="test"/>'
            '<testcase name="later" classname="test"><skipped type="skipped" message="true"/></testcase></testsuites>',
}  # fmt: skip
CHECK = """import pathlib

def test_adds():
    assert "bad" not in "".join(one.read_text() for one in pathlib.Path("src").iterdir())
"""
SCRIPT = "mkdir -p build\ncat > build/{}.xml <<'END'\n{}\nEND\nexit {}\n"


def shown(done) -> dict[str, dict]:
    return {row["gate"]: row for row in json.loads(done.stdout)["runs"]}


def test_gates_of_four_languages_tell_which_tests_failed_and_a_task_lands_behind_them(backlog) -> None:
    root: Path = backlog.root
    (root / "checks").mkdir()
    (root / "checks/test_sum.py").write_text(CHECK)
    (root / "src/1.txt").write_text("bad\n")
    for name, text in SAMPLES.items():
        (root / f"{name}.sh").write_text(SCRIPT.format(name, text, int(name == "go")))
    unit = {"name": "unit", "command": f"{PYTEST} --junitxml build/unit.xml", "junit": "build/unit.xml", "minTests": 1}
    others = [
        {"name": name, "command": f"sh {name}.sh", "junit": "build/*.xml", "when": "nightly", "slots": 1}
        for name in SAMPLES
    ]
    last = {"name": "end", "command": "true", "when": "nightly", "needs": ["go"]}
    backlog.configure(gateCommand="", gates=[{**unit, "when": ["task", "merge", "nightly"]}, *others, last])
    backlog.commit("gates")

    proved = backlog.run("prove", "nightly", "--json")
    runs = {row["gate"]: row for row in json.loads(proved.stdout)["runs"]}
    assert (proved.returncode, json.loads(proved.stdout)["result"]) == (1, "red"), proved.stderr
    assert [(name, run["result"], run.get("tests")) for name, run in runs.items()] == [
        ("unit", "red", {"total": 1, "failed": 1, "skipped": 0}),
        ("go", "red", {"total": 2, "failed": 1, "skipped": 0}),
        ("cargo", "green", {"total": 1, "failed": 0, "skipped": 0}),
        ("node", "green", {"total": 2, "failed": 0, "skipped": 1}),
        ("end", "skipped", None),
    ]
    assert [runs[name]["failures"] for name in ("unit", "go")] == [
        ["checks.test_sum::test_adds"], ["example.org/sum::TestAdds/twice"],
    ]  # fmt: skip
    assert list((root / ".worktrees").iterdir()) == []

    backlog.task(1, writes(1))
    done = backlog.run("drive", "TASK-0001")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [row for row in backlog.ask("gates")["runs"] if row["about"] == "TASK-0001"]
    assert [(row["gate"], row["result"], row["tests"]["total"]) for row in rows] == [("unit", "green", 1)]

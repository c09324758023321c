"""The command line as a person meets it: words, exit codes, one JSON document, and no byte written by a reader."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.patience import PATIENCE

CHECKOUT = Path(__file__).resolve().parents[2]
INSTALLED = os.environ.get("GLUERUN_E2E_PYTHON")
PROGRAM = (INSTALLED or sys.executable, "-P", "-m", "gluerun")
WHERE = {} if INSTALLED else {"PYTHONPATH": str(CHECKOUT / "engine")}
NEW = ("task", "new", "--title", "Say hello", "--objective", "It says hello", "--owned", "src", "--accept", "hello")


def gluerun(
    *words: str, cwd: Path, env: dict[str, str] | None = None, text: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *words],
        cwd=cwd,
        env=os.environ | WHERE | (env or {}),
        input=text,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "first"], cwd=folder, check=True)
    assert gluerun("init", cwd=folder).returncode == 0
    return folder


def state(folder: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for path in [folder, *folder.rglob("*")]:
        stat = path.lstat()
        found[str(path)] = (stat.st_mtime_ns, stat.st_size)
    return found


def test_help_names_every_verb_and_no_trace_of_colour(tmp_path):
    done = gluerun(cwd=tmp_path)

    assert done.returncode == 0
    assert {"init", "doctor", "reconcile", "auto", "task"} <= set(done.stdout.split())
    assert "\x1b" not in done.stdout + gluerun("task", "new", "--help", cwd=tmp_path).stdout


def test_version(tmp_path):
    assert gluerun("version", cwd=tmp_path).stdout.startswith("gluerun ")
    assert gluerun("--version", cwd=tmp_path).stdout.startswith("gluerun ")
    assert set(json.loads(gluerun("version", "--json", cwd=tmp_path).stdout)) == {"gluerun", "schema", "python"}


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("doctr",), "there is no verb 'doctr'", "did you mean `doctor`?"),
        (("task", "nw"), "there is no verb 'task nw'", "did you mean `task new`?"),
        (("console",), "`gluerun console` is not built yet", "--help"),
        (("version", "--nope"), "no such option: --nope", "gluerun version --help"),
        (("task", "show"), "missing argument", "gluerun task show --help"),
        (("--repo", "nowhere", "task", "list"), "nowhere: no such folder", "--repo PATH"),
        (("task", "list"), "is not inside a git repository", "--repo PATH"),
    ],
)
def test_wrong_words_get_one_sentence_and_exit_2(tmp_path, words, message, hint):
    done = gluerun(*words, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert hint in done.stderr
    assert len(done.stderr.splitlines()) == 2

    document = json.loads(gluerun(*words, "--json", cwd=tmp_path).stdout)
    assert set(document["error"]) == {"code", "message", "hint", "file"}


def test_readers_write_no_byte(repo):
    before = state(repo)

    for words in (("doctor",), ("task", "list"), ("validate-dag",), ("next-area",), ("next-areas",), ("version",)):
        assert gluerun(*words, "--json", cwd=repo).returncode in (0, 1)

    assert state(repo) == before


def test_the_doctor_says_no_with_exit_1(repo, tmp_path):
    done = gluerun("doctor", "--json", cwd=repo)

    checks = json.loads(done.stdout)["checks"]
    assert done.returncode == 1
    assert all(set(check) == {"id", "severity", "message", "remedy", "command"} for check in checks)
    assert gluerun("doctor", cwd=tmp_path).returncode == 1


def test_a_task_is_written_listed_and_shown(repo):
    assert gluerun(*NEW, cwd=repo).stdout == "wrote docs/orchestration/tasks/TASK-0001.md\n"
    made = json.loads(gluerun(*NEW, "--depends-on", "TASK-0001", "--json", cwd=repo / "docs").stdout)

    assert made == {"taskId": "TASK-0002", "path": "docs/orchestration/tasks/TASK-0002.md"}
    rows = json.loads(gluerun("task", "list", "--json", cwd=repo).stdout)["tasks"]
    assert [(row["taskId"], row["status"]) for row in rows] == [("TASK-0001", "new"), ("TASK-0002", "new")]
    page = json.loads(gluerun("task", "show", "TASK-0002", "--json", cwd=repo).stdout)
    assert (page["dependsOn"], page["status"], page["ownedFiles"]) == (["TASK-0001"], "ready", ["src"])
    assert "Say hello" in gluerun("task", "list", cwd=repo).stdout
    assert "It says hello" in gluerun("task", "show", "TASK-0001", cwd=repo).stdout


def test_a_task_from_a_file_or_from_stdin(repo, tmp_path):
    source = tmp_path / "idea.md"
    source.write_text("# Mend it\n\nIt is broken.\n\n## Acceptance Criteria\n\n- it works\n")

    assert gluerun("task", "new", "--from-file", str(source), "--owned", "lib", cwd=repo).returncode == 0
    text = gluerun("task", "show", "TASK-0001", cwd=repo).stdout
    assert "TASK-0001 ready: Mend it" in text
    assert "It is broken." in text

    whole = (repo / "docs/orchestration/tasks/TASK-0001.md").read_text().replace("TASK-0001", "TASK-0777")
    assert gluerun("task", "new", "--from-file", "-", cwd=repo, text=whole).returncode == 0
    assert (repo / "docs/orchestration/tasks/TASK-0002.md").read_text().startswith("# TASK-0002: Mend it")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--owned", "../x"), "'../x'"),
        (("--depends-on", "later"), "'later' is no task id"),
        (("--area", "a b"), "'agent/a b/TASK-0001-say-hello' cannot be"),
        (("--from-file", "nowhere.md"), "nowhere.md: No such file"),
    ],
)
def test_a_task_that_would_be_refused_is_not_written(repo, words, message):
    done = gluerun(*NEW, *words, cwd=repo)

    assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    assert [*(repo / "docs/orchestration/tasks").glob("TASK-*")] == []


def test_ids_are_never_used_twice(repo):
    (repo / ".gluerun-state/tasks/archive/41").mkdir(parents=True)
    (repo / ".gluerun-state/tasks/archive/41/TASK-0041.json").write_text("{}")

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: gluerun(*NEW, "--json", cwd=repo), range(4)))

    ids = sorted(json.loads(one.stdout)["taskId"] for one in done)
    assert ids == ["TASK-0042", "TASK-0043", "TASK-0044", "TASK-0045"]


SCAFFOLD = {
    "id": "M0.scaffold",
    "stage": "M0",
    "area": "core",
    "layer": "scaffold",
    "kind": "foundation",
    "requiredCompletion": "the gate is green",
    "dependsOn": [],
}


def test_the_graph_and_its_gates(repo):
    graph = repo / "docs/orchestration/dag.v0.json"
    assert gluerun("next-area", cwd=repo).stdout == "all-nodes-complete\n"
    graph.write_text(json.dumps(json.loads(graph.read_text()) | {"nodes": [SCAFFOLD]}))
    gate = repo / "docs/orchestration/gates/M0.scaffold.gate-result.json"
    assert gluerun("validate-dag", cwd=repo).stdout == "ok\n"
    assert gluerun("next-area", cwd=repo).stdout.startswith("node=M0.scaffold\n")
    assert gluerun("area-gate", "M0.scaffold", cwd=repo).returncode == 1
    assert "M0.scaffold" in gluerun("area-gate", "M0.scafold", cwd=repo).stderr

    gate.parent.mkdir()
    document = {
        "schema": "gluerun.orchestration.gate-result.v0",
        "node": "M0.scaffold",
        "status": "passed",
        "authoritative": True,
        "evidenceClass": "operator",
        "evidence": [{"kind": "source-path", "ref": "README.md"}],
        "decidedBy": "somebody",
        "recordedAt": "2026-01-01T00:00:00Z",
    }
    gate.write_text(json.dumps(document))
    assert gluerun("area-gate", "M0.scaffold", cwd=repo).returncode == 0
    assert json.loads(gluerun("next-areas", cwd=repo).stdout) == {"frontier": [], "allComplete": True}
    assert gluerun("next-area", cwd=repo).stdout == "all-nodes-complete\n"
    assert "it is passed" in gluerun("node-fields", "M0.scaffold", cwd=repo).stderr

    gate.write_text("{}")
    assert json.loads(gluerun("area-gate", "M0.scaffold", "--json", cwd=repo).stdout)["state"] == "blocked"

    graph.write_text(graph.read_text().replace('"dependsOn": []', '"dependsOn": ["M9"]'))
    done = gluerun("validate-dag", cwd=repo)
    assert (done.returncode, "'M9', which is not there" in done.stdout) == (1, True)
    assert gluerun("next-area", cwd=repo).returncode == 2


def test_settings_come_from_flags_and_slips_are_told(repo):
    done = gluerun("--set", "maxRetries=x", "task", "list", cwd=repo)
    assert (done.returncode, "--max-retries must be a whole number" in done.stderr) == (2, True)

    done = gluerun("--set", "maxRetry=1", "task", "list", cwd=repo)
    assert (done.returncode, "did you mean `maxRetries`" in done.stderr) == (2, True)

    done = gluerun("task", "list", cwd=repo, env={"GLUERUN_MAX_RETRY": "1"})
    assert (done.returncode, "did you mean GLUERUN_MAX_RETRIES?" in done.stderr) == (0, True)


def test_the_work_tree_of_a_run_is_no_repository_of_its_own(repo):
    subprocess.run(["git", "worktree", "add", "-q", "--detach", ".worktrees/TASK-0001"], cwd=repo, check=True)

    done = gluerun("task", "list", cwd=repo / ".worktrees/TASK-0001")

    assert (done.returncode, "work tree of a run" in done.stderr, str(repo) in done.stderr) == (2, True, True)


def test_a_reader_who_leaves_early_is_no_error(repo):
    script = f"{' '.join(PROGRAM)} doctor --json | true"
    env = os.environ | WHERE
    done = subprocess.run(["bash", "-c", script], cwd=repo, env=env, capture_output=True, text=True, check=False)

    assert done.stderr == ""


def test_completion_is_offered(tmp_path):
    env = {"_GLUERUN_COMPLETE": "complete_bash", "COMP_WORDS": "gluerun re", "COMP_CWORD": "1"}

    assert {"reconcile", "recover"} <= set(gluerun(cwd=tmp_path, env=env).stdout.split())

"""The first files of a repository, and the doctor who looks at it, on real git."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.patience import PATIENCE

from gluerun import assets, settings, settings_schema
from gluerun.adapters.probe import probe_at
from gluerun.edge import doctor, setup
from gluerun.edge.doctor import Severity
from gluerun.errors import UsageError
from gluerun.records import taskfile

ENVIRON = {"PATH": "/usr/bin:/bin"}


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    return tmp_path


def init(folder: Path) -> setup.InitReport:
    return setup.init(probe_at(str(folder)))


def test_init_can_let_a_declared_program_play_every_role(repo):
    report = setup.init(probe_at(str(repo)), "claude")

    config = settings.load(repo, {}).config
    settings.require_actable(config)
    assert report.runner == "claude"
    assert set(config.roles.values()) == {"claude"}
    assert config.runners["claude"].declaration == "claude"


def test_init_with_a_runner_refuses_what_it_cannot_keep(repo):
    with pytest.raises(UsageError) as caught:
        setup.init(probe_at(str(repo)), "cluade")
    assert caught.value.hint == "did you mean `claude`?"
    assert not (repo / "gluerun.config.json").exists()
    init(repo)
    before = tree(repo)
    with pytest.raises(UsageError) as caught:
        setup.init(probe_at(str(repo)), "claude")
    assert caught.value.hint == 'add "runner": "claude" to it'
    assert tree(repo) == before


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- init -----------------------------------------------------------------------------------------------


def test_init_writes_files_that_the_engine_accepts(repo):
    report = init(repo)

    config = settings.load(repo, {}).config
    assert (config.target_branch, config.gate_command) == ("main", "false")
    assert set(report.written) == {
        "gluerun.config.json",
        "docs/orchestration/README.md",
        "docs/orchestration/dag.v0.json",
        "docs/orchestration/gluerun.config.schema.json",
        "docs/orchestration/tasks/TEMPLATE.md",
        ".gitignore",
    }
    template = (repo / "docs/orchestration/tasks/TEMPLATE.md").read_text()
    assert taskfile.parse(template, config).spec.owned_files == ("src/one_file.py", "tests")
    assert git(repo, "check-ignore", ".gluerun-state/x", ".worktrees/x", ".gluerun-evidence/x", ".gluerun-cache/x")


def test_a_second_init_changes_nothing(repo):
    init(repo)
    before = tree(repo)
    git(repo, "switch", "-q", "--detach")

    report = init(repo)

    assert report.written == ()
    assert {name: data for name, data in tree(repo).items() if not name.startswith(".git/")} == {
        name: data for name, data in before.items() if not name.startswith(".git/")
    }


def test_init_keeps_what_is_there(repo):
    (repo / ".gitignore").write_text("*.log\n/.worktrees")
    (repo / "gluerun.config.json").write_text("{}")

    report = init(repo)

    assert (repo / "gluerun.config.json").read_text() == "{}"
    ignored = (repo / ".gitignore").read_text().splitlines()
    missing = [".gluerun-state/", ".gluerun-evidence/", ".gluerun-cache/"]
    assert ignored == ["*.log", "/.worktrees", setup.BEGIN, *missing, setup.END]
    assert "gluerun.config.json" in report.kept


def test_init_mends_its_own_block_and_no_line_around_it(repo):
    init(repo)
    path = repo / ".gitignore"
    path.write_text(f"a\n{setup.BEGIN}\n.worktrees/\n{setup.END}\nb")

    init(repo)

    inner = ".worktrees/\n.gluerun-state/\n.gluerun-evidence/\n.gluerun-cache/"
    assert path.read_text() == f"a\n{setup.BEGIN}\n{inner}\n{setup.END}\nb"


def test_a_dry_init_says_what_it_would_write_and_writes_nothing(repo):
    (repo / "go.mod").write_text("module x\n")
    before = tree(repo)

    told = setup.init(probe_at(str(repo)), dry_run=True)

    assert tree(repo) == before
    done = init(repo)
    assert (told.written, told.kept, told.gate_command) == (done.written, done.kept, "go test ./...")


def test_init_proposes_areas_that_the_engine_accepts(repo):
    for name in ("engine/core/a.py", "web/b.ts", "docs/c.md", "node_modules/x/y.js", "top.py"):
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).write_text("")

    report = init(repo)

    assert report.areas == {"engine": ("engine",), "web": ("web",)}
    assert settings.load(repo, {}).config.areas == report.areas


def test_editors_find_the_schema_where_the_configuration_says(repo):
    init(repo)

    place = json.loads((repo / "gluerun.config.json").read_text())["$schema"]

    assert json.loads((repo / place).read_text()) == settings_schema.document()


def test_the_target_is_the_branch_that_the_origin_calls_its_own(repo):
    git(repo, "switch", "-q", "-c", "topic")
    git(repo, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(repo, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")

    assert init(repo).target_branch == "main"


def test_init_in_a_folder_of_a_repository_writes_at_its_top(repo):
    (repo / "src").mkdir()

    assert init(repo / "src").root == str(repo)
    assert (repo / "gluerun.config.json").is_file()


def test_init_in_a_new_repository_takes_the_branch_that_is_not_born_yet(tmp_path):
    git(tmp_path, "init", "-q", "-b", "trunk")

    assert init(tmp_path).target_branch == "trunk"


def test_init_refuses_where_it_makes_no_sense(repo, tmp_path_factory):
    git(repo, "switch", "-q", "--detach")
    with pytest.raises(UsageError, match="no branch is checked out"):
        init(repo)

    bare = tmp_path_factory.mktemp("bare")
    git(bare, "init", "-q", "--bare")
    with pytest.raises(UsageError, match="is bare"):
        init(bare)

    with pytest.raises(UsageError, match="not inside a git repository"):
        init(tmp_path_factory.mktemp("empty"))


GATES = [
    ({"pytest.ini": ""}, "pytest -q"),
    ({"pyproject.toml": "[tool.pytest.ini_options]\n"}, "pytest -q"),
    ({"pyproject.toml": "[project]\n", "tests/test_a.py": ""}, "pytest -q"),
    ({"setup.py": "", "tests/test_a.py": ""}, "pytest -q"),
    ({"pyproject.toml": "[project]\n"}, "false"),
    ({"package.json": '{"scripts": {"test": "vitest"}}'}, "npm test --silent"),
    ({"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'}, "false"),
    ({"package.json": "[]"}, "false"),
    ({"package.json": "{"}, "false"),
    ({"go.mod": "module x\n"}, "go test ./..."),
    ({"Cargo.toml": ""}, "cargo test -q"),
    ({"package.json": '{"scripts": {"test": "vitest"}}', "pnpm-lock.yaml": ""}, "pnpm test"),
    ({"pom.xml": ""}, "mvn -q test"),
    ({"build.gradle.kts": "", "gradlew": ""}, "./gradlew -q test"),
    ({"tox.ini": "[tox]\n"}, "tox -q"),
    ({"x.sln": ""}, "dotnet test"),
    ({"justfile": "test:\n\ttrue\n"}, "just test"),
    ({"go.mod": "", "Makefile": "test:\n"}, "go test ./..."),
    ({"Makefile": "all:\n\ntest: all\n\ttrue\n"}, "make test"),
    ({"Makefile": "test := 1\n"}, "false"),
    ({"Makefile": "tests:\n"}, "false"),
    ({}, "false"),
]


@pytest.mark.parametrize(("files", "command"), GATES, ids=[f"{[*files]} {command}" for files, command in GATES])
def test_the_gate_that_is_found(tmp_path, files, command):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    assert setup.detect_gate(tmp_path) == command


# --- doctor ---------------------------------------------------------------------------------------------


@pytest.fixture
def healthy(repo: Path) -> Path:
    """A repository in which the doctor finds nothing to say."""
    init(repo)
    (repo / "agent.sh").write_text("#!/bin/sh\n")
    (repo / "agent.sh").chmod(0o755)
    configure(repo, gateCommand="true", runners={"mine": {"argv": ["./agent.sh"]}}, runner="mine")
    return repo


def configure(repo: Path, **changes: Any) -> None:
    path = repo / "gluerun.config.json"
    document = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in document.items() if value is not None}))


def diagnose(repo: Path) -> dict[str, doctor.Check]:
    """Return what is not in order, by id."""
    checks = doctor.diagnose(str(repo), probe_at(str(repo)), ENVIRON)
    assert all(check.remedy for check in checks if check.severity is not Severity.OK)
    return {check.id: check for check in checks if check.severity is not Severity.OK}


def test_a_healthy_repository(healthy):
    before = tree(healthy)

    assert diagnose(healthy) == {}
    assert tree(healthy) == before, "the doctor only reads"


def spoil_schema(repo: Path) -> None:
    configure(repo, schemaVersion="v999")


def spoil_pin(repo: Path) -> None:
    (repo / ".gluerun-version").write_text("9.9.9\n")


def spoil_both_pins(repo: Path) -> None:
    (repo / ".gluerun-version").write_text(assets.engine_version())
    configure(repo, engineVersion="9.9.9")


def spoil_aliases(repo: Path) -> None:
    git(repo, "config", "alias.clean-up", "gc --prune=now")


def pushing(repo: Path) -> None:
    configure(repo, integration={"remote": "push"})


def seen_there(repo: Path, agreed: str, there: str) -> None:
    """Let the target be at its second commit, and the remote have been seen at *there* after *agreed*."""
    pushing(repo)
    git(repo, "remote", "add", "origin", "nowhere")
    git(repo, "commit", "-q", "--allow-empty", "-m", "second")
    git(repo, "commit", "-q", "--allow-empty", "-m", "third")
    for name, commit in (("agreed", agreed), ("there", there)):
        git(repo, "update-ref", f"refs/gluerun/outside/{name}/main", commit)
    git(repo, "reset", "-q", "--soft", "HEAD~1")


def spoil_attributes(*settings: tuple[str, str]) -> Any:
    def spoil(repo: Path) -> None:
        (repo / ".gitattributes").write_text("*.v merge=newest\n*.u merge=union\n*.bin filter=lfs merge=lfs\n")
        git(repo, "add", ".gitattributes")
        git(repo, "commit", "-q", "-m", "attributes")
        for key, value in settings:
            git(repo, "config", key, value)

    return spoil


def spoil_hooks(repo: Path) -> None:
    for name in ("pre-commit", "pre-push"):
        (repo / "hooks").mkdir(exist_ok=True)
        (repo / "hooks" / name).write_text("#!/bin/sh\n")
        (repo / "hooks" / name).chmod(0o755)
    git(repo, "config", "core.hooksPath", "hooks")


def spoil_expiry(repo: Path) -> None:
    git(repo, "config", "gc.pruneExpire", "now")


def spoil_worktrees(repo: Path) -> None:
    git(repo, "config", "gc.worktreePruneExpire", "now")


def spoil_logs(repo: Path) -> None:
    git(repo, "config", "gc.refs/heads/*.reflogExpireUnreachable", "now")


def spoil_lock(repo: Path) -> None:
    (repo / ".git/index.lock").touch()


def spoil_stop(repo: Path) -> None:
    (repo / ".gluerun-state").mkdir()
    (repo / ".gluerun-state/STOP").touch()


def spoil_editors(repo: Path) -> None:
    (repo / setup.SCHEMA).write_text("{}")


def spoil_ignore(repo: Path) -> None:
    (repo / ".gitignore").write_text(".worktrees/\n")


def spoil_task(repo: Path) -> None:
    (repo / "docs/orchestration/tasks/TASK-0001.md").write_text("# TASK-0001: x\n")


def spoil_graph(repo: Path) -> None:
    (repo / "docs/orchestration/dag.v0.json").write_text('{"schema": "gluerun.orchestration.dag.v0"}')


def spoil_agent(repo: Path) -> None:
    (repo / "agent.sh").chmod(0o644)


def spoil_age(repo: Path) -> None:
    (repo / "agent.sh").write_text("#!/bin/sh\necho agent 1.9.3\n")
    configure(repo, runners={"mine": {"argv": ["./agent.sh"], "version": ["./agent.sh"], "minVersion": "1.10"}})


ILLS = [
    (spoil_schema, "schema", Severity.FAIL, "this engine has"),
    (lambda repo: configure(repo, schemaVersion=None), "schema", Severity.WARN, "names no schemaVersion"),
    (spoil_pin, "pin", Severity.WARN, "wants gluerun 9.9.9"),
    (spoil_both_pins, "pin", Severity.WARN, "engineVersion"),
    (lambda repo: configure(repo, gateCommand="false"), "gate", Severity.FAIL, "still `false`"),
    (lambda repo: configure(repo, gateCommand=""), "gate", Severity.WARN, "each task needs its own"),
    (lambda repo: configure(repo, targetBranch=""), "target-branch", Severity.FAIL, "no target branch"),
    (lambda repo: configure(repo, targetBranch="nope"), "target-branch", Severity.FAIL, "no branch 'nope'"),
    (lambda repo: configure(repo, runner=None), "role.worker", Severity.WARN, "no runner plays the worker"),
    (lambda repo: configure(repo, gateComand="x"), "config", Severity.FAIL, "`gateComand` is no known key"),
    (lambda repo: configure(repo, minDiskGb=10**9), "disk", Severity.FAIL, "GB are free"),
    (lambda repo: configure(repo, provisionFiles=[{"source": "agent.sh"}]), "provision", Severity.FAIL, "not ignore"),
    (lambda repo: (repo / "gluerun.config.json").unlink(), "config", Severity.FAIL, "no gluerun.config.json"),
    (spoil_agent, "runner.mine", Severity.FAIL, "./agent.sh is not there or not executable"),
    (spoil_age, "runner.mine", Severity.FAIL, "./agent.sh 1.9.3 is older than 1.10"),
    (spoil_ignore, "ignore", Severity.FAIL, ".gluerun-state"),
    (lambda repo: configure(repo, modules=["guard.py"]), "module.guard.py", Severity.FAIL, "cannot be loaded"),
    (lambda repo: configure(repo, modules=["no.such"]), "module.no.such", Severity.FAIL, "ModuleNotFoundError"),
    (spoil_editors, "editor-schema", Severity.WARN, "is of another engine"),
    (pushing, "remote", Severity.WARN, "there is no remote"),
    (lambda repo: seen_there(repo, "HEAD", "HEAD"), "remote", Severity.WARN, "was moved back here"),
    (lambda repo: seen_there(repo, "HEAD~1", "HEAD~2"), "remote", Severity.WARN, "moved back or rewritten on its"),
    (lambda repo: git(repo, "config", "commit.gpgSign", "yes"), "signing", Severity.WARN, "is not signed"),
    (spoil_attributes(), "merge-driver", Severity.WARN, "the merge driver 'newest', which no configuration"),
    (spoil_attributes(), "filter", Severity.WARN, "the filter 'lfs', which no configuration"),
    (spoil_attributes(("filter.lfs.process", "no-such x")), "filter", Severity.WARN, "`no-such x`, which is not there"),
    (
        spoil_attributes(("filter.lfs.process", "no-such x"), ("filter.lfs.required", "true")),
        "filter",
        Severity.FAIL,
        "`no-such x`, which is not there",
    ),
    (spoil_aliases, "gc", Severity.WARN, "alias.clean-up"),
    (spoil_expiry, "gc", Severity.WARN, "gc.pruneexpire is now"),
    (spoil_worktrees, "gc", Severity.WARN, "gc.worktreepruneexpire is now"),
    (spoil_logs, "gc", Severity.WARN, "gc.refs/heads/*.reflogexpireunreachable is now"),
    (spoil_lock, "index-lock", Severity.WARN, "index.lock"),
    (spoil_stop, "stop", Severity.WARN, "STOP is set"),
    (spoil_task, "task", Severity.WARN, "Owned files"),
    (spoil_graph, "graph", Severity.FAIL, "dag.v0.json"),
]


@pytest.mark.parametrize(("spoil", "check", "severity", "words"), ILLS, ids=[f"{ill[1]} {ill[3]}" for ill in ILLS])
def test_the_doctor_sees(healthy, spoil, check, severity, words):
    spoil(healthy)

    found = diagnose(healthy)

    assert (found[check].severity, words in found[check].message) == (severity, True), found


def test_the_doctor_says_which_programs_of_git_run_and_which_do_not(healthy):
    spoil_hooks(healthy)
    spoil_attributes(("merge.newest.driver", "pick %A %B"))(healthy)

    checks = doctor.diagnose(str(healthy), probe_at(str(healthy)), ENVIRON)

    said = {check.id: (check.severity, check.message) for check in checks if check.id in ("hooks", "merge-driver")}
    hooks = "git's hooks pre-commit, pre-push are not run on what the engine commits, lands or pushes"
    assert said == {
        "hooks": (Severity.OK, f"{hooks}; let the gate run what they check"),
        "merge-driver": (Severity.OK, "merges are also decided by `pick %A %B` (merge.newest.driver), as git has it"),
    }


def test_the_doctor_says_nothing_of_a_remote_that_has_only_been_added_to(healthy):
    seen_there(healthy, "HEAD~2", "HEAD")

    assert "remote" not in diagnose(healthy)


def test_the_doctor_says_what_each_module_does(healthy):
    (healthy / "guard.py").write_text(
        "from gluerun.kit import hookimpl\n\n\n@hookimpl\ndef gluerun_told(event):\n    pass\n"
    )
    git(healthy, "add", "guard.py")
    git(healthy, "commit", "-q", "-m", "guard")
    (healthy / "guard.py").write_text("what an agent left here does not matter")
    configure(healthy, modules=["guard.py", "gluerun_ext.storage_proof"])

    checks = doctor.diagnose(str(healthy), probe_at(str(healthy)), ENVIRON)

    assert {check.id: check.message for check in checks if check.id.startswith("module.")} == {
        "module.guard.py": "loaded: gluerun_told",
        "module.gluerun_ext.storage_proof": "loaded: gluerun_check",
    }


def test_the_doctor_names_both_places_of_a_setting_and_the_one_that_wins(healthy):
    # FR-020, A41: two settings disagreed, and nobody was told which of them counted.
    configure(healthy, maxRetries=3, env={"GLUERUN_MAX_RETRIES": "5", "GLUERUN_SLEEP": "9"}, maxHours=12)
    (healthy / "gluerun.config.sh").write_text("GLUERUN_MAX_HOURS=8\n")
    environ = {**ENVIRON, "GLUERUN_MAX_HOURS": "1", "GLUERUN_SLEEP": "9"}

    found = doctor.diagnose(str(healthy), probe_at(str(healthy)), environ)

    said = [re.sub(r":[0-9]+", "", one.message) for one in found if one.id == "config-conflict"]
    assert said == [
        "maxHours is 1.0 by environment, GLUERUN_MAX_HOURS, which wins over 12.0 by file, gluerun.config.json "
        "and over 8.0 by file, gluerun.config.sh",
        "maxRetries is 3 by file, gluerun.config.json, which wins over 5 by file, gluerun.config.json",
    ]
    # What the doctor says is what a cycle does: a variable for one command is never lost.
    assert settings.load(healthy, environ).config.max_hours == 1.0
    assert {one.severity for one in found if one.id == "config-conflict"} == {Severity.WARN}


def test_what_the_doctor_says_of_a_setting_that_prunes_mends_it(healthy):
    spoil_expiry(healthy)

    subprocess.run(diagnose(healthy)["gc"].command.split(), cwd=healthy, check=True)

    assert "gc" not in diagnose(healthy)


def test_a_program_on_the_path_is_found(healthy):
    configure(healthy, runners={"mine": {"argv": ["git"]}, "other": {"argv": ["no-such-program"]}})

    assert [*diagnose(healthy)] == ["runner.other"]


def test_the_doctor_without_git(tmp_path):
    checks = doctor.diagnose(str(tmp_path), lambda _: (127, ""), ENVIRON)

    assert {"git", "repository"} <= {check.id for check in checks if check.severity is Severity.FAIL}
    assert doctor.worst(checks) is Severity.FAIL


def test_a_hook_of_another_repository_does_not_mislead(healthy, monkeypatch):
    monkeypatch.setenv("GIT_DIR", "nowhere")

    assert diagnose(healthy) == {}


def test_a_probe_survives_what_it_asks(tmp_path):
    ask = probe_at(str(tmp_path), limit=PATIENCE)

    assert ask(("no-such-program",))[0] == 127
    assert probe_at(str(tmp_path), limit=0.2)(("sleep", "600"))[0] == 124
    assert ask(("sh", "-c", "echo no >&2; exit 3")) == (3, "no")


# --- a crash at any point --------------------------------------------------------------------------------

CHANGES = ("open", "os.mkdir", "os.link", "os.rename", "os.remove")


def init_and_die(folder: Path, step: int) -> int:
    """Run `init` in a fork that dies at its *step*-th change of a file there; return the fork's exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seen = 0

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal seen
        reads = event == "open" and not (args[2] or 0) & (os.O_WRONLY | os.O_RDWR)
        if event in CHANGES and not reads and str(args[0]).startswith(str(folder)):
            seen += 1
            if seen == step:
                os._exit(9)

    sys.addaudithook(hook)
    init(folder)
    os._exit(0)


def starters(folder: Path) -> dict[str, bytes]:
    """Return the files that stand in a repository, beside git's own."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and ".git" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if not path.name.endswith(".tmp")}


def test_an_init_that_is_cut_off_anywhere_is_completed_by_the_next(tmp_path):
    ends = {}
    for step in range(1, 100):
        folder = tmp_path / f"r{step}"
        folder.mkdir()
        git(folder, "init", "-q", "-b", "main")
        code = init_and_die(folder, step)
        init(folder)
        ends[step] = starters(folder)
        if code == 0:
            break

    assert len(ends) > 10
    assert [step for step, files in ends.items() if files != ends[len(ends)]] == []

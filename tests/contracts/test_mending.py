"""Problem, the command that the doctor names, no problem: for every check that a command can mend."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.patience import PATIENCE

from gluerun import assets
from gluerun.adapters.files import DiskFiles
from gluerun.adapters.probe import probe_at
from gluerun.edge import doctor, setup
from gluerun.edge.doctor import Severity
from gluerun.errors import ConfigError, UsageError
from gluerun.loop.journal import PATH, Journal
from gluerun.records import codec

ENGINE = Path(__file__).resolve().parents[2] / "engine"
ENVIRON = {"PATH": os.environ["PATH"]}


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def configure(repo: Path, **changes: object) -> None:
    path = repo / "gluerun.config.json"
    document = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in document.items() if value is not None}))


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository in which the doctor finds nothing to say."""
    root = tmp_path / "repo"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    git(root, "-c", "user.name=u", "-c", "user.email=u@example.invalid", "commit", "-q", "--allow-empty", "-m", "first")
    setup.init(probe_at(str(root)))
    (root / "Makefile").write_text("test:\n\ttrue\n")
    (root / "agent.sh").write_text("#!/bin/sh\n")
    (root / "agent.sh").chmod(0o755)
    configure(root, gateCommand="true", runners={"mine": {"argv": ["./agent.sh"]}}, runner="mine")
    assert ills(root) == {}
    return root


def ills(root: Path) -> dict[str, doctor.Check]:
    checks = doctor.diagnose(str(root), probe_at(str(root)), ENVIRON)
    return {check.id: check for check in checks if check.severity is not Severity.OK}


def told(root: Path, count: int = 4) -> Path:
    """A journal with some events; return its file."""
    (root / ".gluerun-state").mkdir(exist_ok=True)
    journal = Journal(DiskFiles(str(root / ".gluerun-state")))
    for number in range(count):
        journal.tell(codec.moment("2026-01-31T12:00:00+00:00"), "test.line", f"line {number}")
    journal.flush()
    return root / ".gluerun-state" / PATH


def tear(repo: Path) -> None:
    path = told(repo)
    path.write_bytes(path.read_bytes() + b'{"data":{')


def break_chain(repo: Path) -> None:
    path = told(repo)
    path.write_bytes(path.read_bytes().replace(b"line 1", b"line 7"))


def take_first_away(repo: Path) -> None:
    path = told(repo)
    path.write_bytes(path.read_bytes().partition(b"\n")[2])


def pin(repo: Path) -> None:
    (repo / ".gluerun-version").write_text("9.9.9\n")


def pin_both(repo: Path) -> None:
    (repo / ".gluerun-version").write_text(assets.engine_version())
    configure(repo, engineVersion="9.9.9")


def come_from_elsewhere(repo: Path) -> None:
    configure(repo, runners=None, runner=None)
    prompts = repo / "docs/orchestration/prompts"
    prompts.mkdir(exist_ok=True)
    (prompts / "l0-origin.md").write_text("Propose small tasks.\n")


def set_twice(repo: Path) -> None:
    configure(repo, maxRetries=3)
    (repo / "gluerun.config.sh").write_text("GLUERUN_MAX_RETRIES=7\n")


def been_here(repo: Path) -> Path:
    """What a first cycle leaves, without what it holds back."""
    configure(repo, minDiskGb=0)
    (repo / ".gluerun-state").mkdir()
    (repo / ".gluerun-state/host.json").write_text("{}")
    return repo / ".gluerun-state"


def set_stop(repo: Path) -> None:
    (repo / ".gluerun-state").mkdir()
    (repo / ".gluerun-state/STOP").touch()


def shallow(repo: Path) -> None:
    for number in range(3):
        git(repo, "-c", "user.name=u", "-c", "user.email=u@example.invalid", "commit", "-q", "--allow-empty",
            "-m", f"more {number}")  # fmt: skip
    origin = repo.with_name("origin")
    repo.rename(origin)
    git(origin.parent, "clone", "-q", "--depth", "1", f"file://{origin}", str(repo))
    for name in ("gluerun.config.json", "agent.sh", "Makefile", ".gitignore"):
        shutil.copy(origin / name, repo / name)
    shutil.copytree(origin / "docs", repo / "docs")


def spare_no_branch(repo: Path) -> None:
    shutil.rmtree(repo / ".git")
    git(repo, "init", "-q", "-b", "main")
    git(repo, "config", "user.name", "u")
    git(repo, "config", "user.email", "u@example.invalid")


ILLS = {
    "journal, torn": ("journal", tear),
    "journal, broken": ("journal", break_chain),
    "journal, its first line gone": ("journal", take_first_away),
    "schema, not named": ("schema", lambda repo: configure(repo, schemaVersion=None)),
    "schema, another": ("schema", lambda repo: configure(repo, schemaVersion="v999")),
    "schema, of the predecessor": ("schema", come_from_elsewhere),
    "pin, in its file": ("pin", pin),
    "pin, in the configuration": ("pin", lambda repo: configure(repo, engineVersion="9.9.9")),
    "pin, twice": ("pin", pin_both),
    "config, gone": ("config", lambda repo: (repo / "gluerun.config.json").unlink()),
    "config, a strange key": ("config", lambda repo: configure(repo, gateComand="x")),
    "config, twice": ("config-conflict", set_twice),
    "target, none": ("target-branch", lambda repo: configure(repo, targetBranch="")),
    "target, no such branch": ("target-branch", lambda repo: configure(repo, targetBranch="next")),
    "target, no commit": ("target-branch", spare_no_branch),
    "gate, none": ("gate", lambda repo: configure(repo, gateCommand="")),
    "gate, false": ("gate", lambda repo: configure(repo, gateCommand="false")),
    "runner, not executable": ("runner.mine", lambda repo: (repo / "agent.sh").chmod(0o644)),
    "roles, nobody": ("role.worker", lambda repo: configure(repo, runner=None)),
    "roles, no auditor": (
        "role.auditor", lambda repo: configure(repo, runner=None, roles={"worker": {"runner": "mine"}})
    ),
    "provision, not ignored": ("provision", lambda repo: configure(repo, provisionFiles=[{"source": "agent.sh"}])),
    "disk": ("disk", lambda repo: configure(repo, minDiskGb=10**9)),
    "ballast, none": ("ballast", been_here),
    "ballast, too small": ("ballast", lambda repo: (been_here(repo) / "ballast").write_bytes(b"16")),
    "ignore": ("ignore", lambda repo: (repo / ".gitignore").write_text(".worktrees/\n")),
    "gc, expiry": ("gc", lambda repo: git(repo, "config", "gc.pruneExpire", "now")),
    "gc, alias": ("gc", lambda repo: git(repo, "config", "alias.clean-up", "gc --prune=now")),
    "index lock": ("index-lock", lambda repo: (repo / ".git/index.lock").touch()),
    "stop": ("stop", set_stop),
    "shallow": ("shallow", shallow),
}  # fmt: skip


@pytest.fixture
def typed(tmp_path: Path):
    """Type a command as a person would, with this engine as `gluerun`."""
    program = tmp_path / "bin" / "gluerun"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ENGINE}" exec "{sys.executable}" -P -m gluerun "$@"\n')
    program.chmod(0o755)
    env = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}

    def type_it(command: str, at: Path) -> subprocess.CompletedProcess[str]:
        argv = ["sh", "-c", command]
        return subprocess.run(argv, cwd=at, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)

    return type_it


@pytest.mark.parametrize("name", ILLS)
def test_the_command_that_the_doctor_names_mends_it(repo, typed, name):
    check, spoil = ILLS[name]
    spoil(repo)
    seen = ills(repo)[check]
    assert seen.command, seen

    done = typed(seen.command, repo)

    left = ills(repo)
    assert check not in left, (done.stdout, done.stderr)


def test_every_check_that_names_a_command_is_played_here(repo):
    """A command that nobody has typed is a promise that nobody has kept."""
    source = Path(doctor.__file__).read_text(encoding="utf-8")
    named = {check for check, _ in ILLS.values()}
    out_of_reach = {"state", "repository"}  # root may write anywhere; the next test makes the repository

    for check in ("journal", "schema", "pin", "config", "target-branch", "gate", "provision", "disk", "ignore", "gc",
                  "index-lock", "stop", "shallow", "role.worker", "role.auditor",
                  "config-conflict"):  # fmt: skip
        assert f'"{check}"' in source
        assert check in named | out_of_reach


def test_a_folder_that_is_no_repository_becomes_one(tmp_path, typed, monkeypatch):
    # Whatever repository the temporary folders may lie in is not meant.
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    empty = tmp_path / "nothing"
    empty.mkdir()
    seen = ills(empty)["repository"]

    typed(seen.command, empty)

    assert seen.severity is Severity.FAIL
    assert "repository" not in ills(empty)


def test_a_key_is_set_only_to_what_can_be_used(repo):
    before = (repo / "gluerun.config.json").read_bytes()

    with pytest.raises(ConfigError):
        setup.set_key(str(repo), "maxRetries", '"many"')
    with pytest.raises(UsageError, match="gateComand"):
        setup.set_key(str(repo), "gateComand", "x")
    with pytest.raises(UsageError, match="no key"):
        setup.set_key(str(repo), "maxRetries", None)
    assert (repo / "gluerun.config.json").read_bytes() == before

    setup.set_key(str(repo), "maxRetries", "2")
    setup.set_key(str(repo), "gateCommand", "true")

    document = json.loads((repo / "gluerun.config.json").read_text())
    assert (document["maxRetries"], document["gateCommand"]) == (2, "true")
    assert [*document][:2] == [*json.loads(before)][:2]

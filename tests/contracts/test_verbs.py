"""Asking what a verb does, and what it would do, does nothing."""

from __future__ import annotations

import io
import json
import os
import pwd
import subprocess
from contextlib import redirect_stderr, redirect_stdout

import pytest

from gluerun.adapters.files import DiskFiles
from gluerun.cli import main
from gluerun.cli.verbs import SECTIONS, VERBS
from gluerun.core.humangates import default_refs
from gluerun.loop.store import Store
from gluerun.records import schema
from gluerun.records.approval import Approval, ApprovalState, Bound, Point
from gluerun.records.fault import Fault
from gluerun.records.flake import Flake, Flakes, Quarantine
from gluerun.records.graph import Graph, HumanGate, Node
from gluerun.records.origin import ProviderBackoff
from gluerun.records.record import replace
from gluerun.sim.clock import SimClock

ONE, TWO, THREE, FOUR = "TASK-0001", "TASK-0002", "TASK-0003", "TASK-0004"
NAMES = [verb.name for verb in VERBS if verb.module]
CONFIG = {
    "schemaVersion": "v1",
    "targetBranch": "main",
    "gateCommand": "true",
    "runner": "script",
    "runners": {"script": {"kind": "scripted", "scenario": "none.json", "timeoutSeconds": 60}},
    "minDiskGb": 0,
}
# What stands behind each verb that can say what it would do.
WOULD = {
    "reconcile": (),
    "drive": (TWO,),
    "integrate": (),
    "gc": (),
    "stop": (),
    "resume": (),
    "wake": (),
    "park": (TWO,),
    "unpark": (ONE,),
    "retry": (ONE, "--reason", "again"),
    "cancel": (TWO,),
    "supersede": (TWO, "--by", ONE),
    "reprioritize": (TWO, "3"),
    "breaker reset": (),
    "clear-backoff": ("--all",),
    "approve": (THREE,),
    "reject": ("APR-0001", "--reason", "no"),
    "approval renew": (FOUR,),
    "human-gate request": ("api", "--owner", "me", "--question", "ok=Is it?", "--artifact", "plan.md", "--again"),
    "human-gate approve": ("web", "--answer", "ok=yes"),
    "human-gate reject": ("web", "--reason", "no"),
    "flake quarantine": ("unit", "sums::adds", "--owner", "ada", "--days", "7"),
    "flake release": ("unit", "sums::carries"),
    "init": (),
    "plan": ("core",),
    "import": ("todo.md", "--owned", "src/todo", "--accept", "done"),
    "timer install": (),
    "timer remove": (),
    "update": ("1.0",),
    "migrate": (),
}


def typed(*words):
    """Type a command; return its exit code and what it says."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main.run(list(words))
    return code, said.getvalue()


def state(folder):
    """Return what tells every file and folder from any other version of it."""
    found = {}
    for top, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            stat = os.lstat(f"{top}/{name}")
            found[f"{top}/{name}"] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A repository with a parked task, one that is ready, and a provider that is held back."""
    folder = tmp_path_factory.mktemp("verbs") / "repo"
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "first"], cwd=folder, check=True)
    before = os.getcwd()
    os.chdir(folder)
    try:
        (folder / "gluerun.config.json").write_text(json.dumps(CONFIG))
        (folder / "todo.md").write_text("- [ ] Say hello\n")
        plain = {"stage": "build", "area": "src", "layer": "code", "kind": "feature", "required_completion": "all"}
        core = Node(id="core", depends_on=(), **plain)
        gates = {name: HumanGate(**dict(zip(("request_ref", "approval_ref"), default_refs(name), strict=True)))
                 for name in ("api", "web")}  # fmt: skip
        nodes = (core, *(replace(core, id=name, human_gate=gate) for name, gate in gates.items()))
        DiskFiles(str(folder)).write("docs/orchestration/dag.v0.json", schema.dump(Graph(nodes=nodes)))
        for name in ("one", "two", "three", "four"):
            new = ("task", "new", "--title", name, "--objective", name, "--owned", f"src/{name}", "--accept", name)
            assert typed(*new)[0] == 0
        assert typed("reconcile", "--apply")[0] == 0
        assert typed("park", ONE)[0] == 0
        now = SimClock().now()
        run = "RUN-20260101T000000Z-00000000"
        held = ProviderBackoff(provider="one", fault=Fault.OVERLOAD, reason="-", run_id=run, started_at=now, until=now)
        store = Store(DiskFiles(str(folder / ".gluerun-state")))
        store.put_provider_backoff(held)
        sick = Flake(gate="unit", test="sums::adds", seen=2, runs=9, first_seen=now, last_seen=now)
        kept = Quarantine(owner="ada", by="me", order="ORD", since=now, expires_at=now)
        store.put_flakes(Flakes(flakes=(sick, replace(sick, test="sums::carries", quarantine=kept))))
        for number, task_id, until in ((1, THREE, None), (2, FOUR, now)):
            bound = Bound(source_sha256=store.live_task(task_id).source_sha256)
            store.put_approval(
                Approval(id=f"APR-{number:04d}", point=Point.PLAN, task_id=task_id, epoch=0, bound=bound, asked_at=now,
                         state=ApprovalState.WAITING, expires_at=until, questions=("Why?",) if until else ())
            )  # fmt: skip
        (folder / "plan.md").write_text("the plan")
        asked = ("--owner", pwd.getpwuid(os.getuid()).pw_name, "--question", "ok=Is it?", "--artifact", "plan.md")
        assert typed("human-gate", "request", "web", *asked)[0] == 0
        yield folder
    finally:
        os.chdir(before)


@pytest.fixture
def repo(folder, monkeypatch):
    engine = folder.with_name("engines") / "versions" / "1.0"
    (engine / "bin").mkdir(parents=True, exist_ok=True)
    (engine / "bin" / "python").write_text('#!/bin/sh\necho \'{"schema": "v1"}\'\n')
    (engine / "bin" / "python").chmod(0o755)
    (engine / ".complete").touch()
    monkeypatch.setenv("GLUERUN_HOME", str(engine.parent.parent))
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_asking_for_help_does_nothing(name, repo):  # FR-046
    before = state(repo)

    code, said = typed(*name.split(), "--help")

    assert (code, said.startswith(f"Usage: gluerun {name}")) == (0, True)
    assert state(repo) == before


def test_every_verb_that_can_say_what_it_would_do_is_tried_below():
    assert {name for name in NAMES if "--dry-run" in typed(*name.split(), "--help")[1]} == set(WOULD)


@pytest.mark.parametrize("name", WOULD)
def test_saying_what_would_be_done_does_nothing(name, repo):
    before = state(repo)

    for options in (("--dry-run",), ("--dry-run", "--json")):
        code, said = typed(*name.split(), *WOULD[name], *options)
        assert code == 0, said

    assert state(repo) == before


@pytest.mark.parametrize(
    "name",
    [
        "approve",
        "reject",
        "approval renew",
        "human-gate approve",
        "human-gate reject",
        "flake quarantine",
        "flake release",
    ],
)
def test_no_agent_decides_what_a_person_is_asked(name, repo, monkeypatch):
    monkeypatch.setenv("GLUERUN_RUN", "RUN-20260101T000000Z-00000000")

    code, said = typed(*name.split(), *WOULD[name], "--dry-run")

    assert (code, "an agent cannot decide this" in said) == (2, True)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("park", ONE), 3, "TASK-0001 is parked already"),
        (("unpark", TWO), 2, "TASK-0002 is not parked, it is ready"),
        (("retry", "TASK-0009"), 2, "there is no task 'TASK-0009'"),
        (("cancel", "x"), 2, "there is no task 'x'"),
        (("supersede", TWO, "--by", TWO), 2, "TASK-0002 cannot take its own place"),
        (("reprioritize", TWO, "high"), 2, "invalid value for 'n'"),
        (("clear-backoff", "two"), 2, "'two' is not held back"),
        (("clear-backoff", "one", "--all"), 2, "a provider and --all are two answers"),
        (("stop", "--timeout", "3"), 2, "--timeout is for --wait"),
        (("approve", TWO), 2, "nobody is asked about TASK-0002"),
        (("approve", "APR-0009"), 2, "there is no request APR-0009"),
        (("approve", "yes"), 2, "'yes' is neither a request nor a task"),
        (("approve", "APR-0002"), 2, "APR-0002 expired at"),
        (("approve", "APR-0001", "--answer", "Who=me"), 2, "APR-0001 does not ask 'Who'"),
        (("approve", "APR-0001", "--answer", "y"), 2, "'y' is no answer"),
        (("reject", "APR-0001"), 2, "a rejection needs a reason"),
        (("approval", "renew", "APR-0001"), 2, "APR-0001 still waits for an answer"),
        (("approval", "show", "APR-0003"), 2, "there is no request APR-0003"),
        (("approval", "show", "APR-0001", "--html", "none/x.html"), 2, "none/x.html cannot be written"),
        (("human-gate", "approve", "api", "--answer", "ok=yes"), 2, "api cannot be decided: nobody was asked"),
        (("human-gate", "approve", "web"), 2, "web also asks ok"),
        (("human-gate", "reject", "web"), 2, "a rejection needs a reason"),
        (
            ("human-gate", "request", "cor", "--owner", "me", "--question", "a=b", "--artifact", "x"),
            2,
            "no node 'cor'",
        ),
        (("human-gate", "status", "api"), 1, "api: not approved: nobody was asked"),
        (("flake", "quarantine", "unit", "sums::adds", "--days", "7"), 2, "somebody has to see to it"),
        (("flake", "quarantine", "unit", "sums::adds", "--owner", "ada"), 2, "0 is no number of days"),
        (("flake", "quarantine", "unit", "sums::ads", "--owner", "a", "--days", "91"), 2, "91 is no number of days"),
        (
            ("flake", "quarantine", "unit", "sums::ads", "--owner", "a", "--days", "9"),
            2,
            "did you mean unit: sums::adds",
        ),
        (("flake", "quarantine", "unit", "", "--owner", "a", "--days", "9"), 2, "a whole gate cannot be put into"),
        (("flake", "release", "unit", "sums::adds"), 2, "unit: sums::adds is in no quarantine"),
        (("flake", "release", "lint", "sums::adds"), 2, "lint: sums::adds has never flaked here"),
        (("lease", "show", TWO), 2, "nobody holds TASK-0002, it is ready"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_no_byte(words, code, sentence, repo):
    before = state(repo)

    found, said = typed(*words)

    assert (found, sentence.lower() in said.lower()) == (code, True), said
    assert len(said.splitlines()) <= 2
    assert state(repo) == before


def test_every_verb_stands_under_one_heading_and_the_first_steps_come_first():
    listed = [name for _, names in SECTIONS for name in names]
    code, said = typed("--help")

    assert sorted(listed) == sorted(NAMES)
    assert code == 0
    assert "\nMore:\n" not in said
    places = [said.index(f"\n{heading}:\n") for heading, _ in SECTIONS]
    assert places == sorted(places)
    assert SECTIONS[0][0] == "Start here"

"""Every verb against everything that may be wrong: one sentence, one hint, the documented code, and no byte changed."""

from __future__ import annotations

import io
import json
import os
import pwd
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from jsonschema import Draft7Validator

from gluerun.adapters.clock import MachineClock
from gluerun.adapters.files import DiskFiles
from gluerun.adapters.locks import FlockLocks
from gluerun.cli import main
from gluerun.cli.verbs import VERBS
from gluerun.core.humangates import default_refs
from gluerun.loop.store import Store
from gluerun.records import schema
from gluerun.records.approval import Approval, ApprovalState, Bound, Point
from gluerun.records.fault import Fault
from gluerun.records.flake import Flake, Flakes, Quarantine
from gluerun.records.graph import Graph, HumanGate, Node
from gluerun.records.origin import Host, OriginHolder, ProviderBackoff
from gluerun.records.record import replace

CHECKOUT = Path(__file__).resolve().parents[2]
PARKED, READY, GONE, WAITS, LATE = "TASK-0001", "TASK-0002", "TASK-0003", "TASK-0004", "TASK-0005"
ERROR = Draft7Validator(json.loads((CHECKOUT / "schemas/cli/error.v0.schema.json").read_text(encoding="utf-8")))
CONFIG = {
    "schemaVersion": "v1",
    "targetBranch": "main",
    "gateCommand": "true",
    "runner": "script",
    "runners": {"script": {"kind": "scripted", "scenario": "none.json", "timeoutSeconds": 60}},
    "minDiskGb": 0,
}
# What a verb does: `look` and change nothing; write `files` of yours without a lock; give an `order`, which waits in
# the inbox while somebody else is at work; `act` under the lock; or have nothing to do with this repository: `apart`.
LOOK, FILES, ORDER, ACT, APART = "look", "files", "order", "act", "apart"


class Row(NamedTuple):
    """How a verb is typed, what it does, and its words with an id that nobody knows."""

    words: str
    does: str
    unknown: str = ""
    # Exit codes where it goes on although something is wrong, by the kind of wrong.
    still: tuple[tuple[str, int], ...] = ()


# Before the configuration is looked at: what mends it, and what has no use for it.
# `doctor` tells what is wrong as its answer.
_SAYS_NO = tuple((where, 1) for where in ("outside", "bare", "run", "json", "key"))
_ANY_CONFIG = (("json", 0), ("key", 0))
_ASKED = "--owner me --question ok=Well? --artifact todo.md"
# A table is read by column.
# fmt: off
ROWS = {
    "init":          Row("", FILES, "--runner clod", (*_ANY_CONFIG,)),
    "doctor":        Row("", LOOK, "--runner clod", _SAYS_NO),
    "config show":   Row("", LOOK, "maxRetrys"),
    "config set":    Row("maxRetries 4", FILES, "maxRetrys 4", (("key", 0),)),
    "config unset":  Row("minDiskGb", FILES, "maxRetries", (("key", 0),)),
    "runners":       Row("", LOOK, "", tuple((where, 0) for where in ("outside", "bare", "run"))),
    "task list":     Row("", LOOK),
    "task show":     Row(READY, LOOK, "TASK-0099"),
    "task new":      Row("--title x --objective x --owned src/x --accept x", FILES, "--from-file gone.md"),
    "import":        Row("todo.md --owned src/todo --accept done", ACT, "gone.md"),
    "plan":          Row("core", ACT, "cor"),
    "reconcile":     Row("--apply", ACT),
    "drive":         Row(READY, ACT, "TASK-0099"),
    "auto":          Row("--once", ACT),
    "status":        Row("", LOOK),
    "explain":       Row(READY, LOOK, "TASK-0099"),
    "logs":          Row(READY, LOOK, "TASK-0099"),
    "health":        Row("", LOOK),
    "queue":         Row("", LOOK),
    "receipts":      Row("HEAD", LOOK, "no-such-thing"),
    "flakes":        Row("", LOOK),
    "flake quarantine": Row("unit sums::adds --owner ada --days 7", ORDER, "unit sums::ads --owner ada --days 7"),
    "flake release": Row("unit sums::carries", ORDER, "unit sums::adds"),
    "whatif":        Row("", LOOK, "--slots 99"),
    "gates":         Row("", LOOK),
    "integrate":     Row("", ACT),
    "prove":         Row("merge", ACT, "mrege"),
    "recover":       Row("", ACT),
    "validate-dag":  Row("", LOOK, "", _ANY_CONFIG),
    "next-area":     Row("", LOOK),
    "next-areas":    Row("", LOOK),
    "node-fields":   Row("core", LOOK, "cor"),
    "area-gate":     Row("core", LOOK, "cor"),
    "promote-gate":  Row("core", ACT, "cor"),
    "graph":         Row("", LOOK),
    "watch":         Row("", LOOK),
    "report":        Row("", LOOK, "--since soon"),
    "timer install": Row("", APART, "--every 7weeks"),
    "timer show":    Row("", LOOK, "", _ANY_CONFIG),
    "timer remove":  Row("--dry-run", LOOK, "", _ANY_CONFIG),
    "stop":          Row("", ORDER),
    "resume":        Row("", ORDER),
    "wake":          Row("", ORDER),
    "park":          Row(READY, ORDER, "TASK-0099"),
    "unpark":        Row(PARKED, ORDER, "TASK-0099"),
    "retry":         Row(f"{PARKED} --reason again", ORDER, "TASK-0099 --reason again"),
    "cancel":        Row(READY, ORDER, "TASK-0099"),
    "supersede":     Row(f"{READY} --by {PARKED}", ORDER, f"{READY} --by TASK-0099"),
    "reprioritize":  Row(f"{READY} 3", ORDER, "TASK-0099 3"),
    "approvals":     Row("", LOOK),
    "approval show": Row("APR-0001", LOOK, "APR-0099"),
    "approve":       Row("APR-0001", ORDER, "APR-0099"),
    "reject":        Row("APR-0001 --reason no", ORDER, "APR-0099 --reason no"),
    "approval renew": Row("APR-0002", ORDER, "APR-0099"),
    "human-gate request": Row(f"api {_ASKED}", ORDER, f"cor {_ASKED}"),
    "human-gate status": Row("web", LOOK, "cor"),
    "human-gate approve": Row("web --answer ok=yes", ORDER, "cor --answer ok=yes"),
    "human-gate reject": Row("web --reason no", ORDER, "cor --reason no"),
    "breaker show":  Row("", LOOK),
    "breaker reset": Row("", ORDER),
    "clear-backoff": Row("--all", ORDER, "nobody"),
    "lease list":    Row("", LOOK),
    "lease show":    Row(READY, LOOK, "TASK-0099"),
    "costs":         Row("", LOOK, "--since soon"),
    "rescue list":   Row("", LOOK),
    "rescue show":   Row("refs/gluerun/rescue/one", LOOK, "TASK-0099"),
    "rescue restore": Row("refs/gluerun/rescue/one --branch back", FILES, "TASK-0099 --branch back"),
    "gc":            Row("", ACT),
    "verify":        Row("", LOOK, "0123456789"),
    "backtest":      Row("--last 1", APART, "--range gone..HEAD"),
    "demo":          Row("", APART, "--runner clod"),
    "update":        Row("1.0", FILES, "9.9", (("key", 0),)),
    "migrate":       Row("--dry-run", LOOK, "", (("key", 0),)),
    "version":       Row("", APART, "", tuple((where, 0) for where in ("outside", "bare", "run", "json", "key"))),
}
# fmt: on
# In the wrong state: what is typed, its code, and words of the sentence.
WRONG = [
    (("park", PARKED), 3, "TASK-0001 is parked already"),
    (("unpark", READY), 2, "TASK-0002 is not parked, it is ready"),
    (("retry", READY), 2, "TASK-0002 has not failed, it is ready"),
    (("cancel", GONE), 3, "TASK-0003 is cancelled"),
    (("park", GONE), 3, "TASK-0003 is cancelled"),
    (("unpark", GONE), 3, "TASK-0003 is cancelled"),
    (("retry", GONE), 3, "TASK-0003 is cancelled"),
    (("reprioritize", GONE, "3"), 3, "TASK-0003 is cancelled"),
    (("supersede", GONE, "--by", READY), 3, "TASK-0003 is cancelled"),
    (("supersede", READY, "--by", READY), 2, "cannot take its own place"),
    (("reprioritize", READY, "high"), 2, "invalid value for 'N'"),
    (("approve", "APR-0002"), 2, "APR-0002 expired at"),
    (("approve", READY), 2, "nobody is asked about TASK-0002"),
    (("reject", "APR-0001"), 2, "a rejection needs a reason"),
    (("approve", "APR-0001", "--answer", "y"), 2, "'y' is no answer"),
    (("human-gate", "approve", "api", "--answer", "ok=yes"), 2, "nobody was asked"),
    (("human-gate", "approve", "web"), 2, "web also asks ok"),
    (("promote-gate", "core"), 2, "core cannot be completed"),
    (("node-fields", "later"), 2, "it waits for core"),
    (("lease", "show", READY), 2, "nobody holds TASK-0002, it is ready"),
    (("rescue", "show", READY), 2, "names no rescue"),
    (("rescue", "restore", "refs/gluerun/rescue/one"), 2, "say where it should go, in one way"),
    (("rescue", "restore", "refs/gluerun/rescue/one", "--branch", "main"), 2, "main"),
    (("config", "set", "maxRetries", "many"), 2, "maxRetries"),
    (("config", "show", "maxRetrys"), 2, "maxRetrys"),
    (("task", "new"), 2, "title"),
    (("task", "new", "--title", "x"), 2, "Owned files"),
    (("task", "new", "--title", "x", "--approval", "allways"), 2, "'allways' is no answer to --approval"),
    (("task", "new", "--title", "x", "--approve-plan", "Risk"), 2, "'Risk' is no answer to --approve-plan"),
    (("task", "show", "one"), 2, "'one' is no task id"),
    (("explain", "one"), 2, "'one' is no task id"),
    (("drive", "one"), 2, "'one' is no task id"),
    (("import", "empty.md"), 2, "empty.md"),
    (("init", "--runner", "claude"), 2, "gluerun.config.json is there already"),
    (("timer", "install", "--every", "7weeks"), 2, "7weeks"),
    (("reconcile", "--apply", "--drain"), 2, "one mode at a time"),
    (("recover", "--yes"), 2, "--yes is for --take-over"),
    (("clear-backoff", "one", "--all"), 2, "two answers"),
    (("stop", "--timeout", "3"), 2, "--timeout is for --wait"),
    (("graph", "--mermaid", "--svg", "x.svg"), 2, "one form at a time"),
    (("graph", "--svg", "gone/x.svg"), 2, "no file can be written there"),
    (("watch",), 2, "needs a terminal"),
    (("--set", "maxRetrys=3", "status"), 2, "no such setting"),
    (("--set", "maxRetries", "status"), 2, "there is no value"),
    (("--repo", "gone", "status"), 2, "no such folder"),
    (("statsu",), 2, "there is no verb 'statsu'"),
    (("console",), 2, "not built yet"),
]  # fmt: skip


class Said(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str


def typed(*words: str) -> Said:
    """Type a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main.run(list(words))
    return Said(code, out.getvalue(), err.getvalue())


def content(folder: Path) -> dict[str, bytes | str]:
    """Return every byte below a folder, but for the files in which a cycle says now and then that it was here."""
    found: dict[str, bytes | str] = {}
    for top, folders, files in os.walk(folder):
        found |= {f"{top}/{name}": "folder" for name in folders}
        for name in set(files) - {"cycle.json", "host.json"}:
            path = f"{top}/{name}"
            found[path] = os.readlink(path) if os.path.islink(path) else Path(path).read_bytes()
    return found


def changes(before: dict[str, bytes | str], after: dict[str, bytes | str]) -> list[str]:
    """Return the paths that are not as they were."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def refusal(said: Said, *, as_json: bool) -> str:
    """Return the sentence of a refusal, which must be one, with one hint at most and nothing beside it."""
    if as_json:
        document = json.loads(said.out)
        ERROR.validate(document)
        sentence, hint = document["error"]["message"], document["error"]["hint"]
        assert said.err == ""
    else:
        first, *rest = said.err.splitlines()
        assert first.startswith("gluerun: ")
        assert said.out == ""
        assert len(rest) <= 1
        assert all(line.startswith("   hint: ") for line in rest)
        sentence, hint = first.removeprefix("gluerun: "), "".join(rest).removeprefix("   hint: ")
    assert sentence.strip() == sentence != ""
    assert "\n" not in sentence + hint
    assert not {"Traceback", "Errno", "defect", "{'", "None"} & set(f"{sentence} {hint}".split(" "))
    return f"{sentence} {hint}"


def refused(*words: str, folder: Path, code: int, as_json: bool = False) -> str:
    """Type a command that must be refused with *code* and leave every byte as it is; return what it says."""
    before = content(folder)
    said = typed(*words, *(("--json",) if as_json else ()))
    assert said.code == code, said
    assert changes(before, content(folder)) == []
    return refusal(said, as_json=as_json)


def words_of(name: str, rest: str = "") -> tuple[str, ...]:
    return (*name.split(), *rest.split())


def has_json(name: str) -> bool:
    return name != "watch"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a parked, a ready and a cancelled task, two nodes, a rescue and an engine to want."""
    top = tmp_path_factory.mktemp("bad")
    folder = top / "repo"
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "first"], cwd=folder, check=True)
    subprocess.run(["git", "update-ref", "refs/gluerun/rescue/one", "HEAD"], cwd=folder, check=True)
    (folder / "gluerun.config.json").write_text(json.dumps(CONFIG))
    (folder / "todo.md").write_text("- [ ] Say hello\n")
    (folder / "empty.md").write_text("Nothing to do.\n")
    plain = {"stage": "build", "area": "src", "layer": "code", "kind": "feature", "required_completion": "all"}
    nodes = [Node(id="core", depends_on=(), **plain), Node(id="later", depends_on=("core",), **plain)]
    for name in ("api", "web"):
        request, approval = default_refs(name)
        gate = HumanGate(request_ref=request, approval_ref=approval)
        nodes.append(Node(id=name, depends_on=(), human_gate=gate, **plain))
    DiskFiles(str(folder)).write("docs/orchestration/dag.v0.json", schema.dump(Graph(nodes=tuple(nodes))))
    engine = top / "engines" / "versions" / "1.0"
    (engine / "bin").mkdir(parents=True)
    (engine / "bin" / "python").write_text('#!/bin/sh\necho \'{"schema": "v1"}\'\n')
    (engine / "bin" / "python").chmod(0o755)
    (engine / ".complete").touch()
    before = os.getcwd()
    os.chdir(folder)
    try:
        for name in ("one", "two", "three", "four", "five"):
            new = ("task", "new", "--title", name, "--objective", name, "--owned", f"src/{name}", "--accept", name)
            assert typed(*new).code == 0
        assert typed("reconcile", "--apply").code == 0
        assert (typed("park", PARKED).code, typed("cancel", GONE).code) == (0, 0)
        now, run = MachineClock().now(), "RUN-20260101T000000Z-00000000"
        until = now + timedelta(days=1)
        held = ProviderBackoff(
            provider="one", fault=Fault.OVERLOAD, reason="-", run_id=run, started_at=now, until=until
        )
        store = Store(DiskFiles(f"{folder}/.gluerun-state"))
        store.put_provider_backoff(held)
        sick = Flake(gate="unit", test="sums::adds", seen=2, runs=9, first_seen=now, last_seen=now)
        kept = Quarantine(owner="ada", by="me", order="ORD", since=now, expires_at=until)
        store.put_flakes(Flakes(flakes=(sick, replace(sick, test="sums::carries", quarantine=kept))))
        for number, task_id, expires in ((1, WAITS, None), (2, LATE, now - timedelta(hours=1))):
            task = store.live_task(task_id)
            assert task is not None
            bound = Bound(source_sha256=task.source_sha256)
            store.put_approval(
                Approval(id=f"APR-{number:04d}", point=Point.PLAN, task_id=task_id, epoch=0, bound=bound, asked_at=now,
                         state=ApprovalState.WAITING, expires_at=expires, questions=("Why?",) if expires else ())
            )  # fmt: skip
        me = pwd.getpwuid(os.getuid()).pw_name
        asked = ("--owner", me, "--question", "ok=Well?", "--artifact", "todo.md")
        assert typed("human-gate", "request", "web", *asked).code == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def repo(template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository itself, for what must leave it as it is."""
    monkeypatch.setenv("GLUERUN_HOME", str(template.parent / "engines"))
    monkeypatch.chdir(template)
    return template


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Places that are no repository to work in: none at all, a bare one, and the work tree of a run."""
    top = tmp_path_factory.mktemp("nowhere")
    (top / "outside").mkdir()
    subprocess.run(["git", "init", "-q", "--bare", "bare"], cwd=top, check=True)
    subprocess.run(["git", "init", "-q", "main"], cwd=top, check=True)
    place = top / "main" / ".worktrees" / "TASK-0009"
    place.mkdir(parents=True)
    (place / ".git").write_text(f"gitdir: {top}/main/.git\n")
    (top / "run").symlink_to(place)
    return top


@pytest.fixture
def copy(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the repository, for what may change."""
    folder = tmp_path / "repo"
    shutil.copytree(repo, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


def test_every_verb_has_a_row():
    assert sorted(ROWS) == sorted(verb.name for verb in VERBS if verb.module)


@pytest.mark.parametrize("as_json", [False, True], ids=["words", "json"])
@pytest.mark.parametrize(("where", "sentence"), [
    ("outside", "is not inside a git repository"),
    ("bare", "bare"),
    ("run", "is the work tree of a run"),
])  # fmt: skip
@pytest.mark.parametrize("name", [name for name in ROWS if name != "demo"])
def test_where_there_is_no_repository_to_work_in(name, where, sentence, as_json, nowhere, monkeypatch):
    monkeypatch.chdir(nowhere / where)
    row = ROWS[name]
    if where in dict(row.still):
        before = content(nowhere)
        assert typed(*words_of(name, row.words)).code == dict(row.still)[where]
        assert changes(before, content(nowhere)) == []
        return

    if not as_json or has_json(name):
        assert sentence in refused(*words_of(name, row.words), folder=nowhere, code=2, as_json=as_json)


@pytest.mark.parametrize("name", ROWS)
def test_an_unknown_option_is_named_once(name, repo):
    words = refused(*words_of(name, ROWS[name].words), "--gone", folder=repo, code=2)

    assert words.startswith("no such option: --gone ")
    assert "Possible" not in words


@pytest.mark.parametrize("as_json", [False, True], ids=["words", "json"])
@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.unknown])
def test_what_nobody_knows_is_named(name, as_json, repo):
    unknown = ROWS[name].unknown
    words = refused(*words_of(name, unknown), folder=repo, code=2, as_json=as_json)

    unknown = unknown.removesuffix("..HEAD")
    named = next(word for word in unknown.split() if not word.startswith("-") and word not in (READY, PARKED))
    assert named in words


@pytest.mark.parametrize("as_json", [False, True], ids=["words", "json"])
@pytest.mark.parametrize(
    ("words", "code", "sentence"), WRONG, ids=lambda one: " ".join(one) if type(one) is tuple else ""
)
def test_what_is_in_the_wrong_state_says_which(words, code, sentence, as_json, repo):
    if as_json and words[:1] not in (("watch",), ("--set",), ("graph",)):
        assert sentence in refused(*words, folder=repo, code=code, as_json=True)
    elif not as_json:
        assert sentence in refused(*words, folder=repo, code=code)


@pytest.mark.parametrize("trouble", ["json", "key"])
@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.does != APART and name != "doctor"])
def test_a_broken_configuration_is_named_by_file_and_line(name, trouble, copy):
    """Unknown keys are errors, with the nearest known one."""
    wrong = '{\n  "schemaVersion": "v1",,\n}' if trouble == "json" else json.dumps(CONFIG | {"maxRetrys": 3}, indent=2)
    (copy / "gluerun.config.json").write_text(wrong)
    row = ROWS[name]
    if trouble in dict(row.still):
        assert typed(*words_of(name, row.words)).code == dict(row.still)[trouble]
        return

    said = refused(*words_of(name, row.words), folder=copy, code=2, as_json=has_json(name))

    if trouble == "json":
        assert said.startswith("gluerun.config.json:2:25: not JSON: ")
    else:
        assert said == "gluerun.config.json:14: `maxRetrys` is no known key did you mean `maxRetries`?"


def still_looks(name: str, folder: Path) -> None:
    """Type a verb that only looks: whatever is held or shut, it answers and changes nothing."""
    before = content(folder)
    said = typed(*words_of(name, ROWS[name].words))
    assert said.code in ((2,) if name in ("watch", "lease show") else (0, 1)), said
    assert changes(before, content(folder)) == []


LOOKING = [name for name, row in ROWS.items() if row.does == LOOK]
ACTING = [name for name, row in ROWS.items() if row.does == ACT]
ORDERING = [name for name, row in ROWS.items() if row.does == ORDER]
WRITING = [name for name, row in ROWS.items() if row.does in (FILES, ORDER, ACT)]


@pytest.mark.parametrize("name", [*ACTING, *LOOKING])
def test_while_another_cycle_is_at_work(name, repo):
    now = MachineClock().now()
    holder = OriginHolder(owner="auto@host", run_id="run-7", pid=4242, started_at=now, expires_at=now)
    with FlockLocks(f"{repo}/.gluerun-state").origin(holder):
        if name in LOOKING:
            still_looks(name, repo)
            return
        said = refused(*words_of(name, ROWS[name].words), folder=repo, code=75, as_json=True)

    assert "another cycle holds the lock: auto@host" in said


def test_an_order_waits_while_another_cycle_is_at_work(copy):
    now = MachineClock().now()
    holder = OriginHolder(owner="auto@host", run_id="run-7", pid=4242, started_at=now, expires_at=now)
    with FlockLocks(f"{copy}/.gluerun-state").origin(holder):
        before = content(copy)
        said = typed("park", READY, "--json")
        new = changes(before, content(copy))

    answered = json.loads(said.out)
    assert (said.code, answered["outcome"], answered["applied"]) == (0, "queued", False)
    assert new == [f"{copy}/.gluerun-state/inbox/orders/{answered['id']}.json"]


@pytest.fixture
def elsewhere(copy: Path) -> Path:
    """A state folder that another machine works in right now."""
    now = MachineClock().now()
    host = Host(host_id="f" * 32, boot_id="elsewhere", since=now - timedelta(hours=1), seen_at=now)
    (copy / ".gluerun-state/host.json").write_bytes(schema.dump(host))
    return copy


@pytest.mark.parametrize("name", [*ACTING, *LOOKING])
def test_in_the_folder_of_another_machine(name, elsewhere):
    if name in LOOKING:
        still_looks(name, elsewhere)
        return
    host = (elsewhere / ".gluerun-state/host.json").read_bytes()
    said = refused(*words_of(name, ROWS[name].words), folder=elsewhere, code=75, as_json=True)

    assert (elsewhere / ".gluerun-state/host.json").read_bytes() == host
    assert "belongs to another machine" in said
    assert "`gluerun recover --take-over`" in said


@pytest.mark.parametrize("name", ORDERING)
def test_an_order_waits_in_the_folder_of_another_machine(name, elsewhere):
    before = content(elsewhere)
    said = typed(*words_of(name, ROWS[name].words), "--json")

    if said.code:
        assert changes(before, content(elsewhere)) == []
        assert refusal(said, as_json=True)
        return
    answered = json.loads(said.out)
    assert answered["outcome"] == "queued"
    assert "belongs to another machine" in answered["answer"]
    assert changes(before, content(elsewhere)) == [f"{elsewhere}/.gluerun-state/inbox/orders/{answered['id']}.json"]


# Types every verb where nothing can be written: in a process of its own, for which the file system is read-only.
TYPIST = """
import contextlib, io, json, os, sys
from gluerun.cli.main import run
os.chdir(sys.argv[1])
told = {}
for name, words in json.load(sys.stdin).items():
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(words)
    told[name] = (code, out.getvalue(), err.getvalue())
json.dump(told, sys.stdout)
"""
SHUT = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'


def may_mount(folder: Path) -> bool:
    """Tell whether a folder can be made read-only for one process here."""
    words = ["unshare", "-rm", "sh", "-c", SHUT, str(folder), "true"]
    return bool(shutil.which("unshare")) and subprocess.run(words, capture_output=True, check=False).returncode == 0


def test_nothing_can_be_written(copy):
    """A disk that takes no write: who looks goes on, who writes is told so, and nothing is left behind."""
    names = [name for name, row in ROWS.items() if row.does != APART]
    commands = {name: [*words_of(name, ROWS[name].words), *(["--json"] if has_json(name) else [])] for name in names}
    shut = ["unshare", "-rm", "sh", "-c", SHUT, str(copy)] if may_mount(copy) else []
    if not shut and os.geteuid() == 0:
        pytest.skip("root may write everywhere, and no file system can be made read-only here")
    if not shut:
        subprocess.run(["chmod", "-R", "a-w", str(copy)], check=True)
    before = content(copy)
    try:
        done = subprocess.run(
            [*shut, sys.executable, "-P", "-c", TYPIST, str(copy)],
            input=json.dumps(commands),
            env=os.environ | {"PYTHONPATH": str(CHECKOUT / "engine")},
            capture_output=True,
            text=True,
            check=True,
        )
        assert changes(before, content(copy)) == []
    finally:
        if not shut:
            subprocess.run(["chmod", "-R", "u+w", str(copy)], check=True)
    told = {name: Said(*said) for name, said in json.loads(done.stdout).items()}

    assert {name: said for name, said in told.items() if name in LOOKING and said.code not in (0, 1, 2)} == {}
    assert {name: said.code for name, said in told.items() if name in WRITING} == dict.fromkeys(WRITING, 2)
    words = {name: refusal(told[name], as_json=True) for name in WRITING}
    assert [name for name, said in words.items() if "read-only file system" not in said and "denied" not in said] == []

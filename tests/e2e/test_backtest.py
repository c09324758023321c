"""`gluerun backtest`: whatever a history holds comes out exactly, and what cannot is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from tests.patience import PATIENCE, until

CHECKOUT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("GLUERUN_E2E_PYTHON") or sys.executable
MERGES = Draft7Validator(json.loads((CHECKOUT / "schemas/cli/backtest-merges.v0.schema.json").read_text()))
FILE, PROGRAM, LINK, SUBMODULE = "100644", "100755", "120000", "160000"


class Past:
    """A repository whose history is written tree by tree, so that no work tree has to be able to hold it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[bytes, tuple[str, bytes]] = {}
        self.tip = ""
        root.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str, give: bytes = b"") -> bytes:
        return subprocess.run(["git", *words], cwd=self.root, input=give, capture_output=True, check=True).stdout

    def commit(self, changes: dict[bytes | str, bytes | tuple[str, bytes] | None], *parents: str) -> str:
        """Commit *changes* on top of the tip: contents, or mode and contents, or None for a deletion."""
        for path, what in changes.items():
            name = os.fsencode(path)
            self.files.pop(name, None)
            if what is not None:
                self.files[name] = (FILE, what) if isinstance(what, bytes) else what
        entries = [
            b"%s %s\t%s\0" % (mode.encode(), self._id(mode, data), path) for path, (mode, data) in self.files.items()
        ]
        self.git("read-tree", "--empty")
        self.git("update-index", "-z", "--index-info", give=b"".join(entries))
        tree = self.git("write-tree").decode().strip()
        ups = [word for parent in (self.tip, *parents) if parent for word in ("-p", parent)]
        self.tip = self.git("commit-tree", *ups, "-m", f"commit of {len(changes)} paths", tree).decode().strip()
        self.git("update-ref", "refs/heads/main", self.tip)
        return self.tip

    def _id(self, mode: str, data: bytes) -> bytes:
        return data if mode == SUBMODULE else self.git("hash-object", "-w", "--stdin", give=data).strip()


@pytest.fixture
def past(tmp_path):
    return Past(tmp_path / "repository")


def backtest(root: Path, *words: str, code: int = 0) -> dict:
    """Run the verb and return its document."""
    argv = [PYTHON, "-P", "-m", "gluerun", "backtest", "--repo", str(root), "--json", *words]
    done = subprocess.run(argv, cwd=root.parent, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def counts(report: dict) -> tuple[int, ...]:
    return tuple(report[key] for key in ("integrated", "conflicted", "parked", "empty", "unsupported"))


def a_history_of_odd_things(past: Past) -> None:
    """Write every kind of path and change that a tree can hold."""
    past.commit(
        {"a": b"1\n", "dir/one": b"one\n" * 9, "dir/two": b"two\n" * 9, "thing": b"a file\n", "README": b"read\n"}
    )
    past.commit(
        {
            "with space": b"1",
            " leading and trailing ": b"2",
            "naïve-ü-日本.txt": b"3",
            b"caf\xe9": b"4",
            'quo"te': b"5",
            "tab\tname": b"6",
            "new\nline\n": b"7",
            "back\\slash": b"8",
            "\\x41": b"9",
            "-dash": b"10",
            ":(glob)*?[a]": b"11",
            "\x1b[31mred": b"12",
            "~": b"13",
            b"folder \xff\n/inner": b"14",
        }
    )
    past.commit({"README": None, "readme": b"read\n"})
    past.commit({"dir/one": None, "dir/two": None, "moved/one": b"one\n" * 9, "moved/two": b"two\n" * 9})
    past.commit({"dir/three": b"beside the renamed folder\n"})
    past.commit({"thing": None, "thing/inner": b"a file\n"})
    past.commit({"moved/one": None, "moved/two": None, "moved": b"was a folder\n"})
    past.commit({"link": (LINK, b"dir"), b"caf\xe9-link": (LINK, b"caf\xe9"), "dangling": (LINK, b"no/such\nplace")})
    past.commit({"link": None, "link/inside": b"was a link to a folder\n"})
    past.commit({"a": (LINK, b"readme"), "dangling": b"now a file\n"})
    past.commit({"run": (PROGRAM, b"#!/bin/sh\n"), "readme": (PROGRAM, b"read\n")})
    past.commit({"run": b"#!/bin/sh\n"})
    past.commit({"blob.bin": bytes(range(256)) * 40, "empty": b""})
    past.commit({"blob.bin": bytes(range(255, -1, -1)) * 40})
    past.commit({".gitignore": b"*.log\nbuild/\n!.gitignore\n", "sub/.gitignore": b"*\n"})
    past.commit({"forced.log": b"ignored, yet there\n", "build/out": b"1", "sub/kept": b"2"})
    past.commit({"forced.log": b"changed\n", "build/out": None, "build/deep/er": b"3"})
    past.commit(
        {
            ".gitattributes": b"* text=auto eol=lf ident\n*.dos text eol=crlf\n*.u16 working-tree-encoding=UTF-16\n"
            b"*.big filter=lfs diff=lfs merge=lfs -text\n*.own merge=ours\n",
            "mixed.txt": b"one\r\ntwo\nthree\r\n",
            "lf.dos": b"one\ntwo\n",
            "crlf.dos": b"one\r\ntwo\r\n",
            "plain.u16": b"not UTF-16 at all\n",
            "big.big": b"version https://git-lfs.example/spec/v1\nsize 3\n",
            "id.txt": b"$Id: kept as it is $\n$Id$\n",
        }
    )
    past.commit({"mixed.txt": b"\r\n\r\n\n", "crlf.dos": b"three\r\n", "big.big": b"the real thing\n"})
    past.commit({"docs/orchestration/tasks/TASK-0001.md": b"# no task\n", "gluerun.config.json": b"{ no json"})
    past.commit({"keys.txt": b"AKIA" + b"ABCDEFGHIJKLMNOP" + b"\n"})
    past.commit({f"many/{number:03d}": b"the same\n" for number in range(120)})
    past.commit(
        {
            **{f"many/{number:03d}": None for number in range(60)},
            **{f"more/{number}": b"the same\n" for number in range(60)},
        }
    )
    past.commit({b"caf\xe9": b"changed", "new\nline\n": None, "with space": None, "tab\tname": (PROGRAM, b"6")})
    past.commit({})
    side = past.git("commit-tree", "-p", past.tip, "-m", "side", past.git("mktree").decode().strip()).decode().strip()
    past.commit({"merged": b"by a merge\n", "empty": None}, side)
    past.commit({b"folder \xff\n/inner": None, b"folder \xff\n": b"a file\n", "-dash": None})


def test_everything_a_history_can_hold_comes_out_exactly(past):
    a_history_of_odd_things(past)

    report = backtest(past.root, "--last", "9999", "--workers", "3")

    assert [task for task in report["tasks"] if task["fate"] not in ("integrated", "empty")] == []
    assert counts(report) == (26, 0, 0, 1, 0)
    assert (report["identical"], report["differing"]) == (True, [])
    assert report["base"] not in past.git("rev-list", "--all").decode(), "the root begins at nothing"
    assert 1 <= report["parallelism"] <= 3
    assert list(report["forecast"]) == [str(workers) for workers in range(1, 9)]
    assert report["gateRuns"] == 0
    assert past.git("for-each-ref", "--format=%(refname)").split() == [b"refs/heads/main"]


def test_our_own_history_comes_out_exactly():
    if not is_whole():
        pytest.skip("this checkout has no git history, or only a part of it")

    report = backtest(CHECKOUT, "--last", "12")

    commits = len(report["tasks"])
    assert counts(report) == (commits - report["empty"], 0, 0, report["empty"], 0)
    assert (report["identical"], report["differing"]) == (True, [])


def is_whole() -> bool:
    """Tell whether this checkout has all of its history."""
    words = ["git", "-C", str(CHECKOUT), "rev-parse", "--is-shallow-repository"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() == "false"


def test_every_merge_of_our_own_history_comes_out_or_is_explained():
    merges = ["git", "-C", str(CHECKOUT), "rev-list", "--count", "--merges", "HEAD"]
    if not is_whole() or subprocess.run(merges, capture_output=True, text=True, check=False).stdout.strip() == "0":
        pytest.skip("this checkout has no merges, or only a part of its history")

    report = backtest(CHECKOUT, "--merges", "all")

    MERGES.validate(report)
    assert [one for one in report["merges"] if one["fate"] in ("different", "unreadable")] == []
    assert report["identical"] + report["resolved"] > 0


def test_a_merge_that_a_hand_changed_is_shown_to_a_person(past):
    base = past.commit({"a": b"1", "b": b"1"})
    side = past.git("commit-tree", "-p", base, "-m", "side", f"{past.commit({'a': b'2'})}^{{tree}}").decode().strip()
    past.commit({"b": b"by nobody"}, side)
    argv = [PYTHON, "-P", "-m", "gluerun", "--repo", str(past.root), "backtest", "--merges", "1"]

    done = subprocess.run(argv, cwd=past.root, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert "evil" in done.stdout and "it changes what neither side did" in done.stdout
    assert "for a reason that is known" in done.stdout


def test_a_merge_that_cannot_be_made_again_is_a_no(past):
    base = past.commit({"a": b"1"})
    side = past.git("commit-tree", "-p", base, "-m", "side", f"{past.commit({'a': b'2'})}^{{tree}}").decode().strip()
    past.commit({"b": b"1"})
    past.commit({}, side)
    tree = past.git("rev-parse", f"{base}^{{tree}}").decode().strip()
    (past.root / ".git" / "objects" / tree[:2] / tree[2:]).unlink()

    report = backtest(past.root, "--merges", "all", code=1)

    MERGES.validate(report)
    assert report["unreadable"] == 1


def test_a_range_begins_where_it_says(past):
    first = past.commit({"a": b"1", "b": b"1"})
    past.commit({"a": b"2"})
    last = past.commit({"a": None, "b": b"2"})
    past.commit({"c": b"3"})

    report = backtest(past.root, "--range", f"{first}..{last}")

    assert counts(report) == (2, 0, 0, 0, 0)
    assert (report["base"], report["tip"], report["identical"]) == (first, last, True)
    assert [task.get("dependsOn", []) for task in report["tasks"]] == [[], ["TASK-0001"]]


def test_a_red_gate_parks_the_commit_and_whoever_waits_for_it(past):
    past.commit({"ok": b"1"})
    past.commit({"bad": b"1"})
    past.commit({"bad": b"2", "other": b"2"})
    past.commit({"fine": b"3"})

    report = backtest(past.root, "--range", "HEAD~3..HEAD", "--gate", "test ! -e bad", code=1)

    fates = {task["taskId"]: (task["fate"], task["reason"]) for task in report["tasks"]}
    assert fates["TASK-0001"] == ("parked", "gate-red: the gate ended with 1")
    assert fates["TASK-0002"] == ("parked", "it waits for TASK-0001")
    assert fates["TASK-0003"][0] == "integrated"
    assert counts(report) == (1, 0, 2, 0, 0)
    assert (report["identical"], report["differing"]) == (False, ["bad", "other"])
    assert report["gateRuns"] >= 2


def test_a_submodule_is_said_to_be_unsupported_and_the_rest_goes_on(past):
    commit = past.commit({"a": b"1"})
    past.commit({"sub": (SUBMODULE, commit.encode()), ".gitmodules": b"[submodule]\n"})
    past.commit({"a": b"2"})
    past.commit({".gluerun-state/x": b"ours"})

    report = backtest(past.root, "--range", f"{commit}..", code=1)

    assert counts(report) == (1, 0, 0, 0, 2)
    assert report["differing"] == [".gitmodules", ".gluerun-state/x", "sub"]
    assert report["tasks"][0]["reason"] == "it moves the submodule sub"


def test_a_submodule_that_stands_still_is_in_nobodys_way(past):
    commit = past.commit({"a": b"1"})
    base = past.commit({"sub": (SUBMODULE, commit.encode()), ".gitmodules": b"[submodule]\n"})
    past.commit({"a": b"2"})

    report = backtest(past.root, "--range", f"{base}..")

    assert (counts(report), report["identical"]) == ((1, 0, 0, 0, 0), True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--last", "0"), "nothing to replay"),
        (("--last", "1", "--range", "HEAD~1..HEAD"), "exclude each other"),
        (("--range", "HEAD"), "no range"),
        (("--range", "nowhere..HEAD"), "names no commit"),
        (("--range", "HEAD..HEAD"), "no commit in this range"),
        (("--workers", "0"), "not a number"),
        (("--merges", "0"), "nothing to replay"),
        (("--merges", "all"), "no merge in this history"),
        (("--merges", "all", "--gate", "true"), "takes no --gate"),
    ],
)
def test_wrong_words_are_refused_with_a_sentence_and_a_hint(past, words, message):
    past.commit({"a": b"1"})
    past.commit({"a": b"2"})

    error = backtest(past.root, *words, code=2)["error"]

    assert message in error["message"]
    assert error["hint"]


def test_places_without_a_whole_history_are_refused(past, tmp_path):
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()

    assert "not inside a git repository" in backtest(nowhere, code=2)["error"]["message"]
    assert "no commit yet" in backtest(past.root, code=2)["error"]["message"]
    past.commit({"a": b"1"})
    past.commit({"a": b"2"})
    subprocess.run(["git", "clone", "-q", "--depth=1", past.root.as_uri(), tmp_path / "shallow"], check=True)
    assert "shallow" in backtest(tmp_path / "shallow", code=2)["error"]["message"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_interrupts_it_finds_neither_runs_nor_scratch(past, tmp_path, number):
    for name in "abc":
        past.commit({name: b"1"})
    place = tmp_path / "scratch"
    place.mkdir()
    argv = [PYTHON, "-P", "-m", "gluerun", "backtest", "--repo", str(past.root), "--gate", "sleep 777"]
    env = os.environ | {"TMPDIR": str(place)}
    started = subprocess.Popen(argv, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until(lambda: list(place.glob("*/.gluerun-state/runs/*/children/*-gate.json")), "the gate began")

    started.send_signal(number)
    started.communicate(timeout=PATIENCE)

    assert started.returncode == 130
    assert list(place.iterdir()) == []


def test_a_person_gets_a_summary_and_no_scratch_is_left(past, tmp_path):
    past.commit({"a": b"1"})
    place = tmp_path / "scratch"
    place.mkdir()
    argv = [PYTHON, "-P", "-m", "gluerun", "--repo", str(past.root), "backtest"]
    env = os.environ | {"TMPDIR": str(place)}

    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert "the tree is that of the history" in done.stdout
    assert list(place.iterdir()) == []

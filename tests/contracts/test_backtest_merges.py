"""`gluerun backtest --merges`: every odd kind of merge, and what is said of it. The trees are written out by hand."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gluerun.backtest_merges import MergeOptions, backtest_merges
from gluerun.errors import UsageError

PROGRAM, LINK, SUBMODULE = "100755", "120000", "160000"
TEN = b"".join(b"line %d\n" % number for number in range(10))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))


class Past:
    """A repository that is written commit by commit, each with its whole tree and its parents."""

    def __init__(self, root: Path, *options: str) -> None:
        self.root = root
        root.mkdir()
        self.git("init", "-q", "-b", "main", *options)

    def git(self, *words: str, give: bytes = b"") -> str:
        argv = ["git", "-c", "user.name=x", "-c", "user.email=x@example.invalid", *words]
        done = subprocess.run(argv, cwd=self.root, input=give, capture_output=True, check=True)
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def tree(self, files) -> str:
        """Store a tree: contents, or mode and contents, by path; a path may be bytes."""
        entries = b""
        for path, what in files.items():
            mode, data = ("100644", what) if isinstance(what, bytes) else what
            blob = data if mode == SUBMODULE else self.git("hash-object", "-w", "--stdin", give=data).encode()
            entries += b"%s %s\t%s\0" % (mode.encode(), blob, os.fsencode(path))
        self.git("read-tree", "--empty")
        self.git("update-index", "-z", "--index-info", give=entries)
        return self.git("write-tree")

    def commit(self, files, *parents: str, subject: str = "work") -> str:
        words = [word for parent in parents for word in ("-p", parent)]
        new = self.git("commit-tree", *words, "-m", subject, self.tree(files))
        self.git("update-ref", "refs/heads/main", new)
        return new

    def merge(self, base, ours, theirs, recorded) -> str:
        """Write two sides on a base, and the merge of them as it was recorded."""
        begin = self.commit(base)
        return self.commit(recorded, self.commit(ours, begin), self.commit(theirs, begin, subject="theirs"))

    def replayed(self, count: str = "all"):
        return backtest_merges(MergeOptions(repo=str(self.root), count=count))


@pytest.fixture
def past(tmp_path):
    return Past(tmp_path / "repository")


def edited(number: int, text: bytes = b"changed\n") -> bytes:
    """Return ten lines with one of them changed."""
    return TEN.replace(b"line %d\n" % number, text)


TWO = edited(0).replace(b"line 9\n", b"changed\n")
CRLF = TEN.replace(b"\n", b"\r\n")
AUTO, UNION, OWN = b"* text=auto\n", b"*.log merge=union\n", b"*.own merge=own\n"
SUB = tuple((SUBMODULE, b"%040x" % number) for number in (1, 2, 3, 4))
FOLDER = {f"d/{name}": name.encode() * 40 for name in "abcd"}
MOVED = {path.replace("d/", "e/"): data for path, data in FOLDER.items()}

# What base, our side, their side and the recorded merge hold; what is said of the merge; a word of the reason;
# the paths in conflict and those that differ beyond. Rows whose name says `hand` were resolved by hand.
CASES = {
    "both sides touch other files": (
        {"a": b"1", "b": b"1"}, {"a": b"2", "b": b"1"}, {"a": b"1", "b": b"2"}, {"a": b"2", "b": b"2"},
        "identical", "", (), ()),
    "both sides touch one file in other places": (
        {"a": TEN}, {"a": edited(0)}, {"a": edited(9)}, {"a": TWO}, "identical", "", (), ()),
    "renames on both sides, with edits on the other": (
        {"a": TEN, "b": TEN + b"b"}, {"a2": TEN, "b": edited(0) + b"b"}, {"a": edited(9), "b2": TEN + b"b"},
        {"a2": edited(9), "b2": edited(0) + b"b"}, "identical", "", (), ()),
    "the same rename on both sides": (
        {"a": TEN}, {"b": edited(0)}, {"b": edited(9)}, {"b": TWO}, "identical", "", (), ()),
    "one file renamed to two names, by hand": (
        {"a": TEN}, {"b": TEN}, {"c": TEN}, {"b": TEN}, "resolved", "by hand", ("a", "b", "c"), ()),
    "renamed here, removed there, by hand": (
        {"a": TEN, "x": b""}, {"b": edited(1), "x": b""}, {"x": b""}, {"x": b""}, "resolved", "", ("b",), ()),
    "a mode here, contents there": (
        {"a": TEN}, {"a": (PROGRAM, TEN)}, {"a": edited(9)}, {"a": (PROGRAM, edited(9))}, "identical", "", (), ()),
    "a link that one side turns": (
        {"l": (LINK, b"a"), "x": b""}, {"l": (LINK, b"a"), "x": b"1"}, {"l": (LINK, b"b"), "x": b""},
        {"l": (LINK, b"b"), "x": b"1"}, "identical", "", (), ()),
    "a link that both sides turn, by hand": (
        {"l": (LINK, b"a")}, {"l": (LINK, b"b")}, {"l": (LINK, b"c")}, {"l": (LINK, b"d")}, "resolved", "", ("l",), ()),
    "a file that becomes a link": (
        {"l": TEN, "x": b""}, {"l": TEN, "x": b"1"}, {"l": (LINK, b"b"), "x": b""}, {"l": (LINK, b"b"), "x": b"1"},
        "identical", "", (), ()),
    "a submodule that one side moves": (
        {"s": SUB[0], "x": b""}, {"s": SUB[0], "x": b"1"}, {"s": SUB[1], "x": b""}, {"s": SUB[1], "x": b"1"},
        "identical", "", (), ()),
    "a submodule that both sides move, by hand": (
        {"s": SUB[0]}, {"s": SUB[1]}, {"s": SUB[2]}, {"s": SUB[3]}, "resolved", "", ("s",), ()),
    "ends of lines that one side changes": (
        {"a": TEN, "b": b"1"}, {"a": CRLF, "b": b"1"}, {"a": TEN, "b": b"2"}, {"a": CRLF, "b": b"2"},
        "identical", "", (), ()),
    "ends of lines, with the attributes of the history": (
        {".gitattributes": AUTO, "a": CRLF, "b": b"1"}, {".gitattributes": AUTO, "a": TEN, "b": b"1"},
        {".gitattributes": AUTO, "a": CRLF, "b": b"2"}, {".gitattributes": AUTO, "a": TEN, "b": b"2"},
        "identical", "", (), ()),
    "a driver that comes with git": (
        {".gitattributes": UNION, "a.log": b"1\n"}, {".gitattributes": UNION, "a.log": b"1\n2\n"},
        {".gitattributes": UNION, "a.log": b"1\n3\n"}, {".gitattributes": UNION, "a.log": b"1\n2\n3\n"},
        "identical", "", (), ()),
    "the same driver in a folder": (
        {"d/.gitattributes": UNION, "d/a.log": b"1\n"}, {"d/.gitattributes": UNION, "d/a.log": b"1\n2\n"},
        {"d/.gitattributes": UNION, "d/a.log": b"1\n3\n"}, {"d/.gitattributes": UNION, "d/a.log": b"1\n2\n3\n"},
        "identical", "", (), ()),
    "a driver that nobody has, by hand": (
        {".gitattributes": OWN, "a.own": b"1\n"}, {".gitattributes": OWN, "a.own": b"2\n"},
        {".gitattributes": OWN, "a.own": b"3\n"}, {".gitattributes": OWN, "a.own": b"2\n"},
        "resolved", "by hand", ("a.own",), ()),
    "a binary file that one side changes": (
        {"b": b"\0" * 99, "x": b""}, {"b": b"\0" * 99, "x": b"1"}, {"b": b"\0\1" * 99, "x": b""},
        {"b": b"\0\1" * 99, "x": b"1"}, "identical", "", (), ()),
    "a binary file that both sides change, by hand": (
        {"b": b"\0" * 99}, {"b": b"\0\1" * 99}, {"b": b"\0\2" * 99}, {"b": b"\0\2" * 99}, "resolved", "", ("b",), ()),
    "names that are no UTF-8": (
        {b"caf\xe9": TEN, "new\nline": b"1"}, {b"caf\xe9": edited(0), "new\nline": b"1"},
        {b"caf\xe9": edited(9), "new\nline": b"2"}, {b"caf\xe9": TWO, "new\nline": b"2"}, "identical", "", (), ()),
    "names that are no UTF-8, in conflict, by hand": (
        {b"caf\xe9": b"1"}, {b"caf\xe9": b"2"}, {b"caf\xe9": b"3"}, {b"caf\xe9": b"4"},
        "resolved", "", ("caf\\xe9",), ()),
    "removed here, changed there, by hand": (
        {"a": TEN, "x": b""}, {"x": b""}, {"a": edited(1), "x": b""}, {"x": b""}, "resolved", "", ("a",), ()),
    "markers that were committed": (
        {"a": b"1\n"}, {"a": b"2\n"}, {"a": b"3\n"}, {"a": b"<<<<<<< HEAD\n2\n=======\n3\n>>>>>>> side\n"},
        "resolved", "", ("a",), ()),
    "a file that becomes a folder": (
        {"n": TEN, "x": b""}, {"n": TEN, "x": b"1"}, {"n/inner": b"new", "x": b""}, {"n/inner": b"new", "x": b"1"},
        "identical", "", (), ()),
    "a folder that becomes a file": (
        {"n/inner": TEN, "x": b""}, {"n/inner": TEN, "x": b"1"}, {"n": b"new", "x": b""}, {"n": b"new", "x": b"1"},
        "identical", "", (), ()),
    "a folder is renamed, a file is added to the old one and stays there": (
        FOLDER, MOVED, {**FOLDER, "d/new": b"n"}, {**MOVED, "d/new": b"n"}, "identical", "", (), ()),
    "a folder is renamed, a file is added to the old one and goes along": (
        FOLDER, MOVED, {**FOLDER, "d/new": b"n"}, {**MOVED, "e/new": b"n"},
        "strategy", "renames of folders were followed", (), ("d/new", "e/new")),
    "nothing was changed on the other side": (
        {"a": b"1"}, {"a": b"2"}, {"a": b"1"}, {"a": b"2"}, "identical", "", (), ()),
    "both sides did the same": ({"a": b"1"}, {"a": b"2"}, {"a": b"2"}, {"a": b"2"}, "identical", "", (), ()),
    "a hand changed what neither side did": (
        {"a": b"1", "b": b"1"}, {"a": b"2", "b": b"1"}, {"a": b"1", "b": b"2"}, {"a": b"2", "b": b"3", b"\xe9": b""},
        "evil", "neither side", (), ("b", "\\xe9")),
    "a hand changed more than the conflict": (
        {"a": b"1", "b": b"1"}, {"a": b"2", "b": b"1"}, {"a": b"3", "b": b"1"}, {"a": b"4", "b": b"5"},
        "evil", "more was changed", ("a",), ("b",)),
    "a hand that took back one side's change only in part": (
        {"a": TEN}, {"a": edited(0)}, {"a": edited(9)}, {"a": edited(9)}, "strategy", "second parent", (), ("a",)),
    "-s ours": (
        {"a": b"1", "b": b"1"}, {"a": b"2", "b": b"1"}, {"a": b"1", "b": b"2"}, {"a": b"2", "b": b"1"},
        "strategy", "-s ours", (), ("b",)),
    "-X no-renames": (
        {"a": TEN, "x": b""}, {"b": TEN, "x": b"1"}, {"a": edited(9), "x": b""}, {"a": edited(9), "b": TEN, "x": b"1"},
        "strategy", "-X no-renames, and conflicts resolved by hand", (), ("a", "b")),
    "-X ignore-all-space": (
        {"a": b"one\ntwo\nthree\n", "z": b"1"}, {"a": b"one\n\ttwo\nthree\n", "z": b"1"},
        {"a": b"one\ntwo!\nthree\n", "z": b"2"}, {"a": b"one\ntwo!\nthree\n", "z": b"2"},
        "resolved", "", ("a",), ()),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_every_odd_kind_of_merge_is_told_for_what_it_is(past, name):
    base, ours, theirs, recorded, fate, reason, conflicts, paths = CASES[name]
    commit = past.merge(base, ours, theirs, recorded)

    report = past.replayed()

    (merge,) = report.merges
    assert (merge.commit, merge.fate, merge.conflicts, merge.paths) == (commit, fate, conflicts, paths)
    assert reason in merge.reason
    assert report.is_exact
    assert getattr(report, fate) == 1


def test_criss_cross_histories_come_out_by_a_common_ancestor_made_of_all(past):
    base = past.commit({"a": TEN, "b": TEN})
    one, two = past.commit({"a": edited(0), "b": TEN}, base), past.commit({"a": TEN, "b": edited(9)}, base)
    both = {"a": edited(0), "b": edited(9)}
    left, right = past.commit(both, one, two), past.commit(both, two, one, subject="right")
    last = past.commit(
        {"a": edited(0, b"x\n"), "b": edited(9, b"y\n")},
        past.commit({"a": edited(0, b"x\n"), "b": edited(9)}, left),
        past.commit({"a": edited(0), "b": edited(9, b"y\n")}, right),
    )

    report = past.replayed()

    assert set(past.git("merge-base", "--all", f"{last}^1", f"{last}^2").split()) == {one, two}
    assert [merge.fate for merge in report.merges] == ["identical"] * 3


def test_an_evil_merge_of_a_criss_cross_history_says_how_many_ancestors_there_are(past):
    base = past.commit({"a": b"0"})
    one, two = past.commit({"a": b"0", "b": b"1"}, base), past.commit({"a": b"0", "c": b"2"}, base)
    both = {"a": b"0", "b": b"1", "c": b"2"}
    left, right = past.commit(both, one, two), past.commit(both, two, one, subject="right")
    past.commit({**both, "evil": b""}, left, right)

    merge = past.replayed().merges[0]

    assert (merge.fate, merge.paths) == ("evil", ("evil",))
    assert "2 best common ancestors" in merge.reason


def test_histories_without_a_common_commit_are_merged_and_named(past):
    past.commit({"a": b"1", "b": b"2"}, past.commit({"a": b"1"}), past.commit({"b": b"2"}))

    (merge,) = past.replayed().merges

    assert merge.fate == "identical"
    assert "no commit in common" in merge.reason


def test_a_tree_that_was_put_into_a_folder_is_told(past):
    library = past.commit({"one": b"1", "deep/two": b"2"}, past.commit({"one": b"0"}))
    added = {"a": b"1", "vendor/lib/one": b"1", "vendor/lib/deep/two": b"2"}
    added = past.commit(added, past.commit({"a": b"1"}), library)
    newer = past.commit({"one": b"1", "deep/two": b"3"}, library)
    past.commit({"a": b"1", "vendor/lib/one": b"1", "vendor/lib/deep/two": b"3"}, added, newer)

    merges = past.replayed().merges

    assert [merge.fate for merge in merges] == ["identical", "strategy"]
    assert merges[1].reason.endswith("lies in vendor/lib")


def test_more_than_two_parents_are_reported_and_not_counted(past):
    base = past.commit({"a": b"1"})
    sides = [past.commit({"a": b"1", name: b""}, base) for name in "xyz"]
    octopus = past.commit({"a": b"1", "x": b"", "y": b"", "z": b""}, *sides)
    merge = past.commit({"a": b"2", "x": b"", "y": b"", "z": b""}, octopus, past.commit({"a": b"2"}, base))
    top = past.commit(
        {"a": b"2", "x": b"", "y": b"", "z": b"", "t": b""}, merge, past.commit({"a": b"1", "t": b""}, base)
    )

    assert [one.fate for one in past.replayed().merges] == ["identical", "identical", "octopus"]
    assert [one.commit for one in past.replayed("1").merges] == [top]
    assert [one.commit for one in past.replayed("2").merges] == [top, merge]
    assert len(past.replayed("9").merges) == 3


def test_merges_of_other_parents_are_merges_as_well(past):
    side = past.merge({"a": b"1", "b": b"1"}, {"a": b"2", "b": b"1"}, {"a": b"1", "b": b"2"}, {"a": b"2", "b": b"2"})
    past.commit({"a": b"2", "b": b"2", "c": b""}, past.commit({"a": b"1", "b": b"1", "c": b""}, f"{side}~2"), side)

    assert [one.fate for one in past.replayed().merges] == ["identical"] * 2


def test_what_git_cannot_make_any_more_is_no_success_and_holds_up_nobody(past):
    good = past.merge({"a": TEN}, {"a": edited(0)}, {"a": edited(9)}, {"a": TWO})
    gone = past.git("hash-object", "-w", "--stdin", give=edited(5))
    past.commit({"a": TWO}, past.commit({"a": edited(1)}, good), past.commit({"a": edited(5)}, good))
    (past.root / ".git/objects" / gone[:2] / gone[2:]).unlink()

    report = past.replayed()

    assert [one.fate for one in report.merges] == ["unreadable", "identical"]
    assert "git cannot merge" in report.merges[0].reason or "failed" in report.merges[0].reason
    assert not report.is_exact


def test_the_repository_is_only_read(past):
    past.merge({"a": b"1"}, {"a": b"2"}, {"a": b"3"}, {"a": b"4", "b": b""})
    before = sorted(str(path) for path in past.root.rglob("*"))

    past.replayed()

    assert sorted(str(path) for path in past.root.rglob("*")) == before
    assert past.git("worktree", "list").count("\n") == 0


@pytest.mark.parametrize("word", ["0", "-1", "some", "1.5", "²", "9" * 10])
def test_a_number_that_is_none_is_refused(past, word):
    past.commit({"a": b"1"})

    with pytest.raises(UsageError, match="nothing to replay"):
        past.replayed(word)


def test_a_history_without_merges_is_refused(past):
    past.commit({"a": b"1"})

    with pytest.raises(UsageError, match="no merge"):
        past.replayed()


def test_object_names_may_be_longer(tmp_path):
    past = Past(tmp_path / "repository", "--object-format=sha256")
    past.merge({"a": b"1"}, {"a": b"2"}, {"a": b"3"}, {"a": b"2", "b": b""})

    (merge,) = past.replayed().merges

    assert (merge.fate, merge.paths, len(merge.commit)) == ("evil", ("b",), 64)

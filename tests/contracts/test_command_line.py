"""The one place where an error becomes an exit code."""

from __future__ import annotations

import io
import json
import tempfile
from contextlib import redirect_stdout

import pytest

from gluerun.cli import main, program, show
from gluerun.errors import BusyError, ToolMissingError

SECRET = "sk-" + "a1" * 20


@pytest.fixture
def raising(monkeypatch, tmp_path):
    """Let the program raise what it is given, and keep its report here."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def arrange(error: BaseException) -> None:
        def invoke(_: list[str]) -> int:
            raise error

        monkeypatch.setattr(program, "invoke", invoke)

    return arrange


def test_an_expected_error_is_a_sentence_a_hint_and_its_code(raising, capsys):
    raising(BusyError("another cycle is at work", "wait for it"))

    assert main.run(["auto"]) == 75
    assert capsys.readouterr().err == "gluerun: another cycle is at work\n   hint: wait for it\n"


def test_an_expected_error_as_a_document(raising, capsys):
    raising(ToolMissingError("git is not installed", "install it", file="x"))

    assert main.run(["auto", "--json"]) == 127
    said = {"code": "missing", "message": "git is not installed", "hint": "install it", "file": "x"}
    assert json.loads(capsys.readouterr().out) == {"error": said}


def test_an_interruption_is_130(raising):
    raising(KeyboardInterrupt())

    assert main.run(["auto"]) == 130


def test_a_defect_leaves_a_report_without_secrets(raising, capsys, tmp_path):
    document = {"gateCommand": "make check", "env": {"PASS": "hush"}}
    (tmp_path / "gluerun.config.json").write_text(json.dumps(document))
    raising(RuntimeError(f"token {SECRET} at https://me:pass@example.org"))

    assert main.run(["auto", "--set", f"prewarm={SECRET}"]) == 70

    (report,) = tmp_path.glob("gluerun-report-*.md")
    said, text = capsys.readouterr().err, report.read_text()
    assert str(report) in said
    assert "Traceback" not in said
    assert {"Traceback (most recent call last):", "max_retries = 3 (default)"} <= set(text.splitlines())
    assert not {secret for secret in (SECRET, "hush", "me:pass@") if secret in text}
    assert report.stat().st_mode & 0o077 == 0


def test_a_defect_is_told_where_no_report_can_be_written(raising, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    raising(RuntimeError("oops"))

    assert main.run(["auto", "--json"]) == 70
    assert json.loads(capsys.readouterr().out)["error"]["hint"] == "no report could be written"


def test_what_a_terminal_would_obey_is_not_printed():
    assert show.plain("a\x1b[31mb\u202ec\n\td") == "a\ufffd[31mb\ufffdc\n\td"


@pytest.mark.parametrize(
    ("words", "bare"),
    [
        (["--repo", "task", "doctor"], ["doctor"]),
        (["--repo=x", "--set", "a=1", "task", "new", "--title", "x"], ["task", "new"]),
        (["--help"], []),
        (["drive", "TASK-0001", "--json"], ["drive", "TASK-0001"]),
    ],
)
def test_the_verb_is_found_among_the_options(words, bare):
    assert program._bare_words(words) == bare


@pytest.mark.parametrize(
    ("words", "ordered"),
    [
        (["auto", "--set", "a=1", "--once", "--repo=x"], ["--set", "a=1", "--repo=x", "auto", "--once"]),
        (["auto", "--", "--set", "a=1"], ["auto", "--", "--set", "a=1"]),
        (["auto", "--set"], ["--set", "auto"]),
        (["version"], ["version"]),
    ],
)
def test_global_options_may_stand_anywhere(words, ordered):
    assert program._global_first(words) == ordered


def test_every_verb_that_is_built_can_be_loaded():
    listed = program.build("*").registered_commands

    assert {command.callback.__name__ for command in listed if command.callback} >= {"init", "doctor", "reconcile"}


class Terminal(io.StringIO):
    """What a person looks at."""

    def isatty(self) -> bool:
        return True


def test_a_sentence_is_cut_between_words_in_a_terminal_only(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    sentence = "  - the worker is parked: look at its log and let it go on"
    terminal, pipe = Terminal(), io.StringIO()
    with redirect_stdout(terminal):
        show.say(sentence, wrapped=True)
        show.say("x" * 50)
    with redirect_stdout(pipe):
        show.say(sentence, wrapped=True)

    assert terminal.getvalue().splitlines() == [
        "  - the worker is parked: look at its",
        "    log and let it go on",
        "x" * 50,
    ]
    assert pipe.getvalue() == f"{sentence}\n"
